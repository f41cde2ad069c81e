//! What must hold: some of it after every step, the rest once everything is quiet. Every sentence is a violation.

mod catalog;
mod given_twice;
mod indexes;
mod runs_unwanted;
mod sound_state;
mod wanted_runs;

use crate::world::World;

/// After every entry of the log.
pub fn after_entry(world: &World) -> Vec<String> {
    let mut found = sound_state::check(world);
    found.extend(catalog::check(world));
    found.extend(indexes::check(world));
    found
}

/// After a process came up on a node.
pub fn after_start(world: &World, node: usize) -> Vec<String> {
    given_twice::check(world, node)
}

/// Once nothing has been broken or asked for so long that everything must be settled.
pub fn when_quiet(world: &World) -> Vec<String> {
    let mut found = wanted_runs::check(world);
    found.extend(runs_unwanted::check(world));
    found.extend(catalog::check_quiet(world));
    found
}
