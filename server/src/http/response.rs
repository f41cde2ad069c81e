//! Answers: JSON as Go writes it, the `X-Nomad-*` headers, compression.

use std::convert::Infallible;
use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde::Serialize;

use super::error::ApiError;

/// The body of every answer: bytes or a stream.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

const INDEX: HeaderName = HeaderName::from_static("x-nomad-index");
const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-nomad-knownleader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("x-nomad-lastcontact");
const NEXT_TOKEN: HeaderName = HeaderName::from_static("x-nomad-nexttoken");

/// What the state index headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Indexed {
    /// No headers.
    #[default]
    No,
    /// An answer to a write: only the index.
    Write(u64),
    /// An answer to a read.
    Read { index: u64, known_leader: bool },
}

/// What a handler answers.
pub(crate) struct Reply {
    pub status: StatusCode,
    pub content: Content,
    pub indexed: Indexed,
    pub next_token: Option<String>,
}

/// The content of a [`Reply`].
pub(crate) enum Content {
    /// Sent as JSON; indented when the request says `pretty`.
    Json(serde_json::Value),
    /// Bytes of a content type.
    Bytes(&'static str, Bytes),
    /// A stream of a content type.
    Stream(&'static str, Body),
    /// Neither body nor content type.
    Nothing,
}

impl Reply {
    pub fn of(content: Content) -> Reply {
        Reply { status: StatusCode::OK, content, indexed: Indexed::No, next_token: None }
    }

    /// `value` as JSON.
    ///
    /// # Errors
    /// When `value` cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> Result<Reply, ApiError> {
        let value = serde_json::to_value(value).map_err(|why| ApiError::refused(format!("cannot answer: {why}")))?;
        Ok(Reply::of(Content::Json(value)))
    }

    pub fn written(mut self, index: u64) -> Reply {
        self.indexed = Indexed::Write(index);
        self
    }

    pub fn read_at(mut self, index: u64, known_leader: bool) -> Reply {
        self.indexed = Indexed::Read { index, known_leader };
        self
    }

    /// The same reply as an HTTP answer.
    pub fn into_http(self, pretty: bool, encoding: Encoding) -> Response<Body> {
        let (content_type, bytes) = match self.content {
            Content::Nothing => ("", Bytes::new()),
            Content::Json(value) => ("application/json", write_json(&value, pretty)),
            Content::Bytes(content_type, bytes) => (content_type, bytes),
            Content::Stream(content_type, body) => {
                let mut response = Response::new(body);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                set_index_headers(response.headers_mut(), &self.indexed, None);
                return response;
            }
        };
        let mut response = full(self.status, content_type, bytes, encoding);
        set_index_headers(response.headers_mut(), &self.indexed, self.next_token.as_deref());
        response
    }
}

/// `error` as an HTTP answer; `indexed` is set when a read found nothing.
pub(crate) fn error_response(error: &ApiError, indexed: &Indexed, encoding: Encoding) -> Response<Body> {
    let content_type = if error.text.is_empty() { "" } else { "text/plain; charset=utf-8" };
    let bytes = Bytes::copy_from_slice(error.text.as_bytes());
    let mut response = full(error.status, content_type, bytes, encoding);
    set_index_headers(response.headers_mut(), indexed, None);
    if error.close {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn full(status: StatusCode, content_type: &'static str, bytes: Bytes, encoding: Encoding) -> Response<Body> {
    let encoding = if bytes.is_empty() { Encoding::Identity } else { encoding };
    let mut response = Response::new(Full::new(encoding.encode(bytes)).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if !content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if let Some(name) = encoding.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

fn set_index_headers(headers: &mut HeaderMap, indexed: &Indexed, next_token: Option<&str>) {
    match indexed {
        Indexed::No => {}
        Indexed::Write(index) => {
            headers.insert(INDEX, HeaderValue::from(*index));
        }
        Indexed::Read { index, known_leader } => {
            headers.insert(INDEX, HeaderValue::from(*index));
            headers.insert(KNOWN_LEADER, HeaderValue::from_static(if *known_leader { "true" } else { "false" }));
            headers.insert(LAST_CONTACT, HeaderValue::from_static("0"));
        }
    }
    if let Some(token) = next_token.and_then(|token| HeaderValue::from_str(token).ok()) {
        headers.insert(NEXT_TOKEN, token);
    }
}

/// JSON without spaces, or with four of them a level and a newline at the end.
fn write_json(value: &serde_json::Value, pretty: bool) -> Bytes {
    let mut out = Vec::new();
    let written = if pretty {
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
        value.serialize(&mut serializer).map(|()| out.push(b'\n'))
    } else {
        serde_json::to_writer(&mut out, value)
    };
    debug_assert!(written.is_ok(), "a JSON value with text keys can always be written");
    out.into()
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    #[default]
    Identity,
    Gzip,
    Deflate,
}

impl Encoding {
    /// What the client accepts: gzip before deflate, neither for `*` or a weight of 0.
    pub fn accepted(headers: &HeaderMap) -> Encoding {
        let accepts = |name: &str| {
            let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).any(|item| {
                let mut parts = item.split(';').map(str::trim);
                let coding = parts.next().unwrap_or_default();
                let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
                coding.eq_ignore_ascii_case(name) && weight > 0.0
            })
        };
        match () {
            () if accepts("gzip") => Encoding::Gzip,
            () if accepts("deflate") => Encoding::Deflate,
            () => Encoding::Identity,
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Encoding::Identity => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Deflate => Some("deflate"),
        }
    }

    /// Compresses `bytes`. Writing to memory cannot fail.
    fn encode(self, bytes: Bytes) -> Bytes {
        let encoded = match self {
            Encoding::Identity => return bytes,
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&bytes).and_then(|()| encoder.finish())
            }
            Encoding::Deflate => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&bytes).and_then(|()| encoder.finish())
            }
        };
        encoded.unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_chosen_as_nomad_chooses() {
        let accepted = |value: &'static str| {
            Encoding::accepted(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert_eq!(accepted("gzip"), Encoding::Gzip);
        assert_eq!(accepted("br, gzip;q=0.5"), Encoding::Gzip);
        assert_eq!(accepted("gzip;q=0"), Encoding::Identity);
        assert_eq!(accepted("deflate"), Encoding::Deflate);
        assert_eq!(accepted("*"), Encoding::Identity);
    }

    #[test]
    fn pretty_json_has_four_spaces_and_a_newline() {
        let value = serde_json::json!({"a": [1]});
        assert_eq!(write_json(&value, true), "{\n    \"a\": [\n        1\n    ]\n}\n");
        assert_eq!(write_json(&value, false), "{\"a\":[1]}");
    }
}
