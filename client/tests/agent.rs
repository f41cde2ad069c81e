//! A client with the mock driver and servers that a test plays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use client::{Client, ClientConfig, LogKind, LogRequest, Servers, ServersError};
use driver::mock::MockDriver;
use driver::{ExitResult, Fingerprint, TaskId};
use model::allocation::{AllocUpdate, Allocation, ClientStatus, DesiredStatus, Grant, TaskGrant};
use model::id::AllocId;
use model::job::Job;
use model::rpc::{AllocWithJob, Heartbeat, HeartbeatReply, PullAllocs, PullAllocsReply, PushAllocs, RegisterNode};
use model::task_state::TaskRunState;
use model::time::GoDuration;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct World {
    index: u64,
    registered: Option<RegisterNode>,
    registrations: u32,
    allocs: BTreeMap<AllocId, AllocWithJob>,
    observed: BTreeMap<AllocId, AllocUpdate>,
    unreachable: bool,
    heartbeats: u32,
}

/// The servers as a test plays them.
#[derive(Clone)]
struct Played(Arc<watch::Sender<World>>);

impl Played {
    fn new() -> Played {
        Played(Arc::new(watch::channel(World::default()).0))
    }

    fn change(&self, change: impl FnOnce(&mut World)) {
        self.0.send_modify(|world| {
            world.index += 1;
            change(world);
        });
    }

    fn want(&self, source: AllocWithJob) {
        self.change(|world| {
            let mut source = source;
            source.alloc.alloc_modify_index = world.index;
            world.allocs.insert(source.alloc.id, source);
        });
    }

    async fn until(&self, what: &str, condition: impl Fn(&World) -> bool) -> World {
        let mut changes = self.0.subscribe();
        match tokio::time::timeout(PATIENCE, changes.wait_for(|world| condition(world))).await {
            Ok(world) => world.expect("the sender lives").clone(),
            Err(_) => panic!("waited in vain for {what}: {:#?}", self.0.borrow().observed),
        }
    }

    async fn until_status(&self, id: AllocId, status: ClientStatus) -> AllocUpdate {
        let is = |world: &World| world.observed.get(&id).is_some_and(|update| update.client_status == status);
        self.until(&format!("{id} {status:?}"), is).await.observed[&id].clone()
    }

    fn answer(&self) -> Result<HeartbeatReply, ServersError> {
        let world = self.0.borrow();
        if world.unreachable {
            return Err(ServersError::Unreachable("played".to_owned()));
        }
        Ok(HeartbeatReply {
            ttl: GoDuration::from_millis(100),
            index: world.index,
            unknown_node: world.registered.is_none(),
        })
    }
}

#[async_trait]
impl Servers for Played {
    async fn register(&self, request: RegisterNode) -> Result<HeartbeatReply, ServersError> {
        self.answer()?;
        self.0.send_modify(|world| {
            world.registered = Some(request);
            world.registrations += 1;
        });
        self.answer()
    }

    async fn heartbeat(&self, _: Heartbeat) -> Result<HeartbeatReply, ServersError> {
        let answer = self.answer()?;
        self.0.send_modify(|world| world.heartbeats += 1);
        Ok(answer)
    }

    async fn pull(&self, request: PullAllocs) -> Result<PullAllocsReply, ServersError> {
        self.answer()?;
        let mut changes = self.0.subscribe();
        let news = changes.wait_for(|world| world.index > request.min_index).await;
        let world = news.map_err(|error| ServersError::Unreachable(error.to_string()))?;
        // Rows that the client has already are told again: it must not mind.
        Ok(PullAllocsReply {
            index: world.index,
            ids: Some(world.allocs.keys().copied().collect()),
            changed: world.allocs.values().cloned().collect(),
        })
    }

    async fn push(&self, request: PushAllocs) -> Result<(), ServersError> {
        self.answer()?;
        self.0.send_modify(|world| {
            world.observed.extend(request.updates.into_iter().map(|update| (update.id, update)));
        });
        Ok(())
    }
}

fn alloc(id: u128, config: serde_json::Value) -> AllocWithJob {
    let job: Job = serde_json::from_value(serde_json::json!({
        "ID": "web", "Name": "web", "Type": "service",
        "TaskGroups": [{
            "Name": "g",
            "RestartPolicy": {"Attempts": 1, "Delay": 1_000_000, "Interval": 60_000_000_000i64, "Mode": "fail"},
            "Tasks": [{
                "Name": "main", "Driver": "mock_driver", "Config": config,
                "Env": {"WHERE": "${NOMAD_ALLOC_ID}"}, "KillTimeout": 1_000_000_000,
            }],
        }],
    }))
    .expect("the job is well-formed");
    AllocWithJob {
        alloc: Allocation {
            id: AllocId(id),
            name: "web.g[0]".to_owned(),
            task_group: "g".to_owned(),
            grant: Grant {
                tasks: BTreeMap::from([("main".to_owned(), TaskGrant { cpu: 100, ..TaskGrant::default() })]),
                ..Grant::default()
            },
            ..Allocation::default()
        },
        job: Arc::new(job.into()),
    }
}

fn run_for_long() -> serde_json::Value {
    serde_json::json!({"run_for": "1h", "stdout_string": "hello"})
}

fn run_of(id: u128, attempt: u64) -> TaskId {
    TaskId { alloc: AllocId(id), task: "main".to_owned(), attempt }
}

async fn start(dir: &tempfile::TempDir, servers: &Played, driver: &MockDriver) -> Arc<Client> {
    let config = ClientConfig::new(dir.path());
    Client::start(config, Arc::new(servers.clone()), vec![Arc::new(driver.restarted())]).await.expect("starts")
}

async fn until(driver: &MockDriver, condition: impl Fn(&MockDriver) -> bool) {
    tokio::time::timeout(PATIENCE, driver.until(condition)).await.expect("the driver gets there");
}

#[tokio::test]
async fn an_allocation_runs_logs_and_stops() {
    let (dir, servers, driver) = (tempfile::tempdir().expect("dir"), Played::new(), MockDriver::new());
    let client = start(&dir, &servers, &driver).await;
    servers.want(alloc(1, run_for_long()));
    let update = servers.until_status(AllocId(1), ClientStatus::Running).await;
    assert_eq!(update.task_states["main"].state, TaskRunState::Running);
    let task = driver.tasks().remove(&run_of(1, 0)).expect("it runs");
    assert_eq!(task.config.env["WHERE"], AllocId(1).to_string());
    assert!(task.config.dirs.secrets.is_dir());
    let request = LogRequest { kind: LogKind::Stdout, offset: 0, from_end: false, follow: false };
    let mut log = client.logs(AllocId(1), "main", request).await.expect("has a log");
    assert_eq!(log.recv().await.expect("data").data, b"hello");
    assert!(log.recv().await.is_none());
    assert!(client.logs(AllocId(1), "nope", request).await.is_err());
    assert!(client.logs(AllocId(2), "main", request).await.is_err());
    let mut stopped = alloc(1, run_for_long());
    stopped.alloc.desired_status = DesiredStatus::Stop;
    servers.want(stopped);
    servers.until_status(AllocId(1), ClientStatus::Complete).await;
    until(&driver, |driver| driver.tasks().is_empty()).await;
    servers.change(|world| world.allocs.clear());
    let path = dir.path().join("alloc").join(AllocId(1).to_string());
    tokio::time::timeout(PATIENCE, async {
        while path.exists() || client.has(AllocId(1)) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a forgotten allocation leaves nothing");
    client.shutdown(false).await;
}

#[tokio::test]
async fn a_killed_task_is_reported_at_once_and_restarted() {
    let (dir, servers, driver) = (tempfile::tempdir().expect("dir"), Played::new(), MockDriver::new());
    let client = start(&dir, &servers, &driver).await;
    servers.want(alloc(1, run_for_long()));
    servers.until_status(AllocId(1), ClientStatus::Running).await;
    driver.finish(&run_of(1, 0), ExitResult { exit_code: 137, signal: 9, ..ExitResult::default() });
    let restarted = |world: &World| {
        world.observed.get(&AllocId(1)).is_some_and(|update| {
            let state = &update.task_states["main"];
            state.restarts == 1 && state.state == TaskRunState::Running
        })
    };
    servers.until("a restart", restarted).await;
    assert_eq!(driver.running(), [run_of(1, 1)]);
    client.restart(AllocId(1), Some("main"), false).await.expect("restarts");
    until(&driver, |driver| driver.running() == [run_of(1, 2)]).await;
    driver.finish(&run_of(1, 2), ExitResult { exit_code: 1, ..ExitResult::default() });
    let update = servers.until_status(AllocId(1), ClientStatus::Failed).await;
    assert!(update.task_states["main"].failed);
    assert!(client.restart(AllocId(1), None, false).await.is_err());
    client.shutdown(false).await;
}

#[tokio::test]
async fn an_agent_restart_keeps_tasks_and_learns_what_ended_meanwhile() {
    let (dir, servers, driver) = (tempfile::tempdir().expect("dir"), Played::new(), MockDriver::new());
    let client = start(&dir, &servers, &driver).await;
    for id in 1..4 {
        servers.want(alloc(id, run_for_long()));
        servers.until_status(AllocId(id), ClientStatus::Running).await;
    }
    let node = client.node().id;
    client.shutdown(false).await;
    assert_eq!(driver.running().len(), 3);
    driver.finish(&run_of(2, 0), ExitResult { exit_code: 3, ..ExitResult::default() });
    driver.forget(&run_of(3, 0));
    let client = start(&dir, &servers, &driver).await;
    assert_eq!(client.node().id, node);
    until(&driver, |driver| driver.running() == [run_of(1, 0), run_of(2, 1), run_of(3, 1)]).await;
    assert_eq!(driver.tasks()[&run_of(1, 0)].recovered, 1);
    let starts = |world: &World, id: u128| world.observed[&AllocId(id)].task_states["main"].restarts;
    let world = servers.until("restarts", |world| starts(world, 2) == 1 && starts(world, 3) == 1).await;
    assert_eq!(starts(&world, 1), 0);
    client.shutdown(true).await;
    assert!(driver.tasks().is_empty(), "the end of a dev agent leaves nothing behind");
    assert_eq!(std::fs::read_dir(dir.path().join("alloc")).expect("dir").count(), 0);
}

#[tokio::test]
async fn what_is_not_supported_is_said() {
    let (dir, servers, driver) = (tempfile::tempdir().expect("dir"), Played::new(), MockDriver::new());
    let client = start(&dir, &servers, &driver).await;
    let mut source = alloc(1, run_for_long());
    let mut job = source.job.job().clone();
    let task = &mut job.task_groups.as_mut().expect("groups")[0].tasks.as_mut().expect("tasks")[0];
    task.artifacts = Some(vec![model::job::TaskArtifact::default()]);
    source.job = Arc::new(job.into());
    servers.want(source);
    servers.want(alloc(2, serde_json::json!({"run_for": "${nope}"})));
    for (id, kind) in [(1, "Setup Failure"), (2, "Failed Validation")] {
        let update = servers.until_status(AllocId(id), ClientStatus::Failed).await;
        let events = &update.task_states["main"].events;
        assert!(events.iter().any(|event| event.kind == kind), "{events:?}");
    }
    assert!(driver.starts().is_empty());
    client.shutdown(false).await;
}

#[tokio::test]
async fn servers_go_away_and_come_back_and_forget_the_node() {
    let (dir, servers, driver) = (tempfile::tempdir().expect("dir"), Played::new(), MockDriver::new());
    servers.change(|world| world.unreachable = true);
    let client = start(&dir, &servers, &driver).await;
    servers.change(|world| world.unreachable = false);
    servers.until("a registration", |world| world.registrations == 1 && world.heartbeats > 0).await;
    servers.want(alloc(1, run_for_long()));
    servers.until_status(AllocId(1), ClientStatus::Running).await;
    servers.change(|world| world.unreachable = true);
    driver.finish(&run_of(1, 0), ExitResult::default());
    until(&driver, |driver| driver.running() == [run_of(1, 1)]).await;
    servers.change(|world| {
        world.unreachable = false;
        world.registered = None;
    });
    let told = |world: &World| world.observed[&AllocId(1)].task_states["main"].restarts == 1;
    servers.until("the late report", told).await;
    servers.until("another registration", |world| world.registrations == 2).await;
    assert_eq!(driver.running(), [run_of(1, 1)], "tasks do not care");
    client.shutdown(true).await;
}

#[tokio::test]
async fn a_stop_gives_up_a_start_that_hangs() {
    let (dir, servers, driver) = (tempfile::tempdir().expect("dir"), Played::new(), MockDriver::new());
    let client = start(&dir, &servers, &driver).await;
    servers.want(alloc(1, serde_json::json!({"run_for": "1h", "start_block_for": "1h"})));
    servers.until("the allocation", |world| world.observed.contains_key(&AllocId(1))).await;
    let mut stopped = alloc(1, run_for_long());
    stopped.alloc.desired_status = DesiredStatus::Stop;
    servers.want(stopped);
    servers.until_status(AllocId(1), ClientStatus::Complete).await;
    assert!(driver.starts().is_empty());
    client.shutdown(false).await;
}

#[tokio::test]
async fn an_unhealthy_driver_is_announced() {
    let (dir, servers, driver) = (tempfile::tempdir().expect("dir"), Played::new(), MockDriver::new());
    driver.set_fingerprint(Fingerprint {
        detected: true,
        description: "engine down".to_owned(),
        ..Fingerprint::default()
    });
    let client = start(&dir, &servers, &driver).await;
    let world = servers.until("a registration", |world| world.registered.is_some()).await;
    let node = world.registered.expect("registered").node;
    assert_eq!(node.drivers["mock_driver"].health_description, "engine down");
    assert!(!node.attributes.contains_key("driver.mock_driver"));
    client.shutdown(false).await;
}
