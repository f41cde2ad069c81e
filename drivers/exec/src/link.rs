//! The agent's connection to the supervisor: made on first need, made again when it breaks.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use driver::DriverError;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use crate::protocol::{Answer, Ask, Failure, Request, Response, VERSION, encode, take};
use crate::raw_exec::RawExecSettings;
use crate::supervisor::{Options, SOCKET, socket_path};

/// How long the connection is kept without requests, so that an idle node needs no supervisor.
const IDLE: Duration = Duration::from_secs(10);

/// How often a request is sent again over a new connection.
const ATTEMPTS: u32 = 5;

/// How often connecting is tried, [`RETRY_PAUSE`] apart: a supervisor that is leaving needs a moment.
const CONNECT_ATTEMPTS: u32 = 100;

const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// How long a supervisor may take to come up or to greet.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way to the supervisor.
pub struct Link {
    settings: RawExecSettings,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    next: AtomicU64,
}

/// Requests without answer; `None` once the connection is of no use.
type Pending = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>>;

struct Connection {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    pending: Pending,
}

impl Connection {
    /// Sends a frame. When that fails the connection is over at once, whether or not its reader has noticed yet: the
    /// next request must not meet it again.
    async fn send(&self, frame: &[u8]) -> Result<(), Lost> {
        let sent = self.writer.lock().await.write_all(frame).await;
        sent.map_err(|_| {
            *self.pending.lock() = None;
            Lost::Connection
        })
    }
}

/// Why a request got no answer.
enum Lost {
    /// The connection broke: asking again may help.
    Connection,
    /// It will not.
    Fatal(DriverError),
}

impl Link {
    pub fn new(settings: RawExecSettings) -> Link {
        Link { settings, connection: tokio::sync::Mutex::new(None), next: AtomicU64::new(1) }
    }

    /// Whether a supervisor listens, or there are records that one should look after.
    pub fn is_needed(&self) -> bool {
        self.settings.state_dir.join(SOCKET).exists() || !crate::record::Store::new(&self.settings.state_dir).is_empty()
    }

    /// Asks. A request that may have been heard is sent again when the connection breaks, so it must be idempotent.
    pub async fn ask(&self, body: &Ask) -> Result<Answer, DriverError> {
        for _ in 0..ATTEMPTS {
            match self.ask_once(body).await {
                Ok(Answer::Failed(Failure::Permanent(text))) => return Err(DriverError::Permanent(text)),
                Ok(Answer::Failed(Failure::Recoverable(text))) => return Err(DriverError::Recoverable(text)),
                Ok(answer) => return Ok(answer),
                Err(Lost::Connection) => tracing::debug!("the connection to the task supervisor broke"),
                Err(Lost::Fatal(error)) => return Err(error),
            }
        }
        let log = self.settings.state_dir.join("supervisor.log");
        let text = format!("the task supervisor went away {ATTEMPTS} times in a row; see {}", log.display());
        Err(DriverError::Recoverable(text))
    }

    /// Ends the supervisor if one runs and has no tasks.
    pub async fn shutdown(&self) -> Result<(), DriverError> {
        if !self.settings.state_dir.join(SOCKET).exists() {
            return Ok(());
        }
        match self.ask_once(&Ask::Shutdown).await {
            Ok(Answer::Failed(Failure::Recoverable(text) | Failure::Permanent(text))) => {
                Err(DriverError::Recoverable(text))
            }
            // It may be gone before its answer is out.
            Ok(_) | Err(Lost::Connection) => Ok(()),
            Err(Lost::Fatal(error)) => Err(error),
        }
    }

    async fn ask_once(&self, body: &Ask) -> Result<Answer, Lost> {
        let connection = self.connection().await?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        match &mut *connection.pending.lock() {
            Some(pending) => pending.insert(id, sender),
            None => return Err(Lost::Connection),
        };
        let forget = Forget { connection: &connection, id };
        let frame = encode(&Request { id, body: body.clone() })
            .map_err(|bad| Lost::Fatal(DriverError::Permanent(format!("the task cannot be described: {}", bad.0))))?;
        connection.send(&frame).await?;
        let answer = receiver.await.map_err(|_| Lost::Connection);
        drop(forget);
        answer
    }

    /// The open connection, or a new one.
    async fn connection(&self) -> Result<Arc<Connection>, Lost> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref()
            && connection.pending.lock().is_some()
        {
            return Ok(Arc::clone(connection));
        }
        let stream = self.connect_or_spawn().await.map_err(|error| {
            let text = format!("the task supervisor cannot be reached: {error}");
            Lost::Fatal(DriverError::Recoverable(text))
        })?;
        let (reader, writer) = stream.into_split();
        let pending: Pending = Arc::new(Mutex::new(Some(HashMap::new())));
        let connection =
            Arc::new(Connection { writer: tokio::sync::Mutex::new(writer), pending: Arc::clone(&pending) });
        tokio::spawn(read_answers(reader, pending));
        self.greet(&connection).await?;
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    async fn greet(&self, connection: &Connection) -> Result<(), Lost> {
        let (sender, receiver) = oneshot::channel();
        if let Some(pending) = &mut *connection.pending.lock() {
            pending.insert(0, sender);
        }
        let hello = Request { id: 0, body: Ask::Hello { version: VERSION } };
        let frame = encode(&hello).map_err(|_| Lost::Connection)?;
        connection.send(&frame).await?;
        match tokio::time::timeout(PATIENCE, receiver).await {
            Ok(Ok(Answer::Hello { .. })) => Ok(()),
            Ok(Ok(Answer::Failed(Failure::Permanent(text)))) => Err(Lost::Fatal(DriverError::Recoverable(text))),
            Ok(Ok(_) | Err(_)) => Err(Lost::Connection),
            Err(_) => {
                let text = format!("the task supervisor does not answer within {PATIENCE:?}");
                Err(Lost::Fatal(DriverError::Recoverable(text)))
            }
        }
    }

    async fn connect_or_spawn(&self) -> io::Result<UnixStream> {
        let mut last = match self.connect().await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        self.spawn().await?;
        for _ in 0..CONNECT_ATTEMPTS {
            match self.connect().await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
            // The one that held the directory was about to leave; now it is gone, or will be soon.
            tokio::time::sleep(RETRY_PAUSE).await;
            self.spawn().await?;
        }
        Err(last)
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        let dir = File::open(&self.settings.state_dir)?;
        UnixStream::connect(socket_path(&dir)).await
    }

    /// Starts a supervisor and waits until it listens; it forks, and its first process ends then.
    async fn spawn(&self) -> io::Result<()> {
        let options = Options {
            state_dir: self.settings.state_dir.clone(),
            idle: self.settings.supervisor_idle,
            cgroups: self.settings.cgroups,
        };
        let mut command = tokio::process::Command::new(&self.settings.supervisor_exe);
        command.args(&self.settings.supervisor_args).args(options.to_args());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Nothing of the agent's environment reaches it: it would show up in its memory for as long as tasks run.
        command.env_clear();
        let named = |error: io::Error| {
            let exe: &PathBuf = &self.settings.supervisor_exe;
            io::Error::new(error.kind(), format!("{} cannot be started: {error}", exe.display()))
        };
        let child = command.spawn().map_err(named)?;
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
            .await
            .map_err(|_| io::Error::other(format!("it does not come up within {PATIENCE:?}")))??;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{} ({})", said.trim(), output.status)))
    }
}

/// Removes a request that nobody waits for any more.
struct Forget<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(pending) = &mut *self.connection.pending.lock() {
            pending.remove(&self.id);
        }
    }
}

/// Hands answers out until the connection ends or has been idle for a while; then all who wait are told.
async fn read_answers(reader: OwnedReadHalf, pending: Pending) {
    let mut buffer = Vec::new();
    loop {
        match tokio::time::timeout(IDLE, reader.readable()).await {
            Err(_) => {
                let mut pending = pending.lock();
                if pending.as_ref().is_none_or(HashMap::is_empty) {
                    *pending = None;
                    return;
                }
                continue;
            }
            Ok(Err(_)) => break,
            Ok(Ok(())) => {}
        }
        let mut chunk = [0u8; 16 * 1024];
        match reader.try_read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => buffer.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => break,
        }
        loop {
            match take::<Response>(&mut buffer) {
                Ok(Some(Response { id, body })) => {
                    let waiting = pending.lock().as_mut().and_then(|pending| pending.remove(&id));
                    if let Some(waiting) = waiting {
                        // Whoever asked may have gone.
                        let _ = waiting.send(body);
                    }
                }
                Ok(None) => break,
                Err(bad) => {
                    tracing::warn!("the task supervisor talks nonsense: {}", bad.0);
                    *pending.lock() = None;
                    return;
                }
            }
        }
    }
    *pending.lock() = None;
}
