//! What one allocation is, in the eyes of the planner.

use model::allocation::{Allocation, ClientStatus, DesiredStatus};
use model::compiled::JobKind;
use model::node::NodeStatus;

use crate::table::NodeTable;

/// See the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Stopped, or ended and not to be counted: its place is free.
    Gone,
    /// Runs, or will.
    Stays,
    /// Ran to its end, as it should.
    Done,
    /// Its node is down or unknown.
    Lost,
    /// It is to leave its node.
    Migrates,
    /// It failed and nothing replaced it yet.
    Failed,
}

/// Whether the allocation's node is down or unknown.
pub(crate) fn is_lost(table: &NodeTable, alloc: &Allocation) -> bool {
    table.slot(alloc.node_id).is_none_or(|slot| table.info(slot).status == NodeStatus::Down)
}

/// The first rule that holds decides. `version` is the job's current one.
pub(crate) fn classify(alloc: &Allocation, kind: JobKind, version: u64, table: &NodeTable) -> Standing {
    if alloc.desired_status != DesiredStatus::Run {
        return Standing::Gone;
    }
    match alloc.client_status {
        ClientStatus::Lost => Standing::Gone,
        // A new version of a batch job runs again.
        ClientStatus::Complete if kind.is_batch() && alloc.job_version == version => Standing::Done,
        ClientStatus::Complete => Standing::Gone,
        ClientStatus::Failed if kind.is_batch() && alloc.job_version != version => Standing::Gone,
        ClientStatus::Failed if alloc.next_allocation.is_some() => Standing::Gone,
        ClientStatus::Failed => Standing::Failed,
        _ if is_lost(table, alloc) => Standing::Lost,
        _ if alloc.desired_transition.migrate == Some(true) => Standing::Migrates,
        ClientStatus::Pending | ClientStatus::Running | ClientStatus::Unknown => Standing::Stays,
    }
}
