//! What may stand in the `config` of a docker task.

use driver::schema::{Kind, Schema, Setting};

/// The settings of the docker driver: all of Nomad's, with what this version makes of them.
pub const SCHEMA: Schema = Schema {
    driver: "docker",
    mounts: true,
    settings: &[
        Setting::required("image", Kind::Text),
        Setting::new("command", Kind::Text),
        Setting::new("args", Kind::Texts),
        Setting::new("entrypoint", Kind::Texts),
        Setting::new("ports", Kind::Texts),
        // The old spelling of `ports`; a job is translated before it gets here.
        Setting::new("port_map", Kind::Map),
        Setting::new("force_pull", Kind::Truth),
        Setting::new("image_pull_timeout", Kind::Duration),
        Setting::new("auth", Kind::Block(AUTH)),
        // Without credential helpers there is no look-up that could fail.
        Setting::new("auth_soft_fail", Kind::Truth),
        Setting::new("labels", Kind::Map),
        Setting::new("volumes", Kind::Texts),
        Setting::new("mount", Kind::Blocks(MOUNT)),
        Setting::new("mounts", Kind::Blocks(MOUNT)),
        Setting::new("network_mode", Kind::Text),
        Setting::new("network_aliases", Kind::Texts),
        Setting::new("hostname", Kind::Text),
        Setting::new("dns_servers", Kind::Texts),
        Setting::new("dns_search_domains", Kind::Texts),
        Setting::new("dns_options", Kind::Texts),
        Setting::new("extra_hosts", Kind::Texts),
        Setting::new("privileged", Kind::Truth),
        Setting::new("cap_add", Kind::Texts),
        Setting::new("cap_drop", Kind::Texts),
        Setting::new("security_opt", Kind::Texts),
        Setting::new("sysctl", Kind::Map),
        Setting::new("ulimit", Kind::Map),
        Setting::new("group_add", Kind::Texts),
        Setting::new("work_dir", Kind::Text),
        Setting::new("interactive", Kind::Truth),
        Setting::new("tty", Kind::Truth),
        Setting::new("init", Kind::Truth),
        Setting::new("readonly_rootfs", Kind::Truth),
        Setting::new("shm_size", Kind::Whole),
        Setting::new("pid_mode", Kind::Text),
        Setting::new("ipc_mode", Kind::Text),
        Setting::new("pids_limit", Kind::Whole),
        Setting::new("memory_hard_limit", Kind::Whole),
        Setting::new("cpu_hard_limit", Kind::Truth),
        Setting::new("logging", Kind::Block(LOGGING)),
        Setting::new("runtime", Kind::Text),
        Setting::idle("advertise_ipv6_address", Kind::Truth, "services are found by IPv4 address"),
        Setting::idle("container_exists_attempts", Kind::Whole, "a container left over is removed at once"),
        Setting::idle("cpuset_cpus", Kind::Text, "reserve whole cores with resources.cores"),
        Setting::idle("healthchecks", Kind::Block(HEALTHCHECKS), "the image's own check is not looked at"),
        Setting::idle("isolation", Kind::Text, "it is for Windows"),
        Setting::missing("cgroupns", Kind::Text),
        Setting::missing("cpu_cfs_period", Kind::Whole),
        Setting::missing("devices", Kind::Blocks(DEVICE)),
        Setting::missing("ipv4_address", Kind::Text),
        Setting::missing("ipv6_address", Kind::Text),
        Setting::missing("load", Kind::Text),
        Setting::missing("mac_address", Kind::Text),
        Setting::missing("oom_score_adj", Kind::Whole),
        Setting::missing("storage_opt", Kind::Map),
        Setting::missing("userns_mode", Kind::Text),
        Setting::missing("uts_mode", Kind::Text),
        Setting::missing("volume_driver", Kind::Text),
    ],
};

const AUTH: &[Setting] = &[
    Setting::new("username", Kind::Text),
    Setting::new("password", Kind::Text),
    Setting::new("email", Kind::Text),
    Setting::new("server_address", Kind::Text),
];

const MOUNT: &[Setting] = &[
    Setting::new("type", Kind::Choice(&["volume", "bind", "tmpfs"])),
    Setting::required("target", Kind::Text),
    Setting::new("source", Kind::Text),
    Setting::new("readonly", Kind::Truth),
    Setting::missing("bind_options", Kind::Block(&[Setting::new("propagation", Kind::Text)])),
    Setting::new("tmpfs_options", Kind::Block(TMPFS)),
    Setting::missing("volume_options", Kind::Block(VOLUME)),
];

const TMPFS: &[Setting] =
    &[Setting::new("size", Kind::Whole), Setting::idle("mode", Kind::Whole, "the mode is the Engine's default")];

const VOLUME: &[Setting] = &[
    Setting::new("no_copy", Kind::Truth),
    Setting::new("labels", Kind::Map),
    Setting::new("driver_config", Kind::Block(&[Setting::new("name", Kind::Text), Setting::new("options", Kind::Map)])),
];

const LOGGING: &[Setting] =
    &[Setting::new("type", Kind::Text), Setting::new("driver", Kind::Text), Setting::new("config", Kind::Map)];

const HEALTHCHECKS: &[Setting] = &[Setting::new("disable", Kind::Truth)];

const DEVICE: &[Setting] = &[
    Setting::new("host_path", Kind::Text),
    Setting::new("container_path", Kind::Text),
    Setting::new("cgroup_permissions", Kind::Text),
];
