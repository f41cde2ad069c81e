//! What may stand in a task's `config` block: each driver's settings as data, and the check against them.
//!
//! Drivers refuse what they do not know when a task starts. The same table tells it when the job file is written.

use std::collections::BTreeMap;

use model::job::{FieldPath, Violation};
use model::suggest::choices;
use model::time::GoDuration;
use serde_json::{Map, Value};

/// A driver's settings.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The driver's name in job files.
    pub driver: &'static str,
    /// Whether it can mount a group's volumes into a task.
    pub mounts: bool,
    /// Its settings.
    pub settings: &'static [Setting],
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What this version does with it.
    pub support: Support,
}

/// What a setting holds. Plain values count as what they print, so numbers may be quoted.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text.
    Text,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// `true` or `false`.
    Truth,
    /// A whole number.
    Whole,
    /// A duration.
    Duration,
    /// A block of plain values with free names; several are joined.
    Map,
    /// A block.
    Block(&'static [Setting]),
    /// A block that may be repeated.
    Blocks(&'static [Setting]),
    /// Anything.
    Any,
}

/// What this version does with a setting that the driver has in Nomad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It is carried out.
    Full,
    /// It changes nothing here, for this reason: worth a warning.
    Idle(&'static str),
    /// A task that asks for it must not run without.
    Missing,
}

impl Setting {
    /// An optional setting that is carried out.
    pub const fn new(name: &'static str, kind: Kind) -> Setting {
        Setting { name, kind, required: false, support: Support::Full }
    }

    /// A setting that must be there.
    pub const fn required(name: &'static str, kind: Kind) -> Setting {
        Setting { required: true, ..Setting::new(name, kind) }
    }

    /// A setting that changes nothing here.
    pub const fn idle(name: &'static str, kind: Kind, why: &'static str) -> Setting {
        Setting { support: Support::Idle(why), ..Setting::new(name, kind) }
    }

    /// A setting that cannot be carried out yet.
    pub const fn missing(name: &'static str, kind: Kind) -> Setting {
        Setting { support: Support::Missing, ..Setting::new(name, kind) }
    }
}

/// What a check found. Paths begin where the caller says the `config` block is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The driver refuses the task.
    pub errors: Vec<Violation>,
    /// The driver would run the task in Nomad, this one must not.
    pub unsupported: Vec<Violation>,
    /// What changes nothing.
    pub warnings: Vec<Violation>,
}

impl Schema {
    /// The names of all settings that the driver carries out.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.settings.iter().filter(|setting| setting.support != Support::Missing).map(|setting| setting.name)
    }

    /// Holds a `config` block, at `path` of its job, against the settings. Values that only a node knows (`${...}`)
    /// pass as anything.
    pub fn check(&self, config: &BTreeMap<String, Value>, path: &FieldPath<'_>) -> Findings {
        let mut look = Look { driver: self.driver, found: Findings::default() };
        look.settings(self.settings, config.iter(), path);
        look.found
    }
}

struct Look {
    driver: &'static str,
    found: Findings,
}

impl Look {
    fn settings<'v>(
        &mut self,
        settings: &'static [Setting],
        values: impl Iterator<Item = (&'v String, &'v Value)> + Clone,
        path: &FieldPath<'_>,
    ) {
        for (name, value) in values.clone() {
            let place = path.field(name);
            match settings.iter().find(|setting| setting.name == name) {
                Some(setting) => self.setting(setting, value, &place),
                None => self.unknown(name, settings, &place),
            }
        }
        for setting in settings.iter().filter(|setting| setting.required) {
            let value = values.clone().find(|(name, _)| *name == setting.name).map(|(_, value)| value);
            if value.is_none_or(|value| value.is_null() || value.as_str() == Some("")) {
                let message = format!("driver {:?} needs {:?} in its config", self.driver, setting.name);
                self.found.errors.push(Violation { path: path.into(), message, help: None, of_name: false });
            }
        }
    }

    fn unknown(&mut self, name: &str, settings: &'static [Setting], path: &FieldPath<'_>) {
        let known: Vec<&str> = settings.iter().map(|setting| setting.name).collect();
        let message = format!("driver {:?} has no setting {name:?}", self.driver);
        self.found.errors.push(Violation {
            path: path.into(),
            message,
            help: Some(choices(name, &known)),
            of_name: true,
        });
    }

    fn setting(&mut self, setting: &Setting, value: &Value, path: &FieldPath<'_>) {
        let name = setting.name;
        match setting.support {
            Support::Full => {}
            Support::Idle(why) => {
                let message = format!("{name} has no effect: {why}");
                self.found.warnings.push(Violation { path: path.into(), message, help: None, of_name: true });
            }
            Support::Missing => {
                let message = format!("driver {:?} does not support {name:?} yet", self.driver);
                self.found.unsupported.push(Violation { path: path.into(), message, help: None, of_name: true });
            }
        }
        self.value(setting.kind, name, value, path);
    }

    fn value(&mut self, kind: Kind, name: &str, value: &Value, path: &FieldPath<'_>) {
        if value.is_null() || runtime(value) {
            return;
        }
        let wanted = match kind {
            Kind::Any => None,
            Kind::Text => scalar(value).is_none().then_some("a text"),
            Kind::Choice(allowed) => return self.choice(name, value, allowed, path),
            Kind::Texts => {
                let good = value.as_array().is_some_and(|items| items.iter().all(|item| scalar(item).is_some()));
                (!good).then_some("a list of texts: [\"a\", \"b\"]")
            }
            Kind::Truth => scalar(value).is_none_or(|text| text.parse::<bool>().is_err()).then_some("true or false"),
            Kind::Whole => scalar(value).is_none_or(|text| text.parse::<i64>().is_err()).then_some("a whole number"),
            Kind::Duration => {
                let good = value.is_i64() || value.as_str().is_some_and(|text| GoDuration::parse(text).is_ok());
                (!good).then_some("a duration such as \"30s\"")
            }
            Kind::Map => {
                let maps = blocks(value);
                let good = maps.as_ref().is_some_and(|maps| {
                    maps.iter().flat_map(|map| map.values()).all(|item| item.is_null() || scalar(item).is_some())
                });
                (!good).then_some("a block of texts")
            }
            Kind::Block(settings) | Kind::Blocks(settings) => return self.blocks(kind, settings, name, value, path),
        };
        if let Some(wanted) = wanted {
            self.wrong(format!("{name} of driver {:?} must be {wanted}", self.driver), None, path);
        }
    }

    fn choice(&mut self, name: &str, value: &Value, allowed: &[&str], path: &FieldPath<'_>) {
        let text = scalar(value).unwrap_or_default();
        if !allowed.contains(&text.as_str()) {
            self.wrong(
                format!("{name} of driver {:?} cannot be {text:?}", self.driver),
                Some(choices(&text, allowed)),
                path,
            );
        }
    }

    fn blocks(&mut self, kind: Kind, settings: &'static [Setting], name: &str, value: &Value, path: &FieldPath<'_>) {
        let Some(maps) = blocks(value) else {
            let help = Some(format!("write {name} {{ ... }}"));
            return self.wrong(format!("{name} of driver {:?} must be a block", self.driver), help, path);
        };
        if matches!(kind, Kind::Block(_)) && maps.len() > 1 {
            self.wrong(format!("{name} of driver {:?} is given {} times", self.driver, maps.len()), None, path);
        }
        for (at, map) in maps.into_iter().enumerate() {
            self.settings(settings, map.iter(), &path.index(at));
        }
    }

    fn wrong(&mut self, message: String, help: Option<String>, path: &FieldPath<'_>) {
        self.found.errors.push(Violation { path: path.into(), message, help, of_name: false });
    }
}

/// What a plain value prints; `None` for lists and blocks.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether only a node knows the value.
fn runtime(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("${"))
}

/// Blocks are lists of maps; a map on its own is one block.
fn blocks(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    match value {
        Value::Object(map) => Some(vec![map]),
        Value::Array(items) => items.iter().map(Value::as_object).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: Schema = Schema {
        driver: "d",
        mounts: false,
        settings: &[
            Setting::required("image", Kind::Text),
            Setting::new("args", Kind::Texts),
            Setting::new("tty", Kind::Truth),
            Setting::new("size", Kind::Whole),
            Setting::new("wait", Kind::Duration),
            Setting::new("mode", Kind::Choice(&["soft", "hard"])),
            Setting::new("labels", Kind::Map),
            Setting::new("auth", Kind::Block(&[Setting::new("user", Kind::Text)])),
            Setting::new("mount", Kind::Blocks(&[Setting::required("target", Kind::Text)])),
            Setting::idle("isolation", Kind::Text, "it is for another system"),
            Setting::missing("devices", Kind::Any),
        ],
    };

    fn check(config: Value) -> Findings {
        SCHEMA.check(&serde_json::from_value(config).unwrap(), &FieldPath::JOB.field("Config"))
    }

    #[test]
    fn every_spelling_that_a_driver_reads_passes() {
        let config = json!({
            "image": "x", "args": [1, "a", "${NOMAD_X}"], "tty": "true", "size": "7", "wait": "1m", "mode": "hard",
            "labels": [{"a": "1"}, {"b": 2}], "auth": {"user": "u"}, "mount": [{"target": "/a"}, {"target": "/b"}],
        });
        assert_eq!(check(config), Findings::default());
        let late = json!({"image": "${meta.image}", "tty": "${meta.tty}", "args": "${meta.args}", "size": null});
        assert_eq!(check(late), Findings::default());
    }

    #[test]
    fn what_the_driver_would_refuse_is_told_with_its_place() {
        for (config, path, words) in [
            (json!({}), "Config", "needs \"image\""),
            (json!({"image": ""}), "Config", "needs \"image\""),
            (json!({"image": "x", "agrs": []}), "Config.agrs", "did you mean \"args\"?"),
            (json!({"image": "x", "args": "a"}), "Config.args", "a list of texts"),
            (json!({"image": "x", "tty": "maybe"}), "Config.tty", "true or false"),
            (json!({"image": "x", "wait": "5"}), "Config.wait", "a duration"),
            (json!({"image": "x", "mode": "sfot"}), "Config.mode", "did you mean \"soft\"?"),
            (json!({"image": "x", "labels": ["a"]}), "Config.labels", "a block of texts"),
            (json!({"image": "x", "auth": [{}, {}]}), "Config.auth", "given 2 times"),
            (json!({"image": "x", "auth": [{"usr": "x"}]}), "Config.auth[0].usr", "did you mean \"user\"?"),
            (json!({"image": "x", "mount": [{"target": "/a"}, {}]}), "Config.mount[1]", "needs \"target\""),
        ] {
            let found = check(config.clone());
            let [one] = &found.errors[..] else { panic!("{config}: {found:?}") };
            let said = format!("{}{}", one.message, one.help.as_deref().unwrap_or_default());
            assert!(one.path == path && said.contains(words), "{config}: {one:?}");
        }
    }

    #[test]
    fn what_is_not_carried_out_is_never_silent() {
        let found = check(json!({"image": "x", "isolation": "hyperv", "devices": []}));
        assert_eq!((found.errors.len(), found.unsupported.len(), found.warnings.len()), (0, 1, 1));
        assert!(!SCHEMA.names().any(|name| name == "devices"));
    }
}
