//! Chooses the best node for copies of one group: every node is checked and scored.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::compiled::{CompiledGroup, CompiledJob};
use model::id::{AllocId, NodeId, Seed};
use model::job::Job;
use model::metric::AllocMetric;
use model::scheduling::SchedulerConfiguration;

use crate::explain;
use crate::feasible::distinct::Distinct;
use crate::feasible::{Rejection, Rules, exclusive_volumes};
use crate::overlay::{Ask, Given, Overlay, Shortage};
use crate::preempt::{self, Victims};
use crate::score::affinity::Affinities;
use crate::score::spread::Spreads;
use crate::score::{Parts, anti_affinity, fit};
use crate::table::Room;
use crate::usage::Usage;
use crate::view::{JobView, Neighbour};

/// What is known of one node for this group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// Another pool or datacenter, or not schedulable: not looked at.
    Apart,
    /// It may not run a copy.
    Rejected(Rejection),
    /// It may, but a copy does not fit.
    Short(Shortage),
    /// It may and it fits.
    Fit(Parts),
}

/// One copy to place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The allocation whose room is given on first.
    pub replaces: Option<AllocId>,
    /// Nodes where earlier copies failed.
    pub penalty: Vec<NodeId>,
    /// The node to prefer when it fits (sticky disk).
    pub prefer: Option<NodeId>,
    /// Only this node will do (system jobs).
    pub only: Option<usize>,
    /// The copy's index, which the names of volumes may depend on.
    pub index: u32,
    /// Whether the explanation of an earlier copy serves for this one.
    pub terse: bool,
}

/// A node with what a copy was given there.
pub(crate) struct Pick {
    pub slot: usize,
    pub given: Given,
    /// Those that have to go for it.
    pub victims: Vec<Neighbour>,
    pub metrics: Option<Arc<AllocMetric>>,
}

/// Places copies of one group, one after the other.
pub(crate) struct Picker<'a, 'o, 't> {
    pub overlay: &'o mut Overlay<'t>,
    pub usage: &'o mut Usage,
    pub job: &'a CompiledJob,
    pub group: &'a CompiledGroup,
    pub ask: Ask<'a>,
    pub rules: Rules<'a>,
    pub distinct: Distinct,
    pub property_counts: Vec<BTreeMap<String, u64>>,
    affinity: Option<Vec<f64>>,
    spreads: Option<Spreads>,
    /// What the node alone decides, once per group.
    fixed: Vec<Result<(), State>>,
    pub states: Vec<State>,
    norms: Vec<f64>,
    start: usize,
    seed: Seed,
    picks: u64,
    config: &'a SchedulerConfiguration,
    neighbours: &'a dyn Fn(NodeId) -> Vec<Neighbour>,
    /// Index of the copy that is placed, when feasibility depends on it.
    copy: Option<u32>,
}

impl<'a, 'o, 't> Picker<'a, 'o, 't> {
    /// Looks at every node once.
    pub fn new(
        overlay: &'o mut Overlay<'t>,
        usage: &'o mut Usage,
        view: &JobView<'a>,
        job: &'a CompiledJob,
        group: &'a CompiledGroup,
        document: Option<&Job>,
        seed: Seed,
    ) -> Picker<'a, 'o, 't> {
        let table = overlay.table;
        let rules = Rules::of(job, group);
        let fixed = table.infos().iter().map(|node| {
            if !node.schedulable || !rules.concerns(node) {
                return Err(State::Apart);
            }
            rules.check(node).map_err(State::Rejected)
        });
        let fixed: Vec<_> = fixed.collect();
        let affinities = if job.kind.is_system() { None } else { Affinities::of(&group.affinities) };
        let affinity = affinities.map(|a| table.infos().iter().map(|node| a.score(node)).collect());
        let mut picker = Picker {
            ask: Ask::of(group),
            distinct: Distinct::of(job, group, document),
            property_counts: Vec::new(),
            affinity,
            spreads: if job.kind.is_system() { None } else { Spreads::of(group, table) },
            states: vec![State::Apart; table.len()],
            norms: vec![f64::NEG_INFINITY; table.len()],
            start: if table.is_empty() { 0 } else { (seed.uuid(1) % table.len() as u128) as usize },
            overlay,
            usage,
            job,
            group,
            rules,
            fixed,
            seed,
            picks: 0,
            config: view.config,
            neighbours: view.neighbours,
            copy: None,
        };
        picker.ask.exclusive.volumes = exclusive_volumes(group, 0);
        picker.recount();
        picker.refresh_all();
        picker
    }

    fn recount(&mut self) {
        let table = self.overlay.table;
        self.property_counts = self.distinct.count(table, self.usage, &self.group.name);
        if let Some(spreads) = &mut self.spreads {
            spreads.recount(self.usage, &self.group.name);
        }
    }

    fn refresh_all(&mut self) {
        for slot in 0..self.states.len() {
            self.refresh(slot);
        }
    }

    fn refresh(&mut self, slot: usize) {
        let state = self.examine(slot);
        self.set_state(slot, state);
    }

    /// Checks and scores one node as the plan stands.
    fn examine(&self, slot: usize) -> State {
        if let Err(state) = &self.fixed[slot] {
            return state.clone();
        }
        let table = self.overlay.table;
        let group = &self.group.name;
        if let Err(rejection) = self.distinct.check(table, slot, self.usage, group, &self.property_counts) {
            return State::Rejected(rejection);
        }
        if let Some(index) = self.copy
            && let Err(rejection) = self.rules.check_copy(table.info(slot), index)
        {
            return State::Rejected(rejection);
        }
        if let Err(shortage) = self.overlay.fit(slot, &self.ask) {
            return State::Short(shortage);
        }
        let devices = self.overlay.device_score(slot, &self.ask);
        State::Fit(Parts { devices, ..self.parts(slot, Room::default()) })
    }

    /// The score of a node on which `freed` becomes free.
    fn parts(&self, slot: usize, freed: Room) -> Parts {
        let table = self.overlay.table;
        let ask = self.ask.room(table.info(slot).core_mhz);
        let free = self.overlay.room_in_the_end(slot).plus(freed).minus(ask);
        let (fit, balance) = fit::score(self.config.scheduler_algorithm, table.capacity(slot), free);
        let others = self.usage.on_node(slot, Some(&self.group.name));
        let system = self.job.kind.is_system();
        Parts {
            fit,
            balance,
            devices: None,
            preemption: None,
            anti_affinity: if system { 0.0 } else { anti_affinity(others, self.group.count) },
            reschedule_penalty: 0.0,
            affinity: self.affinity.as_ref().map(|scores| scores[slot]),
            spread: self.spreads.as_ref().map_or(0.0, |spreads| spreads.score(slot)),
        }
    }

    /// Looks at every node anew when what it must have depends on the copy.
    fn look_for(&mut self, index: u32) {
        if self.rules.depends_on_copy() && self.copy != Some(index) {
            self.copy = Some(index);
            self.ask.exclusive.volumes = exclusive_volumes(self.group, index);
            self.refresh_all();
        }
    }

    /// The replaced allocation no longer counts.
    pub fn release(&mut self, id: AllocId) {
        let Some(slot) = self.overlay.stop(id) else { return };
        self.usage.remove(slot, &self.group.name);
        self.changed(slot);
    }

    /// The allocation is not replaced after all.
    pub fn restore(&mut self, id: AllocId) {
        let Some(slot) = self.overlay.table.holding(id).and_then(|held| self.overlay.table.slot(held.node)) else {
            return;
        };
        self.overlay.keep(id);
        self.usage.add(slot, &self.group.name);
        self.changed(slot);
    }

    fn changed(&mut self, slot: usize) {
        self.recount();
        if self.distinct.reaches_across_nodes() {
            self.refresh_all();
            return;
        }
        self.refresh(slot);
        let Some(spreads) = &self.spreads else { return };
        for (slot, state) in self.states.iter_mut().enumerate() {
            if let State::Fit(parts) = state {
                parts.spread = spreads.score(slot);
                self.norms[slot] = parts.norm();
            }
        }
    }

    /// Places one copy on the best node; when it fits nowhere, perhaps in the place of others.
    ///
    /// # Errors
    /// Why it fits nowhere.
    pub fn pick(&mut self, request: &Request) -> Result<Pick, Box<AllocMetric>> {
        self.look_for(request.index);
        let slots: Vec<usize> = request.penalty.iter().filter_map(|node| self.overlay.table.slot(*node)).collect();
        self.set_penalty(&slots, -1.0);
        let mut best = self.best(request);
        let preempting = match best {
            None if self.config.preempts(self.job.kind) => self.preempt(request, &slots),
            _ => Vec::new(),
        };
        if !preempting.is_empty() {
            best = self.best(request);
        }
        let metrics = match best {
            Some(_) if request.terse => None,
            _ => Some(explain::metric(self, request.only)),
        };
        let pick = best.and_then(|slot| {
            let victims = preempting.iter().find(|(place, ..)| *place == slot).map(|(_, victims, _)| victims.clone());
            self.place(slot, request, victims.unwrap_or_default(), metrics.clone().map(Arc::new))
        });
        for (slot, _, state) in preempting {
            self.set_state(slot, state);
        }
        self.set_penalty(&slots, 0.0);
        self.picks += 1;
        match pick {
            Some(pick) => {
                self.usage.add(pick.slot, &self.group.name);
                self.changed(pick.slot);
                Ok(pick)
            }
            None => Err(Box::new(metrics.unwrap_or_else(|| explain::metric(self, request.only)))),
        }
    }

    fn place(
        &mut self,
        slot: usize,
        request: &Request,
        victims: Victims,
        metrics: Option<Arc<AllocMetric>>,
    ) -> Option<Pick> {
        let ids = victims.ids();
        for victim in &victims.all {
            self.overlay.stop(victim.id);
            *self.overlay.preempted.entry((victim.job.clone(), victim.group.clone())).or_insert(0) += 1;
        }
        let first: Vec<AllocId> = request.replaces.into_iter().chain(ids.iter().copied()).collect();
        let mut given = self.overlay.place(slot, &self.ask, &first, self.seed.child(self.picks))?;
        given.starts_after.extend(ids);
        given.starts_after = self.overlay.and_before(given.starts_after);
        Some(Pick { slot, given, victims: victims.all, metrics })
    }

    /// Marks every node on which the copy fits once less important ones go, with its score. Answers with them and what
    /// was known of them before.
    fn preempt(&mut self, request: &Request, penalised: &[usize]) -> Vec<(usize, Victims, State)> {
        let mut found = Vec::new();
        for slot in 0..self.states.len() {
            if request.only.is_some_and(|only| only != slot) || !matches!(self.states[slot], State::Short(_)) {
                continue;
            }
            let victims = preempt::choose(self.overlay, slot, &self.ask, self.job, self.neighbours);
            let Some(victims) = victims else { continue };
            let state = State::Fit(self.preempting_parts(slot, &victims, penalised.contains(&slot)));
            found.push((slot, victims, self.set_state(slot, state)));
        }
        found
    }

    fn preempting_parts(&self, slot: usize, victims: &Victims, penalised: bool) -> Parts {
        let room = |victim: &Neighbour| self.overlay.table.holding(victim.id).map(|held| held.room).unwrap_or_default();
        let freed = victims.all[..victims.holders].iter().fold(Room::default(), |sum, victim| sum.plus(room(victim)));
        let devices = match self.ask.exclusive.devices.is_empty() {
            true => None,
            false => self.overlay.device_score_without(slot, &self.ask, &victims.ids()),
        };
        Parts {
            devices,
            preemption: (!self.job.kind.is_system()).then(|| victims.score()),
            reschedule_penalty: if penalised { -1.0 } else { 0.0 },
            ..self.parts(slot, freed)
        }
    }

    fn set_state(&mut self, slot: usize, state: State) -> State {
        self.norms[slot] = match &state {
            State::Fit(parts) => parts.norm(),
            _ => f64::NEG_INFINITY,
        };
        std::mem::replace(&mut self.states[slot], state)
    }

    fn set_penalty(&mut self, slots: &[usize], penalty: f64) {
        for slot in slots {
            if let State::Fit(parts) = &mut self.states[*slot] {
                parts.reschedule_penalty = penalty;
                self.norms[*slot] = parts.norm();
            }
        }
    }

    fn best(&self, request: &Request) -> Option<usize> {
        let fits = |slot: usize| self.norms[slot] > f64::NEG_INFINITY;
        if let Some(slot) = request.only {
            return fits(slot).then_some(slot);
        }
        if let Some(slot) = request.prefer.and_then(|node| self.overlay.table.slot(node))
            && fits(slot)
        {
            return Some(slot);
        }
        let mut best = None;
        let mut score = f64::NEG_INFINITY;
        // Equal scores: the first one from a start that the seed gives.
        for slot in (self.start..self.norms.len()).chain(0..self.start) {
            if self.norms[slot] > score {
                score = self.norms[slot];
                best = Some(slot);
            }
        }
        best
    }
}
