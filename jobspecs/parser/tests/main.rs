//! Job files in, jobs and messages out: examples, mistakes, hostile input, and the corpus where it lies beside the tree.

mod corpus;
mod examples;
mod hostile;
mod messages;
mod variables;
