//! Pure: a job and the nodes to a decision, with its reasons.
//!
//! [`schedule`] looks at a job, its allocations and the [`NodeTable`] and answers with a [`model::evaluation::Plan`]:
//! what to stop, what to place where, what goes on in place, and for what could not be placed why and what would help.
//! There is no clock, no randomness but the seed, no input or output, and no map whose order differs between runs.

pub mod blocked;
mod exclusive;
mod explain;
mod feasible;
pub mod inspect;
mod memo;
mod overlay;
mod plan;
pub mod planted;
mod ports;
mod preempt;
pub mod queue;
mod reconcile;
mod score;
mod select;
mod system;
mod table;
mod tally;
mod tournament;
mod usage;
mod view;

use model::evaluation::{Evaluation, Plan};
use model::id::Seed;
use model::time::Timestamp;

pub use feasible::constraint::{validate as validate_constraint, validate_affinity};
pub use table::NodeTable;
pub use view::{JobView, Neighbour, Rollout};

/// Plans one evaluation. `table` is as of `index`, and so is `view`; neither is changed.
///
/// The plan holds the evaluation as complete, its follow-ups (blocked, delayed) and every change to allocations. Equal
/// arguments give an equal plan.
pub fn schedule(
    table: &NodeTable,
    view: &JobView<'_>,
    eval: &Evaluation,
    now: Timestamp,
    seed: Seed,
    index: u64,
) -> Plan {
    let mut draft = plan::Draft::new(table, view, eval, now, seed, index);
    draft.stop_leftovers();
    let todo = draft.reconcile_groups();
    draft.release(&todo);
    draft.place_groups(todo);
    draft.finish()
}

#[cfg(test)]
mod tests;
