//! The harness of whole-system scenarios: real agents of the built binary on free ports, a real container engine.
//!
//! A scenario reads as given, when, then. Waits name a condition and print what the cluster looked like when it did not
//! come true:
//!
//! ```no_run
//! # async fn example() {
//! let agent = scenarios::Agent::start(&[]).await;
//! let run = agent.drover(&["job", "run", "web.hcl"]).await;
//! assert_eq!(run.code, 0, "{run}");
//! agent.wait("three healthy copies", async |agent| agent.healthy("web").await == 3).await;
//! # }
//! ```

mod agent;
mod engine;
mod files;
mod island;
mod processes;

pub use agent::{Agent, Outcome, wait_until};
pub use engine::Engine;
pub use files::{binary, example, job_file, workspace};
pub use island::on_an_island;
pub use processes::{listener_of, processes_with};
