//! Indexes never go back: neither a table's nor a row's.

use state::Table;

use crate::world::World;

pub(super) fn check(world: &World) -> Vec<String> {
    let (Some(before), Some(after)) = (world.server.state_before(), world.server.state()) else { return Vec::new() };
    let mut found = Vec::new();
    if after.index() < before.index() {
        found.push(format!("the index went from {} to {}", before.index(), after.index()));
    }
    for table in Table::ALL {
        let (old, new) = (before.table_index(table), after.table_index(table));
        if new < old || new > after.index() {
            found.push(format!("the index of {table:?} went from {old} to {new} at {}", after.index()));
        }
    }
    for old in before.allocs() {
        let Some(new) = after.alloc(old.id) else { continue };
        if new.modify_index < old.modify_index || new.alloc_modify_index < old.alloc_modify_index {
            found.push(format!("allocation {} went back in its indexes", old.id));
        }
        if !old.is_live() && new.is_live() {
            found.push(format!("allocation {} had ended and lives again", old.id));
        }
    }
    found
}
