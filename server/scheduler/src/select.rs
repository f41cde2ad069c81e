//! Chooses the best node for copies of one group: every node is checked and scored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::compiled::{CompiledGroup, CompiledJob};
use model::id::{AllocId, NodeId, Seed};
use model::metric::AllocMetric;
use model::scheduling::SchedulerConfiguration;

use crate::explain::{self, Scope, Seen};
use crate::feasible::distinct::Distinct;
use crate::feasible::{Rejection, Rules, exclusive_volumes};
use crate::memo::{Admission, Admitted, Findings, Signature};
use crate::overlay::{Ask, Given, Overlay, Shortage};
use crate::preempt::{self, Victims};
use crate::score::affinity::Affinities;
use crate::score::spread::Spreads;
use crate::score::{Parts, anti_affinity, fit};
use crate::table::Room;
use crate::tally::Tally;
use crate::tournament::{Key, Tournament};
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

/// What is known of every node: what was found before any copy was placed, and what has changed since.
pub(crate) struct States {
    found: Arc<Findings>,
    /// Of all of them as they are now.
    tally: Tally,
    changed: BTreeMap<usize, State>,
    /// In place of both, when every copy changes every node.
    all: Option<Vec<State>>,
}

impl States {
    /// Of one node.
    pub fn get(&self, slot: usize) -> &State {
        match &self.all {
            Some(all) => &all[slot],
            None => self.changed.get(&slot).unwrap_or_else(|| &self.found.states[slot]),
        }
    }

    /// Of every node, in order.
    pub fn iter(&self) -> impl Iterator<Item = &State> {
        let mut changed = self.changed.iter().peekable();
        let states = self.all.as_ref().unwrap_or(&self.found.states);
        states.iter().enumerate().map(move |(slot, state)| match changed.next_if(|(next, _)| **next == slot) {
            Some((_, state)) => state,
            None => state,
        })
    }

    /// How many there are of each kind.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn put(&mut self, slot: usize, class: &str, state: State) -> State {
        self.tally.add(class, &state);
        let old = self.replace(slot, state);
        self.tally.remove(class, &old);
        old
    }

    fn replace(&mut self, slot: usize, state: State) -> State {
        if let Some(all) = &mut self.all {
            return std::mem::replace(&mut all[slot], state);
        }
        self.changed.insert(slot, state).unwrap_or_else(|| self.found.states[slot].clone())
    }
}

impl State {
    /// What the node is compared by, if it can be chosen.
    pub fn key(&self) -> Option<Key> {
        match self {
            State::Fit(parts) => Some(parts.key()),
            _ => None,
        }
    }
}

/// Everything that decides what a copy finds on a node, but for other copies of the job.
struct Eye<'a, 'e> {
    admission: &'e Admission,
    ask: &'e Ask<'a>,
    affinities: Option<&'e Affinities>,
    config: &'a SchedulerConfiguration,
}

impl Eye<'_, '_> {
    /// Whether the node itself may run a copy.
    fn admit(&self, slot: usize) -> Result<(), State> {
        match self.admission.get(slot) {
            Admitted::Yes => Ok(()),
            Admitted::Apart => Err(State::Apart),
            Admitted::Rejected(rejection) => Err(State::Rejected(rejection.clone())),
        }
    }

    /// Whether a copy fits as the plan stands, and how well.
    fn fit(&self, overlay: &Overlay<'_>, slot: usize) -> State {
        if let Err(shortage) = overlay.fit(slot, self.ask) {
            return State::Short(shortage);
        }
        let devices = overlay.device_score(slot, self.ask);
        State::Fit(Parts { devices, ..self.parts(overlay, slot, Room::default()) })
    }

    /// The score of a node on which `freed` becomes free.
    fn parts(&self, overlay: &Overlay<'_>, slot: usize, freed: Room) -> Parts {
        let table = overlay.table;
        let node = table.info(slot);
        let free = overlay.room_in_the_end(slot).plus(freed).minus(self.ask.room(node.core_mhz));
        let (fit, balance) = fit::score(self.config.scheduler_algorithm, table.capacity(slot), free);
        Parts { fit, balance, affinity: self.affinities.map(|affinities| affinities.score(node)), ..Parts::default() }
    }
}

/// Spread blocks with the cell of each node: nodes of one cell have the same value in every block.
struct Cells {
    spreads: Spreads,
    of_node: Vec<usize>,
    values: Vec<Vec<Option<usize>>>,
}

impl Cells {
    fn of(spreads: Spreads, count: usize) -> Cells {
        let mut known: BTreeMap<Vec<Option<usize>>, usize> = BTreeMap::new();
        let mut values = Vec::new();
        let cell = |slot| {
            let of_node = spreads.values_of(slot);
            if let Some(cell) = known.get(&of_node) {
                return *cell;
            }
            values.push(of_node.clone());
            known.insert(of_node, values.len() - 1);
            values.len() - 1
        };
        let of_node = (0..count).map(cell).collect();
        Cells { spreads, of_node, values }
    }
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
    pub states: States,
    admission: Arc<Admission>,
    affinities: Option<Affinities>,
    cells: Option<Cells>,
    tournament: Tournament,
    start: usize,
    seed: Seed,
    picks: u64,
    config: &'a SchedulerConfiguration,
    neighbours: &'a dyn Fn(NodeId) -> Vec<Neighbour>,
    /// Index of the copy that is placed, when feasibility depends on it.
    copy: Option<u32>,
}

impl<'a, 'o, 't> Picker<'a, 'o, 't> {
    /// Looks at every node once, unless it is known what will be found.
    pub fn new(
        overlay: &'o mut Overlay<'t>,
        usage: &'o mut Usage,
        view: &JobView<'a>,
        job: &'a CompiledJob,
        group: &'a CompiledGroup,
        seed: Seed,
    ) -> Picker<'a, 'o, 't> {
        let table = overlay.table;
        let rules = Rules::of(job, group);
        let distinct = Distinct::of(group, || (view.documents)(job.version));
        let system = job.kind.is_system();
        let affinities = if system { None } else { Affinities::of(&group.affinities) };
        let spreads = if system { None } else { Spreads::of(group, table) };
        let cells = spreads.map(|spreads| Cells::of(spreads, table.len()));
        let mut ask = Ask::of(group);
        ask.exclusive.volumes = exclusive_volumes(group, 0);
        let each_copy_differs = distinct.reaches_across_nodes() || rules.depends_on_copy();
        let untouched = Overlay::new(table);
        let signature = Signature::of(job, group, view.config.scheduler_algorithm);
        let admission = table.memo().admission(table, &signature, &rules);
        let eye = Eye { admission: &admission, ask: &ask, affinities: affinities.as_ref(), config: view.config };
        let look = |slot| eye.admit(slot).err().unwrap_or_else(|| eye.fit(&untouched, slot));
        let found = match each_copy_differs {
            true => Arc::new(Findings::of(table, look)),
            false => table.memo().findings(table, signature, look),
        };
        let mut tournament = found.tournament.clone();
        if let Some(cells) = &cells {
            tournament = Tournament::new(table.len(), cells.values.len(), |slot| cells.of_node[slot]);
            tournament.fill(|slot| found.states[slot].key());
        }
        let all = each_copy_differs.then(|| found.states.clone());
        let mut picker = Picker {
            ask,
            distinct,
            property_counts: Vec::new(),
            states: States { tally: found.tally.clone(), found, changed: BTreeMap::new(), all },
            admission,
            affinities,
            cells,
            tournament,
            start: if table.is_empty() { 0 } else { (seed.uuid(1) % table.len() as u128) as usize },
            overlay,
            usage,
            job,
            group,
            rules,
            seed,
            picks: 0,
            config: view.config,
            neighbours: view.neighbours,
            copy: None,
        };
        picker.recount();
        picker.refresh_changed();
        picker
    }

    /// Ready nodes of the job's pool and datacenters, and the same by datacenter.
    pub fn surroundings(&self) -> (u64, &BTreeMap<String, u64>) {
        (self.admission.in_pool, &self.admission.available)
    }

    fn recount(&mut self) {
        let table = self.overlay.table;
        self.property_counts = self.distinct.count(table, self.usage, &self.group.name);
        if let Some(cells) = &mut self.cells {
            cells.spreads.recount(self.usage, &self.group.name);
        }
    }

    fn refresh_all(&mut self) {
        for slot in 0..self.overlay.table.len() {
            self.refresh(slot);
        }
    }

    /// Looks again where the plan or copies of the job change what was found before.
    fn refresh_changed(&mut self) {
        if self.states.all.is_some() {
            self.refresh_all();
            return;
        }
        let copies = self.usage.by_node(None).map(|(slot, _)| slot);
        let changed: BTreeSet<usize> = self.overlay.changed().chain(copies).collect();
        changed.into_iter().for_each(|slot| self.refresh(slot));
    }

    fn refresh(&mut self, slot: usize) {
        let state = self.examine(slot);
        self.set_state(slot, state);
    }

    fn eye(&self) -> Eye<'a, '_> {
        Eye { admission: &self.admission, ask: &self.ask, affinities: self.affinities.as_ref(), config: self.config }
    }

    /// Checks and scores one node as the plan stands.
    fn examine(&self, slot: usize) -> State {
        let table = self.overlay.table;
        let eye = self.eye();
        if let Err(state) = eye.admit(slot) {
            return state;
        }
        let group = &self.group.name;
        if let Err(rejection) = self.distinct.check(table, slot, self.usage, group, &self.property_counts) {
            return State::Rejected(rejection);
        }
        if let Some(index) = self.copy
            && let Err(rejection) = self.rules.check_copy(table.info(slot), index)
        {
            return State::Rejected(rejection);
        }
        match eye.fit(self.overlay, slot) {
            State::Fit(parts) => State::Fit(self.beside_others(slot, parts)),
            other => other,
        }
    }

    /// With what copies of the same group on the node do to its score.
    fn beside_others(&self, slot: usize, parts: Parts) -> Parts {
        if self.job.kind.is_system() {
            return parts;
        }
        let others = self.usage.on_node(slot, Some(&self.group.name));
        Parts { anti_affinity: anti_affinity(others, self.group.count), ..parts }
    }

    /// The node's parts with its spread score, which changes with every copy.
    pub fn with_spread(&self, slot: usize, parts: &Parts) -> Parts {
        Parts { spread: self.cells.as_ref().map_or(0.0, |cells| cells.spreads.score(slot)), ..*parts }
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
        self.changed(slot, false);
    }

    /// The allocation is not replaced after all.
    pub fn restore(&mut self, id: AllocId) {
        let Some(slot) = self.overlay.table.holding(id).and_then(|held| self.overlay.table.slot(held.node)) else {
            return;
        };
        self.overlay.keep(id);
        self.usage.add(slot, &self.group.name);
        self.changed(slot, true);
    }

    /// One copy of the group came to the node, or left it.
    fn changed(&mut self, slot: usize, more: bool) {
        if let Some(cells) = &mut self.cells {
            cells.spreads.moved(slot, more);
        }
        if self.distinct.reaches_across_nodes() {
            let table = self.overlay.table;
            self.property_counts = self.distinct.count(table, self.usage, &self.group.name);
            self.refresh_all();
        } else {
            self.refresh(slot);
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
            _ => Some(explain::metric(self, &self.scope(request.only))),
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
                self.changed(pick.slot, true);
                Ok(pick)
            }
            None => Err(Box::new(metrics.unwrap_or_else(|| explain::metric(self, &self.scope(request.only))))),
        }
    }

    /// All nodes, or one as it is now.
    pub fn scope(&self, only: Option<usize>) -> Scope {
        only.map_or(Scope::All, |slot| Scope::These(vec![self.seen(slot)]))
    }

    /// What is found on a node as the plan stands.
    pub fn seen(&self, slot: usize) -> Seen {
        Seen { slot, state: self.states.get(slot).clone(), room: self.overlay.room_in_the_end(slot) }
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
        let is_short = |state: &State| matches!(state, State::Short(_));
        let short: Vec<usize> = match request.only {
            Some(slot) => [slot].into_iter().filter(|slot| is_short(self.states.get(*slot))).collect(),
            None => self.states.iter().enumerate().filter(|(_, state)| is_short(state)).map(|(slot, _)| slot).collect(),
        };
        for slot in short {
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
            ..self.beside_others(slot, self.eye().parts(self.overlay, slot, freed))
        }
    }

    fn set_state(&mut self, slot: usize, state: State) -> State {
        self.tournament.set(slot, state.key());
        self.states.put(slot, &self.overlay.table.info(slot).class, state)
    }

    fn set_penalty(&mut self, slots: &[usize], penalty: f64) {
        for slot in slots {
            if let State::Fit(parts) = self.states.get(*slot) {
                let parts = Parts { reschedule_penalty: penalty, ..*parts };
                self.set_state(*slot, State::Fit(parts));
            }
        }
    }

    /// The best node. Equal scores: the first one from a start that the seed gives.
    fn best(&self, request: &Request) -> Option<usize> {
        let fits = |slot: usize| matches!(self.states.get(slot), State::Fit(_));
        if let Some(slot) = request.only {
            return fits(slot).then_some(slot);
        }
        if let Some(slot) = request.prefer.and_then(|node| self.overlay.table.slot(node))
            && fits(slot)
        {
            return Some(slot);
        }
        self.tournament.best(self.start, |cell| self.spread_of(cell))
    }

    /// The best nodes, of equal ones the first.
    pub fn best_few(&self, most: usize) -> Vec<usize> {
        self.tournament.best_few(most, |cell| self.spread_of(cell))
    }

    fn spread_of(&self, cell: usize) -> f64 {
        self.cells.as_ref().map_or(0.0, |cells| cells.spreads.score_of(&cells.values[cell]))
    }
}
