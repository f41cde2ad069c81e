//! How tightly work is packed: nodes needed over the vector lower bound, nodes left empty at 60 % load, and room that is
//! free but of no use, for each of the planner's algorithms and for Nomad's sampling.
//!
//! Workloads as in the literature on packing: S1 has tasks of heavy-tailed CPU (bounded Pareto) and lognormal memory per
//! core on equal nodes; S2 the same on nodes of four sizes; S3 tasks of at most a sixteenth of a node. With a folder of
//! public traces, R1 is the pods of `openb_pod_list_default.csv` on the nodes of `openb_node_list_all_node.csv` (CPU and
//! memory). Fewest nodes: all but 0.2 % of the tasks find a place. Every figure is the mean of several workloads.

use std::path::Path;

use anyhow::{Context, Result};
use model::scheduling::{Algorithm, SchedulerConfiguration};
use serde_json::json;
use state::Op;

use crate::figure::{Goal, Report};
use crate::planner::Cluster;
use crate::swarm::{Shape, node};

/// Share of tasks that may stay without a place.
const PENDING: f64 = 0.002;
const TASKS: usize = 4_000;
/// Workloads of each kind.
const TRIALS: u64 = 4;

/// Tasks and nodes, each in a fixed order. CPU in MHz, memory in MB.
struct Workload {
    name: &'static str,
    tasks: Vec<[i64; 2]>,
    nodes: Vec<[i64; 2]>,
    /// Whether so many nodes as the goal asks can be empty at all.
    equal_nodes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    Planner(Algorithm),
    /// Nomad's: the best of the first log2(n) nodes that fit in a shuffled order.
    Sampled,
}

/// What a policy did with a workload on so many nodes.
struct Outcome {
    unplaced: usize,
    /// Free CPU and memory by node.
    free: Vec<[i64; 2]>,
}

/// Pseudo-random numbers: the same ones in every run.
struct Random(u64);

impl Random {
    /// Between 0 and 1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From a bounded Pareto distribution.
    fn pareto(&mut self, alpha: f64, low: f64, high: f64) -> f64 {
        let (u, ratio) = (self.unit(), (low / high).powf(alpha));
        low / (1.0 - u * (1.0 - ratio)).powf(1.0 / alpha)
    }

    /// From a lognormal distribution with this median.
    fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let (u, v) = (self.unit().max(1e-12), self.unit());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        median * (sigma * normal).exp()
    }
}

fn workloads(count: usize, trial: u64) -> Vec<Workload> {
    const NODE: [i64; 2] = [64_000, 262_144];
    let mut random = Random(0x5eed_1234_5678_9abc ^ trial.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut tasks = |most: f64, count: usize| -> Vec<[i64; 2]> {
        let mut task = || {
            let cores = random.pareto(1.1, 0.25, most);
            let memory = (cores * random.lognormal(4_096.0, 0.6)).clamp(32.0, NODE[1] as f64 * most / 64.0);
            [(cores * 1_000.0) as i64, memory as i64]
        };
        (0..count).map(|_| task()).collect()
    };
    let equal = vec![NODE; count];
    let sizes = [[16_000, 65_536], [32_000, 131_072], [64_000, 262_144], [32_000, 262_144]];
    let mixed = (0..4 * count).map(|number| sizes[number * 7 % 4]).collect();
    vec![
        Workload { name: "S1", tasks: tasks(32.0, count), nodes: equal.clone(), equal_nodes: true },
        Workload { name: "S2", tasks: tasks(16.0, count), nodes: mixed, equal_nodes: false },
        Workload { name: "S3", tasks: tasks(4.0, 2 * count), nodes: equal, equal_nodes: true },
    ]
}

/// The pods and nodes of the openb trace; pods that no node can hold are left out.
fn openb(folder: &Path, most: usize, trial: u64) -> Result<Workload> {
    let read = |name: &str, cpu: usize, memory: usize| -> Result<Vec<[i64; 2]>> {
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let row = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            Some([cells.get(cpu)?.parse().ok()?, cells.get(memory)?.parse().ok()?])
        };
        Ok(text.lines().skip(1).filter_map(row).collect())
    };
    let mut nodes = read("openb_node_list_all_node.csv", 1, 2)?;
    let mut random = Random(0x0be4_b0be_4b0b_e4b1 ^ trial.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for last in (1..nodes.len()).rev() {
        nodes.swap(last, (random.unit() * (last + 1) as f64) as usize);
    }
    let tasks = read("openb_pod_list_default.csv", 1, 2)?.into_iter().take(most).collect();
    Ok(Workload { name: "R1 openb", tasks, nodes, equal_nodes: false })
}

impl Workload {
    fn total(&self, dimension: usize) -> i64 {
        self.tasks.iter().map(|task| task[dimension]).sum()
    }

    /// The fewest nodes, in their order, whose room is enough in both dimensions together.
    fn lower_bound(&self) -> usize {
        let mut room = [0, 0];
        let enough = |node: &[i64; 2]| {
            (0..2).for_each(|d| room[d] += node[d]);
            (0..2).all(|d| room[d] >= self.total(d))
        };
        self.nodes.iter().position(enough).map_or(self.nodes.len(), |last| last + 1)
    }

    /// Places everything on the first `count` nodes.
    fn place(&self, count: usize, policy: Policy) -> Result<Outcome> {
        let count = count.min(self.nodes.len());
        match policy {
            Policy::Planner(algorithm) => self.place_by_planner(count, algorithm),
            Policy::Sampled => Ok(self.place_sampled(count)),
        }
    }

    fn place_by_planner(&self, count: usize, algorithm: Algorithm) -> Result<Outcome> {
        let nodes = self.nodes[..count].iter().enumerate();
        let mut cluster = Cluster::of(
            nodes.map(|(number, size)| node(number, Shape { cpu: size[0], memory: size[1], disk: 1 << 30 })),
        );
        let config = SchedulerConfiguration { scheduler_algorithm: algorithm, ..SchedulerConfiguration::default() };
        cluster.write(Op::SetScheduling { config, cas: None });
        let mut unplaced = 0;
        for (number, task) in self.tasks.iter().enumerate() {
            cluster.register(
                &json!({ "Job": { "ID": format!("task-{number}"), "Type": "service", "Datacenters": ["*"],
                "TaskGroups": [{ "Name": "g", "Count": 1, "EphemeralDisk": { "SizeMB": 10 }, "Tasks": [{
                    "Name": "t", "Driver": "mock", "Resources": { "CPU": task[0], "MemoryMB": task[1] },
                }] }] } }),
            )?;
            unplaced += usize::from(cluster.round().1 == 0);
        }
        let free = cluster.state.nodes().map(|node| {
            let mut free = [node.node_resources.cpu.cpu_shares, node.node_resources.memory.memory_mb];
            for row in cluster.state.live_alloc_rows_of_node(node.id) {
                free[0] -= row.grant_without_ports().cpu();
                free[1] -= row.grant_without_ports().memory_mb();
            }
            free
        });
        Ok(Outcome { unplaced, free: free.collect() })
    }

    fn place_sampled(&self, count: usize) -> Outcome {
        let mut free = self.nodes[..count].to_vec();
        let mut random = Random(0x7a3d_0f1e_2c4b_5a69);
        let limit = (count as f64).log2().ceil().max(2.0) as usize;
        let mut unplaced = 0;
        for task in &self.tasks {
            let mut order: Vec<usize> = (0..count).collect();
            for last in (1..count).rev() {
                order.swap(last, (random.unit() * (last + 1) as f64) as usize);
            }
            let fitting = order.into_iter().filter(|slot| (0..2).all(|d| free[*slot][d] >= task[d]));
            let share = |slot: usize, d: usize| (free[slot][d] - task[d]) as f64 / self.nodes[slot][d] as f64;
            let score = |slot: usize| 20.0 - 10f64.powf(share(slot, 0)) - 10f64.powf(share(slot, 1));
            match fitting.take(limit).max_by(|left, right| score(*left).total_cmp(&score(*right))) {
                Some(slot) => (0..2).for_each(|d| free[slot][d] -= task[d]),
                None => unplaced += 1,
            }
        }
        Outcome { unplaced, free }
    }

    /// The fewest nodes on which all but a few tasks find a place, and what was left there. Looked for around `guess`.
    fn fewest(&self, policy: Policy, guess: usize) -> Result<(usize, Outcome)> {
        let allowed = (self.tasks.len() as f64 * PENDING) as usize;
        let enough = |count: usize| -> Result<Option<Outcome>> {
            Ok(Some(self.place(count, policy)?).filter(|outcome| outcome.unplaced <= allowed))
        };
        let (mut low, mut high, mut best) = (0, guess.min(self.nodes.len()), None);
        let mut step = guess / 64 + 1;
        // Upwards until there are enough, ...
        while best.is_none() && high < self.nodes.len() {
            best = enough(high)?;
            if best.is_none() {
                (low, high, step) = (high, (high + step).min(self.nodes.len()), step * 2);
            }
        }
        let mut best = match best {
            Some(best) => best,
            None => self.place(high, policy)?,
        };
        // ... then downwards until there are not.
        while low + 1 < high {
            let count = if low == 0 { high.saturating_sub(step).max(1) } else { low.midpoint(high) };
            step *= 2;
            match enough(count)? {
                Some(outcome) => (high, best) = (count, outcome),
                None => low = count,
            }
        }
        Ok((high, best))
    }

    /// Share of nodes without work when the load is 60 % of the room.
    fn empty_share(&self, policy: Policy) -> Result<f64> {
        let count = (self.lower_bound() * 10 / 6).min(self.nodes.len());
        let outcome = self.place(count, policy)?;
        let empty = outcome.free.iter().zip(&self.nodes).filter(|(free, node)| free == node).count();
        Ok(empty as f64 / count as f64)
    }

    /// Share of all CPU that is free beside less than 5 % of a node's memory, and the other way round.
    fn stranded(&self, outcome: &Outcome) -> f64 {
        let nodes = &self.nodes[..outcome.free.len()];
        let share = |d: usize| {
            let of_use = |(free, node): &(&[i64; 2], &[i64; 2])| free[1 - d] * 20 < node[1 - d];
            let lost: i64 = outcome.free.iter().zip(nodes).filter(of_use).map(|(free, _)| free[d]).sum();
            lost as f64 / nodes.iter().map(|node| node[d]).sum::<i64>() as f64
        };
        share(0).max(share(1))
    }
}

/// What a policy came to on some workloads of one kind, one by one.
#[derive(Clone, Default)]
struct Results {
    ratio: Vec<f64>,
    empty: Vec<f64>,
    stranded: Vec<f64>,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The most that `values` may be on average and not be worse than `than`, workload by workload: two standard errors of
/// the differences are chance, and so is `least`.
fn no_worse(values: &[f64], than: &[f64], least: f64) -> f64 {
    let differences: Vec<f64> = values.iter().zip(than).map(|(value, than)| value - than).collect();
    let middle = mean(&differences);
    let squares: f64 = differences.iter().map(|difference| (difference - middle).powi(2)).sum();
    let count = differences.len() as f64;
    let error = if count > 1.0 { (squares / (count - 1.0) / count).sqrt() } else { 0.0 };
    mean(than) + (2.0 * error).max(least)
}

/// Every policy on every workload.
pub async fn measure(smoke: bool, traces: Option<&Path>) -> Result<Report> {
    let (count, trials) = if smoke { (60, 1) } else { (TASKS, TRIALS) };
    let mut kinds: Vec<Vec<Workload>> = Vec::new();
    for trial in 0..trials {
        let mut all = workloads(count, trial);
        if let Some(folder) = traces {
            all.push(openb(folder, 2 * count, trial)?);
        }
        kinds.resize_with(all.len(), Vec::new);
        kinds.iter_mut().zip(all).for_each(|(kind, workload)| kind.push(workload));
    }
    let mut report = Report::default();
    for kind in &kinds {
        compare(kind, &mut report)?;
    }
    Ok(report)
}

fn compare(kind: &[Workload], report: &mut Report) -> Result<()> {
    let policies = [
        ("sampled", Policy::Sampled),
        ("binpack", Policy::Planner(Algorithm::Binpack)),
        ("balanced", Policy::Planner(Algorithm::Balanced)),
        ("spread", Policy::Planner(Algorithm::Spread)),
    ];
    let mut results: [Results; 4] = Default::default();
    let mut one_node = Vec::new();
    for workload in kind {
        let bound = workload.lower_bound();
        one_node.push(1.0 / bound as f64);
        let mut guess = bound;
        for ((_, policy), results) in policies.iter().zip(&mut results) {
            let (nodes, outcome) = workload.fewest(*policy, guess)?;
            guess = nodes;
            results.ratio.push(nodes as f64 / bound as f64);
            results.empty.push(workload.empty_share(*policy)? * 100.0);
            results.stranded.push(workload.stranded(&outcome) * 100.0);
        }
    }
    let Some(first) = kind.first() else { return Ok(()) };
    let one_node = mean(&one_node);
    let [sampled, planned @ ..] = results;
    for ((name, policy), own) in policies.iter().skip(1).zip(planned) {
        let what = |figure: &str| format!("{} {name}: {figure}", first.name);
        // In 10,000 parts, so that a goal is not missed by rounding.
        let rounded = |value: f64| (value * 1e4).round() / 1e4;
        let (mut tightly, mut emptily, mut usefully) = (Goal::None, Goal::None, Goal::None);
        if *policy != Policy::Planner(Algorithm::Spread) {
            tightly = Goal::AtMost(rounded(no_worse(&own.ratio, &sampled.ratio, one_node)));
            usefully = Goal::AtMost(rounded(no_worse(&own.stranded, &sampled.stranded, 100.0 * one_node)));
            emptily = Goal::AtLeast(if first.equal_nodes { 35.0 } else { rounded(mean(&sampled.empty)) });
        }
        let figures = [
            ("nodes over lower bound", "", &own.ratio, tightly, &sampled.ratio),
            ("empty at 60 % load", "%", &own.empty, emptily, &sampled.empty),
            ("stranded", "%", &own.stranded, usefully, &sampled.stranded),
        ];
        for (figure, unit, own, goal, sampled) in figures {
            report.add(what(figure), rounded(mean(own)), unit, goal, Some(rounded(mean(sampled))));
        }
    }
    Ok(())
}
