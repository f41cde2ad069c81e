//! Simulated nodes: each registers, keeps its heartbeat and holds a real long-poll over a connection of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use model::allocation::{AllocUpdate, ClientStatus, ReportOrder};
use model::id::{AllocId, NodeId};
use model::node::{DriverInfo, Node, NodeCpu, NodeDisk, NodeMemory, NodeResources};
use model::rpc::{Heartbeat, HeartbeatReply, PullAllocs, PullAllocsReply, PushAllocs, RegisterNode, Roster};
use model::task_state::{TaskEvent, TaskRunState, TaskState};
use model::time::{GoDuration, Timestamp};
use serde::Serialize;
use tokio::sync::{Mutex, Notify};

use crate::http::Connection;

/// How long one long-poll lasts at most.
const POLL: GoDuration = GoDuration::from_secs(300);
/// Each node says that it lives this often.
const BEAT: Duration = Duration::from_secs(5);
/// Connections that carry reports and counts, node after node.
const WORKERS: usize = 16;
/// How long the server may stay busy without one more allocation arriving.
const PATIENCE: Duration = Duration::from_secs(120);

/// What every simulated node has. CPU in MHz, memory and disk in MB.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub cpu: i64,
    pub memory: i64,
    pub disk: i64,
}

/// The `number`-th simulated node, in one of ten datacenters and 75 racks.
pub fn node(number: usize, shape: Shape) -> Node {
    let healthy = DriverInfo { detected: true, healthy: true, ..DriverInfo::default() };
    Node {
        id: NodeId(0x5eed_0000_0000_4000_8000_0000_0000_0000 | number as u128),
        secret_id: format!("secret-{number}"),
        name: format!("node-{number}"),
        datacenter: format!("dc{}", number % 10 + 1),
        node_pool: "default".to_owned(),
        attributes: BTreeMap::from([("kernel.name".to_owned(), "linux".to_owned())]),
        meta: BTreeMap::from([("rack".to_owned(), format!("r{}", number % 75))]),
        node_resources: NodeResources {
            cpu: NodeCpu { cpu_shares: shape.cpu, total_cpu_cores: 4, ..NodeCpu::default() },
            memory: NodeMemory { memory_mb: shape.memory },
            disk: NodeDisk { disk_mb: shape.disk },
            min_dynamic_port: 20_000,
            max_dynamic_port: 32_000,
            ..NodeResources::default()
        },
        drivers: BTreeMap::from([("mock".to_owned(), healthy)]),
        ..Node::default()
    }
}

/// One simulated node: what it knows of its allocations.
struct Member {
    node: Node,
    roster: Mutex<Roster>,
    silent: AtomicBool,
}

/// All simulated nodes and what they received.
pub struct Swarm {
    members: Vec<Arc<Member>>,
    tally: Arc<Tally>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    beats: Vec<tokio::task::JoinHandle<()>>,
}

/// Allocations received by all nodes together, and when.
#[derive(Default)]
struct Tally {
    received: AtomicUsize,
    target: AtomicUsize,
    /// When each tenth of the target had arrived.
    tenths: std::sync::Mutex<Vec<Instant>>,
    news: Notify,
}

impl Tally {
    fn add(&self, count: usize) {
        let (before, target) = (self.received.fetch_add(count, Relaxed), self.target.load(Relaxed).max(1));
        if let Ok(mut tenths) = self.tenths.lock() {
            while tenths.len() < 10 && (before + count) * 10 >= (tenths.len() + 1) * target {
                tenths.push(Instant::now());
            }
        }
        self.news.notify_one();
    }
}

impl Swarm {
    /// `count` nodes that have no server yet.
    pub fn new(count: usize, shape: Shape) -> Swarm {
        let member =
            |number| Member { node: node(number, shape), roster: Mutex::default(), silent: AtomicBool::new(false) };
        let members = (0..count).map(|number| Arc::new(member(number))).collect();
        Swarm { members, tally: Arc::default(), tasks: Vec::new(), beats: Vec::new() }
    }

    /// Registers `count` nodes and lets each hold its long-poll.
    pub async fn start(server: SocketAddr, count: usize, shape: Shape) -> Result<Swarm> {
        let mut swarm = Swarm::new(count, shape);
        swarm.attach(server).await?;
        Ok(swarm)
    }

    /// Registers every node with `server` and starts the long-polls.
    pub async fn attach(&mut self, server: SocketAddr) -> Result<()> {
        self.each(server, async |connection, member| {
            let request = RegisterNode { node: member.node.clone() };
            call::<HeartbeatReply>(connection, "register", &request).await.map(drop)
        })
        .await?;
        for member in &self.members {
            self.tasks.push(tokio::spawn(live_and_tell(server, member.clone(), self.tally.clone())));
        }
        let share = self.members.len().div_ceil(WORKERS).max(1);
        for members in self.members.chunks(share) {
            self.beats.push(tokio::spawn(keep_alive(server, members.to_vec())));
        }
        Ok(())
    }

    /// Ends the long-polls; what the nodes know stays.
    pub fn detach(&mut self) {
        self.tasks.drain(..).chain(self.beats.drain(..)).for_each(|task| task.abort());
    }

    /// From now on `target` more allocations are expected.
    pub fn expect(&self, target: usize) {
        self.tally.received.store(0, Relaxed);
        self.tally.target.store(target, Relaxed);
        if let Ok(mut tenths) = self.tally.tenths.lock() {
            tenths.clear();
        }
    }

    /// Waits until all expected allocations have arrived; when each tenth of them had.
    pub async fn arrived(&self) -> Result<Vec<Instant>> {
        let mut progress = (0, Instant::now());
        loop {
            let (received, target) = (self.tally.received.load(Relaxed), self.tally.target.load(Relaxed));
            if received >= target {
                return Ok(self.tally.tenths.lock().map(|tenths| tenths.clone()).unwrap_or_default());
            }
            if received > progress.0 {
                progress = (received, Instant::now());
            }
            let mut alive = self.members.iter().zip(&self.tasks).filter(|(member, _)| !member.silent.load(Relaxed));
            ensure!(alive.all(|(_, task)| !task.is_finished()), "a simulated node has lost its server");
            ensure!(progress.1.elapsed() < PATIENCE, "only {received} of {target} allocations have arrived");
            // Either way the next step is to look.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.tally.news.notified()).await;
        }
    }

    /// Every node reports all its allocations as running; answers how many that were.
    pub async fn report_running(&self, server: SocketAddr) -> Result<usize> {
        let reported = Arc::new(AtomicUsize::new(0));
        self.each(server, async |connection, member| {
            let updates: Vec<AllocUpdate> = member.roster.lock().await.ids().iter().map(|id| running(*id)).collect();
            if updates.is_empty() {
                return Ok(());
            }
            reported.fetch_add(updates.len(), Relaxed);
            let secret_id = member.node.secret_id.clone();
            let request = PushAllocs { node_id: member.node.id, secret_id, updates };
            call::<HeartbeatReply>(connection, "update", &request).await.map(drop)
        })
        .await?;
        Ok(reported.load(Relaxed))
    }

    /// Asks for every allocation anew and compares with what each node knows; how many there are, and how many run.
    pub async fn recount(&self, server: SocketAddr) -> Result<(usize, usize)> {
        let (all, run) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        self.each(server, async |connection, member| {
            let news: PullAllocsReply = call(connection, "allocs", &pull(&member.node, &Roster::default())).await?;
            let ids = news.ids.context("the server did not tell everything")?;
            let found: BTreeSet<AllocId> = ids.iter().copied().collect();
            ensure!(found.len() == ids.len(), "{} was told of an allocation twice", member.node.name);
            ensure!(
                found == *member.roster.lock().await.ids(),
                "{} does not have the allocations it had",
                member.node.name
            );
            all.fetch_add(found.len(), Relaxed);
            let running = news.changed.iter().filter(|row| row.alloc.client_status == ClientStatus::Running);
            run.fetch_add(running.count(), Relaxed);
            Ok(())
        })
        .await?;
        Ok((all.load(Relaxed), run.load(Relaxed)))
    }

    /// Runs `act` once for each node, over a few connections.
    async fn each(&self, server: SocketAddr, act: impl AsyncFn(&mut Connection, &Member) -> Result<()>) -> Result<()> {
        let next = AtomicUsize::new(0);
        let worker = async || -> Result<()> {
            let mut connection = Connection::open(server).await?;
            while let Some(member) = self.members.get(next.fetch_add(1, Relaxed)) {
                act(&mut connection, member).await?;
            }
            Ok(())
        };
        futures_util::future::try_join_all((0..WORKERS).map(|_| worker())).await.map(drop)
    }

    /// The nodes numbered below `count` speak up once more and then never again. Answers how many allocations they have
    /// and when the last of them spoke.
    pub async fn silence(&self, server: SocketAddr, count: usize) -> Result<(usize, Instant)> {
        self.members.iter().take(count).for_each(|member| member.silent.store(true, Relaxed));
        let mut connection = Connection::open(server).await?;
        let mut lost = 0;
        for member in self.members.iter().take(count) {
            beat(&mut connection, &member.node).await?;
            lost += member.roster.lock().await.ids().len();
        }
        Ok((lost, Instant::now()))
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.detach();
    }
}

/// An answer to a long-poll, of which a simulated node reads no more than it needs: the machine is there for the server.
#[derive(serde::Deserialize)]
struct News {
    index: u64,
    #[serde(default)]
    ids: Option<Vec<AllocId>>,
    changed: Vec<OfJob>,
}

/// Runs of allocations of one job.
#[derive(serde::Deserialize)]
struct OfJob {
    runs: Vec<Run>,
}

/// Copies that differ in little.
#[derive(serde::Deserialize)]
struct Run {
    first: Copy,
    #[serde(default)]
    others: Vec<Copy>,
}

#[derive(serde::Deserialize)]
struct Copy {
    id: AllocId,
}

impl OfJob {
    fn ids(&self) -> impl Iterator<Item = AllocId> {
        self.runs.iter().flat_map(|run| std::iter::once(&run.first).chain(&run.others)).map(|copy| copy.id)
    }
}

fn pull(node: &Node, roster: &Roster) -> PullAllocs {
    let (min_index, known) = (roster.index, roster.digest());
    PullAllocs { node_id: node.id, secret_id: node.secret_id.clone(), min_index, wait: POLL, known }
}

async fn live_and_tell(server: SocketAddr, member: Arc<Member>, tally: Arc<Tally>) {
    if let Err(error) = live(server, member.clone(), tally).await {
        eprintln!("{}: {error:#}", member.node.name);
    }
}

/// A node's long-polls, one after the other.
async fn live(server: SocketAddr, member: Arc<Member>, tally: Arc<Tally>) -> Result<()> {
    let mut connection = Connection::open(server).await?;
    while !member.silent.load(Relaxed) {
        let request = pull(&member.node, &*member.roster.lock().await);
        let news: News = call(&mut connection, "allocs", &request).await?;
        let mut roster = member.roster.lock().await;
        let before = roster.ids().len();
        roster.note_ids(news.index, news.ids, news.changed.iter().flat_map(OfJob::ids));
        let fresh = roster.ids().len() - before;
        drop(roster);
        if fresh > 0 {
            tally.add(fresh);
        }
    }
    Ok(())
}

/// Heartbeats of some nodes over one connection, evenly in time.
async fn keep_alive(server: SocketAddr, members: Vec<Arc<Member>>) {
    let attempt = async {
        let mut connection = Connection::open(server).await?;
        loop {
            let began = tokio::time::Instant::now();
            for (number, member) in members.iter().enumerate() {
                tokio::time::sleep_until(began + BEAT * number as u32 / members.len() as u32).await;
                if !member.silent.load(Relaxed) {
                    beat(&mut connection, &member.node).await?;
                }
            }
            tokio::time::sleep_until(began + BEAT).await;
        }
    };
    let outcome: Result<()> = attempt.await;
    if let Err(error) = outcome {
        eprintln!("heartbeats: {error:#}");
    }
}

async fn beat(connection: &mut Connection, node: &Node) -> Result<()> {
    let request = Heartbeat { node_id: node.id, secret_id: node.secret_id.clone() };
    let reply: HeartbeatReply = call(connection, "heartbeat", &request).await?;
    ensure!(!reply.unknown_node, "{} is not known any more", node.name);
    Ok(())
}

/// What a node's agent reports of an allocation whose task has started.
fn running(id: AllocId) -> AllocUpdate {
    let at = now();
    let event = |kind: &str| TaskEvent { kind: kind.to_owned(), time: at, ..TaskEvent::default() };
    let task = TaskState {
        state: TaskRunState::Running,
        started_at: Some(at),
        events: vec![event("Received"), event("Task Setup"), event("Started")],
        ..TaskState::default()
    };
    AllocUpdate {
        id,
        report: ReportOrder { start: 1, number: 1 },
        client_status: ClientStatus::Running,
        client_description: "Tasks are running".to_owned(),
        task_states: BTreeMap::from([("t".to_owned(), task)]),
        ..AllocUpdate::default()
    }
}

/// The wall clock.
pub fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}

async fn call<T: serde::de::DeserializeOwned>(
    connection: &mut Connection,
    what: &str,
    request: &impl Serialize,
) -> Result<T> {
    let body = rmp_serde::to_vec_named(request)?;
    let answer = connection.send("POST", &format!("/v1/internal/node/{what}"), &body).await?;
    Ok(rmp_serde::from_slice(&answer)?)
}
