//! Counters of the server, for `/v1/metrics`. They are for people to look at: nothing decides by them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn incr(&self) {
        self.add(1);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// All counters of one server.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Commands applied.
    pub commands_applied: Counter,
    /// Log entries written by this server; each carries many commands.
    pub batches_proposed: Counter,
    /// Commands proposed here.
    pub commands_proposed: Counter,
    /// Evaluations planned.
    pub evals_planned: Counter,
    /// Plans proposed.
    pub plans_submitted: Counter,
    /// Placements that no longer fitted when they were applied.
    pub placements_dropped: Counter,
    /// Time spent in the scheduler, in nanoseconds.
    pub planning_nanos: Counter,
    /// Heartbeats accepted.
    pub heartbeats: Counter,
    /// Nodes that missed their heartbeat.
    pub heartbeats_missed: Counter,
    /// Snapshots of the state taken.
    pub snapshots: Counter,
}

impl Metrics {
    /// Every counter with its name below `nomad.` (the names Nomad uses where it has the same thing).
    pub fn all(&self) -> [(&'static str, u64); 10] {
        [
            ("nomad.fsm.commands_applied", self.commands_applied.get()),
            ("nomad.raft.batches", self.batches_proposed.get()),
            ("nomad.raft.commands", self.commands_proposed.get()),
            ("nomad.worker.evals_planned", self.evals_planned.get()),
            ("nomad.plan.submitted", self.plans_submitted.get()),
            ("nomad.plan.placements_dropped", self.placements_dropped.get()),
            ("nomad.worker.planning_nanoseconds", self.planning_nanos.get()),
            ("nomad.heartbeat.received", self.heartbeats.get()),
            ("nomad.heartbeat.missed", self.heartbeats_missed.get()),
            ("nomad.fsm.snapshots", self.snapshots.get()),
        ]
    }
}
