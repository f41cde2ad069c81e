//! Rows of allocations: what is packed comes out again, and what many have is kept once.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::allocation::{Allocation, ClientStatus, DesiredStatus, Grant, RescheduleTracker, TaskGrant};
use model::id::{AllocId, EvalId, JobKey, NodeId};
use model::metric::AllocMetric;
use model::task_state::TaskState;
use proptest::prelude::*;

use crate::alloc_row::{AllocRow, Pool};

fn alloc() -> impl Strategy<Value = Allocation> {
    let name = prop_oneof!["web\\.g\\[[0-9]{1,3}\\]", ".{0,12}"];
    let ids = (1..u128::MAX, 0..3u128, 0..3u128, proptest::option::of(any::<u128>()));
    let statuses = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (name, ids, statuses, 0..3u64).prop_map(|(name, (id, node, eval, other), (stops, runs, seen, odd), number)| {
        Allocation {
            id: AllocId(id),
            name,
            job: JobKey::new("default", "web"),
            job_version: number,
            task_group: "g".to_owned(),
            eval_id: EvalId(eval),
            node_id: NodeId(node),
            node_name: format!("node-{node}"),
            grant: Grant {
                tasks: BTreeMap::from([("t".to_owned(), TaskGrant { cpu: 7, ..TaskGrant::default() })]),
                disk_mb: number as i64,
                ..Grant::default()
            },
            metrics: odd.then(|| Arc::new(AllocMetric { nodes_evaluated: number, ..AllocMetric::default() })),
            desired_status: if stops { DesiredStatus::Stop } else { DesiredStatus::Run },
            desired_description: if stops { "not needed".to_owned() } else { String::new() },
            previous_allocation: other.map(AllocId),
            starts_after: other.into_iter().map(AllocId).collect(),
            reschedule_tracker: odd.then(RescheduleTracker::default),
            client_status: if runs { ClientStatus::Running } else { ClientStatus::Pending },
            task_states: if seen { BTreeMap::from([("t".to_owned(), TaskState::default())]) } else { BTreeMap::new() },
            modify_index: number,
            ..Allocation::default()
        }
    })
}

proptest! {
    #[test]
    fn what_is_packed_comes_out_again(allocs in proptest::collection::vec(alloc(), 1..12)) {
        let mut pool = Pool::default();
        let rows: Vec<AllocRow> = allocs.iter().map(|alloc| AllocRow::pack(alloc.clone(), &mut pool)).collect();
        for (row, alloc) in rows.iter().zip(&allocs) {
            prop_assert_eq!(&row.unpack(), alloc);
            prop_assert_eq!((row.is_live(), row.is_terminal()), (alloc.is_live(), alloc.is_terminal()));
            prop_assert_eq!(row.starts_after(), &alloc.starts_after[..]);
            // Packing is a function of the allocation: what the pool holds does not show.
            prop_assert_eq!(&AllocRow::pack(alloc.clone(), &mut Pool::default()), row);
        }
    }
}

#[test]
fn a_row_is_small() {
    assert!(size_of::<AllocRow>() <= 128, "{} bytes", size_of::<AllocRow>());
}
