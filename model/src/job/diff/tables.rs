//! What is particular to one place of a job when it is compared.

use serde_json::Value;

/// Members of a job that say nothing about what its user wants.
pub(super) const WRITTEN_BY_SERVER: &[&str] = &[
    "Status",
    "StatusDescription",
    "Stable",
    "Version",
    "VersionTag",
    "SubmitTime",
    "CreateIndex",
    "ModifyIndex",
    "JobModifyIndex",
    "NomadTokenID",
    "DispatchIdempotencyToken",
];

/// How a member is shown, with the name of its objects.
pub(super) enum Form<'a> {
    /// Not at all, or elsewhere.
    Hidden,
    /// As fields `name[key]` of the block it is in.
    Inline,
    /// As an object with a field for every value in it.
    Map(&'a str),
    /// As an object for each entry.
    Entries(&'a str),
    /// As an object for each element that only one side has.
    Set(&'a str),
    /// As what it is: a field, an object, an object for each element.
    Plain(&'a str),
}

/// How `member` of a block of the kind `kind` is shown. The kinds of blocks are the names of their objects.
pub(super) fn form<'a>(kind: &str, member: &'a str) -> Form<'a> {
    match (kind, member) {
        // A job's update strategy shows in its groups; clients know no spreads of a job.
        ("Job", "ID" | "TaskGroups" | "Update" | "Reschedule" | "Migrate" | "Spreads" | "Payload")
        | ("TaskGroup", "Name" | "Tasks")
        | ("Task", "Name" | "RestartPolicy" | "Lifecycle")
        | ("Update", "Stagger")
        | ("LogConfig", "Enabled")
        | ("Network", "Device" | "CIDR" | "IP" | "MBits")
        | ("Dynamic Port", "Value" | "IgnoreCollision")
        | ("Service", "CheckRestart")
        | ("Check", "Advertise")
        | ("Scaling", "ID" | "Namespace" | "CreateIndex" | "ModifyIndex") => Form::Hidden,
        (_, "Meta" | "CanaryMeta" | "Env" | "Header" | "TaggedAddresses" | "GetterOptions" | "GetterHeaders")
        | (_, "Target" | "Args") => Form::Inline,
        (_, "Config" | "Policy") => Form::Map(member),
        (_, "Volumes") => Form::Entries("Volume"),
        (_, "Constraints") => Form::Set("Constraint"),
        (_, "Affinities") => Form::Set("Affinity"),
        (_, "Spreads") => Form::Set("Spread"),
        (_, "SpreadTarget") => Form::Set("SpreadTarget"),
        (_, "Networks") => Form::Set("Network"),
        (_, "ReservedPorts") => Form::Set("Static Port"),
        (_, "DynamicPorts") => Form::Set("Dynamic Port"),
        (_, "Artifacts") => Form::Set("Artifact"),
        (_, "Templates") => Form::Set("Template"),
        (_, "VolumeMounts") => Form::Set("VolumeMount"),
        (_, "Services") => Form::Plain("Service"),
        (_, "Checks") => Form::Plain("Check"),
        (_, "Devices") => Form::Plain("Device"),
        (_, "Identities") => Form::Plain("Identity"),
        (_, "Actions") => Form::Plain("Action"),
        (_, "Secrets") => Form::Plain("Secret"),
        (_, "ScalingPolicies") => Form::Set("Scaling"),
        (_, "Connect") => Form::Plain("ConsulConnect"),
        _ => Form::Plain(member),
    }
}

/// Fields of a block that have this value where the document says nothing.
pub(super) fn defaults(kind: &str) -> &'static [(&'static str, &'static str)] {
    match kind {
        "Job" => &[("AllAtOnce", "false"), ("Stop", "false")],
        "TaskGroup" => &[("PreventRescheduleOnLost", "false")],
        "LogConfig" => &[("Disabled", "false")],
        "Resources" => &[
            ("CPU", "0"),
            ("Cores", "0"),
            ("DiskMB", "0"),
            ("IOPS", "0"),
            ("MemoryMB", "0"),
            ("MemoryMaxMB", "0"),
            ("SecretsMB", "0"),
        ],
        "Static Port" | "Dynamic Port" => &[("HostNetwork", "default")],
        _ => &[],
    }
}

/// Objects in the order in which clients show them; others follow by name.
const ORDER: &[&str] = &[
    "Datacenters",
    "Constraint",
    "Affinity",
    "Spread",
    "Config",
    "RestartPolicy",
    "Migrate",
    "ReschedulePolicy",
    "EphemeralDisk",
    "Update",
    "Resources",
    "LogConfig",
    "Identity",
    "Network",
    "Static Port",
    "Dynamic Port",
    "Service",
];

/// Where an object of this name stands among its like.
pub(super) fn rank(name: &str) -> usize {
    ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len())
}

/// The name of an element of a list, empty if it has none.
pub(super) fn name_of(item: &Value) -> String {
    item.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned()
}
