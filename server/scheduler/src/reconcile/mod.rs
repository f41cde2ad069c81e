//! What has to change so that a group has the copies it should have. Pure, and blind to where new copies will go.

pub(crate) mod classify;
pub(crate) mod names;
pub(crate) mod reschedule;
pub(crate) mod updates;

use std::collections::BTreeSet;

use model::allocation::{Allocation, ClientStatus, DesiredStatus};
use model::compiled::{CompiledGroup, CompiledJob};
use model::evaluation::DesiredUpdates;
use model::id::{AllocId, NodeId};
use model::time::Timestamp;

use crate::feasible::Rules;
use crate::table::NodeTable;
use crate::view::JobView;
use classify::{Standing, classify};
use names::Names;
use updates::Update;

/// Texts of stops.
pub(crate) mod why {
    pub const NOT_NEEDED: &str = "alloc not needed due to job update";
    pub const UPDATED: &str = "alloc is being updated due to job update";
    pub const MIGRATED: &str = "alloc is being migrated";
    pub const LOST: &str = "alloc is lost since its node is down";
    pub const RESCHEDULED: &str = "alloc was rescheduled because it failed";
    pub const UNFIT: &str = "alloc not needed as node is tainted";
}

/// One allocation to stop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stop {
    pub id: AllocId,
    pub why: &'static str,
    pub lost: bool,
}

/// One copy to place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Want<'a> {
    pub name: String,
    pub previous: Option<&'a Allocation>,
    /// `previous` is stopped only if the new copy finds a place, for this reason.
    pub swaps: Option<&'static str>,
    /// `previous` failed: the new copy remembers it.
    pub reschedules: bool,
    pub penalty: Vec<NodeId>,
    /// Only this node will do (system jobs).
    pub only: Option<usize>,
}

/// Everything to do for one group.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    pub stops: Vec<Stop>,
    pub wants: Vec<Want<'a>>,
    pub in_place: Vec<&'a Allocation>,
    /// Failed copies that are replaced later, with the time.
    pub later: Vec<(Timestamp, &'a Allocation)>,
    pub counts: DesiredUpdates,
}

impl<'a> Changes<'a> {
    pub fn stop(&mut self, alloc: &Allocation, why: &'static str, lost: bool) {
        self.stops.push(Stop { id: alloc.id, why, lost });
    }
}

/// Stops everything of `allocs` that is meant to run.
pub(crate) fn stop_all<'a>(table: &NodeTable, allocs: impl Iterator<Item = &'a Allocation>) -> Changes<'a> {
    let mut changes = Changes::default();
    for alloc in allocs.filter(|alloc| !alloc.is_terminal()) {
        let lost = classify::is_lost(table, alloc);
        changes.stop(alloc, if lost { why::LOST } else { why::NOT_NEEDED }, lost);
        changes.counts.stop += 1;
    }
    changes
}

/// The copies of a group that hold a place among `count`.
struct Slots<'a> {
    /// Run, or ran to their end (batch), or failed and wait: they keep their place.
    kept: Vec<&'a Allocation>,
    /// To be replaced: stop now, place anew.
    moved: Vec<&'a Allocation>,
    /// Failed and due to be replaced.
    rescheduled: Vec<&'a Allocation>,
    /// Failed, and the document has changed since: a fresh start.
    renewed: Vec<&'a Allocation>,
}

/// What to do for `group` of a service or batch job.
pub(crate) fn reconcile<'a>(
    view: &JobView<'a>,
    job: &CompiledJob,
    group: &CompiledGroup,
    table: &NodeTable,
    now: Timestamp,
) -> Changes<'a> {
    let mut changes = Changes::default();
    let mut slots = collect(view, job, group, table, now, &mut changes);
    trim_surplus(&mut slots, group.count as usize, &mut changes);
    let mut names = Names::new(&job.key.id, &group.name);
    let everyone = [&slots.kept, &slots.moved, &slots.rescheduled, &slots.renewed];
    everyone.into_iter().flatten().for_each(|alloc| names.take(&alloc.name));

    for alloc in &slots.moved {
        changes.wants.push(Want { name: alloc.name.clone(), previous: Some(alloc), ..Want::default() });
    }
    for alloc in &slots.rescheduled {
        changes.counts.reschedule_now += 1;
        changes.wants.push(Want {
            name: alloc.name.clone(),
            previous: Some(alloc),
            swaps: Some(why::RESCHEDULED),
            reschedules: true,
            penalty: reschedule::failed_nodes(alloc),
            only: None,
        });
    }
    for alloc in &slots.renewed {
        changes.wants.push(swap(alloc));
    }
    let present = slots.kept.len() + slots.moved.len() + slots.rescheduled.len() + slots.renewed.len();
    for _ in present..group.count as usize {
        changes.wants.push(Want { name: names.next(), ..Want::default() });
        changes.counts.place += 1;
    }
    let proving: Vec<&Allocation> = slots.kept.iter().chain(&slots.rescheduled).copied().collect();
    let allowed = updates::allowed_now(job, group, &proving);
    update_kept(view, job, group, table, &slots.kept, allowed, &mut changes);
    changes
}

fn swap(alloc: &Allocation) -> Want<'_> {
    Want { name: alloc.name.clone(), previous: Some(alloc), swaps: Some(why::UPDATED), ..Want::default() }
}

/// Sorts the group's allocations by what becomes of them.
fn collect<'a>(
    view: &JobView<'a>,
    job: &CompiledJob,
    group: &CompiledGroup,
    table: &NodeTable,
    now: Timestamp,
    changes: &mut Changes<'a>,
) -> Slots<'a> {
    let mut slots = Slots { kept: Vec::new(), moved: Vec::new(), rescheduled: Vec::new(), renewed: Vec::new() };
    for alloc in of_group(view, job, &group.name) {
        match classify(alloc, job.kind, job.version, table) {
            Standing::Gone => {}
            Standing::Stays | Standing::Done => slots.kept.push(alloc),
            Standing::Lost => {
                changes.stop(alloc, why::LOST, true);
                slots.moved.push(alloc);
            }
            Standing::Migrates => {
                changes.stop(alloc, why::MIGRATED, false);
                changes.counts.migrate += 1;
                slots.moved.push(alloc);
            }
            Standing::Failed if is_older(alloc, job) && updates::of(view, job, group, alloc) == Update::Destructive => {
                slots.renewed.push(alloc);
            }
            Standing::Failed => match reschedule::when(alloc, &group.reschedule) {
                Some(due) if due <= now || alloc.desired_transition.force_reschedule == Some(true) => {
                    slots.rescheduled.push(alloc);
                }
                Some(due) => {
                    if alloc.followup_eval_id.is_none() {
                        changes.later.push((due, alloc));
                        changes.counts.reschedule_later += 1;
                    }
                    slots.kept.push(alloc);
                }
                None => slots.kept.push(alloc),
            },
        }
    }
    slots
}

fn is_older(alloc: &Allocation, job: &CompiledJob) -> bool {
    alloc.job_version != job.version
}

/// The job's own allocations of one group, by index, then age.
pub(crate) fn of_group<'a>(view: &JobView<'a>, job: &CompiledJob, group: &str) -> Vec<&'a Allocation> {
    let own = view.allocs.iter().copied();
    let mut own: Vec<_> = own.filter(|alloc| alloc.task_group == group && is_own(alloc, job)).collect();
    own.sort_by_key(|alloc| (alloc.index(), alloc.create_index, alloc.id));
    own
}

/// Whether an allocation belongs to this incarnation of the job.
pub(crate) fn is_own(alloc: &Allocation, job: &CompiledJob) -> bool {
    alloc.job_create_index == job.create_index
}

/// Stops what is above the count: what is leaving anyway first, then the highest index.
fn trim_surplus<'a>(slots: &mut Slots<'a>, count: usize, changes: &mut Changes<'a>) {
    let total = slots.kept.len() + slots.moved.len() + slots.rescheduled.len() + slots.renewed.len();
    let mut surplus = total.saturating_sub(count);
    let leaving = surplus.min(slots.moved.len());
    slots.moved.truncate(slots.moved.len() - leaving);
    surplus -= leaving;
    if surplus > 0 && crate::planted::is_enabled(crate::planted::Bug::CountDownKeepsHighest) {
        surplus -= 1;
    }
    for _ in 0..surplus {
        let lists = [&mut slots.kept, &mut slots.rescheduled, &mut slots.renewed];
        let highest = lists.into_iter().max_by_key(|list| list.last().map(|alloc| (alloc.index(), alloc.create_index)));
        let Some(alloc) = highest.and_then(Vec::pop) else { return };
        changes.later.retain(|(_, later)| later.id != alloc.id);
        if alloc.desired_status == DesiredStatus::Run && alloc.client_status != ClientStatus::Complete {
            changes.stop(alloc, why::NOT_NEEDED, false);
            changes.counts.stop += 1;
        }
    }
}

/// Brings running copies of older versions to the current one: in place, or by replacing as many as the policy allows.
fn update_kept<'a>(
    view: &JobView<'a>,
    job: &CompiledJob,
    group: &CompiledGroup,
    table: &NodeTable,
    kept: &[&'a Allocation],
    allowed: usize,
    changes: &mut Changes<'a>,
) {
    let mut destructive = Vec::new();
    let rules = Rules::of(job, group);
    let fits_on = |node| table.slot(node).is_some_and(|slot| rules.admit(table.info(slot)));
    for alloc in kept {
        if !is_older(alloc, job) || !alloc.is_live() {
            changes.counts.ignore += 1;
            continue;
        }
        match updates::of(view, job, group, alloc) {
            Update::InPlace if fits_on(alloc.node_id) => {
                changes.counts.in_place_update += 1;
                changes.in_place.push(alloc);
            }
            Update::InPlace | Update::Destructive => destructive.push(*alloc),
        }
    }
    let allowed = allowed.min(destructive.len());
    changes.counts.ignore += (destructive.len() - allowed) as u64;
    changes.counts.destructive_update += allowed as u64;
    changes.wants.extend(destructive.into_iter().take(allowed).map(swap));
}

/// Names of groups that the job no longer has, or never had in this incarnation.
pub(crate) fn leftovers<'a>(view: &JobView<'a>, job: &CompiledJob) -> Vec<&'a Allocation> {
    let groups: BTreeSet<&str> = job.groups.iter().map(|group| group.name.as_str()).collect();
    let left = view.allocs.iter().copied();
    left.filter(|alloc| !is_own(alloc, job) || !groups.contains(alloc.task_group.as_str())).collect()
}
