//! The planner alone, in process: one evaluation of one copy on 10,000 nodes, and one of 1,200 copies with a spread.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use model::id::Seed;
use model::job::Job;
use model::node::Node;
use model::time::Timestamp;
use serde_json::{Value, json};
use server::leader::planner::Planner;
use state::{Command, Op, State, Touched};

use crate::baseline;
use crate::figure::{Goal, Report, quantile};
use crate::scale;
use crate::swarm::{Shape, node};

const NODES: usize = 10_000;
/// Single-copy jobs that are evaluated and measured.
const SAMPLES: usize = 4_000;
/// Copies of the job with a spread.
const SPREAD: usize = 1_200;

/// A state and its planner in one process, without log or network.
pub struct Cluster {
    pub state: State,
    pub planner: Planner,
    commands: u128,
}

impl Cluster {
    /// Of these nodes.
    pub fn of(nodes: impl Iterator<Item = Node>) -> Cluster {
        let mut cluster = Cluster { state: State::new(), planner: Planner::default(), commands: 0 };
        for node in nodes {
            cluster.write(Op::RegisterNode { node: Box::new(node) });
        }
        cluster.planner = Planner::of(&cluster.state);
        cluster
    }

    /// Applies one command.
    pub fn write(&mut self, op: Op) -> Touched {
        self.commands += 1;
        let command = Command { at: Timestamp(self.commands as i64), seed: Seed(self.commands), op };
        self.state.apply(self.state.index() + 1, &command).touched
    }

    /// Registers a job and tells the planner.
    pub fn register(&mut self, body: &Value) -> Result<()> {
        let mut job: Job = serde_json::from_value(body["Job"].clone()).context("a job")?;
        job.canonicalise();
        let touched = self.write(Op::register(job));
        self.planner.absorb(&self.state, &touched);
        Ok(())
    }

    /// Plans and applies one round; how long planning took, and how many copies it placed.
    pub fn round(&mut self) -> (Duration, usize) {
        let began = Instant::now();
        let round = self.planner.plan(&self.state, Timestamp(self.commands as i64), Seed(self.commands ^ 7 << 64));
        let took = began.elapsed();
        let placed = round.plans.iter().map(|plan| plan.placements.len()).sum();
        let touched = self.write(Op::ApplyPlans { plans: round.plans });
        self.planner.committed(&self.state, &touched);
        self.planner.absorb(&self.state, &touched);
        (took, placed)
    }
}

/// Nodes of four sizes in ten datacenters and 75 racks.
fn mixed_nodes(count: usize) -> impl Iterator<Item = Node> {
    (0..count).map(|number| {
        let times = [1, 2, 4, 8][number * 7 % 4];
        let shape = Shape { cpu: 8_000 * times, memory: 16_384 * times, disk: 400_000 };
        let mut node = node(number, shape);
        node.attributes.insert("unique.hostname".to_owned(), format!("host-{number}"));
        node.attributes.insert("cpu.arch".to_owned(), if number % 5 == 0 { "arm64" } else { "amd64" }.to_owned());
        node.attributes.insert("os.version".to_owned(), format!("{}.{}", 10 + number % 3, number % 4));
        node
    })
}

/// A job of one of twelve sizes and four sets of constraints.
fn mixed_job(number: usize, copies: usize) -> Value {
    let size = number % 12 + 1;
    job_of_shape(number, 100 * size, 1_500 / size, copies)
}

/// A job of this CPU and memory; its number chooses one of four sets of constraints.
fn job_of_shape(number: usize, cpu: usize, memory: usize, copies: usize) -> Value {
    let constraints = [
        json!([]),
        json!([{ "LTarget": "${attr.cpu.arch}", "RTarget": "amd64", "Operand": "=" }]),
        json!([{ "LTarget": "${attr.os.version}", "RTarget": ">= 11", "Operand": "version" }]),
        json!([{ "LTarget": "${meta.rack}", "RTarget": "r[0-4].*", "Operand": "regexp" }]),
    ];
    json!({ "Job": { "ID": format!("mixed-{number}"), "Type": "service", "Datacenters": ["*"],
        "Constraints": constraints[number / 12 % 4], "TaskGroups": [{
        "Name": "g", "Count": copies, "EphemeralDisk": { "SizeMB": 20 },
        "Tasks": [{ "Name": "t", "Driver": "mock", "Resources": { "CPU": cpu, "MemoryMB": memory } }],
    }]}})
}

/// One evaluation of one copy among 10,000 nodes that are half full.
pub async fn eval(smoke: bool) -> Result<Report> {
    let (nodes, fill, samples) = if smoke { (200, 10, 50) } else { (NODES, 480, SAMPLES) };
    let mut cluster = Cluster::of(mixed_nodes(nodes));
    for number in 0..fill {
        cluster.register(&mixed_job(number, nodes / 20))?;
        cluster.round();
    }
    let mut times = Vec::new();
    for number in 0..samples {
        cluster.register(&mixed_job(fill + number, 1))?;
        let (took, placed) = cluster.round();
        ensure!(placed == 1, "job {number} was not placed");
        times.push(took.as_secs_f64() * 1e3);
    }
    // A shape that nobody has asked for before: every node is looked at.
    let mut first_times = Vec::new();
    for number in 0..samples / 10 {
        cluster.register(&job_of_shape(fill + samples + number, 101 + number, 200 + number, 1))?;
        let (took, placed) = cluster.round();
        ensure!(placed == 1, "job {number} of a new shape was not placed");
        first_times.push(took.as_secs_f64() * 1e3);
    }
    let (sampled, scanned) = baseline::place_millis(&cluster.state, [600.0, 250.0, 20.0], 1, false);
    let mut report = Report::default();
    let name = format!("one copy on {nodes} nodes");
    report.add(format!("{name}, p50"), quantile(&mut times, 0.5), "ms", Goal::None, Some(scanned));
    report.add(format!("{name}, p99"), quantile(&mut times, 0.99), "ms", Goal::AtMost(1.0), Some(scanned));
    report.add(format!("{name}, highest"), quantile(&mut times, 1.0), "ms", Goal::None, Some(scanned));
    report.add("a shape never seen before, p50", quantile(&mut first_times, 0.5), "ms", Goal::None, Some(scanned));
    report.add("a shape never seen before, p99", quantile(&mut first_times, 0.99), "ms", Goal::None, Some(scanned));
    report.add("Nomad's sampling, bare structs, no constraints", sampled, "ms", Goal::None, None);
    report.add("plain full scan, bare structs, no constraints", scanned, "ms", Goal::None, None);
    Ok(report)
}

/// One evaluation of 1,200 copies spread over 75 racks, beside the same without a spread.
pub async fn spread(smoke: bool) -> Result<Report> {
    let (nodes, copies, rounds) = if smoke { (300, 60, 2) } else { (NODES, SPREAD, 7) };
    let mut cluster =
        Cluster::of((0..nodes).map(|number| node(number, Shape { cpu: 14_000, memory: 32_000, disk: 100_000 })));
    let (mut plain, mut spread) = (Vec::new(), Vec::new());
    for number in 0..rounds {
        for (times, with_spread) in [(&mut plain, false), (&mut spread, true)] {
            let mut body = scale::job(&format!("spread-{number}-{with_spread}"), "service", copies);
            if with_spread {
                body["Job"]["Spreads"] = json!([{ "Attribute": "${meta.rack}", "Weight": 50 }]);
            }
            cluster.register(&body)?;
            let (took, placed) = cluster.round();
            ensure!(placed == copies, "{placed} of {copies} were placed");
            times.push(took.as_secs_f64() * 1e3);
        }
    }
    let mut report = Report::default();
    let name = format!("{copies} copies on {nodes} nodes");
    let ask = [scale::ASK.cpu as f64, scale::ASK.memory as f64, scale::ASK.disk as f64];
    let (sampled, scanned) = baseline::place_millis(&cluster.state, ask, copies, false);
    let (sampled_more, _) = baseline::place_millis(&cluster.state, ask, copies, true);
    let with_spread = format!("{name}, 75 racks, spread");
    report.add(with_spread, quantile(&mut spread, 0.5), "ms", Goal::AtMost(100.0), Some(sampled_more));
    report.anchor("Nomad: 58,000 (5,000 nodes)");
    report.add("the slowest with a spread", quantile(&mut spread, 1.0), "ms", Goal::None, None);
    report.add(format!("{name}, no spread"), quantile(&mut plain, 0.5), "ms", Goal::None, Some(sampled));
    report.anchor("Nomad: 430 (5,000 nodes)");
    report.add("Nomad's sampling, bare structs", sampled, "ms", Goal::None, None);
    report.add("the same with the sample for a spread", sampled_more, "ms", Goal::None, None);
    report.add("plain full scan, bare structs", scanned, "ms", Goal::None, None);
    Ok(report)
}
