//! The node agent: allocations, tasks, checks, logs.
