//! What the machine does beside the measurement: speed of the disk's flush, CPU used by others.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::figure::{Goal, Report};

/// A block with more foreign CPU than this share is repeated.
const FOREIGN_SHARE: f64 = 0.10;
/// A block is repeated so often, and only while that is done within the time; then its figures are taken as they are.
const ATTEMPTS: usize = 4;
const BUDGET: Duration = Duration::from_secs(150);

/// How the names of agents' homes on the disk begin.
pub const HOME: &str = "drover-bench-";

/// Programs that work for the docker driver: their CPU is part of what is measured.
const ENGINE: [&str; 4] = ["dockerd", "containerd", "containerd-shim", "docker-proxy"];

/// Whose CPU counts as the measurement's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// This process and all it started.
    Family,
    /// The container engine as well.
    FamilyAndEngine,
}

/// Runs a block of measurements until others have left the machine alone, and adds what the machine did.
pub async fn quiet_block(smoke: bool, own: Own, measure: impl AsyncFn() -> Result<Report>) -> Result<Report> {
    let started = Instant::now();
    for attempt in 1.. {
        let (begun, before) = (Instant::now(), CpuTimes::read(own)?);
        let mut report = measure().await?;
        let foreign = CpuTimes::read(own)?.foreign_share_since(&before);
        let again = attempt < ATTEMPTS && started.elapsed() + begun.elapsed() < BUDGET;
        if smoke || foreign <= FOREIGN_SHARE || !again {
            report.add("fdatasync on the same disk", fdatasyncs_per_second()?, "1/s", Goal::None, None);
            report.add("CPU used by others", foreign * 100.0, "%", Goal::None, None);
            return Ok(report);
        }
        eprintln!("others used {:.0} % of the CPU: measuring again", foreign * 100.0);
    }
    unreachable!("the last attempt is taken as it is")
}

/// How many times a second a page appended to a file reaches the disk.
pub fn fdatasyncs_per_second() -> Result<f64> {
    let mut file = tempfile::tempfile_in(disk()).context("a scratch file on disk")?;
    let (started, mut count) = (Instant::now(), 0.0);
    while started.elapsed() < Duration::from_millis(500) {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        count += 1.0;
    }
    Ok(count / started.elapsed().as_secs_f64())
}

/// Memory of a process now, in MiB.
pub fn memory_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmRSS:")
}

/// The most memory that a process ever had, in MiB.
pub fn peak_memory_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmHWM:")
}

fn status_mib(pid: u32, name: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(name)).context("the process tells its memory")?;
    let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kib / 1024.0)
}

/// A directory on a real disk; temporary directories may be in memory.
pub fn disk() -> std::path::PathBuf {
    let fallback = std::path::PathBuf::from("/var/tmp");
    std::env::var_os("DROVER_BENCH_DIR").map_or(fallback, Into::into)
}

/// CPU times in ticks: of the whole machine, and of this process with all it started.
struct CpuTimes {
    busy: f64,
    total: f64,
    own: f64,
}

impl CpuTimes {
    fn read(own: Own) -> Result<CpuTimes> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let cells: Vec<f64> =
            stat.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
        let total: f64 = cells.iter().take(8).sum();
        let idle = cells.get(3).copied().unwrap_or(0.0) + cells.get(4).copied().unwrap_or(0.0);
        Ok(CpuTimes { busy: total - idle, total, own: own_ticks(own) })
    }

    fn foreign_share_since(&self, before: &CpuTimes) -> f64 {
        let foreign = (self.busy - before.busy) - (self.own - before.own);
        (foreign / (self.total - before.total).max(1.0)).clamp(0.0, 1.0)
    }
}

/// The supervisors of agents whose homes begin with `home`: they leave their agents' family, and have a directory of
/// theirs on the command line.
pub fn supervisors(home: &Path) -> Vec<u32> {
    let is_one = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let home = home.as_os_str().as_encoded_bytes();
        words.get(1) == Some(&b"supervisor".as_slice()) && words.iter().any(|word| word.starts_with(home))
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).filter(is_one).collect()
}

/// Ticks of the processes that are `own`, of their ended children and of their living descendants.
fn own_ticks(own: Own) -> f64 {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes: Vec<Process> =
        pids.filter_map(|entry| Process::read(entry.file_name().to_string_lossy().parse().ok()?)).collect();
    let with_engine = own == Own::FamilyAndEngine;
    // Where a supervisor goes when it has ended, and a container's shim.
    let reaper = processes.iter().filter(|process| process.pid == 1).map(|process| process.ticks);
    let mut ticks: f64 = reaper.sum();
    let is_root = |process: &&Process| {
        process.pid == std::process::id() || with_engine && ENGINE.iter().any(|name| process.name.starts_with(name))
    };
    let mut family: Vec<u32> = processes.iter().filter(is_root).map(|process| process.pid).collect();
    family.extend(supervisors(&disk().join(HOME)));
    let mut seen = std::collections::BTreeSet::new();
    while let Some(pid) = family.pop() {
        if seen.insert(pid) {
            family.extend(processes.iter().filter(|process| process.parent == pid).map(|process| process.pid));
            ticks += processes.iter().find(|process| process.pid == pid).map_or(0.0, |process| process.ticks);
        }
    }
    ticks
}

/// A process in `/proc`.
struct Process {
    pid: u32,
    parent: u32,
    /// The first 15 bytes of its program's name.
    name: String,
    /// Its own and those of its ended children.
    ticks: f64,
}

impl Process {
    fn read(pid: u32) -> Option<Process> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (start, rest) = stat.rsplit_once(')')?;
        let cells: Vec<&str> = rest.split_whitespace().collect();
        let ticks = cells.get(11..15)?.iter().filter_map(|cell| cell.parse::<f64>().ok()).sum();
        let name = start.split_once('(')?.1.to_owned();
        Some(Process { pid, parent: cells.get(1)?.parse().ok()?, name, ticks })
    }
}
