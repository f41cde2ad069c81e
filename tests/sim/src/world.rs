//! A whole cluster: one server and several nodes, driven from one seed in one thread.

use std::fmt;

use model::node::Eligibility;
use model::time::{GoDuration, Timestamp};
use state::Op;

use crate::agenda::{Event, Loop, Origin, Shared};
use crate::driver::Life;
use crate::faults::{Fault, Faults};
use crate::invariants;
use crate::node::SimNode;
use crate::server::SimServer;
use crate::{node, workload};

/// How long things break, and how long they then have to settle.
const CHAOS: GoDuration = GoDuration::from_secs(150);
const QUIET: GoDuration = GoDuration::from_secs(240);

/// A simulated cluster.
pub struct World {
    /// Time, chance, agenda, story.
    pub shared: Shared,
    /// The server.
    pub server: SimServer,
    /// The machines.
    pub nodes: Vec<SimNode>,
    seed: u64,
}

/// A run in which everything held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Hash of everything that happened.
    pub hash: String,
    /// What was broken on purpose.
    pub faults: Faults,
    /// Index of the last entry of the log.
    pub index: u64,
}

/// A run in which something did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// When, in simulated nanoseconds.
    pub at: Timestamp,
    /// What did not hold.
    pub violations: Vec<String>,
    /// What happened before.
    pub story: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "seed {} fails at {:.4} s of simulated time:", self.seed, self.at.0 as f64 / 1e9)?;
        for violation in &self.violations {
            writeln!(out, "  {violation}")?;
        }
        write!(out, "replay: SIM_SEED={} cargo test -p sim -- --nocapture one_seed", self.seed)
    }
}

impl World {
    /// The cluster of a seed, before anything happens.
    ///
    /// # Errors
    /// When it cannot be made, which is a mistake here.
    pub fn new(seed: u64, print: bool) -> Result<World, Failure> {
        let mut shared = Shared::new(seed, print);
        let mut server = SimServer::default();
        let made = server.start(&mut shared).and_then(|()| {
            let count = 2 + shared.rng.position(3);
            (0..count).map(|number| SimNode::new(number, &mut shared)).collect::<Result<Vec<_>, _>>()
        });
        match made {
            Ok(nodes) => {
                for number in 0..nodes.len() {
                    shared.within(0, 2_000, Event::AgentUp { node: number });
                }
                shared.within(500, 1_500, Event::User);
                shared.within(5_000, 10_000, Event::Fault);
                let heal = shared.now.after(CHAOS);
                shared.at(heal, Event::Heal);
                Ok(World { shared, server, nodes, seed })
            }
            Err(why) => Err(Failure { seed, at: shared.now, violations: vec![why], story: Vec::new() }),
        }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The first time something does not hold.
    pub fn run(mut self) -> Result<Report, Failure> {
        let end = self.shared.now.after(CHAOS).after(QUIET);
        while let Some(event) = self.shared.pop(end) {
            let violations = self.happen(event).unwrap_or_else(|why| vec![why]);
            if !violations.is_empty() {
                return Err(self.failure(violations));
            }
        }
        let violations = invariants::when_quiet(&self);
        if !violations.is_empty() {
            return Err(self.failure(violations));
        }
        let index = self.server.state().map_or(0, state::State::index);
        Ok(Report { hash: self.shared.trace.hash(), faults: self.shared.faults, index })
    }

    fn failure(&self, violations: Vec<String>) -> Failure {
        Failure { seed: self.seed, at: self.shared.now, violations, story: self.shared.trace.tail() }
    }

    fn happen(&mut self, event: Event) -> Result<Vec<String>, String> {
        match event {
            Event::User => self.user()?,
            Event::Fault => self.fault()?,
            Event::Heal => self.heal()?,
            Event::ServerUp => {
                if self.server.state().is_none() {
                    self.server.start(&mut self.shared)?;
                }
            }
            Event::AgentUp { node } => self.nodes[node].start_agent(&mut self.shared)?,
            Event::Reconnect { node } => {
                self.shared.note(format_args!("node-{node} is heard again"));
                self.shared.silent.remove(&node);
            }
            Event::Flush { epoch } => {
                if self.server.flush(&mut self.shared, epoch) {
                    return Ok(invariants::after_entry(self));
                }
            }
            Event::ProcessUp { node, id, serial } => {
                if self.nodes[node].process_up(&mut self.shared, id, serial) {
                    return Ok(invariants::after_start(self, node));
                }
            }
            Event::ProcessExit { node, id, serial, exit } => {
                self.nodes[node].process_exit(&mut self.shared, &id, serial, exit);
            }
            event => self.route(event),
        }
        Ok(Vec::new())
    }

    /// Events of a server's epoch and of an agent's boot.
    fn route(&mut self, event: Event) {
        let shared = &mut self.shared;
        match event {
            Event::Arrive { caller, request } => {
                if !shared.silent.contains(&caller.node) {
                    self.server.arrive(shared, caller, request);
                }
            }
            Event::Propose { epoch, proposal } => self.server.join_batch(shared, epoch, *proposal),
            Event::Plan { epoch } => self.server.plan(shared, epoch),
            Event::RoundLost { epoch, round } => self.server.lose_round(shared, epoch, round),
            Event::Look { epoch } => self.server.look(shared, epoch),
            Event::Collect { epoch } => self.server.collect(shared, epoch),
            Event::PollEnds { epoch, ticket } => self.server.end_poll(shared, epoch, ticket),
            Event::Reply { caller, answer } => self.nodes[caller.node].reply(shared, caller, answer),
            event => self.route_to_agent(event),
        }
    }

    fn route_to_agent(&mut self, event: Event) {
        let shared = &mut self.shared;
        let (node, boot) = match &event {
            Event::Resume { node, boot, .. }
            | Event::Tick { node, boot, .. }
            | Event::Message { node, boot, .. }
            | Event::Probe { node, boot, .. }
            | Event::Finished { node, boot, .. }
            | Event::Reap { node, boot } => (*node, *boot),
            _ => return,
        };
        let node = &mut self.nodes[node];
        if node.boot != boot || node.agent.is_none() {
            return;
        }
        match event {
            Event::Resume { of, .. } => node.resume(shared, of),
            Event::Tick { alloc, .. } => {
                node.step(shared, alloc, client::alloc::lifecycle::AllocInput::Tick);
            }
            Event::Message { alloc, message, .. } => node.take_message(shared, alloc, message),
            Event::Probe { alloc, check, .. } => node.probe(shared, alloc, &check),
            Event::Finished { alloc, .. } => node.finished(shared, alloc),
            Event::Reap { .. } => node.reap(shared),
            _ => {}
        }
    }

    fn user(&mut self) -> Result<(), String> {
        if !self.shared.chaos {
            return Ok(());
        }
        if let Some(state) = self.server.state()
            && let Some(op) = workload::next(&mut self.shared, state, self.nodes.len())?
        {
            self.server.propose(&mut self.shared, op, Origin::User);
        }
        self.shared.within(200, 9_000, Event::User);
        Ok(())
    }

    fn fault(&mut self) -> Result<(), String> {
        if !self.shared.chaos {
            return Ok(());
        }
        let fault = Fault::SUDDEN[self.shared.rng.position(Fault::SUDDEN.len())];
        let node = self.shared.rng.position(self.nodes.len());
        match fault {
            Fault::ServerCrash => self.crash_server()?,
            Fault::NodeSilent => self.silence(node),
            Fault::TaskDies => self.kill_a_task(node),
            _ => self.crash_agent(node, fault),
        }
        if self.shared.rng.chance(20) {
            self.server.take_snapshot()?;
        }
        self.shared.within(500, 9_000, Event::Fault);
        Ok(())
    }

    fn crash_server(&mut self) -> Result<(), String> {
        let known = self.server.state().cloned();
        if !self.server.crash() {
            return Ok(());
        }
        self.shared.faults.count(Fault::ServerCrash);
        self.shared.note(format_args!("the server crashes"));
        if known.as_ref() != Some(&self.server.recovered()?) {
            return Err("the state from the disk is not the state that was served".to_owned());
        }
        for node in &self.nodes {
            node.disconnect(&mut self.shared);
        }
        self.shared.within(50, 6_000, Event::ServerUp);
        Ok(())
    }

    fn crash_agent(&mut self, number: usize, fault: Fault) {
        let node = &mut self.nodes[number];
        if node.agent.is_none() {
            return;
        }
        self.shared.faults.count(fault);
        self.shared.note(format_args!("{}: {fault:?}", node.node.name));
        node.crash_agent(&mut self.shared);
        let most = if self.shared.rng.chance(30) { 30_000 } else { 4_000 };
        if fault == Fault::NodeReboot {
            node.processes.clear();
        }
        self.shared.within(100, most, Event::AgentUp { node: number });
    }

    fn silence(&mut self, node: usize) {
        if self.shared.silent.insert(node) {
            self.shared.faults.count(Fault::NodeSilent);
            self.shared.note(format_args!("node-{node} is silent"));
            self.shared.within(1_000, 30_000, Event::Reconnect { node });
        }
    }

    fn kill_a_task(&mut self, number: usize) {
        let node = &self.nodes[number];
        let running: Vec<_> = node
            .processes
            .all()
            .filter(|(_, process)| process.life == Life::Up)
            .map(|(id, p)| (id.clone(), p.serial))
            .collect();
        let at = self.shared.rng.position(running.len());
        if let Some((id, serial)) = running.get(at).cloned() {
            self.shared.faults.count(Fault::TaskDies);
            self.shared.note(format_args!("{} is killed", node::short(&id)));
            let exit = driver::ExitResult { exit_code: 137, signal: 9, ..driver::ExitResult::default() };
            self.shared.within(0, 0, Event::ProcessExit { node: number, id, serial, exit });
        }
    }

    /// Nothing breaks any more: everything that is down comes up, everybody is heard, and every node takes work.
    fn heal(&mut self) -> Result<(), String> {
        self.shared.note(format_args!("nothing breaks any more"));
        self.shared.chaos = false;
        self.shared.silent.clear();
        if self.server.state().is_none() {
            self.server.start(&mut self.shared)?;
        }
        for node in &mut self.nodes {
            let op = Op::UpdateNodeEligibility { id: node.node.id, eligibility: Eligibility::Eligible };
            self.server.propose(&mut self.shared, op, Origin::User);
            node.start_agent(&mut self.shared)?;
            let boot = node.boot;
            self.shared.within(0, 1, Event::Resume { node: node.number, boot, of: Loop::KeepAlive });
        }
        Ok(())
    }
}
