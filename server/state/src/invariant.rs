//! What must hold of every state. Tests and the simulator check it after each step; a running server never needs to.

use crate::fits::Room;
use crate::state::State;
use crate::touched::Table;

/// Every sentence is a violation; none for a sound state.
pub fn check(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    rooms(state, &mut found);
    jobs(state, &mut found);
    allocs(state, &mut found);
    evals(state, &mut found);
    table_indexes(state, &mut found);
    found
}

/// Nothing is given twice on a node, except by one that stops to one that waits for its end. A node that registered
/// again with less than it had shows up here too: that is a change of the machine, not of the state.
fn rooms(state: &State, found: &mut Vec<String>) {
    for node in state.nodes() {
        let conflicts = Room::of(state, node).conflicts();
        found.extend(conflicts.into_iter().map(|text| format!("node {}: {text}", node.id)));
    }
}

/// The current version is among the stored ones, and each is stored under its own name.
fn jobs(state: &State, found: &mut Vec<String>) {
    for (key, job) in state.jobs() {
        let stored = state.job_version(key, job.head().create_index, job.head().version);
        if job.head().key != *key || stored.as_ref() != Some(job) {
            found.push(format!("job {key}: version {} is not stored", job.head().version));
        }
    }
    for ((key, create, version), job) in &state.versions {
        let named = (&job.head().key, job.head().create_index, job.head().version);
        if named != (key, *create, *version) {
            found.push(format!("job {key}: version {version} is stored under another name"));
        }
    }
}

fn allocs(state: &State, found: &mut Vec<String>) {
    for alloc in state.allocs() {
        let id = &alloc.id;
        if state.job_of_alloc(&alloc).is_none() {
            found.push(format!("allocation {id}: version {} of {} is missing", alloc.job_version, alloc.job));
        }
        if alloc.is_live() && alloc.starts_after.contains(id) {
            found.push(format!("allocation {id} waits for itself"));
        }
        row_index(found, "allocation", &id.to_string(), alloc.modify_index, state.table_index(Table::Allocs));
    }
    found.extend(state.allocs.damage());
    orphans(state, found);
}

/// A live allocation is on a known node.
fn orphans(state: &State, found: &mut Vec<String>) {
    let lost = state.allocs.live_nodes().filter(|node| !state.nodes.contains_key(*node));
    found.extend(lost.map(|node| format!("allocations are live on unknown node {node}")));
}

fn evals(state: &State, found: &mut Vec<String>) {
    found.extend(state.evals.damage("evaluation", |eval| eval.id));
    for (id, eval) in state.evals.iter() {
        if !state.evals_by_job.contains(&(eval.job.clone(), *id)) {
            found.push(format!("evaluation {id} is missing in an index"));
        }
        row_index(found, "evaluation", &id.to_string(), eval.modify_index, state.table_index(Table::Evals));
    }
    if state.evals_by_job.len() != state.evals.len() {
        found.push("the index of evaluations has entries without a row".to_owned());
    }
}

fn table_indexes(state: &State, found: &mut Vec<String>) {
    for table in Table::ALL {
        if state.table_index(table) > state.index() {
            found.push(format!("table {table:?} is at {}, the state at {}", state.table_index(table), state.index()));
        }
    }
    for node in state.nodes() {
        row_index(found, "node", &node.id.to_string(), node.modify_index, state.table_index(Table::Nodes));
    }
    if state.seen.len() != state.seen_order.len() || state.seen.len() > State::REPEAT_WINDOW {
        found.push("the window of past commands is inconsistent".to_owned());
    }
}

fn row_index(found: &mut Vec<String>, what: &str, id: &str, row: u64, table: u64) {
    if row > table {
        found.push(format!("{what} {id} changed at {row}, its table at {table}"));
    }
}
