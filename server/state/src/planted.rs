//! Wrong behaviour on purpose, so that the simulator can show that it would find it. Only with feature `planted-bugs`.

use std::sync::atomic::{AtomicU8, Ordering};

/// A bug that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// A port counts as free as soon as its holder was asked to stop, although nobody waits for its end.
    PortFreeOnStop = 1,
}

static ENABLED: AtomicU8 = AtomicU8::new(0);

/// Switches a bug on for the whole process, or all off.
pub fn enable(bug: Option<Bug>) {
    ENABLED.store(bug.map_or(0, |bug| bug as u8), Ordering::SeqCst);
}

/// Whether a bug is on.
pub fn is_enabled(bug: Bug) -> bool {
    ENABLED.load(Ordering::SeqCst) == bug as u8
}
