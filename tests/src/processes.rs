//! Processes of this machine, as `/proc` shows them.

use std::path::PathBuf;

/// Ids of the processes that have `argument` on their command line, in ascending order.
///
/// # Panics
/// When `/proc` is not mounted.
pub fn processes_with(argument: &str) -> Vec<i32> {
    let has = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
    };
    let mut found: Vec<i32> = pids().filter(has).collect();
    found.sort_unstable();
    found
}

/// The process that listens on a TCP port of this machine.
///
/// # Panics
/// When there is none.
pub fn listener_of(port: u16) -> i32 {
    let wanted = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a mounted /proc");
    let socket = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|cells| cells.len() > 9 && cells[1].ends_with(&wanted) && cells[3] == "0A")
        .map(|cells| PathBuf::from(format!("socket:[{}]", cells[9])))
        .unwrap_or_else(|| panic!("nobody listens on port {port}"));
    let has = |pid: &i32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.into_iter().any(|file| std::fs::read_link(file.path()).is_ok_and(|link| link == socket))
    };
    pids().find(has).unwrap_or_else(|| panic!("no process has the socket of port {port}"))
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").expect("a mounted /proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
}
