//! A small web server that example jobs run: one page that says which allocation answered.
//!
//! It listens on the port in `NOMAD_PORT_http`, or on the one given as its only argument.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// A client that sends nothing for this long is dropped.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer request heads are not read to their end.
const LONGEST_HEAD: usize = 64;

fn main() -> ExitCode {
    let port = std::env::args().nth(1).or_else(|| std::env::var("NOMAD_PORT_http").ok());
    let Some(port) = port.and_then(|text| text.parse::<u16>().ok()) else {
        eprintln!("hello-web: no port: set NOMAD_PORT_http, or give one as the argument");
        return ExitCode::FAILURE;
    };
    let listener = match TcpListener::bind(("0.0.0.0", port)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("hello-web: cannot listen on port {port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("hello-web: listening on port {port}");
    let name = std::env::var("NOMAD_ALLOC_NAME").unwrap_or_else(|_| "hello".to_owned());
    for connection in listener.incoming().flatten() {
        let name = name.clone();
        std::thread::spawn(move || answer(connection, &name));
    }
    ExitCode::SUCCESS
}

/// Answers one request; a client that goes away is no error of ours.
fn answer(connection: TcpStream, name: &str) {
    let ready = connection.set_read_timeout(Some(PATIENCE)).and_then(|()| connection.set_write_timeout(Some(PATIENCE)));
    if ready.is_err() {
        return;
    }
    let mut request = String::new();
    let mut lines = BufReader::new(&connection).lines();
    for _ in 0..LONGEST_HEAD {
        match lines.next() {
            Some(Ok(line)) if line.is_empty() => break,
            Some(Ok(line)) if request.is_empty() => request = line,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
    println!("hello-web: {request}");
    let page = format!("<!DOCTYPE html>\n<title>drover</title>\n<h1>Hello from {name}</h1>\n");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    );
    let mut out = &connection;
    if out.write_all(head.as_bytes()).and_then(|()| out.write_all(page.as_bytes())).is_err() {
        eprintln!("hello-web: the client went away");
    }
}
