//! The `resources` block.

use model::job::{NumaResource, RequestedDevice, Resources};

use crate::block::Block;
use crate::{network, placement};

pub(crate) fn resources(block: &Block<'_>) -> Resources {
    Resources {
        cpu: block.get("cpu"),
        cores: block.get("cores"),
        memory_mb: block.get("memory"),
        memory_max_mb: block.get("memory_max"),
        disk_mb: block.get("disk"),
        secrets_mb: block.get("secrets"),
        iops: block.get("iops"),
        networks: block.many("network", &[], network::network),
        devices: block.many("device", &["name"], |block| RequestedDevice {
            name: block.label(0),
            count: block.get("count"),
            constraints: block.many("constraint", &[], placement::constraint),
            affinities: block.many("affinity", &[], placement::affinity),
        }),
        numa: block
            .one("numa", |block| NumaResource { affinity: block.get("affinity"), devices: block.get("devices") }),
    }
}
