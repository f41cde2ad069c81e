//! Evaluations that wait for room: which of them a change of one node can help.
//!
//! They are kept by what they ask for, so that a node which gains room is looked at once for each kind of ask that is
//! small enough, however many wait. (Those that may take room from others are each looked at.) It wakes, by priority and
//! age, as many as its room has space for. What those leave, because they went elsewhere, is offered to the others as soon
//! as they were planned ([`BlockedEvals::offer_again`]).

use std::collections::{BTreeMap, BTreeSet};

use model::compiled::{CompiledGroup, CompiledJob};
use model::evaluation::{EvalStatus, Evaluation};
use model::id::{EvalId, JobKey, NodeId, Seed};
use model::scheduling::Algorithm;

use crate::NodeTable;
use crate::feasible::Rules;
use crate::memo::Signature;
use crate::overlay::{Ask, Overlay};
use crate::preempt;

/// Names a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ShapeKey {
    /// CPU in MHz: those too large for a node are passed over.
    cpu: i64,
    /// Different for most that differ.
    print: u64,
    number: u64,
}

/// What some of those who wait ask for.
#[derive(Clone, Debug)]
struct Shape {
    signature: Signature,
    /// A job that asks for it, with the one group that does.
    job: CompiledJob,
    members: BTreeSet<Turn>,
    /// How many of them may take room from others.
    preempting: usize,
}

/// The order in which those who wait are served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    inverse_priority: i64,
    create_index: u64,
    id: EvalId,
    job: JobKey,
}

/// A blocked evaluation.
#[derive(Clone, Debug)]
struct Waiting {
    eval: Evaluation,
    /// The shapes of its groups that wait, and how many copies of each.
    wants: Vec<(ShapeKey, u64)>,
    /// The highest priority of allocations that may have to make way for it; none when none may.
    preempts_up_to: Option<i64>,
}

impl Waiting {
    fn turn(&self) -> Turn {
        let Evaluation { priority, create_index, id, job, .. } = &self.eval;
        Turn { inverse_priority: -priority, create_index: *create_index, id: *id, job: job.clone() }
    }

    fn wants(&self, shape: ShapeKey) -> u64 {
        self.wants.iter().filter(|(key, _)| *key == shape).map(|(_, copies)| copies).sum()
    }
}

/// Blocked evaluations, at most one of a job.
#[derive(Clone, Debug, Default)]
pub struct BlockedEvals {
    by_job: BTreeMap<JobKey, Waiting>,
    by_id: BTreeMap<EvalId, JobKey>,
    shapes: BTreeMap<ShapeKey, Shape>,
    shapes_made: u64,
    /// Shapes of which some may take room from others.
    preempting: BTreeSet<ShapeKey>,
    /// Index of the last change of each node, for changes between the making of a plan and its blocking.
    changed: BTreeMap<NodeId, u64>,
    /// Nodes that have woken somebody, who perhaps does not use them.
    offered: BTreeSet<NodeId>,
    /// Those who were woken and are not planned yet.
    awake: BTreeSet<EvalId>,
    /// Changes up to this index are not known.
    since: u64,
}

/// What became of an evaluation given to [`BlockedEvals::block`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocked {
    /// A node changed after the plan was made and may have room: the evaluation is pending again and not kept.
    pub woken: Option<Evaluation>,
    /// The blocked evaluation of the same job that it replaces, as cancelled.
    pub replaced: Option<Evaluation>,
}

impl BlockedEvals {
    /// Nothing blocked.
    pub fn new() -> BlockedEvals {
        BlockedEvals::default()
    }

    /// Nothing blocked, and nothing known of what changed up to `index`.
    pub fn since(index: u64) -> BlockedEvals {
        BlockedEvals { since: index, ..BlockedEvals::default() }
    }

    /// Keeps a blocked evaluation of `job` until a node that fits one of its unplaced groups (`queued_allocations`)
    /// gains room. `eval.snapshot_index` is the state its plan was made from; `preempts` whether jobs of its type may
    /// take room from less important ones.
    pub fn block(&mut self, eval: Evaluation, job: &CompiledJob, table: &NodeTable, preempts: bool) -> Blocked {
        let replaced = match self.by_job.get(&eval.job) {
            Some(known) if known.eval.id == eval.id => {
                self.take(&eval.job);
                None
            }
            _ => self.job_changed(&eval.job),
        };
        let copies = |group: &CompiledGroup| eval.queued_allocations.get(&group.name).copied().unwrap_or(0);
        let groups = job.groups.iter().filter(|group| copies(group) > 0);
        let wants: Vec<(ShapeKey, u64)> = groups.map(|group| (self.shape_of(job, group), copies(group))).collect();
        let preempts_up_to = preempts.then(|| preempt::highest_priority(job));
        let waiting = Waiting { eval, wants, preempts_up_to };
        let key = waiting.eval.job.clone();
        let seen = waiting.eval.snapshot_index;
        self.put(waiting);
        let late = self.changed.iter().filter(|(_, index)| **index > seen);
        if seen < self.since || late.map(|(node, _)| *node).any(|node| self.is_helped_by(&key, table, node)) {
            let woken = self.take(&key).map(|waiting| wake(waiting.eval));
            return Blocked { woken, replaced };
        }
        Blocked { woken: None, replaced }
    }

    /// A node was added, changed, or gained room at `index`: the evaluations to plan again, as pending, the highest
    /// priority first. They are no longer kept.
    pub fn node_changed(&mut self, table: &NodeTable, node: NodeId, index: u64) -> Vec<Evaluation> {
        if table.slot(node).is_none() {
            self.changed.remove(&node);
            return Vec::new();
        }
        self.changed.insert(node, index);
        self.offer(table, node)
    }

    /// An evaluation was planned, or will not be.
    pub fn planned(&mut self, id: EvalId) {
        self.awake.remove(&id);
    }

    /// Whether all who were woken have been planned, and left room perhaps: others have waited longer for it than those
    /// in the queue.
    pub fn has_more_to_offer(&self) -> bool {
        self.awake.is_empty() && !self.offered.is_empty()
    }

    /// Offers what those who were woken have left of the nodes that woke them. As [`BlockedEvals::node_changed`].
    pub fn offer_again(&mut self, table: &NodeTable) -> Vec<Evaluation> {
        let nodes = std::mem::take(&mut self.offered);
        nodes.into_iter().flat_map(|node| self.offer(table, node)).collect()
    }

    /// Wakes those for whom the node has room, one after the other, as if each took its part.
    fn offer(&mut self, table: &NodeTable, node: NodeId) -> Vec<Evaluation> {
        let Some(slot) = table.slot(node).filter(|slot| table.info(*slot).schedulable) else { return Vec::new() };
        let index = self.changed.get(&node).copied().unwrap_or(0);
        let mut overlay = Overlay::new(table);
        let mut turns: BTreeSet<(Turn, ShapeKey)> = BTreeSet::new();
        for (key, shape) in self.shapes_for(&overlay, slot) {
            // The cheap question first: rules have patterns to compile.
            let may_fit = shape.preempting > 0 || overlay.fit(slot, &shape.ask()).is_ok();
            if let Some(first) = shape.members.first().filter(|_| may_fit && shape.admits(table, slot)) {
                turns.insert((first.clone(), *key));
            }
        }
        let mut helped = Vec::new();
        while let Some((turn, key)) = turns.pop_first() {
            let (Some(shape), Some(waiting)) = (self.shapes.get(&key), self.by_job.get(&turn.job)) else { continue };
            let ask = shape.ask();
            // Who has looked at the node since it changed knows why it does not help.
            let knows = waiting.eval.snapshot_index >= index;
            let copies = if knows { 0 } else { waiting.wants(key) };
            let mut fits = (0..copies).take_while(|_| overlay.place(slot, &ask, &[], Seed::default()).is_some());
            let is_helped = fits.next().is_some();
            fits.for_each(drop);
            let takes = !knows && waiting.preempts_up_to.is_some_and(|highest| overlay.may_fit(slot, &ask, highest));
            if is_helped || takes {
                helped.push(turn.clone());
            } else if !knows && shape.preempting == 0 {
                // What does not fit for one fits for nobody who asks for the same.
                continue;
            }
            let behind = (std::ops::Bound::Excluded(&turn), std::ops::Bound::Unbounded);
            if let Some(next) = shape.members.range(behind).next() {
                turns.insert((next.clone(), key));
            }
        }
        if !helped.is_empty() {
            self.offered.insert(node);
        }
        self.awake.extend(helped.iter().map(|turn| turn.id));
        helped.sort();
        helped.iter().filter_map(|turn| self.take(&turn.job)).map(|waiting| wake(waiting.eval)).collect()
    }

    /// Shapes that are not too large for the node.
    fn shapes_for(&self, overlay: &Overlay<'_>, slot: usize) -> impl Iterator<Item = (&ShapeKey, &Shape)> {
        let up_to = |cpu: i64| ShapeKey { cpu, print: u64::MAX, number: u64::MAX };
        let (free, all) = (overlay.room_in_the_end(slot).cpu, overlay.table.capacity(slot).cpu);
        let preempting = self.preempting.range(..=up_to(all)).filter(move |key| key.cpu > free);
        self.shapes.range(..=up_to(free)).chain(preempting.filter_map(|key| self.shapes.get_key_value(key)))
    }

    /// Whether a new copy of one of the groups that wait could go to the node. Other copies of the job are not looked at:
    /// that one of them is in the way is not seen, nor that it would make way for its successor.
    fn is_helped_by(&self, job: &JobKey, table: &NodeTable, node: NodeId) -> bool {
        let Some(slot) = table.slot(node).filter(|slot| table.info(*slot).schedulable) else { return false };
        let Some(waiting) = self.by_job.get(job) else { return false };
        let overlay = Overlay::new(table);
        waiting.wants.iter().filter_map(|(key, _)| self.shapes.get(key)).any(|shape| {
            // The cheap question first: rules have patterns to compile.
            let ask = shape.ask();
            let takes = waiting.preempts_up_to.is_some_and(|highest| overlay.may_fit(slot, &ask, highest));
            (takes || overlay.fit(slot, &ask).is_ok()) && shape.admits(table, slot)
        })
    }

    /// The shape of a group; a new one when nobody waits for the like.
    fn shape_of(&mut self, job: &CompiledJob, group: &CompiledGroup) -> ShapeKey {
        let signature = Signature::of(job, group, Algorithm::default());
        let first = ShapeKey { cpu: group.cpu(), print: fingerprint(job, group), number: 0 };
        let mut known = self.shapes.range(first..=ShapeKey { number: u64::MAX, ..first });
        if let Some((key, _)) = known.find(|(_, shape)| shape.signature == signature) {
            return *key;
        }
        self.shapes_made += 1;
        let key = ShapeKey { number: self.shapes_made, ..first };
        let job = CompiledJob { groups: [group.clone()].into(), ..job.clone() };
        self.shapes.insert(key, Shape { signature, job, members: BTreeSet::new(), preempting: 0 });
        key
    }

    fn put(&mut self, waiting: Waiting) {
        let preempts = waiting.preempts_up_to.is_some();
        for (key, _) in &waiting.wants {
            if let Some(shape) = self.shapes.get_mut(key)
                && shape.members.insert(waiting.turn())
                && preempts
            {
                shape.preempting += 1;
                self.preempting.insert(*key);
            }
        }
        self.by_id.insert(waiting.eval.id, waiting.eval.job.clone());
        self.by_job.insert(waiting.eval.job.clone(), waiting);
    }

    fn take(&mut self, job: &JobKey) -> Option<Waiting> {
        let waiting = self.by_job.remove(job)?;
        self.by_id.remove(&waiting.eval.id);
        let preempts = waiting.preempts_up_to.is_some();
        for (key, _) in &waiting.wants {
            let Some(shape) = self.shapes.get_mut(key) else { continue };
            let was_member = shape.members.remove(&waiting.turn());
            shape.preempting -= usize::from(was_member && preempts);
            if shape.preempting == 0 {
                self.preempting.remove(key);
            }
            if shape.members.is_empty() {
                self.shapes.remove(key);
            }
        }
        Some(waiting)
    }

    /// The job was registered again, stopped or purged: its blocked evaluation, as cancelled, is no longer kept.
    pub fn job_changed(&mut self, job: &JobKey) -> Option<Evaluation> {
        let eval = self.take(job)?.eval;
        let status_description = "overtaken by a newer evaluation of the job".to_owned();
        Some(Evaluation { status: EvalStatus::Cancelled, status_description, ..eval })
    }

    /// The rules have changed: all of them as pending, the highest priority first. They are no longer kept.
    pub fn take_all(&mut self) -> Vec<Evaluation> {
        let mut turns: Vec<Turn> = self.by_job.values().map(Waiting::turn).collect();
        turns.sort();
        turns.iter().filter_map(|turn| self.take(&turn.job)).map(|waiting| wake(waiting.eval)).collect()
    }

    /// Takes an evaluation out, for example because it was garbage collected.
    pub fn remove(&mut self, id: EvalId) {
        self.awake.remove(&id);
        if let Some(job) = self.by_id.get(&id).cloned() {
            self.take(&job);
        }
    }

    /// Number of blocked evaluations.
    pub fn len(&self) -> usize {
        self.by_job.len()
    }

    /// Whether nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.by_job.is_empty()
    }
}

fn wake(eval: Evaluation) -> Evaluation {
    Evaluation { status: EvalStatus::Pending, ..eval }
}

/// A number that is the same for what asks for the same (FNV-1a over the parts in which jobs usually differ).
fn fingerprint(job: &CompiledJob, group: &CompiledGroup) -> u64 {
    let numbers = [group.memory_mb(), group.disk_mb].map(|number| number.to_string());
    let ports = group.ports.iter().filter_map(|port| port.static_port).map(|port| port.to_string());
    let constraints =
        group.constraints.iter().flat_map(|c| [c.l_target.clone(), c.operand.clone(), c.r_target.clone()]);
    let places = std::iter::once(&job.node_pool).chain(&job.datacenters).cloned();
    let parts = numbers.into_iter().chain(ports).chain(constraints).chain(places);
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    parts.fold(0xcbf2_9ce4_8422_2325, |hash, part| mix(part.bytes().fold(hash, mix), 0))
}

impl Shape {
    fn ask(&self) -> Ask<'_> {
        Ask::of(&self.job.groups[0])
    }

    /// Whether the node itself may run a copy.
    fn admits(&self, table: &NodeTable, slot: usize) -> bool {
        Rules::of(&self.job, &self.job.groups[0]).admit(table.info(slot))
    }
}
