//! Job status and counts, derived from allocations and evaluations each time they are read.

use std::collections::{BTreeMap, BTreeSet};

use model::allocation::ClientStatus;
use model::api::{JobChildrenSummary, JobSummary, TaskGroupSummary};
use model::compiled::JobKind;
use model::evaluation::EvalStatus;
use model::id::JobKey;
use model::job::Job;

use crate::row::StoredJob;
use crate::state::State;

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobStatus {
    /// Its evaluation waits for the planner, or copies wait for room.
    Pending,
    /// Copies run or are about to, or it is a template or system job that was not stopped.
    Running,
    /// Nothing runs and nothing will.
    Dead,
}

impl JobStatus {
    /// Nomad's name.
    pub fn as_str(self) -> &'static str {
        match self {
            JobStatus::Pending => "pending",
            JobStatus::Running => "running",
            JobStatus::Dead => "dead",
        }
    }
}

/// How much of what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkCounts {
    /// Jobs by what they are doing.
    pub jobs: BTreeMap<JobStatus, usize>,
    /// Evaluations that have not ended, by status.
    pub evals: BTreeMap<EvalStatus, usize>,
}

impl State {
    /// What a job is doing; none when there is no such job.
    pub fn job_status(&self, key: &JobKey) -> Option<JobStatus> {
        self.jobs.get(key).map(|job| self.status_of(key, job))
    }

    /// How many jobs and evaluations do what. Looks at every evaluation once, and not at those of each job.
    pub fn work_counts(&self) -> WorkCounts {
        let mut counts = WorkCounts::default();
        let mut waiting: BTreeSet<&JobKey> = BTreeSet::new();
        for (_, eval) in self.evals.in_slots().filter(|(_, eval)| !eval.status.is_terminal()) {
            waiting.insert(&eval.job);
            *counts.evals.entry(eval.status).or_default() += 1;
        }
        for (key, job) in self.jobs() {
            *counts.jobs.entry(self.status_if(key, job, || waiting.contains(key))).or_default() += 1;
        }
        counts
    }

    /// The current document of a job with its present `Status` filled in, as the API shows it.
    pub fn job_document(&self, key: &JobKey) -> Option<Job> {
        let job = self.jobs.get(key)?;
        let status = self.status_of(key, job).as_str().to_owned();
        Some(job.document.peek(|job| Job { status: Some(status), ..job.clone() }))
    }

    fn status_of(&self, key: &JobKey, job: &StoredJob) -> JobStatus {
        self.status_if(key, job, || self.evals_of_job(key).any(|eval| !eval.status.is_terminal()))
    }

    /// `waits` tells whether an evaluation of the job is open.
    fn status_if(&self, key: &JobKey, job: &StoredJob, waits: impl FnOnce() -> bool) -> JobStatus {
        if self.alloc_rows_of_job(key).any(|row| !row.is_terminal()) {
            return JobStatus::Running;
        }
        let lasting = job.head().is_template || job.head().kind == JobKind::System;
        if lasting && !job.head().stopped {
            return JobStatus::Running;
        }
        if waits() { JobStatus::Pending } else { JobStatus::Dead }
    }

    /// Counts of a job's allocations by group. Allocations that were collected are no longer counted.
    pub fn job_summary(&self, key: &JobKey) -> Option<JobSummary> {
        let job = self.jobs.get(key)?;
        let create_index = job.head().create_index;
        let mut summary = JobSummary {
            job_id: key.id.to_string(),
            namespace: key.namespace.to_string(),
            create_index,
            modify_index: job.head().modify_index,
            children: self.children_of(key, job),
            ..JobSummary::default()
        };
        let groups = |document: &Job| -> Vec<String> {
            document.task_groups.iter().flatten().map(|group| group.name.clone().unwrap_or_default()).collect()
        };
        for name in job.document.peek(groups) {
            summary.summary.insert(name, TaskGroupSummary::default());
        }
        for row in self.alloc_rows_of_job(key).filter(|row| row.job_version().0 == create_index) {
            if !summary.summary.contains_key(row.task_group()) {
                summary.summary.insert(row.task_group().to_owned(), TaskGroupSummary::default());
            }
            if let Some(counts) = summary.summary.get_mut(row.task_group()) {
                count(counts, row.client_status());
            }
            summary.modify_index = summary.modify_index.max(row.modify_index());
        }
        let planned = self.evals_of_job(key).filter(|eval| eval.snapshot_index >= create_index);
        let latest = planned.max_by_key(|eval| (eval.snapshot_index, eval.modify_index, eval.create_index));
        for (group, queued) in latest.iter().flat_map(|eval| &eval.queued_allocations) {
            if let Some(counts) = summary.summary.get_mut(group) {
                counts.queued = *queued;
            }
        }
        Some(summary)
    }

    /// Launched jobs are named `<parent>/...`.
    fn children_of(&self, key: &JobKey, job: &StoredJob) -> JobChildrenSummary {
        let mut children = JobChildrenSummary::default();
        if !job.head().is_template {
            return children;
        }
        let prefix = format!("{}/", key.id);
        for (child, job) in self.jobs_with_prefix(&key.namespace, &prefix) {
            match self.status_of(child, job) {
                JobStatus::Pending => children.pending += 1,
                JobStatus::Running => children.running += 1,
                JobStatus::Dead => children.dead += 1,
            }
        }
        children
    }
}

fn count(counts: &mut TaskGroupSummary, status: ClientStatus) {
    let field = match status {
        ClientStatus::Pending => &mut counts.starting,
        ClientStatus::Running => &mut counts.running,
        ClientStatus::Complete => &mut counts.complete,
        ClientStatus::Failed => &mut counts.failed,
        ClientStatus::Lost => &mut counts.lost,
        ClientStatus::Unknown => &mut counts.unknown,
    };
    *field += 1;
}
