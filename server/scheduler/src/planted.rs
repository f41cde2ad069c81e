//! Bugs on purpose, which the simulator must find. Absent unless the feature `planted-bugs` is on, and idle until chosen.

#[cfg(feature = "planted-bugs")]
use std::cell::Cell;

/// A bug that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A lowered count forgets to stop its highest copy.
    CountDownKeepsHighest,
    /// A port counts as free as soon as its holder was asked to stop: nobody waits for its end.
    PortFreeOnStop,
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    /// By thread: a simulated cluster lives in one, and others go on undisturbed.
    static ENABLED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Switches a bug on for this thread, or all off.
#[cfg(feature = "planted-bugs")]
pub fn enable(bug: Option<Bug>) {
    ENABLED.set(bug);
}

/// Whether a bug is on in this thread.
#[cfg(feature = "planted-bugs")]
pub(crate) fn is_enabled(bug: Bug) -> bool {
    ENABLED.get() == Some(bug)
}

/// Whether a bug is on: never, without the feature.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) fn is_enabled(_: Bug) -> bool {
    false
}
