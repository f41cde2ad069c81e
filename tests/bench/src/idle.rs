//! Memory at rest, size of the binary, time from start to the first accepted job.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::agent::{Agent, binary};
use crate::figure::{Goal, Report};
use crate::http::{Connection, raw_exec_job};
use crate::machine::supervisors;

/// How long an agent rests before its memory is read.
const REST: Duration = Duration::from_secs(60);
/// Jobs stored for the second start.
const STORED: usize = 10_000;

/// Measures rest, size and both starts.
pub async fn measure(smoke: bool) -> Result<Report> {
    let mut report = Report::default();
    let size = std::fs::metadata(binary("drover")?)?.len() as f64 / 1e6;
    report.add("binary, stripped", size, "MB", Goal::AtMost(25.0), None);
    report.anchor("Nomad: 110");

    let started = Instant::now();
    let agent = Agent::start()?;
    let mut connection = Connection::open(agent.http).await?;
    connection.register(&stored(0)).await?;
    let first = started.elapsed().as_secs_f64() * 1e3;
    report.add("start in an empty directory to first job", first, "ms", Goal::AtMost(100.0), None);
    report.anchor("Nomad: 1,600 to 3,300");

    tokio::time::sleep(if smoke { Duration::from_millis(200) } else { REST }).await;
    report.add("memory at rest (PSS and swap)", memory_mib(&agent)?, "MiB", Goal::AtMost(20.0), None);
    report.anchor("Nomad: 91");

    // The agent has closed the one that was idle meanwhile.
    let mut connection = Connection::open(agent.http).await?;
    for number in 1..if smoke { 10 } else { STORED } {
        connection.register(&stored(number)).await?;
    }
    drop(connection);
    let home = agent.stop()?;
    let started = Instant::now();
    let agent = Agent::start_in(home)?;
    Connection::open(agent.http).await?.send("GET", "/v1/job/stored-0", b"").await?;
    let again = started.elapsed().as_secs_f64() * 1e3;
    report.add("start with 10,000 stored jobs to serving", again, "ms", Goal::AtMost(100.0), None);
    Ok(report)
}

fn stored(number: usize) -> serde_json::Value {
    raw_exec_job(&format!("stored-{number}"), "service", 0, "/bin/true", &[])
}

/// PSS and swap of an agent and of its supervisor.
fn memory_mib(agent: &Agent) -> Result<f64> {
    let mut kib = of_process(agent.pid())?;
    for supervisor in supervisors(agent.home()) {
        kib += of_process(supervisor).unwrap_or(0.0);
    }
    Ok(kib / 1024.0)
}

fn of_process(pid: u32) -> Result<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let value = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    Ok(value("Pss:") + value("Swap:"))
}
