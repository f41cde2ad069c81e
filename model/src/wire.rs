//! Messages as bytes: named MessagePack, so that a field can be added without a flag day.
//!
//! Encoders and decoders are made here, once for each message, and not in every crate that sends or takes one.

use serde::Serialize;

use crate::evaluation::Plan;
use crate::job::Job;
use crate::rpc::{Heartbeat, HeartbeatReply, PullAllocs, PullAllocsReply, PushAllocs, RegisterNode};

/// Bytes that most messages fit into: growing piece by piece costs more than the writing.
const USUAL_SIZE: usize = 2048;

/// Why a message cannot be written.
pub use rmp_serde::encode::Error as PackError;

/// Why bytes are not the message.
pub use rmp_serde::decode::Error as UnpackError;

/// A message that has a form in bytes.
pub trait Wire: Sized {
    /// The message in bytes.
    ///
    /// # Errors
    /// What cannot be written, which is nothing that a message holds.
    fn pack(&self) -> Result<Vec<u8>, PackError>;

    /// The message in `bytes`.
    ///
    /// # Errors
    /// When it is not this message.
    fn unpack(bytes: &[u8]) -> Result<Self, UnpackError>;
}

/// Anything as named MessagePack.
///
/// # Errors
/// When a value has no form in MessagePack.
pub fn named(value: &impl Serialize) -> Result<Vec<u8>, PackError> {
    let mut bytes = Vec::with_capacity(USUAL_SIZE);
    rmp_serde::encode::write_named(&mut bytes, value)?;
    Ok(bytes)
}

macro_rules! wire {
    ($($message:ty),+) => {
        $(impl Wire for $message {
            fn pack(&self) -> Result<Vec<u8>, PackError> {
                named(self)
            }

            fn unpack(bytes: &[u8]) -> Result<Self, UnpackError> {
                rmp_serde::from_slice(bytes)
            }
        })+
    };
}

wire!(RegisterNode, Heartbeat, HeartbeatReply, PullAllocs, PullAllocsReply, PushAllocs, Plan, Job);
