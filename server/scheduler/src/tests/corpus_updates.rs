//! Recorded answers to single edits of a job: nothing, in place, a new copy, a stop.

use model::allocation::{ClientStatus, Health};
use model::compiled::JobKind;
use model::job::{Job, asks_the_same};
use model::node::Node;
use serde_json::{Value, json};

use super::build::{World, corpus, node, oddities, verdict};

/// The node that meets everything that the recorded jobs ask for.
fn generous_node() -> Node {
    let mut node = node(1, 40_000, 80_000);
    node.name = "n1".to_owned();
    node.meta = [("rack", "r1"), ("zone", "z1")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let attributes = [
        ("os.signals", "SIGTERM,SIGHUP,SIGINT,SIGUSR1,SIGUSR2,SIGKILL,SIGQUIT,SIGNULL"),
        ("consul.version", "1.20.0"),
        ("consul.connect", "true"),
        ("consul.grpc", "8502"),
        ("vault.version", "1.18.0"),
        ("nomad.service_discovery", "true"),
        ("nomad.version", "2.0.6"),
        ("nomad.bridge.hairpin_mode", "true"),
        ("plugins.cni.version.bridge", "1.5.0"),
        ("plugins.cni.version.consul-cni", "1.5.0"),
    ];
    node.attributes.extend(attributes.map(|(key, value)| (key.to_owned(), value.to_owned())));
    node.node_resources.cpu.total_cpu_cores = 8;
    node.node_resources.devices = serde_json::from_value(json!([{
        "Vendor": "nvidia", "Type": "gpu", "Name": "t4",
        "Instances": (0..4).map(|n| json!({"ID": format!("t4-{n}"), "Healthy": true})).collect::<Vec<_>>(),
        "Attributes": {"memory": {"Int": 16, "Unit": "GiB"}},
    }]))
    .unwrap();
    for volume in ["hv", "hv2", "hv[0]"] {
        let volume_row = serde_json::from_value(json!({"Name": volume, "Path": format!("/{volume}")})).unwrap();
        node.host_volumes.insert(volume.to_owned(), volume_row);
    }
    node
}

/// Applies one edit at a path such as `TaskGroups[0].Meta.gm`.
fn edit(root: &mut Value, path: &str, new: &str) -> Option<()> {
    let mut target = root;
    let path = path.replace('[', ".[");
    let steps: Vec<&str> = path.split('.').collect();
    let (last, before) = steps.split_last()?;
    for step in before {
        target = match step.strip_prefix('[') {
            Some(index) => target.get_mut(index.trim_end_matches(']').parse::<usize>().ok()?)?,
            None => {
                if target.get(step).is_none_or(Value::is_null) {
                    let next_is_list = path.contains(&format!("{step}.["));
                    target[*step] = if next_is_list { Value::Array(Vec::new()) } else { json!({}) };
                }
                target.get_mut(*step)?
            }
        };
    }
    if new == "reversed" {
        let list = target.get_mut(*last)?.as_array_mut()?;
        list.reverse();
        return Some(());
    }
    let removed = matches!(new, "removed" | "absent");
    match last.strip_prefix('[') {
        Some("+]") => target.as_array_mut()?.push(serde_json::from_str(new).ok()?),
        Some(index) => {
            let index: usize = index.trim_end_matches(']').parse().ok()?;
            match removed {
                true => drop(target.as_array_mut()?.remove(index)),
                false => *target.get_mut(index)? = serde_json::from_str(new).ok()?,
            }
        }
        None if removed => drop(target.as_object_mut()?.remove(*last)),
        None => target[*last] = serde_json::from_str(new).ok()?,
    }
    Some(())
}

/// What planning the edited job does to the one copy that runs, in the recording's words.
fn answer(old: &Value, new: &Value) -> Result<String, String> {
    let read = |value: &Value| serde_json::from_value::<Job>(value.clone()).map_err(|why| why.to_string());
    let (mut old, mut new) = (read(old)?, read(new)?);
    old.canonicalise();
    new.canonicalise();
    let mut world = World::with([generous_node()]);
    world.config.memory_oversubscription_enabled = true;
    let key = world.register(Job { create_index: Some(1), ..old.clone() });
    let first = world.settle(&key);
    if first.placements.len() != 1 {
        return Err(format!("the base is not placed: {:?}", first.eval.failed_tg_allocs));
    }
    world.edit(first.placements[0].id, |alloc| {
        alloc.client_status = ClientStatus::Running;
        alloc.health = Some(Health { healthy: true, at: alloc.create_time });
    });
    if asks_the_same(&old, &new) {
        return Ok("no change".to_owned());
    }
    world.register(Job { create_index: Some(1), ..new });
    let plan = world.plan(&key);
    let sum = |of: fn(&model::evaluation::DesiredUpdates) -> u64| {
        plan.eval.annotations.values().map(|counts| of(counts)).sum::<u64>()
    };
    let counts = [
        ("destructive", sum(|counts| counts.destructive_update), false),
        ("in-place", sum(|counts| counts.in_place_update), false),
        ("stop", sum(|counts| counts.stop), true),
        ("place", sum(|counts| counts.place), true),
    ];
    let words: Vec<String> = counts
        .into_iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(word, count, counted)| if counted { format!("{word} {count}") } else { word.to_owned() })
        .collect();
    let words = match &words[..] {
        [stop, place] if stop.starts_with("stop") => format!("{stop} and {place}"),
        [stop] if stop == "stop 1" => "stop".to_owned(),
        _ => words.join(", "),
    };
    let refused = !plan.eval.failed_tg_allocs.is_empty();
    Ok(if refused { format!("{words} not placeable") } else { words })
}

#[test]
fn edits_are_answered_as_recorded() {
    let (Some(table), Some(bases)) = (corpus("updates.tsv"), corpus("updates.bases.json")) else { return };
    let bases: Value = serde_json::from_str(&bases).unwrap();
    let odd = oddities("updates.tsv");
    let (mut compared, mut differences) = (0, Vec::new());
    let kinds = [JobKind::Service, JobKind::Batch, JobKind::System, JobKind::SysBatch];
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let detail = columns.get(9).copied().unwrap_or_default();
        for (column, kind) in kinds.iter().enumerate() {
            let recorded = columns[4 + column];
            // What was refused is a matter of the rules for registering a job.
            if matches!(recorded, "refused" | "n/a") {
                continue;
            }
            let old = &bases[columns[0]][kind.as_str()];
            let mut new = old.clone();
            let edited = columns[1] == "(nothing)" || edit(&mut new, columns[1], columns[3]).is_some();
            let ours = if edited { answer(old, &new) } else { Err("the edit cannot be made".to_owned()) };
            let ours = ours.unwrap_or_else(|why| why);
            let wanted = match recorded {
                "destructive" | "stop" if detail.contains("not placeable") => format!("{recorded} not placeable"),
                other => other.to_owned(),
            };
            // A second copy has no place beside the first one's static port, which the recording does not tell.
            let ours = if recorded.contains("place") { ours.replace(" not placeable", "") } else { ours };
            compared += 1;
            let key = format!("{} {}", kind.as_str(), columns[..4].join(" "));
            match (ours == wanted, odd.get(&key)) {
                (true, Some(reason)) => differences.push(format!("{key} is as recorded, though listed: {reason}")),
                (false, None) => differences.push(format!("{key}: {ours}, not {wanted}")),
                _ => {}
            }
        }
    }
    verdict("answers to edits", compared, &differences);
}
