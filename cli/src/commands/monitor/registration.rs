//! What was there before a registration: events that are old news, and failures that are about to be made good.

use serde_json::Value;

use crate::output::json::{entries, items, number, text};

/// The registration that is followed.
pub(super) struct Registration {
    /// The job's modify index: with another it is not this version any more.
    pub job_modify_index: i64,
    /// Index of its evaluation: what has a smaller one was there before.
    index: i64,
    /// When its evaluation was made, in nanoseconds.
    at: i64,
}

/// What becomes of a copy that failed before.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Replacement {
    /// It is replaced at this time, or as soon as it is planned when none is given.
    Planned(String),
    /// Its replacement waits for room.
    Blocked,
}

impl Registration {
    /// The registration that made evaluation `eval`.
    pub(super) fn of(eval: &Value) -> Registration {
        Registration {
            job_modify_index: number(eval, &["JobModifyIndex"]),
            index: number(eval, &["CreateIndex"]),
            at: number(eval, &["CreateTime"]),
        }
    }

    /// Until when the events of a copy are old news: one that was there before has a past.
    pub(super) fn old_news(&self, alloc: &Value) -> i64 {
        if number(alloc, &["CreateIndex"]) < self.index { self.at } else { 0 }
    }

    /// Whether a copy had failed before: it was there, and nothing has happened to it since.
    pub(super) fn had_failed(&self, alloc: &Value) -> bool {
        let past = self.old_news(alloc);
        let mut events = entries(alloc, &["TaskStates"]).flat_map(|(_, state)| items(state, &["Events"]));
        past > 0 && text(alloc, &["ClientStatus"]) == "failed" && events.all(|event| number(event, &["Time"]) <= past)
    }

    /// What is to replace a copy that had failed; none when that is all there is to it.
    pub(super) fn replacement(&self, alloc: &Value, evals: &[Value]) -> Option<Replacement> {
        if !self.had_failed(alloc) {
            return None;
        }
        let with = |status: &'static str| evals.iter().filter(move |eval| text(eval, &["Status"]) == status);
        let follow_up = text(alloc, &["FollowupEvalID"]);
        let due = |eval: &Value| text(eval, &["WaitUntil"]).to_owned();
        let mut planned = with("pending").filter(|eval| text(eval, &["ID"]) == follow_up || due(eval).is_empty());
        let group = text(alloc, &["TaskGroup"]);
        let is_blocked = |eval: &Value| {
            let is_ours = number(eval, &["JobModifyIndex"]) == self.job_modify_index;
            is_ours && entries(eval, &["FailedTGAllocs"]).any(|(name, _)| name == group)
        };
        let blocked = || with("blocked").any(is_blocked).then_some(Replacement::Blocked);
        planned.next().map(|eval| Replacement::Planned(due(eval))).or_else(blocked)
    }
}

impl Replacement {
    /// In words, of `copies` copies.
    pub(super) fn words(&self, copies: usize) -> String {
        let (noun, verb) = if copies == 1 { ("copy", "is") } else { ("copies", "are") };
        let what = match self {
            Replacement::Planned(at) if at.is_empty() => format!("{verb} about to be replaced"),
            Replacement::Planned(at) => {
                // A date with a fraction of a second says more than is asked.
                let to_the_second = at.get(..19).unwrap_or(at).replace('T', " ");
                format!("{verb} replaced at {to_the_second} UTC")
            }
            Replacement::Blocked => "could not be replaced yet for want of room".to_owned(),
        };
        format!("{copies} {noun} that had failed before {what}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn registration() -> Registration {
        Registration::of(&json!({"JobModifyIndex": 7, "CreateIndex": 20, "CreateTime": 1000}))
    }

    fn failed(index: u64, at: u64) -> Value {
        json!({"ID": "a", "CreateIndex": index, "ClientStatus": "failed", "FollowupEvalID": "later", "TaskGroup": "g",
            "TaskStates": {"t": {"Events": [{"Time": 1}, {"Time": at}]}}})
    }

    #[test]
    fn what_happened_before_is_old_news() {
        let registration = registration();
        assert_eq!(registration.old_news(&failed(19, 1)), 1000);
        assert_eq!(registration.old_news(&failed(21, 1)), 0);
        assert!(registration.had_failed(&failed(19, 999)));
        assert!(!registration.had_failed(&failed(19, 1001)), "it failed since");
        assert!(!registration.had_failed(&failed(21, 999)), "it is a copy of this registration");
    }

    #[test]
    fn an_old_failure_is_awaited_while_something_will_replace_it() {
        let eval = |id: &str, status: &str, wait: &str| json!({"ID": id, "Status": status, "WaitUntil": wait, "JobModifyIndex": 7});
        let time = "2026-11-26T17:12:43.5Z";
        let becomes = |alloc: &Value, evals: &[Value]| registration().replacement(alloc, evals);
        let old = failed(19, 999);
        let planned = |at: &str| Some(Replacement::Planned(at.to_owned()));
        assert_eq!(becomes(&old, &[eval("later", "pending", time)]), planned(time));
        assert_eq!(becomes(&old, &[eval("next", "pending", "")]), planned(""));
        let blocked = |group: &str| json!({"Status": "blocked", "JobModifyIndex": 7, "FailedTGAllocs": {group: {}}});
        assert_eq!(becomes(&old, &[blocked("g")]), Some(Replacement::Blocked));
        assert_eq!(becomes(&old, &[blocked("another")]), None);
        assert_eq!(becomes(&old, &[eval("other", "pending", time), eval("later", "complete", time)]), None);
        assert_eq!(becomes(&failed(19, 1001), &[eval("later", "pending", time)]), None);
        let words = planned(time).unwrap().words(1);
        assert_eq!(words, "1 copy that had failed before is replaced at 2026-11-26 17:12:43 UTC");
    }
}
