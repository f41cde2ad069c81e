//! Bad input and bad clients: a clear answer, nothing changed, nobody else kept waiting.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::Agent;
use crate::http::HttpSettings;

#[tokio::test]
async fn broken_json_is_refused_with_its_place() {
    let agent = Agent::start().await;
    let index = agent.server.state().index();
    for (body, wanted) in [
        ("", "body is empty"),
        ("{nope", "line 1 column 2"),
        ("{}", "Job must be specified"),
        ("null", "Job must be specified"),
        ("[1]", "JobRequest"),
        (r#"{"Job":{"Name":"x"}}"#, "ID"),
        (r#"{"Job":{"ID":"x","Priority":"high"}}"#, "Priority"),
    ] {
        let answer = agent.put("/v1/jobs", body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.text().contains(wanted), "{body}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert_eq!(agent.server.state().index(), index);
}

#[tokio::test]
async fn json_nested_half_a_million_deep_is_refused() {
    let agent = Agent::start().await;
    for body in ["[".repeat(500_000), format!("{{\"Job\":{{\"Meta\":{}", "{\"a\":".repeat(500_000))] {
        let answer = agent.put("/v1/jobs", &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    assert_eq!(agent.get("/v1/status/leader").await.status, 200);
}

#[tokio::test]
async fn a_body_of_100_mb_is_refused_without_reading_it() {
    let agent = Agent::start().await;
    // With a length, and the client writes on without looking for an answer.
    let mut stream = TcpStream::connect(agent.address()).await.unwrap();
    stream.write_all(b"PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n").await.unwrap();
    let filler = vec![b'x'; 1 << 20];
    for _ in 0..4 {
        if stream.write_all(&filler).await.is_err() {
            break;
        }
    }
    assert!(read_to_end(stream).await.starts_with("HTTP/1.1 413"));
    // In chunks, whose sum is not known before.
    let mut stream = TcpStream::connect(agent.address()).await.unwrap();
    stream.write_all(b"PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    for _ in 0..10 {
        let written = async {
            stream.write_all(b"100000\r\n").await?;
            stream.write_all(&filler).await?;
            stream.write_all(b"\r\n").await
        };
        if written.await.is_err() {
            break;
        }
    }
    assert!(read_to_end(stream).await.starts_with("HTTP/1.1 413"));
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

/// How long the headers of a request may take in these tests.
const PATIENCE: Duration = Duration::from_secs(3);

fn impatient() -> HttpSettings {
    HttpSettings { header_timeout: PATIENCE, ..HttpSettings::default() }
}

#[tokio::test]
async fn silent_clients_keep_nobody_waiting_and_are_cut_off() {
    let agent = Agent::start_with(impatient()).await;
    let mut silent = Vec::new();
    for _ in 0..80 {
        silent.push(TcpStream::connect(agent.address()).await.unwrap());
    }
    let started = Instant::now();
    assert_eq!(agent.get("/v1/status/leader").await.status, 200);
    assert!(started.elapsed() < PATIENCE, "served only when the silent ones were cut off: {:?}", started.elapsed());
    for stream in silent {
        read_to_end(stream).await;
    }
}

#[tokio::test]
async fn slow_headers_are_cut_off() {
    let agent = Agent::start_with(impatient()).await;
    let mut stream = TcpStream::connect(agent.address()).await.unwrap();
    let started = Instant::now();
    let mut drip = tokio::time::interval(Duration::from_millis(50));
    stream.write_all(b"GET /v1/jobs HTTP/1.1\r\n").await.unwrap();
    let mut byte = [0];
    loop {
        tokio::select! {
            read = stream.read(&mut byte) => {
                if !matches!(read, Ok(1..)) {
                    break;
                }
            }
            _ = drip.tick() => {
                let _ = stream.write_all(b"X-A: b\r\n").await;
            }
        }
        assert!(started.elapsed() < PATIENCE * 10, "the client was never cut off");
    }
    assert_eq!(agent.get("/v1/status/leader").await.status, 200);
}

#[tokio::test]
async fn too_many_connections_are_turned_away() {
    let agent = Agent::start_with(HttpSettings { max_connections: 2, ..HttpSettings::default() }).await;
    let first = TcpStream::connect(agent.address()).await.unwrap();
    let _second = TcpStream::connect(agent.address()).await.unwrap();
    let third = TcpStream::connect(agent.address()).await.unwrap();
    let answer = read_to_end(third).await;
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut again = TcpStream::connect(agent.address()).await.unwrap();
        let _ = again.write_all(b"GET /v1/status/peers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        if read_to_end(again).await.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(Instant::now() < deadline, "the place was never given back");
    }
}

#[tokio::test]
async fn a_stopping_listener_wakes_blocking_queries() {
    let agent = Agent::start().await;
    let address = agent.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /v1/jobs?index=99999&wait=200s HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let waiting = async {
        while agent.server.changes().topics() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("the query waits");
    let started = Instant::now();
    agent.http.shutdown().await;
    assert!(started.elapsed() < Duration::from_secs(100), "the query was waited for: {:?}", started.elapsed());
    assert!(read_to_end(stream).await.starts_with("HTTP/1.1 200"));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn many_clients_that_come_at_once_wait_their_turn() {
    let agent = Agent::start().await;
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse::<usize>().unwrap();
    // Nothing is accepted while this thread, the only one, is busy connecting.
    let connect = || std::net::TcpStream::connect_timeout(&agent.address(), Duration::from_secs(5));
    let waiting: Vec<_> = (0..most.min(400)).map(|_| connect().unwrap()).collect();
    drop(waiting);
    assert_eq!(agent.get("/v1/status/leader").await.status, 200);
}
