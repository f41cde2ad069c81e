//! The planner as a whole, on small clusters.

mod blocked;
mod build;
mod corpus_constraints;
mod corpus_scores;
mod corpus_updates;
mod explain;
mod lifecycle;
mod oracle;
mod regressions;
mod scale;
