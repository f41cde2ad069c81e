//! Allocations on the wire: copies that one plan made differ in little, so what they share is written once.
//!
//! A run is one whole allocation and the others that differ from it only in id, name, node and ports.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::allocation::{AllocatedPort, Allocation, Grant};
use crate::document::Document;
use crate::id::{AllocId, NodeId};
use crate::rpc::AllocWithJob;

#[derive(Serialize)]
struct RunRef<'a> {
    first: &'a Allocation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<OtherRef<'a>>,
}

#[derive(Deserialize)]
struct Run {
    first: Allocation,
    #[serde(default)]
    others: Vec<Other>,
}

#[derive(Serialize)]
struct OtherRef<'a> {
    id: AllocId,
    name: &'a str,
    node: NodeId,
    node_name: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    ports: &'a [AllocatedPort],
}

#[derive(Deserialize)]
struct Other {
    id: AllocId,
    name: String,
    node: NodeId,
    node_name: String,
    #[serde(default)]
    ports: Vec<AllocatedPort>,
}

fn is_empty(ports: &&[AllocatedPort]) -> bool {
    ports.is_empty()
}

/// Whether two allocations differ in nothing but id, name, node and ports.
fn same_run(left: &Allocation, right: &Allocation) -> bool {
    // Named one by one, so that a new field cannot be forgotten here.
    let Allocation {
        id: _,
        name: _,
        job,
        job_create_index,
        job_version,
        task_group,
        eval_id,
        node_id: _,
        node_name: _,
        grant: Grant { tasks, disk_mb, ports: _, volumes },
        priority,
        metrics,
        desired_status,
        desired_description,
        desired_transition,
        previous_allocation,
        next_allocation,
        starts_after,
        preempted,
        preempted_by,
        deployment_id,
        canary,
        unknown_since,
        followup_eval_id,
        reschedule_tracker,
        report,
        client_status,
        client_description,
        task_states,
        health,
        checks,
        driver_addresses,
        create_index,
        modify_index,
        alloc_modify_index,
        create_time,
        modify_time,
    } = left;
    let same_metrics = match (metrics, &right.metrics) {
        (Some(left), Some(right)) => Arc::ptr_eq(left, right) || left == right,
        (left, right) => left.is_none() && right.is_none(),
    };
    let numbers = (*job_create_index, *job_version, *create_index, *modify_index, *alloc_modify_index);
    let times = (*create_time, *modify_time);
    same_metrics
        && numbers
            == (
                right.job_create_index,
                right.job_version,
                right.create_index,
                right.modify_index,
                right.alloc_modify_index,
            )
        && times == (right.create_time, right.modify_time)
        && (*eval_id, *desired_status, *client_status) == (right.eval_id, right.desired_status, right.client_status)
        && (*previous_allocation, *next_allocation) == (right.previous_allocation, right.next_allocation)
        && (*deployment_id, *followup_eval_id) == (right.deployment_id, right.followup_eval_id)
        && (job, task_group) == (&right.job, &right.task_group)
        && (tasks, disk_mb, volumes) == (&right.grant.tasks, &right.grant.disk_mb, &right.grant.volumes)
        && (*priority, *canary, *unknown_since, *report)
            == (right.priority, right.canary, right.unknown_since, right.report)
        && (preempted, preempted_by) == (&right.preempted, &right.preempted_by)
        && (desired_description, desired_transition) == (&right.desired_description, &right.desired_transition)
        && (starts_after, reschedule_tracker) == (&right.starts_after, &right.reschedule_tracker)
        && (client_description, task_states) == (&right.client_description, &right.task_states)
        && (health, checks, driver_addresses) == (&right.health, &right.checks, &right.driver_addresses)
}

impl<'a> RunRef<'a> {
    /// Cuts a list into runs; its order is kept.
    fn cut(allocs: impl Iterator<Item = &'a Allocation>) -> Vec<RunRef<'a>> {
        let mut runs: Vec<RunRef<'a>> = Vec::new();
        for alloc in allocs {
            match runs.last_mut() {
                Some(run) if same_run(run.first, alloc) => run.others.push(OtherRef {
                    id: alloc.id,
                    name: &alloc.name,
                    node: alloc.node_id,
                    node_name: &alloc.node_name,
                    ports: &alloc.grant.ports,
                }),
                _ => runs.push(RunRef { first: alloc, others: Vec::new() }),
            }
        }
        runs
    }
}

impl Run {
    fn unfold(self, allocs: &mut Vec<Allocation>) {
        allocs.reserve(self.others.len() + 1);
        let first = allocs.len();
        allocs.push(self.first);
        for other in self.others {
            let run = &allocs[first];
            let alloc = Allocation {
                id: other.id,
                name: other.name,
                node_id: other.node,
                node_name: other.node_name,
                grant: Grant { ports: other.ports, ..run.grant.clone() },
                ..run.clone()
            };
            allocs.push(alloc);
        }
    }
}

/// For a field `Vec<Allocation>`.
pub(crate) mod allocs {
    use super::*;

    pub fn serialize<S: Serializer>(allocs: &[Allocation], serializer: S) -> Result<S::Ok, S::Error> {
        RunRef::cut(allocs.iter()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Allocation>, D::Error> {
        let mut allocs = Vec::new();
        Vec::<Run>::deserialize(deserializer)?.into_iter().for_each(|run| run.unfold(&mut allocs));
        Ok(allocs)
    }
}

/// For a field `Vec<AllocWithJob>`: neighbours of one job are written below it.
pub(crate) mod with_jobs {
    use super::*;

    #[derive(Serialize)]
    struct OfJobRef<'a> {
        job: &'a Document,
        runs: Vec<RunRef<'a>>,
    }

    #[derive(Deserialize)]
    struct OfJob {
        job: Arc<Document>,
        runs: Vec<Run>,
    }

    pub fn serialize<S: Serializer>(rows: &[AllocWithJob], serializer: S) -> Result<S::Ok, S::Error> {
        let same_job = |left: &AllocWithJob, right: &AllocWithJob| Arc::ptr_eq(&left.job, &right.job);
        let jobs = rows.chunk_by(same_job).filter_map(|rows| {
            let first = rows.first()?;
            Some(OfJobRef { job: &first.job, runs: RunRef::cut(rows.iter().map(|row| &row.alloc)) })
        });
        // A list says how long it is, so that nobody has to hold it back to count.
        jobs.collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AllocWithJob>, D::Error> {
        let mut rows = Vec::new();
        for of_job in Vec::<OfJob>::deserialize(deserializer)? {
            let mut allocs = Vec::new();
            of_job.runs.into_iter().for_each(|run| run.unfold(&mut allocs));
            rows.extend(allocs.into_iter().map(|alloc| AllocWithJob { alloc, job: of_job.job.clone() }));
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Plan;
    use crate::job::Job;
    use crate::rpc::PullAllocsReply;

    fn copies() -> Vec<Allocation> {
        let port = |value| AllocatedPort { label: "p".to_owned(), value, ..AllocatedPort::default() };
        let copy = |number: u128| Allocation {
            id: AllocId(number),
            name: format!("web.g[{number}]"),
            node_id: NodeId(number % 3),
            grant: Grant { ports: vec![port(number as u16)], ..Grant::default() },
            metrics: Some(Arc::default()),
            ..Allocation::default()
        };
        let mut copies: Vec<Allocation> = (1..9).map(copy).collect();
        copies[4].job_version = 7;
        copies[5].starts_after = vec![AllocId(1)];
        copies
    }

    #[test]
    fn what_is_written_once_is_read_for_each() {
        let plan = Plan { placements: copies(), ..Plan::default() };
        let bytes = rmp_serde::to_vec_named(&plan).unwrap();
        assert_eq!(rmp_serde::from_slice::<Plan>(&bytes).unwrap(), plan);
        assert_eq!(RunRef::cut(plan.placements.iter()).len(), 4);
    }

    #[test]
    fn rows_of_one_job_share_it() {
        let job = |id: &str| Arc::new(Document::from(Job { id: Some(id.to_owned()), ..Job::default() }));
        let jobs = [job("a"), job("b")];
        let rows = copies().into_iter().enumerate();
        let changed: Vec<_> = rows.map(|(n, alloc)| AllocWithJob { alloc, job: jobs[n / 4].clone() }).collect();
        let reply = PullAllocsReply { changed, ..PullAllocsReply::default() };
        let bytes = rmp_serde::to_vec_named(&reply).unwrap();
        let read: PullAllocsReply = rmp_serde::from_slice(&bytes).unwrap();
        let plain = |reply: &PullAllocsReply| -> Vec<_> {
            reply.changed.iter().map(|row| (row.alloc.clone(), row.job.head().key.clone())).collect()
        };
        assert_eq!(plain(&read), plain(&reply));
        assert!(Arc::ptr_eq(&read.changed[0].job, &read.changed[3].job));
    }
}
