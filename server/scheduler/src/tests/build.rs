//! Clusters, jobs and a little state for the tests.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::allocation::{Allocation, ClientStatus, DesiredStatus};
use model::compiled::{CompiledJob, compile};
use model::document::Document;
use model::evaluation::{Evaluation, Plan};
use model::id::{AllocId, EvalId, JobKey, NodeId, Seed};
use model::job::Job;
use model::node::Node;
use model::scheduling::SchedulerConfiguration;
use model::time::Timestamp;
use model::wire::Wire;
use serde_json::{Value, json};

use crate::inspect::{Inspection, inspect};
use crate::{JobView, Neighbour, NodeTable, Rollout, schedule};

/// A ready node in `dc1` with the driver `mock_driver`.
pub fn node(number: u128, cpu: i64, memory: i64) -> Node {
    serde_json::from_value(json!({
        "ID": NodeId(number), "Name": format!("n{number}"), "Datacenter": "dc1", "NodePool": "default",
        "Status": "ready", "SchedulingEligibility": "eligible",
        "Attributes": {"kernel.name": "linux", "arch": "x86_64", "os.name": "debian"},
        "Drivers": {"mock_driver": {"Detected": true, "Healthy": true}, "docker": {"Detected": true, "Healthy": true},
            "raw_exec": {"Detected": true, "Healthy": true}, "exec": {"Detected": true, "Healthy": true}},
        "NodeResources": {
            "Cpu": {"CpuShares": cpu, "TotalCpuCores": 4}, "Memory": {"MemoryMB": memory}, "Disk": {"DiskMB": 100_000},
            "MinDynamicPort": 20_000, "MaxDynamicPort": 32_000,
        },
    }))
    .unwrap()
}

/// A service job `job` with one group `g`, changed by `edit`.
pub fn job(count: i64, cpu: i64, memory: i64, edit: impl FnOnce(&mut Value)) -> Job {
    let mut value = json!({
        "ID": "job", "Name": "job", "Type": "service", "Datacenters": ["*"], "CreateIndex": 1, "Version": 0,
        "TaskGroups": [{"Name": "g", "Count": count, "EphemeralDisk": {"SizeMB": 10}, "Tasks": [
            {"Name": "t", "Driver": "mock_driver", "Resources": {"CPU": cpu, "MemoryMB": memory}},
        ]}],
    });
    edit(&mut value);
    serde_json::from_value(value).unwrap()
}

/// What a state would keep, as far as the planner is concerned.
#[derive(Default)]
pub struct World {
    pub nodes: BTreeMap<NodeId, Node>,
    pub allocs: BTreeMap<AllocId, Allocation>,
    pub versions: BTreeMap<(JobKey, u64), Arc<Document>>,
    pub current: BTreeMap<JobKey, CompiledJob>,
    pub table: NodeTable,
    pub config: SchedulerConfiguration,
    pub rollouts: BTreeMap<JobKey, Rollout>,
    pub evals: u64,
    pub now: Timestamp,
}

impl World {
    pub fn with(nodes: impl IntoIterator<Item = Node>) -> World {
        let mut world = World { config: SchedulerConfiguration::initial(), ..World::default() };
        nodes.into_iter().for_each(|node| world.put_node(node));
        world
    }

    pub fn put_node(&mut self, node: Node) {
        self.table.apply_node(&node);
        self.nodes.insert(node.id, node);
    }

    /// Registers a job as the next version of itself.
    pub fn register(&mut self, mut job: Job) -> JobKey {
        let key = compile(&job).key;
        let version = self.current.get(&key).map_or(0, |known| known.version + 1);
        job.version = Some(version);
        job.create_index = Some(job.create_index.unwrap_or(1));
        self.current.insert(key.clone(), compile(&job));
        self.versions.insert((key.clone(), version), Arc::new(job.into()));
        key
    }

    pub fn plan(&mut self, key: &JobKey) -> Plan {
        self.plan_for(key, "job-register")
    }

    pub fn plan_for(&mut self, key: &JobKey, triggered_by: &str) -> Plan {
        self.evals += 1;
        let seed = Seed(u128::from(self.evals));
        let eval = Evaluation {
            id: EvalId::derive(seed, 99),
            job: key.clone(),
            triggered_by: triggered_by.to_owned(),
            ..Evaluation::default()
        };
        let plan_on =
            |table: &NodeTable| self.with_view(key, |view| schedule(table, view, &eval, self.now, seed, self.evals));
        let (plan, once_more) = (plan_on(&self.table), plan_on(&self.table));
        assert_eq!(plan, once_more, "equal input, equal plan");
        assert_eq!(plan.pack().unwrap(), once_more.pack().unwrap(), "to the last byte");
        let fresh = NodeTable::of(self.nodes.values(), self.allocs.values().map(|alloc| alloc.claim()));
        let anew = plan_on(&fresh);
        assert_eq!(plan, anew, "what the table remembers of earlier plans does not matter");
        assert_eq!(plan.pack().unwrap(), anew.pack().unwrap(), "to the last byte");
        plan
    }

    /// What one more copy of the first group would find, and what one node says to it.
    pub fn inspect(&self, key: &JobKey, node: u128) -> Inspection {
        let job = &self.current[key];
        self.with_view(key, |view| inspect(&self.table, view, job, &job.groups[0], None, Some(NodeId(node))))
    }

    /// The job as the planner sees it.
    fn with_view<T>(&self, key: &JobKey, look: impl FnOnce(&JobView<'_>) -> T) -> T {
        let documents = |version: u64| self.versions.get(&(key.clone(), version)).cloned();
        look(&JobView {
            job: self.current.get(key),
            key,
            allocs: self.allocs.values().filter(|alloc| alloc.job == *key).collect(),
            documents: &documents,
            config: &self.config,
            neighbours: &|node| self.neighbours(node),
            rollout: self.rollouts.get(key),
        })
    }

    fn neighbours(&self, node: NodeId) -> Vec<Neighbour> {
        let here = self.allocs.values().filter(|alloc| alloc.node_id == node && alloc.is_live());
        let most = |alloc: &Allocation| {
            let job = self.versions.get(&(alloc.job.clone(), alloc.job_version)).map(|job| job.compiled());
            job.and_then(|job| job.group(&alloc.task_group).map(|group| group.migrate_max_parallel)).unwrap_or(1)
        };
        here.map(|alloc| Neighbour {
            id: alloc.id,
            job: alloc.job.clone(),
            group: alloc.task_group.clone(),
            priority: alloc.priority,
            migrate_max_parallel: most(alloc),
        })
        .collect()
    }

    pub fn put_alloc(&mut self, alloc: Allocation) {
        self.table.apply_alloc(alloc.claim());
        self.allocs.insert(alloc.id, alloc);
    }

    pub fn edit(&mut self, id: AllocId, edit: impl FnOnce(&mut Allocation)) {
        let mut alloc = self.allocs[&id].clone();
        edit(&mut alloc);
        self.put_alloc(alloc);
    }

    pub fn apply(&mut self, plan: &Plan) {
        let now = self.now;
        for stop in &plan.stops {
            let replaced_by = plan.placements.iter().find(|new| new.previous_allocation == Some(stop.id));
            self.edit(stop.id, |alloc| {
                alloc.client_status = stop.client_status.unwrap_or(alloc.client_status);
                if stop.followup_eval_id.is_some() {
                    alloc.followup_eval_id = stop.followup_eval_id;
                    let unknown = alloc.client_status == ClientStatus::Unknown;
                    alloc.unknown_since = alloc.unknown_since.or(unknown.then_some(now));
                    return;
                }
                alloc.desired_status = DesiredStatus::Stop;
                alloc.desired_description = stop.description.clone();
                alloc.next_allocation = replaced_by.map(|new| new.id);
            });
        }
        for preemption in &plan.preemptions {
            self.edit(preemption.victim, |alloc| {
                alloc.desired_status = DesiredStatus::Evict;
                alloc.preempted_by = Some(preemption.by);
            });
        }
        plan.placements.iter().chain(&plan.in_place).for_each(|alloc| self.put_alloc(alloc.clone()));
        let rebuilt = NodeTable::of(self.nodes.values(), self.allocs.values().map(|alloc| alloc.claim()));
        assert_eq!(self.table, rebuilt, "the table kept is the table rebuilt");
    }

    /// Plans and applies once.
    pub fn settle(&mut self, key: &JobKey) -> Plan {
        let plan = self.plan(key);
        self.apply(&plan);
        plan
    }

    /// Allocations meant to run that have not ended, by name.
    pub fn running(&self, key: &JobKey) -> Vec<&Allocation> {
        let mut running: Vec<_> = self.allocs.values().filter(|a| a.job == *key && !a.is_terminal()).collect();
        running.sort_by(|left, right| left.name.cmp(&right.name));
        running
    }

    pub fn set_client(&mut self, id: AllocId, status: ClientStatus) {
        let now = self.now;
        self.edit(id, |alloc| {
            alloc.client_status = status;
            alloc.modify_time = now;
        });
    }
}

/// A file of recorded answers: in the folder that `DROVER_SHARED` names, or in a folder `shared` beside the checkout or
/// one of its parents. None where they are not kept.
pub fn corpus(name: &str) -> Option<String> {
    let named = std::env::var_os("DROVER_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|parent| parent.join("shared"));
    let found = named.into_iter().chain(beside).map(|folder| folder.join("corpus/scheduling").join(name));
    let text = found.into_iter().find_map(|path| std::fs::read_to_string(path).ok());
    assert!(text.is_some() || !is_required(), "{name} is required and not there");
    text
}

fn is_required() -> bool {
    std::env::var_os("DROVER_CORPUS_REQUIRED").is_some_and(|value| value == "1")
}

/// Prints how many were compared and fails when something differs, or when nothing was compared though it must be.
pub fn verdict(what: &str, compared: usize, differences: &[String]) {
    // The test harness keeps what is printed to itself when a test passes; this is to be seen in any case.
    let _ = writeln!(std::io::stderr(), "{what}: {compared} compared, {} differ", differences.len());
    differences.iter().take(400).for_each(|difference| println!("  {difference}"));
    assert!(differences.is_empty(), "{} of {compared} {what} differ", differences.len());
    assert!(compared > 0 || !is_required(), "no {what} were compared");
}

/// Rows of a recording that are not imitated, with the reason, from `oddities.tsv`.
pub fn oddities(file: &str) -> BTreeMap<String, String> {
    let rows = include_str!("oddities.tsv").lines().skip(1).map(|line| line.splitn(3, '\t').collect::<Vec<_>>());
    let mine = rows.filter(|row| row.first() == Some(&file));
    mine.map(|row| (row[1].to_owned(), row[2].to_owned())).collect()
}
