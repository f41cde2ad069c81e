//! What is still to happen, in order of time; and what all parts of a simulated cluster share.

use std::collections::{BTreeMap, BTreeSet};

use driver::{ExitResult, TaskId};
use model::id::AllocId;
use model::node::Node;
use model::rpc::{HeartbeatReply, PullAllocs, PullAllocsReply, PushAllocs};
use model::time::{GoDuration, Timestamp};
use state::Command;

use crate::faults::Faults;
use crate::rng::Rng;
use crate::runner::Message;
use crate::trace::Trace;

/// Which loop of an agent a call or a pause belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loop {
    /// Registration and heartbeats.
    KeepAlive,
    /// The long-poll.
    Pull,
    /// Reports.
    Push,
}

/// Who calls: an agent's boot and the number of the call, so that late answers are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The node's number.
    pub node: usize,
    /// Counts starts of the agent.
    pub boot: u64,
    /// Which loop calls.
    pub of: Loop,
    /// Counts calls.
    pub call: u64,
}

/// What an agent asks of the server.
#[derive(Clone, Debug)]
pub enum Request {
    /// Announces the node.
    Register(Box<Node>),
    /// Lives.
    Heartbeat,
    /// Asks for its allocations.
    Pull(PullAllocs),
    /// Reports.
    Push(PushAllocs),
}

/// What the server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To a registration or a heartbeat.
    Alive(HeartbeatReply),
    /// To a pull.
    Allocs(Box<PullAllocsReply>),
    /// To a push.
    Pushed,
    /// The server does not know the node.
    UnknownNode,
    /// Nobody answered.
    Unreachable,
}

/// Who waits for a proposal.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A user, who looks elsewhere.
    User,
    /// An agent's call.
    Agent(Caller),
    /// The planner's open round.
    Round(u64),
    /// Another loop of the leader.
    Leader,
}

/// A command on its way into the log.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The command.
    pub command: Command,
    /// Who waits.
    pub origin: Origin,
}

/// Something that happens at a point in time. `epoch` names one life of the server, `boot` one of an agent.
#[derive(Clone, Debug)]
pub enum Event {
    /// A call reaches the server.
    Arrive { caller: Caller, request: Request },
    /// A proposal reaches the log's batch.
    Propose { epoch: u64, proposal: Box<Proposal> },
    /// The batch is written and applied.
    Flush { epoch: u64 },
    /// The planner looks.
    Plan { epoch: u64 },
    /// The planner takes its round for lost.
    RoundLost { epoch: u64, round: u64 },
    /// The leader looks at heartbeats.
    Look { epoch: u64 },
    /// The leader collects garbage.
    Collect { epoch: u64 },
    /// A long-poll has waited long enough.
    PollEnds { epoch: u64, ticket: u64 },
    /// The server starts.
    ServerUp,
    /// An answer, or its absence, reaches an agent.
    Reply { caller: Caller, answer: Answer },
    /// A loop of an agent goes on after a pause.
    Resume { node: usize, boot: u64, of: Loop },
    /// A lifecycle wanted to be woken.
    Tick { node: usize, boot: u64, alloc: AllocId },
    /// Something for a runner.
    Message { node: usize, boot: u64, alloc: AllocId, message: Message },
    /// A check is probed.
    Probe { node: usize, boot: u64, alloc: AllocId, check: String },
    /// A runner has cleaned up after its end.
    Finished { node: usize, boot: u64, alloc: AllocId },
    /// The agent has its driver remove what nobody wants.
    Reap { node: usize, boot: u64 },
    /// A process comes up.
    ProcessUp { node: usize, id: TaskId, serial: u64 },
    /// A process ends.
    ProcessExit { node: usize, id: TaskId, serial: u64, exit: ExitResult },
    /// An agent starts.
    AgentUp { node: usize },
    /// A node is heard again.
    Reconnect { node: usize },
    /// A user does something.
    User,
    /// Something breaks.
    Fault,
    /// Nothing breaks any more.
    Heal,
}

/// What every part may use: time, chance, the agenda, the story.
pub struct Shared {
    /// The simulated time.
    pub now: Timestamp,
    /// The only source of randomness.
    pub rng: Rng,
    /// The story.
    pub trace: Trace,
    /// What was broken on purpose so far.
    pub faults: Faults,
    /// Whether things break.
    pub chaos: bool,
    /// Nodes that are not heard.
    pub silent: BTreeSet<usize>,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    serial: u64,
}

impl Shared {
    /// The beginning of time.
    pub fn new(seed: u64, print: bool) -> Shared {
        Shared {
            now: Timestamp(1_000_000_000),
            rng: Rng::new(seed),
            trace: Trace::new(print),
            faults: Faults::default(),
            chaos: true,
            silent: BTreeSet::new(),
            agenda: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Puts an event on the agenda, at the earliest now.
    pub fn at(&mut self, time: Timestamp, event: Event) {
        self.serial += 1;
        self.agenda.insert((time.max(self.now), self.serial), event);
    }

    /// Puts an event on the agenda.
    pub fn after(&mut self, span: GoDuration, event: Event) {
        self.at(self.now.after(span), event);
    }

    /// Puts an event on the agenda, between `least` and `most` milliseconds from now.
    pub fn within(&mut self, least: i64, most: i64, event: Event) {
        let span = self.rng.span(least, most);
        self.after(span, event);
    }

    /// The next event up to `end`; time moves on to it.
    pub fn pop(&mut self, end: Timestamp) -> Option<Event> {
        let entry = self.agenda.first_entry()?;
        if entry.key().0 > end {
            return None;
        }
        self.now = entry.key().0;
        Some(entry.remove())
    }

    /// A number that was never given before.
    pub fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Adds a line to the story.
    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    /// Answers an agent through the network.
    pub fn answer(&mut self, caller: Caller, answer: Answer) {
        if !self.silent.contains(&caller.node) {
            self.within(1, 10, Event::Reply { caller, answer });
        }
    }
}
