//! Carries out what lifecycles decide, against the simulated processes.

use ::driver::{ExitResult, TaskId};
use client::alloc::lifecycle::{AllocEffect, AllocInput};
use client::task::lifecycle::{StartFailure, TaskEffect};
use model::allocation::{CheckResult, CheckStatus};
use model::compiled::Hook;
use model::id::AllocId;
use model::time::GoDuration;

use crate::agenda::{Event, Shared};
use crate::driver::{Life, Process};
use crate::faults::Fault;
use crate::node::SimNode;
use crate::runner::{Message, Runner, Start};

impl Runner {
    /// The runs that restoring wants found; the driver must keep them.
    pub fn runs_to_find(&self, effects: &[AllocEffect]) -> Vec<TaskId> {
        let run = |effect: &AllocEffect| match effect {
            AllocEffect::Task { task, effect: TaskEffect::Recover(attempt) | TaskEffect::CancelStart(attempt) } => {
                Some(self.run(task, *attempt))
            }
            _ => None,
        };
        effects.iter().filter_map(run).collect()
    }
}

impl SimNode {
    fn runner(&mut self, alloc: AllocId) -> Option<&mut Runner> {
        self.agent.as_mut()?.runners.get_mut(&alloc)
    }

    /// A message reaches a runner.
    pub fn take_message(&mut self, shared: &mut Shared, alloc: AllocId, message: Message) {
        let Some(runner) = self.runner(alloc).filter(|runner| !runner.life.is_ended()) else { return };
        match message {
            Message::Input(input) => {
                if let AllocInput::StartFailed { task, attempt, .. } = &input
                    && runner.starts.get(task).is_some_and(|start| start.attempt == *attempt)
                {
                    runner.starts.remove(task);
                    let id = runner.run(task, *attempt);
                    self.drop_run(&id);
                }
                self.step(shared, alloc, input);
            }
            Message::Up(id) => {
                runner.starts.remove(&id.task);
                runner.handles.insert(id.task.clone(), id.attempt);
                runner.waits.insert(id.clone());
                self.store(alloc);
                let input = AllocInput::Started { task: id.task.clone(), attempt: id.attempt, address: None };
                self.step(shared, alloc, input);
                self.tell_exit(shared, &id);
            }
        }
    }

    /// Gives an input to a lifecycle and does what it says.
    pub fn step(&mut self, shared: &mut Shared, alloc: AllocId, input: AllocInput) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let now = shared.now;
            let Some(runner) = self.runner(alloc) else { return };
            let effects = runner.life.step(now, input);
            if effects.contains(&AllocEffect::Prepare) {
                inputs.push(AllocInput::Prepared(Ok(())));
            }
            self.carry_out(shared, alloc, effects);
        }
        let (node, boot, now) = (self.number, self.boot, shared.now);
        let Some(runner) = self.runner(alloc) else { return };
        let wake = runner.life.wake_at();
        if let Some(at) = wake
            && runner.tick_at.is_none_or(|known| at < known || known <= now)
        {
            runner.tick_at = Some(at);
            shared.at(at, Event::Tick { node, boot, alloc });
        }
    }

    fn store(&mut self, alloc: AllocId) {
        if let Some(stored) = self.runner(alloc).map(|runner| runner.stored()) {
            self.disk.insert(alloc, stored);
        }
    }

    /// Does what a lifecycle says; intent is stored before effect.
    pub fn carry_out(&mut self, shared: &mut Shared, alloc: AllocId, effects: Vec<AllocEffect>) {
        let idle = |effect: &AllocEffect| matches!(effect, AllocEffect::Report { urgent: false, .. });
        if !effects.iter().all(idle) {
            self.store(alloc);
        }
        let (node, boot) = (self.number, self.boot);
        for effect in effects {
            if !matches!(effect, AllocEffect::Report { .. }) {
                shared.note(format_args!("{} {}: {effect:?}", self.node.name, alloc.short()));
            }
            match effect {
                AllocEffect::Prepare => {}
                AllocEffect::Task { task, effect } => self.task_effect(shared, alloc, &task, effect),
                AllocEffect::StartChecks(checks) => {
                    for check in checks {
                        shared.within(20, 400, Event::Probe { node, boot, alloc, check: check.clone() });
                        if let Some(runner) = self.runner(alloc) {
                            runner.checks.insert(check);
                        }
                    }
                }
                AllocEffect::StopChecks(checks) => {
                    if let Some(runner) = self.runner(alloc) {
                        runner.checks.retain(|check| !checks.contains(check));
                    }
                }
                AllocEffect::Report { update, urgent } => self.report(shared, *update, urgent),
                AllocEffect::Ended => shared.within(1, 10, Event::Finished { node, boot, alloc }),
            }
        }
    }

    fn task_effect(&mut self, shared: &mut Shared, alloc: AllocId, task: &str, effect: TaskEffect) {
        let Some(runner) = self.runner(alloc) else { return };
        let handle = runner.handles.get(task).copied();
        match effect {
            TaskEffect::Start(attempt) => self.begin(shared, alloc, task, attempt),
            TaskEffect::Recover(attempt) if handle == Some(attempt) => self.find(shared, alloc, task, attempt),
            TaskEffect::Recover(attempt) => self.begin(shared, alloc, task, attempt),
            TaskEffect::CancelStart(attempt) => match runner.starts.get(task).copied() {
                Some(start) => self.cancel(shared, alloc, task, start),
                None if handle == Some(attempt) => self.find(shared, alloc, task, attempt),
                None => self.cancel(shared, alloc, task, Start { attempt, answered: false }),
            },
            TaskEffect::Stop { attempt, timeout, .. } => {
                if handle == Some(attempt) {
                    self.stop(shared, alloc, task, attempt, timeout);
                }
            }
            TaskEffect::Destroy(attempt) => {
                if handle == Some(attempt) {
                    runner.handles.remove(task);
                    let id = runner.run(task, attempt);
                    self.drop_run(&id);
                }
            }
        }
    }

    fn drop_run(&mut self, id: &TaskId) {
        self.processes.remove(id);
        if let Some(agent) = self.agent.as_mut() {
            agent.wanted.remove(id);
        }
    }

    /// The driver starts a run; one that is there already is taken as it is.
    fn begin(&mut self, shared: &mut Shared, alloc: AllocId, task: &str, attempt: u64) {
        let node = self.number;
        let Some(runner) = self.runner(alloc) else { return };
        let id = runner.run(task, attempt);
        let batch = runner.job.kind.is_batch();
        let main = runner.life.group().task(task).is_none_or(|task| task.hook == Hook::Main);
        runner.starts.insert(task.to_owned(), Start { attempt, answered: false });
        if let Some(agent) = self.agent.as_mut() {
            agent.wanted.insert(id.clone());
        }
        match self.processes.get(&id).map(|process| process.life.clone()) {
            Some(Life::Up | Life::Ended(_)) => return self.tell_up(shared, &id),
            Some(Life::Starting) => return,
            None => {}
        }
        let exit_code = i32::from(shared.chaos && shared.rng.chance(10));
        let lifetime = match (main, batch) {
            (true, false) => None,
            (true, true) => Some((200 + shared.rng.below(12_000) as i64, exit_code)),
            (false, _) => Some((20 + shared.rng.below(500) as i64, 0)),
        };
        let serial = shared.serial();
        let fails = shared.chaos && shared.rng.chance(4);
        let hangs = shared.chaos && shared.rng.chance(2);
        let process = Process { serial, life: Life::Starting, plan: lifetime, comes_up: !fails && !hangs };
        self.processes.begin(id.clone(), process);
        if fails {
            shared.faults.count(Fault::StartFails);
            let failure = StartFailure::Driver { message: "no engine".to_owned(), recoverable: shared.rng.chance(70) };
            return self.fail_start(shared, &id, failure, (5, 300));
        }
        if hangs {
            shared.faults.count(Fault::StartHangs);
            let failure = StartFailure::Driver { message: "timed out".to_owned(), recoverable: true };
            return self.fail_start(shared, &id, failure, (20_000, 60_000));
        }
        shared.within(5, 400, Event::ProcessUp { node, id, serial });
    }

    fn fail_start(&mut self, shared: &mut Shared, id: &TaskId, failure: StartFailure, millis: (i64, i64)) {
        let (node, boot, alloc) = (self.number, self.boot, id.alloc);
        let input = AllocInput::StartFailed { task: id.task.clone(), attempt: id.attempt, failure };
        shared.within(millis.0, millis.1, Event::Message { node, boot, alloc, message: Message::Input(input) });
    }

    /// The driver finds a run again after an agent's restart.
    fn find(&mut self, shared: &mut Shared, alloc: AllocId, task: &str, attempt: u64) {
        let Some(runner) = self.runner(alloc) else { return };
        let id = runner.run(task, attempt);
        runner.starts.insert(task.to_owned(), Start { attempt, answered: false });
        if self.processes.get(&id).is_some_and(|process| process.life != Life::Starting) {
            return self.tell_up(shared, &id);
        }
        let input = AllocInput::Lost { task: task.to_owned(), attempt, why: "not found".to_owned() };
        self.message(shared, alloc, Message::Input(input));
    }

    /// A start is given up: whatever there is of the run is removed.
    fn cancel(&mut self, shared: &mut Shared, alloc: AllocId, task: &str, start: Start) {
        if start.answered {
            return;
        }
        let Some(runner) = self.runner(alloc) else { return };
        let id = runner.run(task, start.attempt);
        runner.starts.insert(task.to_owned(), Start { answered: true, ..start });
        self.drop_run(&id);
        self.fail_start(shared, &id, StartFailure::Cancelled, (1, 20));
    }

    fn stop(&mut self, shared: &mut Shared, alloc: AllocId, task: &str, attempt: u64, timeout: GoDuration) {
        let Some(runner) = self.runner(alloc) else { return };
        let id = runner.run(task, attempt);
        let Some(serial) = self.processes.get(&id).map(|process| process.serial) else { return };
        if shared.chaos && shared.rng.chance(5) {
            shared.faults.count(Fault::StopFails);
            let input = AllocInput::StopFailed { task: task.to_owned(), attempt, why: "no engine".to_owned() };
            return self.message(shared, alloc, Message::Input(input));
        }
        let obeys = shared.rng.chance(80);
        let exit_code = if obeys { 130 } else { 137 };
        let millis = if obeys { shared.rng.span(5, 800) } else { timeout };
        let exit = ExitResult { exit_code, signal: exit_code - 128, ..ExitResult::default() };
        shared.after(millis, Event::ProcessExit { node: self.number, id, serial, exit });
    }

    /// A check is probed.
    pub fn probe(&mut self, shared: &mut Shared, alloc: AllocId, check: &str) {
        let (node, boot, at) = (self.number, self.boot, shared.now);
        let Some(runner) = self.runner(alloc).filter(|runner| runner.checks.contains(check)) else { return };
        let Some(old) = runner.life.observed().checks.remove(check) else { return };
        let fails = shared.chaos && shared.rng.chance(8);
        let status = if fails { CheckStatus::Failure } else { CheckStatus::Success };
        if fails {
            shared.faults.count(Fault::CheckFails);
        }
        if fails || shared.chaos {
            let check = check.to_owned();
            shared.within(1_000, 5_000, Event::Probe { node, boot, alloc, check });
        }
        if old.status != status {
            shared.note(format_args!("{}: check {check} is {status:?}", alloc.short()));
            let result = CheckResult { status, at, ..old };
            self.step(shared, alloc, AllocInput::Check { id: check.to_owned(), result });
        }
    }
}
