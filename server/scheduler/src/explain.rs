//! Why a copy is where it is, or nowhere: counts over all nodes, the best scores, and what would help.

use std::collections::BTreeMap;

use model::id::EvalId;
use model::metric::{AllocMetric, NodeScoreMeta};
use model::node::NodeStatus;
use serde_json::json;

use crate::feasible::Rejection;
use crate::overlay::Shortage;
use crate::select::{Picker, State};
use crate::table::Room;
use crate::tally::{Counts, Tally};

/// How many of the best nodes are listed.
const LISTED: usize = 5;

/// How many sentences of help are given.
const SENTENCES: usize = 4;

/// What was found on a node, as of when it was looked at.
pub(crate) struct Seen {
    pub slot: usize,
    pub state: State,
    /// When everything that ends has ended.
    pub room: Room,
}

/// The nodes that are spoken of.
pub(crate) enum Scope {
    /// All, as they are now.
    All,
    /// These alone, in the order of their slots.
    These(Vec<Seen>),
}

impl Scope {
    /// Every node with what was found on it.
    fn iter<'s>(&'s self, picker: &'s Picker<'_, '_, '_>) -> Box<dyn Iterator<Item = (usize, &'s State)> + 's> {
        match self {
            Scope::All => Box::new(picker.states.iter().enumerate()),
            Scope::These(seen) => Box::new(seen.iter().map(|seen| (seen.slot, &seen.state))),
        }
    }

    fn tally(&self, picker: &Picker<'_, '_, '_>) -> Tally {
        let Scope::These(seen) = self else { return picker.states.tally().clone() };
        let mut tally = Tally::default();
        seen.iter().for_each(|seen| tally.add(&picker.overlay.table.info(seen.slot).class, &seen.state));
        tally
    }

    /// The best of them.
    fn best(&self, picker: &Picker<'_, '_, '_>) -> Vec<usize> {
        match self {
            Scope::All => picker.best_few(LISTED),
            Scope::These(seen) => seen.iter().map(|seen| seen.slot).take(LISTED).collect(),
        }
    }

    fn room(&self, picker: &Picker<'_, '_, '_>, slot: usize) -> Room {
        match self {
            Scope::All => picker.overlay.room_in_the_end(slot),
            Scope::These(seen) => match seen.binary_search_by_key(&slot, |seen| seen.slot) {
                Ok(place) => seen[place].room,
                Err(_) => Room::default(),
            },
        }
    }
}

/// The explanation of the next placement of `picker`, over the nodes of `scope`.
pub(crate) fn metric(picker: &Picker<'_, '_, '_>, scope: &Scope) -> AllocMetric {
    let table = picker.overlay.table;
    let mut metric = AllocMetric { node_pool: picker.job.node_pool.clone(), ..AllocMetric::default() };
    let (in_pool, available) = picker.surroundings();
    (metric.nodes_in_pool, metric.nodes_available) = (in_pool, available.clone());
    let (tally, best) = (scope.tally(picker), scope.best(picker));
    metric.nodes_filtered = tally.filtered;
    metric.nodes_exhausted = tally.exhausted;
    metric.nodes_evaluated = tally.filtered + tally.exhausted + tally.fits;
    let fits = best.into_iter().filter_map(|slot| match picker.states.get(slot) {
        State::Fit(parts) => Some((slot, picker.with_spread(slot, parts))),
        _ => None,
    });
    let scores = fits.map(|(slot, parts)| NodeScoreMeta {
        node_id: table.info(slot).id,
        scores: parts.named(picker.job.kind.is_system()),
        norm_score: parts.norm(),
    });
    metric.score_meta_data = Some(scores.collect::<Vec<_>>()).filter(|scores| !scores.is_empty());
    if metric.score_meta_data.is_none() {
        metric.help = help(picker, scope, &tally);
        metric.resources_exhausted = resources_exhausted(picker, &tally);
    }
    let some = |counts: Counts<String>| Some(counts).filter(|counts| !counts.is_empty());
    metric.dimension_exhausted = some(tally.dimensions.iter().map(|(short, count)| (short.key(), *count)).collect());
    metric.constraint_filtered = some(reasons(picker, scope, &tally));
    metric.class_filtered = some(tally.classes_filtered);
    metric.class_exhausted = some(tally.classes_exhausted);
    metric
}

/// The explanation of a copy for those that `eval` placed after it: each of its own would take more room than they do.
pub(crate) fn lent(metric: &AllocMetric, eval: EvalId) -> AllocMetric {
    let note = format!(
        "Counts and scores are those of an earlier copy of the same placement: run `drover replay {}` to make the \
         decision of this one again.",
        eval.short()
    );
    AllocMetric { help: vec![note], ..metric.clone() }
}

/// Whether the explanation of a copy that was placed is that of another one.
pub(crate) fn is_lent(metric: &AllocMetric) -> bool {
    !metric.help.is_empty()
}

/// Why nodes were rejected, in words, each once.
fn reasons(picker: &Picker<'_, '_, '_>, scope: &Scope, tally: &Tally) -> Counts<String> {
    let mut reasons = Counts::new();
    let mut note = |reason: String, count: u64| *reasons.entry(reason).or_insert(0) += count;
    for (rejection, count) in &tally.rejections {
        match rejection {
            Rejection::DistinctProperty(position) => {
                // Its words depend on the node.
                let key = |slot| picker.distinct.key(*position, picker.overlay.table, slot, &picker.property_counts);
                rejected_by(picker, scope, rejection).for_each(|slot| note(key(slot), 1));
            }
            _ => note(reason(picker, rejection), *count),
        }
    }
    reasons
}

/// The nodes that a rejection keeps out.
fn rejected_by<'s>(
    picker: &'s Picker<'_, '_, '_>,
    scope: &'s Scope,
    rejection: &'s Rejection,
) -> impl Iterator<Item = usize> {
    let rejected =
        scope.iter(picker).filter(move |(_, state)| matches!(state, State::Rejected(this) if this == rejection));
    rejected.map(|(slot, _)| slot)
}

/// The words under which a rejection is counted.
fn reason(picker: &Picker<'_, '_, '_>, rejection: &Rejection) -> String {
    match rejection {
        Rejection::Constraint(position) => picker.rules.rules[*position].text.clone(),
        Rejection::Driver => "missing drivers".to_owned(),
        Rejection::Device => "missing devices".to_owned(),
        Rejection::Signal(position) => format!("${{attr.os.signals}} set_contains {}", picker.rules.signals[*position]),
        Rejection::Network => "missing network".to_owned(),
        Rejection::HostNetwork(position) => {
            let port = &picker.group.ports[*position];
            format!("missing host network {:?} for port {:?}", port.host_network, port.label)
        }
        Rejection::Volume => "missing compatible host volumes".to_owned(),
        Rejection::DistinctHosts => "distinct_hosts".to_owned(),
        Rejection::DistinctProperty(_) => "distinct_property".to_owned(),
    }
}

/// What each task asks for, when room is what is missing.
fn resources_exhausted(picker: &Picker<'_, '_, '_>, tally: &Tally) -> Option<BTreeMap<String, serde_json::Value>> {
    let asked = |shortage: &Shortage, amount: i64| if tally.dimensions.contains_key(shortage) { amount } else { 0 };
    let tasks = picker.group.tasks.iter().map(|task| {
        let resources = json!({
            "CPU": asked(&Shortage::Cpu, task.cpu),
            "Cores": asked(&Shortage::Cores, task.cores),
            "MemoryMB": asked(&Shortage::Memory, task.memory_mb),
            "MemoryMaxMB": asked(&Shortage::Memory, task.memory_max_mb),
            "DiskMB": 0, "IOPS": 0, "SecretsMB": 0, "Networks": null, "Devices": null, "NUMA": null,
        });
        (task.name.clone(), resources)
    });
    (tally.exhausted > 0).then(|| tasks.collect())
}

/// Sentences on what would have to change: what keeps the most promising nodes out comes first.
fn help(picker: &Picker<'_, '_, '_>, scope: &Scope, tally: &Tally) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    if tally.filtered + tally.exhausted == 0 {
        sentences.push(nothing_to_look_at(picker));
        return sentences;
    }
    for (shortage, count) in &tally.dimensions {
        sentences.push(shortage_help(picker, scope, shortage, *count));
    }
    let mut rejections: Vec<(&Rejection, u64)> = tally.rejections.iter().map(|(r, count)| (r, *count)).collect();
    rejections.sort_by_key(|(_, count)| *count);
    sentences.extend(rejections.into_iter().map(|(rejection, count)| rejection_help(picker, scope, rejection, count)));
    sentences.truncate(SENTENCES);
    sentences
}

fn nothing_to_look_at(picker: &Picker<'_, '_, '_>) -> String {
    let infos = picker.overlay.table.infos();
    if infos.is_empty() {
        return "No node is registered: start a client agent.".to_owned();
    }
    let ready = infos.iter().filter(|node| node.schedulable).count();
    if ready == 0 {
        let down = infos.iter().filter(|node| node.status == NodeStatus::Down).count();
        return format!("No node takes new work: {down} down, {} not ready or ineligible.", infos.len() - down);
    }
    let in_pool = infos.iter().filter(|node| node.schedulable && picker.rules.is_in_pool(node)).count();
    if in_pool == 0 {
        return format!(
            "No ready node is in node pool {:?}: change `node_pool` of the job, or add a node to the pool.",
            picker.job.node_pool
        );
    }
    let mut known: Vec<&str> = infos.iter().filter(|node| node.schedulable).map(|n| n.datacenter.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    known.truncate(LISTED);
    format!(
        "No ready node is in the datacenters {:?}; the nodes are in {known:?}: change `datacenters` of the job.",
        picker.job.datacenters
    )
}

fn shortage_help(picker: &Picker<'_, '_, '_>, scope: &Scope, shortage: &Shortage, count: u64) -> String {
    match shortage {
        Shortage::Cpu | Shortage::Memory | Shortage::Disk => room_help(picker, scope, shortage, count),
        Shortage::Port { label, port } => {
            format!(
                "Static port {port} ({label}) is taken on {count} {}: choose another one, or let drover choose by \
                 leaving out `static`.",
                nodes(count)
            )
        }
        Shortage::Cores => {
            format!(
                "Too few cores are free on {count} {}: a copy wants {} of its own. Ask for fewer `cores`, for `cpu` \
                 instead, or add a node.",
                nodes(count),
                picker.ask.cores
            )
        }
        Shortage::Devices => {
            let names: Vec<&str> = picker.rules.devices.iter().map(|ask| ask.name()).collect();
            format!(
                "Devices {names:?} are in use, or too few of one kind, on {count} {}: ask for a lower `count`, free \
                 some, or add a node.",
                nodes(count)
            )
        }
        Shortage::Volume(name) => {
            format!(
                "Another allocation has host volume {name:?} to itself on {count} {}: use another access_mode or \
                 volume.",
                nodes(count)
            )
        }
        Shortage::MaxAllocs => {
            format!(
                "{count} {} run as many allocations as they may: raise the bound on the node or add a node.",
                nodes(count)
            )
        }
        Shortage::DynamicPorts => {
            format!("{count} {} have no free dynamic port left: widen the node's dynamic port range.", nodes(count))
        }
    }
}

/// What one dimension of the room lacks on a node.
struct Gap {
    name: &'static str,
    unit: &'static str,
    wanted: i64,
    free: i64,
    capacity: i64,
}

impl Gap {
    fn left(&self) -> i64 {
        self.free.max(0)
    }
}

/// The dimensions of which the node has less than a copy wants.
fn gaps(wanted: Room, free: Room, capacity: Room) -> Vec<Gap> {
    let gap = |name, unit, read: fn(Room) -> i64| Gap {
        name,
        unit,
        wanted: read(wanted),
        free: read(free),
        capacity: read(capacity),
    };
    let all = [
        gap("CPU", "MHz", |room| room.cpu),
        gap("memory", "MB", |room| room.memory),
        gap("disk", "MB", |room| room.disk),
    ];
    all.into_iter().filter(|gap| gap.free < gap.wanted).collect()
}

/// How far a node is from having room, the nearest first: one change is less than several, then what share is missing.
fn distance(wanted: Room, free: Room) -> (bool, i64, i64) {
    let dimensions = [(wanted.cpu, free.cpu), (wanted.memory, free.memory), (wanted.disk, free.disk)];
    let mut found = (0, 0i64, 0i64);
    for (wanted, free) in dimensions.into_iter().filter(|(wanted, free)| free < wanted) {
        let short = wanted.saturating_sub(free);
        let millionths = short.saturating_mul(1_000_000) / wanted.max(1);
        found = (found.0 + 1, found.1.saturating_add(millionths), found.2.saturating_add(short));
    }
    (found.0 > 1, found.1, found.2)
}

/// The closest of the nodes that lack nothing else, or else of those that lack more.
fn room_help(picker: &Picker<'_, '_, '_>, scope: &Scope, shortage: &Shortage, count: u64) -> String {
    let table = picker.overlay.table;
    let short = scope.iter(picker).filter(|(_, state)| matches!(state, State::Short(this) if this == shortage));
    let sizes = |slot| (picker.ask.room(table.info(slot).core_mhz), scope.room(picker, slot));
    let closest = short.map(|(slot, _)| slot).min_by_key(|slot| {
        let (wanted, free) = sizes(*slot);
        distance(wanted, free)
    });
    let Some(slot) = closest else { return format!("Not enough {}: add a node.", shortage.key()) };
    let (wanted, free) = sizes(slot);
    let gaps = gaps(wanted, free, table.capacity(slot));
    let listed = |amount: fn(&Gap) -> i64| {
        let amounts = gaps.iter().map(|gap| format!("{} {}", amount(gap), gap.unit));
        amounts.collect::<Vec<_>>().join(" and ")
    };
    let free = listed(Gap::left);
    let advice = if gaps.iter().any(|gap| gap.wanted > gap.capacity) {
        let capacity = listed(|gap| gap.capacity);
        format!("even empty it has only {capacity}, so ask for less or add a bigger node")
    } else if gaps.iter().any(|gap| gap.left() < 1) {
        "free some or add a node".to_owned()
    } else {
        format!("ask for at most {free}, free some, or add a node")
    };
    format!(
        "Not enough {} on {count} {}: a copy needs {}; {} is closest with {free} free, {} short: {advice}.",
        gaps.iter().map(|gap| gap.name).collect::<Vec<_>>().join(" and "),
        nodes(count),
        listed(|gap| gap.wanted),
        table.info(slot).name,
        listed(|gap| gap.wanted - gap.left()),
    )
}

fn nodes(count: u64) -> &'static str {
    if count == 1 { "node" } else { "nodes" }
}

fn rejection_help(picker: &Picker<'_, '_, '_>, scope: &Scope, rejection: &Rejection, count: u64) -> String {
    let table = picker.overlay.table;
    let mut found = rejected_by(picker, scope, rejection).map(|slot| table.info(slot));
    match rejection {
        Rejection::Driver => {
            let wanted = picker.rules.drivers.iter();
            let states = found.next().map(|node| {
                let missing = wanted.filter_map(|driver| match node.drivers.get(*driver) {
                    Some(Ok(())) => None,
                    Some(Err(reason)) => Some(format!("{driver} on {} is {reason}", node.name)),
                    None => Some(format!("{} does not know {driver}", node.name)),
                });
                missing.collect::<Vec<_>>().join(", ")
            });
            format!(
                "A driver is missing on {count} {} ({}): install it there, name another one, or add a node that has it.",
                nodes(count),
                states.unwrap_or_default()
            )
        }
        Rejection::Constraint(position) => {
            let rule = &picker.rules.rules[*position];
            let Some(check) = &rule.check else {
                return format!("A constraint cannot be read ({}): correct it.", rule.text);
            };
            let mut values: Vec<String> = found
                .take(1000)
                .map(|node| check.left().resolve(node).map_or_else(|| "unset".to_owned(), |value| format!("{value:?}")))
                .collect();
            values.sort_unstable();
            values.dedup();
            values.truncate(LISTED);
            format!(
                "Constraint `{}` does not hold on {count} {}, where the value is {}: change or remove the constraint, or \
                 add a node where it holds.",
                rule.text,
                nodes(count),
                values.join(", ")
            )
        }
        Rejection::Device => {
            let names: Vec<&str> = picker.rules.devices.iter().map(|ask| ask.name()).collect();
            format!(
                "Healthy devices that match {names:?} are too few on {count} {}: ask for fewer, or add a node that has \
                 them.",
                nodes(count)
            )
        }
        Rejection::Signal(position) => {
            format!(
                "Signal {:?} is not known on {count} {}: name another one, or add a node that knows it.",
                picker.rules.signals[*position],
                nodes(count)
            )
        }
        Rejection::Network => {
            format!(
                "Network {:?} is missing on {count} {}: configure it there, change `mode` of the network, or add a node \
                 that has it.",
                picker.group.network_mode,
                nodes(count)
            )
        }
        Rejection::HostNetwork(position) => {
            let port = &picker.group.ports[*position];
            format!(
                "Host network {:?}, which port {:?} is on, is missing on {count} {}: name it in client {{ host_network }} \
                 of a node's configuration or leave out `host_network`.",
                port.host_network,
                port.label,
                nodes(count)
            )
        }
        Rejection::Volume => {
            let names: Vec<&str> = picker.group.volumes.values().map(|volume| volume.source.as_str()).collect();
            format!(
                "Of host volumes {names:?} one is missing on {count} {}, or read-only there: name it in client {{ \
                 host_volume }} of a node's configuration.",
                nodes(count)
            )
        }
        Rejection::DistinctHosts => {
            format!(
                "A copy runs already on {count} {} and `distinct_hosts` allows one each: add nodes or lower `count`.",
                nodes(count)
            )
        }
        Rejection::DistinctProperty(position) => {
            let missing = rejected_by(picker, scope, rejection)
                .filter(|slot| picker.distinct.is_missing(*position, table, *slot))
                .count() as u64;
            match count - missing.min(count) {
                0 => format!(
                    "The property of `distinct_property` is missing on {count} {}: set it there, or remove the \
                     constraint.",
                    nodes(count)
                ),
                used_up => format!(
                    "The value of `distinct_property` is used up on {used_up} {}: allow more copies of each value, \
                     lower `count`, or add a node with another value.",
                    nodes(used_up)
                ),
            }
        }
    }
}
