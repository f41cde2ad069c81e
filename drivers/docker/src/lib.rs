//! Tasks as containers of a Docker Engine.
//!
//! A container carries labels that name its task and the agent that made it, so a restarted agent finds its containers
//! again and never touches another's. bollard is named in this crate only. [`config`] reads a task's settings,
//! [`container`] turns them into what the Engine is asked for; both are pure. The rest talks to the Engine.

pub mod config;
pub mod container;
mod driver;
mod engine;
mod image;
mod logs;
mod position;
mod schema;
mod settings;
mod stats;
mod time;

pub use driver::DockerDriver;
pub use schema::SCHEMA;
pub use settings::DockerSettings;
