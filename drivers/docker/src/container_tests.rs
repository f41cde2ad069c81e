//! What the Engine is asked for.

use model::id::{AllocId, Seed};
use serde_json::{Value, json};

use super::*;

fn task(root: &Path) -> TaskConfig {
    let port = |label: &str, value, to, task: &str| AllocatedPort {
        label: label.into(),
        value,
        to,
        host_ip: "10.0.0.9".into(),
        task: task.into(),
        ..AllocatedPort::default()
    };
    TaskConfig {
        id: TaskId { alloc: AllocId::derive(Seed(1), 0), task: "web".into(), attempt: 0 },
        labels: BTreeMap::from([("job".to_owned(), "shop".to_owned())]),
        config: BTreeMap::new(),
        env: BTreeMap::from([("A".to_owned(), "b=c".to_owned())]),
        user: String::new(),
        cpu_mhz: 500,
        node_cpu_mhz: 2000,
        memory_mb: 256,
        memory_max_mb: 0,
        ports: vec![port("http", 21000, 80, ""), port("old", 22000, 22000, "web"), port("other", 23000, 1, "side")],
        hostname: "h".into(),
        dns_servers: vec!["172.17.0.1".parse().unwrap()],
        dns_searches: vec!["service.drover".into()],
        dns_options: Vec::new(),
        dirs: driver::TaskDirs {
            alloc: root.join("alloc"),
            task: root.join("web"),
            local: root.join("web/local"),
            secrets: root.join("web/secrets"),
            logs: root.join("alloc/logs"),
        },
        mounts: Vec::new(),
        logs: driver::LogSettings { max_files: 10, max_file_mb: 10, disabled: false },
        kill_signal: String::new(),
    }
}

fn make(task: &TaskConfig, config: Value, settings: &DockerSettings) -> Result<ContainerCreateBody, DriverError> {
    let mut map: BTreeMap<String, Value> = serde_json::from_value(config).unwrap();
    map.insert("image".into(), json!("redis:7"));
    body(task, &ContainerConfig::read(&map).unwrap(), settings)
}

fn plain(config: Value) -> Result<ContainerCreateBody, DriverError> {
    make(&task(Path::new("/a")), config, &DockerSettings::new("node-1"))
}

#[test]
fn volumes_of_the_host_are_mounted_beside_the_tasks_own() {
    let mount = |path: &str, read_only, propagation| driver::TaskMount {
        host_path: path.into(),
        task_path: "/data".into(),
        read_only,
        propagation,
    };
    let volumes = vec![
        mount("/srv/a", false, driver::Propagation::Private),
        mount("/srv/b", true, driver::Propagation::HostToTask),
    ];
    let task = TaskConfig { mounts: volumes, ..task(Path::new("/a")) };
    let own = json!({"mount": [{"type": "tmpfs", "target": "/tmp"}]});
    let body = make(&task, own, &DockerSettings::new("node-1")).unwrap();
    let mounts = body.host_config.unwrap().mounts.unwrap();
    assert_eq!(
        mounts.iter().map(|mount| mount.target.clone().unwrap()).collect::<Vec<_>>(),
        ["/tmp", "/data", "/data"]
    );
    assert_eq!(mounts[1].source.as_deref(), Some("/srv/a"), "whether or not the job may name paths itself");
    assert_eq!((mounts[1].read_only, mounts[2].read_only), (Some(false), Some(true)));
    let spread = mounts[2].bind_options.clone().unwrap().propagation.unwrap();
    assert_eq!(spread, bollard::models::MountBindOptionsPropagationEnum::RSLAVE);
}

#[test]
fn a_plain_task_becomes_a_container() {
    let body = plain(json!({"command": "run", "args": ["x"], "ports": ["http"], "labels": [{"mine": "1"}]})).unwrap();
    assert_eq!(body.cmd.unwrap(), ["run", "x"]);
    assert_eq!(body.entrypoint, None);
    assert_eq!(body.env.unwrap(), ["A=b=c"]);
    let labels = body.labels.unwrap();
    assert_eq!(task_of(&labels, "node-1"), Some(task(Path::new("/a")).id));
    assert_eq!(task_of(&labels, "node-2"), None);
    assert_eq!((labels["mine"].as_str(), labels["io.drover.job"].as_str()), ("1", "shop"));
    let host = body.host_config.unwrap();
    assert_eq!(host.binds.unwrap(), ["/a/alloc:/alloc", "/a/web/local:/local", "/a/web/secrets:/secrets"]);
    assert_eq!((host.memory, host.memory_swap, host.cpu_shares), (Some(256 << 20), Some(256 << 20), Some(500)));
    assert_eq!(host.memory_reservation, None);
    assert_eq!(host.dns.unwrap(), ["172.17.0.1"]);
    assert_eq!(host.dns_search.unwrap(), ["service.drover"]);
    assert_eq!(host.cap_drop.unwrap(), ["NET_RAW"]);
    assert_eq!(host.restart_policy, None);
    let mut ports: Vec<_> = host.port_bindings.unwrap().into_iter().collect();
    ports.sort_by(|a, b| a.0.cmp(&b.0));
    let binding = PortBinding { host_ip: Some("10.0.0.9".into()), host_port: Some("21000".into()) };
    assert_eq!(ports, [("80/tcp".into(), Some(vec![binding.clone()])), ("80/udp".into(), Some(vec![binding]))]);
}

#[test]
fn ports_of_the_old_spelling_need_no_list() {
    let body = plain(json!({})).unwrap();
    assert_eq!(body.exposed_ports.unwrap(), ["22000/tcp", "22000/udp"]);
    assert!(plain(json!({"ports": []})).unwrap().exposed_ports.unwrap().is_empty());
    let error = plain(json!({"ports": ["htp"]})).unwrap_err().to_string();
    assert!(error.contains("\"htp\"") && error.contains("http, old"), "{error}");
    assert_eq!(
        plain(json!({"network_mode": "host", "ports": ["http"]})).unwrap().host_config.unwrap().port_bindings,
        None
    );
}

#[test]
fn names_are_the_engines_and_unique() {
    let mut id = task(Path::new("/a")).id;
    assert_eq!(name_of(&id), format!("web-{}", id.alloc));
    id.attempt = 2;
    id.task = "_a/b ü".into();
    assert_eq!(name_of(&id), format!("t_a_b__-{}-2", id.alloc));
}

#[test]
fn more_memory_than_reserved_is_a_bound() {
    let mut task = task(Path::new("/a"));
    task.memory_max_mb = 512;
    let host = make(&task, json!({}), &DockerSettings::new("n")).unwrap().host_config.unwrap();
    assert_eq!((host.memory, host.memory_reservation), (Some(512 << 20), Some(256 << 20)));
    task.memory_mb = 1;
    task.memory_max_mb = 0;
    let host = make(&task, json!({"cpu_hard_limit": true}), &DockerSettings::new("n")).unwrap().host_config.unwrap();
    assert_eq!(host.memory, Some(MIN_MEMORY));
    assert!(host.cpu_quota.is_some_and(|quota| quota >= 25_000));
}

#[test]
fn what_is_not_allowed_is_refused_with_the_way_to_allow_it() {
    for (config, text) in [
        (json!({"privileged": true}), "allow_privileged"),
        (json!({"pid_mode": "host"}), "allow_privileged"),
        (json!({"security_opt": ["seccomp=unconfined"]}), "allow_privileged"),
        (json!({"cap_add": ["SYS_ADMIN"]}), "sys_admin"),
        (json!({"cap_add": ["net_raw"]}), "net_raw"),
        (json!({"volumes": ["/etc:/x"]}), "volumes { enabled = true }"),
        (json!({"volumes": ["../../..:/x"]}), "outside the allocation"),
        (json!({"volumes": ["local"]}), "source:/target"),
        (json!({"mount": [{"type": "bind", "source": "/etc", "target": "/x"}]}), "outside the allocation"),
        (json!({"labels": [{"io.drover.node": "x"}]}), "another name"),
    ] {
        let error = plain(config.clone()).unwrap_err().to_string();
        assert!(error.contains(text), "{config}: {error}");
    }
    let mut settings = DockerSettings::new("n");
    settings.volumes_enabled = true;
    settings.allow_privileged = true;
    settings.allow_caps = vec!["all".into()];
    let all = json!({"privileged": true, "cap_add": ["SYS_ADMIN"], "volumes": ["/etc:/x:ro"]});
    let host = make(&task(Path::new("/a")), all, &settings).unwrap().host_config.unwrap();
    assert_eq!(host.binds.unwrap()[3], "/etc:/x:ro");
    assert_eq!(host.cap_add.unwrap(), ["SYS_ADMIN"]);
}

#[test]
fn a_link_does_not_lead_out_of_the_allocation() {
    let dir = tempfile::tempdir().unwrap();
    let task = task(dir.path());
    std::fs::create_dir_all(&task.dirs.local).unwrap();
    std::os::unix::fs::symlink("/etc", task.dirs.local.join("out")).unwrap();
    let volume = |source: &str| make(&task, json!({"volumes": [format!("{source}:/x")]}), &DockerSettings::new("n"));
    assert!(volume("local/new").is_ok());
    assert!(volume("local/out").is_err());
    assert!(volume("local/out/ssl").is_err());
}

#[test]
fn disabled_logs_are_not_kept_by_the_engine_either() {
    let mut task = task(Path::new("/a"));
    let kind = |task: &TaskConfig| {
        make(task, json!({}), &DockerSettings::new("n")).unwrap().host_config.unwrap().log_config.unwrap().typ.unwrap()
    };
    assert_eq!(kind(&task), "json-file");
    task.logs.disabled = true;
    assert_eq!(kind(&task), "none");
}
