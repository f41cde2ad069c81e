//! The agent's own loops: registration, heartbeats, the long-poll, reports, and which allocations it looks after.

use std::collections::{BTreeMap, BTreeSet};

use ::driver::TaskId;
use client::alloc::handover;
use client::alloc::lifecycle::AllocInput;
use model::allocation::{AllocUpdate, ReportOrder};
use model::id::AllocId;
use model::rpc::{AllocWithJob, PullAllocs, PullAllocsReply, PushAllocs, Roster};
use model::time::GoDuration;

use crate::agenda::{Answer, Caller, Event, Loop, Request, Shared};
use crate::node::SimNode;
use crate::runner::{Message, Runner};

/// How long a poll may stay open, and when it is given up.
const POLL: GoDuration = GoDuration::from_secs(60);
const POLL_LIMIT: GoDuration = GoDuration::from_secs(90);
/// When any other call is given up.
const CALL_LIMIT: GoDuration = GoDuration::from_secs(15);
/// Pauses after a failure.
const SHORTEST_PAUSE: GoDuration = GoDuration::from_millis(200);
const LONGEST_PAUSE: GoDuration = GoDuration::from_secs(10);
/// How often the driver is asked to remove what nobody wants.
const REAP_EVERY: GoDuration = GoDuration::from_secs(15);

/// One loop's place: the call it waits for, and how long it pauses after a failure.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    open: Option<u64>,
    pause: Option<GoDuration>,
}

/// What is lost with the agent's process.
#[derive(Default)]
pub struct Agent {
    /// The allocations it looks after, or has looked after.
    pub runners: BTreeMap<AllocId, Runner>,
    /// Runs that the driver must keep.
    pub wanted: BTreeSet<TaskId>,
    updates: BTreeMap<AllocId, AllocUpdate>,
    /// Number of the last report.
    reports: u64,
    pushing: Vec<AllocUpdate>,
    lines: BTreeMap<Loop, Line>,
    registered: bool,
    roster: Roster,
}

impl SimNode {
    /// Goes on with what the disk knows, then begins the loops.
    pub fn restore(&mut self, shared: &mut Shared) {
        let (node, boot) = (self.number, self.boot);
        let stored: Vec<_> = self.disk.iter().map(|(id, stored)| (*id, stored.clone())).collect();
        let mut first = Vec::new();
        for (id, stored) in stored {
            let (runner, effects) = Runner::restore(stored, shared.now);
            let Some(agent) = self.agent.as_mut() else { return };
            for run in runner.runs_to_find(&effects) {
                agent.wanted.insert(run);
            }
            if runner.ended {
                let report = ReportOrder { start: boot, number: 0 };
                agent.updates.insert(id, AllocUpdate { report, ..runner.life.observed() });
            }
            let ended = runner.ended;
            agent.runners.insert(id, runner);
            first.push((id, effects, ended));
        }
        for (id, effects, ended) in first {
            if !ended {
                self.carry_out(shared, id, effects);
                self.step(shared, id, AllocInput::Tick);
            }
        }
        shared.within(0, 5, Event::Reap { node, boot });
        for of in [Loop::KeepAlive, Loop::Pull, Loop::Push] {
            shared.within(0, 5, Event::Resume { node, boot, of });
        }
    }

    /// A loop takes its next turn, unless it waits for an answer.
    pub fn resume(&mut self, shared: &mut Shared, of: Loop) {
        let (node_id, secret_id) = (self.node.id, self.node.secret_id.clone());
        let Some(agent) = self.agent.as_mut() else { return };
        if agent.lines.get(&of).is_some_and(|line| line.open.is_some()) {
            return;
        }
        let request = match of {
            Loop::KeepAlive if agent.registered => Request::Heartbeat,
            Loop::KeepAlive => Request::Register(Box::new(self.node.clone())),
            Loop::Pull => {
                let (min_index, known) = (agent.roster.index, agent.roster.digest());
                Request::Pull(PullAllocs { node_id, secret_id, min_index, wait: POLL, known })
            }
            Loop::Push => {
                agent.pushing = std::mem::take(&mut agent.updates).into_values().collect();
                if agent.pushing.is_empty() {
                    // What could not be pushed was forgotten meanwhile: the next report waits for nothing.
                    agent.lines.entry(of).or_default().pause = None;
                    return;
                }
                Request::Push(PushAllocs { node_id, secret_id, updates: agent.pushing.clone() })
            }
        };
        let call = shared.serial();
        agent.lines.entry(of).or_default().open = Some(call);
        let caller = Caller { node: self.number, boot: self.boot, of, call };
        if !shared.silent.contains(&self.number) {
            shared.within(1, 10, Event::Arrive { caller, request });
        }
        let limit = if of == Loop::Pull { POLL_LIMIT } else { CALL_LIMIT };
        shared.after(limit, Event::Reply { caller, answer: Answer::Unreachable });
    }

    /// Every open call fails at once: the server's connections broke.
    pub fn disconnect(&self, shared: &mut Shared) {
        let Some(agent) = &self.agent else { return };
        for (of, line) in &agent.lines {
            if let Some(call) = line.open {
                let caller = Caller { node: self.number, boot: self.boot, of: *of, call };
                shared.answer(caller, Answer::Unreachable);
            }
        }
    }

    /// An answer arrives.
    pub fn reply(&mut self, shared: &mut Shared, caller: Caller, answer: Answer) {
        let (node, boot, of) = (self.number, self.boot, caller.of);
        let Some(agent) = self.agent.as_mut().filter(|_| caller.boot == boot) else { return };
        let line = agent.lines.entry(of).or_default();
        if line.open != Some(caller.call) {
            return;
        }
        line.open = None;
        let failed = matches!(answer, Answer::UnknownNode | Answer::Unreachable);
        let mut pause = GoDuration(0);
        if failed {
            pause = line.pause.unwrap_or(SHORTEST_PAUSE);
            line.pause = Some(GoDuration((pause.0 * 2).min(LONGEST_PAUSE.0)));
            pause = pause.plus(shared.rng.span(0, pause.0 / 2_000_000));
        } else {
            line.pause = None;
        }
        match answer {
            Answer::Alive(reply) => {
                agent.registered = true;
                pause = GoDuration(reply.ttl.0 / 2);
            }
            Answer::Allocs(reply) => {
                agent.roster.note(&reply);
                self.take_news(shared, *reply);
            }
            Answer::Pushed => agent.pushing.clear(),
            Answer::UnknownNode | Answer::Unreachable => {
                if of == Loop::Push {
                    for update in std::mem::take(&mut agent.pushing) {
                        agent.updates.entry(update.id).or_insert(update);
                    }
                }
                if of == Loop::Pull {
                    agent.roster.restart();
                }
                if matches!(answer, Answer::UnknownNode) {
                    agent.registered = false;
                    shared.within(0, 1, Event::Resume { node, boot, of: Loop::KeepAlive });
                }
            }
        }
        shared.after(pause, Event::Resume { node, boot, of });
    }

    /// Queues a report in place of an older one.
    pub fn report(&mut self, shared: &mut Shared, update: AllocUpdate, urgent: bool) {
        let boot = self.boot;
        let Some(agent) = self.agent.as_mut() else { return };
        agent.reports += 1;
        let report = ReportOrder { start: boot, number: agent.reports };
        agent.updates.insert(update.id, AllocUpdate { report, ..update });
        let pausing = agent.lines.get(&Loop::Push).is_some_and(|line| line.pause.is_some());
        if !pausing {
            let millis = if urgent { 1 } else { 200 };
            let node = self.number;
            shared.within(millis, millis, Event::Resume { node, boot, of: Loop::Push });
        }
    }

    /// Makes what runs here what the servers want, and forgets what they have forgotten.
    fn take_news(&mut self, shared: &mut Shared, reply: PullAllocsReply) {
        let Some(agent) = self.agent.as_mut() else { return };
        for (id, runner) in &mut agent.runners {
            runner.released |= handover::released(&reply, *id);
        }
        for source in reply.changed {
            self.take_row(shared, source);
        }
        let Some(agent) = self.agent.as_mut() else { return };
        let Some(ids) = reply.ids else { return };
        let listed: BTreeSet<AllocId> = ids.into_iter().collect();
        let gone: Vec<AllocId> = agent.runners.keys().filter(|id| !listed.contains(id)).copied().collect();
        for id in gone {
            let Some(runner) = self.agent.as_mut().and_then(|agent| agent.runners.get_mut(&id)) else { continue };
            if runner.ended {
                self.forget(id);
            } else if !runner.forgotten {
                runner.forgotten = true;
                self.message(shared, id, Message::Input(AllocInput::Stop { force: false }));
            }
        }
    }

    fn take_row(&mut self, shared: &mut Shared, source: AllocWithJob) {
        let Some(agent) = self.agent.as_mut() else { return };
        let id = source.alloc.id;
        if let Some(runner) = agent.runners.get_mut(&id) {
            if runner.source.alloc.alloc_modify_index == source.alloc.alloc_modify_index {
                return;
            }
            runner.job = source.job.compiled().clone();
            runner.source = source;
            let (alloc, job) = (Box::new(runner.source.alloc.clone()), runner.job.clone());
            if !runner.ended {
                self.step(shared, id, AllocInput::Update { alloc, job });
            }
            return;
        }
        // It ended before this agent lost its memory: it does not run again.
        if source.alloc.client_status.is_terminal() {
            return;
        }
        let living = agent.runners.iter().filter(|(_, runner)| !runner.ended);
        let living = living.map(|(id, runner)| (*id, runner.released)).collect();
        let predecessors = handover::predecessors(&source.alloc.starts_after, &living);
        agent.runners.insert(id, Runner::new(source, predecessors, shared.now));
        self.step(shared, id, AllocInput::Tick);
    }

    /// A runner has cleaned up after its end: who waits for it may start.
    pub fn finished(&mut self, shared: &mut Shared, id: AllocId) {
        let Some(agent) = self.agent.as_mut() else { return };
        let Some(runner) = agent.runners.get_mut(&id) else { return };
        runner.ended = true;
        if runner.forgotten {
            self.forget(id);
        }
        let Some(agent) = self.agent.as_ref() else { return };
        let living: Vec<AllocId> =
            agent.runners.iter().filter(|(_, runner)| !runner.ended).map(|(id, _)| *id).collect();
        for other in living {
            self.message(shared, other, Message::Input(AllocInput::PredecessorEnded(id)));
        }
    }

    fn forget(&mut self, id: AllocId) {
        self.disk.remove(&id);
        if let Some(agent) = self.agent.as_mut() {
            agent.runners.remove(&id);
            agent.updates.remove(&id);
        }
    }

    /// The driver removes runs that nobody wants.
    pub fn reap(&mut self, shared: &mut Shared) {
        let Some(agent) = &self.agent else { return };
        let unwanted = self.processes.all().map(|(id, _)| id).filter(|id| !agent.wanted.contains(id));
        let unwanted: Vec<TaskId> = unwanted.cloned().collect();
        for id in unwanted {
            shared.note(format_args!("{} reaps {}", self.node.name, crate::node::short(&id)));
            self.processes.remove(&id);
        }
        shared.after(REAP_EVERY, Event::Reap { node: self.number, boot: self.boot });
    }
}
