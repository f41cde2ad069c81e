//! The agent's configuration: files in HCL or JSON, merged in order, then flags; every unknown key is named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use model::suggest;
use serde::Deserialize;
use serde_json::Value;

use crate::args::AgentArgs;

/// Everything a configuration file may say, in Nomad's names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AgentConfig {
    pub name: String,
    pub region: String,
    pub datacenter: String,
    pub data_dir: Option<PathBuf>,
    pub bind_addr: String,
    pub log_level: String,
    pub ports: Ports,
    pub advertise: Advertise,
    pub server: ServerSection,
    pub client: ClientSection,
    pub plugin: BTreeMap<String, Plugin>,
    pub acl: Acl,
    pub telemetry: Telemetry,
}

/// `ports`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ports {
    pub http: Option<u16>,
    pub rpc: Option<u16>,
    pub dns: Option<u16>,
}

/// `advertise`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Advertise {
    pub http: String,
    pub rpc: String,
    pub address: String,
}

/// `server`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServerSection {
    pub enabled: bool,
    pub bootstrap_expect: Option<u64>,
    pub heartbeat_grace: String,
    pub min_heartbeat_ttl: String,
}

/// `client`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClientSection {
    pub enabled: bool,
    pub servers: Vec<String>,
    pub node_class: String,
    pub node_pool: String,
    pub meta: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    pub reserved: ReservedSection,
    pub host_volume: BTreeMap<String, HostVolumeSection>,
    pub host_network: BTreeMap<String, HostNetworkSection>,
    pub cpu_total_compute: Option<i64>,
    pub memory_total_mb: Option<i64>,
    pub min_dynamic_port: Option<u16>,
    pub max_dynamic_port: Option<u16>,
}

/// `client.reserved`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReservedSection {
    pub cpu: i64,
    pub memory: i64,
    pub disk: i64,
    pub reserved_ports: String,
}

/// `client.host_volume "<name>"`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HostVolumeSection {
    pub path: PathBuf,
    pub read_only: bool,
}

/// `client.host_network "<name>"`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HostNetworkSection {
    pub cidr: String,
    pub interface: String,
    pub reserved_ports: String,
}

/// `plugin "<driver>"`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Plugin {
    pub config: BTreeMap<String, Value>,
}

/// `acl`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Acl {
    pub enabled: bool,
}

/// `telemetry`: metrics are always served; the keys are accepted so that files written for Nomad load.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Telemetry {
    pub prometheus_metrics: bool,
    pub publish_allocation_metrics: bool,
    pub publish_node_metrics: bool,
    pub collection_interval: String,
    pub disable_hostname: bool,
}

/// The keys that are known, as dotted paths; `*` stands for any one key, a trailing `**` for anything below.
const KNOWN: &[&str] = &[
    "name",
    "region",
    "datacenter",
    "data_dir",
    "bind_addr",
    "log_level",
    "ports.http",
    "ports.rpc",
    "ports.dns",
    "advertise.http",
    "advertise.rpc",
    "advertise.address",
    "server.enabled",
    "server.bootstrap_expect",
    "server.heartbeat_grace",
    "server.min_heartbeat_ttl",
    "client.enabled",
    "client.servers",
    "client.node_class",
    "client.node_pool",
    "client.meta.**",
    "client.options.**",
    "client.reserved.cpu",
    "client.reserved.memory",
    "client.reserved.disk",
    "client.reserved.reserved_ports",
    "client.host_volume.*.path",
    "client.host_volume.*.read_only",
    "client.host_network.*.cidr",
    "client.host_network.*.interface",
    "client.host_network.*.reserved_ports",
    "client.cpu_total_compute",
    "client.memory_total_mb",
    "client.min_dynamic_port",
    "client.max_dynamic_port",
    "plugin.docker.config.**",
    "plugin.raw_exec.config.enabled",
    "acl.enabled",
    "telemetry.prometheus_metrics",
    "telemetry.publish_allocation_metrics",
    "telemetry.publish_node_metrics",
    "telemetry.collection_interval",
    "telemetry.disable_hostname",
];

/// The keys of `client.options` that have an effect.
const KNOWN_OPTIONS: &[&str] = &["env.denylist"];

impl ClientSection {
    /// What of it has no effect, each with a sentence; `has_server` tells whether the agent has a server of its own.
    pub fn without_effect(&self, has_server: bool) -> Vec<String> {
        let unused = match (has_server, self.servers.as_slice()) {
            (true, [_, ..]) => Some("client.servers is not used: this agent has a server of its own".to_owned()),
            (false, [first, others @ ..]) if !others.is_empty() => Some(format!(
                "client.servers: only the first, {first:?}, is used, as there is one server; remove {}",
                others.iter().map(|server| format!("{server:?}")).collect::<Vec<_>>().join(", ")
            )),
            _ => None,
        };
        let unknown = self.options.keys().filter(|key| !KNOWN_OPTIONS.contains(&key.as_str()));
        let unknown = unknown.map(|key| {
            let hint = match suggest::nearest(key, KNOWN_OPTIONS.iter().copied()) {
                Some(known) => format!("did you mean {known:?}?"),
                None => format!("known are: {}; remove it", KNOWN_OPTIONS.join(", ")),
            };
            format!("client.options {key:?} has no effect; {hint}")
        });
        unused.into_iter().chain(unknown).collect()
    }
}

impl AgentConfig {
    /// Reads the files that flags name, in order, and lays the flags on top.
    ///
    /// # Errors
    /// A file that cannot be read, is not HCL or JSON, or has keys that are not known: all of them are named.
    pub fn load(args: &AgentArgs) -> Result<AgentConfig> {
        let mut merged = Value::Object(serde_json::Map::new());
        for path in &args.config {
            let value = read(path)?;
            let unknown = unknown_keys(&value, &[]);
            if !unknown.is_empty() {
                bail!("{}: {}", path.display(), complaint(&unknown));
            }
            jobspec::literal::merge(&mut merged, value);
        }
        let mut config: AgentConfig =
            serde_json::from_value(merged).map_err(|error| anyhow!("configuration: {error}"))?;
        config.overlay(args);
        if let Some(servers) = config.server.bootstrap_expect.filter(|servers| *servers > 1) {
            bail!("server.bootstrap_expect = {servers} is not supported yet; set it to 1 for a single server");
        }
        if config.acl.enabled {
            bail!("acl.enabled = true is not supported yet; remove it to run without access control");
        }
        if config.client.enabled || args.dev {
            config.client.host_volume.iter().try_for_each(check_volume)?;
        }
        Ok(config)
    }

    fn overlay(&mut self, args: &AgentArgs) {
        let set = |field: &mut String, flag: &Option<String>| {
            if let Some(value) = flag {
                field.clone_from(value);
            }
        };
        set(&mut self.name, &args.node_name);
        set(&mut self.bind_addr, &args.bind);
        set(&mut self.log_level, &args.log_level);
        self.data_dir = args.data_dir.clone().or_else(|| self.data_dir.take());
        self.ports.http = args.http_port.or(self.ports.http);
        self.ports.dns = args.dns_port.or(self.ports.dns);
        let default = |field: &mut String, value: &str| {
            if field.is_empty() {
                value.clone_into(field);
            }
        };
        default(&mut self.region, "global");
        default(&mut self.datacenter, "dc1");
        default(&mut self.bind_addr, "127.0.0.1");
        default(&mut self.log_level, "info");
    }
}

fn check_volume((name, section): (&String, &HostVolumeSection)) -> Result<()> {
    let shown = section.path.display();
    if !section.path.is_absolute() {
        bail!("client.host_volume {name:?} needs an absolute path, not {:?}", shown.to_string());
    }
    if !section.path.is_dir() {
        bail!("client.host_volume {name:?}: {shown} is no directory; make it: mkdir -p {shown}");
    }
    Ok(())
}

fn read(path: &Path) -> Result<Value> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text)
            .map_err(|error| anyhow!("{shown}:{}:{}: {error}", error.line(), error.column()));
    }
    jobspec::literal::to_json(&text)
        .map_err(|error| anyhow!("{shown}:{}:{}: {}", error.line, error.column, error.message))
}

/// Dotted paths of the keys in `value`, which is at `above`, that are not known.
fn unknown_keys(value: &Value, above: &[&str]) -> Vec<String> {
    let Value::Object(object) = value else { return Vec::new() };
    let mut unknown = Vec::new();
    for (key, value) in object {
        let path = [above, &[key]].concat();
        if KNOWN.iter().any(|known| is_named(known, &path)) {
            continue;
        }
        if value.is_object() && KNOWN.iter().any(|known| is_above(known, &path)) {
            unknown.extend(unknown_keys(value, &path));
        } else {
            unknown.push(path.join("."));
        }
    }
    unknown
}

/// Whether `known` stands for `path`. Names that users choose are one part of it, whatever they hold.
fn is_named(known: &str, path: &[&str]) -> bool {
    match known.strip_suffix(".**") {
        Some(stem) => stem.split('.').count() <= path.len() && agree(stem, path),
        None => known.split('.').count() == path.len() && agree(known, path),
    }
}

/// Whether `known` stands for something below `path`.
fn is_above(known: &str, path: &[&str]) -> bool {
    known.split('.').count() > path.len() && agree(known, path)
}

fn agree(known: &str, path: &[&str]) -> bool {
    known.split('.').zip(path).all(|(known, part)| known == "*" || known == *part)
}

fn complaint(unknown: &[String]) -> String {
    let each = unknown.iter().map(|path| match nearest(path) {
        Some(known) => format!("unknown key {path:?}; did you mean {known:?}?"),
        None => format!("unknown key {path:?}"),
    });
    each.collect::<Vec<_>>().join("\n  ")
}

/// The known key most like `path`, if any is like it.
fn nearest(path: &str) -> Option<&'static str> {
    let distance = |known: &&&str| strsim::levenshtein(path, known);
    KNOWN
        .iter()
        .filter(|known| !known.contains('*'))
        .min_by_key(distance)
        .filter(|known| strsim::levenshtein(path, known) <= 3)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(source: &str) -> Vec<String> {
        unknown_keys(&jobspec::literal::to_json(source).unwrap(), &[])
    }

    #[test]
    fn every_unknown_key_is_named() {
        let source = "nam = \"x\"\nclient {\n  enabled = true\n  meta {\n    any = \"thing\"\n  }\n  nodeclass = \"a\"\n}\nplugin \"docker\" {\n  config {\n    volumes {\n      enabled = true\n    }\n  }\n}\nplugin \"java\" {\n}\n";
        assert_eq!(unknown(source), ["client.nodeclass", "nam", "plugin.java"]);
        let plugin = "plugin \"raw_exec\" {\n  config {\n    enbaled = true\n  }\n}\n";
        assert_eq!(unknown(plugin), ["plugin.raw_exec.config.enbaled"]);
        assert!(complaint(&unknown(plugin)).contains("did you mean \"plugin.raw_exec.config.enabled\""));
        let volumes = "client {\n  host_volume \"a\" {\n    path = \"/a\"\n  }\n  host_volume \"b\" {\n    paht = \"/b\"\n  }\n}\n";
        assert_eq!(unknown(volumes), ["client.host_volume.b.paht"]);
        assert_eq!(unknown("client {\n  host_volume \"data.v1\" {\n    path = \"/a\"\n  }\n}\n"), Vec::<String>::new());
        assert!(complaint(&["client.nodeclass".to_owned()]).contains("did you mean \"client.node_class\""));
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let section = |servers: &[&str], options: &[&str]| ClientSection {
            servers: servers.iter().map(|server| (*server).to_owned()).collect(),
            options: options.iter().map(|key| ((*key).to_owned(), String::new())).collect(),
            ..ClientSection::default()
        };
        let said = |section: ClientSection, has_server: bool| section.without_effect(has_server).join("\n");
        assert_eq!(said(section(&["a"], &["env.denylist"]), false), "");
        assert!(said(section(&["a", "b"], &[]), false).ends_with("remove \"b\""));
        assert!(said(section(&["a"], &[]), true).contains("server of its own"));
        assert!(said(section(&[], &["env.denylst"]), true).contains("did you mean \"env.denylist\"?"));
        assert!(said(section(&[], &["driver.allowlist"]), true).contains("\"driver.allowlist\" has no effect"));
    }
}
