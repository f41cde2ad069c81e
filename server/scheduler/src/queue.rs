//! Which evaluation is planned next: by priority, then age; one of a job at a time.

use std::collections::{BTreeMap, BTreeSet};

use model::evaluation::{EvalStatus, Evaluation};
use model::id::{EvalId, JobKey};
use model::time::Timestamp;

/// Orders ready evaluations: highest priority first, then the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    inverse_priority: i64,
    arrival: u64,
    id: EvalId,
}

/// Evaluations that wait for the planner. The leader fills it from the state and asks it what to plan.
#[derive(Clone, Debug, Default)]
pub struct EvalQueue {
    evals: BTreeMap<EvalId, Entry>,
    ready: BTreeSet<Rank>,
    delayed: BTreeSet<(Timestamp, EvalId)>,
    by_job: BTreeMap<JobKey, BTreeSet<EvalId>>,
    outstanding: BTreeMap<JobKey, EvalId>,
    arrivals: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    eval: Evaluation,
    rank: Rank,
}

impl EvalQueue {
    /// An empty queue.
    pub fn new() -> EvalQueue {
        EvalQueue::default()
    }

    /// Adds a pending evaluation, or replaces the one of the same id. Others than pending ones are not taken, and
    /// one that is being planned stays as it is.
    pub fn enqueue(&mut self, eval: Evaluation) {
        if eval.status != EvalStatus::Pending || self.outstanding.get(&eval.job) == Some(&eval.id) {
            return;
        }
        self.forget(eval.id);
        self.arrivals += 1;
        let rank = Rank { inverse_priority: -eval.priority, arrival: self.arrivals, id: eval.id };
        match eval.wait_until {
            Some(time) => self.delayed.insert((time, eval.id)),
            None => self.ready.insert(rank),
        };
        self.by_job.entry(eval.job.clone()).or_default().insert(eval.id);
        self.evals.insert(eval.id, Entry { eval, rank });
    }

    /// The next evaluation to plan; it stays outstanding until [`EvalQueue::done`] or [`EvalQueue::give_back`].
    /// Evaluations of a job that has one outstanding wait for it.
    pub fn dequeue(&mut self, now: Timestamp) -> Option<Evaluation> {
        self.release_due(now);
        let rank = *self.ready.iter().find(|rank| {
            self.evals.get(&rank.id).is_some_and(|entry| !self.outstanding.contains_key(&entry.eval.job))
        })?;
        self.ready.remove(&rank);
        let eval = self.evals.get(&rank.id)?.eval.clone();
        self.outstanding.insert(eval.job.clone(), eval.id);
        Some(eval)
    }

    /// The outstanding evaluation `id` was planned on the state as of `base_index`. Returns the waiting evaluations of
    /// the same job that this plan has answered too (they were last wanted before what it saw), as cancelled.
    pub fn done(&mut self, id: EvalId, base_index: u64) -> Vec<Evaluation> {
        let Some(entry) = self.evals.get(&id) else { return Vec::new() };
        let job = entry.eval.job.clone();
        self.outstanding.remove(&job);
        self.forget(id);
        let siblings: Vec<EvalId> = self.by_job.get(&job).into_iter().flatten().copied().collect();
        let mut cancelled = Vec::new();
        for sibling in siblings {
            let Some(entry) = self.evals.get(&sibling) else { continue };
            // A delayed one was made for a time that the plan may not have reached; one that was wanted again after
            // the plan's state asks for what the plan did not see.
            if entry.eval.wait_until.is_some() || entry.eval.modify_index > base_index {
                continue;
            }
            let mut eval = entry.eval.clone();
            self.forget(sibling);
            eval.status = EvalStatus::Cancelled;
            eval.status_description = format!("answered by evaluation {id} of the same job");
            cancelled.push(eval);
        }
        cancelled
    }

    /// The outstanding evaluation could not be planned or its plan was lost: it is ready again.
    pub fn give_back(&mut self, id: EvalId) {
        let Some(entry) = self.evals.get(&id) else { return };
        if self.outstanding.get(&entry.eval.job) == Some(&id) {
            self.outstanding.remove(&entry.eval.job);
            self.ready.insert(entry.rank);
        }
    }

    /// Takes an evaluation out, whatever its place.
    pub fn remove(&mut self, id: EvalId) {
        if let Some(entry) = self.evals.get(&id)
            && self.outstanding.get(&entry.eval.job) == Some(&id)
        {
            self.outstanding.remove(&entry.eval.job);
        }
        self.forget(id);
    }

    /// When the next delayed evaluation becomes ready, if there is one.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.delayed.first().map(|(time, _)| *time)
    }

    /// Evaluations in the queue, outstanding ones included.
    pub fn len(&self) -> usize {
        self.evals.len()
    }

    /// Whether nothing waits and nothing is outstanding.
    pub fn is_empty(&self) -> bool {
        self.evals.is_empty()
    }

    fn release_due(&mut self, now: Timestamp) {
        while let Some((time, id)) = self.delayed.first().copied() {
            if time > now {
                return;
            }
            self.delayed.pop_first();
            if let Some(entry) = self.evals.get(&id) {
                self.ready.insert(entry.rank);
            }
        }
    }

    fn forget(&mut self, id: EvalId) {
        let Some(entry) = self.evals.remove(&id) else { return };
        self.ready.remove(&entry.rank);
        if let Some(time) = entry.eval.wait_until {
            self.delayed.remove(&(time, id));
        }
        if let Some(ids) = self.by_job.get_mut(&entry.eval.job) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_job.remove(&entry.eval.job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(number: u128, job: &str, priority: i64, index: u64) -> Evaluation {
        Evaluation {
            id: EvalId(number),
            priority,
            job: JobKey::new("default", job),
            create_index: index,
            modify_index: index,
            ..Evaluation::default()
        }
    }

    #[test]
    fn priority_comes_first_then_age_and_a_job_is_planned_once_at_a_time() {
        let mut queue = EvalQueue::new();
        queue.enqueue(eval(1, "a", 50, 1));
        queue.enqueue(eval(2, "a", 50, 2));
        queue.enqueue(eval(3, "b", 50, 3));
        queue.enqueue(eval(4, "c", 80, 4));
        let mut next = || queue.dequeue(Timestamp(0)).map(|eval| eval.id.0);
        assert_eq!([next(), next(), next(), next()], [Some(4), Some(1), Some(3), None]);
        assert!(queue.done(EvalId(1), 1).is_empty());
        assert_eq!(queue.dequeue(Timestamp(0)).map(|eval| eval.id.0), Some(2));
    }

    #[test]
    fn a_plan_answers_older_evaluations_of_its_job() {
        let mut queue = EvalQueue::new();
        for number in 1..=4 {
            queue.enqueue(eval(number, "a", 50, number as u64));
        }
        let first = queue.dequeue(Timestamp(0)).unwrap();
        let cancelled = queue.done(first.id, 3);
        assert_eq!(cancelled.iter().map(|eval| eval.id.0).collect::<Vec<_>>(), [2, 3]);
        assert!(cancelled.iter().all(|eval| eval.status == EvalStatus::Cancelled));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn what_was_wanted_again_after_the_plan_s_state_is_planned_again() {
        let mut queue = EvalQueue::new();
        queue.enqueue(eval(1, "a", 50, 1));
        queue.enqueue(Evaluation { modify_index: 4, ..eval(2, "a", 50, 2) });
        let first = queue.dequeue(Timestamp(0)).unwrap();
        assert!(queue.done(first.id, 3).is_empty());
        assert_eq!(queue.dequeue(Timestamp(0)).map(|eval| eval.id), Some(EvalId(2)));
    }

    #[test]
    fn delayed_evaluations_wait_for_their_time() {
        let mut queue = EvalQueue::new();
        queue.enqueue(Evaluation { wait_until: Some(Timestamp(10)), ..eval(1, "a", 50, 1) });
        assert_eq!(queue.dequeue(Timestamp(9)), None);
        assert_eq!(queue.next_deadline(), Some(Timestamp(10)));
        assert_eq!(queue.dequeue(Timestamp(10)).map(|eval| eval.id.0), Some(1));
        queue.give_back(EvalId(1));
        assert_eq!(queue.dequeue(Timestamp(0)).map(|eval| eval.id.0), Some(1));
        queue.remove(EvalId(1));
        assert!(queue.is_empty() && queue.next_deadline().is_none());
    }
}
