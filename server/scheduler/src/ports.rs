//! Which host ports a copy gets.

use model::allocation::AllocatedPort;
use model::id::{AllocId, Seed};

use crate::overlay::Ask;
use crate::table::{NodeInfo, PortHolders};

/// Whether a port can be given: not the node's own, not given in this plan, and held by nobody who stays.
pub(crate) fn is_available(
    port: u16,
    node: &NodeInfo,
    holders: Option<&PortHolders>,
    taken: &[u16],
    ends: impl Fn(AllocId) -> bool,
) -> bool {
    !node.reserved_ports.contains(&port)
        && !taken.contains(&port)
        && holders.and_then(|held| held.get(&port)).is_none_or(|ids| ids.iter().all(|id| ends(*id)))
}

/// Whether the planner may choose this port now: nobody holds it, not even one that is about to end.
fn is_choosable(port: u16, node: &NodeInfo, holders: Option<&PortHolders>, taken: &[u16], statics: &[u16]) -> bool {
    !statics.contains(&port) && is_available(port, node, holders, taken, |_| false)
}

/// Whether `count` ports can be chosen.
pub(crate) fn has_dynamic(
    count: usize,
    node: &NodeInfo,
    holders: Option<&PortHolders>,
    taken: &[u16],
    statics: &[u16],
) -> bool {
    let (first, last) = node.dynamic_ports;
    let size = usize::from(last).saturating_sub(usize::from(first)) + 1;
    let busy = holders.map_or(0, |held| held.range(first..=last.max(first)).count());
    // Most nodes are far from full: counting what could be in the way is enough for them.
    if count == 0 || busy + taken.len() + statics.len() + node.reserved_ports.len() + count <= size {
        return true;
    }
    (first..=last).filter(|port| is_choosable(*port, node, holders, taken, statics)).take(count).count() == count
}

/// The ports of a copy in the job's order; none when the dynamic ones run out.
pub(crate) fn choose(
    ask: &Ask<'_>,
    node: &NodeInfo,
    holders: Option<&PortHolders>,
    taken: &[u16],
    seed: Seed,
) -> Option<Vec<AllocatedPort>> {
    let (first, last) = node.dynamic_ports;
    let size = u32::from(last).checked_sub(u32::from(first))? + 1;
    let start = (seed.uuid(0) as u32) % size;
    let mut candidates = (0..size)
        .map(|step| first + ((start + step) % size) as u16)
        .filter(|port| is_choosable(*port, node, holders, taken, &ask.statics));
    let mut chosen = Vec::with_capacity(ask.group.ports.len());
    for port in &ask.group.ports {
        let value = match port.static_port {
            Some(value) => value,
            None => candidates.next()?,
        };
        chosen.push(AllocatedPort {
            label: port.label.clone(),
            value,
            to: u16::try_from(port.to).ok().filter(|to| *to > 0).unwrap_or(value),
            host_ip: node.address.clone(),
            task: port.task.clone(),
        });
    }
    Some(chosen)
}
