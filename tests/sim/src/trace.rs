//! What happened, line by line: hashed whole, and the last lines kept for whoever has to explain a failure.

use std::collections::VecDeque;
use std::fmt;

use model::time::Timestamp;
use sha2::{Digest, Sha256};

/// Lines kept.
const TAIL: usize = 120;

/// The story of one run.
#[derive(Clone)]
pub struct Trace {
    hasher: Sha256,
    tail: VecDeque<String>,
    print: bool,
}

impl Trace {
    /// An empty story; `print` tells it on stderr, too.
    pub fn new(print: bool) -> Trace {
        Trace { hasher: Sha256::new(), tail: VecDeque::new(), print }
    }

    /// Adds a line.
    pub fn note(&mut self, now: Timestamp, what: fmt::Arguments<'_>) {
        let line = format!("{:>10.4} {what}", now.0 as f64 / 1e9);
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        if self.print {
            eprintln!("{line}");
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// The hash of all lines so far, in hexadecimal.
    pub fn hash(&self) -> String {
        self.hasher.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The last lines.
    pub fn tail(&self) -> Vec<String> {
        self.tail.iter().cloned().collect()
    }
}
