//! Room and ports on one node, case by case.

use model::allocation::{Allocation, ClientStatus, DesiredStatus};
use model::id::AllocId;

use super::*;
use crate::tests::fixtures::{grant, node};

fn alloc(id: u128, amount: i64, port: u16) -> Allocation {
    Allocation { id: AllocId(id), grant: grant(amount, port), ..Allocation::default() }
}

fn stopping(id: u128, amount: i64, port: u16) -> Allocation {
    Allocation { desired_status: DesiredStatus::Stop, ..alloc(id, amount, port) }
}

fn after(ahead: &[u128], alloc: Allocation) -> Allocation {
    Allocation { starts_after: ahead.iter().map(|id| AllocId(*id)).collect(), ..alloc }
}

fn room(live: &[Allocation]) -> Room {
    Room::new(&node(1), live)
}

#[test]
fn each_dimension_is_counted() {
    assert_eq!(room(&[alloc(1, 500, 0)]).fits(&alloc(2, 500, 0)), Ok(()));
    assert_eq!(room(&[alloc(1, 501, 0)]).fits(&alloc(2, 500, 0)), Err(Misfit::Cpu));
    let mut hungry = alloc(2, 100, 0);
    hungry.grant.tasks.values_mut().for_each(|task| task.memory_mb = 2000);
    assert_eq!(room(&[]).fits(&hungry), Err(Misfit::Memory));
    let mut wide = alloc(2, 100, 0);
    wide.grant.disk_mb = 2000;
    assert_eq!(room(&[]).fits(&wide), Err(Misfit::Disk));
}

#[test]
fn the_sums_say_what_the_rooms_say_or_nothing() {
    let mut bounded = node(1);
    bounded.node_max_allocs = 2;
    let lives = [
        vec![],
        vec![alloc(1, 500, 0)],
        vec![alloc(1, 300, 0), stopping(2, 300, 0)],
        vec![alloc(1, 9, 0), alloc(2, 9, 0)],
    ];
    for (node, live) in [node(1), bounded].iter().flat_map(|node| lives.iter().map(move |live| (node, live))) {
        let room = Room::new(node, live);
        let held = live.iter().fold(Held::default(), |sum, one| Held {
            amounts: sum.amounts.plus(Amounts::of(&one.grant)),
            followers: 0,
            staying: sum.staying + usize::from(one.desired_status == DesiredStatus::Run),
        });
        for amount in [0, 1, 400, 401, 500, 501, 1000, 1001] {
            let newcomer = alloc(9, amount, 0);
            assert_eq!(
                Room::fits_by_sums(node, held, &newcomer),
                Some(room.fits(&newcomer)),
                "{amount} beside {live:?}"
            );
        }
        assert_eq!(Room::fits_by_sums(node, held, &alloc(9, 1, 80)), None, "a port is a single thing");
        assert_eq!(Room::fits_by_sums(node, held, &after(&[1], alloc(9, 1, 0))), None, "the order of ends matters");
        assert_eq!(Room::fits_by_sums(node, Held { followers: 1, ..held }, &alloc(9, 1, 0)), None);
    }
}

#[test]
fn what_the_node_keeps_is_not_given() {
    let mut small = node(1);
    small.reserved_resources.cpu.cpu_shares = 950;
    small.reserved_resources.networks.reserved_host_ports = "22, 8500-8600".to_owned();
    let room = Room::new(&small, []);
    assert_eq!(room.fits(&alloc(1, 51, 0)), Err(Misfit::Cpu));
    for (port, expected) in [(22, Err(Misfit::Port(22))), (8550, Err(Misfit::Port(8550))), (8601, Ok(()))] {
        assert_eq!(room.fits(&alloc(1, 50, port)), expected);
    }
}

#[test]
fn ended_ones_hold_nothing_and_stopping_ones_everything() {
    let ended = Allocation { client_status: ClientStatus::Complete, ..alloc(1, 900, 80) };
    assert_eq!(room(&[ended]).fits(&alloc(2, 900, 80)), Ok(()));
    assert_eq!(room(&[stopping(1, 900, 80)]).fits(&alloc(2, 900, 81)), Err(Misfit::Cpu));
    assert_eq!(room(&[stopping(1, 90, 80)]).fits(&alloc(2, 90, 80)), Err(Misfit::Port(80)));
}

#[test]
fn who_waits_for_the_end_takes_over() {
    let live = [stopping(1, 900, 80)];
    assert_eq!(room(&live).fits(&after(&[1], alloc(2, 1000, 80))), Ok(()));
    assert_eq!(room(&[alloc(1, 900, 80)]).fits(&after(&[1], alloc(2, 100, 80))), Err(Misfit::Port(80)));
    assert_eq!(room(&[alloc(1, 900, 80)]).fits(&after(&[1], alloc(2, 200, 81))), Err(Misfit::Cpu));
}

#[test]
fn room_passes_on_once() {
    let live = [stopping(1, 600, 80), after(&[1], alloc(2, 600, 80))];
    assert_eq!(room(&live).conflicts(), Vec::<String>::new());
    assert_eq!(room(&live).fits(&after(&[1], alloc(3, 600, 0))), Err(Misfit::Cpu));
    assert_eq!(room(&live).fits(&after(&[1], alloc(3, 400, 80))), Err(Misfit::Port(80)));
    assert_eq!(room(&live).fits(&alloc(3, 400, 81)), Ok(()));
}

#[test]
fn pairs_that_hand_over_do_not_overlap_by_luck() {
    let live = [stopping(1, 1000, 0), after(&[1], alloc(2, 500, 0))];
    assert_eq!(room(&live).fits(&alloc(3, 500, 0)), Err(Misfit::Cpu), "the first may still run");
    assert_eq!(room(&live).fits(&after(&[1], alloc(3, 500, 0))), Ok(()));
}

#[test]
fn one_that_waits_itself_passes_on_only_to_who_waits_for_all() {
    let live = [stopping(1, 800, 80), after(&[1], stopping(2, 800, 80))];
    assert_eq!(room(&live).fits(&after(&[2], alloc(3, 800, 81))), Err(Misfit::Cpu));
    assert_eq!(room(&live).fits(&after(&[2], alloc(3, 10, 80))), Err(Misfit::Port(80)));
    assert_eq!(room(&live).fits(&after(&[1, 2], alloc(3, 800, 80))), Ok(()));
}

#[test]
fn followers_share_what_stops_whatever_their_order() {
    let live = [stopping(1, 500, 0), stopping(2, 500, 0), after(&[1], alloc(9, 500, 0))];
    assert_eq!(room(&live).fits(&after(&[1, 2], alloc(3, 500, 0))), Ok(()));
    assert_eq!(room(&live).fits(&after(&[1], alloc(3, 500, 0))), Err(Misfit::Cpu));
}

#[test]
fn a_smaller_node_refuses_only_who_asks_for_more() {
    let live = [alloc(1, 600, 0), alloc(2, 600, 0)];
    let room = room(&live);
    assert_eq!(room.fits(&alloc(1, 600, 0)), Ok(()));
    assert_eq!(room.fits(&alloc(1, 601, 0)), Err(Misfit::Cpu));
    assert!(!room.conflicts().is_empty());
}

#[cfg(feature = "planted-bugs")]
#[test]
fn the_planted_bug_gives_a_port_twice() {
    use crate::planted::{Bug, enable};
    let live = [stopping(1, 90, 80)];
    enable(Some(Bug::PortFreeOnStop));
    let given = room(&live).fits(&alloc(2, 90, 80));
    enable(None);
    assert_eq!(given, Ok(()));
    assert_eq!(room(&[stopping(1, 90, 80), alloc(2, 90, 80)]).conflicts().len(), 1);
}
