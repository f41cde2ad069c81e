//! When a failed copy is replaced, and where not.

use model::allocation::{Allocation, RescheduleEvent, RescheduleTracker};
use model::compiled::{DelayFunction, Reschedule};
use model::id::NodeId;
use model::time::{GoDuration, Timestamp};

/// Events remembered along a chain of replacements.
const MAX_EVENTS: usize = 5;

fn events(alloc: &Allocation) -> &[RescheduleEvent] {
    alloc.reschedule_tracker.as_ref().map_or(&[], |tracker| &tracker.events)
}

/// When the last of its tasks ended.
fn failed_at(alloc: &Allocation) -> Timestamp {
    alloc.task_states.values().filter_map(|state| state.finished_at).max().unwrap_or(alloc.modify_time)
}

/// When to replace it; none when its attempts are used up.
pub(crate) fn when(alloc: &Allocation, policy: &Reschedule) -> Option<Timestamp> {
    let failed_at = failed_at(alloc);
    if !policy.unlimited {
        let window = failed_at.0.saturating_sub(policy.interval.0);
        let recent = events(alloc).iter().filter(|event| event.reschedule_time.0 > window).count();
        if recent >= policy.attempts as usize {
            return None;
        }
    }
    Some(failed_at.after(delay(alloc, policy)))
}

/// The pause before the next replacement.
pub(crate) fn delay(alloc: &Allocation, policy: &Reschedule) -> GoDuration {
    let events = events(alloc);
    let last = events.last().map(|event| event.delay.0);
    let before = events.iter().rev().nth(1).map(|event| event.delay.0);
    let next = match (policy.delay_function, last, before) {
        (DelayFunction::Constant, ..) | (_, None, _) => policy.delay.0,
        (DelayFunction::Exponential, Some(last), _) => last.saturating_mul(2),
        (DelayFunction::Fibonacci, Some(last), before) => last.saturating_add(before.unwrap_or(last)),
    };
    let ceiling = policy.max_delay.0;
    if ceiling > 0 && next > ceiling {
        // One that ran longer than the longest pause starts over.
        let ran = events.last().map_or(0, |event| failed_at(alloc).since(event.reschedule_time).0);
        return GoDuration(if ran > ceiling { policy.delay.0 } else { ceiling });
    }
    GoDuration(next)
}

/// Nodes where it or what it replaced failed.
pub(crate) fn failed_nodes(alloc: &Allocation) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = events(alloc).iter().map(|event| event.prev_node_id).collect();
    nodes.push(alloc.node_id);
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// What the replacement of `alloc` remembers.
pub(crate) fn tracker(alloc: &Allocation, policy: &Reschedule, now: Timestamp) -> RescheduleTracker {
    let mut events = events(alloc).to_vec();
    events.push(RescheduleEvent {
        reschedule_time: now,
        prev_alloc_id: alloc.id,
        prev_node_id: alloc.node_id,
        delay: delay(alloc, policy),
    });
    // A limited policy counts its attempts in this list.
    let keep = MAX_EVENTS.max(policy.attempts as usize + 1);
    let surplus = events.len().saturating_sub(keep);
    events.drain(..surplus);
    RescheduleTracker { events, last_reschedule: "ok".to_owned() }
}
