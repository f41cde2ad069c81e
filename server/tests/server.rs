//! A whole server without its HTTP side: jobs are planned, survive restarts and kills, and move off silent nodes.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::BufRead;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::allocation::{AllocUpdate, Allocation, ClientStatus};
use model::evaluation::EvalStatus;
use model::id::{EvalId, JobKey, NodeId};
use model::job::{Job, Task, TaskGroup};
use model::node::{DriverInfo, Node, NodeCpu, NodeDisk, NodeMemory, NodeResources, NodeStatus};
use model::rpc::{Heartbeat, IdDigest, PullAllocs, PushAllocs, RegisterNode};
use model::time::GoDuration;
use server::{RpcError, Server, ServerConfig, Topic};
use state::{Op, Reply, State, Table};

/// How long a condition may take; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

fn config(directory: &Path) -> ServerConfig {
    ServerConfig {
        heartbeat_ttl: GoDuration::from_secs(1),
        heartbeat_grace: GoDuration(0),
        ..ServerConfig::new(directory)
    }
}

async fn start(directory: &Path) -> Arc<Server> {
    Server::start(config(directory)).await.unwrap()
}

fn job(id: &str, count: i64) -> Box<Job> {
    let task = Task { name: "main".to_owned(), driver: "raw_exec".to_owned(), ..Task::default() };
    let group =
        TaskGroup { name: Some("web".to_owned()), count: Some(count), tasks: Some(vec![task]), ..TaskGroup::default() };
    let mut job = Job {
        id: Some(id.to_owned()),
        datacenters: Some(vec!["dc1".to_owned()]),
        task_groups: Some(vec![group]),
        ..Job::default()
    };
    job.canonicalise();
    Box::new(job)
}

fn register(id: &str, count: i64) -> Op {
    Op::register(*job(id, count))
}

fn node(number: u128) -> Node {
    let driver = DriverInfo { detected: true, healthy: true, ..DriverInfo::default() };
    Node {
        id: NodeId(number),
        secret_id: format!("secret-{number}"),
        name: format!("node-{number}"),
        datacenter: "dc1".to_owned(),
        node_pool: "default".to_owned(),
        attributes: BTreeMap::from([
            ("driver.raw_exec".to_owned(), "1".to_owned()),
            ("kernel.name".to_owned(), "linux".to_owned()),
        ]),
        node_resources: NodeResources {
            cpu: NodeCpu { cpu_shares: 4000, ..NodeCpu::default() },
            memory: NodeMemory { memory_mb: 8000 },
            disk: NodeDisk { disk_mb: 100_000 },
            min_dynamic_port: 20_000,
            max_dynamic_port: 32_000,
            ..NodeResources::default()
        },
        drivers: BTreeMap::from([("raw_exec".to_owned(), driver)]),
        ..Node::default()
    }
}

fn key(id: &str) -> JobKey {
    JobKey::new("default", id)
}

async fn submit(server: &Server, op: Op) -> EvalId {
    match server.propose(op).await.unwrap().reply {
        Reply::Job(written) => written.eval_id.unwrap(),
        other => panic!("not a job reply: {other:?}"),
    }
}

/// Waits for a condition of the state; every change of any table wakes it.
async fn until(server: &Server, what: &str, condition: impl Fn(&State) -> bool) -> Arc<State> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut state = server.state();
    while !condition(&state) {
        assert!(tokio::time::Instant::now() < deadline, "never came true: {what}; state: {state:#?}");
        let seen = state.index();
        let waits = Table::ALL.map(|table| Box::pin(server.wait_for(Topic::Table(table), seen, PATIENCE)));
        state = futures_util::future::select_all(waits).await.0;
    }
    state
}

fn live(state: &State, id: &str) -> Vec<Arc<Allocation>> {
    state.allocs_of_job(&key(id)).filter(|alloc| !alloc.is_terminal()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_planned_twice_while_nodes_come() {
    const NODES: u128 = 240;
    const JOBS: usize = 6;
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path()).await;
    for number in 0..JOBS {
        let mut system = job(&format!("everywhere-{number}"), 1);
        system.r#type = Some("system".to_owned());
        submit(&server, Op::register(*system)).await;
    }
    // Not all at once: rounds are planned while others still come.
    for some in (1..=NODES).collect::<Vec<_>>().chunks(6) {
        let nodes = some.iter().map(|number| server.register_node(RegisterNode { node: node(*number) }));
        futures_util::future::try_join_all(nodes).await.unwrap();
    }
    until(&server, "every node has a copy of every job", |state| {
        state.alloc_rows().filter(|row| row.is_live()).count() == NODES as usize * JOBS
            && state.evals().all(|eval| eval.status.is_terminal())
    })
    .await;
    let dropped = server.metrics().all().into_iter().find(|(name, _)| name.ends_with("placements_dropped"));
    assert_eq!(dropped.map(|(_, count)| count), Some(0), "a plan was made from a state that another had overtaken");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_waits_for_a_node_and_is_placed_when_one_comes() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path()).await;
    let eval = submit(&server, register("web", 2)).await;
    let state = until(&server, "the evaluation is planned and a blocked one waits", |state| {
        state.eval(eval).is_some_and(|eval| eval.status == EvalStatus::Complete)
            && state.evals_of_job(&key("web")).any(|eval| eval.status == EvalStatus::Blocked)
    })
    .await;
    assert!(live(&state, "web").is_empty());
    assert!(!state.eval(eval).unwrap().failed_tg_allocs.is_empty(), "the refusal says why");
    server.register_node(RegisterNode { node: node(1) }).await.unwrap();
    let state = until(&server, "both copies are placed", |state| {
        live(state, "web").len() == 2 && state.evals().all(|eval| eval.status.is_terminal())
    })
    .await;
    assert!(live(&state, "web").iter().all(|alloc| alloc.node_id == NodeId(1)));

    let pull = PullAllocs {
        node_id: NodeId(1),
        secret_id: "secret-1".to_owned(),
        min_index: 0,
        wait: GoDuration::from_secs(10),
        known: IdDigest::default(),
    };
    let pulled = server.pull_allocs(pull.clone()).await.unwrap();
    let ids = pulled.ids.unwrap();
    assert_eq!((ids.len(), pulled.changed.len()), (2, 2));
    let wrong = PullAllocs { secret_id: "secret-2".to_owned(), ..pull.clone() };
    assert!(matches!(server.pull_allocs(wrong).await, Err(RpcError::WrongSecret(_))));
    let known: IdDigest = ids.iter().copied().collect();
    let stopped = ids[0];
    let next = PullAllocs { min_index: pulled.index, known, ..pull.clone() };
    let (next, ()) = futures_util::future::join(server.pull_allocs(next), async {
        server.propose(Op::StopAlloc { id: stopped, no_shutdown_delay: false }).await.unwrap();
    })
    .await;
    let next = next.unwrap();
    assert!(!next.changed.is_empty(), "the long-poll answers with the stopped copy or its replacement");
    assert_eq!(next.ids, None, "who knows them is not told all ids again");
    let other = PullAllocs { min_index: pulled.index, known: IdDigest::default(), ..pull };
    assert!(server.pull_allocs(other).await.unwrap().ids.is_some(), "who knows others is told all of them");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_end_leaves_little_to_replay() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = || {
        let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("server.snapshot-")).count()
    };
    let server = start(directory.path()).await;
    submit(&server, register("small", 0)).await;
    server.shutdown().await;
    assert_eq!(snapshots(), 0, "a few entries are replayed in no time");
    let server = start(directory.path()).await;
    for number in 0..20 {
        let mut job = job(&format!("large-{number}"), 0);
        job.meta = Some(BTreeMap::from([("text".to_owned(), "x".repeat(100_000))]));
        submit(&server, Op::register(*job)).await;
    }
    let before = until(&server, "all are planned", |state| state.evals().all(|eval| eval.status.is_terminal())).await;
    server.shutdown().await;
    assert_eq!(snapshots(), 1);
    let server = start(directory.path()).await;
    assert_eq!(*server.state(), *before);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_replayed_once_is_not_replayed_again_and_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path()).await;
    let mut job = job("large", 0);
    job.meta = Some(BTreeMap::from([("text".to_owned(), "x".repeat(2_000_000))]));
    submit(&server, Op::register(*job)).await;
    // As after a crash: nothing is tidied up.
    let image = tempfile::tempdir().unwrap();
    for file in ["server.db", "server.db-wal"] {
        std::fs::copy(directory.path().join(file), image.path().join(file)).unwrap();
    }
    server.shutdown().await;
    let server = start(image.path()).await;
    server.shutdown().await;
    let mut names = std::fs::read_dir(image.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.any(|name| name.to_string_lossy().starts_with("server.snapshot-")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_finds_the_same_index_and_the_same_rows() {
    let directory = tempfile::tempdir().unwrap();
    let before = {
        let settings = ServerConfig { snapshot_every: 20, ..config(directory.path()) };
        let server = Server::start(settings).await.unwrap();
        server.register_node(RegisterNode { node: node(1) }).await.unwrap();
        for number in 0..60 {
            submit(&server, register(&format!("job-{number}"), i64::from(number % 10 == 0))).await;
        }
        let state = until(&server, "all is planned", |state| {
            state.evals().all(|eval| eval.status.is_terminal()) && state.allocs().count() == 6
        })
        .await;
        let mut last = state;
        while server.metrics().snapshots.get() == 0 {
            submit(&server, register("one-more", 0)).await;
            last = until(&server, "all is planned", |state| state.evals().all(|eval| eval.status.is_terminal())).await;
        }
        server.shutdown().await;
        assert!(server.propose(register("late", 0)).await.is_err());
        drop(last);
        server.state()
    };
    for _ in 0..2 {
        let server = start(directory.path()).await;
        let after = server.state();
        assert_eq!(after.index(), before.index());
        assert!(*after == *before, "every row is as it was");
        server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_node_loses_its_copies_to_another_one() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path()).await;
    server.register_node(RegisterNode { node: node(1) }).await.unwrap();
    submit(&server, register("web", 1)).await;
    let state = until(&server, "placed", |state| live(state, "web").len() == 1).await;
    let first = live(&state, "web")[0].clone();
    let running = AllocUpdate { id: first.id, client_status: ClientStatus::Running, ..AllocUpdate::default() };
    let push = PushAllocs { node_id: NodeId(1), secret_id: "secret-1".to_owned(), updates: vec![running] };
    server.push_allocs(push).await.unwrap();
    server.register_node(RegisterNode { node: node(2) }).await.unwrap();
    let beats = {
        let server = server.clone();
        tokio::spawn(async move {
            let beat = Heartbeat { node_id: NodeId(2), secret_id: "secret-2".to_owned() };
            loop {
                server.heartbeat(beat.clone()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        })
    };
    let state = until(&server, "replaced on the other node", |state| {
        live(state, "web").iter().any(|alloc| alloc.node_id == NodeId(2))
    })
    .await;
    assert_eq!(state.node(NodeId(1)).unwrap().status, NodeStatus::Down);
    assert_eq!(state.alloc(first.id).unwrap().client_status, ClientStatus::Lost);
    assert_eq!(state.node(NodeId(2)).unwrap().status, NodeStatus::Ready);
    let beat = Heartbeat { node_id: NodeId(1), secret_id: "secret-1".to_owned() };
    server.heartbeat(beat).await.unwrap();
    assert_eq!(server.state().node(NodeId(1)).unwrap().status, NodeStatus::Ready);
    let stranger = Heartbeat { node_id: NodeId(9), secret_id: String::new() };
    assert!(server.heartbeat(stranger).await.unwrap().unknown_node);
    beats.abort();
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_are_batched_and_keep_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path()).await;
    let writes = (0..500).map(|number| server.propose(register(&format!("job-{number}"), 0)));
    // Unconstrained, or tokio pauses some senders and they queue up behind others.
    let committed = tokio::task::unconstrained(futures_util::future::join_all(writes)).await;
    let indexes: Vec<u64> = committed.into_iter().map(|write| write.unwrap().index).collect();
    assert!(indexes.is_sorted_by(|a, b| a < b), "every command has an index of its own, in order: {indexes:?}");
    assert!(server.metrics().batches_proposed.get() < 250, "commands share entries");
    assert_eq!(server.state().jobs().count(), 500);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_wake_for_their_topic_only() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path()).await;
    let index = server.state().index();
    let waiters: Vec<_> = (0..1000)
        .map(|number| {
            let server = server.clone();
            let topic = Topic::Node(NodeId(number + 100));
            tokio::spawn(async move { server.wait_for(topic, index, PATIENCE).await })
        })
        .collect();
    while server.changes().topics() < 1000 {
        tokio::task::yield_now().await;
    }
    let (state, _) = futures_util::future::join(
        server.wait_for(Topic::Job(key("web")), index, PATIENCE),
        submit(&server, register("web", 0)),
    )
    .await;
    assert!(state.index() > index);
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
    waiters.iter().for_each(tokio::task::JoinHandle::abort);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_decides_as_a_registration_would_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path()).await;
    server.register_node(RegisterNode { node: node(1) }).await.unwrap();
    let before = server.state();
    let dry = server.plan_dry_run(job("web", 3));
    assert_eq!((dry.plan.placements.len(), dry.before.is_none(), dry.index), (3, true, before.index()));
    assert!(*server.state() == *before);
    submit(&server, register("web", 3)).await;
    until(&server, "placed", |state| live(state, "web").len() == 3).await;
    let dry = server.plan_dry_run(job("web", 5));
    assert_eq!((dry.plan.placements.len(), dry.before.is_some()), (2, true));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_has_one_server_and_a_dropped_one_lets_go_of_it() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = start(directory.path()).await;
    let mode = std::fs::metadata(directory.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "jobs may hold secrets");
    submit(&server, register("web", 0)).await;
    let refused = Server::start(config(directory.path())).await.err().unwrap().to_string();
    assert!(refused.contains("another server"), "{refused}");
    drop(server);
    let server = start(directory.path()).await;
    assert!(server.state().job(&key("web")).is_some());
    server.shutdown().await;
}

/// Not a test of its own: the process that the next test kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by another test"]
async fn child_writes_until_it_is_killed() {
    let Ok(directory) = std::env::var("DROVER_TEST_DIRECTORY") else { return };
    let server = start(Path::new(&directory)).await;
    for number in 0.. {
        let writes = (0..8).map(|part| server.propose(register(&format!("job-{number}-{part}"), 0)));
        for (part, write) in futures_util::future::join_all(writes).await.into_iter().enumerate() {
            let index = write.unwrap().index;
            println!("\nacknowledged job-{number}-{part} {index}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_lost_nothing_that_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env("DROVER_TEST_DIRECTORY", directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    for line in output.lines().map_while(Result::ok) {
        if let Some(rest) = line.strip_prefix("acknowledged ") {
            let (id, index) = rest.split_once(' ').unwrap();
            acknowledged.push((id.to_owned(), index.parse::<u64>().unwrap()));
        }
        if acknowledged.len() == 400 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= 400, "the child died early");
    let server = start(directory.path()).await;
    let state = server.state();
    for (id, index) in acknowledged {
        let stored = state.job(&key(&id)).unwrap_or_else(|| panic!("{id} was acknowledged at {index} and is lost"));
        assert_eq!(stored.head().job_modify_index, index);
    }
    server.shutdown().await;
}
