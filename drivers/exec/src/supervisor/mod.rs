//! The process that owns the tasks of a node, so that the agent may die and come back.
//!
//! Synchronous and of one thread, because it stays for as long as tasks run and is to be small. It ends by itself when
//! it has had no tasks and no connection for a while.

mod clients;
mod output;
mod server;
mod spawn;
mod task;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use model::time::Timestamp;
use nix::unistd::ForkResult;
use rustix::fs::FlockOperation;

use crate::cgroup::{CgroupMode, Cgroups};
use crate::record::{Store, fnv};

/// The socket's name in the state directory.
pub const SOCKET: &str = "supervisor.sock";

/// What the supervisor was asked to do on its command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// Holds socket, lock and records.
    pub state_dir: PathBuf,
    /// How long it stays without tasks and connections.
    pub idle: Duration,
    /// Which cgroups to use.
    pub cgroups: CgroupMode,
}

impl Options {
    /// The command line that [`main`] reads.
    pub fn to_args(&self) -> Vec<OsString> {
        let idle = self.idle.as_millis().to_string();
        let state_dir = self.state_dir.clone().into_os_string();
        vec![
            "--state-dir".into(),
            state_dir,
            "--idle-ms".into(),
            idle.into(),
            "--cgroups".into(),
            self.cgroups.as_str().into(),
        ]
    }

    fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Options, String> {
        let mut options =
            Options { state_dir: PathBuf::new(), idle: Duration::from_secs(60), cgroups: CgroupMode::Auto };
        let mut args = args.into_iter();
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name:?} needs a value"))?;
            let text = value.to_string_lossy();
            match name.to_str() {
                Some("--state-dir") => options.state_dir = PathBuf::from(&value),
                Some("--idle-ms") => {
                    let millis = text.parse().map_err(|_| format!("--idle-ms {text:?} is no number"))?;
                    options.idle = Duration::from_millis(millis);
                }
                Some("--cgroups") => options.cgroups = text.parse()?,
                _ => return Err(format!("unknown option {name:?}")),
            }
        }
        if options.state_dir.as_os_str().is_empty() {
            return Err("--state-dir is missing; the agent starts this process, it is not meant for people".to_owned());
        }
        Ok(options)
    }
}

/// The hidden subcommand: starts a supervisor in the background and returns when it answers, or when another one of
/// the same state directory does. `args` is what follows the subcommand. To be called before any thread
/// exists and before any file is opened.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let started = Options::parse(args).map_err(io::Error::other).and_then(|options| daemonise(&options));
    match started {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cannot start the task supervisor: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Forks; the parent waits for one byte from the child, which means that it listens.
#[allow(unsafe_code, reason = "fork, close_range")]
fn daemonise(options: &Options) -> io::Result<ExitCode> {
    // What the agent may have handed down by mistake would stay open for as long as tasks run.
    // SAFETY: the caller promises that it has opened nothing; old kernels refuse, which does no harm.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    let (ready, tell) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: the caller promises that there is one thread; nothing here has started another.
    if let ForkResult::Parent { child } = unsafe { nix::unistd::fork()? } {
        drop(tell);
        let mut said = Vec::new();
        File::from(ready).read_to_end(&mut said)?;
        if said == b"ready" {
            return Ok(ExitCode::SUCCESS);
        }
        // It has ended, or is about to; the reason is what it wrote.
        let _ = nix::sys::wait::waitpid(child, None);
        let reason = match said.as_slice() {
            [] => "it ended without a word; see supervisor.log in its state directory".to_owned(),
            said => String::from_utf8_lossy(said).into_owned(),
        };
        return Err(io::Error::other(reason));
    }
    drop(ready);
    nix::unistd::setsid()?;
    let mut tell = File::from(tell);
    match prepare(options) {
        Ok(Some(mut server)) => {
            tell.write_all(b"ready")?;
            drop(tell);
            let result = server.run();
            server.leave();
            if let Err(error) = result {
                eprintln!("the task supervisor ends: {error}");
                return Ok(ExitCode::FAILURE);
            }
        }
        // Another one serves this directory already.
        Ok(None) => tell.write_all(b"ready")?,
        Err(error) => tell.write_all(error.to_string().as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything until the first connection can come; `None` when another supervisor holds the directory.
fn prepare(options: &Options) -> io::Result<Option<server::Server>> {
    let state_dir = &options.state_dir;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    let state_dir = state_dir.canonicalize()?;
    // Whoever reaches the socket can start programs as us.
    std::fs::set_permissions(&state_dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    let mut open = File::options();
    let lock = open.create(true).truncate(false).write(true).mode(0o600).open(state_dir.join("supervisor.lock"))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    detach(&state_dir)?;
    let store = Store::new(&state_dir);
    store.create()?;
    let node = format!("{:016x}", fnv(state_dir.as_os_str().as_encoded_bytes()));
    let cgroups = Cgroups::detect(options.cgroups, &node);
    cgroups.enter();
    let listener = listen(&state_dir)?;
    server::Server::new(listener, store, cgroups, options.idle, lock).map(Some)
}

/// Lets go of everything that belongs to the agent; messages go to a file from now on.
fn detach(state_dir: &Path) -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let mut open = File::options();
    let log = open.create(true).truncate(true).write(true).mode(0o600).open(state_dir.join("supervisor.log"))?;
    nix::unistd::dup2_stdin(null.as_fd())?;
    nix::unistd::dup2_stdout(null.as_fd())?;
    nix::unistd::dup2_stderr(log.as_fd())?;
    std::env::set_current_dir("/")?;
    // Orphans of tasks come to us and are reaped, also where process 1 does not care.
    nix::sys::prctl::set_child_subreaper(true)?;
    Ok(())
}

/// Binds the socket; the lock says that a socket found there is a dead one's.
fn listen(state_dir: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(state_dir.join(SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let dir = File::open(state_dir)?;
    let listener = UnixListener::bind(socket_path(&dir))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A path to the socket that is short whatever the directory's name is: socket addresses hold 107 bytes.
pub fn socket_path(state_dir: &File) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", state_dir.as_raw_fd()))
}

/// The wall clock.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_survive_the_command_line() {
        let options = Options { state_dir: "/x y".into(), idle: Duration::from_millis(7), cgroups: CgroupMode::V1 };
        let read = Options::parse(options.to_args()).unwrap();
        assert_eq!((read.state_dir, read.idle, read.cgroups), (options.state_dir, options.idle, options.cgroups));
        assert!(Options::parse([]).unwrap_err().contains("--state-dir"));
        assert!(Options::parse(["--nope".into(), "1".into()]).unwrap_err().contains("--nope"));
    }
}
