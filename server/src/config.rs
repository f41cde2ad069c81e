//! What a server is told at start.

use std::path::PathBuf;

use model::job::{Job, Remarks};
use model::time::GoDuration;

/// Settings of one server; [`ServerConfig::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// This server's name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its datacenter.
    pub datacenter: String,
    /// Where log, vote and snapshots are kept; created when missing.
    pub data_dir: PathBuf,
    /// How long a node may be silent before it counts as lost; never less than a second.
    pub heartbeat_ttl: GoDuration,
    /// Grace on top of `heartbeat_ttl`, for a client that is only slow.
    pub heartbeat_grace: GoDuration,
    /// Where other servers and clients reach this one, `host:port`.
    pub advertise_rpc: String,
    /// Where users reach this one, `host:port`.
    pub advertise_http: String,
    /// A snapshot replaces the log whenever this many entries were applied since the last one.
    pub snapshot_every: u64,
    /// Ended evaluations, allocations and jobs are removed after this time.
    pub gc_threshold: GoDuration,
    /// How often garbage is looked for.
    pub gc_interval: GoDuration,
    /// What drivers say about the settings of a job's tasks; the server itself knows no driver.
    pub driver_rules: fn(&Job) -> Remarks,
}

impl ServerConfig {
    /// Defaults, with everything that is kept below `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> ServerConfig {
        ServerConfig {
            name: "server-1".to_owned(),
            region: "global".to_owned(),
            datacenter: "dc1".to_owned(),
            data_dir: data_dir.into(),
            heartbeat_ttl: GoDuration::from_secs(10),
            heartbeat_grace: GoDuration::from_secs(2),
            advertise_rpc: "127.0.0.1:4647".to_owned(),
            advertise_http: "127.0.0.1:4646".to_owned(),
            snapshot_every: 8192,
            gc_threshold: GoDuration::from_secs(4 * 3600),
            gc_interval: GoDuration::from_secs(5 * 60),
            driver_rules: |_| Remarks::default(),
        }
    }
}
