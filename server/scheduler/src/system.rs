//! System jobs: one copy of each group on every fit node.

use std::collections::BTreeMap;

use model::allocation::{Allocation, ClientStatus};
use model::compiled::{CompiledGroup, CompiledJob, JobKind};
use model::evaluation::{Evaluation, trigger};
use model::time::Timestamp;

use crate::feasible::Rules;
use crate::reconcile::classify::{self, Standing, classify};
use crate::reconcile::updates::{self, Update};
use crate::reconcile::{Changes, Want, of_group, why};
use crate::table::NodeTable;
use crate::view::JobView;

/// One group with what is needed to look at it.
struct Scene<'s> {
    rules: Rules<'s>,
    job: &'s CompiledJob,
    group: &'s CompiledGroup,
    table: &'s NodeTable,
    eval: &'s Evaluation,
    now: Timestamp,
}

/// What to do for `group` of a system or sysbatch job.
pub(crate) fn reconcile<'a>(
    view: &JobView<'a>,
    job: &CompiledJob,
    group: &CompiledGroup,
    table: &NodeTable,
    eval: &Evaluation,
    now: Timestamp,
) -> Changes<'a> {
    let mut changes = Changes::default();
    let scene = Scene { rules: Rules::of(job, group), job, group, table, eval, now };
    let mut by_place: BTreeMap<_, Vec<&Allocation>> = BTreeMap::new();
    for alloc in of_group(view, job, &group.name) {
        by_place.entry((alloc.index().unwrap_or(0), alloc.node_id)).or_default().push(alloc);
    }
    let (mut kept, mut ended) = (Vec::new(), false);
    let mut served = vec![vec![false; table.len()]; group.count as usize];
    for ((index, node), allocs) in by_place {
        let slot = table.slot(node);
        let mut place = slot.and_then(|slot| served.get_mut(index as usize).map(|served| &mut served[slot]));
        let name = name(job, group, index);
        for alloc in allocs {
            if !keep(&scene, alloc, &mut changes) {
                continue;
            }
            // Of two copies in one place the older goes on.
            let place = place.as_mut().filter(|_| alloc.name == name);
            let surplus = place.map_or(slot.is_some(), |place| std::mem::replace(*place, true));
            match slot {
                _ if !alloc.is_live() => ended = true,
                Some(slot) if !surplus => kept.push((slot, alloc)),
                _ => {
                    changes.stop(alloc, why::NOT_NEEDED, false);
                    changes.counts.stop += 1;
                }
            }
        }
    }
    update(view, job, group, table, &kept, &mut changes);
    for (index, served) in served.iter().enumerate() {
        for slot in (0..table.len()).filter(|slot| !served[*slot]) {
            let info = table.info(slot);
            if info.schedulable && scene.rules.admit(info) {
                let name = name(job, group, index as u32);
                changes.counts.place += 1;
                changes.wants.push(Want { name, only: Some(slot), ..Want::default() });
            }
        }
    }
    changes.nowhere = group.count > 0 && kept.is_empty() && !ended && changes.wants.is_empty();
    changes
}

/// Of system jobs, copies are named after the job's name and not after its id.
fn name(job: &CompiledJob, group: &CompiledGroup, index: u32) -> String {
    format!("{}.{}[{index}]", job.name, group.name)
}

/// Whether the allocation serves its node; stops it when it must not go on.
fn keep<'a>(scene: &Scene<'_>, alloc: &'a Allocation, changes: &mut Changes<'a>) -> bool {
    let Scene { job, group, table, eval, now, .. } = *scene;
    let slot = table.slot(alloc.node_id);
    // Constraints, drivers and volumes are looked at when a copy is placed: one that runs is not taken away.
    let fit = slot.is_some_and(|slot| scene.rules.concerns(table.info(slot)));
    let is_open = slot.is_some_and(|slot| table.info(slot).schedulable);
    let rules = classify::Rules { kind: job.kind, version: job.version, disconnect: group.disconnect, now };
    let ran_out = job.kind == JobKind::SysBatch && alloc.job_version == job.version;
    match classify(alloc, classify::reach(table, alloc), rules) {
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
        Standing::Lost | Standing::Expired => {
            changes.stop(alloc, why::LOST, true);
            false
        }
        Standing::Migrates if !is_open => {
            changes.stop(alloc, why::UNFIT, false);
            changes.counts.stop += 1;
            false
        }
        Standing::Migrates => {
            changes.stop(alloc, why::MIGRATED, false);
            changes.counts.migrate += 1;
            false
        }
        Standing::Disconnecting => {
            let after = group.disconnect.lost_after.unwrap_or_default();
            changes.unknown.push((now.after(after), alloc));
            changes.counts.disconnect += 1;
            true
        }
        Standing::Unknown => true,
        Standing::Reconnecting => {
            changes.resumed.push(alloc);
            changes.counts.reconnect += 1;
            true
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
    let rules = Rules::of(job, group);
    let allocs: Vec<&Allocation> = kept.iter().map(|(_, alloc)| *alloc).collect();
    let halted = view.rollout.is_some_and(|rollout| rollout.halted);
    let mut allowed = if halted { 0 } else { updates::allowed_now(job, group, &allocs) };
    for (slot, alloc) in kept {
        let current = alloc.job_version == job.version;
        if current || !table.info(*slot).schedulable {
            changes.counts.ignore += 1;
        } else if updates::of(view, job, group, alloc) == Update::InPlace && rules.admit(table.info(*slot)) {
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
