//! What was decided before, read back from the log: the snapshot and the entries after it.

use model::evaluation::Plan;
use model::id::{EvalId, Seed};
use model::time::Timestamp;
use openraft::EntryPayload;
use state::{Command, Op, State};

use super::database::DatabaseError;
use super::log_store::LogStore;

/// A decision as the log has it, with what it was made from.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The state as the planner saw it.
    pub base: State,
    /// The plans that were made before on the same state, in the round that was being written then and in the same
    /// round, and this one, which is the last.
    pub plans: Vec<Plan>,
    /// Its position in its round.
    pub position: usize,
    /// The time that it was made for.
    pub at: Timestamp,
    /// What the round drew chance from.
    pub seed: Seed,
}

/// Why a decision cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The log, or the snapshot that it begins with, cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// It is not in the log.
    #[error(
        "no decision on this evaluation is in the log, which reaches back to index {0}: what is older is only in the snapshot"
    )]
    Forgotten(u64),
    /// It is in the log, but what it was made from is older than the log.
    #[error("the decision was made from the state at index {base}, and the log reaches back to index {oldest} only")]
    TooOld {
        /// What it was made from.
        base: u64,
        /// How far the log reaches back.
        oldest: u64,
    },
}

/// See [`super::Log::recorded`].
pub fn recorded(store: &LogStore, eval: EvalId) -> Result<Recorded, HistoryError> {
    let (mut state, first) = match store.read_snapshot()? {
        Some((record, state)) => (state, record.meta.last_log_id.map_or(0, |id| id.index + 1)),
        None => (State::default(), 0),
    };
    let oldest = state.index();
    let mut found: Option<(Vec<Plan>, Timestamp, Seed)> = None;
    each_command(store, first, |command| {
        if let Op::ApplyPlans { plans } = &command.op
            && let Some(position) = plans.iter().position(|plan| plan.eval.id == eval)
        {
            found = Some((plans[..=position].to_vec(), command.at, command.seed));
        }
        true
    })?;
    let (of_round, at, seed) = found.ok_or(HistoryError::Forgotten(oldest))?;
    let base = of_round.last().map_or(0, |plan| plan.base_index);
    if base < oldest {
        return Err(HistoryError::TooOld { base, oldest });
    }
    let mut plans = Vec::new();
    each_command(store, first, |command| {
        if state.index() < base {
            state.apply(state.index() + 1, command);
            return true;
        }
        if command.seed == seed {
            return false;
        }
        if let Op::ApplyPlans { plans: being_written } = &command.op {
            plans.extend_from_slice(being_written);
        }
        true
    })?;
    let position = of_round.len().saturating_sub(1);
    plans.extend(of_round);
    Ok(Recorded { base: state, plans, position, at, seed })
}

/// Shows the commands from entry `first` on, in the order in which they are applied, until `look` has seen enough.
fn each_command(store: &LogStore, first: u64, mut look: impl FnMut(&Command) -> bool) -> Result<(), DatabaseError> {
    let mut next = first;
    loop {
        let entries = store.entries(next, u64::MAX)?;
        let Some(last) = entries.last() else { return Ok(()) };
        next = last.log_id.index + 1;
        for entry in &entries {
            let EntryPayload::Normal(batch) = &entry.payload else { continue };
            for command in batch.commands.iter() {
                if !look(command) {
                    return Ok(());
                }
            }
        }
    }
}
