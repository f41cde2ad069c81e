//! The one place that reads the clock; everything that decides is given the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::time::Timestamp;

/// The longest sleep in one go: after a jump of the wall clock nothing waits longer than this too long.
const LONGEST_NAP: Duration = Duration::from_secs(5);

/// The time now.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Waits until `at`.
pub(crate) async fn sleep_until(at: Timestamp) {
    loop {
        let left = at.since(now()).to_std();
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST_NAP)).await;
    }
}
