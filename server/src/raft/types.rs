//! What openraft is told of our types: an entry is a batch of commands, an answer is a batch of replies.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use state::{Command, Reply};

use super::ahead::Ahead;

openraft::declare_raft_types!(
    /// The types of our log.
    pub TypeConfig:
        D = Batch,
        R = Replies,
        NodeId = u64,
        Node = openraft::BasicNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = tokio::fs::File,
        AsyncRuntime = openraft::TokioRuntime,
);

pub type Entry = openraft::Entry<TypeConfig>;
pub type LogId = openraft::LogId<u64>;
pub type Vote = openraft::Vote<u64>;
pub type StorageError = openraft::StorageError<u64>;
pub type SnapshotMeta = openraft::SnapshotMeta<u64, openraft::BasicNode>;
pub type StoredMembership = openraft::StoredMembership<u64, openraft::BasicNode>;
pub type Raft = openraft::Raft<TypeConfig>;

/// Commands that share one log entry, and so one fsync. Cloning copies three pointers.
#[derive(Clone)]
pub struct Batch {
    /// The commands, in the order in which they are applied.
    pub commands: Arc<Vec<Command>>,
    /// The same as named MessagePack: one array.
    pub encoded: Arc<Vec<u8>>,
    /// What they do, when that is known already. Never leaves this process.
    pub ahead: Ahead,
}

impl Batch {
    /// Puts commands together with their encodings, which are joined and not made again.
    pub fn join(parts: Vec<(Command, Vec<u8>)>) -> Batch {
        let size: usize = parts.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut encoded = Vec::with_capacity(size + 5);
        // The header of a MessagePack array with a 32-bit length.
        encoded.push(0xdd);
        encoded.extend_from_slice(&u32::try_from(parts.len()).unwrap_or(u32::MAX).to_be_bytes());
        let mut commands = Vec::with_capacity(parts.len());
        for (command, bytes) in parts {
            encoded.extend_from_slice(&bytes);
            commands.push(command);
        }
        Batch { commands: Arc::new(commands), encoded: Arc::new(encoded), ahead: Ahead::default() }
    }

    /// Reads what [`Batch::join`] has encoded.
    ///
    /// # Errors
    /// When the bytes are not an array of commands that this version knows.
    pub fn decode(encoded: Vec<u8>) -> Result<Batch, rmp_serde::decode::Error> {
        let commands = Command::all_from_bytes(&encoded)?;
        Ok(Batch { commands: Arc::new(commands), encoded: Arc::new(encoded), ahead: Ahead::default() })
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Batch({} commands, {} bytes)", self.commands.len(), self.encoded.len())
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.encoded)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = deserializer.deserialize_byte_buf(ByteString)?;
        Batch::decode(encoded).map_err(serde::de::Error::custom)
    }
}

/// Reads a byte string, where `Vec<u8>` itself would read a sequence of numbers.
struct ByteString;

impl serde::de::Visitor<'_> for ByteString {
    type Value = Vec<u8>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a byte string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }
}

/// The answers to one entry: the state's index after each command, and its reply. Never leaves this process.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Replies {
    /// In the order of the batch.
    #[serde(skip)]
    pub replies: Vec<(u64, Reply)>,
}
