//! Job files in, jobs and messages out: examples, mistakes, hostile input, and the corpus where it lies beside the tree.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

mod corpus;
mod examples;
mod hostile;
mod language;
mod messages;
mod places;
mod tools;
mod variables;
