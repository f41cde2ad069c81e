//! What clients report, and users who stop one copy.

use model::allocation::{ClientStatus, DesiredStatus, Health};
use model::evaluation::trigger;
use model::id::{AllocId, NodeId};
use model::time::Timestamp;

use super::fixtures::*;
use crate::{Op, Refusal, Reply};

#[test]
fn a_report_sets_the_client_side_only() {
    let (mut world, id) = one_copy();
    let before = world.state.alloc(id).unwrap();
    let outcome = world.report(id, ClientStatus::Running);
    let after = world.state.alloc(id).unwrap();
    assert_eq!(after.client_status, ClientStatus::Running);
    assert_eq!((after.alloc_modify_index, after.modify_index), (before.alloc_modify_index, world.state.index()));
    assert!(outcome.touched.nodes.contains(&NodeId(1)) && outcome.touched.jobs.contains(&key("web")));
    assert!(world.pending("web").is_empty());
    assert!(world.report(id, ClientStatus::Running).touched.is_empty());
}

#[test]
fn a_report_that_a_later_one_has_overtaken_changes_nothing() {
    let (mut world, id) = one_copy();
    let order = |start, number| model::allocation::ReportOrder { start, number };
    let mut report = |report, status| {
        let update = model::allocation::AllocUpdate { report, ..update(id, status) };
        world.run(Op::UpdateAllocs { node_id: NodeId(1), updates: vec![update] });
        world.state.alloc(id).unwrap().client_status
    };
    assert_eq!(report(order(1, 7), ClientStatus::Running), ClientStatus::Running);
    assert_eq!(report(order(1, 6), ClientStatus::Pending), ClientStatus::Running, "held up on its way");
    assert_eq!(report(order(2, 1), ClientStatus::Pending), ClientStatus::Pending, "the agent has started again");
    assert_eq!(report(order(1, 8), ClientStatus::Failed), ClientStatus::Pending, "from an agent that has died");
}

#[test]
fn a_failure_wakes_the_planner_once() {
    let (mut world, id) = one_copy();
    world.report(id, ClientStatus::Failed);
    assert_eq!(world.pending("web"), [trigger::ALLOC_FAILURE]);
    world.report(id, ClientStatus::Running);
    let alloc = world.state.alloc(id).unwrap();
    assert_eq!(alloc.client_status, ClientStatus::Failed, "what has ended stays ended");
    assert_eq!(world.state.live_allocs_of_node(NodeId(1)).count(), 0);
}

#[test]
fn a_completed_batch_copy_needs_nobody_and_the_job_is_dead() {
    let mut world = World::default();
    world.run(join(1));
    let eval = world.register(of_type("job", "batch"));
    let mut plan = world.plan(eval);
    plan.placements.push(world.copy("job", NodeId(1), 0));
    let id = plan.placements[0].id;
    world.apply(vec![plan]);
    assert_eq!(world.state.job_status(&key("job")), Some(crate::JobStatus::Running));
    world.report(id, ClientStatus::Complete);
    assert!(world.pending("job").is_empty());
    assert_eq!(world.state.job_status(&key("job")), Some(crate::JobStatus::Dead));
    let summary = world.state.job_summary(&key("job")).unwrap();
    assert_eq!((summary.summary["web"].complete, summary.summary["web"].running), (1, 0));
}

#[test]
fn health_moves_a_rollout_on_only_while_older_copies_run() {
    let mut world = World::default();
    world.run(join(1));
    let first = world.place("web", NodeId(1), 80);
    let health = |healthy| Some(Health { healthy, at: Timestamp(1) });
    let judge = |world: &mut World, id: AllocId, healthy| {
        let verdict = model::allocation::AllocUpdate { health: health(healthy), ..update(id, ClientStatus::Running) };
        world.run(Op::UpdateAllocs { node_id: NodeId(1), updates: vec![verdict] });
    };
    judge(&mut world, first, true);
    assert!(world.pending("web").is_empty());
    let eval = world.register(service("web", 2));
    let mut plan = world.plan(eval);
    plan.placements.push(world.copy("web", NodeId(1), 81));
    let second = plan.placements[0].id;
    world.apply(vec![plan]);
    judge(&mut world, second, true);
    assert_eq!(world.pending("web"), [trigger::DEPLOYMENT_WATCHER]);
    judge(&mut world, second, false);
    assert_eq!(world.state.alloc(second).unwrap().health, health(true), "the first verdict stays");
}

#[test]
fn nodes_report_only_their_own_and_unknown_ones_are_passed_over() {
    let (mut world, id) = one_copy();
    world.run(join(2));
    let foreign = Op::UpdateAllocs { node_id: NodeId(2), updates: vec![update(id, ClientStatus::Failed)] };
    let refusal = Refusal::ForeignAlloc { alloc: id, owner: NodeId(1), node: NodeId(2) };
    assert_eq!(world.run(foreign).reply, Reply::Refused(refusal));
    let unknown = update(AllocId(77), ClientStatus::Failed);
    let outcome = world.run(Op::UpdateAllocs { node_id: NodeId(1), updates: vec![unknown] });
    assert_eq!(outcome.reply, Reply::Allocs(crate::AllocsWritten::default()));
}

#[test]
fn a_user_stops_one_copy() {
    let (mut world, id) = one_copy();
    let reply = world.run(Op::StopAlloc { id, no_shutdown_delay: true }).reply;
    let Reply::AllocStop(stopped) = reply else { panic!("{reply:?}") };
    assert_eq!(world.state.eval(stopped.eval_id).unwrap().triggered_by, trigger::ALLOC_STOP);
    let alloc = world.state.alloc(id).unwrap();
    assert_eq!((alloc.desired_transition.migrate, alloc.desired_status), (Some(true), DesiredStatus::Run));
    assert_eq!(alloc.desired_transition.no_shutdown_delay, Some(true));
    assert_eq!(alloc.alloc_modify_index, world.state.index());
    let again = world.run(Op::StopAlloc { id, no_shutdown_delay: false }).reply;
    assert_eq!(again, Reply::AllocStop(stopped), "the waiting evaluation will do");
    let unknown = world.run(Op::StopAlloc { id: AllocId(5), no_shutdown_delay: false }).reply;
    assert_eq!(unknown, Reply::Refused(Refusal::UnknownAlloc(AllocId(5))));
}
