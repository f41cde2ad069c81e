//! What the planner thinks of the nodes for one more copy of a group, without deciding anything.

use model::compiled::{CompiledGroup, CompiledJob};
use model::id::{AllocId, NodeId, Seed};
use model::metric::AllocMetric;
use model::node::NodeStatus;

use crate::explain::{self, Scope};
use crate::overlay::Overlay;
use crate::select::{Picker, State};
use crate::table::{NodeInfo, NodeTable};
use crate::usage::Usage;
use crate::view::JobView;

/// What one more copy would find.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// Counts and best scores over all nodes.
    pub metric: AllocMetric,
    /// The node that was asked about.
    pub node: Option<NodeInspection>,
}

/// What one node says to a copy.
#[derive(Clone, Debug)]
pub struct NodeInspection {
    /// Which node.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// What it says.
    pub verdict: Verdict,
    /// The counts and scores of this node alone, with what would help.
    pub metric: AllocMetric,
}

/// How a node takes a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not among the nodes that are looked at; why, in words.
    Apart(String),
    /// A rule keeps the copy out, or something is missing there.
    Filtered,
    /// There is no room, port or device left.
    Exhausted,
    /// It would do: its place among the nodes that would, from 1, and how many those are.
    Fits {
        /// 1 is the best.
        rank: usize,
        /// All that would do.
        of: usize,
    },
}

/// Looks at every node for one more copy of `group`, or for one in the place of `instead_of`.
pub fn inspect(
    table: &NodeTable,
    view: &JobView<'_>,
    job: &CompiledJob,
    group: &CompiledGroup,
    instead_of: Option<AllocId>,
    node: Option<NodeId>,
) -> Inspection {
    let mut overlay = Overlay::new(table);
    let mut usage = Usage::of(table, view);
    // Chance decides among equals only, and here nothing is decided.
    let seed = Seed::default();
    let mut picker = Picker::new(&mut overlay, &mut usage, view, job, group, seed);
    if let Some(alloc) = instead_of {
        picker.release(alloc);
    }
    let node = node.and_then(|id| table.slot(id)).map(|slot| look(&picker, slot));
    Inspection { metric: explain::metric(&picker, &Scope::All), node }
}

fn look(picker: &Picker<'_, '_, '_>, slot: usize) -> NodeInspection {
    let node = picker.overlay.table.info(slot);
    let verdict = match picker.states.get(slot) {
        State::Apart => Verdict::Apart(why_apart(picker, node)),
        State::Rejected(_) => Verdict::Filtered,
        State::Short(_) => Verdict::Exhausted,
        State::Fit(own) => {
            let own = picker.with_spread(slot, own).norm();
            let fits = picker.states.iter().enumerate().filter_map(|(slot, state)| match state {
                State::Fit(parts) => Some(picker.with_spread(slot, parts).norm()),
                _ => None,
            });
            let (mut better, mut of) = (0, 0);
            for norm in fits {
                of += 1;
                better += usize::from(norm > own);
            }
            Verdict::Fits { rank: better + 1, of }
        }
    };
    NodeInspection {
        id: node.id,
        name: node.name.clone(),
        verdict,
        metric: explain::metric(picker, &picker.scope(Some(slot))),
    }
}

fn why_apart(picker: &Picker<'_, '_, '_>, node: &NodeInfo) -> String {
    let job = picker.job;
    if node.status != NodeStatus::Ready {
        return format!("the node is {}", node.status.as_str());
    }
    if !node.schedulable {
        return "the node is not eligible for new work".to_owned();
    }
    if !picker.rules.is_in_pool(node) {
        return format!("the node is in pool {:?}, the job asks for {:?}", node.pool, job.node_pool);
    }
    format!("the node is in datacenter {:?}, the job asks for {:?}", node.datacenter, job.datacenters)
}
