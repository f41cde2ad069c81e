//! Bugs on purpose, which the simulator must find. Absent unless the feature `planted-bugs` is on, and idle until chosen.

#[cfg(feature = "planted-bugs")]
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "planted-bugs")]
static COUNT_DOWN_KEEPS_HIGHEST: AtomicBool = AtomicBool::new(false);

/// Chooses whether a lowered count forgets to stop its highest copy.
#[cfg(feature = "planted-bugs")]
pub fn set_count_down_keeps_highest(on: bool) {
    COUNT_DOWN_KEEPS_HIGHEST.store(on, Ordering::Relaxed);
}

/// Whether a lowered count forgets to stop its highest copy.
pub(crate) fn count_down_keeps_highest() -> bool {
    #[cfg(feature = "planted-bugs")]
    return COUNT_DOWN_KEEPS_HIGHEST.load(Ordering::Relaxed);
    #[cfg(not(feature = "planted-bugs"))]
    false
}
