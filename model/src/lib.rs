//! The nouns of drover as plain data, in Nomad's JSON vocabulary.
//!
//! A [`job::Job`] is what a user writes. An [`allocation::Allocation`] is one copy of one of its groups on one
//! [`node::Node`]. An [`evaluation::Evaluation`] says that something happened to a job, a [`evaluation::Plan`] what the
//! planner decided. [`compiled`] is a job with every default filled in and every old spelling translated: what the
//! planner and the client read. [`rpc`] and [`api`] are the envelopes that travel between agents and to users.
//!
//! There is no input or output here, no clock and no randomness.

pub mod allocation;
pub mod api;
pub mod compiled;
pub mod document;
pub mod evaluation;
pub mod go_json;
mod grant;
pub mod id;
pub mod job;
pub mod metric;
pub mod node;
pub mod rpc;
mod runs;
pub mod scheduling;
pub mod suggest;
pub mod task_state;
pub mod time;
pub mod wire;
