//! Which allocations of this node a new one must wait for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use model::allocation::Allocation;
use model::compiled::CompiledJob;
use model::id::AllocId;
use model::rpc::PullAllocsReply;

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
