//! Which drivers' settings are known: the check of every task's `config` against its driver's own schema.

use std::collections::BTreeMap;

use driver::schema::{Findings, Schema};
use model::job::{FieldPath, Job, Remarks, Violation};
use model::suggest::nearest;

const SCHEMAS: [&Schema; 3] = [&driver_docker::SCHEMA, &driver_exec::RAW_EXEC, &driver_exec::EXEC];

/// Drivers that nodes of this version have.
const RUNNABLE: [&str; 3] = ["docker", "raw_exec", "mock_driver"];

/// Drivers known by name.
const NAMED: [&str; 6] = ["docker", "raw_exec", "exec", "java", "qemu", "podman"];

/// What the drivers say about a job's tasks. The settings of drivers without a schema are free.
pub fn remarks(job: &Job) -> Remarks {
    let mut all = Remarks::default();
    let no_config = BTreeMap::new();
    for (at, group) in job.task_groups.iter().flatten().enumerate() {
        let path = FieldPath::JOB.item("TaskGroups", at);
        for (at, task) in group.tasks.iter().flatten().enumerate() {
            let path = path.item("Tasks", at);
            let config = task.config.as_ref().unwrap_or(&no_config);
            if let Some(schema) = SCHEMAS.iter().find(|schema| schema.driver == task.driver) {
                let Findings { errors, unsupported, warnings } = schema.check(config, &path.field("Config"));
                all.errors.extend(errors);
                all.unsupported.extend(unsupported);
                all.warnings.extend(warnings);
                if !schema.mounts && task.volume_mounts.as_ref().is_some_and(|mounts| !mounts.is_empty()) {
                    let path = path.item("VolumeMounts", 0).into();
                    let message = format!("driver {:?} cannot mount volumes", task.driver);
                    let help = Some("use the docker driver, or the volume's own path on the host".to_owned());
                    all.unsupported.push(Violation { path, message, help, of_name: false });
                }
            }
            all.warnings.extend(foreign(&task.driver, path.field("Driver")));
        }
    }
    all
}

/// A driver that no node of this version has: the job waits.
fn foreign(driver: &str, path: FieldPath<'_>) -> Option<Violation> {
    if driver.is_empty() || RUNNABLE.contains(&driver) || driver.contains("${") {
        return None;
    }
    let help = match nearest(driver, NAMED.into_iter()) {
        Some(near) if near != driver => format!("did you mean {near:?}?"),
        _ => "use docker or raw_exec".to_owned(),
    };
    let message = format!("no node of this version has the driver {driver:?}: the job would wait for one");
    Some(Violation { path: path.into(), message, help: Some(help), of_name: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_with_their_own_driver() {
        let job: Job = serde_json::from_value(serde_json::json!({"TaskGroups": [{"Tasks": [
            {"Driver": "docker", "Config": {"imgae": "x"}},
            {"Driver": "raw_exec", "Config": {"command": "/bin/true", "oom_score_adj": 1}},
            {"Driver": "podman", "Config": {"anything": 1}},
            {"Driver": "dokcer"},
        ]}]}))
        .unwrap();
        let found = remarks(&job);
        let paths = |list: &[Violation]| list.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
        let of = |task: usize, field: &str| format!("TaskGroups[0].Tasks[{task}].{field}");
        assert_eq!(paths(&found.errors), [of(0, "Config.imgae"), of(0, "Config")]);
        assert_eq!(paths(&found.unsupported), [of(1, "Config.oom_score_adj")]);
        assert_eq!(paths(&found.warnings), [of(2, "Driver"), of(3, "Driver")]);
        assert_eq!(found.warnings[1].help.as_deref(), Some("did you mean \"docker\"?"));
    }
}
