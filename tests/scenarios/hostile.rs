//! Bad input answers a clear error and changes nothing, and nobody else is kept waiting.

use std::time::{Duration, Instant};

use scenarios::{Agent, job_file};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// How long a normal client may wait while others misbehave: less than the 10 s after which those are cut off, so that it
/// was not served because they had gone.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Sends a request as it is and reads the answer to its end: status and body.
async fn exchange(agent: &Agent, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(agent.host()).await.expect("the agent listens");
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut answer = Vec::new();
    let (mut from, mut to) = stream.split();
    let write = async {
        // A server that has refused already need not take the rest.
        let _ = to.write_all(head.as_bytes()).await;
        let _ = to.write_all(body).await;
    };
    let (_, read) = tokio::join!(write, from.read_to_end(&mut answer));
    read.expect("an answer");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status.unwrap_or_else(|| panic!("no HTTP answer: {text}")), body)
}

/// A good registration, to be spoilt.
fn good(id: &str) -> Value {
    json!({ "Job": { "ID": id, "Name": id, "Type": "service", "Datacenters": ["*"], "TaskGroups": [{
        "Name": "g", "Count": 0,
        "Tasks": [{ "Name": "t", "Driver": "raw_exec", "Config": { "command": "/bin/true" } }],
    }]}})
}

fn spoilt(pointer: &str, value: Value) -> String {
    let mut job = good("spoilt");
    *job.pointer_mut(pointer).expect("a field of the good job") = value;
    job.to_string()
}

#[tokio::test]
async fn bad_registrations_are_refused_in_words_and_change_nothing() {
    let agent = Agent::start(&[]).await;
    let before = agent.get("/v1/jobs").await;
    let long = "x".repeat(10_000);
    let group = "/Job/TaskGroups/0/Name";
    let task = "/Job/TaskGroups/0/Tasks/0/Name";
    let cases: Vec<(&str, String, &str)> = vec![
        ("broken JSON", "{\"Job\": {".to_owned(), "JSON"),
        ("no JSON at all", "hello".to_owned(), "JSON"),
        ("lists half a million deep", "[".repeat(500_000), "JSON"),
        ("objects half a million deep", format!("{{\"Job\":{{\"Meta\":{}", "{\"a\":".repeat(500_000)), "JSON"),
        ("unknown fields half a million deep", format!("{{\"X\":{}", "{\"a\":".repeat(500_000)), "JSON"),
        ("a negative count", spoilt("/Job/TaskGroups/0/Count", json!(-1)), "count"),
        ("a count of the wrong type", spoilt("/Job/TaskGroups/0/Count", json!("many")), "Count"),
        ("a group named with /", spoilt(group, json!("a/b")), "slash"),
        ("a group named with NUL", spoilt(group, json!("a\0b")), "zero byte"),
        ("a group named ..", spoilt(group, json!("..")), ".."),
        ("a group with a name of 10 kB", spoilt(group, json!(long)), "group"),
        ("a task named with /", spoilt(task, json!("../../etc")), "slash"),
        ("a task named with NUL", spoilt(task, json!("a\0b")), "zero byte"),
        ("a task named ..", spoilt(task, json!("..")), ".."),
        ("a task with a name of 10 kB", spoilt(task, json!(long)), "task"),
        ("a job with an id of 10 kB", spoilt("/Job/ID", json!(long)), "ID"),
        ("a job id with NUL", spoilt("/Job/ID", json!("a\0b")), "ID"),
    ];
    for (case, body, word) in cases {
        let (status, text) = exchange(&agent, "PUT", "/v1/jobs", body.as_bytes()).await;
        assert!(matches!(status, 400 | 500), "{case}: {status} {text}");
        assert!(text.to_lowercase().contains(&word.to_lowercase()), "{case}: {word:?} is missing in {text}");
        assert!(text.len() < 4096, "{case}: an answer of {} bytes", text.len());
        assert!(!text.contains('\0'), "{case}: control characters in {text:?}");
    }
    let (status, text) = exchange(&agent, "PUT", "/v1/jobs", &vec![b' '; 100_000_000]).await;
    assert_eq!(status, 413, "{text}");
    assert_eq!(agent.get("/v1/jobs").await, before);
    assert_eq!(agent.get("/v1/evaluations").await, json!([]));
}

#[tokio::test]
async fn the_api_ignores_unknown_keys_and_the_case_of_keys() {
    let agent = Agent::start(&[]).await;
    let body = good("any-case").to_string().replace("\"ID\"", "\"id\"").replace("\"Job\"", "\"Unknown\":[1],\"job\"");
    let (status, text) = exchange(&agent, "PUT", "/v1/jobs", body.as_bytes()).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(agent.get("/v1/job/any-case").await["ID"], "any-case");
}

#[tokio::test]
async fn hostile_job_files_are_refused_in_words() {
    let agent = Agent::start(&[]).await;
    let nested = "a {\n".repeat(250_000);
    let parentheses = format!("job \"x\" {{\n  priority = {}1{}\n}}\n", "(".repeat(200_000), ")".repeat(200_000));
    let unknown = "job \"x\" {\n  prioritty = 50\n  group \"g\" {\n    tsk \"t\" {\n    }\n  }\n}\n";
    for (case, text, words) in [
        ("a megabyte of nested blocks", nested.as_str(), &["nest"][..]),
        ("200,000 parentheses", &parentheses, &["nest"]),
        ("unknown names", unknown, &["did you mean \"priority\"", "did you mean \"task\"", ":2:", ":4:"]),
        ("more than a megabyte", &" ".repeat(1_100_000), &["1 MiB"]),
    ] {
        let (_dir, file) = job_file(text);
        let run = agent.drover(&["job", "run", &file]).await;
        assert_eq!(run.code, 1, "{case}: {run}");
        for word in words {
            assert!(run.err.contains(word), "{case}: {word:?} is missing in {run}");
        }
        assert!(run.err.len() < 8192, "{case}: {} bytes of errors", run.err.len());
        let body = json!({ "JobHCL": text, "Canonicalize": true }).to_string();
        let (status, text) = exchange(&agent, "POST", "/v1/jobs/parse", body.as_bytes()).await;
        assert!(matches!(status, 400 | 413 | 500), "{case}: {status} {text}");
        assert!(text.len() < 8192, "{case}: an answer of {} bytes", text.len());
    }
    assert_eq!(agent.get("/v1/jobs").await, json!([]));
}

#[tokio::test]
async fn slow_and_silent_connections_keep_nobody_waiting() {
    // Given 80 connections that send nothing, and one that sends a header byte by byte
    let agent = Agent::start(&[]).await;
    let mut silent = Vec::new();
    for _ in 0..80 {
        silent.push(TcpStream::connect(agent.host()).await.unwrap());
    }
    let mut slow = TcpStream::connect(agent.host()).await.unwrap();
    slow.write_all(b"GET /v1/jobs HTTP/1.1\r\nX-Slow: ").await.unwrap();
    let mut drip = tokio::time::interval(Duration::from_millis(100));

    // When a normal client asks, then it is served at once
    let asked = Instant::now();
    let (status, _) = exchange(&agent, "GET", "/v1/status/leader", b"").await;
    assert_eq!(status, 200);
    assert!(asked.elapsed() < AT_ONCE, "served only after {:?}", asked.elapsed());

    // And the others are cut off, however steadily they drip
    let cut = async {
        let mut byte = [0];
        loop {
            tokio::select! {
                read = slow.read(&mut byte) => if !matches!(read, Ok(1..)) { return },
                _ = drip.tick() => drop(slow.write_all(b"x").await),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), cut).await.expect("the slow one is cut off");
    for mut stream in silent {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
        let _ = ended.expect("a silent one is cut off");
    }
    assert_eq!(exchange(&agent, "GET", "/v1/status/leader", b"").await.0, 200);
}

#[tokio::test]
async fn malformed_dns_packets_do_no_harm() {
    let agent = Agent::start(&[]).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(agent.dns).await.unwrap();
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x07service\x06drover\x00\x00\x21\x00\x01";
    // Every prefix of a good question, and every byte of it changed.
    let prefixes = (0..question.len()).map(|end| question[..end].to_vec());
    let changed = (0..question.len()).flat_map(|at| {
        [0x00, 0x3f, 0x40, 0x80, 0xc0, 0xff].map(|byte| {
            let mut packet = question.to_vec();
            packet[at] = byte;
            packet
        })
    });
    for packet in prefixes.chain(changed) {
        let _ = socket.send(&packet).await;
    }
    // A name that points at itself, the same over TCP, and lengths that do not come true.
    let mut stream = TcpStream::connect(agent.dns).await.unwrap();
    let looped = b"\x00\x12\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01";
    stream.write_all(looped).await.unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).await.expect("a refusal");
    let mut short = TcpStream::connect(agent.dns).await.unwrap();
    short.write_all(b"\xff\xff\x00").await.unwrap();

    let asked = Instant::now();
    assert_eq!(agent.dig("nothing.service.drover", "SRV").await, Vec::<String>::new());
    assert!(asked.elapsed() < AT_ONCE, "answered only after {:?}", asked.elapsed());
    assert_eq!(agent.get("/v1/jobs").await, json!([]));
}
