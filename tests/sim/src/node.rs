//! A machine: its disk, its processes, and, while it is up, the agent.

use std::collections::BTreeMap;

use ::driver::{ExitResult, TaskId};
use model::id::AllocId;
use model::node::Node;
use serde_json::json;

use crate::agenda::{Event, Shared};
use crate::agent::Agent;
use crate::driver::{Life, Processes};
use crate::runner::{Message, Stored};
use crate::server::node_id;

/// A machine.
pub struct SimNode {
    /// Its number.
    pub number: usize,
    /// What its agent announces.
    pub node: Node,
    /// What the agent has stored.
    pub disk: BTreeMap<AllocId, Stored>,
    /// What runs.
    pub processes: Processes,
    /// Counts starts of the agent.
    pub boot: u64,
    /// The agent, while it is up.
    pub agent: Option<Agent>,
}

impl SimNode {
    /// A machine of one of a few sizes.
    ///
    /// # Errors
    /// Never, unless the model refuses its own JSON.
    pub fn new(number: usize, shared: &mut Shared) -> Result<SimNode, String> {
        let size = 1 + shared.rng.below(3) as i64;
        let node = json!({
            "ID": node_id(number), "SecretID": format!("secret-{number}"), "Name": format!("node-{number}"),
            "Datacenter": "dc1", "NodePool": "default",
            "Attributes": {"kernel.name": "linux", "unique.network.ip-address": format!("10.0.0.{}", number + 1)},
            "Drivers": {"mock_driver": {"Detected": true, "Healthy": true}},
            "NodeResources": {
                "Cpu": {"CpuShares": 1000 * size, "TotalCpuCores": 4}, "Memory": {"MemoryMB": 1000 * size},
                "Disk": {"DiskMB": 10_000}, "MinDynamicPort": 20_000, "MaxDynamicPort": 20_005,
            },
        });
        let node = serde_json::from_value(node).map_err(|error| format!("a node: {error}"))?;
        let (disk, processes) = (BTreeMap::new(), Processes::default());
        Ok(SimNode { number, node, disk, processes, boot: 0, agent: None })
    }

    /// The agent starts and finds what it has stored. Nothing when it is up already.
    ///
    /// # Errors
    /// A record that does not read back.
    pub fn start_agent(&mut self, shared: &mut Shared) -> Result<(), String> {
        if self.agent.is_some() {
            return Ok(());
        }
        self.boot += 1;
        shared.note(format_args!("agent of {} starts", self.node.name));
        for stored in self.disk.values_mut() {
            let bytes = rmp_serde::to_vec_named(stored).map_err(|error| format!("a record: {error}"))?;
            *stored = rmp_serde::from_slice(&bytes).map_err(|error| format!("a record: {error}"))?;
        }
        let living = self.disk.iter().filter(|(_, stored)| !stored.record.is_ended()).map(|(id, _)| *id).collect();
        self.disk.values_mut().for_each(|stored| stored.record.wait_only_for(&living));
        self.agent = Some(Agent::default());
        self.restore(shared);
        Ok(())
    }

    /// The agent dies. Starts that were under way go on, or were not begun.
    pub fn crash_agent(&mut self, shared: &mut Shared) {
        if self.agent.take().is_none() {
            return;
        }
        let starting = self.processes.all().filter(|(_, process)| process.life == Life::Starting);
        let starting: Vec<(TaskId, bool)> = starting.map(|(id, process)| (id.clone(), process.comes_up)).collect();
        for (id, comes_up) in starting {
            if !comes_up || shared.rng.chance(50) {
                self.processes.remove(&id);
            }
        }
    }

    /// A process comes up, whether or not somebody looks.
    pub fn process_up(&mut self, shared: &mut Shared, id: TaskId, serial: u64) -> bool {
        let Some(process) = self.processes.named(&id, serial).filter(|process| process.life == Life::Starting) else {
            return false;
        };
        process.life = Life::Up;
        shared.trace.note(shared.now, format_args!("{} runs on {}", short(&id), self.node.name));
        if let Some((millis, exit_code)) = process.plan {
            let exit = ExitResult { exit_code, ..ExitResult::default() };
            shared.within(millis, millis, Event::ProcessExit { node: self.number, id: id.clone(), serial, exit });
        }
        self.tell_up(shared, &id);
        true
    }

    /// A process ends.
    pub fn process_exit(&mut self, shared: &mut Shared, id: &TaskId, serial: u64, exit: ExitResult) {
        let Some(process) = self.processes.named(id, serial).filter(|process| process.life == Life::Up) else {
            return;
        };
        shared.trace.note(shared.now, format_args!("{} ends on {}: {}", short(id), self.node.name, exit.exit_code));
        process.life = Life::Ended(exit);
        self.tell_exit(shared, id);
    }

    /// Tells the agent that waits for a start.
    pub fn tell_up(&mut self, shared: &mut Shared, id: &TaskId) {
        let Some(runner) = self.agent.as_mut().and_then(|agent| agent.runners.get_mut(&id.alloc)) else { return };
        let Some(start) = runner.starts.get_mut(&id.task).filter(|start| start.attempt == id.attempt) else { return };
        if !start.answered {
            start.answered = true;
            self.message(shared, id.alloc, Message::Up(id.clone()));
        }
    }

    /// Tells the agent that waits for an end.
    pub fn tell_exit(&mut self, shared: &mut Shared, id: &TaskId) {
        let Some(Life::Ended(exit)) = self.processes.get(id).map(|process| process.life.clone()) else { return };
        let Some(runner) = self.agent.as_mut().and_then(|agent| agent.runners.get_mut(&id.alloc)) else { return };
        if runner.waits.remove(id) {
            let (task, attempt) = (id.task.clone(), id.attempt);
            let input = client::alloc::lifecycle::AllocInput::Exited { task, attempt, exit };
            self.message(shared, id.alloc, Message::Input(input));
        }
    }

    /// Sends to a runner of the present agent.
    pub fn message(&self, shared: &mut Shared, alloc: AllocId, message: Message) {
        shared.within(0, 1, Event::Message { node: self.number, boot: self.boot, alloc, message });
    }
}

/// A run in few characters.
pub fn short(id: &TaskId) -> String {
    format!("{}/{}/{}", id.alloc.short(), id.task, id.attempt)
}
