//! Tasks as plain processes that outlive the agent.
//!
//! The agent's side is [`RawExecDriver`]. Processes, their outputs and exit codes belong to one small [`supervisor`]
//! process per node, which is the same binary started with a hidden subcommand. The two talk over a unix socket
//! ([`protocol`]). Either may die without harm to a task: a new agent asks the old supervisor, a new supervisor adopts
//! what the records on disk name, provided that pid, start time and cgroup match.

pub mod cgroup;
mod link;
pub mod process;
pub mod protocol;
mod raw_exec;
pub mod record;
mod schema;
mod signals;
pub mod supervisor;

pub use raw_exec::{RawExecDriver, RawExecSettings};
pub use schema::{EXEC, RAW_EXEC};
