//! The whole cluster in one thread, from one seed.
//!
//! [`world::World`] drives one server and several nodes with the real commands, apply, planner, heartbeats, catalog and
//! client lifecycles; clock, randomness, network, disks and processes are simulated. Things break on purpose
//! ([`faults`]), and what must hold ([`invariants`]) is checked after every step and once all is quiet. Equal seeds give
//! equal stories.
//!
//! Absent on purpose: threads, tokio's runtime, sleeping, the wall clock. What is not the real thing here is the glue
//! that carries effects out; it follows the runners of `client` and the loops of `server`.

pub mod agenda;
pub mod agent;
pub mod driver;
mod effects;
pub mod faults;
pub mod invariants;
pub mod node;
pub mod rng;
pub mod runner;
pub mod server;
pub mod trace;
pub mod workload;
pub mod world;

pub use faults::{Fault, Faults};
pub use world::{Failure, Report, World};

/// Runs one seed.
///
/// # Errors
/// When something does not hold.
pub fn run(seed: u64, print: bool) -> Result<Report, Failure> {
    World::new(seed, print)?.run()
}
