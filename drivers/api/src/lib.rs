//! What a driver is, the rotating log files that drivers write, and the suite that every driver passes.
//!
//! A driver turns a [`TaskConfig`] into something that runs and says how it ended. It decides nothing: restarts, kills
//! and their timing are the client's. A task outlives the agent, so `start` returns a [`TaskHandle`] that is stored and
//! later given to `recover`.

mod driver;
pub mod logs;
pub mod schema;
pub mod settings;

#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "testing")]
pub mod mock;

pub use driver::*;
pub use logs::{LogKind, RotatingLog};
