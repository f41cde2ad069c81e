//! The restart policy: what follows when a task has ended or could not be started. Pure.

use model::compiled::{Restart, RestartMode};
use model::time::{GoDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The task is started again after `delay`.
    Restart {
        /// The pause.
        delay: GoDuration,
        /// Why, as shown to users.
        reason: &'static str,
    },
    /// The task has failed for good.
    Fail {
        /// Why, as shown to users.
        reason: String,
    },
    /// The task has done its work.
    Done,
}

/// Counts the restarts of one task within the policy's interval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartTracker {
    count: u32,
    window_start: Timestamp,
}

impl RestartTracker {
    /// A tracker whose first interval begins now.
    pub fn new(now: Timestamp) -> RestartTracker {
        RestartTracker { count: 0, window_start: now }
    }

    /// The task's process ended. `again` tells whether the task is started again after a success; `roll` is random.
    pub fn after_exit(&mut self, policy: &Restart, again: bool, succeeded: bool, now: Timestamp, roll: u64) -> Next {
        if succeeded && !again { Next::Done } else { self.count_restart(policy, now, roll) }
    }

    /// The task could not be started.
    pub fn after_start_failure(&mut self, policy: &Restart, recoverable: bool, now: Timestamp, roll: u64) -> Next {
        if recoverable {
            self.count_restart(policy, now, roll)
        } else {
            Next::Fail { reason: "Error was unrecoverable".to_owned() }
        }
    }

    fn count_restart(&mut self, policy: &Restart, now: Timestamp, roll: u64) -> Next {
        if policy.attempts == 0 {
            return Next::Fail { reason: "Policy allows no restarts".to_owned() };
        }
        let window_end = self.window_start.after(policy.interval);
        if now > window_end {
            *self = RestartTracker::new(now);
        }
        self.count += 1;
        if self.count <= policy.attempts {
            return Next::Restart { delay: jittered(policy.delay, roll), reason: "Restart within policy" };
        }
        match policy.mode {
            RestartMode::Fail => Next::Fail {
                reason: format!(
                    "Exceeded allowed attempts {} in interval {} and mode is \"fail\"",
                    policy.attempts, policy.interval
                ),
            },
            RestartMode::Delay => Next::Restart {
                // One nanosecond past the end, so that the next decision begins a new interval.
                delay: GoDuration(window_end.since(now).0.max(0) + 1),
                reason: "Exceeded allowed attempts, applying a delay",
            },
        }
    }
}

/// `delay` plus up to a quarter of it, so that copies that fail together do not restart together.
fn jittered(delay: GoDuration, roll: u64) -> GoDuration {
    let quarter = (delay.0.max(0) / 4) as u64;
    let extra = if quarter == 0 { 0 } else { roll % quarter };
    GoDuration(delay.0.max(0).saturating_add(extra as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn policy(attempts: u32, mode: RestartMode) -> Restart {
        Restart { attempts, interval: GoDuration::from_secs(8), delay: GoDuration::from_secs(1), mode }
    }

    #[test]
    fn attempts_are_counted_within_the_interval() {
        let mut tracker = RestartTracker::new(Timestamp(0));
        let policy = policy(2, RestartMode::Fail);
        for at in [1, 2] {
            let next = tracker.after_exit(&policy, true, false, Timestamp(at * SECOND), 0);
            assert_eq!(next, Next::Restart { delay: GoDuration::from_secs(1), reason: "Restart within policy" });
        }
        let Next::Fail { reason } = tracker.after_exit(&policy, true, false, Timestamp(3 * SECOND), 0) else {
            panic!("a third attempt within the interval")
        };
        assert_eq!(reason, "Exceeded allowed attempts 2 in interval 8s and mode is \"fail\"");
        let next = tracker.after_exit(&policy, true, false, Timestamp(20 * SECOND), 0);
        assert!(matches!(next, Next::Restart { .. }), "a new interval counts anew");
    }

    #[test]
    fn delay_mode_waits_for_the_end_of_the_interval() {
        let mut tracker = RestartTracker::new(Timestamp(0));
        let policy = policy(1, RestartMode::Delay);
        tracker.after_exit(&policy, true, false, Timestamp(SECOND), 0);
        let Next::Restart { delay, .. } = tracker.after_exit(&policy, true, false, Timestamp(2 * SECOND), 0) else {
            panic!("mode delay never fails")
        };
        assert_eq!(delay, GoDuration(6 * SECOND + 1));
        let next = tracker.after_exit(&policy, true, false, Timestamp(8 * SECOND + 1), 0);
        assert!(matches!(next, Next::Restart { reason: "Restart within policy", .. }));
    }

    #[test]
    fn success_ends_batch_and_nothing_else_is_hidden() {
        let mut tracker = RestartTracker::new(Timestamp(0));
        let none = policy(0, RestartMode::Fail);
        assert_eq!(tracker.after_exit(&none, false, true, Timestamp(0), 0), Next::Done);
        assert!(matches!(tracker.after_exit(&none, false, false, Timestamp(0), 0), Next::Fail { .. }));
        let one = policy(1, RestartMode::Fail);
        assert!(matches!(tracker.after_start_failure(&one, false, Timestamp(0), 0), Next::Fail { .. }));
        assert!(matches!(tracker.after_start_failure(&one, true, Timestamp(0), 0), Next::Restart { .. }));
    }

    #[test]
    fn jitter_is_below_a_quarter() {
        for roll in [0, 1, 7, u64::MAX, 249_999_999, 250_000_000] {
            let delay = jittered(GoDuration::from_secs(1), roll).0;
            assert!((SECOND..SECOND + SECOND / 4).contains(&delay), "{delay}");
        }
        assert_eq!(jittered(GoDuration(1), 9), GoDuration(1));
    }
}
