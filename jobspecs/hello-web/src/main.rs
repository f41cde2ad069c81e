//! A small web server that example jobs run.

fn main() {}
