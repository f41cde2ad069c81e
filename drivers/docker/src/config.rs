//! Reads a task's `config` block: every setting typed, unknown ones refused.

use std::collections::BTreeMap;

use driver::DriverError;
use driver::settings::Settings;
use model::time::GoDuration;
use serde_json::Value;

use crate::schema::SCHEMA;

/// A task's own settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerConfig {
    /// The image's name.
    pub image: String,
    /// Replaces the image's command.
    pub command: Option<String>,
    /// Arguments of the command, or of the image's entry point.
    pub args: Vec<String>,
    /// Replaces the image's entry point.
    pub entrypoint: Vec<String>,
    /// Labels of the ports to publish; `None` when the setting is absent.
    pub ports: Option<Vec<String>>,
    /// Whether to pull even when the image is here.
    pub force_pull: bool,
    /// Who pulls.
    pub auth: Option<Auth>,
    /// Labels beside ours.
    pub labels: BTreeMap<String, String>,
    /// `source:target[:mode]`.
    pub volumes: Vec<String>,
    /// Mounts in their long form.
    pub mounts: Vec<MountConfig>,
    /// `bridge`, `host`, `none` or a network's name; empty for the Engine's default.
    pub network_mode: String,
    /// Names beside its own in a network of users.
    pub network_aliases: Vec<String>,
    /// Host name; empty for the group's.
    pub hostname: String,
    /// Replaces our resolver.
    pub dns_servers: Vec<String>,
    /// Replaces our search domains.
    pub dns_search_domains: Vec<String>,
    /// Resolver options.
    pub dns_options: Vec<String>,
    /// `name:address`.
    pub extra_hosts: Vec<String>,
    /// All of root's powers.
    pub privileged: bool,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Capabilities taken away.
    pub cap_drop: Vec<String>,
    /// `soft` or `soft:hard` by name.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Working directory; empty for the image's.
    pub work_dir: String,
    /// Keeps standard input open.
    pub interactive: bool,
    /// Gives it a terminal.
    pub tty: bool,
    /// Time a pull may take.
    pub image_pull_timeout: GoDuration,
    /// Whether its own file system is read-only.
    pub readonly_rootfs: bool,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<i64>,
    /// Whether a small init reaps orphans.
    pub init: bool,
    /// Process namespace: `host` or empty.
    pub pid_mode: String,
    /// IPC namespace.
    pub ipc_mode: String,
    /// Processes it may have.
    pub pids_limit: Option<i64>,
    /// Upper bound of memory in MB, in place of the job's.
    pub memory_hard_limit: Option<i64>,
    /// Whether the CPU share is also the upper bound.
    pub cpu_hard_limit: bool,
    /// Further groups of its user.
    pub group_add: Vec<String>,
    /// Options such as `no-new-privileges`.
    pub security_opt: Vec<String>,
    /// Kernel parameters of its namespaces.
    pub sysctl: BTreeMap<String, String>,
    /// The Engine's log driver and its options.
    pub logging: Option<(String, BTreeMap<String, String>)>,
    /// Runtime such as `runsc`; empty for the Engine's default.
    pub runtime: String,
}

/// Who pulls an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// User.
    pub username: String,
    /// Password or token.
    pub password: String,
    /// Registry; empty for the image's.
    pub server_address: String,
}

/// A mount in its long form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountConfig {
    /// `bind`, `volume` or `tmpfs`.
    pub kind: String,
    /// Where in the container.
    pub target: String,
    /// Host path or volume name.
    pub source: String,
    /// Whether it is read-only.
    pub readonly: bool,
    /// Size of a tmpfs in bytes.
    pub tmpfs_size: Option<i64>,
}

/// A block within a config block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    pub(crate) values: BTreeMap<String, Value>,
}

impl ContainerConfig {
    /// Reads a `config` block as the job file's decoder makes it: blocks are lists of maps.
    ///
    /// # Errors
    /// [`DriverError::Config`] with a sentence for the user.
    pub fn read(config: &BTreeMap<String, Value>) -> Result<ContainerConfig, DriverError> {
        let known: Vec<&str> = SCHEMA.names().collect();
        let read = Settings::new(SCHEMA.driver, config, &known)?;
        let text = |key: &str| read.text(key).map(Option::unwrap_or_default);
        let image = read.required("image")?;
        if image.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong(format!("{image:?} is no image name; write it as [registry/]name[:tag]")));
        }
        let mut mounts = Vec::new();
        for key in ["mount", "mounts"] {
            mounts.extend(blocks(config, key)?.into_iter().map(read_mount).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(ContainerConfig {
            image: image.strip_prefix("https://").or(image.strip_prefix("docker://")).unwrap_or(&image).to_owned(),
            command: read.text("command")?.filter(|command| !command.is_empty()),
            args: read.texts("args")?,
            entrypoint: read.texts("entrypoint")?,
            ports: config.contains_key("ports").then(|| read.texts("ports")).transpose()?,
            force_pull: read.boolean("force_pull")?,
            auth: block(blocks(config, "auth")?, "auth")?.map(read_auth).transpose()?,
            labels: map(config, "labels")?,
            volumes: read.texts("volumes")?,
            mounts,
            network_mode: text("network_mode")?,
            network_aliases: read.texts("network_aliases")?,
            hostname: text("hostname")?,
            dns_servers: read.texts("dns_servers")?,
            dns_search_domains: read.texts("dns_search_domains")?,
            dns_options: read.texts("dns_options")?,
            extra_hosts: read.texts("extra_hosts")?,
            privileged: read.boolean("privileged")?,
            cap_add: read.texts("cap_add")?,
            cap_drop: read.texts("cap_drop")?,
            ulimits: read_ulimits(map(config, "ulimit")?)?,
            work_dir: text("work_dir")?,
            interactive: read.boolean("interactive")?,
            tty: read.boolean("tty")?,
            image_pull_timeout: read.duration("image_pull_timeout")?.unwrap_or(GoDuration::from_secs(300)),
            readonly_rootfs: read.boolean("readonly_rootfs")?,
            shm_size: read.integer("shm_size")?,
            init: read.boolean("init")?,
            pid_mode: text("pid_mode")?,
            ipc_mode: text("ipc_mode")?,
            pids_limit: read.integer("pids_limit")?,
            memory_hard_limit: read.integer("memory_hard_limit")?,
            cpu_hard_limit: read.boolean("cpu_hard_limit")?,
            group_add: read.texts("group_add")?,
            security_opt: read.texts("security_opt")?,
            sysctl: map(config, "sysctl")?,
            logging: block(blocks(config, "logging")?, "logging")?.map(read_logging).transpose()?,
            runtime: text("runtime")?,
        })
    }
}

fn wrong(text: String) -> DriverError {
    DriverError::Config(text)
}

/// The blocks called `key`, whether written once, several times, or as an object.
pub(crate) fn blocks(config: &BTreeMap<String, Value>, key: &str) -> Result<Vec<Block>, DriverError> {
    let maps: Vec<&Value> = match config.get(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(one) => vec![one],
    };
    let read = |value: &Value| match value {
        Value::Object(map) => Ok(Block { values: map.clone().into_iter().collect() }),
        _ => Err(wrong(format!("{key:?} of driver \"docker\" must be a block: {key} {{ ... }}"))),
    };
    maps.into_iter().map(read).collect()
}

/// The only block of a list.
pub(crate) fn block(blocks: Vec<Block>, key: &str) -> Result<Option<Block>, DriverError> {
    if blocks.len() > 1 {
        return Err(wrong(format!("{key:?} of driver \"docker\" is given {} times; once is enough", blocks.len())));
    }
    Ok(blocks.into_iter().next())
}

/// Texts by name, from one map or from several blocks.
fn map(config: &BTreeMap<String, Value>, key: &str) -> Result<BTreeMap<String, String>, DriverError> {
    let mut texts = BTreeMap::new();
    for (name, value) in blocks(config, key)?.into_iter().flat_map(|block| block.values) {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(wrong(format!("{name:?} in {key:?} of driver \"docker\" must be a text"))),
        };
        texts.insert(name, text);
    }
    Ok(texts)
}

fn read_auth(block: Block) -> Result<Auth, DriverError> {
    let known = ["username", "password", "email", "server_address"];
    let read = Settings::new("docker.auth", &block.values, &known)?;
    let text = |key: &str| read.text(key).map(Option::unwrap_or_default);
    Ok(Auth { username: text("username")?, password: text("password")?, server_address: text("server_address")? })
}

fn read_mount(block: Block) -> Result<MountConfig, DriverError> {
    let known = ["type", "target", "source", "readonly", "bind_options", "tmpfs_options", "volume_options"];
    let read = Settings::new("docker.mount", &block.values, &known)?;
    let kind = read.text("type")?.unwrap_or_else(|| "volume".to_owned());
    if !["bind", "volume", "tmpfs"].contains(&kind.as_str()) {
        return Err(wrong(format!("{kind:?} is no type of a mount of driver \"docker\"; use bind, volume or tmpfs")));
    }
    let target = read.required("target")?;
    let tmpfs = self::block(blocks(&block.values, "tmpfs_options")?, "tmpfs_options")?.unwrap_or_default();
    let tmpfs_size = Settings::new("docker.mount.tmpfs_options", &tmpfs.values, &["size", "mode"])?.integer("size")?;
    let source = read.text("source")?.unwrap_or_default();
    if kind == "bind" && source.is_empty() {
        return Err(wrong(format!("the bind mount at {target:?} of driver \"docker\" needs a source")));
    }
    Ok(MountConfig { kind, target, source, readonly: read.boolean("readonly")?, tmpfs_size })
}

fn read_logging(block: Block) -> Result<(String, BTreeMap<String, String>), DriverError> {
    let read = Settings::new("docker.logging", &block.values, &["type", "driver", "config"])?;
    let kind = read.text("type")?.or(read.text("driver")?).unwrap_or_else(|| "json-file".to_owned());
    Ok((kind, map(&block.values, "config")?))
}

fn read_ulimits(written: BTreeMap<String, String>) -> Result<BTreeMap<String, (i64, i64)>, DriverError> {
    let read = |(name, text): (String, String)| {
        let (soft, hard) = text.split_once(':').unwrap_or((&text, &text));
        match (soft.trim().parse(), hard.trim().parse()) {
            (Ok(soft), Ok(hard)) => Ok((name, (soft, hard))),
            _ => Err(wrong(format!(
                "the ulimit {name:?} of driver \"docker\" must be a number or \"soft:hard\", not {text:?}"
            ))),
        }
    };
    written.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<ContainerConfig, DriverError> {
        ContainerConfig::read(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn blocks_come_as_lists_of_maps_and_as_maps() {
        let config = read(json!({
            "image": "redis:7",
            "labels": [{"a": "1"}, {"b": 2}],
            "auth": [{"username": "u", "password": "p"}],
            "mount": [{"type": "tmpfs", "target": "/t", "tmpfs_options": [{"size": 1000}]}, {"target": "/v"}],
            "ulimit": {"nofile": "2048:4096", "nproc": 10},
            "logging": {"type": "local", "config": [{"max-size": "1m"}]},
            "ports": ["http"],
            "image_pull_timeout": "1m",
        }))
        .unwrap();
        assert_eq!(config.labels, BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2".into())]));
        assert_eq!(config.auth.unwrap().username, "u");
        assert_eq!((config.mounts[0].tmpfs_size, config.mounts[1].kind.as_str()), (Some(1000), "volume"));
        assert_eq!(config.ulimits["nofile"], (2048, 4096));
        assert_eq!(config.logging.unwrap().1["max-size"], "1m");
        assert_eq!(config.image_pull_timeout, GoDuration::from_secs(60));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (value, text) in [
            (json!({}), "image"),
            (json!({"image": ""}), "image"),
            (json!({"image": "a b"}), "no image name"),
            (json!({"image": "a", "comand": "x"}), "did you mean \"command\"?"),
            (json!({"image": "a", "args": "x"}), "must be a list of texts"),
            (json!({"image": "a", "auth": "x"}), "must be a block"),
            (json!({"image": "a", "auth": [{}, {}]}), "given 2 times"),
            (json!({"image": "a", "auth": [{"usernme": "x"}]}), "did you mean"),
            (json!({"image": "a", "ulimit": [{"nofile": "many"}]}), "soft:hard"),
            (json!({"image": "a", "mount": [{"type": "nfs", "target": "/x"}]}), "bind, volume or tmpfs"),
            (json!({"image": "a", "mount": [{"type": "bind", "target": "/x"}]}), "needs a source"),
        ] {
            let error = read(value.clone()).unwrap_err().to_string();
            assert!(error.contains(text), "{value}: {error}");
        }
    }
}
