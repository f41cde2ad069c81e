//! The HTTP probe: one request, no redirects, a bounded answer.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{MAX_OUTPUT, Probe, Verdict};

/// Probes once. Succeeds on any status below 400.
pub(crate) async fn probe(probe: &Probe) -> Verdict {
    if probe.protocol != "http" {
        return Verdict::failed(format!(
            "checks with protocol {:?} are not supported yet; use protocol = \"http\" or type = \"tcp\"",
            probe.protocol
        ));
    }
    match request(probe).await {
        Ok(verdict) => verdict,
        Err(why) => Verdict::failed(format!("{} http://{}{}: {why}", probe.method, probe.authority(), probe.path)),
    }
}

async fn request(probe: &Probe) -> Result<Verdict, String> {
    let request = build(probe)?;
    let stream = TcpStream::connect((probe.address.as_str(), probe.port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let driving = async {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let code = answer.status();
        let output = read_some(answer.into_body()).await;
        let shown = if code.as_u16() == 200 { String::new() } else { output };
        let output = format!("nomad: http {}", if code.as_u16() == 200 { "ok".to_owned() } else { code.to_string() });
        let output = if shown.is_empty() { output } else { shown };
        Ok(Verdict { passed: code.as_u16() < 400, status_code: code.as_u16(), output })
    };
    // The connection is polled beside the request and dropped with it: nothing outlives a timeout.
    tokio::pin!(connection);
    tokio::pin!(driving);
    let mut closed = false;
    loop {
        tokio::select! {
            verdict = &mut driving => return verdict,
            ended = &mut connection, if !closed => {
                closed = true;
                if let Err(error) = ended {
                    return Err(error.to_string());
                }
            }
        }
    }
}

fn build(probe: &Probe) -> Result<Request<Full<Bytes>>, String> {
    let path = if probe.path.starts_with('/') { probe.path.clone() } else { format!("/{}", probe.path) };
    let uri: Uri = path.parse().map_err(|_| format!("{path:?} is not a path of a URL"))?;
    let method = Method::from_bytes(probe.method.as_bytes()).map_err(|_| format!("{:?} is no method", probe.method))?;
    let mut request = Request::builder().method(method).uri(uri);
    let names = |wanted: &str| probe.headers.keys().any(|name| name.eq_ignore_ascii_case(wanted));
    if !names("host") {
        request = request.header("Host", probe.authority());
    }
    if !names("user-agent") {
        request = request.header("User-Agent", "drover-check");
    }
    for (name, values) in &probe.headers {
        for value in values {
            request = request.header(name, value);
        }
    }
    request.body(Full::new(Bytes::from(probe.body.clone()))).map_err(|error| error.to_string())
}

/// At most [`MAX_OUTPUT`] bytes of the answer; the rest is not read.
async fn read_some(mut body: hyper::body::Incoming) -> String {
    let mut read = Vec::new();
    while read.len() < MAX_OUTPUT {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let room = MAX_OUTPUT - read.len();
                    read.extend_from_slice(&data[..data.len().min(room)]);
                }
            }
            Some(Err(_)) | None => break,
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}
