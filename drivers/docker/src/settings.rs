//! Settings of the driver itself, from the agent's configuration.

use std::collections::BTreeMap;

use driver::DriverError;
use driver::settings::Settings;
use serde_json::Value;

use crate::config::{Block, block, blocks};

/// What the agent's configuration says about the driver, and whose containers are whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerSettings {
    /// Where the Engine answers: `unix:///path` or `tcp://host:port`.
    pub endpoint: String,
    /// The id of this agent's node. Containers labelled with it are ours, all others are foreign.
    pub node_id: String,
    /// Whether tasks may run with all of root's powers.
    pub allow_privileged: bool,
    /// Whether tasks may mount host paths outside their allocation's directory.
    pub volumes_enabled: bool,
    /// Linux capabilities that tasks may ask for; `all` for every one.
    pub allow_caps: Vec<String>,
}

/// What a container may do unless told otherwise: the Engine's own default without raw sockets.
const DEFAULT_CAPS: [&str; 13] = [
    "audit_write",
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "mknod",
    "net_bind_service",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_chroot",
];

impl DockerSettings {
    /// The local Engine with nothing dangerous allowed. `DOCKER_HOST` is the caller's to look at.
    pub fn new(node_id: impl Into<String>) -> DockerSettings {
        DockerSettings {
            endpoint: "unix:///var/run/docker.sock".to_owned(),
            node_id: node_id.into(),
            allow_privileged: false,
            volumes_enabled: false,
            allow_caps: DEFAULT_CAPS.map(str::to_owned).to_vec(),
        }
    }

    /// The settings of a `plugin "docker" { config { ... } }` block.
    ///
    /// # Errors
    /// Names unknown settings and wrong types.
    pub fn from_config(
        node_id: impl Into<String>,
        config: &BTreeMap<String, Value>,
    ) -> Result<DockerSettings, DriverError> {
        let mut settings = DockerSettings::new(node_id);
        let read = Settings::new("docker", config, &["endpoint", "allow_privileged", "allow_caps", "volumes"])?;
        if let Some(endpoint) = read.text("endpoint")?.filter(|text| !text.is_empty()) {
            if !["unix://", "tcp://", "http://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
                let text =
                    format!("\"endpoint\" of driver \"docker\" must start with unix:// or tcp://, not {endpoint:?}");
                return Err(DriverError::Config(text));
            }
            settings.endpoint = endpoint;
        }
        settings.allow_privileged = read.boolean("allow_privileged")?;
        if config.contains_key("allow_caps") {
            settings.allow_caps = read.texts("allow_caps")?.iter().map(|cap| plain_cap(cap)).collect();
        }
        if let Some(volumes) = block(blocks(config, "volumes")?, "volumes")? {
            let Block { values, .. } = &volumes;
            settings.volumes_enabled = Settings::new("docker.volumes", values, &["enabled"])?.boolean("enabled")?;
        }
        Ok(settings)
    }

    /// Whether a task may ask for `cap`.
    pub(crate) fn allows_cap(&self, cap: &str) -> bool {
        self.allow_caps.iter().any(|allowed| *allowed == "all" || *allowed == plain_cap(cap))
    }
}

/// `CAP_NET_RAW` and `net_raw` are the same capability.
pub(crate) fn plain_cap(cap: &str) -> String {
    let cap = cap.to_ascii_lowercase();
    cap.strip_prefix("cap_").map(str::to_owned).unwrap_or(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_block_is_read() {
        let read = |value| DockerSettings::from_config("n", &serde_json::from_value(value).unwrap());
        let settings = read(serde_json::json!({"endpoint": "tcp://e:1", "volumes": [{"enabled": true}]})).unwrap();
        assert!(settings.endpoint == "tcp://e:1" && settings.volumes_enabled && !settings.allow_privileged);
        assert!(settings.allows_cap("CAP_CHOWN") && !settings.allows_cap("net_raw"));
        assert!(read(serde_json::json!({"endpoint": "/x"})).unwrap_err().to_string().contains("unix://"));
        assert!(read(serde_json::json!({"allow_priviledged": true})).unwrap_err().to_string().contains("privileged"));
    }
}
