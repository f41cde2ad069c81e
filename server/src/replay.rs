//! Makes a recorded decision again and compares it with the record, to the last bit.

use model::evaluation::Plan;
use model::id::EvalId;
use model::wire::Wire;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::leader::planner::{Planner, pending, plan_seed};
use crate::raft::{HistoryError, Log, Recorded};

/// The most differences that are named.
const MAX_DIFFERENCES: usize = 50;

/// A decision and what became of it the second time.
#[derive(Clone, Debug)]
pub struct Replay {
    /// As the log has it.
    pub recorded: Plan,
    /// As it was made now.
    pub replayed: Plan,
    /// SHA-256 over the encoding of each.
    pub hashes: [String; 2],
    /// Paths at which they differ; none when every bit is the same.
    pub differences: Vec<String>,
}

/// Finds the latest decision on `eval` in the log and makes it again. Blocks.
///
/// # Errors
/// When the log does not reach back so far, or cannot be read.
pub fn run(log: &Log, eval: EvalId) -> Result<Replay, HistoryError> {
    let Recorded { base, mut plans, position, at, seed } = log.recorded(eval)?;
    let recorded = plans.pop().unwrap_or_default();
    let before = base.eval(eval).map_or_else(|| recorded.eval.clone(), |eval| pending(&eval));
    let replayed = Planner::replan(&base, &plans, &before, at, plan_seed(seed, position));
    let hashes = [hash(&recorded), hash(&replayed)];
    let mut differences = Vec::new();
    if hashes[0] != hashes[1] {
        let value = |plan: &Plan| serde_json::to_value(plan).unwrap_or_default();
        compare(&value(&recorded), &value(&replayed), String::new(), &mut differences);
    }
    Ok(Replay { recorded, replayed, hashes, differences })
}

fn hash(plan: &Plan) -> String {
    // Named MessagePack, as the log has it; plans always encode, for the log took one.
    let bytes = plan.pack().unwrap_or_default();
    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn compare(one: &Value, other: &Value, path: String, found: &mut Vec<String>) {
    if found.len() >= MAX_DIFFERENCES {
        return;
    }
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                compare(a, b, format!("{path}/{key}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (position, (a, b)) in a.iter().zip(b).enumerate() {
                compare(a, b, format!("{path}/{position}"), found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: {a} then, {b} now")),
    }
}
