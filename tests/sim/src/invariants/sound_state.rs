//! The state keeps its own rules, and the planner never fails.

use crate::world::World;

pub(super) fn check(world: &World) -> Vec<String> {
    let Some(state) = world.server.state() else { return Vec::new() };
    let mut found = state::invariant::check(state);
    let failed = state.evals().filter(|eval| eval.status == model::evaluation::EvalStatus::Failed);
    found.extend(failed.map(|eval| format!("evaluation {} failed: {}", eval.id, eval.status_description)));
    if world.server.has_drifted() {
        found.push("the planner's node table, kept from change to change, is not that of the state".to_owned());
    }
    found
}
