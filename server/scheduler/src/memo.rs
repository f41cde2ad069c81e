//! What was found out about nodes for asks of one shape, kept between evaluations.
//!
//! Most evaluations ask for what earlier ones asked for. What such an ask finds on a node depends on the node alone until
//! copies of its own job come into play, so it stays true until the node changes; then that node is looked at again. Of an
//! ask that nobody made before, the rules at least are usually known: which nodes may run it is kept apart from how much
//! it asks for. What is remembered changes how long a decision takes, and never the decision.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use model::compiled::{CompiledGroup, CompiledJob, CompiledTask};
use model::job::Template;
use model::scheduling::Algorithm;

use crate::feasible::{Rejection, Rules};
use crate::select::State;
use crate::table::{NodeInfo, NodeTable};
use crate::tally::{Tally, more};
use crate::tournament::Tournament;

/// Nodes times shapes that are remembered at most.
const MOST: usize = 1 << 19;

/// Everything of an ask that decides what it finds on a node without copies of its job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signature {
    system: bool,
    pool: String,
    datacenters: Vec<String>,
    algorithm: Algorithm,
    group: CompiledGroup,
}

impl Signature {
    /// Of `group`: what plays no part is left out, so that anything unknown here counts.
    pub fn of(job: &CompiledJob, group: &CompiledGroup, algorithm: Algorithm) -> Signature {
        let plain = |task: &CompiledTask| CompiledTask {
            name: String::new(),
            user: String::new(),
            config: Default::default(),
            env: BTreeMap::new(),
            meta: BTreeMap::new(),
            templates: task.templates.iter().filter_map(signalled).collect(),
            artifacts: Vec::new(),
            ..task.clone()
        };
        let group = CompiledGroup {
            name: String::new(),
            count: 0,
            services: Vec::new(),
            spreads: Vec::new(),
            update: None,
            tasks: group.tasks.iter().map(plain).collect(),
            ..group.clone()
        };
        let (pool, datacenters) = (job.node_pool.clone(), job.datacenters.clone());
        Signature { system: job.kind.is_system(), pool, datacenters, algorithm, group }
    }

    /// What decides which nodes may run a copy, however much it asks for.
    fn rules(&self) -> Signature {
        let weightless = |task: &CompiledTask| CompiledTask {
            cpu: 0,
            cores: 0,
            memory_mb: 0,
            memory_max_mb: 0,
            secrets_mb: 0,
            ..task.clone()
        };
        let tasks = self.group.tasks.iter().map(weightless).collect();
        let group = CompiledGroup { tasks, disk_mb: 0, affinities: Vec::new(), ..self.group.clone() };
        Signature { algorithm: Algorithm::default(), group, ..self.clone() }
    }
}

/// Whether a node may run copies at all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Admitted {
    Yes,
    /// Another pool or datacenter, or not schedulable: not looked at.
    Apart,
    Rejected(Rejection),
}

/// Which nodes may run copies under the same rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    nodes: Vec<Admitted>,
    /// Ready nodes of the job's pool and datacenters.
    pub in_pool: u64,
    /// The same by datacenter.
    pub available: BTreeMap<String, u64>,
}

impl Admission {
    /// Looks at every node.
    pub fn of(table: &NodeTable, rules: &Rules<'_>) -> Admission {
        let nodes = table.infos().iter().map(|node| admit(node, rules)).collect();
        let mut admission = Admission { nodes, ..Admission::default() };
        admission.count(table);
        admission
    }

    /// Of one node.
    pub fn get(&self, slot: usize) -> &Admitted {
        &self.nodes[slot]
    }

    fn count(&mut self, table: &NodeTable) {
        (self.in_pool, self.available) = (0, BTreeMap::new());
        for (node, admitted) in table.infos().iter().zip(&self.nodes) {
            if *admitted != Admitted::Apart {
                self.in_pool += 1;
                more(&mut self.available, &node.datacenter);
            }
        }
    }

    fn refresh(&mut self, table: &NodeTable, rules: &Rules<'_>, seen: u64) {
        for slot in table.changed_since(seen) {
            self.nodes[slot] = admit(table.info(slot), rules);
        }
        self.count(table);
    }
}

fn admit(node: &NodeInfo, rules: &Rules<'_>) -> Admitted {
    if !node.schedulable || !rules.concerns(node) {
        return Admitted::Apart;
    }
    match rules.check(node) {
        Ok(()) => Admitted::Yes,
        Err(rejection) => Admitted::Rejected(rejection),
    }
}

/// Of a template, the signal that the node must know.
fn signalled(template: &Template) -> Option<Template> {
    let signals = template.change_mode.as_deref() == Some("signal");
    let (change_mode, change_signal) = (template.change_mode.clone(), template.change_signal.clone());
    signals.then(|| Template { change_mode, change_signal, ..Template::default() })
}

/// What an ask finds on every node.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    pub states: Vec<State>,
    /// Over the states, all nodes in one cell.
    pub tournament: Tournament,
    /// Over the states.
    pub tally: Tally,
}

impl Findings {
    /// Looks at every node.
    pub fn of(table: &NodeTable, look: impl Fn(usize) -> State) -> Findings {
        let states: Vec<State> = (0..table.len()).map(look).collect();
        let mut tournament = Tournament::new(table.len(), 1, |_| 0);
        tournament.fill(|slot| states[slot].key());
        let mut findings = Findings { states, tournament, tally: Tally::default() };
        findings.count(table);
        findings
    }

    fn count(&mut self, table: &NodeTable) {
        self.tally = Tally::default();
        for (info, state) in table.infos().iter().zip(&self.states) {
            self.tally.add(&info.class, state);
        }
    }

    fn refresh(&mut self, table: &NodeTable, seen: u64, look: impl Fn(usize) -> State) {
        for slot in table.changed_since(seen) {
            let new = look(slot);
            let old = std::mem::replace(&mut self.states[slot], new);
            let (new, class) = (&self.states[slot], &table.info(slot).class);
            self.tournament.set(slot, new.key());
            self.tally.remove(class, &old);
            self.tally.add(class, new);
        }
        // Then what a node counted as before is not known.
        if table.infos_changed_since(seen) {
            self.count(table);
        }
    }
}

/// Something known of every node.
#[derive(Clone, Debug)]
struct Entry<T> {
    signature: Signature,
    /// Membership of the table, and its last change, as of what is known.
    layout: u64,
    seen: u64,
    known: Arc<T>,
}

/// What is known by shape, the latest used last.
#[derive(Debug)]
struct Shelf<T>(Mutex<Vec<Entry<T>>>);

impl<T> Default for Shelf<T> {
    fn default() -> Shelf<T> {
        Shelf(Mutex::default())
    }
}

impl<T: Clone> Shelf<T> {
    /// What is known of this shape; found out by `find`, or brought up to date by `refresh` from what it was at a moment.
    fn get(
        &self,
        table: &NodeTable,
        signature: Signature,
        find: impl FnOnce() -> T,
        refresh: impl FnOnce(&mut Arc<T>, u64),
    ) -> Arc<T> {
        let (layout, now) = table.clock();
        let entry = {
            let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            entries.retain(|entry| entry.layout == layout);
            entries.iter().position(|entry| entry.signature == signature).map(|place| entries.remove(place))
        };
        let known = match entry {
            Some(Entry { mut known, seen, .. }) => {
                refresh(&mut known, seen);
                known
            }
            None => Arc::new(find()),
        };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !entries.is_empty() && (entries.len() + 1) * table.len() > MOST {
            entries.remove(0);
        }
        entries.push(Entry { signature, layout, seen: now, known: known.clone() });
        known
    }
}

/// What earlier evaluations found out.
#[derive(Default)]
pub(crate) struct Memo {
    findings: Shelf<Findings>,
    admissions: Shelf<Admission>,
}

impl Memo {
    /// Which nodes of `table` may run copies of an ask of this shape.
    pub fn admission(&self, table: &NodeTable, signature: &Signature, rules: &Rules<'_>) -> Arc<Admission> {
        let find = || Admission::of(table, rules);
        self.admissions.get(table, signature.rules(), find, |known, seen| {
            if table.infos_changed_since(seen) {
                Arc::make_mut(known).refresh(table, rules, seen);
            }
        })
    }

    /// What an ask of this shape finds on the nodes of `table`; `look` looks at one of them.
    pub fn findings(&self, table: &NodeTable, signature: Signature, look: impl Fn(usize) -> State) -> Arc<Findings> {
        let refresh = |known: &mut Arc<Findings>, seen| Arc::make_mut(known).refresh(table, seen, &look);
        self.findings.get(table, signature, || Findings::of(table, &look), refresh)
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Memo")
    }
}

impl Clone for Memo {
    /// A copy remembers nothing: it need not.
    fn clone(&self) -> Memo {
        Memo::default()
    }
}

impl PartialEq for Memo {
    /// What is remembered makes no difference.
    fn eq(&self, _: &Memo) -> bool {
        true
    }
}

/// When each row of a table last changed; no part of what the table says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stamps {
    /// Counts changes.
    pub now: u64,
    /// Counts nodes that came or went.
    pub layout: u64,
    /// The last change of what a node is, besides its room.
    pub infos: u64,
    /// By node.
    pub rows: Vec<u64>,
}

impl PartialEq for Stamps {
    /// Two tables that say the same are equal whatever happened before.
    fn eq(&self, _: &Stamps) -> bool {
        true
    }
}
