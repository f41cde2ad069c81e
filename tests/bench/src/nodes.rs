//! Nodes that come and go: many registering against system jobs, and some of many full ones lost.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::agent::Agent;
use crate::figure::{Goal, Report};
use crate::http::Connection;
use crate::scale::{SHAPE, job};
use crate::swarm::{Shape, Swarm};

const NODES: usize = 5_000;
const SYSTEM_JOBS: usize = 10;
/// Time after which a silent node counts as lost, by the server's defaults.
const PATIENCE: Duration = Duration::from_secs(12);

/// Nodes register while system jobs wait: from the first registration until every node has a copy of every job.
pub async fn system(smoke: bool) -> Result<Report> {
    let nodes = if smoke { 20 } else { NODES };
    let agent = Agent::server_in(Agent::empty_home()?)?;
    let mut connection = Connection::open(agent.http).await?;
    for number in 0..SYSTEM_JOBS {
        connection.register(&job(&format!("system-{number}"), "system", 1)).await?;
    }
    let mut swarm = Swarm::new(nodes, SHAPE);
    swarm.expect(nodes * SYSTEM_JOBS);
    let started = Instant::now();
    swarm.attach(agent.http).await?;
    let registered = started.elapsed().as_secs_f64();
    swarm.arrived().await?;
    let settled = started.elapsed().as_secs_f64();
    let mut report = Report::default();
    let name = format!("{nodes} nodes against {SYSTEM_JOBS} system jobs");
    report.add(format!("{name}, settled"), settled, "s", Goal::AtMost(2.0), None);
    report.add("of which registering the nodes", registered, "s", Goal::None, None);
    report.add("copies a second", (nodes * SYSTEM_JOBS) as f64 / settled, "1/s", Goal::None, None);
    Ok(report)
}

/// A twentieth of the nodes falls silent at once: from the moment their time is up until the others have received the
/// copies. The nodes are as full as the loss allows.
pub async fn loss(smoke: bool) -> Result<Report> {
    let (nodes, jobs, copies) = if smoke { (20, 4, 38) } else { (NODES, 95, 500) };
    // Ten copies fill a node by CPU: 95 % of the room is taken, and the loss takes what was left.
    let shape = Shape { cpu: 200, memory: 1_000, disk: 10_000 };
    let agent = Agent::server_in(Agent::empty_home()?)?;
    let mut swarm = Swarm::new(nodes, shape);
    swarm.attach(agent.http).await?;
    let total = jobs * copies;
    swarm.expect(total);
    let mut connection = Connection::open(agent.http).await?;
    for number in 0..jobs {
        connection.register(&job(&format!("loss-{number}"), "service", copies)).await?;
    }
    swarm.arrived().await?;
    swarm.expect(usize::MAX);
    let (lost, silent) = swarm.silence(agent.http, nodes / 20).await?;
    ensure!(lost > 0, "the silent nodes had nothing");
    swarm.expect(lost);
    swarm.arrived().await?;
    let replaced = silent.elapsed().saturating_sub(PATIENCE).as_secs_f64();
    let mut report = Report::default();
    report.add(format!("copies on {} lost nodes", nodes / 20), lost as f64, "", Goal::None, None);
    report.add("time is up to received elsewhere", replaced, "s", Goal::AtMost(2.0), None);
    Ok(report)
}
