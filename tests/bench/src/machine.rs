//! What the machine does beside the measurement: speed of the disk's flush, CPU used by others.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::figure::{Goal, Report};

/// A block with more foreign CPU than this share is repeated.
const FOREIGN_SHARE: f64 = 0.10;
/// How often a block is repeated before its figures are taken as they are.
const ATTEMPTS: usize = 4;

/// Runs a block of measurements until others have left the machine alone, and adds what the machine did.
pub async fn quiet_block(smoke: bool, measure: impl AsyncFn() -> Result<Report>) -> Result<Report> {
    for attempt in 1.. {
        let before = CpuTimes::read()?;
        let mut report = measure().await?;
        let foreign = CpuTimes::read()?.foreign_share_since(&before);
        if smoke || foreign <= FOREIGN_SHARE || attempt == ATTEMPTS {
            report.add("fdatasync on the same disk", fdatasyncs_per_second()?, "1/s", Goal::None, None);
            report.add("CPU used by others", foreign * 100.0, "%", Goal::None, None);
            return Ok(report);
        }
        eprintln!("others used {:.0} % of the CPU: measuring again", foreign * 100.0);
    }
    unreachable!("the loop ends at its last attempt")
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
    fn read() -> Result<CpuTimes> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let cells: Vec<f64> =
            stat.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
        let total: f64 = cells.iter().take(8).sum();
        let idle = cells.get(3).copied().unwrap_or(0.0) + cells.get(4).copied().unwrap_or(0.0);
        Ok(CpuTimes { busy: total - idle, total, own: own_ticks() })
    }

    fn foreign_share_since(&self, before: &CpuTimes) -> f64 {
        let foreign = (self.busy - before.busy) - (self.own - before.own);
        (foreign / (self.total - before.total).max(1.0)).clamp(0.0, 1.0)
    }
}

/// Ticks of this process, of its ended children and of its living descendants.
fn own_ticks() -> f64 {
    let me = std::process::id();
    let processes: Vec<(u32, u32, f64)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| stat_of(entry.file_name().to_string_lossy().parse().ok()?))
        .collect();
    let mut family = vec![me];
    let mut ticks = 0.0;
    while let Some(pid) = family.pop() {
        family.extend(processes.iter().filter(|(_, parent, _)| *parent == pid).map(|(child, _, _)| *child));
        ticks += processes.iter().find(|(other, _, _)| *other == pid).map_or(0.0, |(_, _, ticks)| *ticks);
    }
    ticks
}

/// Pid, parent and ticks (own and of ended children) of a process.
fn stat_of(pid: u32) -> Option<(u32, u32, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let cells: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = cells.get(11..15)?.iter().filter_map(|cell| cell.parse::<f64>().ok()).sum();
    Some((pid, cells.get(1)?.parse().ok()?, ticks))
}
