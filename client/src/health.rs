//! The verdict on an allocation's health: given once. Pure.

use std::collections::BTreeSet;

use model::allocation::Health;
use model::time::{GoDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What the verdict is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Whether every task that should run now does.
    pub all_up: bool,
    /// Whether a task failed for good.
    pub failed: bool,
    /// Ids of all checks of the allocation.
    pub checks: &'a [String],
}

/// Judges an allocation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthTracker {
    verdict: Option<Health>,
    passed: BTreeSet<String>,
    deadline: Option<Timestamp>,
    deadline_span: GoDuration,
}

impl HealthTracker {
    /// Judges from now on; `deadline` is how long the allocation may take to become well.
    pub fn new(now: Timestamp, deadline: Option<GoDuration>, verdict: Option<Health>) -> HealthTracker {
        HealthTracker {
            verdict,
            passed: BTreeSet::new(),
            deadline: deadline.map(|span| now.after(span)),
            deadline_span: deadline.unwrap_or_default(),
        }
    }

    /// The verdict, once there is one.
    pub fn verdict(&self) -> Option<&Health> {
        self.verdict.as_ref()
    }

    /// When silence becomes a verdict.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if self.verdict.is_some() { None } else { self.deadline }
    }

    /// A check has passed.
    pub fn passed(&mut self, check: &str) {
        self.passed.insert(check.to_owned());
    }

    /// Looks again. Gives the reason when the verdict falls and is bad.
    pub fn judge(&mut self, now: Timestamp, seen: Observed<'_>) -> Option<String> {
        if self.verdict.is_some() {
            return None;
        }
        if seen.failed {
            self.verdict = Some(Health { healthy: false, at: now });
            return Some("Unhealthy because of failed task".to_owned());
        }
        if seen.all_up && seen.checks.iter().all(|check| self.passed.contains(check)) {
            self.verdict = Some(Health { healthy: true, at: now });
            return None;
        }
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.verdict = Some(Health { healthy: false, at: now });
            let open: Vec<&str> =
                seen.checks.iter().filter(|check| !self.passed.contains(*check)).map(String::as_str).collect();
            return Some(if seen.all_up {
                format!("Checks not passed by healthy_deadline of {}: {}", self.deadline_span, open.join(", "))
            } else {
                format!("Task not running by healthy_deadline of {}", self.deadline_span)
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(checks: &[String], all_up: bool, failed: bool) -> Observed<'_> {
        Observed { all_up, failed, checks }
    }

    #[test]
    fn all_tasks_and_every_check_once() {
        let checks = ["a".to_owned(), "b".to_owned()];
        let mut health = HealthTracker::new(Timestamp(0), Some(GoDuration(100)), None);
        assert_eq!(health.judge(Timestamp(1), seen(&checks, true, false)), None);
        health.passed("a");
        health.judge(Timestamp(2), seen(&checks, true, false));
        assert_eq!(health.verdict(), None);
        health.passed("b");
        health.judge(Timestamp(3), seen(&checks, true, false));
        assert_eq!(health.verdict(), Some(&Health { healthy: true, at: Timestamp(3) }));
        assert_eq!(health.judge(Timestamp(4), seen(&checks, false, true)), None, "the verdict falls once");
        assert_eq!(health.wake_at(), None);
    }

    #[test]
    fn failure_and_deadline_are_bad() {
        let mut health = HealthTracker::new(Timestamp(0), None, None);
        assert!(health.judge(Timestamp(1), seen(&[], false, true)).is_some());
        let mut health = HealthTracker::new(Timestamp(0), Some(GoDuration(100)), None);
        assert_eq!(health.wake_at(), Some(Timestamp(100)));
        let why = health.judge(Timestamp(100), seen(&["web/check".to_owned()], true, false));
        assert_eq!(why.as_deref(), Some("Checks not passed by healthy_deadline of 100ns: web/check"));
        assert!(!health.verdict().is_none_or(|verdict| verdict.healthy));
    }
}
