//! A job through its life: up, down, changed, failed, lost, gone.

use model::allocation::{ClientStatus, Health};
use model::compiled::compile;
use model::evaluation::EvalStatus;
use model::id::{AllocId, JobKey, NodeId};
use model::node::NodeStatus;
use model::time::{GoDuration, Timestamp};
use serde_json::{Value, json};

use super::build::{World, job, node};
use crate::blocked::BlockedEvals;

fn names(world: &World, key: &JobKey) -> Vec<String> {
    world.running(key).iter().map(|alloc| alloc.name.clone()).collect()
}

fn ids(world: &World, key: &JobKey) -> Vec<AllocId> {
    world.running(key).iter().map(|alloc| alloc.id).collect()
}

fn nothing(world: &mut World, key: &JobKey) {
    let plan = world.plan(key);
    assert!(plan.stops.is_empty() && plan.placements.is_empty() && plan.in_place.is_empty(), "{plan:?}");
}

fn run_healthy(world: &mut World, key: &JobKey) {
    for id in ids(world, key) {
        world.edit(id, |alloc| {
            alloc.client_status = ClientStatus::Running;
            alloc.health = Some(Health { healthy: true, at: Timestamp(1) });
        });
    }
}

#[test]
fn counts_go_up_and_down_at_the_high_end() {
    let mut world = World::with((1..=3).map(|number| node(number, 4000, 8192)));
    let key = world.register(job(3, 100, 100, |_| {}));
    world.settle(&key);
    assert_eq!(names(&world, &key), ["job.g[0]", "job.g[1]", "job.g[2]"]);
    nothing(&mut world, &key);
    world.register(job(5, 100, 100, |_| {}));
    let plan = world.settle(&key);
    assert_eq!((plan.in_place.len(), plan.placements.len(), plan.stops.len()), (3, 2, 0));
    nothing(&mut world, &key);
    world.register(job(2, 100, 100, |_| {}));
    world.settle(&key);
    assert_eq!(names(&world, &key), ["job.g[0]", "job.g[1]"]);
    nothing(&mut world, &key);
    world.current.remove(&key);
    world.settle(&key);
    assert!(names(&world, &key).is_empty());
    nothing(&mut world, &key);
}

#[test]
fn a_renamed_group_stops_the_old_and_starts_the_new() {
    let mut world = World::with([node(1, 4000, 8192)]);
    let key = world.register(job(2, 100, 100, |_| {}));
    world.settle(&key);
    world.register(job(2, 100, 100, |value| value["TaskGroups"][0]["Name"] = json!("h")));
    world.settle(&key);
    assert_eq!(names(&world, &key), ["job.h[0]", "job.h[1]"]);
}

#[test]
fn a_rollout_goes_step_by_step_and_halts_at_the_first_failure() {
    let mut world = World::with((1..=3).map(|number| node(number, 4000, 8192)));
    let with = |value: &'static str| {
        job(3, 100, 100, move |job| {
            job["TaskGroups"][0]["Update"] = json!({"MaxParallel": 1});
            job["TaskGroups"][0]["Tasks"][0]["Env"] = json!({"V": value});
        })
    };
    let key = world.register(with("1"));
    world.settle(&key);
    run_healthy(&mut world, &key);
    world.register(with("2"));
    let plan = world.settle(&key);
    assert_eq!((plan.stops.len(), plan.placements.len()), (1, 1));
    assert_eq!(plan.placements[0].previous_allocation, Some(plan.stops[0].id));
    nothing(&mut world, &key);
    run_healthy(&mut world, &key);
    assert_eq!(world.settle(&key).placements.len(), 1);
    let newest = world.running(&key).into_iter().find(|alloc| alloc.health.is_none()).unwrap().id;
    world.edit(newest, |alloc| alloc.health = Some(Health { healthy: false, at: Timestamp(2) }));
    nothing(&mut world, &key);
    assert_eq!(world.running(&key).len(), 3);
}

fn with_static_port(count: i64, value: i64) -> model::job::Job {
    job(count, 100, 100, move |job| {
        job["TaskGroups"][0]["Networks"] =
            json!([{"ReservedPorts": [{"Label": "http", "Value": 8080}], "DynamicPorts": [{"Label": "x"}]}]);
        job["TaskGroups"][0]["Tasks"][0]["Env"] = json!({"V": value.to_string()});
        job["TaskGroups"][0]["Update"] = json!({"MaxParallel": 2});
    })
}

#[test]
fn a_static_port_is_handed_over_in_order() {
    let mut world = World::with((1..=3).map(|number| node(number, 4000, 8192)));
    let key = world.register(with_static_port(3, 1));
    assert!(world.settle(&key).placements.iter().all(|alloc| alloc.starts_after.is_empty()));
    run_healthy(&mut world, &key);
    world.register(with_static_port(3, 2));
    let plan = world.settle(&key);
    assert_eq!(plan.placements.len(), 2);
    for new in &plan.placements {
        let old = &world.allocs[&new.previous_allocation.unwrap()];
        assert_eq!((new.node_id, new.starts_after.as_slice()), (old.node_id, [old.id].as_slice()));
        assert_eq!(new.grant.ports[0].value, 8080);
        assert!((20_000..=32_000).contains(&new.grant.ports[1].value));
    }
    // Another job asks for the same port: it waits until one is free.
    let other = world.register(job(1, 10, 10, |value| {
        value["ID"] = json!("other");
        value["TaskGroups"][0]["Networks"] = json!([{"ReservedPorts": [{"Label": "p", "Value": 8080}]}]);
    }));
    let plan = world.plan(&other);
    let metric = &plan.eval.failed_tg_allocs["g"];
    assert_eq!(metric.dimension_exhausted.as_ref().unwrap()["network: reserved port collision p=8080"], 3);
    assert!(metric.help[0].contains("8080"), "{:?}", metric.help);
}

#[test]
fn room_of_an_ending_copy_is_given_on_once_and_by_name() {
    let mut world = World::with([node(1, 1000, 1000)]);
    let key = world.register(job(1, 1000, 1000, |_| {}));
    world.settle(&key);
    let old = ids(&world, &key)[0];
    world.register(job(1, 900, 900, |_| {}));
    let plan = world.settle(&key);
    assert_eq!(plan.placements[0].starts_after, [old]);
    // The old one still holds its room: 100 are left when it has ended, and they too must be waited for.
    let small = world.register(job(1, 100, 100, |value| value["ID"] = json!("small")));
    assert_eq!(world.settle(&small).placements[0].starts_after, [old]);
    let more = world.register(job(1, 1, 1, |value| value["ID"] = json!("more")));
    assert!(world.plan(&more).placements.is_empty());
}

#[test]
fn what_fits_nowhere_is_blocked_until_a_fit_node_has_room() {
    let mut world = World::with([node(1, 1000, 1000)]);
    let key = world.register(job(2, 800, 100, |value| {
        value["TaskGroups"][0]["Constraints"] =
            json!([{"LTarget": "${attr.arch}", "RTarget": "x86_64", "Operand": "="}]);
    }));
    let plan = world.settle(&key);
    assert_eq!((plan.placements.len(), plan.eval.queued_allocations["g"]), (1, 1));
    assert!(plan.eval.failed_tg_allocs["g"].help[0].contains("600 MHz short"), "{:?}", plan.eval.failed_tg_allocs);
    let blocked = plan.follow_ups[0].clone();
    assert_eq!((blocked.status, Some(blocked.id)), (EvalStatus::Blocked, plan.eval.blocked_eval));
    let mut waiting = BlockedEvals::new();
    assert!(waiting.block(blocked.clone(), &world.current[&key], &world.table, false).woken.is_none());
    world.put_node(node(2, 700, 1000));
    assert!(waiting.node_changed(&world.table, NodeId(2), 2).is_empty());
    let mut other = node(3, 4000, 4000);
    other.attributes.insert("arch".to_owned(), "arm64".to_owned());
    world.put_node(other);
    assert!(waiting.node_changed(&world.table, NodeId(3), 3).is_empty());
    world.put_node(node(4, 4000, 4000));
    assert_eq!(waiting.node_changed(&world.table, NodeId(4), 4)[0].id, blocked.id);
    assert!(waiting.is_empty());
    // A change that came between planning and blocking wakes at once.
    assert!(waiting.block(blocked.clone(), &world.current[&key], &world.table, false).woken.is_some());
    // So does one that nobody can know of.
    let mut anew = BlockedEvals::since(blocked.snapshot_index + 1);
    assert!(anew.block(blocked.clone(), &world.current[&key], &world.table, false).woken.is_some());
    let mut anew = BlockedEvals::since(blocked.snapshot_index);
    assert!(anew.block(blocked, &world.current[&key], &world.table, false).woken.is_none());
    world.settle(&key);
    nothing(&mut world, &key);
}

#[test]
fn copies_of_a_lost_node_move() {
    let mut world = World::with((1..=2).map(|number| node(number, 4000, 8192)));
    let key = world.register(job(2, 100, 100, |_| {}));
    world.settle(&key);
    let lost = world.running(&key)[0].node_id;
    let count = world.running(&key).iter().filter(|alloc| alloc.node_id == lost).count();
    let mut down = world.nodes[&lost].clone();
    down.status = NodeStatus::Down;
    world.put_node(down);
    let plan = world.settle(&key);
    assert_eq!(plan.stops.len(), count);
    assert!(plan.stops.iter().all(|stop| stop.client_status == Some(ClientStatus::Lost)));
    assert!(world.running(&key).iter().all(|alloc| alloc.node_id != lost));
    assert_eq!(names(&world, &key), ["job.g[0]", "job.g[1]"]);
    nothing(&mut world, &key);
    let moving = ids(&world, &key)[1];
    world.edit(moving, |alloc| alloc.desired_transition.migrate = Some(true));
    assert_eq!(world.settle(&key).placements[0].previous_allocation, Some(moving));
    nothing(&mut world, &key);
}

#[test]
fn a_failed_copy_is_replaced_after_its_delay_and_elsewhere() {
    let mut world = World::with((1..=2).map(|number| node(number, 4000, 8192)));
    let key = world.register(job(1, 100, 100, |_| {}));
    world.settle(&key);
    let failed = ids(&world, &key)[0];
    world.now = Timestamp(1_000_000_000);
    world.set_client(failed, ClientStatus::Failed);
    let plan = world.settle(&key);
    let due = world.now.after(GoDuration::from_secs(30));
    assert_eq!(plan.follow_ups[0].wait_until, Some(due));
    assert_eq!(plan.stops[0].followup_eval_id, Some(plan.follow_ups[0].id));
    nothing(&mut world, &key);
    world.now = due;
    let plan = world.settle(&key);
    let new = &plan.placements[0];
    assert_eq!(new.previous_allocation, Some(failed));
    assert_ne!(new.node_id, world.allocs[&failed].node_id);
    assert_eq!(new.reschedule_tracker.as_ref().unwrap().events.len(), 1);
    nothing(&mut world, &key);
    // The second time it takes twice as long.
    world.set_client(ids(&world, &key)[0], ClientStatus::Failed);
    assert_eq!(world.settle(&key).follow_ups[0].wait_until, Some(due.after(GoDuration::from_secs(60))));
}

#[test]
fn batch_copies_that_are_done_stay_done() {
    let mut world = World::with([node(1, 4000, 8192)]);
    let key = world.register(job(2, 100, 100, |value| value["Type"] = json!("batch")));
    world.settle(&key);
    let all = ids(&world, &key);
    world.set_client(all[0], ClientStatus::Complete);
    nothing(&mut world, &key);
    world.set_client(all[1], ClientStatus::Failed);
    world.settle(&key);
    world.now = Timestamp(6_000_000_000);
    assert_eq!(world.settle(&key).placements.len(), 1);
    let again = ids(&world, &key)[0];
    world.set_client(again, ClientStatus::Failed);
    nothing(&mut world, &key);
}

#[test]
fn a_system_job_runs_once_on_every_fit_node() {
    let mut world = World::with((1..=3).map(|number| node(number, 1000, 1000)));
    let system = |value: &mut Value| {
        value["Type"] = json!("system");
        value["Constraints"] = json!([{"LTarget": "${meta.no}", "Operand": "is_not_set"}]);
    };
    let key = world.register(job(1, 600, 100, system));
    assert_eq!(world.settle(&key).placements.len(), 3);
    nothing(&mut world, &key);
    world.put_node(node(4, 1000, 1000));
    assert_eq!(world.settle(&key).placements[0].node_id, NodeId(4));
    let mut unfit = node(2, 1000, 1000);
    unfit.meta.insert("no".to_owned(), "1".to_owned());
    world.put_node(unfit.clone());
    nothing(&mut world, &key);
    unfit.node_pool = "other".to_owned();
    world.put_node(unfit);
    world.settle(&key);
    assert!(world.running(&key).iter().all(|alloc| alloc.node_id != NodeId(2)));
    nothing(&mut world, &key);
    // No room for old and new side by side: each new copy starts after the old one of its node.
    world.register(job(1, 700, 100, system));
    for _ in 0..3 {
        let plan = world.settle(&key);
        assert_eq!(plan.placements.len(), 1);
        assert_eq!(plan.placements[0].starts_after, [plan.stops[0].id]);
        run_healthy(&mut world, &key);
    }
    nothing(&mut world, &key);
}

#[test]
fn every_refusal_says_what_would_help() {
    let help = |world: &mut World, edit: fn(&mut Value)| {
        let key = world.register(job(1, 100, 100, edit));
        let plan = world.plan(&key);
        plan.eval.failed_tg_allocs["g"].help.join(" ")
    };
    assert!(help(&mut World::default(), |_| {}).contains("No node is registered"));
    let mut world = World::with([node(1, 1000, 1000)]);
    let windows = |job: &mut Value| {
        job["Constraints"] = json!([{"LTarget": "${attr.kernel.name}", "RTarget": "windows", "Operand": "="}]);
    };
    let text = help(&mut world, windows);
    assert!(text.contains("`${attr.kernel.name} = windows`") && text.contains("\"linux\""), "{text}");
    let text = help(&mut world, |job| job["Datacenters"] = json!(["eu"]));
    assert!(text.contains("\"eu\"") && text.contains("\"dc1\""), "{text}");
    let text = help(&mut world, |job| job["TaskGroups"][0]["Tasks"][0]["Driver"] = json!("podman"));
    assert!(text.contains("podman"), "{text}");
    let text = help(&mut world, |job| job["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"] = json!(5000));
    assert!(text.contains("4000 MB short") && text.contains("bigger node"), "{text}");
}

#[cfg(feature = "planted-bugs")]
#[test]
fn a_planted_bug_is_idle_until_chosen() {
    assert!(!crate::planted::is_enabled(crate::planted::Bug::CountDownKeepsHighest));
}

#[test]
fn a_purged_and_registered_job_does_not_own_old_copies() {
    let mut world = World::with([node(1, 4000, 8192)]);
    let key = world.register(job(1, 100, 100, |_| {}));
    world.settle(&key);
    let old = ids(&world, &key)[0];
    let again = job(1, 100, 100, |value| value["CreateIndex"] = json!(9));
    world.current.insert(key.clone(), compile(&again));
    let plan = world.settle(&key);
    assert_eq!((plan.stops[0].id, plan.placements.len()), (old, 1));
    nothing(&mut world, &key);
}
