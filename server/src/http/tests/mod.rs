//! The API over a real listener and a real log.

mod explain;
mod golden;
mod harness;
mod limits;
mod shape;
mod writes;
