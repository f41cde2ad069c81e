//! Compares the shape of two JSON documents: key sets and types, not values, by the rules of the recordings.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Objects under these keys are maps: their keys are data.
const MAPS: &[&str] = &[
    "Meta",
    "Attributes",
    "Links",
    "Drivers",
    "HostVolumes",
    "HostNetworks",
    "Env",
    "Labels",
    "Config",
    "Tags",
    "Details",
    "Summary",
    "TaskGroups",
    "TaskStates",
    "TaskResources",
    "Tasks",
    "TaskLifecycles",
    "DesiredTGUpdates",
    "FailedTGAllocs",
    "QueuedAllocations",
    "ClassEligibility",
    "NodesAvailable",
    "ClassFiltered",
    "ConstraintFiltered",
    "ClassExhausted",
    "DimensionExhausted",
    "ResourcesExhausted",
    "Scores",
    "Updates",
    "Items",
    "Volumes",
    "stats",
    "Options",
    "VariableFlags",
];

/// Fields that are drover's own additions.
const OURS: &[&str] = &["Help"];

/// What one or more recorded values at the same place look like.
#[derive(Default)]
pub struct Shape {
    kinds: BTreeSet<&'static str>,
    fields: BTreeMap<String, Shape>,
    seen: BTreeMap<String, usize>,
    objects: usize,
    element: Option<Box<Shape>>,
    is_map: bool,
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl Shape {
    pub fn of(value: &Value) -> Shape {
        let mut shape = Shape::default();
        shape.add(value, "");
        shape
    }

    fn add(&mut self, value: &Value, name: &str) {
        self.kinds.insert(kind(value));
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.element.get_or_insert_default().add(item, "")),
            Value::Object(fields) => {
                let is_id = |key: &String| key.len() >= 32 && key.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
                let by_id = !fields.is_empty() && fields.keys().all(is_id);
                let a_struct = name == "Summary" && fields.contains_key("JobID");
                if by_id || (MAPS.contains(&name) && !a_struct) {
                    self.is_map = true;
                    fields.values().for_each(|item| self.element.get_or_insert_default().add(item, ""));
                    return;
                }
                self.objects += 1;
                for (key, item) in fields {
                    self.fields.entry(key.clone()).or_default().add(item, key);
                    *self.seen.entry(key.clone()).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    /// Appends one line for each difference.
    pub fn compare(&self, actual: &Value, path: &str, out: &mut BTreeSet<String>) {
        if !self.kinds.contains(kind(actual)) {
            let wanted: Vec<&str> = self.kinds.iter().copied().collect();
            out.insert(format!("{path}: type {}, recorded {}", kind(actual), wanted.join("/")));
            return;
        }
        match actual {
            Value::Array(items) => {
                for (item, shape) in items.iter().filter_map(|item| Some((item, self.element.as_ref()?))) {
                    shape.compare(item, &format!("{path}[]"), out);
                }
            }
            Value::Object(fields) if self.is_map => {
                for (key, item) in fields {
                    if let Some(shape) = &self.element {
                        shape.compare(item, &format!("{path}{{{key}}}"), out);
                    }
                }
            }
            Value::Object(fields) => {
                for key in self.fields.keys() {
                    if !fields.contains_key(key) && self.seen.get(key) == Some(&self.objects) {
                        out.insert(format!("{path}.{key}: missing"));
                    }
                }
                for (key, item) in fields.iter().filter(|(key, _)| !OURS.contains(&key.as_str())) {
                    match self.fields.get(key) {
                        Some(shape) => shape.compare(item, &format!("{path}.{key}"), out),
                        None => drop(out.insert(format!("{path}.{key}: not in the recording"))),
                    }
                }
            }
            _ => {}
        }
    }
}
