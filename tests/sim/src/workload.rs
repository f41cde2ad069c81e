//! What users do: register, change, count up and down, stop and purge jobs; stop allocations; close and open nodes.

use model::id::{AllocId, JobKey};
use model::job::{Job, validate};
use model::node::Eligibility;
use serde_json::{Value, json};
use state::{Op, State};

use crate::agenda::Shared;
use crate::server::node_id;

/// Jobs that there may be.
const JOBS: u64 = 6;

/// The next thing a user does; none when it is about something that is not there.
///
/// # Errors
/// A job of ours that the model refuses.
pub fn next(shared: &mut Shared, state: &State, nodes: usize) -> Result<Option<Op>, String> {
    let number = shared.rng.below(JOBS);
    let key = JobKey::new("default", &format!("job-{number}"));
    Ok(match shared.rng.below(20) {
        0..=7 => Some(register(job(shared, number)?)),
        8..=11 => match state.job(&key) {
            Some(stored) => Some(register(changed(shared, stored.document.job()))),
            None => Some(register(job(shared, number)?)),
        },
        12 | 13 => Some(Op::DeregisterJob { key, purge: shared.rng.chance(40), eval_priority: 0 }),
        14..=16 => {
            let running: Vec<AllocId> =
                state.allocs().filter(|alloc| !alloc.is_terminal()).map(|alloc| alloc.id).collect();
            let at = shared.rng.position(running.len());
            running.get(at).map(|id| Op::StopAlloc { id: *id, no_shutdown_delay: shared.rng.chance(30) })
        }
        17 => Some(eligibility(shared, nodes, Eligibility::Ineligible)),
        _ => Some(eligibility(shared, nodes, Eligibility::Eligible)),
    })
}

fn eligibility(shared: &mut Shared, nodes: usize, eligibility: Eligibility) -> Op {
    Op::UpdateNodeEligibility { id: node_id(shared.rng.position(nodes)), eligibility }
}

fn register(job: Job) -> Op {
    Op::register(job)
}

/// The same job with another count, another environment (its copies are replaced) or another tag (they are not).
fn changed(shared: &mut Shared, document: &Job) -> Job {
    let mut job = document.clone();
    job.stop = Some(false);
    let number = shared.rng.below(1000);
    let choice = shared.rng.below(5);
    for group in job.task_groups.iter_mut().flatten() {
        match choice {
            0..=2 if job.r#type.as_deref() != Some("system") => group.count = Some(shared.rng.below(6) as i64),
            3 => {
                for service in group.services.iter_mut().flatten() {
                    service.tags = Some(vec![format!("tag-{number}")]);
                }
            }
            _ => {
                for task in group.tasks.iter_mut().flatten() {
                    task.env.get_or_insert_default().insert("SETTING".to_owned(), number.to_string());
                }
            }
        }
    }
    job
}

/// A random job.
///
/// # Errors
/// One that is not valid, which is a mistake here.
fn job(shared: &mut Shared, number: u64) -> Result<Job, String> {
    // A job keeps its type.
    let kind = ["service", "batch", "system", "service", "service", "batch"][number as usize % 6];
    let count = if kind == "system" { 1 } else { shared.rng.below(6) };
    let mut group = json!({
        "Name": "g", "Count": count, "EphemeralDisk": {"SizeMB": 400},
        "ShutdownDelay": if shared.rng.chance(30) { 1_500_000_000_i64 } else { 0 },
        "RestartPolicy": {"Attempts": shared.rng.below(3), "Interval": 20_000_000_000_i64, "Delay": 1_000_000_000_i64,
            "Mode": "fail"},
        "Tasks": tasks(shared),
    });
    if kind != "system" {
        group["ReschedulePolicy"] = json!({"Delay": 5_000_000_000_i64, "DelayFunction": "constant", "Unlimited": true});
    }
    if kind != "batch" {
        let max_parallel = 1 + shared.rng.below(3);
        group["Update"] = json!({"MaxParallel": max_parallel, "HealthyDeadline": 15_000_000_000_i64,
            "ProgressDeadline": 60_000_000_000_i64, "MinHealthyTime": 1_000_000_000_i64});
        let check = json!({"Name": "up", "Type": "tcp", "Interval": 2_000_000_000_i64, "Timeout": 1_000_000_000_i64});
        let service = json!({"Name": format!("service-{number}"), "PortLabel": "http", "Provider": "nomad",
            "Checks": if shared.rng.chance(60) { json!([check]) } else { json!([]) }});
        group["Services"] = json!([service]);
        group["Networks"] = json!([{"Mode": "host"}]);
        let port = if shared.rng.chance(40) { 8000 + shared.rng.below(3) } else { 0 };
        let list = if port > 0 { "ReservedPorts" } else { "DynamicPorts" };
        group["Networks"][0][list] = json!([{"Label": "http", "Value": port}]);
    }
    let priority = 20 + 10 * shared.rng.below(7);
    let document = json!({
        "ID": format!("job-{number}"), "Name": format!("job-{number}"), "Type": kind, "Datacenters": ["*"],
        "Priority": priority, "AllAtOnce": shared.rng.chance(10), "TaskGroups": [group],
    });
    let mut job: Job = serde_json::from_value(document).map_err(|error| format!("a job: {error}"))?;
    job.canonicalise();
    match validate(&job).first() {
        Some(violation) => Err(format!("a job of the workload is not valid: {violation:?}")),
        None => Ok(job),
    }
}

fn tasks(shared: &mut Shared) -> Vec<Value> {
    let (cpu, memory) = (50 + 50 * shared.rng.below(6), 50 + 50 * shared.rng.below(6));
    let timeout = 500 + shared.rng.below(4_000);
    let task = |name: &str, cpu: u64, memory: u64| {
        json!({"Name": name, "Driver": "mock_driver", "KillTimeout": timeout * 1_000_000,
            "Resources": {"CPU": cpu, "MemoryMB": memory}})
    };
    let mut tasks = vec![task("main", cpu, memory)];
    for (hook, percent) in [("prestart", 15), ("poststop", 10)] {
        if shared.rng.chance(percent) {
            let mut extra = task(hook, 20, 20);
            extra["Lifecycle"] = json!({"Hook": hook, "Sidecar": false});
            tasks.push(extra);
        }
    }
    if shared.rng.chance(15) {
        tasks.push(task("second", 20, 20));
    }
    tasks
}
