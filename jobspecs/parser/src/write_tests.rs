//! Jobs of every shape that a file can have: written, and read back as they were.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::{ParseOptions, parse};

type Json = BoxedStrategy<Value>;

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,6}"
}

/// Texts, many of them with something in it that has a meaning in templates.
fn text() -> impl Strategy<Value = String> {
    let parts = select(vec![
        "a",
        "web 1",
        "é",
        "\"",
        "\\",
        "\n",
        "\t",
        "\r\n",
        "$",
        "%",
        "{",
        "}",
        "${",
        "%{",
        "$${",
        "%%{",
        "~}",
        "${attr.kernel.name}",
        "${NOMAD_PORT_http}",
        "${ meta.x }",
        "${var.x}",
        "${nil}",
        "${null}",
        "${a[0]}",
        "EOF",
        "line\n",
        "\n  indented\n",
        "#",
        "//",
        "<<EOF",
        "",
    ]);
    vec(parts, 0..6).prop_map(|parts| parts.concat())
}

fn json<T: Into<Value> + 'static>(strategy: impl Strategy<Value = T> + 'static) -> Json {
    strategy.prop_map(Into::into).boxed()
}

/// Values of a free-form block.
fn free() -> Json {
    let leaf =
        prop_oneof![json(text()), json(any::<i64>()), json(any::<bool>()), json(-1.0e9..1.0e9f64), Just(Value::Null),];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            json(vec(inner.clone(), 0..3)),
            btree_map(prop_oneof![word(), text()], inner.clone(), 0..3).prop_map(object),
            btree_map(word(), inner, 0..3).prop_map(|map| Value::Array(vec![object(map)])),
        ]
    });
    btree_map(word(), value, 0..3).prop_map(object).boxed()
}

fn object(map: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(map.into_iter().collect())
}

fn list(fields: &'static [Field], label: Option<&'static str>) -> Json {
    json(vec(labelled(fields, label), 1..3))
}

fn labelled(fields: &'static [Field], label: Option<&'static str>) -> Json {
    (block(fields), text())
        .prop_map(move |(mut value, text)| {
            if let (Some(map), Some(label)) = (value.as_object_mut(), label) {
                map.insert(label.to_owned(), text.into());
            }
            value
        })
        .boxed()
}

/// A value for a field.
fn value(field: &'static Field) -> Json {
    match field.form {
        Form::Text | Form::TextOr(_) if field.json == "Operand" => json(select(vec!["=", "regexp", "is_set"])),
        Form::Text | Form::Needed | Form::TextOr(_) => json(text()),
        Form::Whole => json(0..100i64),
        Form::Truth | Form::TruthOr(_) => json(any::<bool>()),
        Form::Duration | Form::DurationOr(_) => {
            json(prop_oneof![-5_000_000_000..5_000_000_000i64, (0..100_000i64).prop_map(|s| s * 1_000_000_000)])
        }
        Form::Texts | Form::TextsOrNone => json(vec(text(), 0..3)),
        Form::Numbers => json(vec(0..100i64, 0..3)),
        Form::Map | Form::MapOrBlock => {
            btree_map(prop_oneof![word(), Just("a.b".to_owned()), text()], json(text()), 0..3).prop_map(object).boxed()
        }
        Form::TextBlock => btree_map(word(), json(text()), 0..3).prop_map(object).boxed(),
        Form::ListBlock => btree_map(word(), json(vec(text(), 0..2)), 0..3).prop_map(object).boxed(),
        Form::Free => free(),
        Form::Block(fields) | Form::FirstOf(fields) => block(fields),
        Form::Blocks(fields) | Form::RestOf(fields) => list(fields, None),
        Form::Labelled(label, fields) => list(fields, Some(label)),
        Form::Keyed(label, fields) => btree_map(word(), block(fields), 1..3)
            .prop_map(move |map| {
                object(map.into_iter().map(|(key, mut value)| {
                    value.as_object_mut().unwrap().insert(label.to_owned(), key.clone().into());
                    (key, value)
                }))
            })
            .boxed(),
        Form::TaskScaling(fields) => list(fields, None),
        Form::Derived => Just(Value::Null).boxed(),
    }
}

/// A block: each field is there one time in six, those that the language fills in always.
fn block(fields: &'static [Field]) -> Json {
    let entry = |field: &'static Field| {
        let always = matches!(
            field.form,
            Form::Needed | Form::TextOr(_) | Form::TruthOr(_) | Form::DurationOr(_) | Form::TextsOrNone
        ) || ["Operand", "Hook", "Max"].contains(&field.json);
        let named = move |value: Value| (field.json.to_owned(), value);
        let there = value(field).prop_map(named);
        if always { there.prop_map(Some).boxed() } else { option::weighted(1.0 / 6.0, there).boxed() }
    };
    let entries: Vec<_> = fields.iter().filter(|field| !matches!(field.form, Form::Derived)).map(entry).collect();
    entries.prop_map(|entries| finished(object(entries.into_iter().flatten()))).boxed()
}

/// What reading makes of a block beyond its attributes.
fn finished(mut value: Value) -> Value {
    let map = value.as_object_mut().unwrap();
    if map.contains_key("Spec") || map.contains_key("Specs") {
        map.insert("SpecType".to_owned(), "cron".into());
    }
    for (list, least) in [("ReservedPorts", 1), ("DynamicPorts", 0)] {
        for port in map.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let number = if least == 0 { 0 } else { port["Value"].as_i64().unwrap_or(0).max(least) };
            port.as_object_mut().unwrap().insert("Value".to_owned(), number.into());
        }
    }
    if let Some(scaling) = map.get_mut("Scaling") {
        scaling.as_object_mut().unwrap().insert("Type".to_owned(), "horizontal".into());
    }
    for (at, scaling) in map.get_mut("ScalingPolicies").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
    {
        let kind = ["vertical_cpu", "vertical_mem"][at % 2];
        scaling.as_object_mut().unwrap().insert("Type".to_owned(), kind.into());
    }
    if map.contains_key("Identity") || map.contains_key("Identities") {
        identities(map);
    }
    value
}

/// The first identity is the task's own, so the others have names.
fn identities(map: &mut Map<String, Value>) {
    for other in map.get_mut("Identities").and_then(Value::as_array_mut).into_iter().flatten() {
        other.as_object_mut().unwrap().insert("Name".to_owned(), "other".into());
    }
    if let Some(own) = map.get_mut("Identity") {
        own.as_object_mut().unwrap().insert("Name".to_owned(), "default".into());
        map.entry("Identities").or_insert_with(|| Value::Array(Vec::new()));
    }
}

fn job() -> impl Strategy<Value = Job> {
    (block(schema::JOB), text(), option::of(text())).prop_map(|(mut value, id, name)| {
        let map = value.as_object_mut().unwrap();
        map.insert("Name".to_owned(), name.unwrap_or_else(|| id.clone()).into());
        map.insert("ID".to_owned(), id.into());
        serde_json::from_value(value).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_written_job_reads_back_as_it_was(job in job()) {
        let source = write(&job).unwrap();
        let back = parse(&source, "written", &ParseOptions::default());
        let back = back.unwrap_or_else(|found| panic!("{}\n{source}", found[0].render("written", &source, false)));
        prop_assert_eq!(&back.job, &job, "{}", source);
        prop_assert_eq!(crate::format(&source).ok(), Some(source));
    }
}

#[test]
fn a_file_has_its_usual_look() {
    let source = include_str!("../../examples/web.nomad.hcl");
    let job = parse(source, "web", &ParseOptions::default()).unwrap().job;
    let expected = r#"job "web" {
  type = "service"

  group "web" {
    count = 3

    network {
      port "http" {
        to = 8080
      }
    }

    service {
      name = "web"
      port = "http"

      check {
        type     = "http"
        interval = "2s"
        timeout  = "1s"
        path     = "/"
      }
    }

    task "server" {
      driver = "docker"

      config {
        image = "drover-hello:local"
        ports = ["http"]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
"#;
    assert_eq!(write(&job).as_deref(), Ok(expected));
}

#[test]
fn what_hcl_cannot_say_is_told() {
    let job = serde_json::from_value(serde_json::json!({"ID": "j", "TaskGroups": [{"Name": "g", "Tasks": [
        {"Name": "t", "Config": {"a b": 1}}]}]}));
    assert!(write(&job.unwrap()).unwrap_err().contains("\"a b\""));
}
