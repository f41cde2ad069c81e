//! What has to change so that a group has the copies it should have. Pure, and blind to where new copies will go.

mod canary;
pub(crate) mod classify;
mod disconnect;
pub(crate) mod names;
pub(crate) mod reschedule;
mod surplus;
pub(crate) mod updates;

use std::collections::BTreeSet;

use model::allocation::Allocation;
use model::compiled::{CompiledGroup, CompiledJob};
use model::evaluation::DesiredUpdates;
use model::id::{AllocId, NodeId};
use model::time::Timestamp;

use crate::feasible::Rules;
use crate::table::NodeTable;
use crate::view::JobView;
use canary::Trial;
use classify::{Standing, classify};
use names::Names;
use surplus::trim_surplus;
use updates::Update;

/// Texts of stops.
pub(crate) mod why {
    pub const NOT_NEEDED: &str = "alloc not needed due to job update";
    pub const UPDATED: &str = "alloc is being updated due to job update";
    pub const MIGRATED: &str = "alloc is being migrated";
    pub const LOST: &str = "alloc is lost since its node is down";
    pub const RESCHEDULED: &str = "alloc was rescheduled because it failed";
    pub const UNFIT: &str = "alloc not needed as node is tainted";
    pub const REPLACED: &str = "alloc not needed as it was replaced while its node was out of reach";
    pub const ORIGINAL: &str = "alloc not needed as the one it replaced is back";
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
    /// It tries the new version beside the old one.
    pub canary: bool,
    /// An older version that it runs, while the current one is still tried.
    pub version: Option<u64>,
}

/// Everything to do for one group.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    pub stops: Vec<Stop>,
    pub wants: Vec<Want<'a>>,
    pub in_place: Vec<&'a Allocation>,
    /// Failed copies that are replaced later, with the time.
    pub later: Vec<(Timestamp, &'a Allocation)>,
    /// Copies out of reach from now on, with the time at which they are lost.
    pub unknown: Vec<(Timestamp, &'a Allocation)>,
    /// Copies that were out of reach and go on as they are.
    pub resumed: Vec<&'a Allocation>,
    /// No copy of it is anywhere, and no node may run one (system jobs).
    pub nowhere: bool,
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
#[derive(Default)]
struct Slots<'a> {
    /// Run, or ran to their end (batch), or failed and wait: they keep their place.
    kept: Vec<&'a Allocation>,
    /// To be replaced: stopped already, or out of reach.
    moved: Vec<&'a Allocation>,
    /// Failed and due to be replaced.
    rescheduled: Vec<&'a Allocation>,
    /// Failed, and the document has changed since: a fresh start.
    renewed: Vec<&'a Allocation>,
}

impl Slots<'_> {
    fn len(&self) -> usize {
        self.kept.len() + self.moved.len() + self.rescheduled.len() + self.renewed.len()
    }
}

/// One group with what is needed to look at it.
struct Scene<'s, 'a> {
    view: &'s JobView<'a>,
    job: &'s CompiledJob,
    group: &'s CompiledGroup,
    table: &'s NodeTable,
    now: Timestamp,
}

/// What to do for `group` of a service or batch job.
pub(crate) fn reconcile<'a>(
    view: &JobView<'a>,
    job: &CompiledJob,
    group: &CompiledGroup,
    table: &NodeTable,
    now: Timestamp,
) -> Changes<'a> {
    let scene = Scene { view, job, group, table, now };
    let mut changes = Changes::default();
    let mut own = of_group(view, job, &group.name);
    let trial = Trial::of(&scene, &mut own, &mut changes);
    let mut slots = scene.collect(own, &mut changes);
    trim_surplus(&mut slots, job.version, group.count as usize, &mut changes);
    let held = scene.hold_back(&slots, &trial);
    scene.want(&slots, held, &mut changes);
    if held {
        trial.want_canaries(&scene, &slots, &mut changes);
        changes.counts.ignore += slots.kept.len() as u64;
    } else {
        let proving: Vec<&Allocation> = slots.kept.iter().chain(&slots.rescheduled).copied().collect();
        let halted = view.rollout.is_some_and(|rollout| rollout.halted);
        let allowed = if halted { 0 } else { updates::allowed_now(job, group, &proving) };
        update_kept(view, job, group, table, &slots.kept, allowed, &mut changes);
    }
    let touched: BTreeSet<AllocId> =
        changes.wants.iter().filter_map(|want| want.previous).map(|alloc| alloc.id).collect();
    changes
        .resumed
        .retain(|alloc| !touched.contains(&alloc.id) && changes.in_place.iter().all(|new| new.id != alloc.id));
    changes.wants.sort_by_key(|want| names::index(&want.name));
    changes
}

impl<'a> Scene<'_, 'a> {
    /// Whether nothing but canaries of the new version may be placed.
    fn hold_back(&self, slots: &Slots<'a>, trial: &Trial<'a>) -> bool {
        let rules = Rules::of(self.job, self.group);
        let destructive = |alloc: &&&Allocation| {
            let fits = self.table.slot(alloc.node_id).is_some_and(|slot| rules.admit(self.table.info(slot)));
            let update = updates::of(self.view, self.job, self.group, alloc);
            is_older(alloc, self.job) && alloc.is_live() && (update == Update::Destructive || !fits)
        };
        trial.open && (!trial.canaries.is_empty() || slots.kept.iter().any(|alloc| destructive(&alloc)))
    }

    /// Copies to place for those that left, and for those that are missing. `held`: in the version that they had.
    fn want(&self, slots: &Slots<'a>, held: bool, changes: &mut Changes<'a>) {
        let version = |alloc: &Allocation| (held && is_older(alloc, self.job)).then_some(alloc.job_version);
        let mut names = Names::new(&self.job.key.id, &self.group.name);
        let everyone = [&slots.kept, &slots.moved, &slots.rescheduled, &slots.renewed];
        everyone.into_iter().flatten().for_each(|alloc| names.take(&alloc.name));
        for alloc in &slots.moved {
            let (name, version) = (alloc.name.clone(), version(alloc));
            changes.wants.push(Want { name, previous: Some(alloc), version, ..Want::default() });
        }
        for alloc in &slots.rescheduled {
            changes.counts.reschedule_now += 1;
            changes.wants.push(Want {
                name: alloc.name.clone(),
                previous: Some(alloc),
                swaps: Some(why::RESCHEDULED),
                reschedules: true,
                penalty: reschedule::failed_nodes(alloc),
                version: version(alloc),
                ..Want::default()
            });
        }
        if !held {
            changes.wants.extend(slots.renewed.iter().map(|alloc| swap(alloc)));
            for _ in slots.len()..self.group.count as usize {
                changes.wants.push(Want { name: names.next(), ..Want::default() });
                changes.counts.place += 1;
            }
        }
    }

    /// Sorts the group's allocations by what becomes of them.
    fn collect(&self, own: Vec<&'a Allocation>, changes: &mut Changes<'a>) -> Slots<'a> {
        let standing: Vec<(&'a Allocation, Standing)> =
            own.iter().map(|alloc| (*alloc, self.classify(alloc))).collect();
        let stopped = self.reunite(&standing, changes);
        let mut slots = Slots::default();
        for (alloc, standing) in standing {
            if stopped.contains(&alloc.id) {
                continue;
            }
            self.sort(alloc, standing, &own, &mut slots, changes);
        }
        slots
    }

    fn classify(&self, alloc: &Allocation) -> Standing {
        let Scene { job, group, now, .. } = self;
        let rules = classify::Rules { kind: job.kind, version: job.version, disconnect: group.disconnect, now: *now };
        classify(alloc, classify::reach(self.table, alloc), rules)
    }

    /// Chooses between each copy that is back and its replacement. Answers which of them stop.
    fn reunite(&self, standing: &[(&'a Allocation, Standing)], changes: &mut Changes<'a>) -> BTreeSet<AllocId> {
        let mut stopped = BTreeSet::new();
        for (original, _) in standing.iter().filter(|(_, standing)| *standing == Standing::Reconnecting) {
            changes.counts.reconnect += 1;
            let replacement = standing.iter().find(|(other, standing)| {
                *standing == Standing::Stays && other.name == original.name && other.id != original.id
            });
            match replacement {
                Some((other, _)) if !disconnect::original_wins(original, other, self.group.disconnect.reconcile) => {
                    changes.stop(original, why::REPLACED, false);
                    stopped.insert(original.id);
                }
                Some((other, _)) => {
                    changes.stop(other, why::ORIGINAL, false);
                    stopped.insert(other.id);
                    changes.resumed.push(original);
                }
                None => changes.resumed.push(original),
            }
        }
        changes.counts.stop += stopped.len() as u64;
        stopped
    }

    fn sort(
        &self,
        alloc: &'a Allocation,
        standing: Standing,
        own: &[&'a Allocation],
        slots: &mut Slots<'a>,
        changes: &mut Changes<'a>,
    ) {
        let policy = &self.group.disconnect;
        let is_replaced =
            || own.iter().any(|other| other.id != alloc.id && other.name == alloc.name && !other.is_terminal());
        match standing {
            Standing::Gone => {}
            Standing::Stays | Standing::Done | Standing::Reconnecting => slots.kept.push(alloc),
            Standing::Lost => {
                changes.stop(alloc, why::LOST, true);
                slots.moved.push(alloc);
            }
            Standing::Expired => {
                changes.stop(alloc, why::LOST, true);
                if !is_replaced() {
                    slots.moved.push(alloc);
                }
            }
            Standing::Disconnecting => {
                let after = policy.lost_after.unwrap_or_default();
                changes.unknown.push((self.now.after(after), alloc));
                changes.counts.disconnect += 1;
                if policy.replace { slots.moved.push(alloc) } else { slots.kept.push(alloc) }
            }
            Standing::Unknown if !policy.replace => slots.kept.push(alloc),
            Standing::Unknown if is_replaced() => changes.counts.ignore += 1,
            Standing::Unknown => slots.moved.push(alloc),
            Standing::Migrates => {
                changes.stop(alloc, why::MIGRATED, false);
                changes.counts.migrate += 1;
                slots.moved.push(alloc);
            }
            Standing::Failed => self.sort_failed(alloc, slots, changes),
        }
    }

    /// Failed: replaced now, replaced later, or left as it is.
    fn sort_failed(&self, alloc: &'a Allocation, slots: &mut Slots<'a>, changes: &mut Changes<'a>) {
        let Scene { view, job, group, now, .. } = self;
        if is_older(alloc, job) && updates::of(view, job, group, alloc) == Update::Destructive {
            return slots.renewed.push(alloc);
        }
        match reschedule::when(alloc, &group.reschedule) {
            Some(due) if due <= *now || alloc.desired_transition.force_reschedule == Some(true) => {
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
        }
    }
}

fn swap(alloc: &Allocation) -> Want<'_> {
    Want { name: alloc.name.clone(), previous: Some(alloc), swaps: Some(why::UPDATED), ..Want::default() }
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
