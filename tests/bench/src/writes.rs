//! Registrations of distinct jobs of no copies, over kept-alive HTTP; the clock stops when all evaluations are done.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::agent::Agent;
use crate::figure::{Goal, Report};
use crate::http::{Connection, raw_exec_job, request};
use crate::machine::fdatasyncs_per_second;

/// Clients and how many jobs they register together.
const ROUNDS: [(usize, usize); 3] = [(1, 2_000), (32, 40_000), (256, 40_000)];

/// Measures each number of clients on a fresh agent.
pub async fn measure(smoke: bool) -> Result<Report> {
    let mut report = Report::default();
    for (clients, jobs) in ROUNDS {
        let flushes = fdatasyncs_per_second()?;
        let agent = Agent::start()?;
        let rate = round(agent.http, clients, if smoke { 100 } else { jobs }).await?;
        let goal = if clients == 32 { Goal::AtLeast((10.0 * flushes).min(16_000.0)) } else { Goal::None };
        report.add(format!("jobs registered and evaluated, {clients} clients"), rate, "1/s", goal, Some(flushes));
        match clients {
            1 => report.anchor("Nomad: 541"),
            32 => report.anchor("Nomad: 1,623"),
            _ => {}
        }
    }
    Ok(report)
}

async fn round(address: SocketAddr, clients: usize, jobs: usize) -> Result<f64> {
    // Made before the clock starts: what is measured shares the machine with who measures.
    let requests: Arc<Vec<Vec<u8>>> = Arc::new((0..jobs).map(registration).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let tasks: Vec<_> = (0..clients).map(|_| tokio::spawn(register(address, next.clone(), requests.clone()))).collect();
    for task in tasks {
        task.await??;
    }
    let mut connection = Connection::open(address).await?;
    loop {
        let body = connection.send("GET", "/v1/metrics", b"").await?;
        let metrics: serde_json::Value = serde_json::from_slice(&body)?;
        if pending(&metrics).context("the metrics say nothing of waiting evaluations")? == 0.0 {
            return Ok(jobs as f64 / started.elapsed().as_secs_f64());
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn registration(number: usize) -> Vec<u8> {
    let job = raw_exec_job(&format!("w-{number}"), "service", 0, "/bin/true", &[]);
    request("PUT", "/v1/jobs", job.to_string().as_bytes())
}

async fn register(address: SocketAddr, next: Arc<AtomicUsize>, requests: Arc<Vec<Vec<u8>>>) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        connection.send_and_forget(request).await?;
    }
    Ok(())
}

/// Evaluations that are not complete yet.
fn pending(metrics: &serde_json::Value) -> Option<f64> {
    let gauges = metrics["Gauges"].as_array()?;
    let of = |name: &str| {
        gauges.iter().find(|gauge| gauge["Name"].as_str().is_some_and(|full| full.ends_with(name)))?["Value"].as_f64()
    };
    of("broker.total_pending")
}
