//! A server with its listener in a temporary directory, a node without an agent, and a small HTTP client.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use model::allocation::{AllocUpdate, ClientStatus, DesiredStatus, Health};
use model::id::{AllocId, NodeId};
use model::node::{DriverInfo, Node, NodeCpu, NodeDisk, NodeMemory, NodeNetwork, NodeResources};
use model::rpc::{PushAllocs, RegisterNode};
use model::task_state::{TaskEvent, TaskRunState, TaskState, event};
use model::time::Timestamp;
use serde_json::Value;
use state::Table;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::http::{HttpHandle, HttpSettings, serve};
use crate::local_client::{LocalClient, LocalClientError, LogChunk, LogRequest};
use crate::{Server, ServerConfig, Topic};

pub const NODE: NodeId = NodeId(0x64b7_c15e_78da_4d8a_828e_2b89_f505_0782);

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub struct Agent {
    pub server: Arc<Server>,
    pub http: HttpHandle,
    _directory: tempfile::TempDir,
}

impl Agent {
    pub async fn start() -> Agent {
        Agent::start_with(HttpSettings::default()).await
    }

    pub async fn start_with(settings: HttpSettings) -> Agent {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(ServerConfig::new(directory.path())).await.unwrap();
        let http = serve(server.clone(), TcpListener::bind("127.0.0.1:0").unwrap(), settings).unwrap();
        Agent { server, http, _directory: directory }
    }

    pub fn address(&self) -> SocketAddr {
        self.http.local_addr()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn put(&self, path: &str, body: &str) -> Answer {
        self.send("PUT", path, &[], body).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("Host", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        drop(sender);
        let _ = connection.await;
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Registers a ready node of two cores, with a fake agent for logs and restarts.
    pub async fn add_node(&self) {
        self.server.register_node(RegisterNode { node: node() }).await.unwrap();
        self.server.set_local_client(Arc::new(FakeClient));
    }

    /// Plays the node's agent until nothing waits for planner or node: what is to run runs and is healthy, what is to
    /// stop has ended.
    pub async fn settle(&self) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            let state = self.server.state();
            let updates: Vec<AllocUpdate> = state.allocs_of_node(NODE).filter_map(|alloc| observe(&alloc)).collect();
            let planned = !state.evals().any(|eval| eval.status == model::evaluation::EvalStatus::Pending);
            if planned && updates.is_empty() {
                return;
            }
            if !updates.is_empty() {
                let push = PushAllocs { node_id: NODE, secret_id: "secret".to_owned(), updates };
                self.server.push_allocs(push).await.unwrap();
            }
            assert!(tokio::time::Instant::now() < deadline, "not settled: {:?}", state.evals().collect::<Vec<_>>());
            let evals = Topic::Table(Table::Evals);
            self.server.wait_for(evals, state.table_index(Table::Evals), Duration::from_millis(200)).await;
        }
    }
}

/// What an agent would report of an allocation now; none when it has nothing to say.
fn observe(alloc: &model::allocation::Allocation) -> Option<AllocUpdate> {
    let (client_status, state, text) = match (alloc.desired_status, alloc.client_status) {
        (DesiredStatus::Run, ClientStatus::Pending) => {
            (ClientStatus::Running, TaskRunState::Running, "Tasks are running")
        }
        (DesiredStatus::Stop | DesiredStatus::Evict, status) if !status.is_terminal() => {
            (ClientStatus::Complete, TaskRunState::Dead, "All tasks have completed")
        }
        _ => return None,
    };
    let now = Timestamp(1_795_472_670_749_578_878);
    let task = TaskState {
        state,
        started_at: Some(now),
        finished_at: (state == TaskRunState::Dead).then_some(now),
        events: vec![
            TaskEvent::new(event::RECEIVED, now, "Task received by client"),
            TaskEvent::new(event::TERMINATED, now, "Exit Code: 7").detail("exit_code", 7).detail("signal", 0),
        ],
        ..TaskState::default()
    };
    Some(AllocUpdate {
        id: alloc.id,
        client_status,
        client_description: text.to_owned(),
        task_states: alloc.grant.tasks.keys().map(|name| (name.clone(), task.clone())).collect(),
        health: Some(Health { healthy: true, at: now }),
        ..AllocUpdate::default()
    })
}

fn node() -> Node {
    let driver = |name: &str| {
        let info = DriverInfo {
            attributes: BTreeMap::from([(format!("driver.{name}"), "true".to_owned())]),
            detected: true,
            healthy: true,
            health_description: "Healthy".to_owned(),
            update_time: "2026-11-23T22:16:43.63857011Z".to_owned(),
        };
        (name.to_owned(), info)
    };
    let attributes = [
        ("kernel.name", "linux"),
        ("os.name", "debian"),
        ("nomad.version", "2.0.6"),
        ("driver.raw_exec", "1"),
        ("driver.mock_driver", "1"),
        ("unique.network.ip-address", "127.0.0.1"),
        ("nomad.service_discovery", "true"),
    ];
    Node {
        id: NODE,
        secret_id: "secret".to_owned(),
        datacenter: "dc1".to_owned(),
        name: "node-a".to_owned(),
        node_class: "compute".to_owned(),
        node_pool: "default".to_owned(),
        attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        node_resources: NodeResources {
            cpu: NodeCpu { cpu_shares: 5192, total_cpu_cores: 2, reservable_cpu_cores: Some(vec![0, 1]) },
            memory: NodeMemory { memory_mb: 24_105 },
            disk: NodeDisk { disk_mb: 258_019 },
            networks: vec![
                NodeNetwork { mode: "bridge".to_owned(), ..NodeNetwork::default() },
                NodeNetwork {
                    mode: "host".to_owned(),
                    ip: "127.0.0.1".to_owned(),
                    mbits: 1000,
                    ..NodeNetwork::default()
                },
            ],
            devices: Vec::new(),
            min_dynamic_port: 20_000,
            max_dynamic_port: 21_000,
        },
        drivers: ["raw_exec", "mock_driver", "docker"].map(driver).into(),
        ..Node::default()
    }
}

/// An agent that has one line of log and restarts everything.
struct FakeClient;

#[async_trait]
impl LocalClient for FakeClient {
    async fn logs(&self, request: LogRequest) -> Result<mpsc::Receiver<LogChunk>, LocalClientError> {
        let (send, chunks) = mpsc::channel(1);
        let file = format!("alloc/logs/{}.stdout.0", request.task);
        let _ = send.send(LogChunk { file, offset: 6, data: Bytes::from_static(b"hello\n") }).await;
        Ok(chunks)
    }

    async fn restart(&self, _alloc: AllocId, _task: Option<&str>) -> Result<(), LocalClientError> {
        Ok(())
    }
}
