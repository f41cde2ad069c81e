//! Once quiet, what is wanted lives: as many copies of each group as its job asks for, of the current version, each with
//! its processes. What is missing waits in a blocked evaluation, and then there really is no room for it.

use model::allocation::{AllocatedPort, Allocation, ClientStatus, DesiredStatus, Grant, TaskGrant};
use model::compiled::{CompiledGroup, CompiledJob, Hook};
use model::evaluation::EvalStatus;
use model::id::AllocId;
use model::node::Node;
use state::{Room, State};

use crate::world::World;

pub(super) fn check(world: &World) -> Vec<String> {
    let Some(state) = world.server.state() else { return vec!["the server is down".to_owned()] };
    let mut found: Vec<String> = Vec::new();
    for eval in state.evals().filter(|eval| eval.status == EvalStatus::Pending) {
        found.push(format!("evaluation {} of {} ({}) still waits", eval.id.short(), eval.job, eval.triggered_by));
    }
    for (_, stored) in state.jobs() {
        for group in stored.compiled().groups.iter() {
            group_holds(state, stored.compiled(), group, &mut found);
        }
    }
    for alloc in state.allocs().filter(|alloc| alloc.is_live() && !alloc.is_terminal()) {
        processes_run(world, state, &alloc, &mut found);
    }
    for alloc in state.allocs().filter(|alloc| alloc.is_live() && alloc.is_terminal()) {
        let on = alloc.node_id.0;
        found.push(format!("{} {} on {on} was stopped and has not ended", alloc.id.short(), alloc.name));
    }
    found
}

fn group_holds(state: &State, job: &CompiledJob, group: &CompiledGroup, found: &mut Vec<String>) {
    let own = state.allocs_of_job(&job.key).filter(|alloc| alloc.job_create_index == job.create_index);
    let own: Vec<_> = own.filter(|alloc| alloc.task_group == group.name).collect();
    let live = own.iter().filter(|alloc| !alloc.is_terminal()).count();
    let what = format!("{} {:?} version {}", job.key, job.kind, job.version);
    if job.stopped {
        if live > 0 {
            found.push(format!("{what} is stopped and has {live} live copies"));
        }
        return;
    }
    let mut names: Vec<&str> =
        own.iter().filter(|alloc| !alloc.is_terminal()).map(|alloc| alloc.name.as_str()).collect();
    names.sort_unstable();
    let distinct = names.windows(2).all(|pair| pair[0] != pair[1]);
    if !job.kind.is_system() && !distinct {
        found.push(format!("{what}: two copies have one name: {names:?}"));
    }
    if job.kind.is_system() {
        return every_node_has_one(state, job, group, &own, found);
    }
    // A new version of a batch job runs again.
    let done = |alloc: &&std::sync::Arc<Allocation>| {
        alloc.client_status == ClientStatus::Complete
            && alloc.index() < Some(group.count)
            && alloc.job_version == job.version
    };
    let done = if job.kind.is_batch() { own.iter().filter(done).count() } else { 0 };
    let queued = queued(state, job, group);
    let current = own.iter().filter(|alloc| !alloc.is_terminal() && alloc.job_version == job.version).count();
    // A copy of an older version goes on as long as there is no room for its successor, only as many as the update
    // policy allows are tried at a time, and none any more once a new one has not become healthy in time.
    let (old, missing) = (live - current, (group.count as usize).saturating_sub(current + done));
    let waits = queued > 0 && queued <= missing && queued + old >= missing;
    let disproved = |alloc: &std::sync::Arc<Allocation>| {
        let unhealthy = alloc.health.as_ref().is_some_and(|health| !health.healthy);
        alloc.job_version == job.version && !alloc.is_terminal() && unhealthy
    };
    let halted = queued == 0 && old == missing && own.iter().any(disproved);
    if live > group.count as usize || !(waits || halted || missing == 0 && queued == 0 && old == 0) {
        let wants = group.count;
        found.push(format!(
            "{what} wants {wants}: {current} live, {old} of older versions, {done} done, {queued} blocked"
        ));
    }
    if queued > 0
        && let Some(node) = state.nodes().find(|node| has_room(state, node, group))
    {
        found.push(format!("{what}: {queued} copies are blocked, and node {} has room", node.name));
    }
}

fn every_node_has_one(
    state: &State,
    job: &CompiledJob,
    group: &CompiledGroup,
    own: &[std::sync::Arc<Allocation>],
    found: &mut Vec<String>,
) {
    for node in state.nodes() {
        let here = own.iter().filter(|alloc| alloc.node_id == node.id && !alloc.is_terminal()).count();
        // A failed copy has used up its restarts; a system job tries anew only when something else happens to it.
        let failed = |alloc: &&std::sync::Arc<Allocation>| {
            alloc.client_status == ClientStatus::Failed && alloc.desired_status == DesiredStatus::Run
        };
        let gave_up = own.iter().filter(|alloc| alloc.node_id == node.id).any(|alloc| failed(&alloc));
        let wanted = node.is_schedulable() && group.count > 0 && !gave_up;
        let misses = wanted && here == 0 && has_room(state, node, group);
        if here > 1 || misses {
            found.push(format!("{} has {here} copies on {}, which has room", job.key, node.name));
        }
    }
}

/// Copies that a blocked evaluation waits for.
fn queued(state: &State, job: &CompiledJob, group: &CompiledGroup) -> usize {
    let blocked = state.evals_of_job(&job.key).filter(|eval| eval.status == EvalStatus::Blocked);
    let counts = blocked.map(|eval| eval.queued_allocations.get(&group.name).copied().unwrap_or(0));
    usize::try_from(counts.sum::<u64>()).unwrap_or(usize::MAX)
}

/// Whether a copy would fit on a node, asked of the state itself.
fn has_room(state: &State, node: &Node, group: &CompiledGroup) -> bool {
    let grant = |task: &model::compiled::CompiledTask| {
        (task.name.clone(), TaskGrant { cpu: task.cpu, memory_mb: task.memory_mb, ..TaskGrant::default() })
    };
    let fixed = group.ports.iter().filter_map(|port| port.static_port);
    let ports = fixed.map(|value| AllocatedPort { value, ..AllocatedPort::default() }).collect();
    let grant =
        Grant { tasks: group.tasks.iter().map(grant).collect(), disk_mb: group.disk_mb, ports, ..Grant::default() };
    let probe = Allocation { id: AllocId(1), node_id: node.id, grant, ..Allocation::default() };
    let dynamic = group.ports.iter().filter(|port| port.static_port.is_none()).count();
    let range = node.node_resources.min_dynamic_port..=node.node_resources.max_dynamic_port;
    let taken: std::collections::BTreeSet<i64> = state
        .live_allocs_of_node(node.id)
        .flat_map(|alloc| alloc.grant.ports.clone())
        .map(|port| i64::from(port.value))
        .collect();
    let free = range.filter(|port| !taken.contains(port)).count();
    node.is_schedulable() && free >= dynamic && Room::of(state, node).fits(&probe).is_ok()
}

/// A live allocation runs, and its main tasks have processes.
fn processes_run(world: &World, state: &State, alloc: &Allocation, found: &mut Vec<String>) {
    let name = format!("{} {}", alloc.id.short(), alloc.name);
    let Some(job) = state.job_of_alloc(alloc) else { return found.push(format!("{name} has no job")) };
    if alloc.client_status != ClientStatus::Running {
        found.push(format!("{name} on {} is {:?}", { alloc.node_id.0 }, alloc.client_status));
    }
    let Some(group) = job.compiled().group(&alloc.task_group) else { return };
    let Some(node) = world.nodes.iter().find(|node| node.node.id == alloc.node_id) else { return };
    for task in group.tasks.iter().filter(|task| task.hook == Hook::Main) {
        if !node.processes.running().any(|id| id.alloc == alloc.id && id.task == task.name) {
            found.push(format!("{name}: task {} has no process on {}", task.name, node.node.name));
        }
    }
}
