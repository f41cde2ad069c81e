//! Many copies on many simulated nodes, through the release binary: jobs over HTTP, the log on disk, a long-poll for each
//! node. The clock stops when every node has received its allocations; then all report running; then the server is
//! killed, started again, and everything is counted once more.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::baseline;
use crate::figure::{Goal, Report};
use crate::http::Connection;
use crate::machine::{memory_mib, peak_memory_mib};
use crate::swarm::{Shape, Swarm};

/// What is placed on what, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub name: &'static str,
    pub jobs: usize,
    pub copies: usize,
    pub nodes: usize,
    /// Seconds until every node has received its allocations.
    pub goal: f64,
}

/// HashiCorp's "million container challenge": 1,000 jobs of 1,000 copies on 5,000 nodes.
pub const C1M: Scale = Scale { name: "C1M", jobs: 1_000, copies: 1_000, nodes: 5_000, goal: 27.0 };
/// The two million container challenge: 2,000 jobs of 1,000 copies on 6,100 nodes.
pub const C2M: Scale = Scale { name: "C2M", jobs: 2_000, copies: 1_000, nodes: 6_100, goal: 60.0 };

/// A node has room for 400 copies by CPU and 512 by memory.
pub const SHAPE: Shape = Shape { cpu: 8_000, memory: 16_384, disk: 100_000 };
/// What one copy asks for.
pub const ASK: Shape = Shape { cpu: 20, memory: 32, disk: 10 };

/// Memory that the server may use, in MiB.
const MEMORY: f64 = 2_048.0;

/// Runs one of the two, or a small piece of it.
pub async fn measure(scale: Scale, smoke: bool) -> Result<Report> {
    let scale = if smoke { Scale { jobs: 5, copies: 40, nodes: 20, ..scale } } else { scale };
    let mut report = Report::default();
    let total = scale.jobs * scale.copies;
    let agent = Agent::patient_server_in(Agent::empty_home()?)?;
    let mut swarm = Swarm::start(agent.http, scale.nodes, SHAPE).await?;
    report.add("server with the nodes registered", memory_mib(agent.pid())?, "MiB", Goal::None, None);

    swarm.expect(total);
    let started = Instant::now();
    let (registered, tenths) =
        futures_util::future::try_join(register(agent.http, scale.jobs, scale.copies), swarm.arrived()).await?;
    let placed = started.elapsed().as_secs_f64();
    let name = scale.name;
    let sampled = baseline::sampled_rate(scale, smoke);
    report.add(format!("{name} placed, received by the nodes"), placed, "s", Goal::AtMost(scale.goal), None);
    report.add("placements a second", total as f64 / placed, "1/s", Goal::None, Some(sampled));
    report.anchor("Nomad: 109 (500 nodes)");
    report.add("Nomad's sampling in process", sampled, "1/s", Goal::None, None);
    report.add("plain full scan in process", baseline::scan_rate(scale, smoke), "1/s", Goal::None, Some(sampled));
    report.add("jobs registered after", (registered - started).as_secs_f64(), "s", Goal::None, None);
    report.add("last tenth over first tenth, speed", tenth_ratio(started, &tenths), "", Goal::AtLeast(0.95), None);
    report.add("server memory when placed", memory_mib(agent.pid())?, "MiB", Goal::AtMost(MEMORY), None);
    report.anchor("Nomad: 1,280 (20,000 allocations)");

    let started = Instant::now();
    let running = swarm.report_running(agent.http).await?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(running == total, "{running} of {total} were reported");
    report.add(format!("{name} reported running"), seconds, "s", Goal::None, None);
    report.add("reports a second", total as f64 / seconds, "1/s", Goal::None, None);
    report.add("server memory when running", memory_mib(agent.pid())?, "MiB", Goal::AtMost(MEMORY), None);
    report.add("server memory, peak", peak_memory_mib(agent.pid())?, "MiB", Goal::AtMost(MEMORY), None);

    swarm.detach();
    let home = agent.kill()?;
    let started = Instant::now();
    let agent = Agent::patient_server_in(home)?;
    report.add("kill -9 to serving again", started.elapsed().as_secs_f64(), "s", Goal::None, None);
    let (counted, runs) = swarm.recount(agent.http).await?;
    report.add("counted after kill -9", counted as f64, "", exactly(total), None);
    report.add("of them running", runs as f64, "", exactly(total), None);
    report.add("server memory after restart, peak", peak_memory_mib(agent.pid())?, "MiB", Goal::AtMost(MEMORY), None);
    Ok(report)
}

fn exactly(total: usize) -> Goal {
    Goal::AtLeast(total as f64)
}

/// Speed of the last tenth of the arrivals over that of the first.
fn tenth_ratio(started: Instant, tenths: &[Instant]) -> f64 {
    let [first, .., before, last] = tenths else { return f64::NAN };
    (*first - started).as_secs_f64() / (*last - *before).as_secs_f64()
}

/// Users who register jobs at the same time.
const USERS: usize = 16;

/// Registers the jobs; when the last one was accepted.
async fn register(server: SocketAddr, jobs: usize, copies: usize) -> Result<Instant> {
    let next = AtomicUsize::new(0);
    let user = async || -> Result<()> {
        let mut connection = Connection::open(server).await?;
        loop {
            let number = next.fetch_add(1, Relaxed);
            if number >= jobs {
                return Ok(());
            }
            connection.register(&job(&format!("scale-{number}"), "service", copies)).await?;
        }
    };
    futures_util::future::try_join_all((0..USERS).map(|_| user())).await?;
    Ok(Instant::now())
}

/// A job of `copies` for the simulated nodes, as a registration's body.
pub fn job(id: &str, kind: &str, copies: usize) -> Value {
    json!({ "Job": { "ID": id, "Name": id, "Type": kind, "TaskGroups": [{
        "Name": "g", "Count": copies, "EphemeralDisk": { "SizeMB": ASK.disk },
        "Tasks": [{ "Name": "t", "Driver": "mock", "LogConfig": { "MaxFiles": 1, "MaxFileSizeMB": 1 },
            "Resources": { "CPU": ASK.cpu, "MemoryMB": ASK.memory } }],
    }]}})
}
