//! Scenarios: what a user does and sees, with real agents.

mod commands;
mod configuration;
mod containers;
mod docs;
mod durability;
mod hostile;
mod processes;
mod readme;
mod refusals;
mod tasks;
