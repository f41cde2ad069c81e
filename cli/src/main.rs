//! drover: runs containers and plain programs from Nomad job files.

fn main() {}
