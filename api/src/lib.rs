//! The typed HTTP client of the API, used by the command line, the node agent of other machines, and tests.
//!
//! It knows addresses, tokens, blocking queries and errors; the shapes of bodies are `model`'s.

mod error;
mod logs;
mod rpc;

pub use error::Error;
pub use logs::{LogFrame, LogQuery};

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Where a server listens unless told otherwise.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:4646";

/// Settings of a [`Client`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// `http://host:port`.
    pub address: String,
    /// Secret sent as `X-Nomad-Token`; empty for none.
    pub token: String,
    /// Namespace of requests that name none.
    pub namespace: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { address: DEFAULT_ADDRESS.to_owned(), token: String::new(), namespace: "default".to_owned() }
    }
}

/// A client of one server. Cloning shares its connections.
#[derive(Clone, Debug)]
pub struct Client {
    settings: Settings,
    http: reqwest::Client,
}

/// An answer and the state index it reflects.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The decoded body.
    pub body: T,
    /// `X-Nomad-Index`, 0 when absent.
    pub index: u64,
}

/// Longer than the longest blocking query that we ask for.
const TIMEOUT: Duration = Duration::from_secs(330);

impl Client {
    /// A client with `settings`.
    ///
    /// # Errors
    /// When the HTTP stack cannot be set up.
    pub fn new(settings: Settings) -> Result<Client, Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(TIMEOUT)
            .no_proxy()
            .build()
            .map_err(|error| Error::unreachable(&settings.address, &error))?;
        Ok(Client { settings, http })
    }

    /// The server's address.
    pub fn address(&self) -> &str {
        &self.settings.address
    }

    /// Reads `path`, which may carry a query.
    ///
    /// # Errors
    /// The server is out of reach, refuses, or answers something else than `T`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Error> {
        self.send(reqwest::Method::GET, path, None::<&Value>).await
    }

    /// Reads `path` once its state is newer than `index`, or after `wait`; at once when `index` is 0.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_newer<T: DeserializeOwned>(
        &self,
        path: &str,
        index: u64,
        wait: Duration,
    ) -> Result<Answer<T>, Error> {
        let joint = if path.contains('?') { '&' } else { '?' };
        self.get(&format!("{path}{joint}index={index}&wait={}ms", wait.as_millis())).await
    }

    /// Writes `body` to `path`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<Answer<T>, Error> {
        self.send(reqwest::Method::PUT, path, Some(body)).await
    }

    /// Deletes `path`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Error> {
        self.send(reqwest::Method::DELETE, path, None::<&Value>).await
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let joint = if path.contains('?') { '&' } else { '?' };
        let scoped = if path.contains("namespace=") {
            format!("{}{path}", self.settings.address)
        } else {
            format!("{}{path}{joint}namespace={}", self.settings.address, escape(&self.settings.namespace))
        };
        let request = self.http.request(method, scoped);
        if self.settings.token.is_empty() { request } else { request.header("X-Nomad-Token", &self.settings.token) }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Answer<T>, Error> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| Error::unreachable(self.address(), &error))?;
        let response = self.accepted(response).await?;
        let index = response.headers().get("x-nomad-index").and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = response.bytes().await.map_err(|error| Error::unreachable(self.address(), &error))?;
        let body = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Decode { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Answer { body, index: index.unwrap_or(0) })
    }

    /// Turns a refusal into its error.
    async fn accepted(&self, response: reqwest::Response) -> Result<reqwest::Response, Error> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_default();
        Err(Error::Refused { status, text })
    }
}

/// Percent-encodes a path segment or query value.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_escaped() {
        assert_eq!(escape("a/b c-é"), "a%2Fb%20c-%C3%A9");
    }
}
