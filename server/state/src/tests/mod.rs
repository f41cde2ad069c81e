//! Tests of apply, by command, and random sequences of commands.

mod allocs;
mod evals;
pub(crate) mod fixtures;
mod gc;
mod jobs;
mod nodes;
mod plans;
mod preemption;
mod random;
mod rows;
mod scheduling;
mod snapshot;
