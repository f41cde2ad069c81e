//! Allocations: their life as a pure step function, their directories, and the runner that carries effects out.

pub mod dir;
pub mod handover;
pub mod lifecycle;
mod order;
pub(crate) mod runner;
#[cfg(test)]
mod tests;
