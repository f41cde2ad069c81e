//! A small world: jobs, nodes and plans with as few words as possible.

use std::collections::BTreeMap;

use model::allocation::{AllocUpdate, AllocatedPort, Allocation, ClientStatus, Grant, TaskGrant};
use model::evaluation::{EvalStatus, Evaluation, Plan, PlannedStop};
use model::id::{AllocId, EvalId, JobKey, NodeId, Seed};
use model::job::{Job, Task, TaskGroup};
use model::node::{Node, NodeCpu, NodeDisk, NodeMemory, NodeResources};
use model::time::Timestamp;

use crate::{Command, Op, Outcome, Reply, State, invariant};

/// A state with a log: every command gets the next index, a second and a seed.
#[derive(Clone, Default)]
pub struct World {
    pub state: State,
    pub log: Vec<(u64, Command)>,
}

impl World {
    pub fn run(&mut self, op: Op) -> Outcome {
        let index = self.state.index() + 1;
        let command = Command { at: Timestamp(index as i64 * 1_000_000_000), seed: Seed(u128::from(index)), op };
        let outcome = self.state.apply(index, &command);
        self.log.push((index, command));
        assert_eq!(invariant::check(&self.state), Vec::<String>::new());
        outcome
    }

    pub fn register(&mut self, job: Job) -> EvalId {
        match self.run(register(job)).reply {
            Reply::Job(written) => written.eval_id.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// A plan that sees the state of now.
    pub fn plan(&self, eval: EvalId) -> Plan {
        let eval = Evaluation { status: EvalStatus::Complete, ..(*self.state.eval(eval).unwrap()).clone() };
        Plan { eval, base_index: self.state.index(), ..Plan::default() }
    }

    /// Registers a job and places one copy of it with a port.
    pub fn place(&mut self, job: &str, node: NodeId, port: u16) -> AllocId {
        let eval = self.register(service(job, 1));
        let mut plan = self.plan(eval);
        plan.placements.push(self.copy(job, node, port));
        let id = plan.placements[0].id;
        assert_eq!(self.apply(vec![plan]), Reply::Plans(vec![]));
        id
    }

    pub fn apply(&mut self, plans: Vec<Plan>) -> Reply {
        self.run(Op::ApplyPlans { plans }).reply
    }

    /// A copy of the job's current version, not stored yet.
    pub fn copy(&self, job: &str, node: NodeId, port: u16) -> Allocation {
        let job = self.state.job(&key(job)).unwrap();
        let count = self.state.allocs().count() as u64;
        let seed = Seed(0xa110c + u128::from(self.state.index()) + (u128::from(port) << 32) + (node.0 << 64));
        Allocation {
            id: AllocId::derive(seed, count),
            name: format!("{}.web[0]", job.compiled().name),
            job: job.head().key.clone(),
            job_create_index: job.head().create_index,
            job_version: job.head().version,
            task_group: "web".to_owned(),
            node_id: node,
            grant: grant(100, port),
            ..Allocation::default()
        }
    }

    pub fn report(&mut self, id: AllocId, status: ClientStatus) -> Outcome {
        let node_id = self.state.alloc(id).unwrap().node_id;
        self.run(Op::UpdateAllocs { node_id, updates: vec![update(id, status)] })
    }

    pub fn pending(&self, job: &str) -> Vec<String> {
        let evals = self.state.evals_of_job(&key(job)).filter(|eval| eval.status == EvalStatus::Pending);
        let mut triggers: Vec<_> = evals.map(|eval| eval.triggered_by.clone()).collect();
        triggers.sort();
        triggers
    }

    /// Marks every waiting evaluation as planned with nothing to do.
    pub fn settle(&mut self) {
        let waiting: Vec<EvalId> =
            self.state.evals().filter(|eval| eval.status == EvalStatus::Pending).map(|eval| eval.id).collect();
        let plans = waiting.into_iter().map(|id| self.plan(id)).collect();
        assert_eq!(self.apply(plans), Reply::Plans(vec![]));
    }
}

pub fn key(job: &str) -> JobKey {
    JobKey::new("default", job)
}

pub fn register(job: Job) -> Op {
    Op::register(job)
}

pub fn service(id: &str, count: i64) -> Job {
    let task = Task { name: "main".to_owned(), driver: "mock".to_owned(), ..Task::default() };
    let group =
        TaskGroup { name: Some("web".to_owned()), count: Some(count), tasks: Some(vec![task]), ..TaskGroup::default() };
    Job {
        id: Some(id.to_owned()),
        name: Some(id.to_owned()),
        namespace: Some("default".to_owned()),
        r#type: Some("service".to_owned()),
        priority: Some(50),
        task_groups: Some(vec![group]),
        ..Job::default()
    }
}

pub fn of_type(id: &str, kind: &str) -> Job {
    Job { r#type: Some(kind.to_owned()), ..service(id, 1) }
}

/// A node with room for ten copies.
pub fn node(number: u128) -> Node {
    Node {
        id: NodeId(number),
        secret_id: "secret".to_owned(),
        name: format!("node-{number}"),
        node_resources: NodeResources {
            cpu: NodeCpu { cpu_shares: 1000, ..NodeCpu::default() },
            memory: NodeMemory { memory_mb: 1000 },
            disk: NodeDisk { disk_mb: 1000 },
            ..NodeResources::default()
        },
        ..Node::default()
    }
}

pub fn join(number: u128) -> Op {
    Op::RegisterNode { node: Box::new(node(number)) }
}

/// The same amount of everything, and a port unless it is 0.
pub fn grant(amount: i64, port: u16) -> Grant {
    let task = TaskGrant { cpu: amount, memory_mb: amount, ..TaskGrant::default() };
    let port = AllocatedPort { label: "http".to_owned(), value: port, to: port, ..AllocatedPort::default() };
    Grant {
        tasks: BTreeMap::from([("main".to_owned(), task)]),
        disk_mb: amount,
        ports: if port.value == 0 { vec![] } else { vec![port] },
        ..Grant::default()
    }
}

pub fn update(id: AllocId, status: ClientStatus) -> AllocUpdate {
    AllocUpdate { id, client_status: status, ..AllocUpdate::default() }
}

pub fn stop(id: AllocId) -> PlannedStop {
    PlannedStop { id, description: "not wanted".to_owned(), ..PlannedStop::default() }
}

/// A world with node 1 and job `web` with one copy on it at port 80.
pub fn one_copy() -> (World, AllocId) {
    let mut world = World::default();
    world.run(join(1));
    let id = world.place("web", NodeId(1), 80);
    (world, id)
}
