//! Names to healthy instances to DNS answers, and the DNS listener.
//!
//! A service instance exists because an allocation is alive and its group declares the service: [`instances_of`] derives
//! it, [`Catalog`] indexes what was derived, and nothing is ever registered or counted. [`name`] reads a DNS name,
//! [`answer`] turns a question and instances into a message, both without input or output. [`listener`] (with
//! the forwarder behind it) is the only part that opens sockets; hickory is named only in `answer`.

pub mod answer;
mod catalog;
mod forward;
mod instance;
pub mod listener;
pub mod name;

pub use catalog::{Catalog, Source};
pub use forward::Upstreams;
pub use instance::{Instance, instances_of};
pub use listener::{BindError, Listener, ListenerConfig};
