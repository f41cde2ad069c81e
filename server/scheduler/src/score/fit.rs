//! How the room that is left on a node makes it better or worse: best fit, worst fit, or balanced best fit.

use model::scheduling::Algorithm;

use crate::table::Room;

/// 0 to 1, and for [`Algorithm::Balanced`] what its imbalance takes off that.
///
/// With `f` the share of CPU or memory that is free with the copy on the node, `t = 10^f_cpu + 10^f_memory`:
/// binpack is `clamp(20 - t, 0, 18) / 18`, spread is `clamp(t - 2, 0, 18) / 18`, and balanced is
/// `clamp(binpack - |f_cpu - f_memory|, 0, 1)`.
pub(crate) fn score(algorithm: Algorithm, capacity: Room, free_after: Room) -> (f64, Option<f64>) {
    let share = |free: i64, capacity: i64| if capacity > 0 { free as f64 / capacity as f64 } else { 0.0 };
    let (cpu, memory) = (share(free_after.cpu, capacity.cpu), share(free_after.memory, capacity.memory));
    let total = 10f64.powf(cpu) + 10f64.powf(memory);
    match algorithm {
        Algorithm::Binpack => (binpack(total), None),
        Algorithm::Spread => ((total - 2.0).clamp(0.0, 18.0) / 18.0, None),
        Algorithm::Balanced => {
            let fit = binpack(total);
            let balanced = (fit - (cpu - memory).abs()).clamp(0.0, 1.0);
            (fit, Some(balanced - fit))
        }
    }
}

fn binpack(total: f64) -> f64 {
    (20.0 - total).clamp(0.0, 18.0) / 18.0
}
