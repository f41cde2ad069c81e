//! The replicated state, pure: commands, tables, apply, snapshots, invariants.
//!
//! A [`Command`] is what the log carries; [`State::apply`] is the only way to change a [`State`]. Equal commands at equal
//! indexes give equal states on every replica: apply reads no clock, draws no random number and iterates over ordered
//! maps only. A clone of a state is a pointer copy, so readers hold one and never lock.
//!
//! Absent on purpose: tokio, sockets, files, clocks, and any counter that could be derived from the rows instead.

mod alloc_row;
mod alloc_table;
mod amounts;
mod apply;
mod command;
mod fits;
mod framed;
pub mod invariant;
mod on_node;
#[cfg(feature = "planted-bugs")]
pub mod planted;
mod reply;
mod row;
mod rows;
mod snapshot;
mod state;
mod summary;
mod touched;

pub use alloc_row::AllocRow;
pub use command::{Command, Op};
pub use fits::{Misfit, Room};
pub use reply::{AllocStopped, AllocsWritten, GcDone, JobWritten, NodeWritten, Outcome, PlanDrop, Refusal, Reply};
pub use row::StoredJob;
pub use snapshot::{SnapshotError, StateHash};
pub use state::State;
pub use summary::{JobStatus, WorkCounts};
pub use touched::{Table, Touched};

/// Versions of a job that stay readable; older ones go unless an allocation still runs them.
pub const VERSIONS_KEPT: usize = 6;

#[cfg(test)]
mod tests;
