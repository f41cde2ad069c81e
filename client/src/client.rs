//! The client as the agent sees it.

use std::sync::Arc;

use driver::{Driver, TaskStats};
use model::id::AllocId;
use model::node::Node;
use tokio::sync::mpsc;

use crate::{ClientConfig, ClientError, LogChunk, LogRequest, Servers};

/// A running client.
pub struct Client;

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
        let _ = (config, servers, drivers);
        Ok(Arc::new(Client))
    }

    /// Stops. With `stop_tasks` every task is stopped and every directory removed; otherwise tasks run on.
    pub async fn shutdown(&self, stop_tasks: bool) {
        let _ = stop_tasks;
    }

    /// The node as it was last announced.
    pub fn node(&self) -> Node {
        Node::default()
    }

    /// A task's output. The channel closes at the end of the log, or with `follow` when the task has ended.
    ///
    /// # Errors
    /// Unknown allocation or task.
    pub async fn logs(
        &self,
        alloc: AllocId,
        task: &str,
        request: LogRequest,
    ) -> Result<mpsc::Receiver<LogChunk>, ClientError> {
        let _ = (task, request);
        Err(ClientError::UnknownAlloc(alloc))
    }

    /// Restarts one task, or all running ones; with `all_tasks` also those that have ended.
    ///
    /// # Errors
    /// Unknown allocation or task, or nothing runs that could be restarted.
    pub async fn restart(&self, alloc: AllocId, task: Option<&str>, all_tasks: bool) -> Result<(), ClientError> {
        let _ = (task, all_tasks);
        Err(ClientError::UnknownAlloc(alloc))
    }

    /// Sends a signal to one task, or to all running ones.
    ///
    /// # Errors
    /// Unknown allocation or task, a task that does not run, or the driver's refusal.
    pub async fn signal(&self, alloc: AllocId, task: Option<&str>, signal: &str) -> Result<(), ClientError> {
        let _ = (task, signal);
        Err(ClientError::UnknownAlloc(alloc))
    }

    /// Resource use of an allocation's running tasks, by task name.
    ///
    /// # Errors
    /// Unknown allocation.
    pub async fn stats(&self, alloc: AllocId) -> Result<Vec<(String, TaskStats)>, ClientError> {
        Err(ClientError::UnknownAlloc(alloc))
    }
}
