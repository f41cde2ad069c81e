use super::*;
use model::allocation::{AllocUpdate, ClientStatus};
use model::job::Job;
use serde_json::json;

const NOW: Timestamp = Timestamp(1_795_000_000_000_000_000);

fn node(number: u128) -> Node {
    let node = json!({
        "ID": NodeId(number), "Name": format!("node-{number}"), "Datacenter": "dc1", "NodePool": "default",
        "Attributes": {"kernel.name": "linux"}, "Drivers": {"mock_driver": {"Detected": true, "Healthy": true}},
        "NodeResources": {
            "Cpu": {"CpuShares": 1000, "TotalCpuCores": 4}, "Memory": {"MemoryMB": 1000}, "Disk": {"DiskMB": 10_000},
            "MinDynamicPort": 20_000, "MaxDynamicPort": 21_000,
        },
    });
    serde_json::from_value(node).unwrap()
}

fn job(count: i64) -> Job {
    let mut job: Job = serde_json::from_value(json!({
        "ID": "web", "Name": "web", "Type": "service", "Datacenters": ["*"],
        "TaskGroups": [{"Name": "g", "Count": count, "Tasks": [{"Name": "t", "Driver": "mock_driver",
            "Resources": {"CPU": 400, "MemoryMB": 400}}]}],
    }))
    .unwrap();
    job.canonicalise();
    job
}

/// A cluster in which everything has settled.
fn cluster(nodes: u128, copies: i64) -> State {
    cluster_of(nodes, job(copies))
}

fn cluster_of(nodes: u128, job: Job) -> State {
    let mut imagined = Imagined { state: State::default(), now: NOW, seed: Seed(1), commands: 0 };
    for number in 1..=nodes {
        imagined.apply(Op::RegisterNode { node: Box::new(node(number)) });
    }
    imagined.apply(Op::register(job));
    imagined.settle();
    for alloc in imagined.state.allocs().collect::<Vec<_>>() {
        let update = AllocUpdate { id: alloc.id, client_status: ClientStatus::Running, ..AllocUpdate::default() };
        imagined.apply(Op::UpdateAllocs { node_id: alloc.node_id, updates: vec![update] });
    }
    imagined.state
}

fn ask(state: &State, change: Change) -> Outcome {
    let before = state.clone();
    let outcome = run(state, &[change], NOW, Seed(7));
    assert_eq!(*state, before, "nothing is changed");
    outcome
}

fn on(state: &State, node: u128) -> usize {
    state.allocs().filter(|alloc| alloc.node_id == NodeId(node)).count()
}

#[test]
fn copies_of_a_lost_node_move_where_there_is_room() {
    let state = cluster(2, 3);
    let (here, there) = (on(&state, 1), on(&state, 2));
    assert_eq!(here + there, 3);
    let outcome = ask(&state, Change::Down(NodeId(1)));
    let free = 2 - there;
    assert_eq!(outcome.placed.len(), here.min(free));
    for placed in &outcome.placed {
        assert_eq!((placed.from.as_deref(), placed.to.as_str()), (Some("node-1"), "node-2"));
    }
    assert_eq!(outcome.stopped.len(), here - here.min(free));
    let waiting: u64 = outcome.waiting.iter().map(|waiting| waiting.count).sum();
    assert_eq!(waiting as usize, here - here.min(free));
    assert!(outcome.waiting.iter().all(|waiting| waiting.before == 0 && waiting.metric.is_some()));
}

#[test]
fn copies_that_may_come_back_are_waited_for_as_they_would_be() {
    let mut job = job(1);
    let group = &mut job.task_groups.as_mut().unwrap()[0];
    let lost_after = Some(model::time::GoDuration::from_secs(3600));
    group.disconnect = Some(model::job::DisconnectStrategy { lost_after, replace: Some(false), ..Default::default() });
    let state = cluster_of(2, job);
    let home = if on(&state, 1) == 1 { 1 } else { 2 };
    assert!(ask(&state, Change::Down(NodeId(home))).placed.is_empty());
}

#[test]
fn a_drained_node_gives_its_copies_away() {
    let state = cluster(3, 3);
    let outcome = ask(&state, Change::Drain(NodeId(1)));
    assert_eq!(outcome.placed.len(), on(&state, 1));
    assert!(outcome.placed.iter().all(|placed| placed.to != "node-1") && outcome.waiting.is_empty());
}

#[test]
fn more_nodes_take_what_waits() {
    let state = cluster(1, 5);
    let waits = |outcome: &Outcome| outcome.waiting.iter().map(|waiting| waiting.count).sum::<u64>();
    let one = ask(&state, Change::Add { count: 1, like: NodeId(1) });
    assert_eq!((one.placed.len(), waits(&one), one.waiting[0].before), (2, 1, 3));
    let two = ask(&state, Change::Add { count: 2, like: NodeId(1) });
    assert_eq!((two.placed.len(), waits(&two)), (3, 0));
    assert!(two.placed.iter().all(|placed| placed.from.is_none() && placed.to.starts_with("node-1-like-")));
}
