//! Writes to tables: every put and removal keeps the indexes over the tables and notes what was touched.

use std::sync::Arc;

use model::allocation::Allocation;
use model::evaluation::Evaluation;
use model::id::{AllocId, EvalId, JobKey, NodeId, Seed};
use model::node::Node;
use model::scheduling::SchedulerConfiguration;
use model::time::Timestamp;

use crate::alloc_row::Pool;
use crate::command::Command;
use crate::reply::Reply;
use crate::row::StoredJob;
use crate::state::State;
use crate::touched::{Table, Touched};

/// A state while one command is applied to it.
pub(super) struct Writer<'a> {
    /// Read it freely; write through the methods.
    pub state: &'a mut State,
    /// The entry's index.
    pub index: u64,
    /// The command's time.
    pub at: Timestamp,
    seed: Seed,
    next_ordinal: u64,
    pool: Pool,
    touched: &'a mut Touched,
}

impl<'a> Writer<'a> {
    pub fn new(state: &'a mut State, index: u64, command: &Command, touched: &'a mut Touched) -> Writer<'a> {
        Writer { state, index, at: command.at, seed: command.seed, next_ordinal: 0, pool: Pool::default(), touched }
    }

    /// Remembers the reply for a repetition, and forgets the oldest one.
    pub fn finish(self, seed: Seed, reply: &Reply) {
        let state = self.state;
        state.seen.insert(seed, Arc::new(reply.clone()));
        state.seen_order.push_back(seed);
        if state.seen_order.len() > State::REPEAT_WINDOW
            && let Some(oldest) = state.seen_order.pop_front()
        {
            state.seen.remove(&oldest);
        }
    }

    /// The next id made by this command.
    pub fn new_eval_id(&mut self) -> EvalId {
        let id = EvalId::derive(self.seed, self.next_ordinal);
        self.next_ordinal += 1;
        id
    }

    fn touch(&mut self, table: Table) {
        self.touched.tables.insert(table);
        self.state.table_indexes[table as usize] = self.index;
    }

    /// Stores the current version of a job.
    pub fn put_job(&mut self, job: Arc<StoredJob>) {
        let head = job.head();
        let key = head.key.clone();
        self.state.versions.insert((key.clone(), head.create_index, head.version), job.clone());
        self.state.jobs.insert(key.clone(), job);
        self.touch(Table::Jobs);
        self.touched.jobs.insert(key);
    }

    /// Removes the current version of a job; versions that allocations run stay until they go.
    pub fn remove_job(&mut self, key: &JobKey) {
        if self.state.jobs.remove(key).is_some() {
            self.touch(Table::Jobs);
            self.touched.jobs.insert(key.clone());
        }
    }

    /// Stores the scheduler configuration.
    pub fn put_scheduling(&mut self, config: SchedulerConfiguration) {
        self.state.scheduling = Some(Arc::new(config));
        self.touch(Table::Scheduling);
    }

    /// Stores a node.
    pub fn put_node(&mut self, mut node: Node) {
        node.modify_index = self.index;
        self.touched.nodes.insert(node.id);
        self.state.store_node(Arc::new(node));
        self.touch(Table::Nodes);
    }

    /// Removes a node.
    pub fn remove_node(&mut self, id: NodeId) {
        if self.state.nodes.remove(&id).is_some() {
            self.state.homes.remove(&id);
            self.touch(Table::Nodes);
            self.touched.nodes.insert(id);
        }
    }

    /// Stores an allocation. Its job and its node never change once it is stored.
    pub fn put_alloc(&mut self, mut alloc: Allocation) {
        alloc.modify_index = self.index;
        alloc.modify_time = self.at;
        self.note_alloc(alloc.id, alloc.node_id, &alloc.job);
        self.state.store_alloc(alloc, &mut self.pool);
    }

    /// Removes an allocation.
    pub fn remove_alloc(&mut self, id: AllocId) {
        if let Some(row) = self.state.allocs.remove(id) {
            self.note_alloc(id, row.node_id(), row.job());
        }
    }

    fn note_alloc(&mut self, id: AllocId, node: NodeId, job: &JobKey) {
        self.touch(Table::Allocs);
        self.touched.allocs.insert(id);
        self.touched.nodes.insert(node);
        self.touch_job(job);
    }

    fn touch_job(&mut self, key: &JobKey) {
        if !self.touched.jobs.contains(key) {
            self.touched.jobs.insert(key.clone());
        }
    }

    /// Stores an evaluation.
    pub fn put_eval(&mut self, mut eval: Evaluation) {
        eval.modify_index = self.index;
        eval.modify_time = self.at;
        self.note_eval(&eval);
        let (id, eval) = (eval.id, Arc::new(eval));
        let Some(slot) = self.state.evals.slot_of(id) else {
            self.state.evals_by_job.insert((eval.job.clone(), id));
            self.state.evals.add(id, eval);
            return;
        };
        if let Some(old) = self.state.evals.replace(slot, eval.clone())
            && old.job != eval.job
        {
            self.state.evals_by_job.remove(&(old.job.clone(), id));
            self.state.evals_by_job.insert((eval.job.clone(), id));
        }
    }

    /// Removes an evaluation.
    pub fn remove_eval(&mut self, id: EvalId) {
        let Some(eval) = self.state.evals.remove(id) else { return };
        self.note_eval(&eval);
        self.state.evals_by_job.remove(&(eval.job.clone(), id));
    }

    fn note_eval(&mut self, eval: &Evaluation) {
        self.touch(Table::Evals);
        self.touched.evals.insert(eval.id);
        self.touch_job(&eval.job);
    }

    /// Drops versions of a job that are neither among the latest kept nor run by any allocation.
    pub fn prune_versions(&mut self, key: &JobKey) {
        let kept: Vec<u64> = self.state.job_versions(key).iter().map(|job| job.head().version).collect();
        let current = self.state.jobs.get(key).map(|job| job.head().create_index);
        let range = (key.clone(), 0, 0)..=(key.clone(), u64::MAX, u64::MAX);
        let stored: Vec<_> =
            self.state.versions.range(range).map(|((_, create, version), _)| (*create, *version)).collect();
        if stored.len() <= kept.len() {
            return;
        }
        let run: std::collections::BTreeSet<(u64, u64)> =
            self.state.alloc_rows_of_job(key).map(|row| row.job_version()).collect();
        for (create, version) in stored {
            let latest = current == Some(create) && kept.contains(&version);
            if !latest && !run.contains(&(create, version)) {
                self.state.versions.remove(&(key.clone(), create, version));
            }
        }
    }
}
