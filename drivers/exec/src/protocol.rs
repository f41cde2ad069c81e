//! What agent and supervisor say to each other: frames of a 4-byte big-endian length and a MessagePack map.
//!
//! The first request of a connection is [`Ask::Hello`]; both sides must speak the same [`VERSION`]. Answers carry the
//! request's number and may come in any order: [`Ask::Wait`] and [`Ask::Stop`] are answered when the task has ended.

use std::path::PathBuf;

use driver::{ExitResult, LogSettings, TaskId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::record::Record;

/// The version both sides must speak.
pub const VERSION: u32 = 1;

/// The largest message in bytes; environments make them large.
pub const MAX_FRAME: usize = 8 << 20;

/// A task to start, with everything decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// The task.
    pub task: TaskId,
    /// The program: a path, or a name to look up.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// The task's directory, where commands are looked up.
    pub dir: PathBuf,
    /// Where it starts.
    pub work_dir: PathBuf,
    /// User name or number; empty for the supervisor's own.
    pub user: String,
    /// Where the log files go.
    pub logs: PathBuf,
    /// Their rotation.
    pub log_settings: LogSettings,
}

/// A numbered request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Repeated in the answer.
    pub id: u64,
    /// What is asked.
    pub body: Ask,
}

/// What the agent asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Opens the connection.
    Hello {
        /// The agent's [`VERSION`].
        version: u32,
    },
    /// Starts a task, or finds the one of that id.
    Start(Box<TaskSpec>),
    /// Finds a task.
    Find(TaskId),
    /// Answers when the task has ended.
    Wait(TaskId),
    /// Sends a signal, kills everything after the timeout, answers when the task has ended.
    Stop {
        /// The task.
        task: TaskId,
        /// The signal's number.
        signal: i32,
        /// Milliseconds until the kill.
        timeout_ms: u64,
    },
    /// Sends a signal to the task's first process.
    Signal {
        /// The task.
        task: TaskId,
        /// The signal's number.
        signal: i32,
    },
    /// Forgets an ended task and removes what is left of it.
    Destroy(TaskId),
    /// Names all tasks.
    List,
    /// Ends the supervisor when it has no tasks.
    Shutdown,
}

/// A numbered answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The request's number.
    pub id: u64,
    /// What is answered.
    pub body: Answer,
}

/// What the supervisor answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Ask::Hello`].
    Hello {
        /// The supervisor's [`VERSION`].
        version: u32,
        /// Its process id.
        pid: u32,
    },
    /// To [`Ask::Start`] and [`Ask::Find`].
    Task(Box<Record>),
    /// To [`Ask::Wait`].
    Exited(ExitResult),
    /// To [`Ask::Stop`], [`Ask::Signal`], [`Ask::Destroy`] and [`Ask::Shutdown`].
    Done,
    /// To [`Ask::List`].
    Tasks(Vec<TaskId>),
    /// To anything that cannot be done.
    Failed(Failure),
}

/// Why something cannot be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Failure {
    /// There is no such task.
    NotFound,
    /// Trying again will not help: a sentence for the user.
    Permanent(String),
    /// May go away by itself: a sentence for the user.
    Recoverable(String),
}

/// A message that cannot be read or written: a sentence without full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFrame(pub String);

/// One message as a frame.
///
/// # Errors
/// When it is larger than [`MAX_FRAME`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, BadFrame> {
    let body = rmp_serde::to_vec_named(message).map_err(|error| BadFrame(error.to_string()))?;
    if body.len() > MAX_FRAME {
        return Err(BadFrame(format!("a message of {} bytes exceeds the limit of {MAX_FRAME}", body.len())));
    }
    let length = u32::try_from(body.len()).map_err(|error| BadFrame(error.to_string()))?;
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Takes the first message off the front of `bytes`; `None` while it is not complete.
///
/// # Errors
/// When the bytes are no message of this protocol; the connection is of no use then.
pub fn take<T: DeserializeOwned>(bytes: &mut Vec<u8>) -> Result<Option<T>, BadFrame> {
    let Some(header) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*header) as usize;
    if length > MAX_FRAME {
        return Err(BadFrame(format!("a message of {length} bytes exceeds the limit of {MAX_FRAME}")));
    }
    if bytes.len() < 4 + length {
        return Ok(None);
    }
    let message = rmp_serde::from_slice(&bytes[4..4 + length]).map_err(|error| BadFrame(error.to_string()))?;
    bytes.drain(..4 + length);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_any_cut() {
        let first = Request { id: 7, body: Ask::List };
        let second = Request { id: 8, body: Ask::Hello { version: VERSION } };
        let bytes = [encode(&first).unwrap(), encode(&second).unwrap()].concat();
        let mut buffer = Vec::new();
        let mut read = Vec::new();
        for byte in bytes {
            buffer.push(byte);
            while let Some(message) = take::<Request>(&mut buffer).unwrap() {
                read.push(message);
            }
        }
        assert_eq!(read, [first, second]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(take::<Request>(&mut vec![0xff; 8]).is_err(), "too long");
        assert!(take::<Request>(&mut vec![0, 0, 0, 1, 0xc1]).is_err(), "not MessagePack");
        let huge = Answer::Failed(Failure::Permanent("x".repeat(MAX_FRAME + 1)));
        assert!(encode(&huge).is_err());
    }
}
