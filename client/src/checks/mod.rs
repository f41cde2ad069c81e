//! Checks: where they probe, how, and when.

mod http;
pub mod schedule;
mod tcp;

use std::collections::BTreeMap;

use model::allocation::{AllocatedPort, CheckResult, CheckStatus, DriverAddress};
use model::compiled::{CompiledCheck, CompiledService};
use model::time::Timestamp;

use crate::alloc::lifecycle::AllocInput;
use crate::clock;
use schedule::CheckSchedule;

/// Bytes of a probe's answer that are kept.
pub(crate) const MAX_OUTPUT: usize = 3 * 1024;

/// One probe with everything filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Probe {
    pub kind: String,
    pub address: String,
    pub port: u16,
    pub protocol: String,
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, Vec<String>>,
    pub body: String,
}

impl Probe {
    fn authority(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }
}

/// What a probe says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub passed: bool,
    pub status_code: u16,
    pub output: String,
}

impl Verdict {
    fn failed(why: String) -> Verdict {
        Verdict { passed: false, status_code: 0, output: why }
    }
}

/// Where the allocation is reached.
pub(crate) struct Surroundings<'a> {
    pub ports: &'a [AllocatedPort],
    pub addresses: &'a BTreeMap<String, DriverAddress>,
    pub node_address: &'a str,
}

/// Fills in a check's address and port; texts are interpolated by `text`.
pub(crate) fn resolve(
    service: &CompiledService,
    check: &CompiledCheck,
    around: &Surroundings<'_>,
    text: impl Fn(&str) -> String,
) -> Result<Probe, String> {
    let label = text(&check.port_label);
    let allocated = around.ports.iter().find(|port| port.label == label);
    let number = label.parse::<u16>().ok();
    let owner = if service.task.is_empty() { None } else { around.addresses.get(&service.task) };
    let inside = owner.or_else(|| around.addresses.values().next());
    let mode = if check.address_mode.is_empty() { service.address_mode.as_str() } else { check.address_mode.as_str() };
    let missing = || {
        let known: Vec<&str> = around.ports.iter().map(|port| port.label.as_str()).collect();
        format!("check {:?}: no port {label:?} is allocated; known: {}", check.name, known.join(", "))
    };
    let (address, port) = match mode {
        "driver" | "alloc" => {
            let inside = inside.ok_or_else(|| {
                format!("check {:?}: address_mode {mode:?}, yet the driver gives the task no address", check.name)
            })?;
            let port = inside.ports.get(&label).copied().or(allocated.map(|port| port.to)).or(number);
            (inside.ip.clone(), port.ok_or_else(missing)?)
        }
        _ => {
            let fixed = text(&service.address);
            let host = match allocated {
                _ if !fixed.is_empty() => fixed,
                Some(port) if !port.host_ip.is_empty() && port.host_ip != "0.0.0.0" => port.host_ip.clone(),
                _ => around.node_address.to_owned(),
            };
            (host, allocated.map(|port| port.value).or(number).ok_or_else(missing)?)
        }
    };
    Ok(Probe {
        kind: check.kind.clone(),
        address,
        port,
        protocol: check.protocol.clone(),
        method: text(&check.method),
        path: text(&check.path),
        headers: check
            .headers
            .iter()
            .map(|(name, values)| (text(name), values.iter().map(|value| text(value)).collect()))
            .collect(),
        body: check.body.clone(),
    })
}

/// Probes once within `timeout`.
async fn probe_once(probe: &Result<Probe, String>, timeout: std::time::Duration) -> Verdict {
    let probe = match probe {
        Ok(probe) => probe,
        Err(why) => return Verdict::failed(why.clone()),
    };
    let probing = async {
        match probe.kind.as_str() {
            "http" => http::probe(probe).await,
            "tcp" => tcp::probe(probe).await,
            other => Verdict::failed(format!("checks of type {other:?} are not supported; use \"http\" or \"tcp\"")),
        }
    };
    match tokio::time::timeout(timeout, probing).await {
        Ok(verdict) => verdict,
        Err(_) => Verdict::failed(format!("no answer from {} within {timeout:?}", probe.authority())),
    }
}

/// Probes until it is aborted, telling the lifecycle what changes; `tell` gives false when nobody listens any more.
pub(crate) async fn run(
    check: CompiledCheck,
    service: String,
    task: String,
    probe: Result<Probe, String>,
    tell: impl Fn(AllocInput) -> bool + Send,
) {
    let mut schedule = CheckSchedule::new(&check, clock::now());
    loop {
        clock::sleep_until(schedule.next_probe()).await;
        let began = clock::now();
        let verdict = probe_once(&probe, schedule.timeout().to_std()).await;
        let now = clock::now();
        let outcome = schedule.result(began, now, verdict.passed);
        if outcome.changed {
            let result = result_of(&check, &service, &task, verdict, now);
            if !tell(AllocInput::Check { id: check.id.clone(), result }) {
                return;
            }
        }
        if outcome.restart && !tell(AllocInput::CheckRestart { id: check.id.clone() }) {
            return;
        }
    }
}

fn result_of(check: &CompiledCheck, service: &str, task: &str, verdict: Verdict, at: Timestamp) -> CheckResult {
    CheckResult {
        name: check.name.clone(),
        service: service.to_owned(),
        task: task.to_owned(),
        status: if verdict.passed { CheckStatus::Success } else { CheckStatus::Failure },
        output: verdict.output,
        status_code: verdict.status_code,
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn http_probe(port: u16, path: &str) -> Result<Probe, String> {
        Ok(Probe {
            kind: "http".to_owned(),
            address: "127.0.0.1".to_owned(),
            port,
            protocol: "http".to_owned(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            ..Probe::default()
        })
    }

    async fn answer_once(text: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0u8; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(text).await;
            let _ = stream.read(&mut request).await;
        });
        port
    }

    const SECOND: std::time::Duration = std::time::Duration::from_secs(5);

    #[tokio::test]
    async fn http_statuses_and_bounds() {
        let port = answer_once(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let verdict = probe_once(&http_probe(port, "/health"), SECOND).await;
        assert_eq!((verdict.passed, verdict.status_code), (true, 200));
        let port =
            answer_once(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
        let verdict = probe_once(&http_probe(port, "/"), SECOND).await;
        assert_eq!((verdict.passed, verdict.status_code), (true, 302), "a redirect is not followed");
        let port = answer_once(b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nboom").await;
        let verdict = probe_once(&http_probe(port, "x"), SECOND).await;
        assert_eq!(verdict, Verdict { passed: false, status_code: 500, output: "boom".to_owned() });
        let verdict = probe_once(&http_probe(1, "/"), SECOND).await;
        assert!(verdict.output.contains("refused"), "{}", verdict.output);
        let port = answer_once(b"garbage\r\n\r\n").await;
        assert!(!probe_once(&http_probe(port, "/"), SECOND).await.passed);
    }

    #[tokio::test]
    async fn a_silent_server_ends_at_the_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let verdict = probe_once(&http_probe(port, "/"), std::time::Duration::from_millis(20)).await;
        assert!(verdict.output.contains("no answer"), "{}", verdict.output);
        let tcp = Probe { kind: "tcp".to_owned(), address: "127.0.0.1".to_owned(), port, ..Probe::default() };
        assert!(probe_once(&Ok(tcp), SECOND).await.passed);
    }

    #[test]
    fn addresses_follow_the_mode() {
        let ports = [AllocatedPort { label: "http".to_owned(), value: 20001, to: 80, ..AllocatedPort::default() }];
        let inside = DriverAddress { ip: "172.17.0.2".to_owned(), ports: BTreeMap::from([("http".to_owned(), 80)]) };
        let addresses = BTreeMap::from([("web".to_owned(), inside)]);
        let around = Surroundings { ports: &ports, addresses: &addresses, node_address: "10.0.0.1" };
        let check = |mode: &str, label: &str| CompiledCheck {
            address_mode: mode.to_owned(),
            port_label: label.to_owned(),
            ..CompiledCheck::default()
        };
        let service = CompiledService { task: "web".to_owned(), ..CompiledService::default() };
        let at = |mode: &str, label: &str| {
            let probe = resolve(&service, &check(mode, label), &around, str::to_owned)?;
            Ok::<_, String>(probe.authority())
        };
        assert_eq!(at("auto", "http").unwrap(), "10.0.0.1:20001");
        assert_eq!(at("driver", "http").unwrap(), "172.17.0.2:80");
        assert_eq!(at("driver", "8080").unwrap(), "172.17.0.2:8080");
        assert_eq!(at("host", "9").unwrap(), "10.0.0.1:9");
        assert!(at("host", "nope").unwrap_err().contains("known: http"));
    }
}
