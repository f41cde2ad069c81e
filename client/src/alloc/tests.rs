//! Tables of inputs and effects for the life of an allocation, and what holds for every sequence of inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driver::ExitResult;
use model::allocation::{Allocation, CheckResult, CheckStatus, ClientStatus, DesiredStatus};
use model::compiled::{
    CompiledCheck, CompiledGroup, CompiledJob, CompiledService, CompiledTask, Hook, JobKind, Restart, Update,
};
use model::id::AllocId;
use model::job::CheckRestart;
use model::task_state::{TaskRunState, event};
use model::time::{GoDuration, Timestamp};
use proptest::prelude::*;

use super::lifecycle::{AllocEffect, AllocInput, AllocLifecycle};
use crate::task::lifecycle::{StartFailure, TaskEffect};

const SECOND: i64 = 1_000_000_000;

fn task(name: &str, hook: Hook, sidecar: bool) -> CompiledTask {
    CompiledTask {
        name: name.to_owned(),
        driver: "mock_driver".to_owned(),
        hook,
        sidecar,
        kill_timeout: GoDuration::from_secs(5),
        restart: Restart {
            attempts: 1,
            interval: GoDuration::from_secs(60),
            delay: GoDuration::from_secs(1),
            ..Restart::default()
        },
        ..CompiledTask::default()
    }
}

fn main_task(name: &str) -> CompiledTask {
    task(name, Hook::Main, false)
}

fn job(kind: JobKind, tasks: Vec<CompiledTask>) -> CompiledJob {
    let group = CompiledGroup { name: "g".to_owned(), tasks, ..CompiledGroup::default() };
    CompiledJob { kind, groups: [group].into(), ..CompiledJob::default() }
}

/// The group of a job that nobody else holds yet.
fn only_group(job: &mut CompiledJob) -> &mut CompiledGroup {
    &mut Arc::get_mut(&mut job.groups).unwrap()[0]
}

/// An allocation with a driver that does at once what it is told, as far as the test lets it.
struct Machine {
    life: AllocLifecycle,
    job: Arc<CompiledJob>,
    now: Timestamp,
    running: BTreeMap<String, u64>,
    starts: Vec<String>,
    stops: Vec<String>,
    checks: BTreeSet<String>,
    ended: bool,
    last_status: ClientStatus,
}

impl Machine {
    fn new(job: CompiledJob) -> Machine {
        Machine::after(job, BTreeSet::new())
    }

    fn after(job: CompiledJob, predecessors: BTreeSet<AllocId>) -> Machine {
        let alloc = Allocation { id: AllocId(77), task_group: "g".to_owned(), ..Allocation::default() };
        let life = AllocLifecycle::new(&job, alloc, predecessors, GoDuration::from_secs(30), Timestamp(0));
        let mut machine = Machine {
            life,
            job: Arc::new(job),
            now: Timestamp(0),
            running: BTreeMap::new(),
            starts: Vec::new(),
            stops: Vec::new(),
            checks: BTreeSet::new(),
            ended: false,
            last_status: ClientStatus::Pending,
        };
        machine.give(AllocInput::Tick);
        machine
    }

    /// Gives an input and carries out effects, except that tasks end only when `finish` or a stop says so.
    fn give(&mut self, input: AllocInput) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.life.step(self.now, input) {
                assert!(!self.ended, "an effect after the end: {effect:?}");
                match effect {
                    AllocEffect::Prepare => inputs.push_back(AllocInput::Prepared(Ok(()))),
                    AllocEffect::Task { task, effect } => inputs.extend(self.carry_out(task, effect)),
                    AllocEffect::StartChecks(ids) => self.checks.extend(ids),
                    AllocEffect::StopChecks(ids) => ids.iter().for_each(|id| {
                        self.checks.remove(id);
                    }),
                    AllocEffect::Report { update, .. } => self.last_status = update.client_status,
                    AllocEffect::Ended => self.ended = true,
                }
            }
        }
    }

    fn carry_out(&mut self, task: String, effect: TaskEffect) -> Option<AllocInput> {
        match effect {
            TaskEffect::Start(attempt) | TaskEffect::Recover(attempt) => {
                self.starts.push(task.clone());
                assert_eq!(self.running.insert(task.clone(), attempt), None, "{task} runs twice");
                Some(AllocInput::Started { task, attempt, address: None })
            }
            TaskEffect::Stop { attempt, .. } => {
                self.stops.push(task.clone());
                self.running.remove(&task)?;
                let exit = ExitResult { exit_code: 130, signal: 2, ..ExitResult::default() };
                Some(AllocInput::Exited { task, attempt, exit })
            }
            TaskEffect::CancelStart(attempt) => {
                Some(AllocInput::StartFailed { task, attempt, failure: StartFailure::Cancelled })
            }
            TaskEffect::Destroy(_) => None,
        }
    }

    fn finish(&mut self, task: &str, exit_code: i32) {
        let attempt = self.running.remove(task).unwrap();
        let exit = ExitResult { exit_code, ..ExitResult::default() };
        self.give(AllocInput::Exited { task: task.to_owned(), attempt, exit });
    }

    fn pass(&mut self, seconds: i64) {
        self.now = Timestamp(self.now.0 + seconds * SECOND);
        self.give(AllocInput::Tick);
    }

    fn desire(&mut self, desired_status: DesiredStatus) {
        let alloc = Allocation { desired_status, ..self.life.alloc().clone() };
        self.give(AllocInput::Update { alloc: Box::new(alloc), job: self.job.clone() });
    }

    fn events(&self, task: &str) -> Vec<String> {
        let state = &self.life.observed().task_states[task];
        state.events.iter().map(|event| event.kind.clone()).collect()
    }

    fn state(&self, task: &str) -> TaskRunState {
        self.life.observed().task_states[task].state
    }
}

fn all_hooks() -> Vec<CompiledTask> {
    vec![
        main_task("main"),
        task("post-stop", Hook::Poststop, false),
        task("post-start", Hook::Poststart, false),
        task("side", Hook::Prestart, true),
        task("pre", Hook::Prestart, false),
    ]
}

#[test]
fn start_and_stop_order() {
    let mut machine = Machine::new(job(JobKind::Service, all_hooks()));
    assert_eq!(machine.starts, ["side", "pre"]);
    assert_eq!(machine.last_status, ClientStatus::Running);
    machine.finish("pre", 0);
    assert_eq!(machine.starts, ["side", "pre", "main", "post-start"]);
    machine.desire(DesiredStatus::Stop);
    assert_eq!(machine.stops, ["main", "post-start", "side"]);
    assert_eq!(machine.starts.last().unwrap(), "post-stop");
    assert!(!machine.ended);
    machine.finish("post-stop", 0);
    assert!(machine.ended);
    assert_eq!(machine.last_status, ClientStatus::Complete);
    assert_eq!(
        machine.events("main"),
        [event::RECEIVED, event::TASK_SETUP, event::STARTED, event::KILLING, event::TERMINATED, event::KILLED]
    );
}

#[test]
fn a_failing_task_is_restarted_then_takes_its_siblings_along() {
    let mut machine = Machine::new(job(JobKind::Batch, vec![main_task("bad"), main_task("good")]));
    machine.finish("bad", 7);
    assert_eq!(machine.state("bad"), TaskRunState::Pending);
    machine.pass(1);
    assert_eq!(machine.starts, ["bad", "good"], "the delay has jitter on top");
    machine.pass(1);
    assert_eq!(machine.starts, ["bad", "good", "bad"]);
    machine.finish("bad", 7);
    assert!(machine.ended);
    assert_eq!(machine.last_status, ClientStatus::Failed);
    assert_eq!(
        machine.events("bad")[2..],
        [
            event::STARTED,
            event::TERMINATED,
            event::RESTARTING,
            event::STARTED,
            event::TERMINATED,
            event::NOT_RESTARTING
        ]
    );
    let good = machine.events("good");
    assert_eq!(good[3..], [event::SIBLING_FAILED, event::KILLING, event::TERMINATED, event::KILLED]);
    assert!(!machine.life.observed().task_states["good"].failed);
}

#[test]
fn while_the_only_task_waits_for_its_restart_the_allocation_is_pending() {
    let mut machine = Machine::new(job(JobKind::Service, vec![main_task("web")]));
    assert_eq!(machine.last_status, ClientStatus::Running);
    machine.finish("web", 137);
    assert_eq!(machine.last_status, ClientStatus::Pending);
    machine.pass(2);
    assert_eq!(machine.last_status, ClientStatus::Running);
}

#[test]
fn the_leader_ends_the_others_and_stops_first() {
    let leader = CompiledTask { leader: true, ..main_task("lead") };
    let tasks = || vec![main_task("work"), leader.clone(), task("side", Hook::Poststart, true)];
    let mut machine = Machine::new(job(JobKind::Batch, tasks()));
    machine.finish("lead", 0);
    assert_eq!(machine.stops, ["work", "side"]);
    assert!(machine.ended);
    assert_eq!(machine.last_status, ClientStatus::Complete);
    assert!(machine.events("work").contains(&event::LEADER_DEAD.to_owned()));
    let mut machine = Machine::new(job(JobKind::Service, tasks()));
    machine.desire(DesiredStatus::Evict);
    assert_eq!(machine.stops, ["lead", "work", "side"]);
}

#[test]
fn sidecars_end_with_the_main_tasks() {
    let tasks = vec![main_task("main"), task("side", Hook::Prestart, true), task("late", Hook::Poststart, false)];
    let mut machine = Machine::new(job(JobKind::Batch, tasks));
    machine.finish("main", 0);
    assert_eq!(machine.stops, ["side"], "a poststart task may finish its work");
    assert!(!machine.ended);
    machine.finish("late", 0);
    assert!(machine.ended);
    assert_eq!(machine.last_status, ClientStatus::Complete);
}

#[test]
fn a_failed_prestart_fails_all_before_they_start() {
    let mut machine = Machine::new(job(JobKind::Service, all_hooks()));
    machine.finish("pre", 1);
    machine.pass(2);
    machine.finish("pre", 1);
    assert!(!machine.starts.contains(&"main".to_owned()));
    assert_eq!(machine.events("main"), [event::RECEIVED, event::SIBLING_FAILED, event::KILLING]);
    machine.finish("post-stop", 0);
    assert!(machine.ended);
    assert_eq!(machine.last_status, ClientStatus::Failed);
}

#[test]
fn start_failures_follow_the_policy_only_when_they_may_go_away() {
    for (failure, tries, kind) in [
        (StartFailure::Setup("no".to_owned()), 1, event::SETUP_FAILURE),
        (StartFailure::Validation("no".to_owned()), 1, event::FAILED_VALIDATION),
        (StartFailure::Driver { message: "no".to_owned(), recoverable: false }, 1, event::DRIVER_FAILURE),
        (StartFailure::Driver { message: "no".to_owned(), recoverable: true }, 2, event::DRIVER_FAILURE),
    ] {
        let alloc = Allocation { task_group: "g".to_owned(), ..Allocation::default() };
        let job = job(JobKind::Service, vec![main_task("web")]);
        let mut life = AllocLifecycle::new(&job, alloc, BTreeSet::new(), GoDuration::from_secs(30), Timestamp(0));
        life.step(Timestamp(0), AllocInput::Tick);
        let mut effects = life.step(Timestamp(0), AllocInput::Prepared(Ok(())));
        let mut tried = 0;
        while let Some(attempt) = effects.iter().find_map(|effect| match effect {
            AllocEffect::Task { effect: TaskEffect::Start(attempt), .. } => Some(*attempt),
            _ => None,
        }) {
            tried += 1;
            let failed = AllocInput::StartFailed { task: "web".to_owned(), attempt, failure: failure.clone() };
            life.step(Timestamp(0), failed);
            effects = life.step(Timestamp(9 * SECOND), AllocInput::Tick);
        }
        assert_eq!(tried, tries, "{failure:?}");
        assert!(life.is_ended());
        assert!(life.observed().task_states["web"].events.iter().any(|event| event.kind == kind));
    }
}

#[test]
fn what_cannot_be_prepared_fails_before_any_task_starts() {
    let prepare = |desired: DesiredStatus| {
        let mut alloc = Allocation { task_group: "g".to_owned(), ..Allocation::default() };
        let job = job(JobKind::Service, vec![main_task("web"), task("last", Hook::Poststop, false)]);
        let (kill, none) = (GoDuration::from_secs(30), BTreeSet::new());
        let mut life = AllocLifecycle::new(&job, alloc.clone(), none, kill, Timestamp(0));
        let mut effects = life.step(Timestamp(0), AllocInput::Tick);
        alloc.desired_status = desired;
        let update = AllocInput::Update { alloc: Box::new(alloc), job: Arc::new(job) };
        effects.extend(life.step(Timestamp(1), update));
        effects.extend(life.step(Timestamp(2), AllocInput::Prepared(Err("port 80 is in use".to_owned()))));
        let starts = |effect: &AllocEffect| matches!(effect, AllocEffect::Task { task, effect: TaskEffect::Start(_) } if task == "web");
        assert!(effects.contains(&AllocEffect::Prepare) && !effects.iter().any(starts), "{effects:?}");
        life.observed().task_states["web"].clone()
    };
    let failed = prepare(DesiredStatus::Run);
    assert!(failed.failed && failed.events.iter().any(|event| event.message == "port 80 is in use"));
    // Stopped meanwhile: it has not failed.
    assert!(!prepare(DesiredStatus::Stop).failed);
}

#[test]
fn a_successor_waits_for_its_predecessors() {
    let waits = BTreeSet::from([AllocId(1), AllocId(2)]);
    let mut machine = Machine::after(job(JobKind::Service, vec![main_task("web")]), waits.clone());
    machine.give(AllocInput::PredecessorEnded(AllocId(1)));
    machine.pass(100);
    assert!(machine.starts.is_empty());
    machine.give(AllocInput::PredecessorEnded(AllocId(2)));
    assert_eq!(machine.starts, ["web"]);
    let mut machine = Machine::after(job(JobKind::Service, vec![main_task("web")]), waits);
    machine.desire(DesiredStatus::Stop);
    assert!(machine.ended, "waiting does not hold up the end");
    assert_eq!(machine.last_status, ClientStatus::Complete);
}

#[test]
fn shutdown_delays_of_group_and_task() {
    let mut job =
        job(JobKind::Service, vec![CompiledTask { shutdown_delay: GoDuration::from_secs(2), ..main_task("web") }]);
    only_group(&mut job).shutdown_delay = GoDuration::from_secs(1);
    let mut machine = Machine::new(job);
    machine.desire(DesiredStatus::Stop);
    assert_eq!(machine.life.wake_at(), Some(Timestamp(SECOND)));
    machine.pass(1);
    assert!(machine.events("web").contains(&event::WAITING_SHUTDOWN_DELAY.to_owned()));
    machine.pass(1);
    assert!(machine.stops.is_empty());
    machine.pass(1);
    assert!(machine.ended);
}

#[test]
fn restarts_by_users() {
    let tasks = vec![main_task("a"), main_task("b"), task("pre", Hook::Prestart, false)];
    let mut machine = Machine::new(job(JobKind::Service, tasks));
    machine.finish("pre", 0);
    machine.give(AllocInput::Restart { task: Some("a".to_owned()), all_tasks: false });
    assert_eq!(machine.starts, ["pre", "a", "b", "a"]);
    machine.give(AllocInput::Restart { task: None, all_tasks: false });
    assert_eq!(machine.starts[4..], ["a", "b"]);
    machine.give(AllocInput::Restart { task: None, all_tasks: true });
    assert_eq!(machine.starts[6..], ["pre"], "all of them run again in order");
    machine.finish("pre", 0);
    assert_eq!(machine.starts[7..], ["a", "b"]);
    assert_eq!(machine.life.observed().task_states["a"].restarts, 3);
    machine.finish("a", 1);
    machine.pass(2);
    assert_eq!(machine.starts.last().unwrap(), "a", "restarts by users did not count");
}

fn with_check(kind: JobKind) -> CompiledJob {
    let mut job = job(kind, vec![main_task("web"), main_task("other")]);
    let group = only_group(&mut job);
    group.update = Some(Update {
        max_parallel: 1,
        canary: 0,
        min_healthy_time: GoDuration(0),
        healthy_deadline: GoDuration::from_secs(60),
    });
    group.services = vec![CompiledService {
        name: "web".to_owned(),
        task: "web".to_owned(),
        checks: vec![CompiledCheck {
            id: "c".to_owned(),
            name: "alive".to_owned(),
            task: "web".to_owned(),
            restart: Some(CheckRestart { limit: 1, ..CheckRestart::default() }),
            ..CompiledCheck::default()
        }],
        ..CompiledService::default()
    }];
    job
}

fn result(status: CheckStatus) -> AllocInput {
    AllocInput::Check { id: "c".to_owned(), result: CheckResult { status, ..CheckResult::default() } }
}

#[test]
fn checks_follow_their_task_and_decide_on_health() {
    let mut machine = Machine::new(with_check(JobKind::Service));
    assert_eq!(machine.checks, BTreeSet::from(["c".to_owned()]));
    machine.give(result(CheckStatus::Failure));
    assert_eq!(machine.life.observed().health, None);
    machine.give(result(CheckStatus::Success));
    assert!(machine.life.observed().health.unwrap().healthy);
    machine.finish("web", 1);
    assert!(machine.checks.is_empty());
    assert_eq!(machine.life.observed().checks["c"].status, CheckStatus::Pending);
    machine.give(result(CheckStatus::Success));
    assert_eq!(machine.life.observed().checks["c"].status, CheckStatus::Pending, "a late result is ignored");
    machine.pass(2);
    assert_eq!(machine.checks.len(), 1);
}

#[test]
fn a_failing_check_restarts_its_task_by_the_policy() {
    let mut machine = Machine::new(with_check(JobKind::Service));
    machine.give(AllocInput::CheckRestart { id: "c".to_owned() });
    assert_eq!(machine.stops, ["web"]);
    assert_eq!(machine.state("web"), TaskRunState::Pending);
    machine.pass(2);
    machine.give(AllocInput::CheckRestart { id: "c".to_owned() });
    assert!(machine.ended, "the policy allows one restart");
    assert_eq!(machine.last_status, ClientStatus::Failed);
    assert!(!machine.life.observed().health.unwrap().healthy);
}

#[test]
fn silence_becomes_a_verdict_at_the_deadline() {
    let mut machine = Machine::new(with_check(JobKind::Service));
    assert_eq!(machine.life.wake_at(), Some(Timestamp(60 * SECOND)));
    machine.pass(60);
    assert!(!machine.life.observed().health.unwrap().healthy);
    assert!(!machine.ended);
    assert_eq!(machine.life.wake_at(), None);
}

#[test]
fn a_restored_allocation_goes_on() {
    let job = job(JobKind::Service, all_hooks());
    let mut machine = Machine::new(job.clone());
    machine.finish("pre", 0);
    let bytes = rmp_serde::to_vec_named(&machine.life.record()).unwrap();
    let record = rmp_serde::from_slice(&bytes).unwrap();
    let alloc = machine.life.alloc().clone();
    let limit = GoDuration::from_secs(30);
    let (mut life, effects) = AllocLifecycle::restore(&job, alloc, record, limit, Timestamp(5));
    let found: BTreeSet<&str> = effects
        .iter()
        .map(|effect| match effect {
            AllocEffect::Task { task, effect: TaskEffect::Recover(0) } => task.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, BTreeSet::from(["main", "post-start", "side"]));
    assert_eq!(life.observed().task_states, machine.life.observed().task_states);
    let lost = AllocInput::Lost { task: "main".to_owned(), attempt: 0, why: "gone".to_owned() };
    life.step(Timestamp(6), lost);
    let state = &life.observed().task_states["main"];
    assert_eq!((state.state, state.restarts), (TaskRunState::Pending, 1));
}

#[test]
fn a_refused_stop_is_asked_again() {
    let job = job(JobKind::Service, vec![main_task("web")]);
    let mut machine = Machine::new(job);
    let alloc = Allocation { desired_status: DesiredStatus::Stop, ..machine.life.alloc().clone() };
    let update = AllocInput::Update { alloc: Box::new(alloc), job: machine.job.clone() };
    machine.life.step(Timestamp(0), update);
    let refused = AllocInput::StopFailed { task: "web".to_owned(), attempt: 0, why: "busy".to_owned() };
    machine.life.step(Timestamp(0), refused);
    machine.pass(2);
    assert!(machine.ended);
}

fn any_hook() -> impl Strategy<Value = (Hook, bool, bool)> {
    prop_oneof![
        3 => any::<bool>().prop_map(|leader| (Hook::Main, false, leader)),
        1 => any::<bool>().prop_map(|sidecar| (Hook::Prestart, sidecar, false)),
        1 => any::<bool>().prop_map(|sidecar| (Hook::Poststart, sidecar, false)),
        1 => Just((Hook::Poststop, false, false)),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Finish(usize, i32),
    Pass(i64),
    Restart(bool),
    Restore,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..5usize, 0..2i32).prop_map(|(task, code)| Act::Finish(task, code)),
        3 => (0..3i64).prop_map(Act::Pass),
        1 => any::<bool>().prop_map(Act::Restart),
        1 => Just(Act::Restore),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happened before: after a stop nothing but poststop tasks starts, and it always ends.
    #[test]
    fn it_always_ends(
        hooks in prop::collection::vec(any_hook(), 1..5),
        batch: bool,
        acts in prop::collection::vec(any_act(), 0..24),
    ) {
        let tasks = hooks.iter().enumerate().map(|(i, (hook, sidecar, leader))| CompiledTask {
            leader: *leader,
            ..task(&format!("t{i}"), *hook, *sidecar)
        });
        let kind = if batch { JobKind::Batch } else { JobKind::Service };
        let job = job(kind, tasks.collect());
        let mut machine = Machine::new(job.clone());
        for act in acts {
            if machine.ended {
                break;
            }
            match act {
                Act::Finish(task, code) => {
                    let name = format!("t{task}");
                    if machine.running.contains_key(&name) {
                        machine.finish(&name, code);
                    }
                }
                Act::Pass(seconds) => machine.pass(seconds),
                Act::Restart(all_tasks) => machine.give(AllocInput::Restart { task: None, all_tasks }),
                Act::Restore => {
                    let (life, effects) = AllocLifecycle::restore(
                        &job,
                        machine.life.alloc().clone(),
                        machine.life.record(),
                        GoDuration::from_secs(30),
                        machine.now,
                    );
                    machine.life = life;
                    for effect in effects {
                        let AllocEffect::Task { task, effect: TaskEffect::Recover(attempt) } = effect else {
                            panic!("{effect:?}")
                        };
                        prop_assert_eq!(machine.running.get(&task), Some(&attempt));
                        machine.give(AllocInput::Started { task, attempt, address: None });
                    }
                    machine.give(AllocInput::Tick);
                }
            }
        }
        let before = machine.starts.len();
        if !machine.ended {
            machine.desire(DesiredStatus::Stop);
        }
        for started in &machine.starts[before..] {
            let group = &machine.job.groups[0];
            prop_assert_eq!(group.task(started).unwrap().hook, Hook::Poststop, "{} started", started);
        }
        for _ in 0..8 {
            let running: Vec<String> = machine.running.keys().cloned().collect();
            for name in running {
                machine.finish(&name, 1);
            }
            if !machine.ended {
                machine.pass(2);
            }
        }
        prop_assert!(machine.ended, "still living: {:?}", machine.life.record());
        prop_assert!(machine.running.is_empty());
        prop_assert!(machine.last_status.is_terminal());
    }
}
