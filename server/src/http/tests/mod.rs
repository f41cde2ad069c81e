//! The API over a real listener and a real log.

mod golden;
mod harness;
mod limits;
mod shape;
mod writes;
