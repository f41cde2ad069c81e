//! The environment beside what Nomad was seen to set.

use super::*;
use model::allocation::{Grant, TaskGrant};
use model::compiled::CompiledGroup;
use model::id::{AllocId, JobKey, NodeId};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn node() -> Node {
    Node {
        id: NodeId(9),
        name: "node-a".to_owned(),
        datacenter: "dc1".to_owned(),
        node_class: "compute".to_owned(),
        node_pool: "default".to_owned(),
        attributes: map(&[("unique.network.ip-address", "127.0.0.1"), ("kernel.name", "linux")]),
        meta: map(&[("rack", "r1")]),
        ..Node::default()
    }
}

fn port(label: &str, value: u16, to: u16, task: &str) -> AllocatedPort {
    AllocatedPort {
        label: label.to_owned(),
        value,
        to,
        host_ip: "127.0.0.1".to_owned(),
        task: task.to_owned(),
        ..AllocatedPort::default()
    }
}

fn build(task: CompiledTask, ports: Vec<AllocatedPort>, isolation: FsIsolation) -> TaskEnv {
    let alloc = Allocation {
        id: AllocId(0x0123_4567_89ab_4def_8123_4567_89ab_cdef),
        name: "plain.g[3]".to_owned(),
        task_group: "g".to_owned(),
        grant: Grant {
            tasks: BTreeMap::from([(task.name.clone(), TaskGrant { cpu: 50, memory_mb: 32, ..TaskGrant::default() })]),
            ports,
            ..Grant::default()
        },
        ..Allocation::default()
    };
    let group = CompiledGroup { name: "g".to_owned(), tasks: vec![task.clone()], ..CompiledGroup::default() };
    let job = CompiledJob {
        key: JobKey::new("default", "plain"),
        name: "plain".to_owned(),
        groups: [group].into(),
        ..CompiledJob::default()
    };
    let dirs = TaskDirs {
        alloc: "/d/alloc".into(),
        task: "/d/main".into(),
        local: "/d/main/local".into(),
        secrets: "/d/main/secrets".into(),
        logs: "/d/alloc/logs".into(),
    };
    let host = map(&[("PATH", "/usr/bin:/bin"), ("HOME", "/root"), ("NOMAD_DC", "wrong")]);
    let node = node();
    TaskEnv::build(&EnvSource {
        node: &node,
        region: "global",
        job: &job,
        alloc: &alloc,
        task: Some((&task, &dirs, isolation)),
        host: &host,
    })
}

fn main_task() -> CompiledTask {
    CompiledTask {
        name: "main".to_owned(),
        env: map(&[
            ("USER_A", "1"),
            ("REF", "${NOMAD_META_owner}-${node.unique.name}"),
            ("UNKNOWN", "${no.such.thing}"),
            ("NOMAD_CUSTOM", "mine"),
            ("odd.key", "dot"),
            ("odd-key", "dash"),
            ("EMPTY_U", ""),
            ("PATH_LIKE", "$PATH"),
        ]),
        meta: map(&[
            ("owner", "team"),
            ("j.dot", "d"),
            ("j-dash", "h"),
            ("j space", "s"),
            ("CamelCase", "cc"),
            ("1num", "n"),
            ("uni_é", "u"),
            ("multi", "l1\nl2"),
            ("tk", "${NOMAD_TASK_NAME}"),
        ]),
        ..CompiledTask::default()
    }
}

#[test]
fn a_task_without_isolation_as_recorded() {
    let env = build(main_task(), Vec::new(), FsIsolation::None);
    let expected = map(&[
        ("EMPTY_U", ""),
        ("HOME", "/root"),
        ("NOMAD_ALLOC_DIR", "/d/alloc"),
        ("NOMAD_ALLOC_ID", "01234567-89ab-4def-8123-456789abcdef"),
        ("NOMAD_ALLOC_INDEX", "3"),
        ("NOMAD_ALLOC_NAME", "plain.g[3]"),
        ("NOMAD_CPU_LIMIT", "50"),
        ("NOMAD_CUSTOM", "mine"),
        ("NOMAD_DC", "dc1"),
        ("NOMAD_GROUP_NAME", "g"),
        ("NOMAD_JOB_ID", "plain"),
        ("NOMAD_JOB_NAME", "plain"),
        ("NOMAD_MEMORY_LIMIT", "32"),
        ("NOMAD_META_1NUM", "n"),
        ("NOMAD_META_1num", "n"),
        ("NOMAD_META_CAMELCASE", "cc"),
        ("NOMAD_META_CamelCase", "cc"),
        ("NOMAD_META_J.DOT", "d"),
        ("NOMAD_META_J_DASH", "h"),
        ("NOMAD_META_J_SPACE", "s"),
        ("NOMAD_META_MULTI", "l1\nl2"),
        ("NOMAD_META_OWNER", "team"),
        ("NOMAD_META_TK", "main"),
        ("NOMAD_META_UNI___", "u"),
        ("NOMAD_META_j.dot", "d"),
        ("NOMAD_META_j_dash", "h"),
        ("NOMAD_META_j_space", "s"),
        ("NOMAD_META_multi", "l1\nl2"),
        ("NOMAD_META_owner", "team"),
        ("NOMAD_META_tk", "main"),
        ("NOMAD_META_uni___", "u"),
        ("NOMAD_NAMESPACE", "default"),
        ("NOMAD_REGION", "global"),
        ("NOMAD_SECRETS_DIR", "/d/main/secrets"),
        ("NOMAD_SHORT_ALLOC_ID", "01234567"),
        ("NOMAD_TASK_DIR", "/d/main/local"),
        ("NOMAD_TASK_NAME", "main"),
        ("PATH", "/usr/bin:/bin"),
        ("PATH_LIKE", "$PATH"),
        ("REF", "team-node-a"),
        ("UNKNOWN", "${no.such.thing}"),
        ("USER_A", "1"),
        ("odd-key", "dash"),
        ("odd.key", "dot"),
    ]);
    assert_eq!(env.vars(), &expected);
}

#[test]
fn an_image_sees_its_own_paths_and_no_host() {
    let env = build(main_task(), Vec::new(), FsIsolation::Image);
    for (name, value) in [
        ("NOMAD_ALLOC_DIR", Some("/alloc")),
        ("NOMAD_TASK_DIR", Some("/local")),
        ("NOMAD_SECRETS_DIR", Some("/secrets")),
        ("HOME", None),
        ("PATH", None),
    ] {
        assert_eq!(env.vars().get(name).map(String::as_str), value, "{name}");
    }
}

#[test]
fn ports_of_the_group() {
    let ports = vec![port("to_port", 31454, 8080, ""), port("odd-label", 30585, 30585, "")];
    let env = build(main_task(), ports, FsIsolation::None);
    let ports: Vec<(&str, &str)> = env
        .vars()
        .iter()
        .filter(|(key, _)| key.contains("label") || key.contains("to_port"))
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        ports,
        [
            ("NOMAD_ADDR_odd_label", "127.0.0.1:30585"),
            ("NOMAD_ADDR_to_port", "127.0.0.1:31454"),
            ("NOMAD_ALLOC_PORT_odd-label", "30585"),
            ("NOMAD_ALLOC_PORT_to_port", "8080"),
            ("NOMAD_HOST_ADDR_odd-label", "127.0.0.1:30585"),
            ("NOMAD_HOST_ADDR_to_port", "127.0.0.1:31454"),
            ("NOMAD_HOST_IP_odd-label", "127.0.0.1"),
            ("NOMAD_HOST_IP_to_port", "127.0.0.1"),
            ("NOMAD_HOST_PORT_odd_label", "30585"),
            ("NOMAD_HOST_PORT_to_port", "31454"),
            ("NOMAD_IP_odd_label", "127.0.0.1"),
            ("NOMAD_IP_to_port", "127.0.0.1"),
            ("NOMAD_PORT_odd_label", "30585"),
            ("NOMAD_PORT_to_port", "8080"),
        ]
    );
}

#[test]
fn ports_of_the_old_spelling() {
    let ports = vec![port("ldyn", 25288, 8080, "main"), port("db", 25289, 5432, "peer")];
    let env = build(main_task(), ports, FsIsolation::None);
    for (name, value) in [
        ("NOMAD_ADDR_ldyn", Some("127.0.0.1:25288")),
        ("NOMAD_HOST_PORT_ldyn", Some("25288")),
        ("NOMAD_IP_ldyn", Some("127.0.0.1")),
        ("NOMAD_IPv4_ldyn", Some("127.0.0.1")),
        ("NOMAD_PORT_ldyn", Some("8080")),
        ("NOMAD_ALLOC_PORT_ldyn", None),
        ("NOMAD_HOST_ADDR_ldyn", None),
        ("NOMAD_ADDR_peer_db", Some("127.0.0.1:25289")),
        ("NOMAD_PORT_peer_db", Some("25289")),
        ("NOMAD_PORT_db", None),
    ] {
        assert_eq!(env.vars().get(name).map(String::as_str), value, "{name}");
    }
}

#[test]
fn references_reach_the_node_and_the_environment() {
    let env = build(main_task(), Vec::new(), FsIsolation::None);
    for (text, value) in [
        ("${attr.kernel.name}", "linux"),
        ("${meta.rack}", "r1"),
        ("${meta.owner}", "${meta.owner}"),
        ("${node.region}", "global"),
        ("${node.nope}", "${node.nope}"),
        ("${odd-key}", "dash"),
        ("${HOME}", "/root"),
    ] {
        assert_eq!(env.text(text), value);
    }
}

#[test]
fn secrets_of_the_agent_are_not_inherited() {
    let all = || {
        [("NOMAD_TOKEN", "x"), ("AWS_SECRET_ACCESS_KEY", "y"), ("LANG", "C")]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    assert_eq!(host_env(all(), None), map(&[("LANG", "C")]));
    assert_eq!(host_env(all(), Some("LANG, NOMAD_TOKEN")), map(&[("AWS_SECRET_ACCESS_KEY", "y")]));
}
