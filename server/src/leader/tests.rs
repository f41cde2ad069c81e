//! The planner over a state, without a log: who gets room that appears.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use model::allocation::{AllocUpdate, ClientStatus};
use model::id::{JobKey, NodeId, Seed};
use model::job::Job;
use model::node::Node;
use model::time::Timestamp;
use serde_json::{Value, json};
use state::{Command, Op, State, Touched};

use super::Leader;
use super::planner::Planner;
use crate::config::ServerConfig;

#[derive(Default)]
struct World {
    state: State,
    planner: Planner,
}

impl World {
    fn write(&mut self, op: Op) -> Touched {
        let next = self.state.index() + 1;
        self.state.apply(next, &Command { at: Timestamp(1), seed: Seed(u128::from(next)), op }).touched
    }

    fn tell(&mut self, op: Op) {
        let touched = self.write(op);
        self.planner.absorb(&self.state, &touched);
    }

    fn node(&mut self, number: u128, cpu: i64) {
        let node: Node = serde_json::from_value(json!({
            "ID": NodeId(number), "Name": format!("n{number}"), "Datacenter": "dc1", "NodePool": "default",
            "SchedulingEligibility": "eligible", "Drivers": {"mock": {"Detected": true, "Healthy": true}},
            "NodeResources": {"Cpu": {"CpuShares": cpu, "TotalCpuCores": 4}, "Memory": {"MemoryMB": 10_000},
                "Disk": {"DiskMB": 100_000}},
        }))
        .unwrap();
        self.tell(Op::RegisterNode { node: Box::new(node) });
    }

    fn job(&mut self, id: &str, priority: i64, count: i64, cpu: i64, constraints: Value) {
        let mut job: Job = serde_json::from_value(json!({
            "ID": id, "Type": "service", "Priority": priority, "Constraints": constraints, "TaskGroups": [{
                "Name": "g", "Count": count, "EphemeralDisk": {"SizeMB": 10},
                "Tasks": [{"Name": "t", "Driver": "mock", "Resources": {"CPU": cpu, "MemoryMB": 10}}]}],
        }))
        .unwrap();
        job.canonicalise();
        self.tell(Op::register(job));
    }

    /// Plans and applies until nothing is left to plan.
    fn settle(&mut self) {
        loop {
            let seed = Seed(u128::from(self.state.index()) << 64);
            let round = self.planner.plan(&self.state, Timestamp(1), seed);
            if round.is_empty() {
                return;
            }
            let mut touched = self.write(Op::UpdateEvals { evals: round.overtaken });
            touched.merge(self.write(Op::ApplyPlans { plans: round.plans }));
            self.planner.committed(&self.state, &touched);
            self.planner.absorb(&self.state, &touched);
        }
    }

    fn live(&self, job: &str) -> usize {
        let rows = self.state.alloc_rows_of_job(&JobKey::new("default", job));
        rows.filter(|row| !row.is_terminal()).count()
    }
}

#[test]
fn room_that_nobody_takes_goes_to_who_waits_before_it_goes_to_the_queue() {
    let mut world = World::default();
    world.node(1, 2_000);
    // It fits beside its first copy by room, but does not want to be there.
    world.job("apart", 90, 2, 600, json!([{"Operand": "distinct_hosts", "RTarget": "true"}]));
    world.job("filler", 50, 1, 1_400, json!([]));
    world.settle();
    world.job("waits", 80, 1, 1_000, json!([]));
    world.settle();
    assert_eq!((world.live("apart"), world.live("filler"), world.live("waits")), (1, 1, 0));
    assert_eq!(world.planner.waiting(), (0, 2));

    world.job("late", 50, 1, 1_000, json!([]));
    let filler = world.state.alloc_rows_of_job(&JobKey::new("default", "filler")).next().unwrap().id();
    let done = AllocUpdate { id: filler, client_status: ClientStatus::Complete, ..AllocUpdate::default() };
    world.tell(Op::DeregisterJob { key: JobKey::new("default", "filler"), purge: false, eval_priority: 0 });
    world.tell(Op::UpdateAllocs { node_id: NodeId(1), updates: vec![done] });
    world.settle();
    assert_eq!((world.live("apart"), world.live("waits"), world.live("late")), (1, 1, 0));
}

#[tokio::test]
async fn who_waits_for_the_planner_waits_until_it_rests_and_no_longer_than_asked() {
    let leader = Leader::new(&ServerConfig::new(std::path::Path::new("/nowhere")));
    let hour = Duration::from_secs(3600);
    leader.planner_rests(hour).await;
    leader.set_planning(true);
    leader.planner_rests(Duration::ZERO).await;
    let mut waits = std::pin::pin!(leader.planner_rests(hour));
    assert!(futures_util::poll!(waits.as_mut()).is_pending());
    leader.set_planning(false);
    waits.await;
}
