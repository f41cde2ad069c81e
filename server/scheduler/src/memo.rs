//! What was found out about nodes for asks of one shape, kept between evaluations.
//!
//! Most evaluations ask for what earlier ones asked for. What such an ask finds on a node depends on the node alone until
//! copies of its own job come into play, so it stays true until the node changes; then that node is looked at again. What
//! is remembered changes how long a decision takes, and never the decision.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use model::compiled::{CompiledGroup, CompiledJob, CompiledTask};
use model::job::Template;
use model::scheduling::Algorithm;

use crate::feasible::Rules;
use crate::select::State;
use crate::table::NodeTable;
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
    /// Ready nodes of the job's pool and datacenters.
    pub in_pool: u64,
    /// The same by datacenter.
    pub available: BTreeMap<String, u64>,
}

impl Findings {
    /// Looks at every node.
    pub fn of(table: &NodeTable, rules: &Rules<'_>, look: impl Fn(usize) -> State) -> Findings {
        let states: Vec<State> = (0..table.len()).map(look).collect();
        let mut tournament = Tournament::new(table.len(), 1, |_| 0);
        tournament.fill(|slot| states[slot].key());
        let mut findings =
            Findings { states, tournament, tally: Tally::default(), in_pool: 0, available: BTreeMap::new() };
        findings.count(table, rules);
        findings
    }

    fn count(&mut self, table: &NodeTable, rules: &Rules<'_>) {
        self.tally = Tally::default();
        for (info, state) in table.infos().iter().zip(&self.states) {
            self.tally.add(&info.class, state);
        }
        let concerned = table.infos().iter().filter(|node| node.schedulable && rules.concerns(node));
        (self.in_pool, self.available) = (0, BTreeMap::new());
        for node in concerned {
            self.in_pool += 1;
            more(&mut self.available, &node.datacenter);
        }
    }

    fn refresh(&mut self, table: &NodeTable, rules: &Rules<'_>, seen: u64, look: impl Fn(usize) -> State) {
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
            self.count(table, rules);
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    signature: Signature,
    /// Membership of the table, and its last change, as of these findings.
    layout: u64,
    seen: u64,
    findings: Arc<Findings>,
}

/// Findings by shape, the latest used last.
#[derive(Default)]
pub(crate) struct Memo {
    entries: Mutex<Vec<Entry>>,
}

impl Memo {
    /// What an ask of this shape finds on the nodes of `table`; `look` looks at one of them.
    pub fn findings(
        &self,
        table: &NodeTable,
        signature: Signature,
        rules: &Rules<'_>,
        look: impl Fn(usize) -> State,
    ) -> Arc<Findings> {
        let (layout, now) = table.clock();
        let known = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.retain(|entry| entry.layout == layout);
            entries.iter().position(|entry| entry.signature == signature).map(|place| entries.remove(place))
        };
        let findings = match known {
            Some(Entry { mut findings, seen, .. }) => {
                Arc::make_mut(&mut findings).refresh(table, rules, seen, look);
                findings
            }
            None => Arc::new(Findings::of(table, rules, look)),
        };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        while !entries.is_empty() && (entries.len() + 1) * table.len() > MOST {
            entries.remove(0);
        }
        entries.push(Entry { signature, layout, seen: now, findings: findings.clone() });
        findings
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
