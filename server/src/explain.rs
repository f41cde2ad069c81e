//! Why a copy is where it is, why not elsewhere, and what would have to change: the planner's own rules on the state as
//! it is, with nothing decided and nothing written.

use model::id::{AllocId, JobKey, NodeId};
use scheduler::inspect::{Inspection, inspect};
use state::State;

use crate::leader::planner::{table_of, with_view};

/// What one more copy of a group would find.
#[derive(Clone, Debug)]
pub struct GroupInspection {
    /// The group.
    pub group: String,
    /// What it would find.
    pub inspection: Inspection,
}

/// Looks at all nodes for each group of a job, or for `only` one, and closer at `node`. With `instead_of`, for a copy in
/// the place of that allocation. Empty when the job is not there.
pub fn of_job(
    state: &State,
    key: &JobKey,
    only: Option<&str>,
    instead_of: Option<AllocId>,
    node: Option<NodeId>,
) -> Vec<GroupInspection> {
    let Some(stored) = state.job(key) else { return Vec::new() };
    let table = table_of(state);
    let groups = stored.compiled().groups.iter().filter(|group| only.is_none_or(|only| only == group.name));
    with_view(state, key, |view| {
        let look = |group| inspect(&table, view, stored.compiled(), group, instead_of, node);
        groups.map(|group| GroupInspection { group: group.name.clone(), inspection: look(group) }).collect()
    })
}
