//! Tasks: their lives, their restarts, and what they are told of their surroundings.

pub mod env;
mod events;
pub mod interpolate;
pub mod lifecycle;
pub mod restart;
pub(crate) mod runner;
pub(crate) mod setup;
