//! Pure: a job and the nodes to a decision, with its reasons.
