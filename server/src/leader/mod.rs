//! What only the leader does. The loops start with leadership and end with it; all they know is derived from the state.
//!
//! Each loop is a thin runtime around a pure core: [`planner`], [`heartbeats`], [`gc`]. A wake-up says "look": what is
//! to be done is read from the state.

pub mod gc;
pub mod heartbeats;
pub mod planner;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use model::id::NodeId;
use model::node::NodeStatus;
use model::time::{GoDuration, Timestamp};
use parking_lot::Mutex;
use state::{Command, Op, Reply, State, Touched};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::config::ServerConfig;
use crate::metrics::Metrics;
use crate::raft::Log;
use crate::server::{Committed, ProposeError, command, new_seed, now};
use heartbeats::Heartbeats;
use planner::{Planner, Round};

/// The longest sleep of a loop without a deadline.
const LONG: Duration = Duration::from_secs(3600);
/// The shortest sleep of the heartbeat loop, so that many nodes do not make many wake-ups.
const COARSE: Duration = Duration::from_millis(250);
/// How long a loop waits before it tries again what the log did not take.
const RETRY: Duration = Duration::from_secs(1);

/// What the loops share with the rest of the server.
pub struct Leader {
    ttl: GoDuration,
    grace: GoDuration,
    started: Instant,
    /// What was committed since the planner looked; none while nobody plans.
    news: Mutex<Option<News>>,
    news_bell: Notify,
    /// Whether one round follows the other.
    planning: watch::Sender<bool>,
    heartbeats: Mutex<Heartbeats>,
    heartbeats_bell: Notify,
}

/// What was committed since the planner looked.
#[derive(Default)]
struct News {
    touched: Touched,
    /// The state right after, so that what the planner knows and what it looks at are of one moment: a decision can be
    /// made again only from exactly what it was made from.
    state: Option<Arc<State>>,
}

impl Leader {
    /// Nothing runs yet.
    pub fn new(config: &ServerConfig) -> Leader {
        Leader {
            ttl: config.heartbeat_ttl.max(GoDuration::from_secs(1)),
            grace: config.heartbeat_grace.max(GoDuration(0)),
            started: Instant::now(),
            news: Mutex::new(None),
            news_bell: Notify::new(),
            planning: watch::Sender::new(false),
            heartbeats: Mutex::new(Heartbeats::default()),
            heartbeats_bell: Notify::new(),
        }
    }

    /// Hands a batch of committed changes to the planner, if there is one.
    pub fn applied(&self, state: &Arc<State>, touched: Touched) {
        if let Some(news) = self.news.lock().as_mut() {
            news.touched.merge(touched);
            news.state = Some(state.clone());
            self.news_bell.notify_one();
        }
    }

    /// A node spoke up. Answers with the time within which it must do so again.
    pub fn beat(&self, node: NodeId) -> GoDuration {
        let mut heartbeats = self.heartbeats.lock();
        let was_alone = heartbeats.is_empty();
        heartbeats.beat(node, self.monotonic(), self.ttl.plus(self.grace));
        if was_alone {
            self.heartbeats_bell.notify_one();
        }
        self.ttl
    }

    /// Waits until the planner has nothing to do, at most this long: who tells others of its decisions tells them of
    /// many at once.
    pub async fn planner_rests(&self, at_most: Duration) {
        let mut planning = self.planning.subscribe();
        // Either way it is time.
        let _ = tokio::time::timeout(at_most, planning.wait_for(|planning| !planning)).await;
    }

    fn set_planning(&self, planning: bool) {
        self.planning.send_if_modified(|current| std::mem::replace(current, planning) != planning);
    }

    /// Runs the loops whenever this server leads, until the log ends.
    pub async fn run(self: Arc<Self>, log: Log, metrics: Arc<Metrics>, config: ServerConfig) {
        let mut leadership = log.leadership();
        loop {
            if leadership.wait_for(|current| current.leads).await.is_err() {
                return;
            }
            tracing::info!("leadership starts");
            let lost = async {
                // A closed channel means that the log has ended.
                let _ = leadership.wait_for(|current| !current.leads).await;
            };
            tokio::select! {
                () = lost => {}
                () = self.plan(&log, &metrics) => {}
                () = self.watch_heartbeats(&log, &metrics) => {}
                () = collect_garbage(&log, &config) => {}
            }
            *self.news.lock() = None;
            self.set_planning(false);
            tracing::info!("leadership ends");
        }
    }

    async fn plan(&self, log: &Log, metrics: &Arc<Metrics>) {
        // From here on news are kept; the state is loaded afterwards, so nothing falls between.
        *self.news.lock() = Some(News::default());
        let mut desk = Desk::new(log).await;
        loop {
            if let Err(cause) = self.plan_once(&mut desk, log, metrics).await {
                tracing::warn!(%cause, "plans were not written; planning anew");
                self.set_planning(false);
                tokio::time::sleep(RETRY).await;
                *self.news.lock() = Some(News::default());
                desk = Desk::new(log).await;
            }
        }
    }

    /// Plans one round while the one before is written, and sends it after that one; or waits until there is something
    /// to do.
    async fn plan_once(&self, desk: &mut Desk, log: &Log, metrics: &Arc<Metrics>) -> Result<(), ProposeError> {
        let mut touched = self.take_news(desk);
        if desk.planner.is_applied(&desk.state, desk.written) {
            desk.finish_writing().await?;
            // What the planner is told next must show the round as it was applied.
            touched.merge(self.take_news(desk));
        }
        let round = desk.turn(touched, metrics).await?;
        if round.is_empty() {
            return self.wait(desk).await;
        }
        self.set_planning(true);
        desk.finish_writing().await?;
        desk.writing = Some(tokio::spawn(submit(log.clone(), round, metrics.clone())));
        Ok(())
    }

    /// What has changed since, with the state that shows it on the desk.
    fn take_news(&self, desk: &mut Desk) -> Touched {
        let News { touched, state } = self.news.lock().as_mut().map(std::mem::take).unwrap_or_default();
        desk.look_at(state);
        touched
    }

    /// Waits for news, a deadline, or the end of what is being written.
    async fn wait(&self, desk: &mut Desk) -> Result<(), ProposeError> {
        let deadline = desk.planner.next_deadline();
        let Some(writing) = &mut desk.writing else {
            self.set_planning(false);
            self.sleep_until_news(deadline).await;
            return Ok(());
        };
        tokio::select! {
            outcome = writing => desk.note_written(outcome),
            () = self.sleep_until_news(deadline) => Ok(()),
        }
    }

    async fn sleep_until_news(&self, deadline: Option<Timestamp>) {
        let sleep = deadline.map_or(LONG, |at| at.since(now()).to_std().min(LONG));
        // Either way the next step is to look.
        let _ = tokio::time::timeout(sleep, self.news_bell.notified()).await;
    }

    async fn watch_heartbeats(&self, log: &Log, metrics: &Metrics) {
        let expected: Vec<NodeId> = {
            let state = log.state();
            state.nodes().filter(|node| node.status != NodeStatus::Down).map(|node| node.id).collect()
        };
        let ttl = self.ttl.plus(self.grace);
        self.heartbeats.lock().restart(expected.into_iter(), self.monotonic(), ttl);
        loop {
            let silent = self.heartbeats.lock().step(self.monotonic());
            metrics.heartbeats_missed.add(silent.len() as u64);
            // All at once: they share a log entry.
            futures_util::future::join_all(silent.into_iter().map(|node| self.mark_down_or_retry(log, node))).await;
            let deadline = self.heartbeats.lock().next_deadline();
            let sleep = deadline.map_or(LONG, |at| at.since(self.monotonic()).to_std().max(COARSE));
            // Either way the next step is to look.
            let _ = tokio::time::timeout(sleep, self.heartbeats_bell.notified()).await;
        }
    }

    async fn mark_down_or_retry(&self, log: &Log, node: NodeId) {
        if let Err(cause) = self.mark_down(log, node).await {
            tracing::warn!(%node, %cause, "cannot mark a silent node as down; trying again");
            self.heartbeats.lock().beat(node, self.monotonic(), GoDuration::from_secs(1));
        }
    }

    async fn mark_down(&self, log: &Log, id: NodeId) -> Result<(), ProposeError> {
        let state = log.state();
        match state.node(id) {
            None => return Ok(()),
            Some(node) if matches!(node.status, NodeStatus::Down | NodeStatus::Disconnected) => return Ok(()),
            Some(node) => tracing::warn!(%id, name = node.name, "node missed its heartbeat"),
        }
        let description = format!("no heartbeat within {}", self.ttl.plus(self.grace));
        let status = status_of_silent(&state, id);
        drop(state);
        log.propose(command(Op::UpdateNodeStatus { id, status, description })).await.map(drop)
    }

    /// Time since this process started: unlike the wall clock it never jumps, so a changed clock expires nobody.
    fn monotonic(&self) -> Timestamp {
        Timestamp(i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX))
    }
}

/// A round on its way into the log.
type Writing = tokio::task::JoinHandle<Result<(), ProposeError>>;

/// The planner with what it looks at and what is on its way.
struct Desk {
    planner: Planner,
    state: Arc<State>,
    writing: Option<Writing>,
    /// Rounds that are written and of which the planner was not told yet.
    written: usize,
}

impl Desk {
    async fn new(log: &Log) -> Desk {
        let (planner, state) = new_planner(log).await;
        Desk { planner, state, writing: None, written: 0 }
    }

    fn look_at(&mut self, state: Option<Arc<State>>) {
        if let Some(newer) = state.filter(|state| state.index() > self.state.index()) {
            self.state = newer;
        }
    }

    async fn finish_writing(&mut self) -> Result<(), ProposeError> {
        match self.writing.take() {
            Some(writing) => self.note_written(writing.await),
            None => Ok(()),
        }
    }

    fn note_written(
        &mut self,
        outcome: Result<Result<(), ProposeError>, tokio::task::JoinError>,
    ) -> Result<(), ProposeError> {
        self.writing = None;
        self.written += 1;
        outcome.unwrap_or_else(|why| Err(ProposeError::Log(format!("the round was cut short: {why}"))))
    }

    /// Takes over what happened and plans the next round, on a thread that may take its time.
    async fn turn(&mut self, touched: Touched, metrics: &Metrics) -> Result<Round, ProposeError> {
        let (mut planner, state) = (std::mem::take(&mut self.planner), self.state.clone());
        let written = std::mem::take(&mut self.written);
        let work = move || {
            let began = std::time::Instant::now();
            (0..written).for_each(|_| planner.committed(&state, &touched));
            planner.absorb(&state, &touched);
            let round = planner.plan(&state, now(), new_seed());
            (planner, round, began.elapsed())
        };
        let ended = tokio::task::spawn_blocking(work).await;
        let (planner, round, took) =
            ended.map_err(|why| ProposeError::Log(format!("the planner was cut short: {why}")))?;
        self.planner = planner;
        if !round.is_empty() {
            metrics.planning_nanos.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            metrics.evals_planned.add(round.plans.len() as u64);
        }
        Ok(round)
    }
}

/// A planner for the state as it is, with that state.
async fn new_planner(log: &Log) -> (Planner, Arc<State>) {
    let state = log.state();
    let known = state.clone();
    (tokio::task::spawn_blocking(move || Planner::of(&known)).await.unwrap_or_default(), state)
}

/// What becomes of a node that falls silent: disconnected when a group with an allocation there lets it come back, for
/// then it is waited for, each group as long as it says; else down.
pub(crate) fn status_of_silent(state: &State, id: NodeId) -> NodeStatus {
    let may_come_back = state.live_allocs_of_node(id).any(|alloc| {
        let job = state.job_of_alloc(&alloc);
        job.is_some_and(|job| {
            job.compiled().group(&alloc.task_group).is_some_and(|group| group.disconnect.lost_after.is_some())
        })
    });
    if may_come_back { NodeStatus::Disconnected } else { NodeStatus::Down }
}

/// Writes a round; both parts usually share one log entry.
async fn submit(log: Log, round: Round, metrics: Arc<Metrics>) -> Result<(), ProposeError> {
    let Round { plans, overtaken, at, seed } = round;
    metrics.plans_submitted.add(plans.len() as u64);
    let apply = async {
        if plans.is_empty() {
            return Ok(None);
        }
        log.propose(Command { at, seed, op: Op::ApplyPlans { plans } }).await.map(Some)
    };
    let cancel = async {
        if overtaken.is_empty() {
            return Ok(None);
        }
        log.propose(command(Op::UpdateEvals { evals: overtaken })).await.map(Some)
    };
    let (applied, cancelled) = futures_util::future::join(apply, cancel).await;
    cancelled?;
    if let Some(Committed { reply: Reply::Plans(drops), .. }) = applied? {
        let dropped: usize = drops.iter().map(|plan| plan.dropped.len()).sum();
        metrics.placements_dropped.add(dropped as u64);
    }
    Ok(())
}

async fn collect_garbage(log: &Log, config: &ServerConfig) {
    let interval = config.gc_interval.max(GoDuration::from_secs(1)).to_std();
    loop {
        tokio::time::sleep(interval).await;
        let before = Timestamp(now().0.saturating_sub(config.gc_threshold.0));
        let state: Arc<State> = log.state();
        if !gc::worth_it(&state, before) {
            continue;
        }
        drop(state);
        if let Err(cause) = log.propose(command(Op::Gc { before, force: false })).await {
            tracing::warn!(%cause, "garbage was not collected");
        }
    }
}
