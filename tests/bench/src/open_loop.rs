//! An open loop of single-copy jobs: they are submitted at fixed times, whatever the server does, and the clock of each
//! runs from the time at which it was due until its evaluation is complete.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::agent::Agent;
use crate::figure::{Goal, Report, quantile};
use crate::http::Connection;
use crate::scale::{SHAPE, job};
use crate::swarm::Swarm;

/// Jobs a second: what a user of Nomad reached with 100 nodes after pipelining its log.
const RATE: f64 = 780.0;
const NODES: usize = 100;
const SPAN: Duration = Duration::from_secs(20);
/// Connections that take turns; each has one request under way at a time.
const CLIENTS: usize = 32;

/// Submits for a while at the fixed rate.
pub async fn measure(smoke: bool) -> Result<Report> {
    let agent = Agent::server_in(Agent::empty_home()?)?;
    let swarm = Swarm::start(agent.http, NODES, SHAPE).await?;
    let jobs = if smoke { 30 } else { (RATE * SPAN.as_secs_f64()) as usize };
    swarm.expect(jobs);
    let started = Instant::now();
    let clients = (0..CLIENTS).map(|client| submit(agent.http, started, client, jobs));
    let samples = futures_util::future::try_join_all(clients).await?;
    let mut placed: Vec<f64> = samples.into_iter().flatten().collect();
    let rate = placed.len() as f64 / started.elapsed().as_secs_f64();
    swarm.arrived().await?;
    let mut report = Report::default();
    report.add("jobs submitted and placed", rate, "1/s", Goal::AtLeast(RATE * 0.95), None);
    report.add("submit to placed, p50", quantile(&mut placed, 0.5), "ms", Goal::None, None);
    report.add("submit to placed, p99", quantile(&mut placed, 0.99), "ms", Goal::AtMost(10.0), None);
    report.add("submit to placed, highest", quantile(&mut placed, 1.0), "ms", Goal::None, None);
    Ok(report)
}

/// Every `CLIENTS`-th job, each at its time; milliseconds from when it was due until it was placed.
async fn submit(server: SocketAddr, started: Instant, client: usize, jobs: usize) -> Result<Vec<f64>> {
    let mut connection = Connection::open(server).await?;
    let mut samples = Vec::new();
    for number in (client..jobs).step_by(CLIENTS) {
        let due = started + Duration::from_secs_f64(number as f64 / RATE);
        tokio::time::sleep_until(due.into()).await;
        let body = job(&format!("open-{number}"), "service", 1).to_string();
        let answer: BTreeMap<String, Value> =
            serde_json::from_slice(&connection.send("PUT", "/v1/jobs", body.as_bytes()).await?)?;
        let eval = answer.get("EvalID").and_then(Value::as_str).context("an evaluation was made")?;
        complete(&mut connection, eval).await?;
        samples.push(due.elapsed().as_secs_f64() * 1e3);
    }
    Ok(samples)
}

/// Waits until an evaluation is complete, by blocking queries.
async fn complete(connection: &mut Connection, eval: &str) -> Result<()> {
    let mut index = 0;
    loop {
        let path = format!("/v1/evaluation/{eval}?index={index}&wait=10s");
        let answer: Value = serde_json::from_slice(&connection.send("GET", &path, b"").await?)?;
        match answer["Status"].as_str() {
            Some("pending") => index = answer["ModifyIndex"].as_u64().context("an index")?,
            Some("complete") => return Ok(()),
            other => anyhow::bail!("evaluation {eval} is {other:?}: {}", answer["StatusDescription"]),
        }
    }
}
