//! Nothing runs that nobody wants.

use model::allocation::{ClientStatus, DesiredStatus};

use crate::world::World;

pub(super) fn check(world: &World) -> Vec<String> {
    let Some(state) = world.server.state() else { return vec!["the server is down".to_owned()] };
    let mut found = Vec::new();
    for node in &world.nodes {
        for id in node.processes.running() {
            let name = format!("{} on {}", crate::node::short(id), node.node.name);
            match state.alloc(id.alloc) {
                None => found.push(format!("{name} runs, and the servers have forgotten it")),
                Some(alloc) if alloc.node_id != node.node.id => found.push(format!("{name} runs on the wrong node")),
                Some(alloc) if alloc.desired_status != DesiredStatus::Run => {
                    found.push(format!("{name} runs, and was stopped: {}", alloc.desired_description));
                }
                Some(alloc) if alloc.client_status != ClientStatus::Running => {
                    found.push(format!("{name} runs, and counts as {:?}", alloc.client_status));
                }
                Some(_) => {}
            }
        }
    }
    found
}
