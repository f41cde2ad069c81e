//! What is broken on purpose, and how often it was.

use std::collections::BTreeMap;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An agent dies and starts again; its tasks run on.
    AgentCrash,
    /// A machine dies and starts again: its tasks are gone.
    NodeReboot,
    /// The server dies and starts again from its log.
    ServerCrash,
    /// A node is not heard for a while; everything on it goes on.
    NodeSilent,
    /// A proposal takes long to be committed.
    ProposalDelayed,
    /// A proposal is committed twice.
    ProposalDoubled,
    /// The leader takes its proposal for lost, and it is committed later.
    ProposalForgotten,
    /// A driver cannot start a task.
    StartFails,
    /// A driver does not come back from a start.
    StartHangs,
    /// A driver refuses to stop a task.
    StopFails,
    /// A task dies by itself.
    TaskDies,
    /// A check fails for a while.
    CheckFails,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Fault; 12] = [
        Fault::AgentCrash,
        Fault::NodeReboot,
        Fault::ServerCrash,
        Fault::NodeSilent,
        Fault::ProposalDelayed,
        Fault::ProposalDoubled,
        Fault::ProposalForgotten,
        Fault::StartFails,
        Fault::StartHangs,
        Fault::StopFails,
        Fault::TaskDies,
        Fault::CheckFails,
    ];

    /// Those that happen by themselves; the others befall something that is being done.
    pub const SUDDEN: [Fault; 5] =
        [Fault::AgentCrash, Fault::NodeReboot, Fault::ServerCrash, Fault::NodeSilent, Fault::TaskDies];
}

/// How often each kind happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<Fault, u64>);

impl Faults {
    /// It happened once more.
    pub fn count(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    /// How often it happened.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or(0)
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Faults) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_default() += count;
        }
    }
}
