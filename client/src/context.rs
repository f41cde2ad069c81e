//! What all runners of a client share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use driver::{Driver, TaskId};
use model::id::AllocId;
use model::node::Node;
use parking_lot::RwLock;
use tokio::sync::{Mutex, mpsc};

use crate::config::ClientConfig;
use crate::state_db::StateDb;
use crate::updates::Updates;

/// How long a driver may take to remove leftovers; nothing of that driver starts meanwhile.
const REAP_LIMIT: Duration = Duration::from_secs(10);

/// Shared by the client, its link and its runners.
pub(crate) struct Context {
    pub config: ClientConfig,
    pub drivers: BTreeMap<&'static str, Arc<dyn Driver>>,
    pub db: StateDb,
    pub updates: Updates,
    /// The agent's environment as tasks may inherit it.
    pub host_env: BTreeMap<String, String>,
    /// Runs that each driver must keep. Held locked while the driver reaps, so that no run begins unseen.
    wanted: BTreeMap<&'static str, Mutex<BTreeSet<TaskId>>>,
    /// Told of every allocation that has ended.
    pub ended: mpsc::UnboundedSender<AllocId>,
    node: RwLock<Arc<Node>>,
}

impl Context {
    /// `start` tells how often this node's agent has started.
    pub(crate) fn new(
        config: ClientConfig,
        drivers: Vec<Arc<dyn Driver>>,
        db: StateDb,
        start: u64,
        node: Node,
        ended: mpsc::UnboundedSender<AllocId>,
    ) -> Context {
        let denylist = config.options.get("env.denylist").map(String::as_str);
        let host_env = crate::task::env::host_env(std::env::vars(), denylist);
        Context {
            wanted: drivers.iter().map(|driver| (driver.name(), Mutex::default())).collect(),
            drivers: drivers.into_iter().map(|driver| (driver.name(), driver)).collect(),
            db,
            updates: Updates::new(start),
            host_env,
            ended,
            node: RwLock::new(Arc::new(node)),
            config,
        }
    }

    /// The node as it is announced.
    pub(crate) fn node(&self) -> Arc<Node> {
        self.node.read().clone()
    }

    pub(crate) fn set_node(&self, node: Node) {
        *self.node.write() = Arc::new(node);
    }

    /// Where allocations' directories are.
    pub(crate) fn alloc_base(&self) -> PathBuf {
        self.config.data_dir.join("alloc")
    }

    /// From now on the driver keeps this run.
    pub(crate) async fn want(&self, driver: &str, id: TaskId) {
        if let Some(wanted) = self.wanted.get(driver) {
            wanted.lock().await.insert(id);
        }
    }

    /// From now on the driver may remove this run.
    pub(crate) async fn unwant(&self, driver: &str, id: &TaskId) {
        if let Some(wanted) = self.wanted.get(driver) {
            wanted.lock().await.remove(id);
        }
    }

    /// From now on the drivers may remove every run.
    pub(crate) async fn unwant_all(&self) {
        for wanted in self.wanted.values() {
            wanted.lock().await.clear();
        }
    }

    /// Has every driver remove runs that are ours and that nobody wants.
    pub(crate) async fn reap_all(&self) {
        for name in self.drivers.keys() {
            self.reap(name).await;
        }
    }

    /// The same of one driver.
    pub(crate) async fn reap(&self, name: &str) {
        let (Some(driver), Some(wanted)) = (self.drivers.get(name), self.wanted.get(name)) else { return };
        let wanted = wanted.lock().await;
        let list: Vec<TaskId> = wanted.iter().cloned().collect();
        match tokio::time::timeout(REAP_LIMIT, driver.reap(&list)).await {
            Ok(Ok(gone)) if gone.is_empty() => {}
            Ok(Ok(gone)) => {
                let gone: Vec<String> = gone.iter().map(TaskId::to_string).collect();
                tracing::warn!(driver = name, tasks = gone.join(", "), "removed tasks that nobody wants any more");
            }
            Ok(Err(error)) => tracing::debug!(driver = name, %error, "cannot look for leftover tasks"),
            Err(_) => tracing::debug!(driver = name, "looking for leftover tasks takes too long"),
        }
    }
}
