//! One request on its way: routing, body, and the helpers that handlers share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use state::State;
use tokio::sync::watch;

use super::HttpSettings;
use super::error::{ApiError, ApiResult};
use super::query::{Query, ReadOptions, namespace};
use super::response::{Body, Encoding, Indexed, Reply, error_response};
use super::routes::{Found, Table as Routes};
use crate::server::Committed;
use crate::{Server, Topic};

/// What all requests share.
pub(super) struct Api {
    pub server: Arc<Server>,
    pub settings: HttpSettings,
    pub routes: Routes,
    pub stop: watch::Receiver<bool>,
}

/// One request, ready for its handler.
pub(super) struct Call {
    pub server: Arc<Server>,
    pub query: Query,
    /// What the path's placeholder stood for, decoded.
    pub id: String,
    pub body: Bytes,
    stop: watch::Receiver<bool>,
}

impl Api {
    /// Answers one request; true when its connection must be closed afterwards.
    pub async fn answer(&self, request: http::Request<Incoming>) -> (Response<Body>, bool) {
        let encoding = Encoding::accepted(request.headers());
        let pretty_of = Query::parse(request.uri().query().unwrap_or_default()).pretty();
        let head = request.method() == Method::HEAD;
        let outcome = match clean_path(request.uri().path()) {
            Some(clean) => return (redirect(&clean, request.uri().query()), false),
            None => self.dispatch(request).await,
        };
        match outcome {
            Ok(reply) => (reply.into_http(pretty_of, encoding), false),
            Err(Failure { error, indexed }) => {
                let mut response = error_response(&error, &indexed, encoding);
                if head {
                    // The length of the text that a GET would have got, as Go's server announces it.
                    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(error.text.len()));
                }
                (response, error.close)
            }
        }
    }

    async fn dispatch(&self, request: http::Request<Incoming>) -> Result<Reply, Failure> {
        let (parts, body) = request.into_parts();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let routed = match self.routes.find(&parts.method, parts.uri.path()) {
            Found::Handler(handler, id) => check_region(query.get("region"), &self.server).map(|()| (handler, id)),
            Found::WrongMethod => Err(ApiError::wrong_method()),
            Found::Nothing => Err(ApiError::unknown_path()),
        };
        // A body that nobody will read must not be waited for.
        let (handler, id) = routed.map_err(|error| ApiError { close: !body.is_end_stream(), ..error })?;
        // As the body is, these are parts of what the connection reads into.
        drop(parts);
        let body = self.read_body(body).await?;
        handler(Call { server: self.server.clone(), query, id, body, stop: self.stop.clone() }).await
    }

    /// The whole body, refused early when its announced length is too much.
    async fn read_body(&self, body: Incoming) -> ApiResult<Bytes> {
        let limit = self.settings.max_body;
        if body.size_hint().lower() > limit as u64 {
            return Err(ApiError::too_large(limit));
        }
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        match tokio::time::timeout(self.settings.body_timeout, Limited::new(body, limit).collect()).await {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(why)) if why.downcast_ref::<LengthLimitError>().is_some() => Err(ApiError::too_large(limit)),
            Ok(Err(why)) => Err(ApiError::unread_body(format!("The request body was cut off: {why}"))),
            Err(_) => {
                let seconds = self.settings.body_timeout.as_secs();
                Err(ApiError::unread_body(format!("The request body did not arrive within {seconds} seconds")))
            }
        }
    }
}

/// A refusal, with the index headers of a read that found nothing.
pub(super) struct Failure {
    pub error: ApiError,
    pub indexed: Indexed,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure { error, indexed: Indexed::No }
    }
}

pub(super) type Answer = Result<Reply, Failure>;

impl Call {
    /// The namespace of a write or of one object.
    pub fn namespace(&self) -> &str {
        namespace(&self.query)
    }

    /// Turns true when the listener stops: streams end then.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// The body as JSON of `T`; `null` is the default. Text behind the value is ignored, as Go's decoder does. The bytes
    /// are let go of: the connection reads its next request into them.
    pub fn json<T: DeserializeOwned + Default>(&mut self) -> ApiResult<T> {
        let body = std::mem::take(&mut self.body);
        if body.is_empty() {
            return Err(ApiError::bad_request("Request body is empty"));
        }
        decode_json(&body)
    }

    /// Answers a read. Waits until `index` of the state is beyond the wanted one or the time is up, looking again after
    /// each change of one of `topics`; then runs `find` once, whose refusals carry the index as well.
    pub async fn read<T>(
        &self,
        topics: &[Topic],
        index: impl Fn(&State, &ReadOptions) -> u64,
        find: impl FnOnce(&State, &ReadOptions) -> ApiResult<T>,
    ) -> Result<(T, Indexed), Failure> {
        let options = ReadOptions::parse(&self.query)?;
        let mut state = self.server.state();
        if options.min_index > 0 && index(&state, &options) <= options.min_index {
            // The old state must not be kept alive by somebody who sleeps for minutes.
            drop(state);
            state = self.block(topics, &options, &index).await;
        }
        let found_at = index(&state, &options);
        // A blocking query never answers index 0: its caller would ask again at once, for ever.
        let found_at = if options.min_index > 0 { found_at.max(1) } else { found_at };
        let indexed = Indexed::Read { index: found_at, known_leader: self.server.leader_addr().is_some() };
        match find(&state, &options) {
            Ok(value) => Ok((value, indexed)),
            // Only what is not there has an index: the one at which it was not there.
            Err(error) if error.status == StatusCode::NOT_FOUND => Err(Failure { error, indexed }),
            Err(error) => Err(error.into()),
        }
    }

    async fn block(
        &self,
        topics: &[Topic],
        options: &ReadOptions,
        index: &impl Fn(&State, &ReadOptions) -> u64,
    ) -> Arc<State> {
        // A random sixteenth on top keeps many clients that began together from coming back together.
        let extra = options.wait.mul_f64(rand::random::<f64>() / 16.0);
        let deadline = tokio::time::Instant::now() + options.wait + extra;
        let mut stop = self.stop.clone();
        let mut newer_than = options.min_index;
        loop {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let waits = topics.iter().map(|topic| Box::pin(self.server.wait_for(topic.clone(), newer_than, left)));
            let state = tokio::select! {
                (state, _, _) = futures_util::future::select_all(waits) => state,
                _ = stop.wait_for(|stop| *stop) => self.server.state(),
            };
            let late = *stop.borrow() || tokio::time::Instant::now() >= deadline || left == Duration::ZERO;
            if late || index(&state, options) > options.min_index {
                return state;
            }
            // Something else in the topic changed: sleep until it changes again.
            newer_than = newer_than.max(state.index());
        }
    }

    /// Writes `op` to the log; a refusal of the state becomes the answer's error.
    pub async fn propose(&self, op: state::Op) -> ApiResult<Committed> {
        let committed = self.server.propose(op).await?;
        match &committed.reply {
            state::Reply::Refused(refusal) => Err(refused(refusal)),
            _ => Ok(committed),
        }
    }
}

/// Decodes the first JSON value of `body`.
pub(super) fn decode_json<T: DeserializeOwned + Default>(body: &[u8]) -> ApiResult<T> {
    if let Ok(value) = Option::<T>::deserialize(&mut serde_json::Deserializer::from_slice(body)) {
        return Ok(value.unwrap_or_default());
    }
    // Once more, for the place of what is wrong: most bodies need it not.
    let mut decoder = serde_json::Deserializer::from_slice(body);
    let decoded: Result<Option<T>, _> = serde_path_to_error::deserialize(&mut decoder);
    match decoded {
        Ok(value) => Ok(value.unwrap_or_default()),
        Err(why) => {
            let path = why.path().to_string();
            let at = if path == "." { String::new() } else { format!(" at {path}") };
            Err(ApiError::bad_request(format!("The request body is not the expected JSON{at}: {}", why.into_inner())))
        }
    }
}

/// What the state would not do.
pub(super) fn refused(refusal: &state::Refusal) -> ApiError {
    ApiError::refused(refusal.to_string())
}

fn check_region(asked: Option<&str>, server: &Server) -> ApiResult<()> {
    match asked.filter(|region| !region.is_empty() && *region != server.config().region) {
        None => Ok(()),
        Some(region) => Err(unknown_region(region, server)),
    }
}

/// This cluster is one region.
pub(super) fn unknown_region(region: &str, server: &Server) -> ApiError {
    ApiError::refused(format!("No path to region {region:?}: this cluster is region {:?}", server.config().region))
}

/// `path` without empty, `.` and `..` segments, or `None` when it has none of these.
fn clean_path(path: &str) -> Option<String> {
    let body = path.strip_prefix('/').unwrap_or(path);
    let dirty = |segment: &str| matches!(segment, "." | "..");
    if !path.contains("//") && !body.split('/').any(dirty) {
        return None;
    }
    let mut clean: Vec<&str> = Vec::new();
    for segment in body.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    let slash = if path.ends_with('/') && !clean.is_empty() { "/" } else { "" };
    Some(format!("/{}{slash}", clean.join("/")))
}

fn redirect(path: &str, query: Option<&str>) -> Response<Body> {
    let location = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let escaped = location.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let text = format!("<a href=\"{escaped}\">Temporary Redirect</a>.\n\n");
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        assert_eq!(clean_path("/v1/jobs"), None);
        assert_eq!(clean_path("/v1/jobs/"), None);
        assert_eq!(clean_path("//v1//jobs").as_deref(), Some("/v1/jobs"));
        assert_eq!(clean_path("/v1/jobs/../nodes").as_deref(), Some("/v1/nodes"));
        assert_eq!(clean_path("/../..").as_deref(), Some("/"));
    }

    #[test]
    fn json_is_decoded_as_go_decodes_it() {
        let request: model::api::JobRequest = decode_json(br#"{"job":{"id":"a"}} trailing"#).unwrap();
        assert_eq!(request.job.and_then(|job| job.id).as_deref(), Some("a"));
        assert!(decode_json::<model::api::JobRequest>(b"null").unwrap().job.is_none());
        let wrong = decode_json::<model::api::JobRequest>(br#"{"Job":{"Priority":"high"}}"#).unwrap_err();
        assert!(wrong.status == StatusCode::BAD_REQUEST && wrong.text.contains("Priority"), "{}", wrong.text);
        let deep = "[".repeat(500_000);
        assert_eq!(decode_json::<model::api::JobRequest>(deep.as_bytes()).unwrap_err().status, StatusCode::BAD_REQUEST);
        let deep = format!("{{\"Job\":{{\"X\":{}", "{\"a\":".repeat(500_000));
        assert_eq!(decode_json::<model::api::JobRequest>(deep.as_bytes()).unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
