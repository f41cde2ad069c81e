//! System jobs: one copy of each group on every fit node.

use std::collections::BTreeMap;

use model::allocation::{Allocation, ClientStatus};
use model::compiled::{CompiledGroup, CompiledJob, JobKind};
use model::evaluation::{Evaluation, trigger};

use crate::feasible::Rules;
use crate::reconcile::classify::{Standing, classify};
use crate::reconcile::updates::{self, Update};
use crate::reconcile::{Changes, Want, of_group, why};
use crate::table::NodeTable;
use crate::view::JobView;

/// What to do for `group` of a system or sysbatch job.
pub(crate) fn reconcile<'a>(
    view: &JobView<'a>,
    job: &CompiledJob,
    group: &CompiledGroup,
    table: &NodeTable,
    eval: &Evaluation,
) -> Changes<'a> {
    let mut changes = Changes::default();
    let rules = Rules::of(job, group);
    let name = format!("{}.{}[0]", job.key.id, group.name);
    let mut by_node: BTreeMap<_, Vec<&Allocation>> = BTreeMap::new();
    for alloc in of_group(view, job, &group.name) {
        by_node.entry(alloc.node_id).or_default().push(alloc);
    }
    let mut kept = Vec::new();
    let mut served = vec![false; table.len()];
    for (node, allocs) in by_node {
        let slot = table.slot(node);
        for alloc in allocs {
            let fit = slot.is_some_and(|slot| rules.admit(table.info(slot)));
            let serves = keep(alloc, job, table, eval, fit, &mut changes);
            if serves && let Some(slot) = slot {
                // Two copies on one node: the older goes on.
                if std::mem::replace(&mut served[slot], true) && alloc.is_live() {
                    changes.stop(alloc, why::NOT_NEEDED, false);
                    changes.counts.stop += 1;
                } else if alloc.is_live() {
                    kept.push((slot, alloc));
                }
            }
        }
    }
    update(view, job, group, table, &kept, &mut changes);
    for (slot, served) in served.iter().enumerate() {
        let info = table.info(slot);
        if !served && info.schedulable && rules.admit(info) {
            changes.counts.place += 1;
            changes.wants.push(Want { name: name.clone(), only: Some(slot), ..Want::default() });
        }
    }
    changes
}

/// Whether the allocation serves its node; stops it when it must not go on.
fn keep<'a>(
    alloc: &'a Allocation,
    job: &CompiledJob,
    table: &NodeTable,
    eval: &Evaluation,
    fit: bool,
    changes: &mut Changes<'a>,
) -> bool {
    let ran_out = job.kind == JobKind::SysBatch && alloc.job_version == job.version;
    match classify(alloc, job.kind, job.version, table) {
        Standing::Gone => false,
        Standing::Done => true,
        // A failed copy of a system job has used up its restarts: another evaluation than its own failure's tries anew.
        Standing::Failed => {
            let waits = alloc.job_version == job.version && eval.triggered_by == trigger::ALLOC_FAILURE;
            debug_assert_eq!(alloc.client_status, ClientStatus::Failed);
            if !ran_out && !waits {
                changes.stop(alloc, why::RESCHEDULED, false);
            }
            ran_out || waits
        }
        Standing::Lost => {
            changes.stop(alloc, why::LOST, true);
            false
        }
        Standing::Migrates => {
            changes.stop(alloc, why::MIGRATED, false);
            changes.counts.migrate += 1;
            false
        }
        Standing::Stays if !fit => {
            changes.stop(alloc, why::UNFIT, false);
            changes.counts.stop += 1;
            false
        }
        Standing::Stays => true,
    }
}

/// Brings running copies to the current version, each on its node, as many at a time as the policy allows.
fn update<'a>(
    view: &JobView<'a>,
    job: &CompiledJob,
    group: &CompiledGroup,
    table: &NodeTable,
    kept: &[(usize, &'a Allocation)],
    changes: &mut Changes<'a>,
) {
    let allocs: Vec<&Allocation> = kept.iter().map(|(_, alloc)| *alloc).collect();
    let mut allowed = updates::allowed_now(job, group, &allocs);
    for (slot, alloc) in kept {
        let current = alloc.job_version == job.version;
        if current || !table.info(*slot).schedulable {
            changes.counts.ignore += 1;
        } else if updates::of(view, job, group, alloc) == Update::InPlace {
            changes.counts.in_place_update += 1;
            changes.in_place.push(alloc);
        } else if allowed == 0 {
            changes.counts.ignore += 1;
        } else {
            allowed -= 1;
            changes.counts.destructive_update += 1;
            changes.wants.push(Want {
                name: alloc.name.clone(),
                previous: Some(alloc),
                swaps: Some(why::UPDATED),
                only: Some(*slot),
                ..Want::default()
            });
        }
    }
}
