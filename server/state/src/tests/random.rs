//! Random sequences of commands: whatever comes, the state stays sound and replicas stay equal.

use std::collections::BTreeMap;

use model::allocation::{Allocation, ClientStatus};
use model::evaluation::{EvalStatus, Evaluation, Plan};
use model::id::{AllocId, JobKey, NodeId, Seed};
use model::job::VersionTag;
use model::node::{Eligibility, NodeStatus};
use model::time::Timestamp;
use proptest::prelude::*;

use super::fixtures::*;
use crate::{Command, Op, State, invariant};

/// One roll of the dice; what it means depends on the state it meets.
type Roll = (u8, u8, u8, u8);

const STATUSES: [ClientStatus; 4] =
    [ClientStatus::Running, ClientStatus::Complete, ClientStatus::Failed, ClientStatus::Pending];

fn job_name(roll: u8) -> String {
    format!("job-{}", roll % 3)
}

fn pick<T: Clone>(items: impl Iterator<Item = T>, roll: u8) -> Option<T> {
    let all: Vec<T> = items.collect();
    (!all.is_empty()).then(|| all[usize::from(roll) % all.len()].clone())
}

/// A careless planner: it places on any node, with or without asking to wait for those it stops.
fn careless_plan(state: &State, roll: Roll, serial: u128) -> Option<Plan> {
    let eval = pick(state.evals().filter(|eval| !eval.status.is_terminal()), roll.1)?;
    let mut plan = Plan {
        eval: Evaluation { status: EvalStatus::Complete, ..Evaluation::clone(eval) },
        base_index: state.index().saturating_sub(u64::from(roll.3.is_multiple_of(5))),
        all_at_once: roll.3.is_multiple_of(7),
        ..Plan::default()
    };
    let node = NodeId(u128::from(roll.2 % 3) + 1);
    let victims: Vec<AllocId> =
        state.allocs_of_node(node).filter(|alloc| alloc.job == eval.job).map(|alloc| alloc.id).collect();
    if !roll.3.is_multiple_of(3) {
        plan.stops = victims.iter().map(|id| stop(*id)).collect();
    }
    let job = state.job(&eval.job)?;
    for copy in 0..roll.3 % 4 {
        plan.placements.push(Allocation {
            id: AllocId(serial << 8 | u128::from(copy)),
            job: eval.job.clone(),
            job_create_index: job.head().create_index,
            job_version: job.head().version,
            task_group: "web".to_owned(),
            node_id: node,
            grant: grant(i64::from(roll.1) * 3, 8000 + u16::from(roll.2 % 4)),
            starts_after: if roll.3.is_multiple_of(2) { victims.clone() } else { vec![] },
            previous_allocation: victims.first().copied(),
            ..Allocation::default()
        });
    }
    if roll.3 % 4 == 3 {
        let update = state.allocs_of_job(&eval.job).next()?;
        let grown = grant(i64::from(roll.1), 8000 + u16::from(roll.2 % 4));
        let version = job.head().version;
        plan.in_place.push(Allocation { job_version: version, grant: grown, ..(*update).clone() });
    }
    Some(plan)
}

fn op_of(state: &State, roll: Roll, serial: u128) -> Option<Op> {
    let (kind, a, b, c) = roll;
    let node_id = NodeId(u128::from(b % 3) + 1);
    let key: JobKey = key(&job_name(a));
    Some(match kind % 16 {
        0 | 1 => {
            let kind = ["service", "batch", "system"][usize::from(a % 3)];
            let mut job = of_type(&job_name(a), kind);
            if let Some(groups) = &mut job.task_groups {
                groups[0].count = Some(i64::from(b % 4));
            }
            // What clients send back of what they were shown is not the state's to believe.
            job.version_tag = c.is_multiple_of(3).then(VersionTag::default);
            job.stop = [None, Some(false), Some(true)][usize::from(c % 7 % 3)];
            (job.version, job.create_index) = (Some(u64::from(c)), Some(u64::from(b)));
            register(job)
        }
        2 => Op::DeregisterJob { key, purge: c.is_multiple_of(2), eval_priority: 0 },
        3 => join(node_id.0),
        4 => {
            let status = [NodeStatus::Down, NodeStatus::Ready, NodeStatus::Disconnected][usize::from(c % 3)];
            Op::UpdateNodeStatus { id: node_id, status, description: String::new() }
        }
        5 => {
            let eligibility = if c.is_multiple_of(3) { Eligibility::Ineligible } else { Eligibility::Eligible };
            Op::UpdateNodeEligibility { id: node_id, eligibility }
        }
        6..=8 => {
            let alloc = pick(state.allocs(), a)?;
            let updates = vec![update(alloc.id, STATUSES[usize::from(c % 4)])];
            Op::UpdateAllocs { node_id: if b.is_multiple_of(9) { node_id } else { alloc.node_id }, updates }
        }
        9 => Op::StopAlloc { id: pick(state.allocs(), a)?.id, no_shutdown_delay: false },
        10 => Op::Gc { before: Timestamp(i64::from(c)), force: b.is_multiple_of(2) },
        11 => {
            let mut eval = Evaluation::clone(pick(state.evals(), a)?);
            eval.status = [EvalStatus::Pending, EvalStatus::Blocked, EvalStatus::Cancelled][usize::from(c % 3)];
            Op::UpdateEvals { evals: vec![eval] }
        }
        _ => Op::ApplyPlans { plans: vec![careless_plan(state, roll, serial)?] },
    })
}

/// Makes the commands while applying them.
///
/// # Errors
/// The first violation.
fn commands(rolls: &[Roll]) -> Result<(State, Vec<(u64, Command)>), String> {
    let mut state = State::new();
    let mut log = Vec::new();
    for number in 1..=3 {
        log.push((number, Command { at: Timestamp(0), seed: Seed(u128::from(number)), op: join(number.into()) }));
    }
    for (index, command) in &log {
        state.apply(*index, command);
    }
    for (serial, roll) in rolls.iter().enumerate() {
        // Every third command shares the entry of the one before it.
        let index = state.index() + u64::from(!serial.is_multiple_of(3));
        let serial = serial as u128 + 10;
        let Some(op) = op_of(&state, *roll, serial) else { continue };
        let command = Command { at: Timestamp(serial as i64), seed: Seed(serial), op };
        let before = state.clone();
        let hash = (serial.is_multiple_of(8)).then(|| before.hash().unwrap());
        state.apply(index, &command);
        if let Some(violation) = invariant::check(&state).first() {
            return Err(format!("{violation} after {command:?}"));
        }
        if hash.is_some_and(|hash| before.hash().unwrap() != hash) {
            return Err(format!("a clone changed after {command:?}"));
        }
        log.push((index, command));
    }
    Ok((state, log))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_the_state_stays_sound(rolls in prop::collection::vec(any::<Roll>(), 1..120)) {
        let (state, log) = commands(&rolls).map_err(TestCaseError::fail)?;
        let hash = state.hash().unwrap();
        let mut counts = BTreeMap::new();
        for (key, _) in state.jobs() {
            *counts.entry(state.job_status(key).unwrap()).or_default() += 1;
        }
        prop_assert_eq!(state.work_counts().jobs, counts);

        // Another replica, which hears everything twice, from the log, and restarts from a snapshot half way.
        let mut replica = State::new();
        for (step, (index, command)) in log.iter().enumerate() {
            let bytes = command.to_bytes().unwrap();
            let command = &rmp_serde::from_slice::<Command>(&bytes).unwrap();
            let first = replica.apply(*index, command);
            let after = replica.clone();
            let second = replica.apply(*index, command);
            prop_assert!(second.repeated && second.touched.is_empty());
            prop_assert_eq!(first.reply, second.reply);
            prop_assert_eq!(&replica, &after);
            if step == log.len() / 2 {
                replica = State::from_bytes(&replica.to_bytes().unwrap()).unwrap();
            }
        }
        prop_assert_eq!(replica.hash().unwrap(), hash);
        prop_assert_eq!(replica, state);
    }
}

#[cfg(feature = "planted-bugs")]
#[test]
fn the_planted_bug_is_found() {
    use proptest::test_runner::TestRunner;
    crate::planted::enable(Some(crate::planted::Bug::PortFreeOnStop));
    let rolls = prop::collection::vec(any::<Roll>(), 60..120);
    let config = ProptestConfig { max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let search = TestRunner::new_with_rng(config, rng).run(&rolls, |rolls| match commands(&rolls) {
        Ok(_) => Ok(()),
        Err(violation) => Err(TestCaseError::fail(violation)),
    });
    let found = search.unwrap_err().to_string();
    assert!(found.contains("is held by both"), "{found}");
}
