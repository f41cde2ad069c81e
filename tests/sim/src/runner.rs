//! One allocation on a node: the real lifecycle, and what the agent keeps beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use client::alloc::lifecycle::{AllocInput, AllocLifecycle, AllocRecord};
use driver::TaskId;
use model::compiled::CompiledJob;
use model::id::AllocId;
use model::rpc::AllocWithJob;
use model::time::{GoDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The longest kill timeout that an agent allows.
pub const MAX_KILL: GoDuration = GoDuration::from_secs(30);

/// What reaches a runner.
#[derive(Clone, Debug)]
pub enum Message {
    /// For the lifecycle.
    Input(AllocInput),
    /// A run is up: it is stored before the lifecycle hears of it.
    Up(TaskId),
}

/// What a node's disk keeps of an allocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored {
    /// The servers' word.
    pub source: AllocWithJob,
    /// The lifecycle's memory.
    pub record: AllocRecord,
    /// The run of each task that came up.
    pub handles: BTreeMap<String, u64>,
}

/// A start that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Which run.
    pub attempt: u64,
    /// Whether the driver has answered; the answer is on its way.
    pub answered: bool,
}

/// An allocation that an agent looks after.
pub struct Runner {
    /// The servers' word.
    pub source: AllocWithJob,
    /// Its job.
    pub job: Arc<CompiledJob>,
    /// The real thing.
    pub life: AllocLifecycle,
    /// The run of each task that came up.
    pub handles: BTreeMap<String, u64>,
    /// Starts that are under way.
    pub starts: BTreeMap<String, Start>,
    /// Runs whose end is waited for.
    pub waits: BTreeSet<TaskId>,
    /// Checks that are probed.
    pub checks: BTreeSet<String>,
    /// When the next tick is due.
    pub tick_at: Option<Timestamp>,
    /// Whether its end is done with.
    pub ended: bool,
    /// Whether the servers have forgotten it.
    pub forgotten: bool,
    /// Whether the servers count its room as free.
    pub released: bool,
}

impl Runner {
    /// A new allocation.
    pub fn new(source: AllocWithJob, predecessors: BTreeSet<AllocId>, now: Timestamp) -> Runner {
        let job = source.job.compiled().clone();
        let life = AllocLifecycle::new(&job, source.alloc.clone(), predecessors, MAX_KILL, now);
        Runner::with(source, job, life, BTreeMap::new())
    }

    /// One that was stored, and what its lifecycle wants done first.
    pub fn restore(stored: Stored, now: Timestamp) -> (Runner, Vec<client::alloc::lifecycle::AllocEffect>) {
        let job = stored.source.job.compiled().clone();
        let alloc = stored.source.alloc.clone();
        let (life, effects) = AllocLifecycle::restore(&job, alloc, stored.record, MAX_KILL, now);
        let mut runner = Runner::with(stored.source, job, life, stored.handles);
        runner.ended = runner.life.is_ended();
        (runner, effects)
    }

    fn with(
        source: AllocWithJob,
        job: Arc<CompiledJob>,
        life: AllocLifecycle,
        handles: BTreeMap<String, u64>,
    ) -> Runner {
        Runner {
            released: !source.alloc.is_live(),
            source,
            job,
            life,
            handles,
            starts: BTreeMap::new(),
            waits: BTreeSet::new(),
            checks: BTreeSet::new(),
            tick_at: None,
            ended: false,
            forgotten: false,
        }
    }

    /// What the disk keeps.
    pub fn stored(&self) -> Stored {
        Stored { source: self.source.clone(), record: self.life.record(), handles: self.handles.clone() }
    }

    /// The name of a run.
    pub fn run(&self, task: &str, attempt: u64) -> TaskId {
        TaskId { alloc: self.source.alloc.id, task: task.to_owned(), attempt }
    }
}
