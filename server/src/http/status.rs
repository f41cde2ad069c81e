//! Who leads, who votes, which regions there are.

use super::call::{Answer, Call};
use super::error::ApiError;
use super::response::Reply;

/// `GET /v1/status/leader`
pub(super) async fn leader(call: Call) -> Answer {
    match call.server.leader_addr() {
        Some(address) => Ok(Reply::json(&address)?),
        None => Err(ApiError::refused("No cluster leader: the servers are electing one, ask again in a moment").into()),
    }
}

/// `GET /v1/status/peers`
pub(super) async fn peers(call: Call) -> Answer {
    Ok(Reply::json(&call.server.peers())?)
}

/// `GET /v1/regions`
pub(super) async fn regions(call: Call) -> Answer {
    Ok(Reply::json(&[&call.server.config().region])?)
}
