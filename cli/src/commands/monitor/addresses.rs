//! Where a job answers: the instances of its healthy copies, by service, each told once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{is_healthy, services};
use crate::output::json::{items, number, text};

/// Addresses of the instances that belong to healthy copies and are not in `shown`, by service; they are in it
/// afterwards. A service without a port has a name and no address.
pub(super) fn news<'a>(
    job: &Value,
    allocs: &[&Value],
    instances: &'a [Value],
    shown: &mut BTreeSet<String>,
) -> BTreeMap<&'a str, Vec<String>> {
    let healthy: BTreeSet<&str> =
        allocs.iter().filter(|alloc| is_healthy(alloc)).map(|alloc| text(alloc, &["ID"])).collect();
    let mut news: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for instance in instances.iter().filter(|instance| healthy.contains(text(instance, &["AllocID"]))) {
        if !shown.insert(text(instance, &["ID"]).to_owned()) {
            continue;
        }
        let service = text(instance, &["ServiceName"]);
        let addresses = news.entry(service).or_default();
        let port = number(instance, &["Port"]);
        if port > 0 {
            addresses.push(format!("{}{}:{port}", scheme(job, service), text(instance, &["Address"])));
        }
    }
    news
}

/// `http://` or `https://` before addresses of a service that a check asks so on its own port; empty for others.
fn scheme(job: &Value, name: &str) -> &'static str {
    let services = services(job).filter(|service| text(service, &["Name"]) == name);
    let is_its_port = |service: &Value, check: &Value| {
        let port = text(check, &["PortLabel"]);
        port.is_empty() || port == text(service, &["PortLabel"])
    };
    let of_service = |service| items(service, &["Checks"]).filter(move |check| is_its_port(service, check));
    let mut http = services.flat_map(of_service).filter(|check| text(check, &["Type"]) == "http");
    match http.next().map(|check| text(check, &["Protocol"])) {
        None => "",
        Some("https") => "https://",
        Some(_) => "http://",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instance(alloc: &str, service: &str, port: u16) -> Value {
        let id = format!("{alloc}-{service}");
        json!({"ID": id, "AllocID": alloc, "ServiceName": service, "Address": "192.0.2.2", "Port": port})
    }

    #[test]
    fn each_instance_is_told_once_as_soon_as_its_copy_is_healthy() {
        let copy = |id: &str, healthy: bool| json!({"ID": id, "ClientStatus": "running", "DeploymentStatus": {"Healthy": healthy}});
        let (a, b, well) = (copy("a", true), copy("b", false), copy("b", true));
        let job = job(&json!({"Type": "http"}));
        let instances = [instance("a", "web", 1), instance("b", "web", 2), instance("a", "name-only", 0)];
        let mut shown = BTreeSet::new();
        let first = news(&job, &[&a, &b], &instances, &mut shown);
        assert_eq!(first, BTreeMap::from([("name-only", vec![]), ("web", vec!["http://192.0.2.2:1".to_owned()])]));
        assert_eq!(news(&job, &[&a, &b], &instances, &mut shown), BTreeMap::new());
        let second = news(&job, &[&a, &well], &instances, &mut shown);
        assert_eq!(second, BTreeMap::from([("web", vec!["http://192.0.2.2:2".to_owned()])]));
    }

    fn job(check: &Value) -> Value {
        json!({"TaskGroups": [{"Services": [{"Name": "web", "PortLabel": "p", "Checks": [check]}]}]})
    }

    #[test]
    fn only_what_is_asked_with_http_is_a_url() {
        for (check, expected) in [
            (json!({"Type": "http"}), "http://"),
            (json!({"Type": "http", "PortLabel": "p", "Protocol": "https"}), "https://"),
            (json!({"Type": "http", "PortLabel": "admin"}), ""),
            (json!({"Type": "tcp"}), ""),
        ] {
            assert_eq!(scheme(&job(&check), "web"), expected, "{check}");
            assert_eq!(scheme(&job(&check), "other"), "");
        }
    }
}
