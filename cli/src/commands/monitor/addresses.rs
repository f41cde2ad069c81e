//! Where a job answers: the instances of its healthy copies, by service, each told once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::is_healthy;
use crate::output::json::{number, text};

/// Addresses of the instances that belong to healthy copies and are not in `shown`, by service; they are in it
/// afterwards. A service without a port has a name and no address.
pub(super) fn news<'a>(
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
        let addresses = news.entry(text(instance, &["ServiceName"])).or_default();
        let port = number(instance, &["Port"]);
        if port > 0 {
            addresses.push(format!("http://{}:{port}", text(instance, &["Address"])));
        }
    }
    news
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
        let instances = [instance("a", "web", 1), instance("b", "web", 2), instance("a", "name-only", 0)];
        let mut shown = BTreeSet::new();
        let first = news(&[&a, &b], &instances, &mut shown);
        assert_eq!(first, BTreeMap::from([("name-only", vec![]), ("web", vec!["http://192.0.2.2:1".to_owned()])]));
        assert_eq!(news(&[&a, &b], &instances, &mut shown), BTreeMap::new());
        let second = news(&[&a, &well], &instances, &mut shown);
        assert_eq!(second, BTreeMap::from([("web", vec!["http://192.0.2.2:2".to_owned()])]));
    }
}
