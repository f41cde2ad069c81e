//! When a check probes, and what its results mean. Pure.

use model::allocation::CheckStatus;
use model::compiled::CompiledCheck;
use model::time::{GoDuration, Timestamp};

/// Until a check has passed once it probes at least this often.
const FIRST_PASS_INTERVAL: GoDuration = GoDuration::from_secs(1);
/// Nothing probes more often than this, whatever the job says.
const SHORTEST_INTERVAL: GoDuration = GoDuration::from_millis(100);

/// What a result leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it is the first result or differs from the last.
    pub changed: bool,
    /// Whether the task is to be restarted.
    pub restart: bool,
}

/// The schedule of one check.
#[derive(Clone, Debug)]
pub struct CheckSchedule {
    interval: GoDuration,
    timeout: GoDuration,
    limit: i64,
    quiet_until: Timestamp,
    passed_once: bool,
    last: Option<CheckStatus>,
    failing_since: Option<Timestamp>,
    next: Timestamp,
}

impl CheckSchedule {
    /// A check whose task is up since `now`: it probes at once.
    pub fn new(check: &CompiledCheck, now: Timestamp) -> CheckSchedule {
        let grace = check.restart.as_ref().and_then(|restart| restart.grace).unwrap_or(GoDuration::from_secs(1));
        CheckSchedule {
            interval: if check.interval.0 > 0 {
                check.interval.max(SHORTEST_INTERVAL)
            } else {
                GoDuration::from_secs(10)
            },
            timeout: if check.timeout.0 > 0 { check.timeout } else { GoDuration::from_secs(2) },
            limit: check.restart.as_ref().map_or(0, |restart| restart.limit),
            quiet_until: now.after(grace),
            passed_once: false,
            last: None,
            failing_since: None,
            next: now,
        }
    }

    /// When the next probe begins.
    pub fn next_probe(&self) -> Timestamp {
        self.next
    }

    /// How long a probe may take.
    pub fn timeout(&self) -> GoDuration {
        self.timeout
    }

    /// A probe that began at `began` ended now.
    pub fn result(&mut self, began: Timestamp, now: Timestamp, passed: bool) -> Outcome {
        let status = if passed { CheckStatus::Success } else { CheckStatus::Failure };
        let changed = self.last != Some(status);
        self.last = Some(status);
        self.passed_once |= passed;
        let pause = if self.passed_once { self.interval } else { self.interval.min(FIRST_PASS_INTERVAL) };
        self.next = began.after(pause).max(now);
        if passed {
            self.failing_since = None;
            return Outcome { changed, restart: false };
        }
        // Failures of the grace time do not count; then `limit` failures in a row at the interval are too many.
        if self.limit <= 0 || now < self.quiet_until {
            return Outcome { changed, restart: false };
        }
        let since = *self.failing_since.get_or_insert(now);
        let patience = GoDuration(self.interval.0.saturating_mul(self.limit - 1));
        Outcome { changed, restart: now.since(since) >= patience }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::job::CheckRestart;

    const SECOND: i64 = 1_000_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * SECOND)
    }

    fn check(interval: i64, limit: i64) -> CompiledCheck {
        CompiledCheck {
            interval: GoDuration::from_secs(interval),
            restart: Some(CheckRestart { limit, grace: Some(GoDuration::from_secs(3)), ignore_warnings: false }),
            ..CompiledCheck::default()
        }
    }

    #[test]
    fn every_second_until_the_first_pass_then_at_the_interval() {
        let mut schedule = CheckSchedule::new(&check(10, 0), at(5));
        assert_eq!(schedule.next_probe(), at(5), "at start");
        assert_eq!(schedule.result(at(5), at(5), false), Outcome { changed: true, restart: false });
        assert_eq!(schedule.next_probe(), at(6));
        assert_eq!(schedule.result(at(6), at(6), false), Outcome::default());
        assert_eq!(schedule.result(at(7), at(7), true), Outcome { changed: true, restart: false });
        assert_eq!(schedule.next_probe(), at(17));
        assert_eq!(schedule.result(at(17), at(17), false), Outcome { changed: true, restart: false });
        assert_eq!(schedule.next_probe(), at(27), "later failures do not hurry");
    }

    #[test]
    fn a_slow_probe_never_makes_probes_pile_up() {
        let mut schedule = CheckSchedule::new(&check(1, 0), at(0));
        schedule.result(at(0), at(30), false);
        assert_eq!(schedule.next_probe(), at(30));
    }

    #[test]
    fn restarts_after_grace_and_limit() {
        let mut schedule = CheckSchedule::new(&check(1, 3), at(0));
        let restarts: Vec<bool> = (0..8).map(|t| schedule.result(at(t), at(t), false).restart).collect();
        assert_eq!(restarts, [false, false, false, false, false, true, true, true]);
        let mut schedule = CheckSchedule::new(&check(1, 3), at(0));
        let pattern = [false, false, false, false, false, true, false, false, false];
        let restarts: Vec<i64> =
            (0..9).filter(|t| schedule.result(at(*t + 3), at(*t + 3), pattern[*t as usize]).restart).collect();
        assert_eq!(restarts, [2, 3, 4, 8], "a pass forgives");
    }
}
