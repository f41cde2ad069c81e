//! What ends the following of a registration although its copies do not: decided from what the server tells.

use serde_json::Value;

use super::is_live;
use crate::output::json::{number, text, truth};

/// Why a registration with modify index `registered` is not followed any more; `job` is what its name stands for now.
pub(super) fn overtaken(job: Option<&Value>, registered: i64) -> Option<String> {
    let Some(job) = job else { return Some("was purged".to_owned()) };
    if truth(job, &["Stop"]) {
        return Some("was stopped".to_owned());
    }
    let newer = number(job, &["JobModifyIndex"]) != registered;
    newer.then(|| format!("was registered anew as version {}", number(job, &["Version"])))
}

/// The blocked evaluation that says why nothing runs: copies are gone, and the planner found no place for others.
pub(super) fn blocked<'a>(allocs: &[&Value], evals: &'a [Value], registered: i64) -> Option<&'a Value> {
    let with = |status: &'static str| evals.iter().filter(move |eval| text(eval, &["Status"]) == status);
    let is_planned_next = with("pending").any(|eval| text(eval, &["WaitUntil"]).is_empty());
    if is_planned_next || allocs.iter().any(|alloc| is_live(alloc)) {
        return None;
    }
    let ours = with("blocked").filter(|eval| number(eval, &["JobModifyIndex"]) == registered);
    ours.max_by_key(|eval| number(eval, &["CreateIndex"]))
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
        let found = |allocs: &[&Value], evals: &[&Value]| {
            let evals: Vec<Value> = evals.iter().map(|eval| (*eval).clone()).collect();
            blocked(allocs, &evals, 7).cloned()
        };
        assert_eq!(found(&[], &[&older, &stuck, &later]), Some(stuck.clone()));
        assert_eq!(found(&[&failed, &complete], &[&stuck]), Some(stuck.clone()));
        assert_eq!(found(&[&failed, &running], &[&stuck]), None);
        assert_eq!(found(&[], &[&stuck, &next]), None);
        assert_eq!(found(&[], &[&older]), None);
    }
}
