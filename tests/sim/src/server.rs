//! The server: log and snapshot on its disk, and, while it is up, the state with the leader's real pure cores.

use std::collections::BTreeMap;

use model::id::NodeId;
use model::node::NodeStatus;
use model::rpc::{HeartbeatReply, PullAllocs};
use model::time::{GoDuration, Timestamp};
use server::Topic;
use server::catalog::CatalogView;
use server::changes::{Version, version};
use server::leader::heartbeats::Heartbeats;
use server::leader::planner::{self, Planner};
use server::rpc::pulled;
use state::{Command, Op, State, Touched};

use crate::agenda::{Answer, Caller, Event, Origin, Proposal, Request, Shared};
use crate::faults::Fault;

/// Time between heartbeats, and what is granted on top.
const TTL: GoDuration = GoDuration::from_secs(10);
const GRACE: GoDuration = GoDuration::from_secs(2);
/// How long the planner waits for its round in a world where proposals get lost.
const ROUND_LIMIT: GoDuration = GoDuration::from_secs(3);
/// How long ended things are kept, and how often they are looked for.
const KEEP: GoDuration = GoDuration::from_secs(40);
const COLLECT_EVERY: GoDuration = GoDuration::from_secs(25);

/// A server with its disk.
#[derive(Default)]
pub struct SimServer {
    /// Every entry that was ever committed, with its index.
    log: Vec<(u64, Command)>,
    /// Bytes of a snapshot, and how much of the log it holds.
    snapshot: Option<(usize, Vec<u8>)>,
    epoch: u64,
    up: Option<Up>,
}

/// What is lost with the process.
struct Up {
    state: State,
    planner: Planner,
    heartbeats: Heartbeats,
    catalog: CatalogView,
    news: Touched,
    batch: Vec<Proposal>,
    /// The round that is on its way into the log.
    round: Option<Round>,
    /// The one that was planned meanwhile, and waits.
    next: Option<planner::Round>,
    plan_at: Option<Timestamp>,
    look_at: Option<Timestamp>,
    polls: BTreeMap<u64, Poll>,
    before: State,
    /// Whether the planner's table was ever another one than that of the state.
    has_drifted: bool,
}

struct Round {
    id: u64,
    parts: usize,
}

struct Poll {
    caller: Caller,
    request: PullAllocs,
    seen: Version,
}

impl SimServer {
    /// The state, while the server is up.
    pub fn state(&self) -> Option<&State> {
        self.up.as_ref().map(|up| &up.state)
    }

    /// The state before the last batch, while the server is up.
    pub fn state_before(&self) -> Option<&State> {
        self.up.as_ref().map(|up| &up.before)
    }

    /// Whether the planner's table, kept from change to change, was ever another one than that of the state.
    pub fn has_drifted(&self) -> bool {
        self.up.as_ref().is_some_and(|up| up.has_drifted)
    }

    /// The catalog, while the server is up.
    pub fn catalog(&self) -> Option<&CatalogView> {
        self.up.as_ref().map(|up| &up.catalog)
    }

    /// The state as the disk tells it.
    ///
    /// # Errors
    /// A snapshot that cannot be read.
    pub fn recovered(&self) -> Result<State, String> {
        let (from, mut state) = match &self.snapshot {
            Some((from, bytes)) => (*from, State::from_bytes(bytes).map_err(|error| format!("snapshot: {error}"))?),
            None => (0, State::new()),
        };
        for (index, command) in &self.log[from..] {
            state.apply(*index, command);
        }
        Ok(state)
    }

    /// Starts the process.
    ///
    /// # Errors
    /// What [`SimServer::recovered`] finds.
    pub fn start(&mut self, shared: &mut Shared) -> Result<(), String> {
        self.epoch += 1;
        let state = self.recovered()?;
        let mut heartbeats = Heartbeats::default();
        let expected = state.nodes().filter(|node| node.status != NodeStatus::Down).map(|node| node.id);
        heartbeats.restart(expected, shared.now, TTL.plus(GRACE));
        let catalog = CatalogView::default();
        catalog.rebuild(&state);
        shared.note(format_args!("server starts at index {}", state.index()));
        self.up = Some(Up {
            planner: Planner::of(&state),
            heartbeats,
            catalog,
            news: Touched::default(),
            batch: Vec::new(),
            round: None,
            next: None,
            plan_at: None,
            look_at: None,
            polls: BTreeMap::new(),
            before: state.clone(),
            has_drifted: false,
            state,
        });
        self.wake_planner(shared, shared.now);
        self.wake_look(shared);
        let epoch = self.epoch;
        shared.after(COLLECT_EVERY, Event::Collect { epoch });
        Ok(())
    }

    /// Kills the process: what was not written is gone. True when it was up.
    pub fn crash(&mut self) -> bool {
        self.epoch += 1;
        self.up.take().is_some()
    }

    /// Writes a snapshot that a later start reads.
    ///
    /// # Errors
    /// A state that cannot be written.
    pub fn take_snapshot(&mut self) -> Result<(), String> {
        if let Some(up) = &self.up {
            let bytes = up.state.to_bytes().map_err(|error| format!("snapshot: {error}"))?;
            self.snapshot = Some((self.log.len(), bytes));
        }
        Ok(())
    }

    /// Sends a command on its way into the log.
    pub fn propose(&mut self, shared: &mut Shared, op: Op, origin: Origin) {
        let epoch = self.epoch;
        let command = Command { at: shared.now, seed: shared.rng.seed(), op };
        let proposal = Box::new(Proposal { command, origin });
        if shared.chaos && shared.rng.chance(2) {
            shared.faults.count(Fault::ProposalDoubled);
            let again = Box::new(Proposal { origin: Origin::Leader, ..(*proposal).clone() });
            shared.within(1, 8_000, Event::Propose { epoch, proposal: again });
        }
        let mut delay = shared.rng.span(0, 3);
        if shared.chaos && shared.rng.chance(3) {
            shared.faults.count(Fault::ProposalDelayed);
            delay = shared.rng.span(100, 9_000);
        }
        if let Origin::Round(round) = proposal.origin
            && delay > ROUND_LIMIT
        {
            shared.after(ROUND_LIMIT, Event::RoundLost { epoch, round });
        }
        shared.after(delay, Event::Propose { epoch, proposal });
    }

    /// A proposal joins the batch.
    pub fn join_batch(&mut self, shared: &mut Shared, epoch: u64, proposal: Proposal) {
        let Some(up) = self.up.as_mut().filter(|_| epoch == self.epoch) else { return };
        if up.batch.is_empty() {
            shared.within(1, 4, Event::Flush { epoch });
        }
        up.batch.push(proposal);
    }

    /// The batch becomes one entry of the log and is applied. True when there was one.
    pub fn flush(&mut self, shared: &mut Shared, epoch: u64) -> bool {
        let Some(up) = self.up.as_mut().filter(|_| epoch == self.epoch) else { return false };
        let index = up.state.index() + 1;
        up.before = up.state.clone();
        let mut touched = Touched::default();
        let mut origins = Vec::new();
        for proposal in std::mem::take(&mut up.batch) {
            let outcome = up.state.apply(index, &proposal.command);
            shared
                .trace
                .note(shared.now, format_args!("{index} {} -> {:?}", summary(&proposal.command.op), outcome.reply));
            touched.merge(outcome.touched);
            self.log.push((index, proposal.command));
            origins.push(proposal.origin);
        }
        up.catalog.apply(&up.state, &touched);
        up.news.merge(touched);
        for origin in origins {
            self.committed(shared, origin, index);
        }
        self.answer_polls(shared);
        self.wake_planner(shared, shared.now);
        true
    }

    fn committed(&mut self, shared: &mut Shared, origin: Origin, index: u64) {
        let Some(up) = self.up.as_mut() else { return };
        match origin {
            Origin::User | Origin::Leader => {}
            Origin::Agent(caller) => {
                let answer = match caller.of {
                    crate::agenda::Loop::Push => Answer::Pushed,
                    _ => {
                        up.heartbeats.beat(node_id(caller.node), shared.now, TTL.plus(GRACE));
                        Answer::Alive(HeartbeatReply { ttl: TTL, index, unknown_node: false })
                    }
                };
                shared.answer(caller, answer);
                self.wake_look(shared);
            }
            Origin::Round(id) => {
                let Some(round) = up.round.as_mut().filter(|round| round.id == id) else { return };
                round.parts -= 1;
                if round.parts == 0 && up.round.take().is_some() {
                    up.planner.committed(&up.state, &up.news);
                    if let Some(next) = up.next.take() {
                        self.send(shared, next);
                    }
                }
            }
        }
    }

    /// The planner looks at what is new, unless it has planned ahead already, or one part of its round is applied and
    /// another is not.
    pub fn plan(&mut self, shared: &mut Shared, epoch: u64) {
        let Some(up) = self.up.as_mut().filter(|_| epoch == self.epoch) else { return };
        if up.plan_at.is_none_or(|at| at > shared.now) {
            return;
        }
        up.plan_at = None;
        if up.next.is_some() || up.planner.is_applied(&up.state, 0) {
            return;
        }
        let news = std::mem::take(&mut up.news);
        up.planner.absorb(&up.state, &news);
        up.has_drifted |= up.planner.has_drifted(&up.state);
        let round = up.planner.plan(&up.state, shared.now, shared.rng.seed());
        if round.is_empty() {
            if let Some(at) = up.planner.next_deadline() {
                self.wake_planner(shared, at);
            }
            return;
        }
        if up.round.is_some() {
            up.next = Some(round);
            return;
        }
        self.send(shared, round);
    }

    fn send(&mut self, shared: &mut Shared, round: planner::Round) {
        let Some(up) = self.up.as_mut() else { return };
        let id = shared.serial();
        let parts = usize::from(!round.plans.is_empty()) + usize::from(!round.overtaken.is_empty());
        up.round = Some(Round { id, parts });
        if !round.plans.is_empty() {
            self.propose(shared, Op::ApplyPlans { plans: round.plans }, Origin::Round(id));
        }
        if !round.overtaken.is_empty() {
            self.propose(shared, Op::UpdateEvals { evals: round.overtaken }, Origin::Round(id));
        }
    }

    /// The planner was not told of its round: it begins anew.
    pub fn lose_round(&mut self, shared: &mut Shared, epoch: u64, round: u64) {
        let Some(up) = self.up.as_mut().filter(|_| epoch == self.epoch) else { return };
        if up.round.take_if(|open| open.id == round).is_some() {
            shared.faults.count(Fault::ProposalForgotten);
            shared.note(format_args!("the planner takes its round for lost"));
            up.news = Touched::default();
            up.next = None;
            up.planner = Planner::of(&up.state);
            self.wake_planner(shared, shared.now.after(GoDuration::from_secs(1)));
        }
    }

    fn wake_planner(&mut self, shared: &mut Shared, at: Timestamp) {
        let epoch = self.epoch;
        let Some(up) = self.up.as_mut() else { return };
        if up.plan_at.is_none_or(|known| at < known) {
            up.plan_at = Some(at);
            shared.at(at, Event::Plan { epoch });
        }
    }

    /// The leader marks nodes whose heartbeat is overdue.
    pub fn look(&mut self, shared: &mut Shared, epoch: u64) {
        let Some(up) = self.up.as_mut().filter(|_| epoch == self.epoch) else { return };
        up.look_at = None;
        let mut silent = up.heartbeats.step(shared.now);
        silent.retain(|id| up.state.node(*id).is_some_and(|node| node.status != NodeStatus::Down));
        for id in silent {
            let op = Op::UpdateNodeStatus { id, status: NodeStatus::Down, description: "silent".to_owned() };
            self.propose(shared, op, Origin::Leader);
        }
        self.wake_look(shared);
    }

    fn wake_look(&mut self, shared: &mut Shared) {
        let epoch = self.epoch;
        let Some(up) = self.up.as_mut() else { return };
        if up.look_at.is_none()
            && let Some(at) = up.heartbeats.next_deadline()
        {
            let at = at.max(shared.now.after(GoDuration::from_millis(250)));
            up.look_at = Some(at);
            shared.at(at, Event::Look { epoch });
        }
    }

    /// The leader proposes to forget what has ended.
    pub fn collect(&mut self, shared: &mut Shared, epoch: u64) {
        if self.up.is_none() || epoch != self.epoch {
            return;
        }
        let before = Timestamp(shared.now.0 - KEEP.0);
        self.propose(shared, Op::Gc { before, force: false }, Origin::Leader);
        shared.after(COLLECT_EVERY, Event::Collect { epoch });
    }

    /// A call reaches the server.
    pub fn arrive(&mut self, shared: &mut Shared, caller: Caller, request: Request) {
        let Some(up) = self.up.as_mut() else { return shared.answer(caller, Answer::Unreachable) };
        let id = node_id(caller.node);
        let stored = up.state.node(id);
        match request {
            Request::Register(node) => self.propose(shared, Op::RegisterNode { node }, Origin::Agent(caller)),
            Request::Heartbeat => {
                let Some(node) = stored else { return shared.answer(caller, Answer::UnknownNode) };
                up.heartbeats.beat(id, shared.now, TTL.plus(GRACE));
                if node.status == NodeStatus::Ready {
                    let reply = HeartbeatReply { ttl: TTL, index: up.state.index(), unknown_node: false };
                    shared.answer(caller, Answer::Alive(reply));
                } else {
                    let op = Op::UpdateNodeStatus { id, status: NodeStatus::Ready, description: "back".to_owned() };
                    self.propose(shared, op, Origin::Agent(caller));
                }
                self.wake_look(shared);
            }
            Request::Push(push) if stored.is_some() => {
                let op = Op::UpdateAllocs { node_id: id, updates: push.updates };
                self.propose(shared, op, Origin::Agent(caller));
            }
            Request::Pull(pull) if stored.is_some() => self.poll(shared, caller, pull),
            Request::Push(_) | Request::Pull(_) => shared.answer(caller, Answer::UnknownNode),
        }
    }

    fn poll(&mut self, shared: &mut Shared, caller: Caller, request: PullAllocs) {
        let epoch = self.epoch;
        let Some(up) = self.up.as_mut() else { return };
        let seen = version(&up.state, &Topic::Node(request.node_id));
        if request.min_index == 0 || seen.index > request.min_index {
            let reply = pulled(&up.state, &request);
            return shared.answer(caller, Answer::Allocs(Box::new(reply)));
        }
        let ticket = shared.serial();
        shared.after(request.wait, Event::PollEnds { epoch, ticket });
        up.polls.insert(ticket, Poll { caller, request, seen });
    }

    fn answer_polls(&mut self, shared: &mut Shared) {
        let Some(up) = self.up.as_mut() else { return };
        let changed = |poll: &Poll| version(&up.state, &Topic::Node(poll.request.node_id)) != poll.seen;
        let due: Vec<u64> = up.polls.iter().filter(|(_, poll)| changed(poll)).map(|(ticket, _)| *ticket).collect();
        for ticket in due {
            self.end_poll(shared, self.epoch, ticket);
        }
    }

    /// Answers a long-poll with what there is.
    pub fn end_poll(&mut self, shared: &mut Shared, epoch: u64, ticket: u64) {
        let Some(up) = self.up.as_mut().filter(|_| epoch == self.epoch) else { return };
        if let Some(poll) = up.polls.remove(&ticket) {
            let reply = pulled(&up.state, &poll.request);
            shared.answer(poll.caller, Answer::Allocs(Box::new(reply)));
        }
    }
}

/// The id of node `number`.
pub fn node_id(number: usize) -> NodeId {
    NodeId(number as u128 + 1)
}

/// A command in few words.
fn summary(op: &Op) -> String {
    match op {
        Op::RegisterJob { job, .. } => format!("register {}", job.head().key.id),
        Op::DeregisterJob { key, purge, .. } => format!("deregister {key} purge={purge}"),
        Op::RegisterNode { node } => format!("node {} joins", node.name),
        Op::UpdateNodeStatus { id, status, .. } => format!("node {} is {status:?}", { id.0 }),
        Op::UpdateNodeEligibility { id, eligibility } => format!("node {} is {eligibility:?}", { id.0 }),
        Op::UpdateAllocs { node_id, updates } => {
            let seen: Vec<String> =
                updates.iter().map(|update| format!("{} {:?}", update.id.short(), update.client_status)).collect();
            format!("node {} sees {}", { node_id.0 }, seen.join(", "))
        }
        Op::StopAlloc { id, .. } => format!("stop {}", id.short()),
        Op::ApplyPlans { plans } => plans.iter().map(plan_summary).collect::<Vec<_>>().join("; "),
        Op::UpdateEvals { evals } => format!("{} evaluations", evals.len()),
        Op::SetScheduling { .. } => "configure the scheduler".to_owned(),
        Op::Gc { .. } => "collect".to_owned(),
    }
}

fn plan_summary(plan: &model::evaluation::Plan) -> String {
    let from =
        |alloc: &model::allocation::Allocation| alloc.previous_allocation.map(|id| id.short()).unwrap_or_default();
    let after = |alloc: &model::allocation::Allocation| alloc.starts_after.len();
    let placed: Vec<String> = plan
        .placements
        .iter()
        .map(|new| format!("{}={}@{} {}/{}", new.id.short(), new.name, { new.node_id.0 }, from(new), after(new)))
        .collect();
    let stopped: Vec<String> = plan.stops.iter().map(|stop| stop.id.short()).collect();
    let kept: Vec<String> = plan.in_place.iter().map(|alloc| alloc.id.short()).collect();
    format!("plan {} ({}) +{placed:?} -{stopped:?} ~{kept:?}", plan.eval.job, plan.eval.triggered_by)
}
