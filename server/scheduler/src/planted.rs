//! Bugs on purpose, which the simulator must find. Absent unless the feature `planted-bugs` is on, and idle until chosen.

#[cfg(feature = "planted-bugs")]
use std::cell::Cell;

#[cfg(feature = "planted-bugs")]
thread_local! {
    /// By thread: a simulated cluster lives in one, and others go on undisturbed.
    static COUNT_DOWN_KEEPS_HIGHEST: Cell<bool> = const { Cell::new(false) };
}

/// Chooses whether, in this thread, a lowered count forgets to stop its highest copy.
#[cfg(feature = "planted-bugs")]
pub fn set_count_down_keeps_highest(on: bool) {
    COUNT_DOWN_KEEPS_HIGHEST.set(on);
}

/// Whether a lowered count forgets to stop its highest copy.
pub(crate) fn count_down_keeps_highest() -> bool {
    #[cfg(feature = "planted-bugs")]
    return COUNT_DOWN_KEEPS_HIGHEST.get();
    #[cfg(not(feature = "planted-bugs"))]
    false
}
