//! Recorded answers to constraints and to `distinct_*`.

use model::job::{Affinity, Constraint};
use model::node::Node;
use serde_json::{Value, json};

use super::build::{World, corpus, job, node};
use crate::feasible::constraint::{Check, validate};
use crate::score::affinity::Affinities;

/// Rows that are answered as recorded; raise it when more are.
const AGREED: usize = 1_142;
const AGREED_AFFINITIES: usize = 894;
const AGREED_DISTINCT: usize = 78;

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
    let (mut agreed, mut affinities, mut rows) = (0, 0, 0);
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
        rows += 1;
        if columns[3].starts_with(answer) {
            agreed += 1;
        } else {
            println!("{answer}: {line}");
        }
        let affinity = Affinity {
            l_target: constraint.l_target.clone(),
            r_target: constraint.r_target.clone(),
            operand: constraint.operand.clone(),
            weight: Some(50),
        };
        let score = Affinities::of(&[affinity]).map_or(0.0, |affinities| affinities.score(info));
        affinities += usize::from(columns[6] == if score == 1.0 { "yes" } else { "no" });
        world.evals += 1;
    }
    println!("constraints: {agreed} of {rows} as recorded; affinities: {affinities}");
    assert!(agreed >= AGREED, "{agreed} of {rows}");
    assert!(affinities >= AGREED_AFFINITIES, "{affinities}");
}

#[test]
fn distinct_filters_are_answered_as_recorded() {
    let Some(text) = corpus("distinct.tsv") else { return };
    let (mut agreed, mut rows) = (0, 0);
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        if !matches!(columns[8], "yes" | "no") {
            continue;
        }
        rows += 1;
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
        let key = world.register(document);
        let placed = world.plan(&key).placements.len();
        if placed.to_string() == columns[7] {
            agreed += 1;
        } else {
            println!("{placed}: {line}");
        }
    }
    println!("distinct: {agreed} of {rows} as recorded");
    assert!(agreed >= AGREED_DISTINCT, "{agreed} of {rows}");
}
