//! Replays recorded requests and compares answers by status, headers and shape.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::harness::{Agent, Answer, NODE};
use super::shape::Shape;
use crate::http::routes::{Found, table};

/// In the order that builds the state up: what an area needs was made by those before it.
const AREAS: &[&str] = &[
    "jobs-register",
    "jobs-read",
    "jobs-list",
    "jobs-plan",
    "jobs-validate-parse",
    "allocations",
    "evaluations",
    "nodes",
    "services",
    "client-fs",
    "client-allocation",
    "status",
    "agent",
    "operator",
    "metrics",
    "errors",
    "transport",
];

/// How many of the exchanges whose route exists here must compare equal. Raise it with every improvement.
const MATCHED_AT_LEAST: usize = 324;

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/api")
}

struct Exchange {
    name: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    response: Value,
}

impl Exchange {
    fn of(value: &Value) -> Option<Exchange> {
        let request = &value["request"];
        let mut path = request["path"].as_str()?.to_owned();
        let pairs: Vec<String> = request["query"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| match value {
                Value::Null => escape(key),
                Value::String(text) => format!("{}={}", escape(key), escape(text)),
                other => format!("{}={}", escape(key), escape(&other.to_string())),
            })
            .collect();
        if !pairs.is_empty() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&pairs.join("&"));
        }
        let headers = request["headers"].as_object().into_iter().flatten();
        Some(Exchange {
            name: value["name"].as_str()?.to_owned(),
            method: request["method"].as_str()?.to_owned(),
            path,
            headers: headers.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
            body: match &request["body"] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
            response: value["response"].clone(),
        })
    }

    /// Whether it can be asked here: its route exists or is unknown to both, and nothing in it was shortened.
    fn is_ours(&self) -> bool {
        let Ok(method) = self.method.parse() else { return false };
        let path = self.path.split('?').next().unwrap_or_default();
        let known = !matches!(table().find(&method, path), Found::Nothing) || self.response["status"] == 404;
        let waits = self.path.contains("index=") && self.path.contains("wait=");
        let whole = !self.path.contains('<') && !self.headers.iter().any(|(_, value)| value.contains('<'));
        known && whole && !waits && self.response["status"].is_number() && self.method != "BREW"
    }

    /// The request with the recorded ids replaced by ids of this cluster.
    fn path_here(&self, ids: &Ids) -> String {
        let mut path = self.path.clone();
        for (before, id) in [
            ("/v1/allocation/", &ids.alloc),
            ("/v1/client/fs/logs/", &ids.alloc),
            ("/v1/client/allocation/", &ids.alloc),
            ("/v1/evaluation/", &ids.eval),
            ("/v1/node/", &ids.node),
            ("prefix=", &ids.node),
        ] {
            let Some(at) = path.find(before).map(|at| at + before.len()) else { continue };
            let text: String = path[at..].chars().take_while(|c| c.is_ascii_hexdigit() || *c == '-').collect();
            let zeros = text.bytes().all(|byte| byte == b'0' || byte == b'-');
            if text.len() == 36 && !zeros {
                path.replace_range(at..at + 36, id);
            }
        }
        path
    }

    fn differences(&self, answer: &Answer) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        if u64::from(answer.status.as_u16()) != self.response["status"].as_u64().unwrap_or_default() {
            out.insert(format!("status {}, recorded {}: {}", answer.status, self.response["status"], answer.text()));
            return out;
        }
        let recorded = |wanted: &str| {
            let mut headers = self.response["headers"].as_object().into_iter().flatten();
            headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).and_then(|(_, value)| value.as_str())
        };
        let kind = |text: Option<&str>| text.map(|text| text.split("; escaping").next().unwrap_or_default().to_owned());
        if kind(answer.header("content-type")) != kind(recorded("content-type")) {
            out.insert(format!(
                "content type {:?}, recorded {:?}",
                answer.header("content-type"),
                recorded("content-type")
            ));
        }
        for name in
            ["x-nomad-index", "x-nomad-knownleader", "x-nomad-lastcontact", "x-nomad-nexttoken", "content-encoding"]
        {
            if answer.header(name).is_some() != recorded(name).is_some() {
                out.insert(format!("{name} is {:?}, recorded {:?}", answer.header(name), recorded(name)));
            }
        }
        let comparable = self.response["body_kind"] == "json" && answer.header("content-encoding").is_none();
        if comparable && !answer.body.is_empty() {
            Shape::of(&self.response["body"]).compare(&answer.json(), "$", &mut out);
        }
        out
    }
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[derive(Default)]
struct Ids {
    alloc: String,
    eval: String,
    node: String,
}

async fn ids(agent: &Agent) -> Ids {
    let state = agent.server.state();
    // The recordings speak of a task called main; ids are random, so that the choice must not depend on their order.
    let live = state.allocs().filter(|alloc| alloc.is_live() && alloc.grant.tasks.contains_key("main"));
    let alloc = live.min_by_key(|alloc| alloc.name.clone()).map(|alloc| alloc.id.to_string());
    let eval = state.evals().min_by_key(|eval| eval.create_index).map(|eval| eval.id.to_string());
    Ids { alloc: alloc.unwrap_or_default(), eval: eval.unwrap_or_default(), node: NODE.to_string() }
}

#[tokio::test]
async fn recorded_requests_are_answered_in_the_recorded_shape() {
    let directory = recordings();
    if !directory.is_dir() {
        assert!(std::env::var_os("DROVER_CORPUS_REQUIRED").is_none(), "the recordings are required and not here");
        println!("no recordings at {}: nothing compared", directory.display());
        return;
    }
    let agent = Agent::start().await;
    agent.add_node().await;
    let (mut compared, mut matched) = (0, 0);
    for area in AREAS {
        let text = std::fs::read(directory.join(format!("{area}.json"))).unwrap();
        let exchanges: Vec<Value> = serde_json::from_slice(&text).unwrap();
        let (mut here, mut equal) = (0, 0);
        for exchange in exchanges.iter().filter_map(Exchange::of).filter(Exchange::is_ours) {
            let path = exchange.path_here(&ids(&agent).await);
            let headers: Vec<(&str, &str)> = exchange.headers.iter().map(|(key, value)| (&**key, &**value)).collect();
            let answer = agent.send(&exchange.method, &path, &headers, &exchange.body).await;
            if exchange.method != "GET" {
                agent.settle().await;
            }
            let differences = exchange.differences(&answer);
            here += 1;
            if differences.is_empty() {
                equal += 1;
                continue;
            }
            println!("{area}: {} ({} {path})", exchange.name, exchange.method);
            differences.iter().take(6).for_each(|line| println!("    {line}"));
        }
        println!("{area}: {equal} of {here} equal");
        compared += here;
        matched += equal;
    }
    // The test harness keeps what is printed to itself when a test passes; this is to be seen in any case.
    let _ = writeln!(std::io::stderr(), "{matched} of {compared} recorded exchanges compare equal");
    assert!(matched >= MATCHED_AT_LEAST, "{matched} of {compared} compare equal, {MATCHED_AT_LEAST} did before");
}
