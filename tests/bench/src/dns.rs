//! DNS answers a second over UDP for 1,000 names of running services, while the catalog changes; answers are checked.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::agent::Agent;
use crate::figure::{Goal, Report, quantile};
use crate::http::Connection;

/// Service names asked for.
const NAMES: usize = 1_000;
/// Names one allocation announces.
const NAMES_PER_JOB: usize = 100;
/// Questions under way at a time.
const WINDOW: usize = 64;

/// Registers services, waits for their names, then asks for a while.
pub async fn measure(smoke: bool) -> Result<Report> {
    let agent = Agent::start()?;
    let names = if smoke { NAMES_PER_JOB } else { NAMES };
    let mut connection = Connection::open(agent.http).await?;
    for job in 0..names / NAMES_PER_JOB {
        connection.register(&job_of_names(job)).await?;
    }
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(agent.dns).await?;
    for name in 0..names {
        answered(&socket, agent.dns, name).await?;
    }
    let until = Instant::now() + Duration::from_secs(if smoke { 1 } else { 10 });
    let churn = tokio::spawn(churn(agent.http, until));
    let (rate, mut latencies) = ask(&socket, names, until).await?;
    churn.await??;
    // A dev agent with a data directory leaves its tasks running: nothing of this shall be left.
    let mut connection = Connection::open(agent.http).await?;
    for job in (0..names / NAMES_PER_JOB).chain([90]) {
        connection.send("DELETE", &format!("/v1/job/names-{job}?purge=true"), b"").await?;
    }
    let mut report = Report::default();
    report.add("DNS answers over UDP", rate, "1/s", Goal::AtLeast(66_000.0), None);
    report.anchor("Consul: 22,000");
    report.add("DNS answer, p99", quantile(&mut latencies, 0.99), "ms", Goal::None, None);
    Ok(report)
}

fn job_of_names(job: usize) -> serde_json::Value {
    let services: Vec<_> = (0..NAMES_PER_JOB)
        .map(|n| json!({ "Name": format!("s{}", job * NAMES_PER_JOB + n), "Provider": "nomad", "PortLabel": "p" }))
        .collect();
    json!({ "Job": { "ID": format!("names-{job}"), "Name": "names", "Type": "service", "TaskGroups": [{
        "Name": "g", "Count": 1, "EphemeralDisk": { "SizeMB": 110 }, "Services": services,
        "Networks": [{ "DynamicPorts": [{ "Label": "p" }] }],
        "Tasks": [{
            "Name": "t", "Driver": "raw_exec", "Config": { "command": "/bin/sleep", "args": ["3600"] },
            "Resources": { "CPU": 1, "MemoryMB": 10 },
        }],
    }]}})
}

/// A job that comes and goes, so that the catalog changes while questions are asked.
async fn churn(address: SocketAddr, until: Instant) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    while Instant::now() < until {
        connection.register(&job_of_names(90)).await?;
        connection.send("DELETE", "/v1/job/names-90", b"").await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A question for the A record of service `name`, with `id`.
fn question(id: u16, name: usize) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in [format!("s{name}").as_str(), "service", "drover"] {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

/// Whether a packet is a good answer with at least one record.
fn is_answer(packet: &[u8]) -> bool {
    packet.len() > 12 && packet[2] & 0x80 != 0 && packet[3] & 0x0f == 0 && packet[6..8] != [0, 0]
}

async fn answered(socket: &UdpSocket, dns: SocketAddr, name: usize) -> Result<()> {
    let since = Instant::now();
    let mut buffer = [0; 1500];
    while since.elapsed() < Duration::from_secs(60) {
        socket.send(&question(0, name)).await?;
        let length = tokio::time::timeout(Duration::from_secs(2), socket.recv(&mut buffer)).await??;
        if is_answer(&buffer[..length]) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("s{name}.service.drover has no address at {dns} after a minute")
}

/// Keeps a window of questions under way; answers a second, and the latency of each in milliseconds.
async fn ask(socket: &UdpSocket, names: usize, until: Instant) -> Result<(f64, Vec<f64>)> {
    let mut sent: Vec<(Instant, usize)> = Vec::with_capacity(WINDOW);
    for slot in 0..WINDOW {
        socket.send(&question(slot as u16, slot % names)).await?;
        sent.push((Instant::now(), slot % names));
    }
    let (started, mut latencies, mut next) = (Instant::now(), Vec::new(), WINDOW);
    let mut buffer = [0; 1500];
    while Instant::now() < until {
        let length = tokio::time::timeout(Duration::from_secs(2), socket.recv(&mut buffer))
            .await
            .context("an answer was lost")??;
        let slot = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
        let (at, name) = sent.get(slot).copied().context("an answer to a question that nobody asked")?;
        let expected = question(slot as u16, name);
        if !is_answer(&buffer[..length]) || buffer[12..expected.len()] != expected[12..] {
            bail!("a wrong answer for s{name}");
        }
        latencies.push(at.elapsed().as_secs_f64() * 1e3);
        next += 1;
        sent[slot] = (Instant::now(), next % names);
        socket.send(&question(slot as u16, next % names)).await?;
    }
    Ok((latencies.len() as f64 / started.elapsed().as_secs_f64(), latencies))
}
