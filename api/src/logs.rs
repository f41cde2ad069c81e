//! Following a task's log: JSON frames without separators, each with a piece of a file.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::Deserialize;
use serde::de::Error as _;

use crate::{Client, Error, escape};

/// Which log to read.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// The allocation's full id.
    pub alloc: String,
    /// The task's name.
    pub task: String,
    /// `stdout` or `stderr`.
    pub kind: &'static str,
    /// Whether to wait for more at the end.
    pub follow: bool,
    /// Start this many bytes before the end; none to start at the beginning.
    pub from_end: Option<u64>,
}

/// A piece of a log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct LogFrame {
    /// The bytes, in base64 on the wire.
    #[serde(deserialize_with = "base64_bytes")]
    pub data: Vec<u8>,
    /// The file they come from.
    pub file: String,
    /// Offset in that file after these bytes.
    pub offset: i64,
}

impl Client {
    /// Streams a log; heartbeats (empty frames) are left out.
    ///
    /// # Errors
    /// As [`Client::get`]; the stream itself ends at the first error.
    pub async fn logs(&self, query: &LogQuery) -> Result<BoxStream<'static, Result<LogFrame, Error>>, Error> {
        let origin = match query.from_end {
            Some(bytes) => format!("origin=end&offset={bytes}"),
            None => "origin=start&offset=0".to_owned(),
        };
        let path = format!(
            "/v1/client/fs/logs/{}?task={}&type={}&follow={}&{origin}",
            escape(&query.alloc),
            escape(&query.task),
            query.kind,
            query.follow
        );
        let response = self.request(reqwest::Method::GET, &path).timeout(std::time::Duration::from_secs(86_400)).send();
        let response = response.await.map_err(|error| Error::unreachable(self.address(), &error))?;
        let response = self.accepted(response).await?;
        let address = self.address().to_owned();
        let chunks = response.bytes_stream().map(move |chunk| chunk.map_err(|e| Error::unreachable(&address, &e)));
        Ok(frames(chunks.boxed()).boxed())
    }
}

/// Cuts a byte stream into its JSON objects.
fn frames(
    chunks: BoxStream<'static, Result<Bytes, Error>>,
) -> impl futures_util::Stream<Item = Result<LogFrame, Error>> + Send {
    struct Cutter {
        chunks: BoxStream<'static, Result<Bytes, Error>>,
        buffer: Vec<u8>,
    }
    let cutter = Cutter { chunks, buffer: Vec::new() };
    futures_util::stream::unfold(cutter, |mut cutter| async move {
        loop {
            match take_frame(&mut cutter.buffer) {
                Ok(Some(frame)) if frame.data.is_empty() => continue,
                Ok(Some(frame)) => return Some((Ok(frame), cutter)),
                Err(reason) => {
                    cutter.buffer.clear();
                    return Some((Err(Error::Decode { path: "log stream".to_owned(), reason }), cutter));
                }
                Ok(None) => match cutter.chunks.next().await? {
                    Ok(chunk) => cutter.buffer.extend_from_slice(&chunk),
                    Err(error) => return Some((Err(error), cutter)),
                },
            }
        }
    })
}

/// Takes the first whole object off the buffer; none when it is not complete yet.
fn take_frame(buffer: &mut Vec<u8>) -> Result<Option<LogFrame>, String> {
    let mut objects = serde_json::Deserializer::from_slice(buffer).into_iter::<LogFrame>();
    match objects.next() {
        None => Ok(None),
        Some(Ok(frame)) => {
            let used = objects.byte_offset();
            buffer.drain(..used);
            Ok(Some(frame))
        }
        Some(Err(error)) if error.is_eof() => Ok(None),
        Some(Err(error)) => Err(error.to_string()),
    }
}

fn base64_bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    use base64::Engine;
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    base64::engine::general_purpose::STANDARD.decode(text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_wherever_chunks_end() {
        let mut buffer = br#"{}{"Data":"aGk=","File":"x","Offset":2}{"Da"#.to_vec();
        assert!(take_frame(&mut buffer).unwrap().unwrap().data.is_empty());
        assert_eq!(take_frame(&mut buffer).unwrap().unwrap().data, b"hi");
        assert!(take_frame(&mut buffer).unwrap().is_none());
        buffer.extend_from_slice(br#"ta":"IQ=="}"#);
        assert_eq!(take_frame(&mut buffer).unwrap().unwrap().data, b"!");
    }
}
