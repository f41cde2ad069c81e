//! The `resources` block.

use model::job::{NumaResource, RequestedDevice, Resources};

use crate::block::Block;
use crate::{network, placement};

pub(crate) fn resources(block: &Block<'_>) -> Resources {
    if let Some(span) = block.place_of_block("network") {
        block.session.warn(
            "network inside resources is the old spelling",
            span,
            "move it to the group, with the port inside the container as `to`:\nnetwork {\n  port \"http\" {\n    to = 80\n  }\n}",
        );
    }
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
