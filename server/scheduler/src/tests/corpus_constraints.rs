//! Recorded answers to constraints and to `distinct_*`.

use model::job::{Affinity, Constraint};
use model::node::Node;
use serde_json::{Value, json};

use super::build::{World, corpus, job, node, oddities, verdict};
use crate::feasible::constraint::{Check, validate, validate_affinity};
use crate::feasible::distinct::is_distinct;
use crate::score::affinity::Affinities;

fn probe() -> Node {
    let mut node = node(7, 4000, 8192);
    node.name = "n1".to_owned();
    node.datacenter = "dc-a".to_owned();
    node.node_class = "cls".to_owned();
    node.attributes.insert("unique.probe".to_owned(), "up".to_owned());
    node.attributes.insert("driver.mock_driver".to_owned(), "1".to_owned());
    for (key, value) in [("dc", "dc-a"), ("plain", "pv"), ("dotted.key", "dv"), ("has space", "sv"), ("MiXed", "mv")] {
        node.meta.insert(key.to_owned(), value.to_owned());
    }
    node
}

#[test]
fn constraints_are_answered_as_recorded() {
    let Some(text) = corpus("constraints.tsv") else { return };
    let odd = oddities("constraints.tsv");
    let mut differences = Vec::new();
    let mut compared = 0;
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let text_of = |column: &str| serde_json::from_str::<String>(column).unwrap_or_else(|_| column.to_owned());
        let operator = if columns[0].starts_with('"') { text_of(columns[0]) } else { columns[0].to_owned() };
        let mut node = probe();
        let node_id = node.id.to_string();
        let mut side = |value: &str, from: &str, key: &str| match from {
            "meta" => {
                if value != "missing" {
                    node.meta.insert(key.to_owned(), text_of(value).replace("<node id>", &node_id));
                }
                format!("${{meta.{key}}}")
            }
            "literal" => text_of(value).replace("<node id>", &node_id),
            target => text_of(target),
        };
        let l_target = side(columns[1], columns[4], "left_probe");
        let r_target = side(columns[2], columns[5], "right_probe");
        let constraint = Constraint { l_target, r_target, operand: operator };
        let mut world = World::with([node]);
        let info = world.table.info(0);
        let answer = match validate(&constraint) {
            Err(_) => "refused",
            Ok(()) if Check::compile(&constraint).is_ok_and(|check| check.holds(info)) => "yes",
            Ok(()) => "no",
        };
        let affinity = Affinity {
            l_target: constraint.l_target.clone(),
            r_target: constraint.r_target.clone(),
            operand: constraint.operand.clone(),
            weight: Some(50),
        };
        let weighed = match validate_affinity(&affinity) {
            Err(_) => "refused",
            Ok(()) if Affinities::of(&[affinity]).map_or(0.0, |affinities| affinities.score(info)) == 1.0 => "yes",
            Ok(()) => "no",
        };
        for (what, answer, recorded) in [("constraint", answer, columns[3]), ("affinity", weighed, columns[6])] {
            compared += 1;
            let key = format!("{what} {}", columns[..3].join(" "));
            match (recorded.starts_with(answer), odd.get(&key)) {
                (true, Some(reason)) => differences.push(format!("{key} is as recorded, though listed: {reason}")),
                (false, None) => differences.push(format!("{what} {answer}: {line}")),
                _ => {}
            }
        }
        world.evals += 1;
    }
    verdict("answers to constraints and affinities", compared, &differences);
}

#[test]
fn distinct_filters_are_answered_as_recorded() {
    let Some(text) = corpus("distinct.tsv") else { return };
    let mut differences = Vec::new();
    let mut compared = 0;
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        compared += 1;
        let text_of = |column: &str| serde_json::from_str::<String>(column).unwrap();
        let constraint =
            json!([{"Operand": columns[0], "LTarget": text_of(columns[2]), "RTarget": text_of(columns[3])}]);
        let racks: Vec<Option<String>> = serde_json::from_str(columns[4]).unwrap();
        let mut world = World::with(racks.iter().enumerate().map(|(number, rack)| {
            let mut node = node(number as u128 + 1, 40_000, 80_000);
            node.datacenter = if number % 2 == 0 { "dc1" } else { "dc2" }.to_owned();
            if let Some(rack) = rack {
                node.meta.insert("rack".to_owned(), rack.clone());
            }
            node
        }));
        let count: i64 = columns[5].parse().unwrap();
        let document = job(count, 10, 10, |value| {
            let mut group = value["TaskGroups"][0].take();
            if columns[1].contains("task") {
                group["Tasks"][0]["Constraints"] = constraint.clone();
            }
            if columns[1].contains("group") {
                group["Constraints"] = constraint.clone();
            }
            if columns[1].contains("job") {
                value["Constraints"] = constraint.clone();
            }
            let groups = (0..columns[6].parse().unwrap()).map(|number: usize| {
                let mut group = group.clone();
                group["Name"] = Value::from(format!("g{number}"));
                group
            });
            value["TaskGroups"] = groups.collect();
        });
        if let Err(why) = check_document(&document) {
            if columns[8] != "refused at registration" {
                differences.push(format!("refused, {why}: {line}"));
            }
            continue;
        }
        let key = world.register(document);
        let placed = world.plan(&key).placements.len();
        if placed.to_string() != columns[7] {
            differences.push(format!("{placed}: {line}"));
        }
    }
    verdict("answers to distinct filters", compared, &differences);
}

/// What registering a job would refuse of its constraints.
fn check_document(document: &model::job::Job) -> Result<(), String> {
    let groups = document.task_groups.iter().flatten();
    let tasks = groups.clone().flat_map(|group| group.tasks.iter().flatten());
    for constraint in tasks.flat_map(|task| task.constraints.iter().flatten()) {
        if is_distinct(&constraint.operand) {
            return Err(format!("{:?} at task level", constraint.operand));
        }
    }
    let of_groups = groups.flat_map(|group| group.constraints.iter().flatten());
    document.constraints.iter().flatten().chain(of_groups).try_for_each(validate)
}
