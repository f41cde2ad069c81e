//! Wrong behaviour on purpose, so that the simulator can show that it would find it. Only with feature `planted-bugs`.

use std::cell::Cell;

/// A bug that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A port counts as free as soon as its holder was asked to stop, although nobody waits for its end.
    PortFreeOnStop,
}

thread_local! {
    /// By thread: a simulated cluster lives in one, and others go on undisturbed.
    static ENABLED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Switches a bug on for this thread, or all off.
pub fn enable(bug: Option<Bug>) {
    ENABLED.set(bug);
}

/// Whether a bug is on in this thread.
pub fn is_enabled(bug: Bug) -> bool {
    ENABLED.get() == Some(bug)
}
