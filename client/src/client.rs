//! The client as the agent sees it: what runs here, and what users may ask of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use driver::{Driver, TaskHandle, TaskStats};
use model::id::AllocId;
use model::node::Node;
use model::rpc::{AllocWithJob, PullAllocsReply};
use model::task_state::TaskRunState;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::alloc::dir::AllocDir;
use crate::alloc::handover;
use crate::alloc::lifecycle::AllocInput;
use crate::alloc::runner::{self, Message, RunnerHandle, View};
use crate::context::Context;
use crate::link::Link;
use crate::state_db::StateDb;
use crate::{ClientConfig, ClientError, LogChunk, LogRequest, Servers, fingerprint, logs};

/// How often drivers are looked at again, and asked to remove what nobody wants.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// How long the end of a dev agent waits beyond the longest kill timeout.
const SHUTDOWN_SLACK: Duration = Duration::from_secs(10);
/// How long the last report may take.
const LAST_PUSH: Duration = Duration::from_secs(2);

/// A running client.
pub struct Client {
    context: Arc<Context>,
    link: Arc<Link>,
    runners: Arc<Runners>,
    loops: Mutex<Vec<JoinHandle<()>>>,
}

/// A task that runs, with the driver that runs it.
type RunningTask = (Arc<dyn Driver>, TaskHandle);

#[derive(Default)]
struct Runners {
    all: Mutex<BTreeMap<AllocId, RunnerHandle>>,
}

impl Client {
    /// Restores what ran before, then registers and goes on in the background.
    ///
    /// # Errors
    /// When the data directory or the stored state cannot be used. A server out of reach is not an error.
    pub async fn start(
        config: ClientConfig,
        servers: Arc<dyn Servers>,
        drivers: Vec<Arc<dyn Driver>>,
    ) -> Result<Arc<Client>, ClientError> {
        make_private(&config.data_dir, 0o711)?;
        make_private(&config.data_dir.join("alloc"), 0o711)?;
        let db = StateDb::open(config.data_dir.join("client"))?;
        let identity = db.identity()?;
        let start = db.count_start()?;
        let mut stored = db.load()?;
        let living: BTreeSet<AllocId> =
            stored.iter().filter(|(_, stored)| !stored.record.is_ended()).map(|(id, _)| *id).collect();
        stored.iter_mut().for_each(|(_, stored)| stored.record.wait_only_for(&living));
        let (node, _) = fingerprint::node(&config, identity, &drivers).await;
        let (ended, ended_here) = mpsc::unbounded_channel();
        let context = Arc::new(Context::new(config, drivers, db, start, node, ended));
        let runners = Arc::new(Runners::default());
        let lines: BTreeMap<AllocId, Option<AllocId>> =
            stored.iter().map(|(id, stored)| (*id, heritage(&stored.source))).collect();
        for (id, stored) in stored {
            let ancestors = handover::ancestors(heritage(&stored.source), |id| lines.get(&id).copied().flatten());
            let handle = runner::restore(context.clone(), stored, ancestors).await;
            runners.all.lock().insert(id, handle);
        }
        let link = Arc::new(Link::new(servers, context.clone()));
        let client = Client { context, link, runners, loops: Mutex::new(Vec::new()) };
        client.spawn_loops(ended_here);
        Ok(Arc::new(client))
    }

    fn spawn_loops(&self, ended_here: mpsc::UnboundedReceiver<AllocId>) {
        let (replies, news) = mpsc::channel(1);
        let link = self.link.clone();
        let pull = async move { link.pull(replies).await };
        let link = self.link.clone();
        let keep_alive = async move { link.keep_alive().await };
        let link = self.link.clone();
        let push = async move { link.push().await };
        let reconcile = reconcile(self.context.clone(), self.runners.clone(), news, ended_here);
        let watch = watch_drivers(self.context.clone(), self.link.clone());
        *self.loops.lock() = vec![
            tokio::spawn(pull),
            tokio::spawn(keep_alive),
            tokio::spawn(push),
            tokio::spawn(reconcile),
            tokio::spawn(watch),
        ];
    }

    /// Stops. With `stop_tasks` every task is stopped and every directory removed; otherwise tasks run on.
    pub async fn shutdown(&self, stop_tasks: bool) {
        let loops = std::mem::take(&mut *self.loops.lock());
        for task in loops {
            task.abort();
            let _ = task.await;
        }
        if stop_tasks {
            self.stop_all().await;
        }
        let _ = tokio::time::timeout(LAST_PUSH, self.link.push_rest()).await;
        let mut all = std::mem::take(&mut *self.runners.all.lock());
        for runner in all.values_mut() {
            runner.abandon().await;
        }
        if stop_tasks {
            self.context.unwant_all().await;
            self.context.reap_all().await;
            for id in all.keys() {
                remove_alloc(&self.context, *id);
            }
        }
    }

    async fn stop_all(&self) {
        for runner in self.runners.all.lock().values() {
            let _ = runner.inbox.send(Message::Input(AllocInput::Stop { force: true }));
        }
        let limit = self.context.config.max_kill_timeout.to_std() + SHUTDOWN_SLACK;
        let all_ended = async {
            while self.runners.all.lock().values().any(|runner| !runner.view.read().ended) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(limit, all_ended).await.is_err() {
            tracing::warn!("some tasks did not stop within {limit:?}; the drivers are asked to remove them");
        }
    }

    /// The node as it was last announced.
    pub fn node(&self) -> Node {
        self.context.node().as_ref().clone()
    }

    /// Ids of the allocations that this client has, running or ended.
    pub fn allocs(&self) -> Vec<AllocId> {
        self.runners.all.lock().keys().copied().collect()
    }

    /// Whether the allocation is on this node.
    pub fn has(&self, alloc: AllocId) -> bool {
        self.runners.all.lock().contains_key(&alloc)
    }

    /// A task's output. The channel closes at the end of the log, or with `follow` when the task has ended.
    ///
    /// # Errors
    /// Unknown allocation or task, or no directory yet.
    pub async fn logs(
        &self,
        alloc: AllocId,
        task: &str,
        request: LogRequest,
    ) -> Result<mpsc::Receiver<LogChunk>, ClientError> {
        let view = self.runners.view(alloc)?;
        known_task(alloc, &view.read(), task)?;
        let base = self.context.alloc_base();
        let dir = AllocDir::open(&base, alloc).map_err(|source| ClientError::Io {
            what: "cannot open the directory of the allocation in",
            path: base.display().to_string(),
            source,
        })?;
        let name = task.to_owned();
        Ok(logs::stream(dir, task, request, move || view.read().is_over(&name)))
    }

    /// Restarts one task, or all running ones; with `all_tasks` also those that have ended.
    ///
    /// # Errors
    /// Unknown allocation or task, or nothing runs that could be restarted.
    pub async fn restart(&self, alloc: AllocId, task: Option<&str>, all_tasks: bool) -> Result<(), ClientError> {
        let view = self.runners.view(alloc)?;
        let view = view.read().clone();
        if view.ended || view.observed.client_status.is_terminal() {
            return Err(not_possible(task.unwrap_or("all"), "cannot be restarted: the allocation has ended"));
        }
        if let Some(name) = task {
            known_task(alloc, &view, name)?;
            if all_tasks {
                return Err(not_possible(name, "is named although all tasks are to be restarted; name none or one"));
            }
            if view.observed.task_states.get(name).is_some_and(|state| state.state != TaskRunState::Running) {
                return Err(not_possible(name, "does not run"));
            }
        }
        let input = AllocInput::Restart { task: task.map(str::to_owned), all_tasks };
        self.runners.send(alloc, input)
    }

    /// Sends a signal to one task, or to all running ones.
    ///
    /// # Errors
    /// Unknown allocation or task, a task that does not run, or the driver's refusal.
    pub async fn signal(&self, alloc: AllocId, task: Option<&str>, signal: &str) -> Result<(), ClientError> {
        for (driver, handle) in self.running(alloc, task)? {
            let input = AllocInput::Signal { task: handle.id.task.clone(), signal: signal.to_owned() };
            self.runners.send(alloc, input)?;
            driver.signal(&handle, signal).await?;
        }
        Ok(())
    }

    /// Resource use of an allocation's running tasks, by task name. A task that ends meanwhile is left out.
    ///
    /// # Errors
    /// Unknown allocation.
    pub async fn stats(&self, alloc: AllocId) -> Result<Vec<(String, TaskStats)>, ClientError> {
        self.runners.view(alloc)?;
        let mut all = Vec::new();
        for (driver, handle) in self.running(alloc, None).unwrap_or_default() {
            if let Ok(stats) = driver.stats(&handle).await {
                all.push((handle.id.task, stats));
            }
        }
        Ok(all)
    }

    fn running(&self, alloc: AllocId, task: Option<&str>) -> Result<Vec<RunningTask>, ClientError> {
        let view = self.runners.view(alloc)?;
        let view = view.read();
        if let Some(name) = task {
            known_task(alloc, &view, name)?;
        }
        let runs =
            |name: &str| view.observed.task_states.get(name).is_some_and(|state| state.state == TaskRunState::Running);
        let found: Vec<_> = view
            .handles
            .iter()
            .filter(|(name, _)| task.is_none_or(|wanted| wanted == name.as_str()) && runs(name))
            .filter_map(|(name, handle)| {
                let driver = self.context.drivers.get(view.drivers.get(name)?.as_str())?;
                Some((driver.clone(), handle.clone()))
            })
            .collect();
        if found.is_empty() { Err(not_possible(task.unwrap_or("all"), "does not run")) } else { Ok(found) }
    }
}

impl Runners {
    fn view(&self, alloc: AllocId) -> Result<Arc<parking_lot::RwLock<View>>, ClientError> {
        self.all.lock().get(&alloc).map(|runner| runner.view.clone()).ok_or(ClientError::UnknownAlloc(alloc))
    }

    fn send(&self, alloc: AllocId, input: AllocInput) -> Result<(), ClientError> {
        let all = self.all.lock();
        let runner = all.get(&alloc).ok_or(ClientError::UnknownAlloc(alloc))?;
        runner.inbox.send(Message::Input(input)).map_err(|_| ClientError::ShuttingDown)
    }
}

/// Makes what runs here what the servers want, and forgets what they have forgotten.
async fn reconcile(
    context: Arc<Context>,
    runners: Arc<Runners>,
    mut news: mpsc::Receiver<PullAllocsReply>,
    mut ended_here: mpsc::UnboundedReceiver<AllocId>,
) {
    loop {
        tokio::select! {
            Some(reply) = news.recv() => take_news(&context, &runners, reply),
            Some(id) = ended_here.recv() => note_end(&context, &runners, id),
            else => return,
        }
    }
}

fn take_news(context: &Arc<Context>, runners: &Runners, reply: PullAllocsReply) {
    let mut all = runners.all.lock();
    for (id, runner) in all.iter_mut() {
        runner.released |= handover::released(&reply, *id);
    }
    for source in reply.changed {
        let id = source.alloc.id;
        match all.get(&id) {
            // Told again.
            Some(runner) if runner.view.read().index == source.alloc.alloc_modify_index => {}
            Some(runner) => {
                runner.view.write().index = source.alloc.alloc_modify_index;
                // An ended runner does not listen any more, and need not.
                let _ = runner.inbox.send(Message::Update(Box::new(source)));
            }
            // It ended before this client lost its memory: it does not run again.
            None if source.alloc.client_status.is_terminal() => {}
            None => {
                let before = |id| all.get(&id).and_then(|runner| runner.ancestors.first().copied());
                let ancestors = handover::ancestors(heritage(&source), before);
                let predecessors = living(&all, &source, &ancestors);
                all.insert(id, runner::begin(context.clone(), source, predecessors, ancestors));
            }
        }
    }
    let Some(ids) = reply.ids else { return };
    let wanted: BTreeSet<AllocId> = ids.into_iter().collect();
    let gone: Vec<AllocId> = all.keys().filter(|id| !wanted.contains(id)).copied().collect();
    for id in gone {
        let Some(runner) = all.get_mut(&id) else { continue };
        if runner.view.read().ended {
            forget(context, &mut all, id);
        } else if !runner.forgotten {
            runner.forgotten = true;
            let _ = runner.inbox.send(Message::Input(AllocInput::Stop { force: false }));
        }
    }
}

/// The allocation whose data `source` is to take over, if it has been on this node.
fn heritage(source: &AllocWithJob) -> Option<AllocId> {
    handover::inherits_from(&source.alloc, source.job.compiled())
}

/// Those that `source` waits for and that have not ended here.
fn living(all: &BTreeMap<AllocId, RunnerHandle>, source: &AllocWithJob, ancestors: &[AllocId]) -> BTreeSet<AllocId> {
    let living = all.iter().filter(|(_, runner)| !runner.view.read().ended);
    let mut waits_for = source.alloc.starts_after.clone();
    waits_for.extend(ancestors);
    handover::predecessors(&waits_for, &living.map(|(id, runner)| (*id, runner.released)).collect())
}

fn note_end(context: &Context, runners: &Runners, id: AllocId) {
    let mut all = runners.all.lock();
    for runner in all.values() {
        if !runner.view.read().ended {
            let _ = runner.inbox.send(Message::Input(AllocInput::PredecessorEnded(id)));
        }
    }
    if all.get(&id).is_some_and(|runner| runner.forgotten) {
        forget(context, &mut all, id);
    }
}

/// Removes an allocation that has ended. Data that another one is still to take over is given to that one first.
fn forget(context: &Context, all: &mut BTreeMap<AllocId, RunnerHandle>, id: AllocId) {
    all.remove(&id);
    let heir = all.iter().find(|(_, runner)| !runner.view.read().ended && runner.ancestors.contains(&id));
    if let Some((heir, runner)) = heir {
        let base = context.alloc_base();
        let view = runner.view.read();
        let given = AllocDir::create(&base, *heir)
            .and_then(|dir| dir.take_over(&base, &runner.ancestors, view.drivers.keys().map(String::as_str)));
        if let Err(error) = given {
            tracing::warn!(alloc = %heir, from = %id, %error, "cannot take over the data of an allocation that is removed");
        }
    }
    remove_alloc(context, id);
}

fn remove_alloc(context: &Context, id: AllocId) {
    context.updates.forget(id);
    context.db.remove(id);
    if let Err(error) = AllocDir::remove(&context.alloc_base(), id) {
        tracing::warn!(alloc = %id, %error, "cannot remove the directory of an allocation");
    }
}

/// Engines go away and come back: the node says so, and leftovers of a crash are removed when they are back.
async fn watch_drivers(context: Arc<Context>, link: Arc<Link>) {
    let drivers: Vec<Arc<dyn Driver>> = context.drivers.values().cloned().collect();
    loop {
        context.reap_all().await;
        tokio::time::sleep(LOOK_AGAIN).await;
        let seen = fingerprint::look_at_drivers(&drivers).await;
        let old = context.node();
        let same = seen.iter().all(|(name, print)| {
            old.drivers.get(*name).is_some_and(|info| {
                info.healthy == print.healthy
                    && info.detected == print.detected
                    && info.health_description == print.description
                    && info.attributes == print.attributes
            })
        });
        if !same {
            let mut node = old.as_ref().clone();
            fingerprint::apply_drivers(&mut node, &seen, crate::clock::now());
            for (name, print) in &seen {
                tracing::info!(driver = name, healthy = print.healthy, why = print.description, "driver looked at");
            }
            context.set_node(node);
            link.register.notify_one();
        }
    }
}

fn known_task(alloc: AllocId, view: &View, task: &str) -> Result<(), ClientError> {
    if view.drivers.contains_key(task) {
        return Ok(());
    }
    let known: Vec<&str> = view.drivers.keys().map(String::as_str).collect();
    Err(ClientError::UnknownTask { alloc, task: task.to_owned(), known: known.join(", ") })
}

fn not_possible(task: &str, why: &str) -> ClientError {
    ClientError::NotPossible { task: task.to_owned(), why: why.to_owned() }
}

fn make_private(path: &Path, mode: u32) -> Result<(), ClientError> {
    use std::os::unix::fs::PermissionsExt;
    let error = |source| ClientError::Io { what: "cannot make", path: path.display().to_string(), source };
    std::fs::create_dir_all(path).map_err(error)?;
    let permissions = std::fs::metadata(path).map_err(error)?.permissions();
    // Only narrowed where it is ours alone: a directory given by the user keeps what it has beyond that.
    if permissions.mode() & 0o7777 != mode && path.ends_with("alloc") {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(error)?;
    }
    Ok(())
}
