//! The tables, their indexes and how they are read. Writing is in [`crate::apply`] alone.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};
use model::allocation::Allocation;
use model::evaluation::Evaluation;
use model::id::{AllocId, EvalId, JobKey, NodeId, Seed};
use model::node::Node;
use model::rpc::IdDigest;
use model::scheduling::SchedulerConfiguration;

use crate::alloc_row::{AllocRow, Home, Pool};
use crate::alloc_table::AllocTable;
use crate::command::Command;
use crate::on_node::OnNode;
use crate::reply::{Outcome, Reply};
use crate::row::StoredJob;
use crate::rows::Rows;
use crate::touched::{Table, Touched};
use crate::{VERSIONS_KEPT, apply};

/// One version of one incarnation of a job: key, creation index, version.
pub(crate) type VersionKey = (JobKey, u64, u64);

/// Everything that is replicated. Cloning copies pointers; a clone never changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub(crate) index: u64,
    pub(crate) table_indexes: [u64; Table::ALL.len()],
    pub(crate) jobs: OrdMap<JobKey, Arc<StoredJob>>,
    pub(crate) versions: OrdMap<VersionKey, Arc<StoredJob>>,
    pub(crate) nodes: OrdMap<NodeId, Arc<Node>>,
    pub(crate) allocs: AllocTable,
    pub(crate) evals: Rows<EvalId, Evaluation>,
    /// None until an operator sets one.
    pub(crate) scheduling: Option<Arc<SchedulerConfiguration>>,
    pub(crate) seen: OrdMap<Seed, Arc<Reply>>,
    pub(crate) seen_order: Vector<Seed>,
    /// Derived from `nodes`: what rows of allocations share of them.
    pub(crate) homes: OrdMap<NodeId, Arc<Home>>,
    /// Derived from `evals`.
    pub(crate) evals_by_job: OrdSet<(JobKey, EvalId)>,
}

impl State {
    /// Puts a node into its table and what derives from it.
    pub(crate) fn store_node(&mut self, node: Arc<Node>) {
        if !self.homes.get(&node.id).is_some_and(|home| home.is_of(&node)) {
            self.homes.insert(node.id, Arc::new(Home::of(&node)));
        }
        self.nodes.insert(node.id, node);
    }

    /// Puts an allocation into its table and the indexes over it. Its job and its node never change once it is stored.
    pub(crate) fn store_alloc(&mut self, alloc: Allocation, pool: &mut Pool) {
        let (id, node) = (alloc.id, alloc.node_id);
        let homes = &self.homes;
        self.allocs.put(id, |old| {
            match old {
                Some(old) => pool.offer(old),
                None => {
                    if let Some(home) = homes.get(&node) {
                        pool.offer_home(home.clone());
                    }
                }
            }
            AllocRow::pack(alloc, pool)
        });
    }
}

fn unpacked(row: &Arc<AllocRow>) -> Arc<Allocation> {
    Arc::new(row.unpack())
}

const FIRST: u128 = 0;
const LAST: u128 = u128::MAX;

impl State {
    /// A state in which nothing was ever written.
    pub fn new() -> State {
        State::default()
    }

    /// Applies one command of the log entry at `index`; an entry may hold several, applied in order at the same index.
    ///
    /// Deterministic. A command whose seed is still in the window of the last [`State::REPEAT_WINDOW`] commands changes
    /// nothing but [`State::index`] and answers what it answered before. A refused command changes no table either.
    pub fn apply(&mut self, index: u64, command: &Command) -> Outcome {
        let mut touched = Touched::default();
        let (reply, repeated) = apply::apply(self, index, command, &mut touched);
        Outcome { reply, touched, repeated }
    }

    /// As [`State::apply`], for one of several commands: adds to what the others touched.
    pub fn apply_one_of(&mut self, index: u64, command: &Command, touched: &mut Touched) -> Reply {
        apply::apply(self, index, command, touched).0
    }

    /// How many of the latest commands are remembered, so that one that is proposed twice takes effect once.
    pub const REPEAT_WINDOW: usize = 8192;

    /// Index of the last applied entry.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Index of the last entry that changed `table`; 0 if none did.
    pub fn table_index(&self, table: Table) -> u64 {
        self.table_indexes[table as usize]
    }

    /// The current version of a job.
    pub fn job(&self, key: &JobKey) -> Option<Arc<StoredJob>> {
        self.jobs.get(key).cloned()
    }

    /// All jobs, by namespace and id.
    pub fn jobs(&self) -> impl Iterator<Item = (&JobKey, &Arc<StoredJob>)> {
        self.jobs.iter()
    }

    /// The jobs of `namespace` whose id starts with `prefix`, by id.
    pub fn jobs_with_prefix<'a>(
        &'a self,
        namespace: &'a str,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a JobKey, &'a Arc<StoredJob>)> {
        self.jobs
            .range(JobKey::new(namespace, prefix)..)
            .take_while(move |(key, _)| &*key.namespace == namespace && key.id.starts_with(prefix))
    }

    /// The latest versions of a job's present incarnation, newest first; at most [`VERSIONS_KEPT`].
    pub fn job_versions(&self, key: &JobKey) -> Vec<Arc<StoredJob>> {
        let Some(job) = self.jobs.get(key) else { return Vec::new() };
        let create = job.head().create_index;
        let range = (key.clone(), create, 0)..=(key.clone(), create, u64::MAX);
        self.versions.range(range).rev().take(VERSIONS_KEPT).map(|(_, job)| job.clone()).collect()
    }

    /// One version of a job, of the incarnation created at `create_index`. Kept while an allocation runs it, even
    /// beyond the versions that [`State::job_versions`] lists and after the job was purged.
    pub fn job_version(&self, key: &JobKey, create_index: u64, version: u64) -> Option<Arc<StoredJob>> {
        self.versions.get(&(key.clone(), create_index, version)).cloned()
    }

    /// The version of the job that an allocation runs; there always is one.
    pub fn job_of_alloc(&self, alloc: &Allocation) -> Option<Arc<StoredJob>> {
        self.job_version(&alloc.job, alloc.job_create_index, alloc.job_version)
    }

    /// The same for a row as it is kept.
    pub fn job_of_row(&self, row: &AllocRow) -> Option<Arc<StoredJob>> {
        let (create_index, version) = row.job_version();
        self.job_version(row.job(), create_index, version)
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> Option<Arc<Node>> {
        self.nodes.get(&id).cloned()
    }

    /// All allocations, by id, unpacked one by one.
    pub fn allocs(&self) -> impl Iterator<Item = Arc<Allocation>> {
        self.alloc_rows().map(unpacked)
    }

    /// One allocation, unpacked.
    pub fn alloc(&self, id: AllocId) -> Option<Arc<Allocation>> {
        self.allocs.get(id).map(unpacked)
    }

    /// All allocations as they are kept, by id.
    pub fn alloc_rows(&self) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.allocs.rows()
    }

    /// One allocation as it is kept.
    pub fn alloc_row(&self, id: AllocId) -> Option<&Arc<AllocRow>> {
        self.allocs.get(id)
    }

    /// All allocations of a job, of every version and incarnation, by id, unpacked one by one.
    pub fn allocs_of_job<'a>(&'a self, key: &JobKey) -> impl Iterator<Item = Arc<Allocation>> + use<'a> {
        self.alloc_rows_of_job(key).map(unpacked)
    }

    /// The same as they are kept.
    pub fn alloc_rows_of_job<'a>(&'a self, key: &JobKey) -> impl Iterator<Item = &'a Arc<AllocRow>> + use<'a> {
        self.allocs.of_job(key)
    }

    /// All allocations on a node, the live ones first, unpacked one by one.
    pub fn allocs_of_node(&self, node: NodeId) -> impl Iterator<Item = Arc<Allocation>> {
        self.alloc_rows_of_node(node).map(unpacked)
    }

    /// The same as they are kept.
    pub fn alloc_rows_of_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.allocs.on_node(node)
    }

    /// The allocations that hold room on a node: those that have not ended at the client. Unpacked one by one.
    pub fn live_allocs_of_node(&self, node: NodeId) -> impl Iterator<Item = Arc<Allocation>> {
        self.live_alloc_rows_of_node(node).map(unpacked)
    }

    /// The same as they are kept.
    pub fn live_alloc_rows_of_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.allocs.live_on_node(node)
    }

    /// How many allocations are on a node, ended ones included.
    pub fn alloc_count_of_node(&self, node: NodeId) -> usize {
        self.allocs.node(node).map_or(0, OnNode::len)
    }

    /// The last index at which the leader's side of an allocation on the node changed, of those that are still there.
    pub fn newest_on_node(&self, node: NodeId) -> u64 {
        self.allocs.node(node).map_or(0, OnNode::newest)
    }

    /// The allocations on a node of which the leader's side changed after `index`, as they are kept.
    pub fn alloc_rows_of_node_after(&self, node: NodeId, index: u64) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.allocs.changed_on_node(node, index)
    }

    /// The ids of all allocations on a node, in short.
    pub fn digest_of_node(&self, node: NodeId) -> IdDigest {
        self.allocs.node(node).map_or(IdDigest::default(), OnNode::digest)
    }

    /// The allocations whose id starts with the bits that `first` and `last` span (a prefix search), by id, as they
    /// are kept.
    pub fn alloc_rows_between(&self, first: AllocId, last: AllocId) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.allocs.range(first..=last)
    }

    /// How the planner behaves.
    pub fn scheduling(&self) -> Arc<SchedulerConfiguration> {
        self.scheduling.clone().unwrap_or_else(|| Arc::new(SchedulerConfiguration::initial()))
    }

    /// All evaluations, by id.
    pub fn evals(&self) -> impl Iterator<Item = &Arc<Evaluation>> {
        self.evals.values()
    }

    /// One evaluation.
    pub fn eval(&self, id: EvalId) -> Option<Arc<Evaluation>> {
        self.evals.get(id).cloned()
    }

    /// All evaluations of a job, by id.
    pub fn evals_of_job<'a>(&'a self, key: &JobKey) -> impl Iterator<Item = &'a Arc<Evaluation>> + use<'a> {
        let range = (key.clone(), EvalId(FIRST))..=(key.clone(), EvalId(LAST));
        self.evals_by_job.range(range).filter_map(|(_, id)| self.evals.get(*id))
    }
}
