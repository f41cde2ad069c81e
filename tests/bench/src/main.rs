//! Benchmarks of the release binary, each beside a baseline.

fn main() {}
