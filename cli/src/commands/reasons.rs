//! Why copies could not be placed, from the planner's counts over all nodes.

use serde_json::Value;

use crate::output::Style;
use crate::output::json::{entries, items, number};

/// Lines that say, group by group, how many nodes were refused for which reason and what would help.
pub fn lines(failed: &Value, style: Style) -> Vec<String> {
    let mut out = Vec::new();
    for (group, metric) in failed.as_object().into_iter().flatten() {
        let unplaced = 1 + number(metric, &["CoalescedFailures"]);
        let copies = if unplaced == 1 { "1 copy" } else { &format!("{unplaced} copies") };
        out.push(format!("{} group {group:?}: {copies} cannot be placed", style.bad("✗")));
        out.extend(of_metric(metric));
    }
    out
}

/// What one metric says: how many nodes were looked at, what refused them, what would help.
pub fn of_metric(metric: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let in_pool = number(metric, &["NodesInPool"]);
    let evaluated = number(metric, &["NodesEvaluated"]);
    if evaluated == 0 {
        out.push(format!("    no node is ready ({in_pool} in the node pool)"));
    } else {
        out.push(format!("    {evaluated} {} looked at", plural(evaluated, "node")));
    }
    for (reason, count) in entries(metric, &["ConstraintFiltered"]) {
        let count = count.as_i64().unwrap_or_default();
        out.push(format!("    {count} {} refused: {reason}", plural(count, "node")));
    }
    for (dimension, count) in entries(metric, &["DimensionExhausted"]) {
        let count = count.as_i64().unwrap_or_default();
        out.push(format!("    {count} {} full: {dimension}", plural(count, "node")));
    }
    for help in items(metric, &["Help"]).filter_map(Value::as_str) {
        out.push(format!("  help: {help}"));
    }
    out
}

/// `node` or `nodes`.
pub fn plural(count: i64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}
