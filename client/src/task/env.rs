//! The environment of a task, exactly as Nomad sets it: jobs depend on it.

use std::collections::BTreeMap;

use driver::{FsIsolation, TaskDirs};
use model::allocation::{AllocatedPort, Allocation};
use model::compiled::{CompiledJob, CompiledTask};
use model::node::Node;

use super::interpolate;

/// Variables of the agent that tasks never inherit, unless the option `env.denylist` names others.
const DENIED: &[&str] = &[
    "CONSUL_TOKEN",
    "CONSUL_HTTP_TOKEN",
    "CONSUL_HTTP_TOKEN_FILE",
    "NOMAD_TOKEN",
    "DROVER_TOKEN",
    "VAULT_TOKEN",
    "CONSUL_LICENSE",
    "CONSUL_LICENSE_PATH",
    "NOMAD_LICENSE",
    "NOMAD_LICENSE_PATH",
    "VAULT_LICENSE",
    "VAULT_LICENSE_PATH",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_METADATA_URL",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
];

/// What an environment is made from.
#[derive(Clone, Copy)]
pub struct EnvSource<'a> {
    /// The node, as announced.
    pub node: &'a Node,
    /// The region of the agent.
    pub region: &'a str,
    /// The job.
    pub job: &'a CompiledJob,
    /// The allocation.
    pub alloc: &'a Allocation,
    /// The task with its directories and what it sees of them; none for texts of the group.
    pub task: Option<(&'a CompiledTask, &'a TaskDirs, FsIsolation)>,
    /// The agent's own environment, filtered.
    pub host: &'a BTreeMap<String, String>,
}

/// A task's environment, and what its texts may refer to.
#[derive(Clone, Debug, Default)]
pub struct TaskEnv {
    vars: BTreeMap<String, String>,
    node: BTreeMap<String, String>,
}

impl TaskEnv {
    /// Builds it.
    pub fn build(source: &EnvSource<'_>) -> TaskEnv {
        let mut env = TaskEnv { vars: base(source), node: node_names(source.node, source.region) };
        let Some((task, _, isolation)) = source.task else {
            env.add_meta(&group_meta(source));
            return env;
        };
        env.add_meta(&task.meta);
        if isolation == FsIsolation::None {
            for (key, value) in source.host {
                env.vars.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        env.add_written(&task.env);
        env
    }

    /// The variables.
    pub fn vars(&self) -> &BTreeMap<String, String> {
        &self.vars
    }

    /// What `${name}` stands for.
    pub fn lookup(&self, name: &str) -> Option<String> {
        self.node.get(name).or_else(|| self.vars.get(name)).cloned()
    }

    /// A text with its references replaced.
    pub fn text(&self, source: &str) -> String {
        interpolate::text(source, &|name| self.lookup(name))
    }

    /// Meta values may refer to everything but each other.
    fn add_meta(&mut self, meta: &BTreeMap<String, String>) {
        let made: Vec<(String, String)> = meta.iter().map(|(key, value)| (clean(key), self.text(value))).collect();
        for (key, value) in made {
            self.vars.insert(format!("NOMAD_META_{}", key.to_uppercase()), value.clone());
            self.vars.insert(format!("NOMAD_META_{key}"), value);
        }
    }

    /// Values of the `env` block may refer to those whose names sort before theirs.
    fn add_written(&mut self, written: &BTreeMap<String, String>) {
        for (key, value) in written {
            let value = self.text(value);
            self.vars.insert(self.text(key), value);
        }
    }
}

/// The agent's environment without what tasks must not see. `denylist` is comma separated and replaces the default.
pub fn host_env(all: impl Iterator<Item = (String, String)>, denylist: Option<&str>) -> BTreeMap<String, String> {
    let denied: Vec<&str> = match denylist {
        Some(list) => list.split(',').map(str::trim).collect(),
        None => DENIED.to_vec(),
    };
    all.filter(|(key, _)| !denied.contains(&key.as_str())).collect()
}

fn group_meta(source: &EnvSource<'_>) -> BTreeMap<String, String> {
    // A group's own meta is merged into its tasks' when a job is compiled: what all tasks agree on is the group's.
    let Some(group) = source.job.group(&source.alloc.task_group) else { return BTreeMap::new() };
    let mut tasks = group.tasks.iter();
    let mut common = tasks.next().map(|task| task.meta.clone()).unwrap_or_default();
    for task in tasks {
        common.retain(|key, value| task.meta.get(key) == Some(value));
    }
    common
}

fn base(source: &EnvSource<'_>) -> BTreeMap<String, String> {
    let EnvSource { node, job, alloc, .. } = *source;
    let mut vars = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        vars.insert(format!("NOMAD_{key}"), value);
    };
    set("ALLOC_ID", alloc.id.to_string());
    set("SHORT_ALLOC_ID", alloc.id.short());
    set("ALLOC_NAME", alloc.name.clone());
    set("ALLOC_INDEX", alloc.index().unwrap_or(0).to_string());
    set("GROUP_NAME", alloc.task_group.clone());
    set("JOB_ID", job.key.id.to_string());
    set("JOB_NAME", job.name.clone());
    if !job.parent_id.is_empty() {
        set("JOB_PARENT_ID", job.parent_id.clone());
    }
    set("DC", node.datacenter.clone());
    set("REGION", source.region.to_owned());
    set("NAMESPACE", job.key.namespace.to_string());
    if !node.cgroup_parent.is_empty() {
        set("PARENT_CGROUP", node.cgroup_parent.clone());
    }
    let owner = match source.task {
        Some((task, dirs, isolation)) => {
            set("TASK_NAME", task.name.clone());
            let (shared, local, secrets) = match isolation {
                FsIsolation::Image => ("/alloc".to_owned(), "/local".to_owned(), "/secrets".to_owned()),
                FsIsolation::None => (shown(&dirs.alloc), shown(&dirs.local), shown(&dirs.secrets)),
            };
            set("ALLOC_DIR", shared);
            set("TASK_DIR", local);
            set("SECRETS_DIR", secrets);
            let grant = alloc.grant.tasks.get(&task.name).cloned().unwrap_or_default();
            for (key, value) in
                [("CPU_LIMIT", grant.cpu), ("MEMORY_LIMIT", grant.memory_mb), ("MEMORY_MAX_LIMIT", grant.memory_max_mb)]
            {
                if value != 0 {
                    set(key, value.to_string());
                }
            }
            task.name.as_str()
        }
        None => "",
    };
    for port in &alloc.grant.ports {
        port_vars(port, owner, node.address(), &mut set);
    }
    vars
}

/// Only some names are cleaned; that unevenness is Nomad's and jobs rely on it.
fn port_vars(port: &AllocatedPort, owner: &str, node_address: &str, set: &mut dyn FnMut(&str, String)) {
    let ip = match port.host_ip.as_str() {
        "" | "0.0.0.0" | "::" => node_address,
        given => given,
    };
    let label = clean(&port.label);
    let address = if ip.contains(':') { format!("[{ip}]:{}", port.value) } else { format!("{ip}:{}", port.value) };
    if !port.task.is_empty() && port.task != owner {
        let name = format!("{}_{label}", clean(&port.task));
        set(&format!("ADDR_{name}"), address);
        set(&format!("IP_{name}"), ip.to_owned());
        set(&format!("PORT_{name}"), port.value.to_string());
        return;
    }
    set(&format!("ADDR_{label}"), address.clone());
    set(&format!("IP_{label}"), ip.to_owned());
    set(&format!("PORT_{label}"), port.to.to_string());
    set(&format!("HOST_PORT_{label}"), port.value.to_string());
    if port.task.is_empty() {
        set(&format!("HOST_ADDR_{}", port.label), address);
        set(&format!("HOST_IP_{}", port.label), ip.to_owned());
        set(&format!("ALLOC_PORT_{}", port.label), port.to.to_string());
    } else {
        let family = if ip.contains(':') { "IPv6" } else { "IPv4" };
        set(&format!("{family}_{label}"), ip.to_owned());
    }
}

fn node_names(node: &Node, region: &str) -> BTreeMap<String, String> {
    let mut names: BTreeMap<String, String> = [
        ("node.unique.id", node.id.to_string()),
        ("node.unique.name", node.name.clone()),
        ("node.datacenter", node.datacenter.clone()),
        ("node.class", node.node_class.clone()),
        ("node.pool", node.node_pool.clone()),
        ("node.region", region.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    names.extend(node.attributes.iter().map(|(key, value)| (format!("attr.{key}"), value.clone())));
    names.extend(node.meta.iter().map(|(key, value)| (format!("meta.{key}"), value.clone())));
    names
}

fn shown(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Every byte outside of `[A-Za-z0-9_.]` becomes `_`.
fn clean(name: &str) -> String {
    name.bytes().map(|b| if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.') { b as char } else { '_' }).collect()
}

#[cfg(test)]
#[path = "env_tests.rs"]
mod tests;
