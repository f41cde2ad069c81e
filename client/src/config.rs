//! What the agent tells the client at start.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use model::time::GoDuration;
use parking_lot::RwLock;

/// Addresses of resolvers, shared by those who start them and those who give them to tasks.
#[derive(Clone, Debug, Default)]
pub struct Resolvers(Arc<RwLock<Vec<IpAddr>>>);

impl Resolvers {
    /// Those that answer now.
    pub fn get(&self) -> Vec<IpAddr> {
        self.0.read().clone()
    }

    /// Replaces them.
    pub fn set(&self, addresses: Vec<IpAddr>) {
        *self.0.write() = addresses;
    }
}

/// Settings of a client. `ClientConfig::new` has the defaults.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Its own directory: allocations live in `<data_dir>/alloc`, its memory in `<data_dir>/client`.
    pub data_dir: PathBuf,
    /// The node's name; empty for the host's.
    pub node_name: String,
    /// The region, for `NOMAD_REGION`.
    pub region: String,
    /// The node's datacenter.
    pub datacenter: String,
    /// A free label of like nodes.
    pub node_class: String,
    /// The pool the node belongs to.
    pub node_pool: String,
    /// `meta.*` for constraints and interpolation.
    pub meta: BTreeMap<String, String>,
    /// Free settings in Nomad's names; `env.denylist` is known.
    pub options: BTreeMap<String, String>,
    /// What jobs may not use.
    pub reserved: Reserved,
    /// `host:port` of the agent's HTTP API, announced to users.
    pub http_address: String,
    /// The address announced for host ports; `None` for the default route's interface, else the bridge's.
    pub advertise_address: Option<IpAddr>,
    /// Resolvers given to containers that start; none for the driver's default.
    pub dns_servers: Resolvers,
    /// The catalog's domain, such as `drover`, for the search domains of containers; empty for none.
    pub dns_domain: String,
    /// Directories that groups may mount, by name.
    pub host_volumes: BTreeMap<String, HostVolume>,
    /// Networks that ports can name, by name.
    pub host_networks: BTreeMap<String, HostNetwork>,
    /// Total CPU in MHz instead of what is found.
    pub cpu_total: Option<i64>,
    /// Total memory in MB instead of what is found.
    pub memory_total_mb: Option<i64>,
    /// Range of dynamic ports, both ends included.
    pub dynamic_ports: (u16, u16),
    /// The longest kill timeout that a job gets.
    pub max_kill_timeout: GoDuration,
    /// Whether this is a dev agent.
    pub dev: bool,
    /// The agent's version, announced as `nomad.version`.
    pub version: String,
}

/// A directory of the host that groups may mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostVolume {
    /// An absolute path.
    pub path: PathBuf,
    /// Whether nobody may write to it.
    pub read_only: bool,
}

/// Which addresses of the host belong to a network; what is empty does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNetwork {
    /// Those within this range, as `10.0.0.0/8`.
    pub cidr: String,
    /// Those of this interface.
    pub interface: String,
    /// Host ports kept back on it, as `22,80,8500-8600`.
    pub reserved_ports: String,
}

/// What a node keeps for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// CPU in MHz.
    pub cpu: i64,
    /// Memory in MB.
    pub memory_mb: i64,
    /// Disk in MB.
    pub disk_mb: i64,
    /// Host ports, as `22,80,8500-8600`.
    pub ports: String,
}

impl ClientConfig {
    /// Defaults with everything below `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> ClientConfig {
        ClientConfig {
            data_dir: data_dir.into(),
            node_name: String::new(),
            region: "global".to_owned(),
            datacenter: "dc1".to_owned(),
            node_class: String::new(),
            node_pool: "default".to_owned(),
            meta: BTreeMap::new(),
            options: BTreeMap::new(),
            reserved: Reserved::default(),
            http_address: "127.0.0.1:4646".to_owned(),
            advertise_address: None,
            dns_servers: Resolvers::default(),
            dns_domain: "drover".to_owned(),
            host_volumes: BTreeMap::new(),
            host_networks: BTreeMap::new(),
            cpu_total: None,
            memory_total_mb: None,
            dynamic_ports: (20_000, 32_000),
            max_kill_timeout: GoDuration::from_secs(30),
            dev: false,
            version: "2.0.6".to_owned(),
        }
    }
}
