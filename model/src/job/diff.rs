//! How two versions of a job differ, in the shape in which Nomad's clients show it.
//!
//! The walk is generic: both documents become JSON, scalars become fields, everything else becomes objects. What is
//! particular to one place, a name or something that is not shown, stands in the tables of [`tables`].

mod tables;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Job;
use crate::go_json::go_json;
use tables::Form;

/// What happened to a part of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiffType {
    /// It is the same; shown beside what did change.
    #[default]
    None,
    /// Only the new job has it.
    Added,
    /// Only the old job has it.
    Deleted,
    /// Both have it, not alike.
    Edited,
}

go_json! {
    /// How two jobs differ.
    pub struct JobDiff {
        r#type: DiffType = "Type",
        id: String = "ID",
        fields: Option<Vec<FieldDiff>> = "Fields",
        objects: Option<Vec<ObjectDiff>> = "Objects",
        task_groups: Option<Vec<TaskGroupDiff>> = "TaskGroups",
    }
}

go_json! {
    /// How a group differs. `updates` counts what the change will cause; the planner fills it in.
    pub struct TaskGroupDiff {
        r#type: DiffType = "Type",
        name: String = "Name",
        fields: Option<Vec<FieldDiff>> = "Fields",
        objects: Option<Vec<ObjectDiff>> = "Objects",
        tasks: Option<Vec<TaskDiff>> = "Tasks",
        updates: Option<BTreeMap<String, u64>> = "Updates",
    }
}

go_json! {
    /// How a task differs. `annotations` say what the change will cause; the planner fills them in.
    pub struct TaskDiff {
        r#type: DiffType = "Type",
        name: String = "Name",
        fields: Option<Vec<FieldDiff>> = "Fields",
        objects: Option<Vec<ObjectDiff>> = "Objects",
        annotations: Option<Vec<String>> = "Annotations",
    }
}

go_json! {
    /// How a block of a job, group or task differs.
    pub struct ObjectDiff {
        r#type: DiffType = "Type",
        name: String = "Name",
        fields: Option<Vec<FieldDiff>> = "Fields",
        objects: Option<Vec<ObjectDiff>> = "Objects",
    }
}

go_json! {
    /// One value before and after, as text; what is not there is the empty text.
    pub struct FieldDiff {
        r#type: DiffType = "Type",
        name: String = "Name",
        old: String = "Old",
        new: String = "New",
        annotations: Option<Vec<String>> = "Annotations",
    }
}

/// Compares two canonical jobs. `None` stands for a job that is not there: all of the other is added or deleted.
/// What the server writes into a job (indexes, version, status) does not count.
pub fn diff(old: Option<&Job>, new: Option<&Job>) -> JobDiff {
    let id = new.or(old).and_then(|job| job.id.clone()).unwrap_or_default();
    let (old, new) = (old.map(document), new.map(document));
    let pair = Pair { old: old.as_ref(), new: new.as_ref() };
    let (fields, objects) = pair.members("Job", false);
    let groups = pair.named("TaskGroups").into_iter().map(|(name, group)| group_diff(name, group)).collect();
    JobDiff { r#type: pair.kind(), id, fields, objects, task_groups: some(groups) }
}

fn group_diff(name: String, pair: Pair<'_>) -> TaskGroupDiff {
    let (fields, objects) = pair.members("TaskGroup", false);
    let tasks = pair.named("Tasks").into_iter().map(|(name, task)| task_diff(name, task)).collect();
    TaskGroupDiff { r#type: pair.kind(), name, fields, objects, tasks: some(tasks), updates: None }
}

fn task_diff(name: String, pair: Pair<'_>) -> TaskDiff {
    let (fields, objects) = pair.members("Task", false);
    TaskDiff { r#type: pair.kind(), name, fields, objects, annotations: None }
}

/// The job as JSON with nothing empty in it but texts, without what the server writes, each service with its namespace.
fn document(job: &Job) -> Value {
    let mut document = serde_json::to_value(job).unwrap_or_default();
    prune(&mut document);
    if let Value::Object(fields) = &mut document {
        fields.retain(|name, _| !tables::WRITTEN_BY_SERVER.contains(&name.as_str()));
    }
    let namespace = Value::from(job.namespace.as_deref().unwrap_or("default"));
    for group in items(&mut document, "TaskGroups") {
        items(group, "Services").for_each(|service| set(service, "Namespace", &namespace));
        for task in items(group, "Tasks") {
            items(task, "Services").for_each(|service| set(service, "Namespace", &namespace));
        }
    }
    document
}

/// Nothing, an empty list and an empty map say the same.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, value| match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(fields) => !fields.is_empty(),
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn items<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

fn set(object: &mut Value, name: &str, value: &Value) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value.clone());
    }
}

/// The same place in both jobs.
#[derive(Clone, Copy, Default)]
struct Pair<'a> {
    old: Option<&'a Value>,
    new: Option<&'a Value>,
}

impl<'a> Pair<'a> {
    fn kind(self) -> DiffType {
        match (self.old, self.new) {
            (None, Some(_)) => DiffType::Added,
            (Some(_), None) => DiffType::Deleted,
            (old, new) if old == new => DiffType::None,
            _ => DiffType::Edited,
        }
    }

    fn get(self, name: &str) -> Pair<'a> {
        let part = |side: Option<&'a Value>| side.and_then(|value| value.get(name));
        Pair { old: part(self.old), new: part(self.new) }
    }

    /// The elements of the list `list`, paired by their names.
    fn named(self, list: &str) -> BTreeMap<String, Pair<'a>> {
        self.get(list).keyed(tables::name_of)
    }

    /// The elements of both lists, paired by `key`.
    fn keyed(self, key: impl Fn(&Value) -> String) -> BTreeMap<String, Pair<'a>> {
        let mut pairs: BTreeMap<String, Pair<'a>> = BTreeMap::new();
        for item in elements(self.old) {
            pairs.entry(key(item)).or_default().old = Some(item);
        }
        for item in elements(self.new) {
            pairs.entry(key(item)).or_default().new = Some(item);
        }
        pairs
    }

    /// Fields and objects of a block of the kind `kind`. With `context`, unchanged fields are shown too.
    fn members(self, kind: &str, context: bool) -> (Option<Vec<FieldDiff>>, Option<Vec<ObjectDiff>>) {
        let fields = fields(&leaves(kind, self.old), &leaves(kind, self.new), context);
        let mut objects = Vec::new();
        for name in names(self.old).chain(names(self.new)).collect::<BTreeSet<&str>>() {
            self.get(name).objects(tables::form(kind, name), &mut objects);
        }
        objects.sort_by_key(|object| tables::rank(&object.name));
        (some(fields), some(objects))
    }

    /// The objects that the member in this place makes. Fields make none.
    fn objects(self, form: Form<'_>, out: &mut Vec<ObjectDiff>) {
        match form {
            Form::Hidden | Form::Inline => {}
            Form::Map(name) => {
                let flat = |side: Option<&Value>| {
                    let mut out = BTreeMap::new();
                    side.into_iter().for_each(|value| flatten("", value, &mut out));
                    out
                };
                let fields = fields(&flat(self.old), &flat(self.new), true);
                self.push(name, some(fields), None, out);
            }
            Form::Entries(name) => {
                for entry in names(self.old).chain(names(self.new)).collect::<BTreeSet<&str>>() {
                    self.get(entry).block(name, out);
                }
            }
            Form::Plain(name) => match self.new.or(self.old) {
                Some(Value::Object(_)) => self.block(name, out),
                Some(Value::Array(list)) if list.iter().all(|item| !item.is_object()) => self.texts(name, out),
                Some(Value::Array(_)) if !distinct(self.old) || !distinct(self.new) => self.set(name, out),
                Some(Value::Array(_)) => {
                    self.keyed(tables::name_of).into_values().for_each(|item| item.block(name, out));
                }
                _ => {}
            },
            Form::Set(name) => self.set(name, out),
        }
    }

    fn block(self, name: &str, out: &mut Vec<ObjectDiff>) {
        let (fields, objects) = self.members(name, true);
        self.push(name, fields, objects, out);
    }

    fn push(
        self,
        name: &str,
        fields: Option<Vec<FieldDiff>>,
        objects: Option<Vec<ObjectDiff>>,
        out: &mut Vec<ObjectDiff>,
    ) {
        if self.kind() != DiffType::None {
            out.push(ObjectDiff { r#type: self.kind(), name: name.to_owned(), fields, objects });
        }
    }

    /// A list of texts is a set: each is there or not.
    fn texts(self, name: &str, out: &mut Vec<ObjectDiff>) {
        let mut fields = Vec::new();
        for (value, item) in self.keyed(text) {
            let side = |side: Option<&Value>| if side.is_some() { value.clone() } else { String::new() };
            let (old, new) = (side(item.old), side(item.new));
            fields.push(FieldDiff { r#type: item.kind(), name: name.to_owned(), old, new, annotations: None });
        }
        self.push(name, some(fields), None, out);
    }

    /// Blocks without a name of their own are a set: one that changed is one added and one deleted.
    fn set(self, name: &str, out: &mut Vec<ObjectDiff>) {
        let old: Vec<&Value> = elements(self.old).collect();
        let new: Vec<&Value> = elements(self.new).collect();
        for item in new.iter().filter(|item| !old.contains(item)) {
            Pair { old: None, new: Some(item) }.block(name, out);
        }
        for item in old.iter().filter(|item| !new.contains(item)) {
            Pair { old: Some(item), new: None }.block(name, out);
        }
    }
}

fn elements(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

/// Whether each element has a name that no other has.
fn distinct(list: Option<&Value>) -> bool {
    let mut seen = BTreeSet::new();
    elements(list).map(tables::name_of).all(|name| !name.is_empty() && seen.insert(name))
}

fn names(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_object).into_iter().flat_map(Map::keys).map(String::as_str)
}

/// The fields of a block by name, with the defaults that the document need not spell out.
fn leaves(kind: &str, value: Option<&Value>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let Some(Value::Object(members)) = value else { return out };
    for (name, value) in members {
        let form = tables::form(kind, name);
        let scalar = !value.is_object() && !value.is_array();
        if matches!(form, Form::Inline) || scalar && !matches!(form, Form::Hidden) {
            flatten(name, value, &mut out);
        }
    }
    for (name, default) in tables::defaults(kind) {
        let slot = out.entry((*name).to_owned()).or_default();
        if slot.is_empty() {
            (*default).clone_into(slot);
        }
    }
    out
}

/// Texts of all scalars within `value`, named `prefix[key]` and `prefix[0]`.
fn flatten(prefix: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    let inner = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}[{key}]") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&inner(key), value, out)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| flatten(&inner(&at.to_string()), value, out));
        }
        scalar => {
            out.insert(prefix.to_owned(), text(scalar));
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn fields(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>, context: bool) -> Vec<FieldDiff> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let field = |name: &String| {
        let side = |side: &BTreeMap<String, String>| side.get(name).cloned().unwrap_or_default();
        let (old, new) = (side(old), side(new));
        let r#type = match (old.is_empty(), new.is_empty()) {
            _ if old == new => DiffType::None,
            (true, _) => DiffType::Added,
            (_, true) => DiffType::Deleted,
            _ => DiffType::Edited,
        };
        let shown = context || r#type != DiffType::None;
        shown.then(|| FieldDiff { r#type, name: name.clone(), old, new, annotations: None })
    };
    names.into_iter().filter_map(field).collect()
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    if list.is_empty() { None } else { Some(list) }
}
