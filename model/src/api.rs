//! Bodies of HTTP requests and answers that are not nouns of their own, in Nomad's JSON.

use std::collections::BTreeMap;

use crate::evaluation::DesiredUpdates;
use crate::go_json::go_json;
use crate::id::EvalId;
use crate::job::Job;
use crate::metric::AllocMetric;

go_json! {
    /// Body of a job's registration, validation and plan.
    pub struct JobRequest {
        job: Option<Box<Job>> = "Job",
        enforce_index: bool = "EnforceIndex",
        job_modify_index: u64 = "JobModifyIndex",
        policy_override: bool = "PolicyOverride",
        preserve_counts: bool = "PreserveCounts",
        preserve_resources: bool = "PreserveResources",
        eval_priority: i64 = "EvalPriority",
        diff: bool = "Diff",
        submission: Option<JobSubmission> = "Submission",
    }
}

go_json! {
    /// The text that a job was parsed from.
    pub struct JobSubmission {
        source: String = "Source",
        format: String = "Format",
        variable_flags: Option<BTreeMap<String, String>> = "VariableFlags",
        variables: String = "Variables",
    }
}

go_json! {
    /// Body of `/v1/jobs/parse`.
    pub struct ParseRequest {
        job_hcl: String = "JobHCL",
        variables: String = "Variables",
        canonicalize: bool = "Canonicalize",
    }
}

go_json! {
    /// Answer to a registration.
    pub struct JobRegisterReply {
        eval_id: String = "EvalID",
        eval_create_index: u64 = "EvalCreateIndex",
        job_modify_index: u64 = "JobModifyIndex",
        warnings: String = "Warnings",
        index: u64 = "Index",
        last_contact: u64 = "LastContact",
        known_leader: bool = "KnownLeader",
        next_token: String = "NextToken",
    }
}

go_json! {
    /// Answer to `/v1/validate/job`.
    pub struct JobValidateReply {
        driver_config_validated: bool = "DriverConfigValidated",
        validation_errors: Option<Vec<String>> = "ValidationErrors",
        error: String = "Error",
        warnings: String = "Warnings",
    }
}

go_json! {
    /// Answer to a dry run.
    pub struct JobPlanReply {
        annotations: Option<PlanAnnotations> = "Annotations",
        failed_tg_allocs: Option<BTreeMap<String, AllocMetric>> = "FailedTGAllocs",
        job_modify_index: u64 = "JobModifyIndex",
        created_evals: Option<Vec<serde_json::Value>> = "CreatedEvals",
        diff: Option<serde_json::Value> = "Diff",
        next_periodic_launch: String = "NextPeriodicLaunch",
        warnings: String = "Warnings",
        index: u64 = "Index",
    }
}

go_json! {
    /// What a plan would do, by group.
    pub struct PlanAnnotations {
        desired_tg_updates: Option<BTreeMap<String, DesiredUpdates>> = "DesiredTGUpdates",
        preempted_allocs: Option<Vec<serde_json::Value>> = "PreemptedAllocs",
    }
}

go_json! {
    /// Counts of a job's allocations.
    pub struct JobSummary {
        job_id: String = "JobID",
        namespace: String = "Namespace",
        summary: BTreeMap<String, TaskGroupSummary> = "Summary",
        children: JobChildrenSummary = "Children",
        create_index: u64 = "CreateIndex",
        modify_index: u64 = "ModifyIndex",
    }
}

go_json! {
    /// Counts of a group's allocations by what they are doing.
    pub struct TaskGroupSummary {
        queued: u64 = "Queued",
        complete: u64 = "Complete",
        failed: u64 = "Failed",
        running: u64 = "Running",
        starting: u64 = "Starting",
        lost: u64 = "Lost",
        unknown: u64 = "Unknown",
    }
}

go_json! {
    /// Counts of the jobs that a periodic or parameterized job has launched.
    pub struct JobChildrenSummary {
        pending: i64 = "Pending",
        running: i64 = "Running",
        dead: i64 = "Dead",
    }
}

go_json! {
    /// Answer to a stop of an allocation.
    pub struct AllocStopReply {
        eval_id: EvalId = "EvalID",
        index: u64 = "Index",
    }
}

go_json! {
    /// One instance of a service.
    pub struct ServiceRegistration {
        id: String = "ID",
        service_name: String = "ServiceName",
        namespace: String = "Namespace",
        node_id: crate::id::NodeId = "NodeID",
        datacenter: String = "Datacenter",
        job_id: String = "JobID",
        alloc_id: crate::id::AllocId = "AllocID",
        tags: Vec<String> = "Tags",
        address: String = "Address",
        port: i64 = "Port",
        create_index: u64 = "CreateIndex",
        modify_index: u64 = "ModifyIndex",
    }
}
