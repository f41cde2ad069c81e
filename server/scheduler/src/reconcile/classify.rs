//! What one allocation is, in the eyes of the planner: a table of rules, the first that holds decides.

use model::allocation::{Allocation, ClientStatus, DesiredStatus};
use model::compiled::{Disconnect, JobKind};
use model::node::NodeStatus;
use model::time::Timestamp;

use crate::table::NodeTable;

/// See the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Stopped, or ended and not to be counted: its place is free.
    Gone,
    /// Runs, or will.
    Stays,
    /// Ran to its end, as it should.
    Done,
    /// Its node is down or unknown.
    Lost,
    /// It is to leave its node.
    Migrates,
    /// It failed and nothing replaced it yet.
    Failed,
    /// Its node is out of reach since just now, and it may come back.
    Disconnecting,
    /// Its node is out of reach, or has not told of it since, and it may still come back.
    Unknown,
    /// It has been out of reach for too long.
    Expired,
    /// It is back, and may have been replaced meanwhile.
    Reconnecting,
}

/// What of the job decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub kind: JobKind,
    /// The current version.
    pub version: u64,
    pub disconnect: Disconnect,
    pub now: Timestamp,
}

/// Where an allocation's node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Here,
    Away,
    Lost,
}

/// Where the node of `alloc` is.
pub(crate) fn reach(table: &NodeTable, alloc: &Allocation) -> Reach {
    match table.slot(alloc.node_id).map(|slot| table.info(slot).status) {
        None | Some(NodeStatus::Down) => Reach::Lost,
        Some(NodeStatus::Disconnected) => Reach::Away,
        Some(NodeStatus::Ready | NodeStatus::Initializing) => Reach::Here,
    }
}

/// Whether the allocation's node is down or unknown.
pub(crate) fn is_lost(table: &NodeTable, alloc: &Allocation) -> bool {
    reach(table, alloc) == Reach::Lost
}

/// See [`Standing`].
pub(crate) fn classify(alloc: &Allocation, reach: Reach, rules: Rules) -> Standing {
    use ClientStatus::{Complete, Failed, Lost, Pending, Running, Unknown};
    let Rules { kind, version, disconnect, now } = rules;
    let current = alloc.job_version == version;
    let expired = |since: Timestamp| disconnect.lost_after.is_none_or(|after| since.after(after) <= now);
    match (alloc.desired_status, alloc.client_status, reach) {
        (DesiredStatus::Stop | DesiredStatus::Evict, ..) | (_, Lost, _) => Standing::Gone,
        // A new version of a batch job runs again.
        (_, Complete, _) if kind.is_batch() && current => Standing::Done,
        (_, Complete, _) => Standing::Gone,
        (_, Failed, _) if kind.is_batch() && !current => Standing::Gone,
        (_, Failed, _) if alloc.next_allocation.is_some() => Standing::Gone,
        (_, Failed, _) => Standing::Failed,
        (.., Reach::Lost) => Standing::Lost,
        (_, status, Reach::Away) => match (alloc.unknown_since, disconnect.lost_after, status) {
            (_, None, _) => Standing::Lost,
            (Some(since), ..) if expired(since) => Standing::Expired,
            (Some(_), ..) => Standing::Unknown,
            // What never ran has nothing to come back with.
            (None, Some(_), Pending) => Standing::Lost,
            (None, Some(_), _) => Standing::Disconnecting,
        },
        (_, Unknown, Reach::Here) => match alloc.unknown_since {
            Some(since) if expired(since) => Standing::Expired,
            _ => Standing::Unknown,
        },
        (_, Pending | Running, Reach::Here) => match alloc.unknown_since {
            Some(_) => Standing::Reconnecting,
            None if alloc.desired_transition.migrate == Some(true) => Standing::Migrates,
            None => Standing::Stays,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::id::AllocId;
    use model::time::GoDuration;

    /// One row: desired, client, reach, batch?, current version?, unknown for (s), migrate?, replaced? -> standing with
    /// and without `lost_after`.
    #[test]
    fn the_first_rule_that_holds_decides() {
        use ClientStatus as C;
        use DesiredStatus as D;
        use Reach as R;
        use Standing as S;
        type Row = (D, C, R, bool, bool, Option<i64>, bool, bool, S, S);
        let rows: &[Row] = &[
            (D::Stop, C::Running, R::Here, false, true, None, false, false, S::Gone, S::Gone),
            (D::Evict, C::Running, R::Lost, false, true, None, false, false, S::Gone, S::Gone),
            (D::Run, C::Lost, R::Here, false, true, None, false, false, S::Gone, S::Gone),
            (D::Run, C::Complete, R::Here, true, true, None, false, false, S::Done, S::Done),
            (D::Run, C::Complete, R::Lost, true, true, None, true, false, S::Done, S::Done),
            (D::Run, C::Complete, R::Here, true, false, None, false, false, S::Gone, S::Gone),
            (D::Run, C::Complete, R::Here, false, true, None, false, false, S::Gone, S::Gone),
            (D::Run, C::Failed, R::Here, false, false, None, false, false, S::Failed, S::Failed),
            (D::Run, C::Failed, R::Here, true, false, None, false, false, S::Gone, S::Gone),
            (D::Run, C::Failed, R::Here, false, true, None, false, true, S::Gone, S::Gone),
            (D::Run, C::Failed, R::Lost, false, true, None, true, false, S::Failed, S::Failed),
            (D::Run, C::Running, R::Here, false, true, None, false, false, S::Stays, S::Stays),
            (D::Run, C::Pending, R::Here, false, false, None, false, true, S::Stays, S::Stays),
            (D::Run, C::Running, R::Here, false, true, None, true, false, S::Migrates, S::Migrates),
            (D::Run, C::Running, R::Lost, false, true, None, true, false, S::Lost, S::Lost),
            (D::Run, C::Unknown, R::Lost, false, true, Some(1), false, false, S::Lost, S::Lost),
            (D::Run, C::Running, R::Away, false, true, None, true, false, S::Disconnecting, S::Lost),
            (D::Run, C::Pending, R::Away, false, true, None, false, false, S::Lost, S::Lost),
            (D::Run, C::Unknown, R::Away, false, true, Some(1), false, true, S::Unknown, S::Lost),
            (D::Run, C::Unknown, R::Away, false, true, Some(60), false, true, S::Expired, S::Lost),
            (D::Run, C::Running, R::Away, false, true, Some(1), false, true, S::Unknown, S::Lost),
            (D::Run, C::Unknown, R::Here, false, true, Some(1), false, true, S::Unknown, S::Expired),
            (D::Run, C::Unknown, R::Here, false, true, Some(60), false, true, S::Expired, S::Expired),
            (D::Run, C::Running, R::Here, false, true, Some(1), true, true, S::Reconnecting, S::Reconnecting),
            (D::Run, C::Running, R::Here, false, true, Some(60), false, true, S::Reconnecting, S::Reconnecting),
            (D::Run, C::Failed, R::Here, false, true, Some(1), false, true, S::Gone, S::Gone),
        ];
        for row in rows {
            let (desired, client, reach, batch, current, unknown, migrate, replaced, with, without) = *row;
            let now = Timestamp(1_000_000_000_000);
            let mut alloc = Allocation {
                desired_status: desired,
                client_status: client,
                job_version: if current { 3 } else { 2 },
                unknown_since: unknown.map(|seconds| Timestamp(now.0 - GoDuration::from_secs(seconds).0)),
                next_allocation: replaced.then_some(AllocId(1)),
                ..Allocation::default()
            };
            alloc.desired_transition.migrate = migrate.then_some(true);
            let kind = if batch { JobKind::Batch } else { JobKind::Service };
            for (lost_after, expected) in [(Some(GoDuration::from_secs(60)), with), (None, without)] {
                let disconnect = Disconnect { lost_after, ..Disconnect::default() };
                let rules = Rules { kind, version: 3, disconnect, now };
                assert_eq!(classify(&alloc, reach, rules), expected, "{row:?} {lost_after:?}");
            }
        }
    }
}
