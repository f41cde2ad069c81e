//! Facts of recorded plans: which names, which order, what is shown beside a change.

use std::path::Path;

use serde_json::{Value, json};

use super::{DiffType, FieldDiff, JobDiff, ObjectDiff, diff};
use crate::job::Job;

/// How many of the recorded plans must be told exactly. Raise it with every improvement. The one that is not has
/// constraints that Nomad's server adds to groups with native services.
const EXACT_AT_LEAST: usize = 20;

fn job(document: Value) -> Job {
    let mut job: Job = serde_json::from_value(document).unwrap();
    job.canonicalise();
    job.fill_server_defaults();
    job
}

fn bakery() -> Value {
    json!({
        "ID": "bakery", "Datacenters": ["north"], "Meta": {"owner": "ann"},
        "TaskGroups": [{"Name": "oven", "Count": 2, "Tasks": [{
            "Name": "bake", "Driver": "raw_exec", "Env": {"HEAT": "low"},
            "Config": {"command": "/bin/sleep", "args": ["60"]},
            "Resources": {"CPU": 50, "MemoryMB": 32},
        }]}],
    })
}

fn edited(change: impl FnOnce(&mut Value)) -> JobDiff {
    let mut document = bakery();
    change(&mut document);
    diff(Some(&job(bakery())), Some(&job(document)))
}

fn line(field: &FieldDiff) -> String {
    let sign = match field.r#type {
        DiffType::None => ' ',
        DiffType::Added => '+',
        DiffType::Deleted => '-',
        DiffType::Edited => '~',
    };
    format!("{sign}{}: {:?} {:?}", field.name, field.old, field.new)
}

fn lines(fields: &Option<Vec<FieldDiff>>) -> Vec<String> {
    fields.iter().flatten().map(line).collect()
}

fn object_names(objects: &Option<Vec<ObjectDiff>>) -> Vec<&str> {
    objects.iter().flatten().map(|object| object.name.as_str()).collect()
}

#[test]
fn a_new_job_is_added_whole() {
    let diff = diff(None, Some(&job(bakery())));
    assert_eq!((diff.r#type, diff.id.as_str()), (DiffType::Added, "bakery"));
    let fields = lines(&diff.fields);
    assert_eq!(fields[..2], ["+AllAtOnce: \"\" \"false\"", "+Dispatched: \"\" \"false\""]);
    assert!(fields.contains(&"+Meta[owner]: \"\" \"ann\"".to_owned()), "{fields:?}");
    assert_eq!(object_names(&diff.objects), ["Datacenters"]);
    let group = &diff.task_groups.as_ref().unwrap()[0];
    assert_eq!(lines(&group.fields), ["+Count: \"\" \"2\"", "+PreventRescheduleOnLost: \"\" \"false\""]);
    let blocks = ["RestartPolicy", "Migrate", "ReschedulePolicy", "EphemeralDisk", "Update"];
    assert_eq!(object_names(&group.objects), blocks);
    let task = &group.tasks.as_ref().unwrap()[0];
    assert_eq!(object_names(&task.objects), ["Config", "Resources", "LogConfig", "Identity"]);
    let config = &task.objects.as_ref().unwrap()[0];
    assert_eq!(lines(&config.fields), ["+args[0]: \"\" \"60\"", "+command: \"\" \"/bin/sleep\""]);
    let identity = &task.objects.as_ref().unwrap()[3];
    assert!(lines(&identity.fields).contains(&" Filepath: \"\" \"\"".to_owned()), "empty texts of a block are shown");
    assert_eq!(object_names(&identity.objects), ["Audience"]);
}

#[test]
fn an_unchanged_job_still_lists_its_groups_and_tasks() {
    let mut stored = job(bakery());
    (stored.version, stored.job_modify_index, stored.stable) = (Some(4), Some(90), Some(true));
    stored.status = Some("running".to_owned());
    let diff = diff(Some(&stored), Some(&job(bakery())));
    let expected = json!({"Type": "None", "ID": "bakery", "Fields": null, "Objects": null, "TaskGroups": [{
        "Type": "None", "Name": "oven", "Fields": null, "Objects": null, "Updates": null, "Tasks": [{
            "Type": "None", "Name": "bake", "Fields": null, "Objects": null, "Annotations": null,
        }],
    }]});
    assert_eq!(serde_json::to_value(diff).unwrap(), expected);
}

#[test]
fn a_changed_block_shows_what_stayed() {
    let diff = edited(|job| {
        job["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"] = json!(64);
        job["TaskGroups"][0]["Tasks"][0]["Env"] = json!({"HEAT": "high", "NEW": "1"});
    });
    let group = &diff.task_groups.as_ref().unwrap()[0];
    assert_eq!((diff.r#type, group.r#type), (DiffType::Edited, DiffType::Edited));
    let task = &group.tasks.as_ref().unwrap()[0];
    assert_eq!(lines(&task.fields), ["~Env[HEAT]: \"low\" \"high\"", "+Env[NEW]: \"\" \"1\""]);
    let resources = lines(&task.objects.as_ref().unwrap()[0].fields);
    assert_eq!(resources[0], " CPU: \"50\" \"50\"");
    assert_eq!(resources[4], "~MemoryMB: \"32\" \"64\"");
}

#[test]
fn meta_of_the_job_leaves_its_groups_alone() {
    let diff = edited(|job| job["Meta"] = json!({"shift": "night"}));
    assert_eq!(lines(&diff.fields), ["-Meta[owner]: \"ann\" \"\"", "+Meta[shift]: \"\" \"night\""]);
    assert_eq!(diff.task_groups.unwrap()[0].r#type, DiffType::None);
}

#[test]
fn a_renamed_group_is_one_added_and_one_deleted_by_name() {
    let diff = edited(|job| job["TaskGroups"][0]["Name"] = json!("stove"));
    let groups: Vec<_> = diff.task_groups.iter().flatten().map(|group| (group.name.as_str(), group.r#type)).collect();
    assert_eq!(groups, [("oven", DiffType::Deleted), ("stove", DiffType::Added)]);
}

#[test]
fn a_nameless_block_that_changed_is_replaced() {
    let network = |value: i64| json!([{"ReservedPorts": [{"Label": "admin", "Value": value}]}]);
    let with = |value: i64| {
        let mut document = bakery();
        document["TaskGroups"][0]["Networks"] = network(value);
        job(document)
    };
    let diff = diff(Some(&with(9100)), Some(&with(9200)));
    let objects = diff.task_groups.as_ref().unwrap()[0].objects.as_ref().unwrap();
    assert_eq!(objects.iter().map(|object| object.r#type).collect::<Vec<_>>(), [DiffType::Added, DiffType::Deleted]);
    let port = &objects[0].objects.as_ref().unwrap()[0];
    assert_eq!(port.name, "Static Port");
    assert!(lines(&port.fields).contains(&"+HostNetwork: \"\" \"default\"".to_owned()));
}

#[test]
fn a_service_is_edited_under_its_name() {
    let with = |path: &str| {
        let check = json!({"Name": "up", "Type": "http", "Path": path, "Interval": 5_000_000_000_i64, "Timeout": 1});
        let mut document = bakery();
        let services = json!([{"Name": "shop", "Provider": "nomad", "Tags": [path, "all"], "Checks": [check]}]);
        document["TaskGroups"][0]["Services"] = services;
        job(document)
    };
    let diff = diff(Some(&with("/")), Some(&with("/health")));
    let service = &diff.task_groups.as_ref().unwrap()[0].objects.as_ref().unwrap()[0];
    assert_eq!((service.name.as_str(), service.r#type), ("Service", DiffType::Edited));
    assert!(lines(&service.fields).contains(&" Namespace: \"default\" \"default\"".to_owned()));
    assert_eq!(object_names(&service.objects), ["Check", "Tags"]);
    let objects = service.objects.as_ref().unwrap();
    assert!(lines(&objects[0].fields).contains(&"~Path: \"/\" \"/health\"".to_owned()));
    let tags = ["-Tags: \"/\" \"\"", "+Tags: \"\" \"/health\"", " Tags: \"all\" \"all\""];
    assert_eq!(lines(&objects[1].fields), tags);
}

/// The recorded diff without what the planner adds to it.
fn without_annotations(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if name == "Annotations" || name == "Updates" {
                    *value = Value::Null;
                }
                without_annotations(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_annotations),
        _ => {}
    }
}

#[test]
fn recorded_plans_are_told_as_recorded() {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/api/jobs-plan.json");
    let Ok(text) = std::fs::read(&recordings) else {
        assert!(std::env::var_os("DROVER_CORPUS_REQUIRED").is_none(), "the recordings are required and not here");
        println!("no recordings at {}: nothing compared", recordings.display());
        return;
    };
    let exchanges: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let planned = |exchange: &Value| job(exchange["request"]["body"]["Job"].clone());
    let recorded = |exchange: &Value| exchange["response"]["body"].get("Diff").filter(|diff| diff.is_object()).cloned();
    let unchanged = |exchange: &&Value| recorded(exchange).is_some_and(|diff| diff["Type"] == "None");
    let stored = planned(exchanges.iter().find(unchanged).unwrap());
    let (mut compared, mut exact) = (0, 0);
    for exchange in &exchanges {
        let Some(mut wanted) = recorded(exchange) else { continue };
        without_annotations(&mut wanted);
        let new = planned(exchange);
        let old = Some(&stored).filter(|old| old.id == new.id);
        let told = serde_json::to_value(diff(old, Some(&new))).unwrap();
        compared += 1;
        if told == wanted {
            exact += 1;
        } else {
            println!("{}:\n  told     {told}\n  recorded {wanted}", exchange["name"]);
        }
    }
    println!("{exact} of {compared} recorded plans told exactly");
    assert!(exact >= EXACT_AT_LEAST, "{exact} of {compared} told exactly, {EXACT_AT_LEAST} were before");
}
