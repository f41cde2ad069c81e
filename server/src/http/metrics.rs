//! Telemetry as JSON in the shape of Nomad's, and as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use model::allocation::ClientStatus;
use model::evaluation::EvalStatus;
use serde_json::{Value, json};
use state::{JobStatus, State};

use super::call::{Answer, Call};
use super::response::{Content, Reply};
use crate::Server;

/// One measured value.
struct Sample {
    name: &'static str,
    labels: BTreeMap<&'static str, String>,
    value: f64,
}

/// `GET /v1/metrics`
pub(super) async fn metrics(call: Call) -> Answer {
    let gauges = gauges(&call.server.state());
    let counters = counters(&call.server);
    if call.query.get("format") == Some("prometheus") {
        let text = prometheus(&counters, &gauges);
        return Ok(Reply::of(Content::Bytes("text/plain; version=0.0.4; charset=utf-8", Bytes::from(text))));
    }
    let gauges: Vec<Value> = gauges
        .iter()
        .map(|sample| json!({"Name": sample.name, "Labels": sample.labels, "Value": sample.value}))
        .collect();
    let counters: Vec<Value> = counters
        .iter()
        .map(|sample| {
            json!({
                "Name": sample.name, "Labels": sample.labels, "Count": sample.value, "Sum": sample.value,
                "Rate": 0.0, "Min": 0.0, "Max": sample.value, "Mean": sample.value, "Stddev": 0.0,
            })
        })
        .collect();
    let body = json!({
        "Timestamp": crate::server::now().to_rfc3339(),
        "Gauges": gauges, "Counters": counters, "Points": [], "Samples": [], "PrecisionGauges": [],
    });
    Ok(Reply::json(&body)?)
}

fn counters(server: &Server) -> Vec<Sample> {
    let all = server.metrics().all().into_iter();
    all.map(|(name, value)| Sample { name, labels: BTreeMap::new(), value: value as f64 }).collect()
}

/// What the state holds, counted when asked.
fn gauges(state: &State) -> Vec<Sample> {
    let mut out = Vec::new();
    let mut add = |name: &'static str, labels: &[(&'static str, &str)], value: f64| {
        let labels = labels.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        out.push(Sample { name, labels, value });
    };
    add("nomad.state.snapshot_index", &[], state.index() as f64);
    let counts = state.work_counts();
    let jobs = |status| counts.jobs.get(&status).copied().unwrap_or_default() as f64;
    let evals = |status| counts.evals.get(&status).copied().unwrap_or_default() as f64;
    add("nomad.job_status.pending", &[], jobs(JobStatus::Pending));
    add("nomad.job_status.running", &[], jobs(JobStatus::Running));
    add("nomad.job_status.dead", &[], jobs(JobStatus::Dead));
    add("nomad.blocked_evals.total_blocked", &[], evals(EvalStatus::Blocked));
    add("nomad.broker.total_pending", &[], evals(EvalStatus::Pending));
    for node in state.nodes() {
        let id = node.id.to_string();
        let status = super::views::value_of(&node.status);
        let labels = [
            ("node_id", id.as_str()),
            ("datacenter", &node.datacenter),
            ("node_class", &node.node_class),
            ("node_pool", &node.node_pool),
            ("node_status", status.as_str().unwrap_or_default()),
        ];
        let live: Vec<_> = state.live_alloc_rows_of_node(node.id).collect();
        let sum = |of: fn(&model::allocation::Grant) -> i64| {
            live.iter().map(|row| of(row.grant_without_ports())).sum::<i64>() as f64
        };
        let count = |wanted: ClientStatus| live.iter().filter(|row| row.client_status() == wanted).count() as f64;
        let ended = state.alloc_count_of_node(node.id) - live.len();
        add("nomad.client.allocated.cpu", &labels, sum(|grant| grant.cpu()));
        add("nomad.client.allocated.memory", &labels, sum(|grant| grant.memory_mb()));
        add("nomad.client.allocated.disk", &labels, sum(|grant| grant.disk_mb));
        add("nomad.client.allocations.running", &labels, count(ClientStatus::Running));
        add("nomad.client.allocations.pending", &labels, count(ClientStatus::Pending));
        add("nomad.client.allocations.terminal", &labels, ended as f64);
    }
    out
}

fn prometheus(counters: &[Sample], gauges: &[Sample]) -> String {
    let mut out = String::new();
    for (kind, samples) in [("counter", counters), ("gauge", gauges)] {
        let mut by_name: BTreeMap<String, Vec<&Sample>> = BTreeMap::new();
        for sample in samples {
            by_name.entry(sample.name.replace(['.', '-'], "_")).or_default().push(sample);
        }
        for (name, samples) in by_name {
            // Writing to a text cannot fail.
            let _ = writeln!(out, "# HELP {name} {name}\n# TYPE {name} {kind}");
            for sample in samples {
                let labels: Vec<String> =
                    sample.labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
                let braces = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
                let _ = writeln!(out, "{name}{braces} {}", sample.value);
            }
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_text_groups_by_name_and_escapes_labels() {
        let sample =
            |value: f64| Sample { name: "nomad.a.b", labels: BTreeMap::from([("x", "q\"\n".to_owned())]), value };
        let text = prometheus(&[], &[sample(1.0), sample(2.5)]);
        let line = "nomad_a_b{x=\"q\\\"\\n\"}";
        assert_eq!(text, format!("# HELP nomad_a_b nomad_a_b\n# TYPE nomad_a_b gauge\n{line} 1\n{line} 2.5\n"));
    }
}
