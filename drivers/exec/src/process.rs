//! Whether a process is still the one we mean: its pid alone says nothing, its start time and boot do.

use std::path::Path;

/// A process of this boot, so exactly that a reused pid is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Clock ticks since boot when it was started.
    pub start_time: u64,
    /// Whether it has ended already and only waits to be reaped.
    pub dead: bool,
    /// CPU time used, in clock ticks.
    pub cpu_ticks: u64,
    /// Resident memory in pages.
    pub rss_pages: u64,
}

/// What the kernel says of `pid`; `None` when there is no such process.
pub fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether `pid` runs and is the process that was started then.
pub fn is_running(pid: i32, start_time: u64) -> bool {
    stat(pid).is_some_and(|stat| stat.start_time == start_time && !stat.dead)
}

/// The id of this boot; empty when the kernel does not tell.
pub fn boot_id() -> String {
    let text = std::fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id"));
    text.map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The program's name may hold spaces and brackets: fields count from the last bracket.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        start_time: number(22)?,
        dead: matches!(*fields.first()?, "Z" | "X" | "x"),
        cpu_ticks: number(14)? + number(15)?,
        rss_pages: number(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_running_and_no_other_of_its_pid() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let start_time = stat(pid).unwrap().start_time;
        assert!(is_running(pid, start_time));
        assert!(!is_running(pid, start_time + 1));
        assert!(!boot_id().is_empty());
    }

    #[test]
    fn names_with_brackets_do_not_confuse() {
        let text = "77 (a) Z 1 (b)) S 1 77 77 0 -1 4194560 1 2 3 4 10 5 0 0 20 0 1 0 4242 1000 9 18446744073709551615";
        let expected = Stat { start_time: 4242, dead: false, cpu_ticks: 15, rss_pages: 9 };
        assert_eq!(parse_stat(text), Some(expected));
    }
}
