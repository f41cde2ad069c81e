//! What the drivers say of themselves.

use std::sync::Arc;
use std::time::Duration;

use driver::{Driver, Fingerprint};
use futures_util::future::join_all;
use model::node::{DriverInfo, Node};
use model::time::Timestamp;

/// A driver that does not answer within this time counts as unhealthy.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks all drivers at the same time.
pub(crate) async fn look(drivers: &[Arc<dyn Driver>]) -> Vec<(&'static str, Fingerprint)> {
    join_all(drivers.iter().map(|driver| async move {
        let print = tokio::time::timeout(PATIENCE, driver.fingerprint()).await.unwrap_or_else(|_| Fingerprint {
            detected: true,
            healthy: false,
            description: format!("the driver gave no answer within {PATIENCE:?}"),
            ..Fingerprint::default()
        });
        (driver.name(), print)
    }))
    .await
}

/// Writes what they said into the node: `driver.<name>` is there only while the driver is healthy.
pub(crate) fn apply(node: &mut Node, seen: &[(&'static str, Fingerprint)], now: Timestamp) {
    node.attributes.retain(|name, _| !name.starts_with("driver."));
    node.drivers.clear();
    for (name, print) in seen {
        let own = format!("driver.{name}");
        if print.detected {
            node.attributes.extend(print.attributes.clone());
        }
        if print.detected && print.healthy {
            node.attributes.insert(own, "1".to_owned());
        } else {
            node.attributes.remove(&own);
        }
        node.drivers.insert(
            (*name).to_owned(),
            DriverInfo {
                attributes: print.attributes.clone(),
                detected: print.detected,
                healthy: print.healthy,
                health_description: print.description.clone(),
                update_time: now.to_rfc3339(),
            },
        );
    }
}
