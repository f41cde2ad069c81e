//! Who is woken when room appears, and who is not.

use std::collections::BTreeMap;

use model::compiled::{CompiledJob, compile};
use model::evaluation::{EvalStatus, Evaluation};
use model::id::{EvalId, NodeId};
use proptest::prelude::*;
use serde_json::json;

use super::build::{World, job, node};
use crate::NodeTable;
use crate::blocked::BlockedEvals;
use crate::overlay::{Ask, Overlay};

/// A job that waits for `copies`, with its blocked evaluation.
fn waits(number: u128, priority: i64, cpu: i64, copies: u64) -> (CompiledJob, Evaluation) {
    let document = job(copies as i64, cpu, 10, |value| {
        value["ID"] = json!(format!("job-{number}"));
        value["Priority"] = json!(priority);
    });
    let compiled = compile(&document);
    let eval = Evaluation {
        id: EvalId(number),
        priority,
        job: compiled.key.clone(),
        status: EvalStatus::Blocked,
        queued_allocations: BTreeMap::from([("g".to_owned(), copies)]),
        snapshot_index: 1,
        create_index: number as u64,
        ..Evaluation::default()
    };
    (compiled, eval)
}

fn block(blocked: &mut BlockedEvals, table: &NodeTable, (job, eval): &(CompiledJob, Evaluation)) {
    assert!(blocked.block(eval.clone(), job, table, false).woken.is_none());
}

fn numbers(woken: Vec<Evaluation>) -> Vec<u128> {
    woken.into_iter().map(|eval| eval.id.0).collect()
}

#[test]
fn room_wakes_as_many_as_it_has_space_for() {
    let mut world = World::with([]);
    let mut blocked = BlockedEvals::new();
    for number in 1..=1_000 {
        block(&mut blocked, &world.table, &waits(number, if number == 700 { 80 } else { 50 }, 100, 1));
    }
    block(&mut blocked, &world.table, &waits(2_000, 90, 5_000, 1));
    block(&mut blocked, &world.table, &waits(2_001, 60, 40, 2));
    world.put_node(node(1, 450, 1_000));
    // The most important first, each as large as it is: 100, then twice 40, then as many of 100 as still fit.
    assert_eq!(numbers(blocked.node_changed(&world.table, NodeId(1), 2)), [700, 2_001, 1, 2]);
    assert_eq!(blocked.len(), 998);
    // They went elsewhere: the room is offered to the next ones, and to nobody once it is used.
    assert_eq!(numbers(blocked.offer_again(&world.table)), [3, 4, 5, 6]);
    world.put_node(node(1, 90, 1_000));
    assert!(blocked.offer_again(&world.table).is_empty());
    assert!(blocked.offer_again(&world.table).is_empty());
}

#[test]
fn who_has_looked_at_a_node_is_not_woken_for_it_again() {
    let mut world = World::with([]);
    let mut blocked = BlockedEvals::new();
    let (first, second) = (waits(1, 50, 100, 1), waits(2, 50, 100, 1));
    block(&mut blocked, &world.table, &first);
    block(&mut blocked, &world.table, &second);
    world.put_node(node(1, 150, 1_000));
    assert_eq!(numbers(blocked.node_changed(&world.table, NodeId(1), 5)), [1]);
    // It looked, did not want the node for a reason of its own, and waits again.
    let looked = (first.0, Evaluation { id: EvalId(3), snapshot_index: 5, ..first.1 });
    block(&mut blocked, &world.table, &looked);
    assert_eq!(numbers(blocked.offer_again(&world.table)), [2]);
    assert!(blocked.offer_again(&world.table).is_empty());
    assert_eq!(numbers(blocked.node_changed(&world.table, NodeId(1), 6)), [3], "the node changed again");
}

#[test]
fn who_may_take_room_is_woken_where_others_are_less_important() {
    let mut world = World::with([node(1, 1_000, 1_000)]);
    let low = world.register(job(1, 900, 10, |value| value["Priority"] = json!(20)));
    world.settle(&low);
    let mut blocked = BlockedEvals::new();
    let (important, unimportant) = (waits(1, 70, 500, 1), waits(2, 25, 500, 1));
    for (job, eval) in [&unimportant, &important] {
        assert!(blocked.block(eval.clone(), job, &world.table, true).woken.is_none());
    }
    assert_eq!(numbers(blocked.node_changed(&world.table, NodeId(1), 9)), [1]);
}

proptest! {
    #[test]
    fn nobody_waits_beside_room(
        waiting in proptest::collection::vec((1..4i64, 1..9i64, 1..4u64), 1..40),
        nodes in proptest::collection::vec(0..12i64, 1..6),
    ) {
        let mut world = World::with([]);
        let mut blocked = BlockedEvals::new();
        let mut by_number = BTreeMap::new();
        for (number, (priority, size, copies)) in waiting.into_iter().enumerate() {
            let one = waits(number as u128 + 1, 40 + priority * 10, size * 100, copies);
            block(&mut blocked, &world.table, &one);
            by_number.insert(number as u128 + 1, one);
        }
        for (place, size) in nodes.iter().enumerate() {
            world.put_node(node(place as u128 + 1, size * 100, 1_000));
        }
        let fits = |number: u128| {
            let (job, _) = &by_number[&number];
            let (overlay, ask) = (Overlay::new(&world.table), Ask::of(&job.groups[0]));
            (0..world.table.len()).any(|slot| overlay.fit(slot, &ask).is_ok())
        };
        // Whoever is woken takes nothing: in the end only those are left that fit nowhere.
        let mut left: Vec<u128> = by_number.keys().copied().collect();
        for place in 0..nodes.len() {
            let mut woken = numbers(blocked.node_changed(&world.table, NodeId(place as u128 + 1), 2));
            while !woken.is_empty() {
                for number in &woken {
                    prop_assert!(fits(*number), "{number} was woken for nothing");
                }
                left.retain(|number| !woken.contains(number));
                woken = numbers(blocked.offer_again(&world.table));
            }
        }
        prop_assert_eq!(left.len(), blocked.len());
        for number in left {
            prop_assert!(!fits(number), "{number} waits beside room");
        }
    }
}
