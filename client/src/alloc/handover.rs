//! Which allocations of this node a new one must wait for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use model::allocation::Allocation;
use model::compiled::CompiledJob;
use model::id::AllocId;
use model::rpc::PullAllocsReply;

/// How far back data is looked for.
const MAX_ANCESTORS: usize = 64;

/// Those of `living` after whose end `starts_after` names, and those whose room the servers have given away.
///
/// `living` has not ended here; true stands for an allocation that holds nothing any more as far as the servers know:
/// see [`released`].
pub fn predecessors(starts_after: &[AllocId], living: &BTreeMap<AllocId, bool>) -> BTreeSet<AllocId> {
    let waited_for = living.iter().filter(|(id, released)| **released || starts_after.contains(id));
    waited_for.map(|(id, _)| *id).collect()
}

/// The allocation whose data `alloc` takes over, if it was on the same node: the one it replaces, with a sticky disk.
pub fn inherits_from(alloc: &Allocation, job: &CompiledJob) -> Option<AllocId> {
    alloc.previous_allocation.filter(|_| job.group(&alloc.task_group).is_some_and(|group| group.sticky_disk))
}

/// Those that may have the data which an allocation takes over, the nearest first: the one that it inherits from, and on
/// from there, for one that never came to prepare itself has left it where it was.
pub fn ancestors(nearest: Option<AllocId>, inherits_from: impl Fn(AllocId) -> Option<AllocId>) -> Vec<AllocId> {
    let mut found = Vec::new();
    let mut next = nearest;
    while let Some(id) = next.filter(|id| found.len() < MAX_ANCESTORS && !found.contains(id)) {
        found.push(id);
        next = inherits_from(id);
    }
    found
}

/// Whether `reply` says that the servers give away the room of an allocation that lives on this node: they took it for
/// lost while the node was silent, or have forgotten it.
pub fn released(reply: &PullAllocsReply, id: AllocId) -> bool {
    let row = reply.changed.iter().find(|source| source.alloc.id == id);
    row.is_some_and(|source| !source.alloc.is_live()) || reply.ids.as_ref().is_some_and(|ids| !ids.contains(&id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::allocation::ClientStatus;
    use model::compiled::CompiledGroup;
    use model::rpc::AllocWithJob;

    #[test]
    fn only_a_sticky_disk_is_taken_over() {
        let alloc =
            Allocation { task_group: "g".to_owned(), previous_allocation: Some(AllocId(3)), ..Allocation::default() };
        let job = |sticky_disk| {
            let group = CompiledGroup { name: "g".to_owned(), sticky_disk, ..CompiledGroup::default() };
            CompiledJob { groups: [group].into(), ..CompiledJob::default() }
        };
        assert_eq!(inherits_from(&alloc, &job(true)), Some(AllocId(3)));
        assert_eq!(inherits_from(&alloc, &job(false)), None);
        assert_eq!(inherits_from(&Allocation { previous_allocation: None, ..alloc }, &job(true)), None);
    }

    #[test]
    fn data_is_looked_for_along_the_line() {
        let line = |id: AllocId| (id.0 > 1).then(|| AllocId(id.0 - 1));
        assert_eq!(ancestors(Some(AllocId(3)), line), [3, 2, 1].map(AllocId));
        assert_eq!(ancestors(None, line), []);
        assert_eq!(ancestors(Some(AllocId(5)), Some), [AllocId(5)], "a circle ends");
        assert_eq!(ancestors(Some(AllocId(500)), line).len(), MAX_ANCESTORS);
    }

    #[test]
    fn what_the_servers_took_for_lost_is_waited_for() {
        let row = |id: u128, client_status| AllocWithJob {
            alloc: Allocation { id: AllocId(id), client_status, ..Allocation::default() },
            job: std::sync::Arc::default(),
        };
        let reply = PullAllocsReply {
            index: 9,
            ids: Some(vec![AllocId(1), AllocId(2), AllocId(3)]),
            changed: vec![row(1, ClientStatus::Lost), row(2, ClientStatus::Running)],
        };
        let living = (1..=4).map(|id| (AllocId(id), released(&reply, AllocId(id)))).collect();
        assert_eq!(predecessors(&[AllocId(3), AllocId(7)], &living), [1, 3, 4].map(AllocId).into());
        assert_eq!(predecessors(&[], &living), [1, 4].map(AllocId).into());
    }
}
