//! Puts a plan together: what each group needs, then places for it, then the follow-up evaluations.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::allocation::{Allocation, ClientStatus, DesiredStatus, DesiredTransition, Grant, TaskGrant};
use model::compiled::{CompiledGroup, CompiledJob};
use model::evaluation::{EvalStatus, Evaluation, Plan, PlannedStop, Preemption, trigger};
use model::id::{AllocId, EvalId, Seed};
use model::metric::AllocMetric;
use model::scheduling::SchedulerConfiguration;
use model::time::{GoDuration, Timestamp};

use crate::exclusive::ExclusiveGrant;
use crate::explain::{self, Scope};
use crate::overlay::Overlay;
use crate::reconcile::{self, Changes, Want, reschedule, why};
use crate::select::{Pick, Picker, Request};
use crate::system;
use crate::table::{NodeInfo, NodeTable};
use crate::usage::Usage;
use crate::view::JobView;

/// Copies of a group whose decision is explained one by one; further ones share the last explanation, which says so.
const EXPLAINED: u64 = 10;

/// Failed copies that fall due within this span are replaced together.
const BATCH: GoDuration = GoDuration::from_secs(5);

/// Ordinals of ids: allocations count from 0, evaluations from here.
const EVAL_ORDINALS: u64 = 1 << 40;

/// Why something is decided later.
struct Wait {
    trigger: &'static str,
    /// Of the evaluation.
    description: &'static str,
    /// Of the allocation.
    reason: &'static str,
    client_status: Option<ClientStatus>,
}

const FAILED: Wait = Wait {
    trigger: trigger::ALLOC_FAILURE,
    description: "waits to replace a failed allocation",
    reason: "",
    client_status: None,
};

const OUT_OF_REACH: Wait = Wait {
    trigger: trigger::MAX_DISCONNECT_TIMEOUT,
    description: "waits for a node that is out of reach",
    reason: "alloc is unknown since its node is out of reach",
    client_status: Some(ClientStatus::Unknown),
};

/// What is to be done, group by group. Empty when the job is stopped or gone.
pub(crate) struct Todo<'a> {
    pub groups: Vec<(&'a CompiledGroup, Changes<'a>)>,
}

/// A plan in the making.
pub(crate) struct Draft<'a> {
    pub table: &'a NodeTable,
    pub view: &'a JobView<'a>,
    pub now: Timestamp,
    seed: Seed,
    index: u64,
    overlay: Overlay<'a>,
    usage: Usage,
    plan: Plan,
    evals_made: u64,
    failed: BTreeMap<String, AllocMetric>,
    allocs: BTreeMap<AllocId, &'a Allocation>,
}

impl<'a> Draft<'a> {
    /// An empty plan for `eval`.
    pub fn new(
        table: &'a NodeTable,
        view: &'a JobView<'a>,
        eval: &Evaluation,
        now: Timestamp,
        seed: Seed,
        index: u64,
    ) -> Draft<'a> {
        let eval = Evaluation {
            status: EvalStatus::Complete,
            status_description: String::new(),
            snapshot_index: index,
            failed_tg_allocs: BTreeMap::new(),
            queued_allocations: BTreeMap::new(),
            annotations: BTreeMap::new(),
            blocked_eval: None,
            ..eval.clone()
        };
        let all_at_once = view.job.is_some_and(|job| job.all_at_once);
        Draft {
            table,
            view,
            now,
            seed,
            index,
            overlay: Overlay::new(table),
            usage: Usage::of(table, view),
            plan: Plan { eval, all_at_once, base_index: index, ..Plan::default() },
            evals_made: 0,
            failed: BTreeMap::new(),
            allocs: view.allocs.iter().map(|alloc| (alloc.id, *alloc)).collect(),
        }
    }

    /// The job, unless it is stopped or gone.
    fn live_job(&self) -> Option<&'a CompiledJob> {
        self.view.job.filter(|job| !job.stopped)
    }

    /// Stops what no group of the job claims: everything when it is stopped or gone.
    pub fn stop_leftovers(&mut self) {
        let leftovers = match self.live_job() {
            Some(job) => reconcile::leftovers(self.view, job),
            None => self.view.allocs.clone(),
        };
        let mut groups: BTreeMap<&str, Vec<&Allocation>> = BTreeMap::new();
        for alloc in leftovers {
            groups.entry(&alloc.task_group).or_default().push(alloc);
        }
        for (group, allocs) in groups {
            let changes = reconcile::stop_all(self.table, allocs.into_iter());
            if !changes.stops.is_empty() {
                self.plan.eval.annotations.insert(group.to_owned(), Box::new(changes.counts.clone()));
            }
            self.apply_stops(&changes);
        }
    }

    /// What each group needs, before places are looked for.
    pub fn reconcile_groups(&self) -> Todo<'a> {
        let Some(job) = self.live_job() else { return Todo { groups: Vec::new() } };
        let changes = |group: &'a CompiledGroup| match job.kind.is_system() {
            true => system::reconcile(self.view, job, group, self.table, &self.plan.eval, self.now),
            false => reconcile::reconcile(self.view, job, group, self.table, self.now),
        };
        Todo { groups: job.groups.iter().map(|group| (group, changes(group))).collect() }
    }

    /// Takes out what stops in any case, so that every group sees the room that will be.
    pub fn release(&mut self, todo: &Todo<'a>) {
        for (_, changes) in &todo.groups {
            self.apply_stops(changes);
        }
    }

    fn apply_stops(&mut self, changes: &Changes<'_>) {
        for stop in &changes.stops {
            let client_status = stop.lost.then_some(ClientStatus::Lost);
            self.stop(stop.id, stop.why, client_status);
            self.overlay.stop(stop.id);
            let Some(alloc) = self.allocs.get(&stop.id) else { continue };
            if let Some(slot) = self.table.slot(alloc.node_id)
                && !alloc.is_terminal()
            {
                self.usage.remove(slot, &alloc.task_group);
            }
        }
    }

    fn stop(&mut self, id: AllocId, why: &str, client_status: Option<ClientStatus>) {
        let stop = PlannedStop { id, description: why.to_owned(), client_status, followup_eval_id: None };
        self.plan.stops.push(stop);
    }

    /// Finds places, group by group in the job's order.
    pub fn place_groups(&mut self, todo: Todo<'a>) {
        let Some(job) = self.live_job() else { return };
        for (ordinal, (group, changes)) in todo.groups.into_iter().enumerate() {
            self.plan.eval.annotations.insert(group.name.clone(), Box::new(changes.counts.clone()));
            self.plan.eval.queued_allocations.insert(group.name.clone(), 0);
            for alloc in &changes.in_place {
                self.go_on(alloc, job.version, job.priority);
            }
            for alloc in &changes.resumed {
                self.go_on(alloc, alloc.job_version, alloc.priority);
            }
            self.delay(&changes.later, &FAILED);
            self.delay(&changes.unknown, &OUT_OF_REACH);
            let seed = self.seed.child(ordinal as u64);
            if changes.nowhere {
                self.fail_everywhere(job, group, seed);
            }
            self.place_versions(job, group, changes.wants, seed);
        }
    }

    fn go_on(&mut self, alloc: &Allocation, job_version: u64, priority: i64) {
        let eval_id = self.plan.eval.id;
        let row = Allocation { job_version, priority, eval_id, unknown_since: None, ..alloc.clone() };
        self.plan.in_place.push(row);
    }

    /// Copies of the current version, then those that stay in an older one while it is tried.
    fn place_versions(&mut self, job: &CompiledJob, group: &CompiledGroup, wants: Vec<Want<'a>>, seed: Seed) {
        let mut by_version: BTreeMap<Option<u64>, Vec<Want<'a>>> = BTreeMap::new();
        for want in wants {
            by_version.entry(want.version).or_default().push(want);
        }
        for (version, wants) in by_version {
            let old = version.and_then(|version| (self.view.documents)(version));
            let old = old.as_ref().map(|old| old.compiled().as_ref());
            match old.and_then(|old| Some((old, old.group(&group.name)?))) {
                Some((old, group)) => self.place_group(old, group, wants, seed.child(old.version)),
                None => self.place_group(job, group, wants, seed),
            }
        }
    }

    /// No node may run a copy: says why of each, and waits for one that may.
    fn fail_everywhere(&mut self, job: &CompiledJob, group: &CompiledGroup, seed: Seed) {
        let picker = Picker::new(&mut self.overlay, &mut self.usage, self.view, job, group, seed);
        let metric = explain::metric(&picker, &Scope::All);
        self.fail(&group.name, metric);
    }

    fn place_group(&mut self, job: &CompiledJob, group: &CompiledGroup, wants: Vec<Want<'a>>, seed: Seed) {
        let mut overlay = std::mem::replace(&mut self.overlay, Overlay::new(self.table));
        let mut usage = std::mem::take(&mut self.usage);
        let mut picker = Picker::new(&mut overlay, &mut usage, self.view, job, group, seed);
        let mut explained = 0;
        let mut last: Option<Arc<AllocMetric>> = None;
        let mut shared: Option<Arc<AllocMetric>> = None;
        let mut failures = 0;
        let mut full = BTreeMap::new();
        for want in wants {
            // Once nothing fits, nothing will: only a swap frees room of its own.
            let alike = want.swaps.is_none() && want.only.is_none() && want.penalty.is_empty();
            if failures > 0 && alike && !picker.rules.depends_on_copy() {
                self.count_failure(&group.name);
                continue;
            }
            let replaces = want.previous.map(|previous| previous.id);
            let sticky = want.previous.filter(|_| group.sticky_disk && !want.reschedules);
            let request = Request {
                replaces,
                penalty: want.penalty.clone(),
                prefer: sticky.map(|previous| previous.node_id),
                only: want.only,
                index: reconcile::names::index(&want.name),
                terse: explained >= EXPLAINED,
            };
            let swapped = want.previous.filter(|previous| want.swaps.is_some() && previous.is_live());
            if let Some(previous) = swapped {
                picker.release(previous.id);
            }
            match picker.pick(&request) {
                Ok(pick) => {
                    explained += 1;
                    let metrics = match &pick.metrics {
                        Some(own) => {
                            (last, shared) = (Some(own.clone()), None);
                            last.clone()
                        }
                        None => {
                            let lent = || last.as_deref().map(|last| explain::lent(last, self.plan.eval.id));
                            shared = shared.or_else(|| lent().map(Arc::new));
                            shared.clone()
                        }
                    };
                    if let (Some(previous), Some(why)) = (want.previous, want.swaps) {
                        self.stop(previous.id, why, None);
                    }
                    self.count_preemptions(&group.name, pick.victims.len());
                    let alloc = self.allocation(job, group, &want, pick, metrics);
                    let preempted = alloc.preempted.iter().map(|victim| Preemption { victim: *victim, by: alloc.id });
                    self.plan.preemptions.extend(preempted);
                    self.plan.placements.push(alloc);
                }
                Err(metric) => {
                    full.extend(want.only.map(|slot| (slot, picker.seen(slot))));
                    if let Some(previous) = swapped {
                        picker.restore(previous.id);
                    }
                    failures += 1;
                    self.fail(&group.name, *metric);
                }
            }
        }
        // Copies that are bound to a node each fail for reasons of their own.
        if full.len() > 1
            && let Some(failed) = self.failed.get_mut(&group.name)
        {
            let metric = explain::metric(&picker, &Scope::These(full.into_values().collect()));
            *failed = AllocMetric { coalesced_failures: failed.coalesced_failures, ..metric };
        }
        self.overlay = overlay;
        self.usage = usage;
    }

    /// One copy of the group found no place; the first explanation serves for all.
    fn fail(&mut self, group: &str, metric: AllocMetric) {
        if self.failed.contains_key(group) {
            return self.count_failure(group);
        }
        self.failed.insert(group.to_owned(), metric);
        *self.plan.eval.queued_allocations.entry(group.to_owned()).or_insert(0) += 1;
    }

    fn count_failure(&mut self, group: &str) {
        if let Some(metric) = self.failed.get_mut(group) {
            metric.coalesced_failures += 1;
        }
        *self.plan.eval.queued_allocations.entry(group.to_owned()).or_insert(0) += 1;
    }

    fn count_preemptions(&mut self, group: &str, victims: usize) {
        if let Some(counts) = self.plan.eval.annotations.get_mut(group) {
            counts.preemptions += victims as u64;
        }
    }

    fn allocation(
        &self,
        job: &CompiledJob,
        group: &CompiledGroup,
        want: &Want<'_>,
        pick: Pick,
        metrics: Option<Arc<AllocMetric>>,
    ) -> Allocation {
        let node = self.table.info(pick.slot);
        let previous = want.previous.filter(|previous| previous.task_group == group.name);
        let tracker = match previous {
            Some(previous) if want.reschedules => Some(reschedule::tracker(previous, &group.reschedule, self.now)),
            Some(previous) if want.swaps != Some(why::UPDATED) => previous.reschedule_tracker.clone(),
            _ => None,
        };
        Allocation {
            id: AllocId::placed(self.seed, self.plan.placements.len() as u64),
            name: want.name.clone(),
            job: job.key.clone(),
            job_create_index: job.create_index,
            job_version: job.version,
            task_group: group.name.clone(),
            eval_id: self.plan.eval.id,
            node_id: node.id,
            node_name: node.name.clone(),
            grant: grant(group, node, pick.given.ports, pick.given.exclusive, self.view.config),
            priority: job.priority,
            canary: want.canary,
            preempted: pick.victims.iter().map(|victim| victim.id).collect(),
            metrics,
            desired_status: DesiredStatus::Run,
            desired_transition: DesiredTransition::default(),
            previous_allocation: previous.map(|previous| previous.id),
            starts_after: pick.given.starts_after,
            reschedule_tracker: tracker,
            client_status: ClientStatus::Pending,
            create_time: self.now,
            modify_time: self.now,
            ..Allocation::default()
        }
    }

    /// Copies whose fate is decided later: one evaluation for all that fall due within [`BATCH`].
    fn delay(&mut self, later: &[(Timestamp, &Allocation)], wait: &Wait) {
        let mut later = later.to_vec();
        later.sort_by_key(|(due, alloc)| (*due, alloc.id));
        let mut batch: Option<(Timestamp, EvalId)> = None;
        for (due, alloc) in later {
            let eval_id = match batch {
                Some((first, id)) if due.since(first) <= BATCH => {
                    if let Some(eval) = self.plan.follow_ups.iter_mut().find(|eval| eval.id == id) {
                        eval.wait_until = Some(due);
                    }
                    id
                }
                _ => {
                    let eval = Evaluation {
                        wait_until: Some(due),
                        status_description: wait.description.to_owned(),
                        ..self.follow_up(wait.trigger, EvalStatus::Pending)
                    };
                    batch = Some((due, eval.id));
                    self.plan.follow_ups.push(eval);
                    self.plan.follow_ups.last().map(|eval| eval.id).unwrap_or_default()
                }
            };
            self.plan.stops.push(PlannedStop {
                id: alloc.id,
                description: wait.reason.to_owned(),
                client_status: wait.client_status,
                followup_eval_id: Some(eval_id),
            });
        }
    }

    fn follow_up(&mut self, triggered_by: &str, status: EvalStatus) -> Evaluation {
        self.evals_made += 1;
        let eval = &self.plan.eval;
        Evaluation {
            id: EvalId::derive(self.seed, EVAL_ORDINALS + self.evals_made),
            priority: self.view.job.map_or(eval.priority, |job| job.priority),
            kind: self.view.job.map_or_else(|| eval.kind.clone(), |job| job.kind.as_str().to_owned()),
            triggered_by: triggered_by.to_owned(),
            job: self.view.key.clone(),
            job_modify_index: self.view.job.map_or(eval.job_modify_index, |job| job.job_modify_index),
            status,
            previous_eval: Some(eval.id),
            snapshot_index: self.index,
            create_time: self.now,
            modify_time: self.now,
            ..Evaluation::default()
        }
    }

    /// Adds the blocked evaluation for what found no place.
    pub fn finish(mut self) -> Plan {
        let failed = std::mem::take(&mut self.failed);
        if failed.is_empty() {
            return self.plan;
        }
        self.plan.eval.failed_tg_allocs = failed.into_iter().map(|(group, metric)| (group, Arc::new(metric))).collect();
        let blocked = Evaluation {
            status_description: "created to place remaining allocations".to_owned(),
            failed_tg_allocs: self.plan.eval.failed_tg_allocs.clone(),
            queued_allocations: self.plan.eval.queued_allocations.clone(),
            ..self.follow_up(trigger::QUEUED_ALLOCS, EvalStatus::Blocked)
        };
        self.plan.eval.blocked_eval = Some(blocked.id);
        self.plan.follow_ups.push(blocked);
        self.plan
    }
}

fn grant(
    group: &CompiledGroup,
    node: &NodeInfo,
    ports: Vec<model::allocation::AllocatedPort>,
    mut exclusive: ExclusiveGrant,
    config: &SchedulerConfiguration,
) -> Grant {
    let tasks = group.tasks.iter().map(|task| {
        let grant = TaskGrant {
            cpu: task.cpu + task.cores * node.core_mhz,
            memory_mb: task.memory_mb + task.secrets_mb,
            memory_max_mb: if config.memory_oversubscription_enabled { task.memory_max_mb } else { 0 },
            hook: task.hook,
            sidecar: task.sidecar,
            cores: exclusive.cores.remove(&task.name).unwrap_or_default(),
            devices: exclusive.devices.remove(&task.name).unwrap_or_default(),
        };
        (task.name.clone(), grant)
    });
    Grant { tasks: tasks.collect(), disk_mb: group.disk_mb, ports, volumes: exclusive.volumes }
}
