//! Task groups: the unit that is placed on a node as a whole.

use std::collections::BTreeMap;

use super::{
    Affinity, Constraint, DisconnectStrategy, MigrateStrategy, NetworkResource, ReschedulePolicy, RestartPolicy,
    Service, Spread, Task, UpdateStrategy,
};
use crate::go_json::go_json;
use crate::time::GoDuration;

go_json! {
    /// Tasks that run together on one node, `count` times.
    pub struct TaskGroup {
        name: Option<String> = "Name",
        count: Option<i64> = "Count",
        constraints: Option<Vec<Constraint>> = "Constraints",
        affinities: Option<Vec<Affinity>> = "Affinities",
        tasks: Option<Vec<Task>> = "Tasks",
        spreads: Option<Vec<Spread>> = "Spreads",
        volumes: Option<BTreeMap<String, VolumeRequest>> = "Volumes",
        restart_policy: Option<RestartPolicy> = "RestartPolicy",
        disconnect: Option<DisconnectStrategy> = "Disconnect",
        reschedule_policy: Option<ReschedulePolicy> = "ReschedulePolicy",
        ephemeral_disk: Option<EphemeralDisk> = "EphemeralDisk",
        update: Option<UpdateStrategy> = "Update",
        migrate: Option<MigrateStrategy> = "Migrate",
        networks: Option<Vec<NetworkResource>> = "Networks",
        meta: Option<BTreeMap<String, String>> = "Meta",
        services: Option<Vec<Service>> = "Services",
        shutdown_delay: Option<GoDuration> = "ShutdownDelay",
        stop_after_client_disconnect: Option<GoDuration> = "StopAfterClientDisconnect",
        max_client_disconnect: Option<GoDuration> = "MaxClientDisconnect",
        max_run_duration: Option<GoDuration> = "MaxRunDuration",
        scaling: Option<ScalingPolicy> = "Scaling",
        consul: Option<Consul> = "Consul",
        prevent_reschedule_on_lost: Option<bool> = "PreventRescheduleOnLost",
    }
}

go_json! {
    /// The disk shared by the tasks of an allocation. Sizes are in MB.
    pub struct EphemeralDisk {
        sticky: Option<bool> = "Sticky",
        size_mb: Option<i64> = "SizeMB",
        migrate: Option<bool> = "Migrate",
    }
}

go_json! {
    /// A volume that a group asks for.
    pub struct VolumeRequest {
        name: String = "Name",
        r#type: String = "Type",
        source: String = "Source",
        read_only: bool = "ReadOnly",
        sticky: bool = "Sticky",
        access_mode: String = "AccessMode",
        attachment_mode: String = "AttachmentMode",
        mount_options: Option<CsiMountOptions> = "MountOptions",
        per_alloc: bool = "PerAlloc",
    }
}

impl VolumeRequest {
    /// The volume of the copy with this index: `data[2]` when each has its own.
    pub fn source_for(&self, index: u32) -> String {
        if self.per_alloc { format!("{}[{index}]", self.source) } else { self.source.clone() }
    }
}

go_json! {
    /// File system and flags of a mounted volume.
    pub struct CsiMountOptions {
        fs_type: String = "FSType",
        mount_flags: Option<Vec<String>> = "MountFlags",
    }
}

go_json! {
    /// Bounds for scaling a group or a task; `policy` is opaque.
    pub struct ScalingPolicy {
        id: String = "ID",
        namespace: String = "Namespace",
        r#type: String = "Type",
        target: Option<BTreeMap<String, String>> = "Target",
        enabled: Option<bool> = "Enabled",
        min: Option<i64> = "Min",
        max: Option<i64> = "Max",
        policy: Option<BTreeMap<String, serde_json::Value>> = "Policy",
        create_index: u64 = "CreateIndex",
        modify_index: u64 = "ModifyIndex",
    }
}

go_json! {
    /// Consul settings of a group or task; kept in the document.
    pub struct Consul {
        namespace: String = "Namespace",
        cluster: String = "Cluster",
        partition: String = "Partition",
    }
}
