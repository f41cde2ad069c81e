//! What this version makes of a valid job: what it cannot run, what has no effect here, what is spelled in an old way.
//!
//! Nothing in a job is ignored in silence. What a job cannot do without is refused when it is run
//! ([`unsupported`]); everything else is warned about ([`warnings`]). A feature that is carried out loses its line here.

mod idle;
mod legacy;
mod missing;

use std::fmt::Display;

use super::validate::{Violation, validate, validate_canonical};
use super::{FieldPath, Job, Service, Task, TaskGroup};

/// What the job needs and this version does not have: it must not run without.
pub fn unsupported(job: &Job) -> Vec<Violation> {
    let mut notes = Notes::default();
    missing::look(job, &mut notes);
    notes.list
}

/// What deserves a look: old spellings, and what has no effect here.
pub fn warnings(job: &Job) -> Vec<Violation> {
    let mut notes = Notes::default();
    legacy::look(job, &mut notes);
    idle::look(job, &mut notes);
    notes.list
}

/// What rules say about a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// What is wrong.
    pub errors: Vec<Violation>,
    /// What is right and cannot be run by this version.
    pub unsupported: Vec<Violation>,
    /// What deserves a look.
    pub warnings: Vec<Violation>,
}

impl Remarks {
    /// All that this crate can tell without knowing drivers.
    pub fn of(job: &Job) -> Remarks {
        Remarks { errors: validate(job), unsupported: unsupported(job), warnings: warnings(job) }
    }

    /// As [`Remarks::of`], of a canonical job.
    pub fn of_canonical(job: &Job) -> Remarks {
        Remarks { errors: validate_canonical(job), unsupported: unsupported(job), warnings: warnings(job) }
    }

    /// These and others.
    pub fn and(mut self, others: Remarks) -> Remarks {
        self.errors.extend(others.errors);
        self.unsupported.extend(others.unsupported);
        self.warnings.extend(others.warnings);
        self
    }
}

/// Collects what is said about a job.
#[derive(Default)]
struct Notes {
    list: Vec<Violation>,
}

impl Notes {
    /// Says `message` about the field at `path` when `wanted` holds.
    fn when(&mut self, wanted: bool, path: impl Display, message: impl Display, help: impl Display) {
        if wanted {
            let help = Some(help.to_string()).filter(|help| !help.is_empty());
            self.list.push(Violation { path: path.to_string(), message: message.to_string(), help, of_name: false });
        }
    }
}

/// The groups with their paths.
fn groups(job: &Job) -> impl Iterator<Item = (FieldPath<'static>, &TaskGroup)> {
    job.task_groups.iter().flatten().enumerate().map(|(at, group)| (FieldPath::JOB.item("TaskGroups", at), group))
}

/// The tasks of a group with their paths.
fn tasks<'j>(path: &'j FieldPath<'j>, group: &'j TaskGroup) -> impl Iterator<Item = (FieldPath<'j>, &'j Task)> {
    group.tasks.iter().flatten().enumerate().map(move |(at, task)| (path.item("Tasks", at), task))
}

/// Looks at each service of a group and of its tasks, with its path.
fn services(path: &FieldPath<'_>, group: &TaskGroup, mut look: impl FnMut(&FieldPath<'_>, &Service)) {
    for (at, service) in group.services.iter().flatten().enumerate() {
        look(&path.item("Services", at), service);
    }
    for (path, task) in tasks(path, group) {
        for (at, service) in task.services.iter().flatten().enumerate() {
            look(&path.item("Services", at), service);
        }
    }
}

/// Whether a list is there and has items.
fn some<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{
        CsiPluginConfig, NetworkResource, Resources, TaskArtifact, Template, UpdateStrategy, Vault, VolumeRequest,
    };

    fn job_of(group: TaskGroup) -> Job {
        Job { id: Some("j".to_owned()), task_groups: Some(vec![group]), ..Job::default() }
    }

    fn paths(found: &[Violation]) -> Vec<&str> {
        found.iter().map(|one| one.path.as_str()).collect()
    }

    #[test]
    fn what_cannot_run_is_refused_at_its_place() {
        let task = Task {
            templates: Some(vec![Template::default()]),
            artifacts: Some(vec![TaskArtifact::default()]),
            vault: Some(Vault::default()),
            csi_plugin_config: Some(CsiPluginConfig::default()),
            ..Task::default()
        };
        let volume = VolumeRequest { r#type: "csi".to_owned(), ..VolumeRequest::default() };
        let group = TaskGroup {
            tasks: Some(vec![task]),
            volumes: Some([("data".to_owned(), volume)].into()),
            networks: Some(vec![NetworkResource { mode: "cni/x".to_owned(), ..NetworkResource::default() }]),
            ..TaskGroup::default()
        };
        let expected = [
            "TaskGroups[0].Volumes.data.Type",
            "TaskGroups[0].Networks[0].Mode",
            "TaskGroups[0].Tasks[0].Templates[0]",
            "TaskGroups[0].Tasks[0].Artifacts[0]",
            "TaskGroups[0].Tasks[0].Vault",
            "TaskGroups[0].Tasks[0].CSIPluginConfig",
        ];
        assert_eq!(paths(&unsupported(&job_of(group))), expected);
    }

    #[test]
    fn a_plain_job_with_all_defaults_says_nothing() {
        let task = Task { driver: "docker".to_owned(), resources: Some(Resources::default()), ..Task::default() };
        let mut job = job_of(TaskGroup { tasks: Some(vec![task]), ..TaskGroup::default() });
        job.canonicalise();
        job.fill_server_defaults();
        assert_eq!((unsupported(&job), warnings(&job)), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_has_no_effect_is_warned_about() {
        let update = UpdateStrategy { canary: Some(1), auto_revert: Some(true), ..UpdateStrategy::default() };
        let group = TaskGroup { update: Some(update), ..TaskGroup::default() };
        let expected = ["TaskGroups[0].Update.Canary", "TaskGroups[0].Update.AutoRevert"];
        assert_eq!(paths(&warnings(&job_of(group))), expected);
    }
}
