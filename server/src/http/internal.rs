//! The calls of node agents, as named MessagePack: the same functions that an agent in this process calls directly.

use bytes::Bytes;
use model::rpc::HeartbeatReply;
use model::wire::Wire;

use super::call::{Answer, Call};
use super::error::{ApiError, ApiResult};
use super::response::{Content, Reply};

const MESSAGE_PACK: &str = "application/msgpack";

impl Call {
    fn message<T: Wire>(&self) -> ApiResult<T> {
        T::unpack(&self.body)
            .map_err(|why| ApiError::bad_request(format!("the body is not the expected MessagePack: {why}")))
    }
}

fn answer(message: &impl Wire) -> Answer {
    let bytes = message.pack().map_err(|why| ApiError::refused(format!("cannot answer: {why}")))?;
    Ok(Reply::of(Content::Bytes(MESSAGE_PACK, Bytes::from(bytes))))
}

/// `POST /v1/internal/node/register`
pub(super) async fn register(call: Call) -> Answer {
    answer(&call.server.register_node(call.message()?).await.map_err(ApiError::from)?)
}

/// `POST /v1/internal/node/heartbeat`
pub(super) async fn heartbeat(call: Call) -> Answer {
    answer(&call.server.heartbeat(call.message()?).await.map_err(ApiError::from)?)
}

/// `POST /v1/internal/node/allocs`
pub(super) async fn allocs(call: Call) -> Answer {
    answer(&call.server.pull_allocs(call.message()?).await.map_err(ApiError::from)?)
}

/// `POST /v1/internal/node/update`; of the answer only the index says something.
pub(super) async fn update(call: Call) -> Answer {
    let index = call.server.push_allocs(call.message()?).await.map_err(ApiError::from)?;
    answer(&HeartbeatReply { index, ..HeartbeatReply::default() })
}
