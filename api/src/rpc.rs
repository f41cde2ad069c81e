//! The calls of a node's agent, as named MessagePack over HTTP.

use model::rpc::{Heartbeat, HeartbeatReply, PullAllocs, PullAllocsReply, PushAllocs, RegisterNode};
use model::wire::Wire;

use crate::{Client, Error};

impl Client {
    /// Announces a node.
    ///
    /// # Errors
    /// As [`Client::get`], for this and all calls below.
    pub async fn node_register(&self, request: &RegisterNode) -> Result<HeartbeatReply, Error> {
        self.call("register", request).await
    }

    /// Says that a node is alive.
    pub async fn node_heartbeat(&self, request: &Heartbeat) -> Result<HeartbeatReply, Error> {
        self.call("heartbeat", request).await
    }

    /// Waits for changes of a node's allocations.
    pub async fn node_pull(&self, request: &PullAllocs) -> Result<PullAllocsReply, Error> {
        self.call("allocs", request).await
    }

    /// Reports what a node sees of its allocations.
    pub async fn node_push(&self, request: &PushAllocs) -> Result<HeartbeatReply, Error> {
        self.call("update", request).await
    }

    async fn call<T: Wire>(&self, verb: &str, body: &impl Wire) -> Result<T, Error> {
        let path = format!("/v1/internal/node/{verb}");
        let decode = |reason: String| Error::Decode { path: path.clone(), reason };
        let body = body.pack().map_err(|error| decode(error.to_string()))?;
        let request = self.request(reqwest::Method::POST, &path).header("Content-Type", "application/msgpack");
        let response = request.body(body).send().await.map_err(|error| Error::unreachable(self.address(), &error))?;
        let bytes = self.accepted(response).await?.bytes().await;
        let bytes = bytes.map_err(|error| Error::unreachable(self.address(), &error))?;
        T::unpack(&bytes).map_err(|error| decode(error.to_string()))
    }
}
