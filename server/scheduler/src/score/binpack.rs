//! Best fit: the fuller a node is with the copy on it, the better.

use crate::table::Room;

/// 0 for an empty node, 1 for a full one; exponential in the free shares of CPU and memory.
pub(crate) fn score(capacity: Room, free_after: Room) -> f64 {
    let share = |free: i64, capacity: i64| if capacity > 0 { free as f64 / capacity as f64 } else { 0.0 };
    let total = 10f64.powf(share(free_after.cpu, capacity.cpu)) + 10f64.powf(share(free_after.memory, capacity.memory));
    (20.0 - total).clamp(0.0, 18.0) / 18.0
}
