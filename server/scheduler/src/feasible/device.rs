//! Devices that a task asks for: names, constraints and affinities over the properties of a kind of device.
//!
//! Whether a node has enough healthy devices that match is a static rule: once per node and group. Which of them are
//! free is dynamic; see [`crate::exclusive`].

use std::cmp::Ordering;

use model::job::{Affinity, Constraint, RequestedDevice};
use model::node::{DeviceAttribute, NodeDevice};

use super::constraint::{self, compare_with};
use super::pattern;
use super::version::{Dialect, Version, VersionConstraint};

/// A request, read once per group.
#[derive(Clone, Debug)]
pub(crate) struct DeviceAsk<'a> {
    request: &'a RequestedDevice,
}

impl<'a> DeviceAsk<'a> {
    /// Reads a request.
    pub fn of(request: &'a RequestedDevice) -> DeviceAsk<'a> {
        DeviceAsk { request }
    }

    /// How many instances.
    pub fn count(&self) -> usize {
        usize::try_from(self.request.count.unwrap_or(1)).unwrap_or(usize::MAX)
    }

    /// The name as it was written.
    pub fn name(&self) -> &'a str {
        &self.request.name
    }

    /// Whether this kind of device is one that is asked for: `<type>`, `<vendor>/<type>` or `<vendor>/<type>/<name>`.
    pub fn admits(&self, device: &NodeDevice) -> bool {
        let parts: Vec<&str> = self.request.name.splitn(3, '/').collect();
        let named = match parts[..] {
            [kind] => kind == device.r#type,
            [vendor, kind] => vendor == device.vendor && kind == device.r#type,
            [vendor, kind, name] => vendor == device.vendor && kind == device.r#type && name == device.name,
            _ => false,
        };
        named && self.request.constraints.iter().flatten().all(|constraint| holds(constraint, device))
    }

    /// Sum of the weights that match.
    pub fn affinity(&self, device: &NodeDevice) -> f64 {
        let matching = self.request.affinities.iter().flatten().filter(|affinity| {
            let Affinity { l_target, r_target, operand, .. } = affinity;
            let (l_target, r_target, operand) = (l_target.clone(), r_target.clone(), operand.clone());
            holds(&Constraint { l_target, r_target, operand }, device)
        });
        matching.map(weight).sum()
    }

    /// Sum of all weights, signs apart.
    pub fn total_weight(&self) -> f64 {
        self.request.affinities.iter().flatten().map(|affinity| weight(affinity).abs()).sum()
    }
}

fn weight(affinity: &Affinity) -> f64 {
    affinity.weight.unwrap_or(50) as f64
}

/// Whether the node's healthy devices could serve all of `asks` if they were free.
pub(crate) fn suffice(asks: &[DeviceAsk<'_>], devices: &[NodeDevice]) -> bool {
    let healthy = |device: &NodeDevice| device.instances.iter().filter(|instance| instance.healthy).count();
    asks.iter().all(|ask| devices.iter().filter(|d| ask.admits(d)).map(healthy).sum::<usize>() >= ask.count())
}

/// One side of a rule on devices.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Truth(bool),
    /// In the unit's base, and which kind of unit.
    Number(f64, Dimension),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dimension {
    Plain,
    Bytes,
    BytesPerSecond,
    Hertz,
    Watt,
}

fn holds(constraint: &Constraint, device: &NodeDevice) -> bool {
    let (left, right) = (resolve(&constraint.l_target, device), resolve(&constraint.r_target, device));
    match constraint.operand.as_str() {
        "is_set" => return left.is_some(),
        "is_not_set" => return left.is_none(),
        "!=" | "not" => return left.is_some() != right.is_some() || !equal(left.as_ref(), right.as_ref()),
        _ => {}
    }
    let (Some(left), Some(right)) = (left, right) else { return false };
    let orders: &[Ordering] = match constraint.operand.as_str() {
        "" | "=" | "==" | "is" => &[Ordering::Equal],
        "<" => &[Ordering::Less],
        "<=" => &[Ordering::Less, Ordering::Equal],
        ">" => &[Ordering::Greater],
        ">=" => &[Ordering::Greater, Ordering::Equal],
        other => return textual(other, &left, &right),
    };
    compare(&left, &right).is_some_and(|order| orders.contains(&order))
}

fn equal(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => compare(left, right) == Some(Ordering::Equal),
        (None, None) => true,
        _ => false,
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left, l), Value::Number(right, r)) if l == r => left.partial_cmp(right),
        (Value::Truth(left), Value::Truth(right)) => (left == right).then_some(Ordering::Equal),
        (Value::Text(left), Value::Text(right)) => compare_with(left, right),
        _ => None,
    }
}

fn textual(operator: &str, left: &Value, right: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        Value::Truth(truth) => truth.to_string(),
        Value::Number(number, _) => number.to_string(),
    };
    let (left, right) = (text(left), text(right));
    let version = |dialect| {
        let wanted = VersionConstraint::parse(&right, dialect).ok();
        wanted.is_some_and(|wanted| Version::parse(&left).is_some_and(|version| wanted.matches(&version)))
    };
    let mut wanted = constraint::elements(&right);
    let has = |element: &str| constraint::elements(&left).any(|known| known == element);
    match operator {
        "version" => version(Dialect::Version),
        "semver" => version(Dialect::Semver),
        "regexp" => pattern::compiled(&right).is_ok_and(|regex| regex.is_match(&left)),
        "set_contains" | "set_contains_all" => wanted.all(has),
        "set_contains_any" => wanted.any(has),
        _ => false,
    }
}

fn resolve(target: &str, device: &NodeDevice) -> Option<Value> {
    let Some(reference) = target.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        return Some(literal(target));
    };
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    match reference {
        "device.vendor" => text(&device.vendor),
        "device.type" => text(&device.r#type),
        "device.model" => text(&device.name),
        "device.ids" => {
            let ids: Vec<&str> = device.instances.iter().map(|instance| instance.id.as_str()).collect();
            text(&ids.join(","))
        }
        other => device.attributes.get(other.strip_prefix("device.attr.")?).and_then(attribute),
    }
}

fn attribute(attribute: &DeviceAttribute) -> Option<Value> {
    let number = attribute.int.map(|int| int as f64).or(attribute.float);
    if let Some(number) = number {
        let (factor, dimension) = unit(&attribute.unit)?;
        return Some(Value::Number(number * factor, dimension));
    }
    match (&attribute.string, attribute.bool) {
        (Some(text), _) => Some(Value::Text(text.clone())),
        (None, Some(truth)) => Some(Value::Truth(truth)),
        (None, None) => None,
    }
}

/// `11 GiB`, `1.5`, `true`, or else text.
fn literal(text: &str) -> Value {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    match (number.parse::<f64>(), unit(rest.trim())) {
        (Ok(number), Some((factor, dimension))) => Value::Number(number * factor, dimension),
        _ => match text {
            "true" => Value::Truth(true),
            "false" => Value::Truth(false),
            other => Value::Text(other.to_owned()),
        },
    }
}

/// Factor to the base unit: 1024 with an `i`, 1000 without.
fn unit(text: &str) -> Option<(f64, Dimension)> {
    let (text, rate) = text.strip_suffix("/s").map_or((text, false), |text| (text, true));
    let (prefix, dimension) = match text {
        "" => return (!rate).then_some((1.0, Dimension::Plain)),
        _ if text.ends_with("Hz") => (&text[..text.len() - 2], Dimension::Hertz),
        _ if text.ends_with('W') => (&text[..text.len() - 1], Dimension::Watt),
        _ if text.ends_with('B') => (&text[..text.len() - 1], Dimension::Bytes),
        _ => return None,
    };
    let dimension = match (dimension, rate) {
        (Dimension::Bytes, true) => Dimension::BytesPerSecond,
        (_, true) => return None,
        (dimension, false) => dimension,
    };
    let base: f64 = if prefix.ends_with('i') { 1024.0 } else { 1000.0 };
    let power = match prefix.trim_end_matches('i') {
        "m" => -1,
        "" => 0,
        "k" | "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        "E" => 6,
        _ => return None,
    };
    Some((base.powi(power), dimension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_converted_before_they_are_compared() {
        let device: NodeDevice = serde_json::from_value(serde_json::json!({
            "Vendor": "nvidia", "Type": "gpu", "Name": "t4", "Instances": [{"ID": "0", "Healthy": true}],
            "Attributes": {"memory": {"Int": 16, "Unit": "GiB"}, "clock": {"Float": 1.5, "Unit": "GHz"},
                "ecc": {"Bool": true}, "driver": {"String": "535.86"}},
        }))
        .unwrap();
        for (left, operand, right, expected) in [
            ("${device.attr.memory}", ">=", "16 GiB", true),
            ("${device.attr.memory}", ">", "16000 MB", true),
            ("${device.attr.memory}", "<", "16 GB", false),
            ("${device.attr.memory}", ">=", "16", false),
            ("${device.attr.clock}", "=", "1500 MHz", true),
            ("${device.attr.ecc}", "is", "true", true),
            ("${device.attr.driver}", "version", ">= 500", true),
            ("${device.attr.nope}", "!=", "1", true),
            ("${device.attr.nope}", "is_not_set", "", true),
            ("${device.model}", "regexp", "^t", true),
            ("${device.vendor}", "=", "amd", false),
        ] {
            let constraint =
                Constraint { l_target: left.to_owned(), r_target: right.to_owned(), operand: operand.to_owned() };
            assert_eq!(holds(&constraint, &device), expected, "{left} {operand} {right}");
        }
    }
}
