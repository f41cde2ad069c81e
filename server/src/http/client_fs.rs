//! Logs of tasks, as frames or as plain bytes, followed or not.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::call::{Answer, Call};
use super::error::{ApiError, ApiResult};
use super::query::go_bool;
use super::response::{Body, Content, Reply};
use crate::local_client::{LogChunk, LogKind, LogRequest};

/// A frame without data every so often tells a following client that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// `GET /v1/client/fs/logs/:alloc`
pub(super) async fn logs(call: Call) -> Answer {
    if call.id.is_empty() {
        return Err(ApiError::bad_request("must provide a valid alloc id").into());
    }
    let plain = call.query.lenient_bool("plain");
    let request = log_request(&call)?;
    let agent = call.agent_of(request.alloc)?;
    let knows =
        call.server.state().alloc(request.alloc).is_some_and(|alloc| alloc.grant.tasks.contains_key(&request.task));
    if !knows {
        return Err(ApiError::bad_request(format!("unknown task name {:?}", request.task)).into());
    }
    let follow = request.follow;
    let chunks = agent.logs(request).await.map_err(ApiError::from)?;
    let content_type = if plain { "text/plain" } else { "application/json" };
    // Frames carry heartbeats; plain text has no room for them.
    let heartbeat = (follow && !plain).then_some(HEARTBEAT);
    Ok(Reply::of(Content::Stream(content_type, body(chunks, plain, heartbeat, call.stopping()))))
}

fn log_request(call: &Call) -> ApiResult<LogRequest> {
    let query = &call.query;
    let task = query.non_empty("task").ok_or_else(|| ApiError::bad_request("must provide task name"))?;
    let follow = match query.non_empty("follow") {
        None => false,
        Some(text) => go_bool(text)
            .ok_or_else(|| ApiError::bad_request(format!("failed to parse follow field to boolean: {text:?}")))?,
    };
    let kind = match query.get("type") {
        Some("stdout") => LogKind::Stdout,
        Some("stderr") => LogKind::Stderr,
        _ => return Err(ApiError::bad_request("must provide log type (stdout/stderr)")),
    };
    let offset =
        match query.non_empty("offset") {
            None => 0,
            Some(text) => text.parse::<i64>().ok().and_then(|offset| u64::try_from(offset).ok()).ok_or_else(|| {
                ApiError::bad_request(format!("error parsing offset: {text:?} is not a number of bytes"))
            })?,
        };
    let origin_end = match query.non_empty("origin") {
        None | Some("start") => false,
        Some("end") => true,
        Some(_) => return Err(ApiError::bad_request("origin must be start or end")),
    };
    Ok(LogRequest { alloc: call.alloc_id()?, task: task.to_owned(), kind, follow, offset, origin_end })
}

struct Source {
    chunks: mpsc::Receiver<LogChunk>,
    stop: watch::Receiver<bool>,
    plain: bool,
    heartbeat: Option<Duration>,
}

/// The chunks as a body. It ends with them, or when the listener stops; dropping it ends the reading.
fn body(
    chunks: mpsc::Receiver<LogChunk>,
    plain: bool,
    heartbeat: Option<Duration>,
    stop: watch::Receiver<bool>,
) -> Body {
    let source = Source { chunks, stop, plain, heartbeat };
    let frames = stream::unfold(source, |mut source| async move {
        let bytes = source.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes)), source))
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Source {
    async fn next(&mut self) -> Option<Bytes> {
        let pause = self.heartbeat.unwrap_or(Duration::MAX);
        let chunk = tokio::select! {
            chunk = self.chunks.recv() => chunk?,
            () = tokio::time::sleep(pause), if self.heartbeat.is_some() => return Some(Bytes::from_static(b"{}")),
            _ = self.stop.wait_for(|stop| *stop) => return None,
        };
        if self.plain {
            return Some(chunk.data);
        }
        let frame = json!({"Data": STANDARD.encode(&chunk.data), "File": chunk.file, "Offset": chunk.offset});
        Some(Bytes::from(frame.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text_of(plain: bool) -> String {
        let (send, chunks) = mpsc::channel(4);
        let (_keep, stop) = watch::channel(false);
        let chunk =
            LogChunk { file: "alloc/logs/main.stdout.0".to_owned(), offset: 2, data: Bytes::from_static(b"hi") };
        send.send(chunk).await.unwrap();
        drop(send);
        let bytes = body(chunks, plain, None, stop).collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn chunks_become_frames_or_plain_text() {
        assert_eq!(text_of(true).await, "hi");
        assert_eq!(text_of(false).await, r#"{"Data":"aGk=","File":"alloc/logs/main.stdout.0","Offset":2}"#);
    }

    #[tokio::test]
    async fn a_silent_followed_log_has_heartbeats() {
        let (_send, chunks) = mpsc::channel(1);
        let (_keep, stop) = watch::channel(false);
        let mut body = body(chunks, false, Some(Duration::from_millis(5)), stop);
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "{}");
    }
}
