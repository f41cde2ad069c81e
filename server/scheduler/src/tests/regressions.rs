//! Mistakes that other planners are known for, one test each.
//!
//! Two are kept, because the recorded scores demand it: affinities of both signs share one sum of weights, which narrows
//! what each can do, and copies of every version count against a node. What a spread costs on many nodes is measured by
//! `drover-bench spread`, and that a flapping node makes one evaluation is tested where evaluations are made, in the state.

use model::allocation::{Allocation, ClientStatus, Health};
use model::id::{AllocId, JobKey};
use model::node::NodeStatus;
use model::time::{GoDuration, Timestamp};
use serde_json::{Value, json};

use super::build::{World, job, node};
use crate::Rollout;
use crate::blocked::BlockedEvals;

fn scores(plan: &model::evaluation::Plan) -> Vec<(u128, f64)> {
    let listed = plan.placements[0].metrics.as_ref().unwrap().score_meta_data.clone().unwrap();
    listed.iter().map(|meta| (meta.node_id.0, meta.norm_score)).collect()
}

fn healthy(world: &mut World, key: &JobKey) {
    let ids: Vec<AllocId> = world.running(key).iter().map(|alloc| alloc.id).collect();
    for id in ids {
        world.edit(id, |alloc| {
            alloc.client_status = ClientStatus::Running;
            alloc.health = Some(Health { healthy: true, at: Timestamp(1) });
        });
    }
}

#[test]
fn a_node_without_the_liked_attribute_does_not_win_by_having_fewer_scores() {
    let mut liked = node(1, 4000, 8192);
    liked.meta.insert("disk".to_owned(), "ssd".to_owned());
    let mut fuller = node(2, 4000, 8192);
    fuller.reserved_resources.cpu.cpu_shares = 2000;
    let mut world = World::with([liked, fuller]);
    let key = world.register(job(1, 1000, 1000, |job| {
        job["Affinities"] = json!([{"LTarget": "${meta.disk}", "RTarget": "ssd", "Operand": "=", "Weight": 1}]);
    }));
    let plan = world.plan(&key);
    assert_eq!(plan.placements[0].node_id, model::id::NodeId(1), "{:?}", scores(&plan));
}

#[test]
fn a_second_group_is_spread_as_strongly_as_the_first() {
    let racks = |number: u128| {
        let mut node = node(number, 4000, 8192);
        node.meta.insert("rack".to_owned(), format!("r{number}"));
        node
    };
    let mut world = World::with((1..=2).map(racks));
    let key = world.register(job(4, 100, 100, |job| {
        let target = json!([{"Value": "r1", "Percent": 75}, {"Value": "r2", "Percent": 25}]);
        job["Spreads"] = json!([{"Attribute": "${meta.rack}", "Weight": 100, "SpreadTarget": target}]);
        let mut other = job["TaskGroups"][0].clone();
        other["Name"] = json!("h");
        job["TaskGroups"].as_array_mut().unwrap().push(other);
    }));
    let plan = world.plan(&key);
    for group in ["g", "h"] {
        let of_group: Vec<&Allocation> = plan.placements.iter().filter(|alloc| alloc.task_group == group).collect();
        let spread = |alloc: &Allocation| {
            let listed = alloc.metrics.as_ref().unwrap().score_meta_data.clone().unwrap();
            listed.iter().find(|meta| meta.node_id.0 == 1).unwrap().scores["allocation-spread"]
        };
        assert!((spread(of_group[0]) - 2.0 / 3.0).abs() < 1e-9, "{group}: {}", spread(of_group[0]));
    }
}

#[test]
fn no_spread_however_odd_gives_a_score_that_is_no_number() {
    for targets in [json!([]), json!([{"Value": "r1", "Percent": 0}]), json!([{"Value": "*", "Percent": 100}])] {
        let mut first = node(1, 4000, 8192);
        first.meta.insert("rack".to_owned(), "r1".to_owned());
        let mut world = World::with([first, node(2, 4000, 8192)]);
        let key = world.register(job(3, 100, 100, |job| {
            job["Spreads"] = json!([{"Attribute": "${meta.rack}", "Weight": 0, "SpreadTarget": targets}]);
        }));
        let plan = world.plan(&key);
        assert_eq!(plan.placements.len(), 3);
        assert!(scores(&plan).iter().all(|(_, score)| score.is_finite()), "{:?}", scores(&plan));
    }
}

#[test]
fn an_even_spread_counts_what_is_updated_in_place_once() {
    let racks = |number: u128| {
        let mut node = node(number, 4000, 8192);
        node.meta.insert("rack".to_owned(), format!("r{}", number % 2));
        node
    };
    let mut world = World::with((1..=4).map(racks));
    let spread =
        |count: i64| job(count, 100, 100, |job| job["Spreads"] = json!([{"Attribute": "${meta.rack}", "Weight": 100}]));
    let key = world.register(spread(2));
    world.settle(&key);
    world.register(spread(4));
    world.settle(&key);
    let on = |rack: u128| world.running(&key).iter().filter(|alloc| alloc.node_id.0 % 2 == rack).count();
    assert_eq!((on(0), on(1)), (2, 2));
}

fn preempting(nodes: impl IntoIterator<Item = model::node::Node>) -> World {
    let mut world = World::with(nodes);
    world.config.preemption_config.service_scheduler_enabled = true;
    world
}

fn with_priority(name: &'static str, priority: i64, count: i64, edit: impl FnOnce(&mut Value)) -> model::job::Job {
    job(count, 100, 100, |job| {
        job["ID"] = json!(name);
        job["Priority"] = json!(priority);
        edit(job);
    })
}

#[test]
fn cores_and_devices_are_taken_from_less_important_ones_and_counted_once() {
    let mut machine = node(1, 4000, 8192);
    let instances = json!([{"ID": "g0", "Healthy": true}, {"ID": "g1", "Healthy": true}]);
    let gpus = json!([{"Vendor": "acme", "Type": "gpu", "Name": "one", "Instances": instances}]);
    machine.node_resources.devices = serde_json::from_value(gpus).unwrap();
    for resources in [
        json!({"Cores": 2, "MemoryMB": 10}),
        json!({"CPU": 1, "MemoryMB": 10, "Devices": [{"Name": "gpu", "Count": 1}]}),
    ] {
        let mut world = preempting([machine.clone()]);
        let ask = |job: &mut Value| job["TaskGroups"][0]["Tasks"][0]["Resources"] = resources.clone();
        let low = world.register(with_priority("low", 20, 2, ask));
        assert_eq!(world.settle(&low).placements.len(), 2);
        let high = world.register(with_priority("high", 80, 2, ask));
        let plan = world.settle(&high);
        assert_eq!((plan.placements.len(), plan.preemptions.len()), (2, 2), "{resources}");
        let [first, second] = &plan.placements[..] else { panic!() };
        assert!(first.preempted != second.preempted && first.grant.exclusives() != second.grant.exclusives());
        assert_eq!(first.starts_after, first.preempted);
        assert_eq!(plan.eval.annotations["g"].preemptions, 2);
        assert!(world.running(&low).is_empty());
        assert!(world.plan(&low).placements.is_empty(), "who had to go does not come back to a full node");
    }
}

#[test]
fn nobody_goes_for_a_copy_that_does_not_fit_even_so() {
    let mut world = preempting([node(1, 1000, 1000)]);
    let low = world.register(with_priority("low", 20, 5, |_| {}));
    world.settle(&low);
    let near = world.register(with_priority("near", 75, 4, |_| {}));
    world.settle(&near);
    let high = world.register(with_priority("high", 80, 1, |job| {
        job["TaskGroups"][0]["Tasks"][0]["Resources"] = json!({"CPU": 700, "MemoryMB": 700});
    }));
    let plan = world.plan(&high);
    assert!(plan.placements.is_empty() && plan.preemptions.is_empty());
    assert!(plan.eval.blocked_eval.is_some());
}

#[test]
fn a_scaled_up_distinct_property_counts_what_is_there_once() {
    let mut world = World::with([{
        let mut node = node(1, 4000, 8192);
        node.meta.insert("rack".to_owned(), "r1".to_owned());
        node
    }]);
    let two_a_rack = |count: i64| {
        job(count, 100, 100, |job| {
            let rule = json!({"LTarget": "${meta.rack}", "RTarget": "2", "Operand": "distinct_property"});
            job["Constraints"] = json!([rule]);
        })
    };
    let key = world.register(two_a_rack(1));
    world.settle(&key);
    world.register(two_a_rack(2));
    assert_eq!(world.settle(&key).placements.len(), 1);
}

#[test]
fn a_chain_of_waiting_copies_names_all_that_it_waits_for() {
    let mut world = World::with([node(1, 1046, 1000)]);
    let key = world.register(job(1, 565, 10, |_| {}));
    world.settle(&key);
    let first = world.running(&key)[0].id;
    world.register(job(1, 564, 10, |_| {}));
    let second = world.settle(&key).placements[0].clone();
    assert_eq!(second.starts_after, [first]);
    world.register(job(1, 482, 10, |_| {}));
    let third = world.settle(&key).placements[0].clone();
    assert!(third.starts_after.contains(&first) && third.starts_after.contains(&second.id), "{:?}", third.starts_after);
}

fn with_disconnect(count: i64, disconnect: Value) -> model::job::Job {
    job(count, 100, 100, |job| job["TaskGroups"][0]["Disconnect"] = disconnect)
}

fn set_status(world: &mut World, number: u128, status: NodeStatus) {
    let mut node = world.nodes[&model::id::NodeId(number)].clone();
    node.status = status;
    world.put_node(node);
}

/// A job with one copy on a node that then is out of reach.
fn out_of_reach(disconnect: Value) -> (World, JobKey, Allocation) {
    let mut world = World::with((1..=2).map(|number| node(number, 4000, 8192)));
    let key = world.register(with_disconnect(1, disconnect));
    world.settle(&key);
    healthy(&mut world, &key);
    let original = world.running(&key)[0].clone();
    set_status(&mut world, original.node_id.0, NodeStatus::Disconnected);
    (world, key, original)
}

#[test]
fn a_copy_out_of_reach_is_replaced_and_may_come_back() {
    let minute = GoDuration::from_secs(60).0;
    for (strategy, original_stays) in
        [("keep_original", true), ("keep_replacement", false), ("best_score", true), ("longest_running", true)]
    {
        let (mut world, key, original) = out_of_reach(json!({"LostAfter": minute, "Reconcile": strategy}));
        let plan = world.settle(&key);
        assert_eq!((plan.placements.len(), plan.eval.annotations["g"].disconnect), (1, 1));
        assert_eq!(plan.stops[0].client_status, Some(ClientStatus::Unknown));
        assert_eq!(plan.follow_ups[0].wait_until, Some(world.now.after(GoDuration(minute))));
        let replacement = plan.placements[0].id;
        let again = world.plan(&key);
        assert!(again.placements.is_empty() && again.stops.is_empty(), "{again:?}");
        set_status(&mut world, original.node_id.0, NodeStatus::Ready);
        let started = model::task_state::TaskState { started_at: Some(Timestamp(1)), ..Default::default() };
        world.edit(original.id, |alloc| {
            alloc.client_status = ClientStatus::Running;
            alloc.task_states.insert("t".to_owned(), started);
        });
        let plan = world.settle(&key);
        let stays = if original_stays { original.id } else { replacement };
        assert_eq!(world.running(&key).iter().map(|alloc| alloc.id).collect::<Vec<_>>(), [stays], "{strategy}");
        assert_eq!(plan.eval.annotations["g"].reconnect, 1);
        let again = world.plan(&key);
        assert!(again.placements.is_empty() && again.stops.is_empty() && again.in_place.is_empty(), "{again:?}");
    }
}

#[test]
fn a_copy_out_of_reach_for_too_long_is_lost() {
    let minute = GoDuration::from_secs(60);
    let (mut world, key, original) = out_of_reach(json!({"LostAfter": minute.0}));
    world.settle(&key);
    world.now = world.now.after(minute);
    let plan = world.settle(&key);
    assert_eq!((plan.stops.len(), plan.stops[0].id, plan.placements.len()), (1, original.id, 0));
    assert_eq!(world.running(&key).len(), 1);
}

#[test]
fn a_group_that_forbids_it_is_not_replaced_while_out_of_reach() {
    let minute = GoDuration::from_secs(60);
    let (mut world, key, original) = out_of_reach(json!({"LostAfter": minute.0, "Replace": false}));
    assert!(world.settle(&key).placements.is_empty());
    world.now = world.now.after(minute);
    let plan = world.settle(&key);
    assert_eq!((plan.stops[0].id, plan.placements.len()), (original.id, 1), "lost at last, and replaced");
}

#[test]
fn without_a_grace_period_a_copy_out_of_reach_is_lost_at_once() {
    let (mut world, key, original) = out_of_reach(json!({}));
    let plan = world.settle(&key);
    assert_eq!((plan.stops[0].id, plan.stops[0].client_status), (original.id, Some(ClientStatus::Lost)));
    assert_eq!(plan.placements.len(), 1);
}

#[test]
fn while_a_canary_is_tried_a_lost_old_copy_is_replaced_by_an_old_one() {
    let mut world = World::with((1..=3).map(|number| node(number, 4000, 8192)));
    let version = |value: &'static str| {
        job(2, 100, 100, move |job| {
            job["TaskGroups"][0]["Update"] = json!({"MaxParallel": 1, "Canary": 1});
            job["TaskGroups"][0]["Tasks"][0]["Env"] = json!({"V": value});
        })
    };
    let key = world.register(version("1"));
    world.rollouts.insert(key.clone(), Rollout::default());
    world.settle(&key);
    healthy(&mut world, &key);
    world.register(version("2"));
    let plan = world.settle(&key);
    assert_eq!((plan.placements.len(), plan.stops.len(), plan.placements[0].canary), (1, 0, true));
    let canary = plan.placements[0].node_id;
    healthy(&mut world, &key);
    let old = world.running(&key).into_iter().find(|alloc| !alloc.canary && alloc.node_id != canary).unwrap().clone();
    set_status(&mut world, old.node_id.0, NodeStatus::Down);
    let plan = world.settle(&key);
    assert_eq!(plan.placements.len(), 1);
    assert_eq!((plan.placements[0].job_version, plan.placements[0].canary), (old.job_version, false));
}

#[test]
fn volumes_per_copy_are_found_by_the_copys_index() {
    let with_volume = |number: u128, index: u32| {
        let mut node = node(number, 4000, 8192);
        let name = format!("data[{index}]");
        let volume = serde_json::from_value(json!({"Name": name, "Path": "/data"})).unwrap();
        node.host_volumes.insert(name, volume);
        node
    };
    let mut world = World::with([with_volume(1, 1), with_volume(2, 0)]);
    let key = world.register(job(3, 100, 100, |job| {
        let volume = json!({"Name": "v", "Type": "host", "Source": "data", "PerAlloc": true});
        job["TaskGroups"][0]["Volumes"] = json!({"v": volume});
    }));
    let plan = world.settle(&key);
    let places: Vec<(&str, u128)> =
        plan.placements.iter().map(|alloc| (alloc.name.as_str(), alloc.node_id.0)).collect();
    assert_eq!(places, [("job.g[0]", 2), ("job.g[1]", 1)]);
    let metric = &plan.eval.failed_tg_allocs["g"];
    assert_eq!(metric.constraint_filtered.as_ref().unwrap()["missing compatible host volumes"], 2);
}

fn system(edit: impl FnOnce(&mut Value)) -> model::job::Job {
    job(1, 100, 100, |job| {
        job["Type"] = json!("system");
        edit(job);
    })
}

#[test]
fn a_system_job_that_no_node_may_run_waits_and_says_why() {
    for kind in ["system", "sysbatch"] {
        let mut world = World::with((1..=2).map(|number| node(number, 4000, 8192)));
        let key = world.register(system(|job| {
            job["Type"] = json!(kind);
            job["Constraints"] = json!([{"LTarget": "${meta.disk}", "RTarget": "ssd", "Operand": "="}]);
        }));
        let plan = world.settle(&key);
        let metric = &plan.eval.failed_tg_allocs["g"];
        assert_eq!((metric.nodes_filtered, metric.nodes_evaluated), (2, 2));
        assert_eq!(metric.constraint_filtered.as_ref().unwrap()["${meta.disk} = ssd"], 2);
        assert!(metric.help[0].contains("`${meta.disk} = ssd`"), "{:?}", metric.help);
        let blocked = plan.follow_ups.iter().find(|eval| Some(eval.id) == plan.eval.blocked_eval).unwrap().clone();
        let mut waiting = BlockedEvals::new();
        assert!(waiting.block(blocked, &world.current[&key], &world.table, false).woken.is_none());
        world.put_node(node(3, 4000, 8192));
        assert!(waiting.node_changed(&world.table, model::id::NodeId(3), 8).is_empty());
        let mut fit = node(4, 4000, 8192);
        fit.meta.insert("disk".to_owned(), "ssd".to_owned());
        world.put_node(fit);
        assert_eq!(waiting.node_changed(&world.table, model::id::NodeId(4), 9).len(), 1);
        let plan = world.settle(&key);
        assert_eq!((plan.placements.len(), plan.eval.failed_tg_allocs.len()), (1, 0));
    }
}

#[test]
fn a_system_job_that_ran_wherever_it_may_waits_for_nothing() {
    let mut world = World::with([node(1, 4000, 8192)]);
    let key = world.register(system(|job| job["Type"] = json!("sysbatch")));
    let id = world.settle(&key).placements[0].id;
    world.set_client(id, ClientStatus::Complete);
    assert!(world.plan(&key).eval.failed_tg_allocs.is_empty());
}

#[test]
fn nodes_that_are_short_of_different_things_are_all_explained_to_a_system_job() {
    let mut world = World::with([node(1, 400, 8192), node(2, 4000, 90), node(3, 4000, 8192), node(4, 450, 8192)]);
    let key = world.register(system(|job| {
        job["TaskGroups"][0]["Tasks"][0]["Resources"] = json!({"CPU": 500, "MemoryMB": 100});
    }));
    let plan = world.plan(&key);
    let metric = &plan.eval.failed_tg_allocs["g"];
    assert_eq!((metric.nodes_evaluated, metric.nodes_exhausted, metric.coalesced_failures), (3, 3, 2));
    assert_eq!(metric.dimension_exhausted.clone().unwrap(), [("cpu".to_owned(), 2), ("memory".to_owned(), 1)].into());
    assert!(metric.help[0].contains("n4 is closest") && metric.help[1].contains("n2 is closest"), "{:?}", metric.help);
    assert_eq!(plan.eval.queued_allocations["g"], 3);
}

#[test]
fn a_better_spread_moves_nobody_and_later_copies_make_good_for_it() {
    let racked = |number: u128, rack: &str| {
        let mut node = node(number, 4000, 8192);
        node.meta.insert("rack".to_owned(), rack.to_owned());
        node
    };
    let spread = |count: i64| {
        job(count, 100, 100, |job| {
            job["Spreads"] = json!([{"Attribute": "${meta.rack}", "Weight": 100}]);
        })
    };
    let mut world = World::with([racked(1, "r1")]);
    let key = world.register(spread(2));
    world.settle(&key);
    healthy(&mut world, &key);
    world.put_node(racked(2, "r2"));
    let plan = world.settle(&key);
    assert!(plan.placements.is_empty() && plan.stops.is_empty(), "a copy that runs well stays");
    world.register(spread(4));
    let places: Vec<u128> = world.settle(&key).placements.iter().map(|alloc| alloc.node_id.0).collect();
    assert_eq!(places, [2, 2]);
}

#[test]
fn affinities_of_both_signs_share_their_weights() {
    let mut both = node(1, 4000, 8192);
    both.meta.insert("disk".to_owned(), "ssd".to_owned());
    both.meta.insert("old".to_owned(), "yes".to_owned());
    let mut world = World::with([both]);
    let key = world.register(job(1, 100, 100, |job| {
        job["Affinities"] = json!([
            {"LTarget": "${meta.disk}", "RTarget": "ssd", "Operand": "=", "Weight": 60},
            {"LTarget": "${meta.old}", "RTarget": "yes", "Operand": "=", "Weight": -40},
        ]);
    }));
    let plan = world.plan(&key);
    let listed = plan.placements[0].metrics.as_ref().unwrap().score_meta_data.clone().unwrap();
    assert!((listed[0].scores["node-affinity"] - 0.2).abs() < 1e-12);
}
