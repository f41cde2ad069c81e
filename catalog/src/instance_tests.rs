//! What makes an instance, and what it says.

use std::collections::BTreeMap;

use model::allocation::{CheckResult, DriverAddress, Grant};
use model::compiled::{CompiledCheck, CompiledTask};
use model::id::{JobKey, Seed};
use model::task_state::TaskState;

use super::*;

fn service(name: &str, task: &str, port: &str, mode: &str) -> CompiledService {
    CompiledService {
        name: name.into(),
        task: task.into(),
        port_label: port.into(),
        address_mode: mode.into(),
        ..CompiledService::default()
    }
}

fn job(services: Vec<CompiledService>) -> CompiledJob {
    let task = |name: &str, hook| CompiledTask { name: name.into(), hook, ..CompiledTask::default() };
    let tasks = vec![task("server", Hook::Main), task("init", Hook::Prestart)];
    let group = CompiledGroup { name: "web".into(), tasks, services, ..CompiledGroup::default() };
    let key = JobKey::new("default", "shop");
    CompiledJob { key, name: "shop".into(), groups: [group].into(), ..CompiledJob::default() }
}

fn running() -> Allocation {
    let port = |label: &str, value, to| AllocatedPort { label: label.into(), value, to, ..AllocatedPort::default() };
    let state = |state| TaskState { state, ..TaskState::default() };
    Allocation {
        id: AllocId::derive(Seed(1), 0),
        name: "shop.web[2]".into(),
        task_group: "web".into(),
        client_status: ClientStatus::Running,
        grant: Grant { ports: vec![port("http", 21000, 80)], ..Grant::default() },
        task_states: BTreeMap::from([
            ("server".into(), state(TaskRunState::Running)),
            ("init".into(), state(TaskRunState::Dead)),
        ]),
        ..Allocation::default()
    }
}

fn places(alloc: &Allocation, services: Vec<CompiledService>) -> Vec<(String, u16)> {
    let found = instances_of(alloc, &job(services), "10.0.0.9", "dc1");
    found.into_iter().map(|instance| (instance.address, instance.port)).collect()
}

#[test]
fn only_a_running_task_of_a_wanted_allocation_is_an_instance() {
    let services = || vec![service("a", "", "http", "auto"), service("b", "server", "http", "auto")];
    assert_eq!(places(&running(), services()).len(), 2);
    let stopping = Allocation { desired_status: DesiredStatus::Stop, ..running() };
    assert!(places(&stopping, services()).is_empty());
    for status in [ClientStatus::Pending, ClientStatus::Complete, ClientStatus::Lost, ClientStatus::Unknown] {
        assert!(places(&Allocation { client_status: status, ..running() }, services()).is_empty());
    }
    let mut restarting = running();
    restarting.task_states.get_mut("server").unwrap().state = TaskRunState::Pending;
    assert!(places(&restarting, services()).is_empty());
    assert!(places(&restarting, vec![service("c", "init", "http", "auto")]).is_empty());
}

#[test]
fn address_and_port_follow_the_mode() {
    let one = |alloc: &Allocation, service| places(alloc, vec![service]).pop();
    let at = |address: &str, port| Some((address.to_owned(), port));
    let mut alloc = running();
    assert_eq!(one(&alloc, service("a", "server", "http", "auto")), at("10.0.0.9", 21000));
    assert_eq!(one(&alloc, service("a", "server", "", "auto")), at("10.0.0.9", 0));
    assert_eq!(one(&alloc, service("a", "server", "8080", "host")), at("10.0.0.9", 8080));
    assert_eq!(one(&alloc, service("a", "server", "http", "driver")), None, "no address inside yet");
    let ports = BTreeMap::from([("http".to_owned(), 8000)]);
    alloc.driver_addresses.insert("server".into(), DriverAddress { ip: "172.17.0.5".into(), ports });
    assert_eq!(one(&alloc, service("a", "server", "http", "auto")), at("10.0.0.9", 21000));
    assert_eq!(one(&alloc, service("a", "server", "http", "driver")), at("172.17.0.5", 8000));
    assert_eq!(one(&alloc, service("a", "", "9000", "driver")), at("172.17.0.5", 9000));
    let named = CompiledService { address: "db.example".into(), ..service("a", "server", "http", "auto") };
    assert_eq!(one(&alloc, named), at("db.example", 21000));
    alloc.grant.ports[0].host_ip = "10.0.0.77".into();
    assert_eq!(one(&alloc, service("a", "server", "http", "auto")), at("10.0.0.77", 21000));
}

#[test]
fn healthy_means_that_every_check_passes() {
    let check = |id: &str, initial: &str| CompiledCheck {
        id: id.into(),
        initial_status: initial.into(),
        ..CompiledCheck::default()
    };
    let mut checked = service("a", "server", "http", "auto");
    checked.checks = vec![check("one", ""), check("two", "passing")];
    let healthy = |alloc: &Allocation| instances_of(alloc, &job(vec![checked.clone()]), "10.0.0.9", "dc1")[0].healthy;
    let mut alloc = running();
    assert!(!healthy(&alloc));
    let report = |alloc: &mut Allocation, id: &str, status| {
        alloc.checks.insert(id.into(), CheckResult { status, ..CheckResult::default() });
    };
    report(&mut alloc, "one", CheckStatus::Success);
    assert!(healthy(&alloc));
    report(&mut alloc, "two", CheckStatus::Failure);
    assert!(!healthy(&alloc));
}

#[test]
fn names_and_tags_are_filled_in() {
    let mut filled = service("${BASE}-x", "server", "http", "auto");
    filled.tags = vec!["i-${NOMAD_ALLOC_INDEX}".into(), "${unknown} ${open".into(), "${NOMAD_PORT_http}".into()];
    let found = instances_of(&running(), &job(vec![filled]), "10.0.0.9", "dc1");
    assert_eq!(found[0].service, "shop-web-server-x");
    assert_eq!(found[0].tags, ["i-2", "${unknown} ${open", "80"]);
}
