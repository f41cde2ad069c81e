//! What ends the following of a registration although its copies do not: decided from what the server tells.

use serde_json::Value;

use super::is_live;
use crate::output::json::{entries, number, text, truth};

/// Why a registration with modify index `registered` is not followed any more; `job` is what its name stands for now.
pub(super) fn overtaken(job: Option<&Value>, registered: i64) -> Option<String> {
    let Some(job) = job else { return Some("was purged".to_owned()) };
    if truth(job, &["Stop"]) {
        return Some("was stopped".to_owned());
    }
    let newer = number(job, &["JobModifyIndex"]) != registered;
    newer.then(|| format!("was registered anew as version {}", number(job, &["Version"])))
}

/// Why a job without live copies has none.
#[derive(Debug, PartialEq)]
pub(super) enum Stuck<'a> {
    /// The planner found no place; this evaluation says why.
    NotPlaced(&'a Value),
    /// A system job that no node qualifies for; no evaluation says more.
    NoNode,
}

/// What keeps a job from having live copies, when none of `allocs` is live and the planner is through.
pub(super) fn stuck<'a>(is_system: bool, allocs: &[Value], evals: &'a [Value], registered: i64) -> Option<Stuck<'a>> {
    let with = |status: &'static str| evals.iter().filter(move |eval| text(eval, &["Status"]) == status);
    let is_planned_next = with("pending").any(|eval| text(eval, &["WaitUntil"]).is_empty());
    if is_planned_next || allocs.iter().any(is_live) {
        return None;
    }
    let ours = |eval: &&Value| number(eval, &["JobModifyIndex"]) == registered;
    let newest = |eval: &&Value| number(eval, &["CreateIndex"]);
    if let Some(blocked) = with("blocked").filter(ours).max_by_key(newest) {
        return Some(Stuck::NotPlaced(blocked));
    }
    if !is_system || !allocs.is_empty() {
        return None;
    }
    let last = with("complete").filter(ours).max_by_key(newest)?;
    let says_why = entries(last, &["FailedTGAllocs"]).next().is_some();
    Some(if says_why { Stuck::NotPlaced(last) } else { Stuck::NoNode })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_that_is_stopped_gone_or_newer_is_not_followed() {
        let job = |stop: bool, index: u64| json!({"Stop": stop, "JobModifyIndex": index, "Version": 3});
        let verdict = |job: Option<Value>| overtaken(job.as_ref(), 7);
        assert_eq!(verdict(Some(job(false, 7))), None);
        assert_eq!(verdict(Some(job(false, 8))).as_deref(), Some("was registered anew as version 3"));
        assert_eq!(verdict(Some(job(true, 8))).as_deref(), Some("was stopped"));
        assert_eq!(verdict(None).as_deref(), Some("was purged"));
    }

    #[test]
    fn a_blocked_evaluation_counts_when_nothing_runs_or_will_be_planned() {
        let eval = |status: &str, index: u64, wait: &str| json!({"Status": status, "JobModifyIndex": index, "CreateIndex": index, "WaitUntil": wait});
        let (stuck, older) = (eval("blocked", 7, ""), eval("blocked", 6, ""));
        let (next, later) = (eval("pending", 7, ""), eval("pending", 7, "2030-01-01T00:00:00Z"));
        let alloc = |status: &str| json!({"ClientStatus": status});
        let (running, failed, complete) = (alloc("running"), alloc("failed"), alloc("complete"));
        let found = |allocs: &[Value], evals: &[&Value]| {
            let evals: Vec<Value> = evals.iter().map(|eval| (*eval).clone()).collect();
            match super::stuck(false, allocs, &evals, 7) {
                Some(Stuck::NotPlaced(eval)) => Some(eval.clone()),
                Some(Stuck::NoNode) | None => None,
            }
        };
        assert_eq!(found(&[], &[&older, &stuck, &later]), Some(stuck.clone()));
        assert_eq!(found(&[failed.clone(), complete], &[&stuck]), Some(stuck.clone()));
        assert_eq!(found(&[failed, running], &[&stuck]), None);
        assert_eq!(found(&[], &[&stuck, &next]), None);
        assert_eq!(found(&[], &[&older]), None);
    }

    #[test]
    fn a_system_job_without_copies_is_placed_nowhere() {
        let eval = |status: &str, failed: Value| json!({"Status": status, "JobModifyIndex": 7, "CreateIndex": 9, "FailedTGAllocs": failed});
        let silent = [eval("complete", Value::Null)];
        assert_eq!(stuck(true, &[], &silent, 7), Some(Stuck::NoNode));
        assert_eq!(stuck(false, &[], &silent, 7), None);
        assert_eq!(stuck(true, &[json!({"ClientStatus": "complete"})], &silent, 7), None);
        let telling = [eval("complete", json!({"g": {"NodesEvaluated": 1}}))];
        assert_eq!(stuck(true, &[], &telling, 7), Some(Stuck::NotPlaced(&telling[0])));
        assert_eq!(stuck(true, &[], &[eval("pending", Value::Null)], 7), None);
    }
}
