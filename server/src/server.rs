//! The handle of a running server: propose, read, wait, shut down.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::id::{NodeId, Seed};
use model::job::Job;
use model::time::Timestamp;
use parking_lot::{Mutex, RwLock};
use state::{Command, Op, Reply, State};

use crate::catalog::CatalogView;
use crate::changes::{Changes, Topic};
use crate::config::ServerConfig;
use crate::dry_run::DryRun;
use crate::leader::Leader;
use crate::local_client::LocalClient;
use crate::metrics::Metrics;
use crate::observers::Observers;
use crate::raft::{Log, LogError, LogOptions};

/// A write that is durable and applied.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The state's index after it.
    pub index: u64,
    /// What applying it answered; [`Reply::Refused`] when the state said no.
    pub reply: Reply,
}

/// Why a write was not committed, or is not known to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    /// Another server leads; ask there.
    #[error("this server is not the leader{}", leader.as_ref().map(|at| format!("; the leader is at {at}")).unwrap_or_default())]
    NotLeader {
        /// Where the leader answers, when known.
        leader: Option<String>,
    },
    /// This server is ending.
    #[error("this server is shutting down; the write may or may not have happened")]
    ShuttingDown,
    /// The log could not be written.
    #[error("the log could not be written: {0}")]
    Log(String),
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("cannot use data directory {path}: {cause}; check that it exists and that this user may write there")]
    DataDir {
        /// The directory.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The log could not be opened or replayed.
    #[error("cannot start from the log in {path}: {cause}")]
    Log {
        /// The database file.
        path: String,
        /// What went wrong.
        cause: LogError,
    },
}

/// A running server. Dropping it without [`Server::shutdown`] is safe for the data: everything acknowledged is on disk.
pub struct Server {
    config: ServerConfig,
    log: Log,
    changes: Arc<Changes>,
    catalog: Arc<CatalogView>,
    metrics: Arc<Metrics>,
    leader: Arc<Leader>,
    leader_loops: Mutex<Option<tokio::task::JoinHandle<()>>>,
    local_client: RwLock<Option<Arc<dyn LocalClient>>>,
}

impl Server {
    /// Opens the data directory, replays the log and starts to serve. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the data directory or the log in it cannot be used.
    pub async fn start(config: ServerConfig) -> Result<Arc<Server>, StartError> {
        private_dir(&config.data_dir)
            .map_err(|cause| StartError::DataDir { path: config.data_dir.display().to_string(), cause })?;
        let path = config.data_dir.join("server.db");
        let changes = Arc::new(Changes::default());
        let catalog = Arc::new(CatalogView::default());
        let metrics = Arc::new(Metrics::default());
        let leader = Arc::new(Leader::new(&config));
        let observers = Arc::new(Observers {
            changes: changes.clone(),
            catalog: catalog.clone(),
            leader: leader.clone(),
            metrics: metrics.clone(),
        });
        let options = LogOptions {
            path: path.clone(),
            snapshot_every: config.snapshot_every,
            advertise_rpc: config.advertise_rpc.clone(),
        };
        let log = Log::open(options, observers, metrics.clone())
            .await
            .map_err(|cause| StartError::Log { path: path.display().to_string(), cause })?;
        let loops = leader.clone().run(log.clone(), metrics.clone(), config.clone());
        Ok(Arc::new(Server {
            config,
            log,
            changes,
            catalog,
            metrics,
            leader,
            leader_loops: Mutex::new(Some(tokio::spawn(loops))),
            local_client: RwLock::new(None),
        }))
    }

    /// Ends the leader loops, then the log. What was acknowledged stays; what was not may or may not.
    pub async fn shutdown(&self) {
        let loops = self.leader_loops.lock().take();
        if let Some(loops) = loops {
            loops.abort();
            // An aborted task answers with its cancellation; there is nothing to learn from it.
            let _ = loops.await;
        }
        self.log.shutdown().await;
    }

    /// The settings that this server was started with.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// The state as of the last applied batch. Costs a pointer copy.
    pub fn state(&self) -> Arc<State> {
        self.log.state()
    }

    /// Writes `op` to the log and waits until it is durable and applied. Time and seed are taken here.
    ///
    /// # Errors
    /// See [`ProposeError`]; a refusal by the state is no error but [`Reply::Refused`].
    pub async fn propose(&self, op: Op) -> Result<Committed, ProposeError> {
        self.metrics.commands_proposed.incr();
        self.log.propose(command(op)).await
    }

    /// Waits for changes of the state.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Waits until `topic` has changed after index `newer_than`, at most for `timeout`; answers with the state then.
    pub async fn wait_for(&self, topic: Topic, newer_than: u64, timeout: Duration) -> Arc<State> {
        self.changes.wait_for(|| self.state(), topic, newer_than, timeout).await
    }

    /// Waits until the node is registered, at most for `timeout`; whether it is.
    pub async fn wait_for_node(&self, id: NodeId, timeout: Duration) -> bool {
        let registered = async {
            let mut state = self.state();
            while state.node(id).is_none() {
                state = self.wait_for(Topic::Table(state::Table::Nodes), state.index(), timeout).await;
            }
        };
        tokio::time::timeout(timeout, registered).await.is_ok()
    }

    /// Whether this server leads (and so may write).
    pub fn is_leader(&self) -> bool {
        self.log.is_leader()
    }

    /// Where the leader answers RPC, `host:port`, when there is one.
    pub fn leader_addr(&self) -> Option<String> {
        self.log.leader_addr()
    }

    /// The addresses of all voters, for `/v1/status/peers`.
    pub fn peers(&self) -> Vec<String> {
        vec![self.config.advertise_rpc.clone()]
    }

    /// What registering `job` (canonical) would do, computed by the same scheduler without writing anything.
    pub fn plan_dry_run(&self, job: Box<Job>) -> DryRun {
        crate::dry_run::run(&self.state(), job, now(), new_seed())
    }

    /// Makes the latest decision on an evaluation again, from the log. Blocks; see [`crate::replay`].
    ///
    /// # Errors
    /// When the log does not reach back so far, or cannot be read.
    pub fn replay(&self, eval: model::id::EvalId) -> Result<crate::replay::Replay, crate::raft::HistoryError> {
        crate::replay::run(&self.log, eval)
    }

    /// Service instances, kept with every applied batch.
    pub fn catalog(&self) -> Arc<CatalogView> {
        self.catalog.clone()
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Makes the node agent of this process reachable for the HTTP API.
    pub fn set_local_client(&self, client: Arc<dyn LocalClient>) {
        *self.local_client.write() = Some(client);
    }

    /// The node agent of this process, if it has one.
    pub fn local_client(&self) -> Option<Arc<dyn LocalClient>> {
        self.local_client.read().clone()
    }

    pub(crate) fn leader(&self) -> &Leader {
        &self.leader
    }
}

impl Drop for Server {
    /// The loops hold the log; once they have ended, so does the log.
    fn drop(&mut self) {
        if let Some(loops) = self.leader_loops.lock().take() {
            loops.abort();
        }
    }
}

/// A command of this moment with a seed of its own.
pub(crate) fn command(op: Op) -> Command {
    Command { at: now(), seed: new_seed(), op }
}

/// Makes a directory, and keeps it to this user: jobs may hold secrets.
fn private_dir(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// Later ones are greater while the clock does not step back, so that those which the state remembers lie side by side.
pub(crate) fn new_seed() -> Seed {
    let time = now().0.unsigned_abs();
    Seed(u128::from(time) << 64 | u128::from(rand::random::<u64>()))
}

/// The wall clock; the only place where the server reads it.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}
