//! From a job submitted over HTTP to the program's own first instruction, beside plain fork and exec.
//!
//! The program is this binary: told so by its arguments' environment it would be slower to start than `date`, so the
//! shell's built-in clock of `date +%s%N` is what both sides run.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::agent::Agent;
use crate::figure::{Goal, Report, quantile};
use crate::http::{Connection, raw_exec_job};
use crate::machine::fdatasyncs_per_second;

/// Samples of each side, taken alternately.
const SAMPLES: usize = 60;

/// Measures both sides alternately.
pub async fn measure(smoke: bool) -> Result<Report> {
    let agent = Agent::start()?;
    let scratch = tempfile::tempdir()?;
    let mut connection = Connection::open(agent.http).await?;
    let (mut through_drover, mut plain) = (Vec::new(), Vec::new());
    for sample in 0..if smoke { 3 } else { SAMPLES } {
        let file = scratch.path().join(format!("{sample}"));
        let script = format!("date +%s%N > {0}.part && mv {0}.part {0}", file.display());
        let started = now_millis()?;
        connection.register(&raw_exec_job(&format!("exec-{sample}"), "batch", 1, "/bin/sh", &["-c", &script])).await?;
        through_drover.push(written_millis(&file).await? - started);
        let file = scratch.path().join(format!("{sample}-plain"));
        let script = format!("date +%s%N > {0}.part && mv {0}.part {0}", file.display());
        let started = now_millis()?;
        Command::new("/bin/sh").args(["-c", &script]).status()?;
        plain.push(written_millis(&file).await? - started);
    }
    drop(agent);
    let floor = quantile(&mut plain, 0.5);
    let goal = floor + 4.0 * 1000.0 / fdatasyncs_per_second()? + 8.0;
    let mut report = Report::default();
    report.add(
        "submit to first instruction, p50",
        quantile(&mut through_drover, 0.5),
        "ms",
        Goal::AtMost(goal),
        Some(floor),
    );
    report.anchor("Nomad: 102 to 145");
    report.add("submit to first instruction, p95", quantile(&mut through_drover, 0.95), "ms", Goal::None, None);
    Ok(report)
}

fn now_millis() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e3)
}

/// The time that the program wrote, in milliseconds since the epoch.
async fn written_millis(file: &std::path::Path) -> Result<f64> {
    let waiting = async {
        while !file.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.context("the program did not run")?;
    Ok(std::fs::read_to_string(file)?.trim().parse::<f64>()? / 1e6)
}
