//! Scenarios: what a user does and sees, with real agents.

mod containers;
mod durability;
mod processes;
mod refusals;
