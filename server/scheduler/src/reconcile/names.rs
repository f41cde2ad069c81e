//! Names of copies: `<job>.<group>[<index>]`, the lowest free index first.

use std::collections::BTreeSet;

/// Hands out names that nobody has.
pub(crate) struct Names {
    prefix: String,
    taken: BTreeSet<u32>,
    next: u32,
}

impl Names {
    /// Nothing taken yet.
    pub fn new(job: &str, group: &str) -> Names {
        Names { prefix: format!("{job}.{group}"), taken: BTreeSet::new(), next: 0 }
    }

    /// Marks a name as taken.
    pub fn take(&mut self, name: &str) {
        self.taken.extend(parse(name));
    }

    /// The next free name.
    pub fn next(&mut self) -> String {
        while self.taken.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        format!("{}[{}]", self.prefix, self.next - 1)
    }
}

fn parse(name: &str) -> Option<u32> {
    name.strip_suffix(']')?.rsplit_once('[')?.1.parse().ok()
}

/// The index in a name; 0 in one that has none.
pub(crate) fn index(name: &str) -> u32 {
    parse(name).unwrap_or(0)
}
