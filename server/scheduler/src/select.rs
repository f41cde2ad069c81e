//! Chooses the best node for copies of one group: every node is checked and scored.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::compiled::{CompiledGroup, CompiledJob};
use model::id::{AllocId, NodeId, Seed};
use model::job::Job;
use model::metric::AllocMetric;

use crate::explain;
use crate::feasible::distinct::Distinct;
use crate::feasible::{Rejection, Rules};
use crate::overlay::{Ask, Given, Overlay, Shortage};
use crate::score::affinity::Affinities;
use crate::score::spread::Spreads;
use crate::score::{Parts, anti_affinity, binpack};
use crate::usage::Usage;

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
    /// Whether the explanation of an earlier copy serves for this one.
    pub terse: bool,
}

/// A node with what a copy was given there.
pub(crate) struct Pick {
    pub slot: usize,
    pub given: Given,
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
}

impl<'a, 'o, 't> Picker<'a, 'o, 't> {
    /// Looks at every node once.
    pub fn new(
        overlay: &'o mut Overlay<'t>,
        usage: &'o mut Usage,
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
        };
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
        self.norms[slot] = match &state {
            State::Fit(parts) => parts.norm(),
            _ => f64::NEG_INFINITY,
        };
        self.states[slot] = state;
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
        if let Err(shortage) = self.overlay.fit(slot, &self.ask) {
            return State::Short(shortage);
        }
        let free = self.overlay.room_in_the_end(slot).minus(self.ask.room(table.info(slot).core_mhz));
        let others = self.usage.on_node(slot, Some(group));
        let system = self.job.kind.is_system();
        State::Fit(Parts {
            binpack: binpack::score(table.capacity(slot), free),
            anti_affinity: if system { 0.0 } else { anti_affinity(others, self.group.count) },
            reschedule_penalty: 0.0,
            affinity: self.affinity.as_ref().map(|scores| scores[slot]),
            spread: self.spreads.as_ref().map_or(0.0, |spreads| spreads.score(slot)),
        })
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

    /// Places one copy on the best node.
    ///
    /// # Errors
    /// Why it fits nowhere.
    pub fn pick(&mut self, request: &Request) -> Result<Pick, Box<AllocMetric>> {
        let slots: Vec<usize> = request.penalty.iter().filter_map(|node| self.overlay.table.slot(*node)).collect();
        self.set_penalty(&slots, -1.0);
        let best = self.best(request);
        let metrics = match best {
            Some(_) if request.terse => None,
            _ => Some(explain::metric(self, request.only)),
        };
        let pick = best.and_then(|slot| {
            let seed = self.seed.child(self.picks);
            let given = self.overlay.place(slot, &self.ask, request.replaces, seed)?;
            Some(Pick { slot, given, metrics: metrics.clone().map(Arc::new) })
        });
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
