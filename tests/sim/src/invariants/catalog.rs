//! The catalog is what the live allocations say, at any time; once quiet it names exactly what runs.

use std::collections::BTreeSet;

use model::id::AllocId;
use server::catalog::CatalogView;

use crate::world::World;

/// What was kept up step by step equals what is derived at once.
pub(super) fn check(world: &World) -> Vec<String> {
    let (Some(state), Some(kept)) = (world.server.state(), world.server.catalog()) else { return Vec::new() };
    let fresh = CatalogView::default();
    fresh.rebuild(state);
    if *fresh.load() == *kept.load() {
        return Vec::new();
    }
    vec!["the catalog is not what the live allocations say".to_owned()]
}

/// Every process of a group with a service is named, healthy; and nothing else is.
pub(super) fn check_quiet(world: &World) -> Vec<String> {
    let (Some(state), Some(kept)) = (world.server.state(), world.server.catalog()) else { return Vec::new() };
    let mut found = Vec::new();
    let mut named: BTreeSet<AllocId> = BTreeSet::new();
    for (_, name, instances) in kept.load().services() {
        for instance in instances.iter() {
            named.insert(instance.alloc_id);
            if !instance.healthy {
                found.push(format!("{name} of {} is not healthy", instance.alloc_id.short()));
            }
        }
    }
    let mut running: BTreeSet<AllocId> = BTreeSet::new();
    for id in world.nodes.iter().flat_map(|node| node.processes.running()) {
        let group = state.alloc(id.alloc).and_then(|alloc| {
            let job = state.job_of_alloc(&alloc)?;
            job.compiled().group(&alloc.task_group).cloned()
        });
        if group.is_some_and(|group| !group.services.is_empty()) {
            running.insert(id.alloc);
        }
    }
    for id in named.symmetric_difference(&running) {
        let what = if named.contains(id) { "is named in the catalog and does not run" } else { "runs unnamed" };
        found.push(format!("allocation {} {what}", id.short()));
    }
    found
}
