//! The job document: what a user writes, in Nomad's JSON names, nothing added and nothing lost.

mod canonicalise;
mod connect;
mod diff;
mod group;
mod network;
mod path;
mod placement;
mod policy;
mod same;
mod service;
mod support;
mod task;
mod validate;

pub use canonicalise::DEFAULT_PROVIDER;
pub use connect::*;
pub use diff::{DiffType, FieldDiff, JobDiff, ObjectDiff, TaskDiff, TaskGroupDiff, diff};
pub use group::*;
pub use network::*;
pub use path::FieldPath;
pub use placement::*;
pub use policy::*;
pub use same::{asks_the_same, unify_numbers};
pub use service::*;
pub use support::{Remarks, unsupported, warnings};
pub use task::*;
pub use validate::{Violation, validate};

use std::collections::BTreeMap;

use crate::go_json::go_json;

go_json! {
    /// A job: named task groups with the policies that hold for all of them. Users write it; the server adds indexes and status.
    pub struct Job {
        region: Option<String> = "Region",
        namespace: Option<String> = "Namespace",
        id: Option<String> = "ID",
        name: Option<String> = "Name",
        r#type: Option<String> = "Type",
        priority: Option<i64> = "Priority",
        all_at_once: Option<bool> = "AllAtOnce",
        datacenters: Option<Vec<String>> = "Datacenters",
        node_pool: Option<String> = "NodePool",
        constraints: Option<Vec<Constraint>> = "Constraints",
        affinities: Option<Vec<Affinity>> = "Affinities",
        task_groups: Option<Vec<TaskGroup>> = "TaskGroups",
        update: Option<UpdateStrategy> = "Update",
        multiregion: Option<Multiregion> = "Multiregion",
        spreads: Option<Vec<Spread>> = "Spreads",
        periodic: Option<PeriodicConfig> = "Periodic",
        parameterized_job: Option<ParameterizedJobConfig> = "ParameterizedJob",
        reschedule: Option<ReschedulePolicy> = "Reschedule",
        migrate: Option<MigrateStrategy> = "Migrate",
        meta: Option<BTreeMap<String, String>> = "Meta",
        ui: Option<JobUi> = "UI",
        stop: Option<bool> = "Stop",
        parent_id: Option<String> = "ParentID",
        dispatched: bool = "Dispatched",
        dispatch_idempotency_token: Option<String> = "DispatchIdempotencyToken",
        payload: Option<String> = "Payload",
        consul_namespace: Option<String> = "ConsulNamespace",
        vault_namespace: Option<String> = "VaultNamespace",
        nomad_token_id: Option<String> = "NomadTokenID",
        status: Option<String> = "Status",
        status_description: Option<String> = "StatusDescription",
        stable: Option<bool> = "Stable",
        version: Option<u64> = "Version",
        submit_time: Option<i64> = "SubmitTime",
        create_index: Option<u64> = "CreateIndex",
        modify_index: Option<u64> = "ModifyIndex",
        job_modify_index: Option<u64> = "JobModifyIndex",
        version_tag: Option<VersionTag> = "VersionTag",
    }
}

go_json! {
    /// When a periodic job is launched.
    pub struct PeriodicConfig {
        enabled: Option<bool> = "Enabled",
        spec: Option<String> = "Spec",
        specs: Option<Vec<String>> = "Specs",
        spec_type: Option<String> = "SpecType",
        prohibit_overlap: Option<bool> = "ProhibitOverlap",
        time_zone: Option<String> = "TimeZone",
    }
}

go_json! {
    /// What a dispatch of a parameterized job must and may carry.
    pub struct ParameterizedJobConfig {
        payload: String = "Payload",
        meta_required: Option<Vec<String>> = "MetaRequired",
        meta_optional: Option<Vec<String>> = "MetaOptional",
    }
}

go_json! {
    /// Regions a job spans; kept in the document, refused when run.
    pub struct Multiregion {
        strategy: Option<MultiregionStrategy> = "Strategy",
        regions: Option<Vec<MultiregionRegion>> = "Regions",
    }
}

go_json! {
    /// How a multiregion job rolls from region to region.
    pub struct MultiregionStrategy {
        max_parallel: Option<i64> = "MaxParallel",
        on_failure: Option<String> = "OnFailure",
    }
}

go_json! {
    /// One region of a multiregion job.
    pub struct MultiregionRegion {
        name: String = "Name",
        count: Option<i64> = "Count",
        datacenters: Option<Vec<String>> = "Datacenters",
        node_pool: String = "NodePool",
        meta: Option<BTreeMap<String, String>> = "Meta",
    }
}

go_json! {
    /// Text and links that a job shows in the web interface.
    pub struct JobUi {
        description: String = "Description",
        links: Option<Vec<JobUiLink>> = "Links",
    }
}

go_json! {
    /// One link of a job's `ui` block.
    pub struct JobUiLink {
        label: String = "Label",
        url: String = "URL",
    }
}

go_json! {
    /// A name that a user gave to one version of a job.
    pub struct VersionTag {
        name: String = "Name",
        description: String = "Description",
        tagged_time: i64 = "TaggedTime",
    }
}
