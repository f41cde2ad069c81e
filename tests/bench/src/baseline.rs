//! What the planner is compared with, on the same nodes and asks, in process and without a log: Nomad's sampling and a
//! plain scan of all nodes, both over plain structs and with the same score. Neither explains, spreads or writes anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::node::Node;
use state::State;

use crate::figure::quantile;
use crate::scale::{ASK, SHAPE, Scale};

/// How long each of the two runs.
const SPAN: Duration = Duration::from_secs(2);

/// Rounds of one placement.
const ROUNDS: u64 = 21;

/// A node as a plain struct.
#[derive(Clone, Debug)]
struct Plain {
    capacity: [f64; 2],
    free: [f64; 3],
    /// Copies of the job that is being placed.
    mine: u32,
}

impl Plain {
    /// The score of one more copy, unless it does not fit: Nomad's bin-packing and job anti-affinity, averaged.
    fn score(&self, ask: &[f64; 3], count: usize) -> Option<f64> {
        if self.free.iter().zip(ask).any(|(free, ask)| free < ask) {
            return None;
        }
        let left = |i: usize| (self.free[i] - ask[i]) / self.capacity[i];
        let binpack = (20.0 - 10f64.powf(left(0)) - 10f64.powf(left(1))).clamp(0.0, 18.0) / 18.0;
        match self.mine {
            0 => Some(binpack),
            mine => Some((binpack - f64::from(mine + 1) / count as f64) / 2.0),
        }
    }
}

fn nodes(count: usize) -> Vec<Plain> {
    let capacity = [SHAPE.cpu as f64, SHAPE.memory as f64];
    vec![Plain { capacity, free: [capacity[0], capacity[1], SHAPE.disk as f64], mine: 0 }; count]
}

/// The nodes of a state with what is free on them.
fn nodes_of(state: &State) -> Vec<Plain> {
    let plain = |node: &Arc<Node>| {
        let has = &node.node_resources;
        let capacity = [has.cpu.cpu_shares as f64, has.memory.memory_mb as f64];
        let mut free = [capacity[0], capacity[1], has.disk.disk_mb as f64];
        for row in state.live_alloc_rows_of_node(node.id) {
            let grant = row.grant_without_ports();
            let held = [grant.cpu() as f64, grant.memory_mb() as f64, grant.disk_mb as f64];
            free.iter_mut().zip(held).for_each(|(free, held)| *free -= held);
        }
        Plain { capacity, free, mine: 0 }
    };
    state.nodes().map(plain).collect()
}

/// Nomad's sampling and a plain scan place `copies` of one job, as CPU, memory and disk, on the nodes of `state`:
/// milliseconds each, the middle one of several rounds. A job with a spread is given Nomad's larger sample.
pub fn place_millis(state: &State, ask: [f64; 3], copies: usize, has_spread: bool) -> (f64, f64) {
    let nodes = nodes_of(state);
    let time = |choose: &dyn Fn(&[Plain], &mut Walk) -> Option<usize>| {
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|round| {
                let mut nodes = nodes.clone();
                let mut walk = Walk::shuffled(nodes.len(), round);
                let started = Instant::now();
                for _ in 0..copies {
                    let Some(best) = choose(&nodes, &mut walk) else { break };
                    nodes[best].mine += 1;
                    nodes[best].free.iter_mut().zip(&ask).for_each(|(free, ask)| *free -= ask);
                }
                started.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        quantile(&mut times, 0.5)
    };
    let limit = if has_spread { copies.max(100) } else { usual_limit(nodes.len()) };
    let sampled = time(&|nodes, walk| sampled(nodes, walk, &ask, copies, limit));
    (sampled, time(&|nodes, walk| scanned(nodes, walk, &ask, copies)))
}

/// How many fitting nodes Nomad looks at for a job without affinities and spreads.
fn usual_limit(nodes: usize) -> usize {
    (nodes as f64).log2().ceil().max(2.0) as usize
}

/// Places jobs one after the other until the time is over; placements a second.
fn run(scale: Scale, smoke: bool, choose: impl Fn(&[Plain], &mut Walk, &[f64; 3], usize) -> Option<usize>) -> f64 {
    let mut nodes = nodes(scale.nodes);
    let ask = [ASK.cpu as f64, ASK.memory as f64, ASK.disk as f64];
    let span = if smoke { SPAN / 40 } else { SPAN };
    let (started, mut placed) = (Instant::now(), 0u64);
    for job in 0..scale.jobs {
        nodes.iter_mut().for_each(|node| node.mine = 0);
        let mut walk = Walk::shuffled(scale.nodes, job as u64);
        for _ in 0..scale.copies {
            let Some(best) = choose(&nodes, &mut walk, &ask, scale.copies) else { break };
            nodes[best].mine += 1;
            nodes[best].free.iter_mut().zip(&ask).for_each(|(free, ask)| *free -= ask);
            placed += 1;
            if started.elapsed() > span {
                return placed as f64 / started.elapsed().as_secs_f64();
            }
        }
    }
    placed as f64 / started.elapsed().as_secs_f64()
}

/// A shuffled order of nodes and the place where the walk goes on.
struct Walk {
    order: Vec<u32>,
    next: usize,
}

impl Walk {
    fn shuffled(count: usize, seed: u64) -> Walk {
        let mut order: Vec<u32> = (0..count as u32).collect();
        let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for last in (1..count).rev() {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            order.swap(last, (bits % (last as u64 + 1)) as usize);
        }
        Walk { order, next: 0 }
    }
}

/// Nomad: from where the last walk stopped, the best of the first `limit` nodes that fit; up to three whose score is not
/// above zero are passed over while others may follow.
fn sampled(nodes: &[Plain], walk: &mut Walk, ask: &[f64; 3], count: usize, limit: usize) -> Option<usize> {
    let (mut best, mut skipped) = (None::<(f64, usize)>, Vec::new());
    let mut seen = 0;
    let better = |best: &mut Option<(f64, usize)>, score: f64, node: usize| {
        if best.is_none_or(|(known, _)| score > known) {
            *best = Some((score, node));
        }
    };
    for _ in 0..nodes.len() {
        let node = walk.order[walk.next] as usize;
        walk.next = (walk.next + 1) % nodes.len();
        let Some(score) = nodes[node].score(ask, count) else { continue };
        if score <= 0.0 && skipped.len() < 3 {
            skipped.push((score, node));
            continue;
        }
        better(&mut best, score, node);
        seen += 1;
        if seen == limit {
            break;
        }
    }
    for (score, node) in skipped.into_iter().take(limit - seen.min(limit)) {
        better(&mut best, score, node);
    }
    best.map(|(_, node)| node)
}

fn scanned(nodes: &[Plain], _: &mut Walk, ask: &[f64; 3], count: usize) -> Option<usize> {
    let scored = nodes.iter().enumerate().filter_map(|(slot, node)| Some((node.score(ask, count)?, slot)));
    scored.max_by(|(left, _), (right, _)| left.total_cmp(right)).map(|(_, slot)| slot)
}

/// Nomad's sampling: placements a second.
pub fn sampled_rate(scale: Scale, smoke: bool) -> f64 {
    let limit = usual_limit(scale.nodes);
    run(scale, smoke, |nodes, walk, ask, count| sampled(nodes, walk, ask, count, limit))
}

/// A plain full scan: placements a second.
pub fn scan_rate(scale: Scale, smoke: bool) -> f64 {
    run(scale, smoke, scanned)
}
