//! The smallest HTTP client that keeps its connection: the benchmark must not be the bottleneck.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// One kept-alive connection.
pub struct Connection<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to an agent.
    pub async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Registers a job.
    pub async fn register(&mut self, job: &Value) -> Result<()> {
        self.send("PUT", "/v1/jobs", job.to_string().as_bytes()).await.map(drop)
    }
}

impl Connection<UnixStream> {
    /// Connects to a program that serves HTTP on a socket in the file system.
    pub async fn open_unix(path: &str) -> Result<Connection<UnixStream>> {
        let stream = UnixStream::connect(path).await.with_context(|| format!("nobody answers at {path}"))?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Sends one request and returns the body of the answer.
    pub async fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        self.stream.write_all(&request(method, path, body)).await?;
        self.answer().await.map(<[u8]>::to_vec)
    }

    /// Sends what [`request`] has made, and only looks whether it was accepted.
    pub async fn send_and_forget(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        self.answer().await.map(drop)
    }

    async fn answer(&mut self) -> Result<&[u8]> {
        self.buffer.clear();
        let (head_end, head) = loop {
            self.more().await?;
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut response = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(end) = response.parse(&self.buffer)? {
                break (end, Head::of(&response)?);
            }
        };
        while self.buffer.len() < head_end + head.length {
            self.more().await?;
        }
        let body = &self.buffer[head_end..head_end + head.length];
        if !head.is_accepted {
            bail!("refused: {}", String::from_utf8_lossy(body));
        }
        Ok(body)
    }

    async fn more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection was closed");
        }
        Ok(())
    }
}

/// What counts of the head of an answer.
struct Head {
    length: usize,
    is_accepted: bool,
}

impl Head {
    fn of(response: &httparse::Response<'_, '_>) -> Result<Head> {
        let code = response.code.unwrap_or_default();
        let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = match length {
            Some(header) => std::str::from_utf8(header.value)?.trim().parse()?,
            None if matches!(code, 204 | 304) => 0,
            None => bail!("the answer has no length"),
        };
        Ok(Head { length, is_accepted: (200..300).contains(&code) || code == 304 })
    }
}

/// The bytes of one request.
pub fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A raw_exec job of `count` copies, as a registration's body.
pub fn raw_exec_job(id: &str, kind: &str, count: u64, command: &str, args: &[&str]) -> Value {
    json!({ "Job": { "ID": id, "Name": id, "Type": kind, "TaskGroups": [{
        "Name": "g", "Count": count, "EphemeralDisk": { "SizeMB": 110 },
        "Tasks": [{
            "Name": "t", "Driver": "raw_exec", "Config": { "command": command, "args": args },
            "Resources": { "CPU": 1, "MemoryMB": 10 },
        }],
    }]}})
}
