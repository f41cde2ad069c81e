//! The driver: from the contract's calls to the Engine's.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, StatsOptionsBuilder, WaitContainerOptionsBuilder,
};
use driver::{
    Capabilities, Driver, DriverError, ExitResult, Fingerprint, FsIsolation, Progress, TaskConfig, TaskHandle, TaskId,
    TaskStats,
};
use futures_util::StreamExt;
use model::allocation::DriverAddress;
use model::time::GoDuration;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::config::ContainerConfig;
use crate::container::{LABEL_NODE, body, name_of, published, task_of};
use crate::engine::{Engine, is_conflict, is_missing};
use crate::image::Images;
use crate::logs::Collector;
use crate::settings::DockerSettings;
use crate::{stats, time};

const NAME: &str = "docker";
/// What a container gets when neither job nor image names a signal.
const DEFAULT_KILL_SIGNAL: &str = "SIGTERM";
/// Pause before an Engine that does not answer is asked again for the end of a container.
const ENGINE_RETRY: Duration = Duration::from_millis(500);
/// Time that the Engine has to end a container it has been told to kill.
const KILL_PATIENCE: Duration = Duration::from_secs(30);
/// Time that a look at the machine may take.
const FINGERPRINT_PATIENCE: Duration = Duration::from_secs(4);

/// Runs tasks as containers.
#[derive(Debug)]
pub struct DockerDriver {
    settings: DockerSettings,
    engine: Engine,
    images: Images,
    collectors: Mutex<HashMap<TaskId, Collector>>,
}

/// What a handle remembers.
#[derive(Debug, Serialize, Deserialize)]
struct HandleState {
    version: u32,
    container: String,
    /// The job's or the image's signal.
    stop_signal: Option<String>,
}

impl DockerDriver {
    /// A driver over the Engine that `settings` names. Nothing is asked of the Engine yet.
    pub fn new(settings: DockerSettings) -> DockerDriver {
        let engine = Engine::new(&settings.endpoint);
        DockerDriver { settings, engine, images: Images::default(), collectors: Mutex::default() }
    }

    async fn inspect(&self, id: &TaskId) -> Result<ContainerInspectResponse, DriverError> {
        let docker = self.engine.docker().await?;
        let found = docker.inspect_container(&name_of(id), None).await;
        let found = found.map_err(|error| self.engine.error("looking at the container", id, error))?;
        if task_of(&labels_of(&found), &self.settings.node_id).as_ref() != Some(id) {
            return Err(DriverError::NotFound(id.clone()));
        }
        Ok(found)
    }

    /// Creates the container, pulling its image when it is not here. One that an earlier start made is taken over: then
    /// it is returned as it is.
    async fn create(
        &self,
        task: &TaskConfig,
        config: &ContainerConfig,
        body: ContainerCreateBody,
        progress: &Progress,
    ) -> Result<Option<ContainerInspectResponse>, DriverError> {
        let docker = self.engine.docker().await?;
        let name = name_of(&task.id);
        if config.force_pull {
            self.images.ensure(&self.engine, config, &task.id, progress).await?;
        }
        let create = || {
            let options = CreateContainerOptionsBuilder::new().name(&name).build();
            docker.create_container(Some(options), body.clone())
        };
        let mut created = create().await;
        if created.as_ref().is_err_and(is_missing) && !config.force_pull {
            self.images.ensure(&self.engine, config, &task.id, progress).await?;
            created = create().await;
        }
        match created {
            Ok(made) => {
                for warning in made.warnings {
                    tracing::debug!(name, warning, "the Engine warns about a container");
                }
                Ok(None)
            }
            Err(error) if is_conflict(&error) => match self.inspect(&task.id).await {
                Err(DriverError::NotFound(_)) => Err(DriverError::Permanent(format!(
                    "there is a container named {name} already, and this agent did not make it; remove it with docker rm \
                     {name}"
                ))),
                other => other.map(Some),
            },
            Err(error) => {
                let what = format!("creating a container of image {}", config.image);
                Err(self.engine.error(&what, &task.id, error))
            }
        }
    }

    async fn run(
        &self,
        task: &TaskConfig,
        config: &ContainerConfig,
        before: Option<ContainerInspectResponse>,
    ) -> Result<TaskHandle, DriverError> {
        // One that has ended must not run again.
        if let Some(before) = before.filter(|found| status_of(found) != Some(ContainerStateStatusEnum::CREATED)) {
            return self.handle(task, config, before);
        }
        let docker = self.engine.docker().await?;
        if let Err(error) = docker.start_container(&name_of(&task.id), None).await {
            let what = format!("starting a container of image {}", config.image);
            return Err(self.engine.error(&what, &task.id, error));
        }
        self.handle(task, config, self.inspect(&task.id).await?)
    }

    fn handle(
        &self,
        task: &TaskConfig,
        config: &ContainerConfig,
        found: ContainerInspectResponse,
    ) -> Result<TaskHandle, DriverError> {
        let container = found.id.clone().unwrap_or_default();
        let stop_signal = found.config.as_ref().and_then(|config| config.stop_signal.clone());
        let state = HandleState { version: 1, container: container.clone(), stop_signal };
        let started = found.state.as_ref().and_then(|state| state.started_at.as_deref()).and_then(time::parse);
        self.collect(task, &container);
        Ok(TaskHandle {
            id: task.id.clone(),
            driver: NAME.to_owned(),
            state: serde_json::to_value(state).map_err(|error| DriverError::Permanent(error.to_string()))?,
            started_at: started.unwrap_or_default(),
            address: address_of(task, config, &found)?,
        })
    }

    /// Copies the container's output, if that is wanted and not done yet.
    fn collect(&self, task: &TaskConfig, container: &str) {
        if task.logs.disabled {
            return;
        }
        let mut collectors = self.collectors.lock();
        collectors.entry(task.id.clone()).or_insert_with(|| Collector::start(self.engine.clone(), task, container));
    }

    async fn remove(&self, id: &TaskId, name: &str) -> Result<(), DriverError> {
        let docker = self.engine.docker().await?;
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match docker.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            // Somebody else removes it.
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(self.engine.error("removing the container", id, error)),
        }
    }

    /// Waits until the container does not run, or does not exist.
    async fn ended(&self, docker: &Docker, id: &TaskId) -> Result<(), DriverError> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut end = docker.wait_container(&name_of(id), Some(options)).boxed();
        match end.next().await {
            // A bad exit code arrives as an error; the code itself is looked up.
            None | Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) if is_missing(&error) => Ok(()),
            Some(Err(error)) => Err(self.engine.error("waiting for the container", id, error)),
        }
    }

    /// Sends `signal`; whether there was something to send it to.
    async fn kill(&self, docker: &Docker, id: &TaskId, signal: &str) -> Result<bool, DriverError> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match docker.kill_container(&name_of(id), Some(options)).await {
            Ok(()) => Ok(true),
            Err(error) if is_missing(&error) || is_conflict(&error) => Ok(false),
            Err(error) => Err(self.engine.error(&format!("sending {signal}"), id, error)),
        }
    }
}

#[async_trait]
impl Driver for DockerDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            fs_isolation: FsIsolation::Image,
            send_signals: true,
            mounts: crate::SCHEMA.mounts,
            default_kill_signal: DEFAULT_KILL_SIGNAL,
        }
    }

    async fn fingerprint(&self) -> Fingerprint {
        let looked = tokio::time::timeout(FINGERPRINT_PATIENCE, self.look()).await;
        let looked = looked.unwrap_or_else(|_| Err(self.engine.down(&Error::RequestTimeoutError)));
        match looked {
            Ok(attributes) => {
                Fingerprint { detected: true, healthy: true, description: "Healthy".to_owned(), attributes }
            }
            Err(error) => Fingerprint {
                detected: self
                    .settings
                    .endpoint
                    .strip_prefix("unix://")
                    .is_none_or(|path| std::path::Path::new(path).exists()),
                healthy: false,
                description: error.to_string(),
                attributes: BTreeMap::new(),
            },
        }
    }

    async fn start(&self, task: &TaskConfig, progress: Progress) -> Result<TaskHandle, DriverError> {
        let config = ContainerConfig::read(&task.config)?;
        let body = body(task, &config, &self.settings)?;
        let before = self.create(task, &config, body, &progress).await?;
        match self.run(task, &config, before).await {
            Ok(handle) => Ok(handle),
            Err(error) => {
                // Of a container that could not be started nothing is left; one that is left after all is reaped.
                if let Err(left) = self.remove(&task.id, &name_of(&task.id)).await {
                    tracing::warn!(task = %task.id, error = %left, "a container that could not be started is left");
                }
                Err(error)
            }
        }
    }

    async fn recover(&self, handle: &TaskHandle, task: &TaskConfig) -> Result<(), DriverError> {
        let found = self.inspect(&handle.id).await?;
        self.collect(task, found.id.as_deref().unwrap_or_default());
        Ok(())
    }

    async fn wait(&self, handle: &TaskHandle) -> Result<ExitResult, DriverError> {
        loop {
            let found = match self.inspect(&handle.id).await {
                Ok(found) => found,
                Err(DriverError::Recoverable(_)) => {
                    // The Engine is away: whether the task has ended cannot be known before it is back.
                    tokio::time::sleep(ENGINE_RETRY).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(exit) = exit_of(&found) {
                let drained = self.collectors.lock().get(&handle.id).map(Collector::drain);
                if let Some(drained) = drained {
                    drained.await;
                }
                return Ok(exit);
            }
            let waited = match self.engine.docker().await {
                Ok(docker) => self.ended(&docker, &handle.id).await,
                Err(error) => Err(error),
            };
            if waited.is_err() {
                tokio::time::sleep(ENGINE_RETRY).await;
            }
        }
    }

    async fn stop(&self, handle: &TaskHandle, signal: &str, timeout: GoDuration) -> Result<(), DriverError> {
        let docker = self.engine.docker().await?;
        let timeout = timeout.to_std();
        let own = serde_json::from_value::<HandleState>(handle.state.clone()).ok().and_then(|state| state.stop_signal);
        let is_default = signal.is_empty() || signal == DEFAULT_KILL_SIGNAL;
        let signal =
            own.as_deref().filter(|_| is_default).unwrap_or(if is_default { DEFAULT_KILL_SIGNAL } else { signal });
        if !timeout.is_zero() {
            match self.kill(&docker, &handle.id, signal).await {
                Ok(true) => {
                    if let Ok(ended) = tokio::time::timeout(timeout, self.ended(&docker, &handle.id)).await {
                        return ended;
                    }
                }
                Ok(false) => return Ok(()),
                // A signal that does not exist must not keep it alive.
                Err(error) => tracing::warn!(task = %handle.id, %error, "killing the container instead"),
            }
        }
        if !self.kill(&docker, &handle.id, "SIGKILL").await? {
            return Ok(());
        }
        match tokio::time::timeout(KILL_PATIENCE, self.ended(&docker, &handle.id)).await {
            Ok(ended) => ended,
            Err(_) => Err(DriverError::Recoverable(format!(
                "container {} has not ended {} s after it was killed; look at the Docker Engine's log",
                name_of(&handle.id),
                KILL_PATIENCE.as_secs()
            ))),
        }
    }

    async fn signal(&self, handle: &TaskHandle, signal: &str) -> Result<(), DriverError> {
        let docker = self.engine.docker().await?;
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        let sent = docker.kill_container(&name_of(&handle.id), Some(options)).await;
        sent.map_err(|error| self.engine.error(&format!("sending {signal}"), &handle.id, error))
    }

    async fn destroy(&self, handle: &TaskHandle) -> Result<(), DriverError> {
        self.remove(&handle.id, &name_of(&handle.id)).await?;
        self.collectors.lock().remove(&handle.id);
        Ok(())
    }

    async fn stats(&self, handle: &TaskHandle) -> Result<TaskStats, DriverError> {
        let found = self.inspect(&handle.id).await?;
        let pid = found.state.as_ref().and_then(|state| state.pid).filter(|pid| *pid > 0);
        if let Some(stats) = pid.and_then(|pid| stats::read(pid, found.id.as_deref()?)) {
            return Ok(stats);
        }
        let docker = self.engine.docker().await?;
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut told = docker.stats(&name_of(&handle.id), Some(options)).boxed();
        match told.next().await {
            Some(Ok(told)) => Ok(TaskStats {
                cpu: GoDuration(
                    told.cpu_stats
                        .and_then(|cpu| cpu.cpu_usage?.total_usage)
                        .and_then(|nanos| i64::try_from(nanos).ok())
                        .unwrap_or(0),
                ),
                memory_bytes: told.memory_stats.and_then(|memory| memory.usage).unwrap_or(0),
            }),
            Some(Err(error)) => Err(self.engine.error("reading the container's use", &handle.id, error)),
            None => Err(DriverError::NotFound(handle.id.clone())),
        }
    }

    async fn reap(&self, wanted: &[TaskId]) -> Result<Vec<TaskId>, DriverError> {
        let docker = self.engine.docker().await?;
        let ours = HashMap::from([("label", vec![format!("{LABEL_NODE}={}", self.settings.node_id)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&ours).build();
        let found = docker.list_containers(Some(options)).await.map_err(|error| self.engine.down(&error))?;
        let mut reaped = Vec::new();
        for container in found {
            let Some(id) = container.labels.as_ref().and_then(|labels| task_of(labels, &self.settings.node_id)) else {
                continue;
            };
            let Some(name) = container.id.filter(|_| !wanted.contains(&id)) else { continue };
            self.remove(&id, &name).await?;
            self.collectors.lock().remove(&id);
            reaped.push(id);
        }
        Ok(reaped)
    }
}

impl DockerDriver {
    /// The node's attributes.
    async fn look(&self) -> Result<BTreeMap<String, String>, DriverError> {
        let docker = self.engine.docker().await?;
        let version = docker.version().await.map_err(|error| self.engine.down(&error))?;
        let mut attributes = BTreeMap::from([
            ("driver.docker".to_owned(), "1".to_owned()),
            ("driver.docker.version".to_owned(), version.version.unwrap_or_default()),
            ("driver.docker.os_type".to_owned(), version.os.unwrap_or_default()),
        ]);
        for (name, enabled) in
            [("volumes", self.settings.volumes_enabled), ("privileged", self.settings.allow_privileged)]
        {
            if enabled {
                attributes.insert(format!("driver.docker.{name}.enabled"), "1".to_owned());
            }
        }
        // An Engine without its default bridge is fine, too.
        if let Ok(bridge) = docker.inspect_network("bridge", None).await {
            let config = bridge.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
            let address = config.into_iter().find_map(|config| {
                config.gateway.filter(|gateway| !gateway.is_empty()).or_else(|| first_host(&config.subnet?))
            });
            attributes.extend(address.map(|address| ("driver.docker.bridge_ip".to_owned(), address)));
        }
        Ok(attributes)
    }
}

/// The first address of a network, which the Engine gives to its bridge unless told otherwise.
fn first_host(subnet: &str) -> Option<String> {
    let (address, bits) = subnet.split_once('/')?;
    let (address, bits): (Ipv4Addr, u32) = (address.parse().ok()?, bits.parse().ok().filter(|bits| *bits <= 30)?);
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    Some(Ipv4Addr::from((u32::from(address) & mask) + 1).to_string())
}

fn labels_of(found: &ContainerInspectResponse) -> HashMap<String, String> {
    found.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default()
}

fn status_of(found: &ContainerInspectResponse) -> Option<ContainerStateStatusEnum> {
    found.state.as_ref().and_then(|state| state.status)
}

/// How it ended; `None` while it runs.
fn exit_of(found: &ContainerInspectResponse) -> Option<ExitResult> {
    let state = found.state.as_ref()?;
    match state.status {
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD) => {}
        Some(ContainerStateStatusEnum::CREATED) => {
            let unknown = Some("its container was created but never started".to_owned());
            return Some(ExitResult { unknown, ..ExitResult::default() });
        }
        _ => return None,
    }
    Some(ExitResult {
        exit_code: state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1),
        // The Engine tells only the code, in which 128 and more may be a signal or the program's own.
        signal: 0,
        oom_killed: state.oom_killed.unwrap_or(false),
        unknown: None,
    })
}

/// Where the container is reached inside its network, by the labels of the ports it publishes or may listen on.
fn address_of(
    task: &TaskConfig,
    config: &ContainerConfig,
    found: &ContainerInspectResponse,
) -> Result<Option<DriverAddress>, DriverError> {
    let networks = found.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let addresses = networks.into_iter().flatten().filter_map(|(name, endpoint)| {
        let own = |ip: &Option<String>| ip.clone().filter(|ip| !ip.is_empty());
        Some((name, own(&endpoint.ip_address).or_else(|| own(&endpoint.global_ipv6_address))?))
    });
    // The map's order is random; with several networks the first by name is as good as any, but always the same.
    let Some((_, ip)) = addresses.min() else { return Ok(None) };
    let published = published(task, config)?;
    let own = task.ports.iter().filter(|port| port.task.is_empty() || port.task == task.id.task);
    let inside = own.chain(published).map(|port| (port.label.clone(), if port.to == 0 { port.value } else { port.to }));
    Ok(Some(DriverAddress { ip, ports: inside.collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridges_own_address_is_the_first() {
        assert_eq!(first_host("172.17.0.0/16").as_deref(), Some("172.17.0.1"));
        assert_eq!(first_host("10.1.2.200/24").as_deref(), Some("10.1.2.1"));
        assert_eq!(first_host("fd00::/64"), None);
        assert_eq!(first_host("10.0.0.0/32"), None);
    }
}
