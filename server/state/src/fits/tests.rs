//! Room on a node.
