//! Starts one process: everything is prepared before the fork, the child only makes system calls.
//!
//! The child waits for a byte before it begins its program, so that the parent can write the record first. Should the
//! parent die in between, the child sees the pipe close and ends: a program never runs without a record. A second pipe
//! tells whether the program began or why not.
#![allow(unsafe_code, reason = "fork, and the system calls between fork and exec")]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libc::{c_char, c_int};
use nix::unistd::{ForkResult, Gid, Pid, Uid, User};

use crate::cgroup;
use crate::protocol::{Failure, TaskSpec};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Of `linux/sched.h`; wider than the C type that others of its kind have.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which step of the child failed; sent as one byte before the error number.
const STEP_SETUP: u8 = 1;
const STEP_USER: u8 = 2;
const STEP_DIRECTORY: u8 = 3;
const STEP_PROGRAM: u8 = 4;

/// The user a task runs as.
#[derive(Clone, Debug)]
pub struct Identity {
    /// User.
    pub uid: Uid,
    /// First group.
    pub gid: Gid,
    groups: Vec<Gid>,
}

/// Looks up the user of a task; `None` for the supervisor's own.
///
/// # Errors
/// When there is no such user, or this process may not become it.
pub fn identity(user: &str) -> Result<Option<Identity>, Failure> {
    if user.is_empty() {
        return Ok(None);
    }
    let by_number = user.parse::<u32>().ok().map(Uid::from_raw);
    let found = match by_number {
        Some(uid) => User::from_uid(uid),
        None => User::from_name(user),
    };
    let found = found.map_err(|errno| Failure::Recoverable(format!("cannot look up user {user:?}: {errno}")))?;
    let identity = match (found, by_number) {
        (Some(found), _) => {
            let name = CString::new(found.name.as_str()).map_err(|_| nul("user", user))?;
            let groups = nix::unistd::getgrouplist(&name, found.gid).unwrap_or_else(|_| vec![found.gid]);
            Identity { uid: found.uid, gid: found.gid, groups }
        }
        (None, Some(uid)) => {
            let gid = Gid::from_raw(uid.as_raw());
            Identity { uid, gid, groups: vec![gid] }
        }
        (None, None) => {
            let text = format!("user {user:?} does not exist on this node; create it, or change \"user\" in the task");
            return Err(Failure::Permanent(text));
        }
    };
    let own = Uid::effective();
    if !own.is_root() && identity.uid != own {
        let text = format!("cannot run as user {user:?}: the agent is not root; run it as root, or drop \"user\"");
        return Err(Failure::Permanent(text));
    }
    Ok((identity.uid != own).then_some(identity))
}

/// Finds the program: a path as it is (relative to the task's directory), a name in `local/`, the task's directory and
/// the task's `PATH`.
///
/// # Errors
/// A sentence that names the command and what to do.
pub fn resolve(spec: &TaskSpec) -> Result<PathBuf, Failure> {
    let command = &spec.command;
    let path = spec.env.iter().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value.as_str());
    let candidates: Vec<PathBuf> = if command.contains('/') {
        vec![spec.dir.join(command)]
    } else {
        let own = [spec.dir.join("local").join(command), spec.dir.join(command)];
        own.into_iter().chain(path.split(':').map(|dir| spec.dir.join(dir).join(command))).collect()
    };
    let mut unfit = None;
    for candidate in candidates {
        match std::fs::metadata(&candidate) {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => return Ok(candidate),
            Ok(found) if found.is_file() => {
                unfit.get_or_insert(format!(
                    "command {command:?} is not executable; run \"chmod +x {}\" on this node",
                    candidate.display()
                ));
            }
            Ok(_) if command.contains('/') => {
                unfit.get_or_insert(format!("command {command:?} is a directory; name a program"));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Err(Failure::Permanent(unfit.unwrap_or_else(|| {
        if command.contains('/') {
            format!("command {command:?} does not exist on this node; install it, or correct \"command\" in the task")
        } else {
            format!(
                "command {command:?} was not found on this node, neither in the task's local directory nor in {path}; \
                 install it, or give its full path"
            )
        }
    })))
}

/// What the child needs, as system calls want it.
struct Child {
    program: CString,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    dir: CString,
    identity: Option<Identity>,
    fds: [RawFd; 3],
    go: RawFd,
    parents_go: RawFd,
    failed: RawFd,
}

/// Starts the program of `spec` in `cgroup`, with `fds` as its standard input, output and error. `record` is called
/// with the pid before the program begins; when it fails the program never does.
///
/// # Errors
/// A sentence that names the command and what to do.
pub fn spawn(
    spec: &TaskSpec,
    identity: Option<Identity>,
    fds: [&OwnedFd; 3],
    cgroup: Option<&Path>,
    record: impl FnOnce(i32) -> io::Result<()>,
) -> Result<i32, Failure> {
    let program = resolve(spec)?;
    let text = |what: &str, value: &str| CString::new(value).map_err(|_| nul(what, value));
    let mut args = vec![text("command", &spec.command)?];
    for arg in &spec.args {
        args.push(text("an argument", arg)?);
    }
    let mut env = Vec::with_capacity(spec.env.len());
    for (name, value) in &spec.env {
        env.push(text("the environment", &format!("{name}={value}"))?);
    }
    let pointers =
        |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let pipes = || Ok::<_, io::Error>((pipe()?, pipe()?));
    let ((go_out, go_in), (failed_out, failed_in)) = pipes().map_err(|error| no_room(&error))?;
    let child = Child {
        program: path_text(&program)?,
        argv: pointers(&args),
        envp: pointers(&env),
        dir: path_text(&spec.work_dir)?,
        identity,
        fds: fds.map(AsRawFd::as_raw_fd),
        go: go_out.as_raw_fd(),
        parents_go: go_in.as_raw_fd(),
        failed: failed_in.as_raw_fd(),
    };
    let (pid, is_placed) = match fork_into(cgroup).map_err(|error| no_room(&error))? {
        Forked::Child => child.run(),
        Forked::Parent { child, is_placed } => (child, is_placed),
    };
    drop((go_out, failed_in));
    let placed = match cgroup {
        Some(cgroup) if !is_placed => cgroup::add(cgroup, pid.as_raw().unsigned_abs()),
        _ => Ok(()),
    };
    if let Err(error) = placed.and_then(|()| record(pid.as_raw())) {
        drop(go_in);
        reap(pid);
        return Err(Failure::Recoverable(format!("cannot record the task before it begins: {error}")));
    }
    begin(go_in, failed_out, pid, spec, &program)
}

/// Which side of a fork this is.
enum Forked {
    Child,
    Parent { child: Pid, is_placed: bool },
}

/// Forks, where the kernel can do it right into a version 2 cgroup: moving a process there later makes the kernel wait
/// for all processors, which takes ten milliseconds and more.
fn fork_into(cgroup: Option<&Path>) -> io::Result<Forked> {
    if let Some(cgroup) = cgroup
        && cgroup.join("cgroup.kill").exists()
    {
        let dir = File::open(cgroup)?;
        // SAFETY: plain numbers, of which zero means "not used".
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = CLONE_INTO_CGROUP;
        args.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
        args.cgroup = u64::from(dir.as_raw_fd().unsigned_abs());
        // SAFETY: without CLONE_VM this is a fork. This process has one thread, so that the child's copy of every lock
        // and of the heap is consistent.
        match unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) } {
            0 => return Ok(Forked::Child),
            pid if pid > 0 => {
                let child = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
                return Ok(Forked::Parent { child, is_placed: true });
            }
            // An old kernel or a sandbox: the slow way.
            _ => {}
        }
    }
    // SAFETY: as above.
    Ok(match unsafe { nix::unistd::fork()? } {
        ForkResult::Child => Forked::Child,
        ForkResult::Parent { child } => Forked::Parent { child, is_placed: false },
    })
}

/// Lets the child go on, and waits until its program begins.
fn begin(go: OwnedFd, failed: OwnedFd, pid: Pid, spec: &TaskSpec, program: &Path) -> Result<i32, Failure> {
    // A write that fails means the child is gone; the other pipe tells.
    let _ = File::from(go).write_all(b"g");
    let mut report = Vec::new();
    let read = File::from(failed).read_to_end(&mut report);
    match (read, report.as_slice()) {
        (Ok(0), _) => Ok(pid.as_raw()),
        (_, [step, number @ ..]) => {
            reap(pid);
            let number = number.first_chunk::<4>().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
            Err(explain(*step, nix::errno::Errno::from_raw(number), spec, program))
        }
        (other, []) => {
            reap(pid);
            Err(Failure::Recoverable(format!("cannot tell whether {:?} began: {other:?}", spec.command)))
        }
    }
}

fn explain(step: u8, errno: nix::errno::Errno, spec: &TaskSpec, program: &Path) -> Failure {
    use nix::errno::Errno;
    let command = &spec.command;
    let text = match (step, errno) {
        (STEP_USER, _) => format!("cannot run {command:?} as user {:?}: {errno}", spec.user),
        (STEP_DIRECTORY, _) => {
            format!("cannot enter the directory {} to run {command:?} there: {errno}", spec.work_dir.display())
        }
        (STEP_PROGRAM, Errno::ENOENT) => format!(
            "command {command:?} ({}) needs an interpreter or a loader that does not exist on this node; check its \
             first line, or that it was built for this system",
            program.display()
        ),
        (STEP_PROGRAM, Errno::ENOEXEC) => format!(
            "command {command:?} ({}) is no program this system can run; a script needs a first line such as \
             \"#!/bin/sh\", a binary must be built for this machine",
            program.display()
        ),
        (STEP_PROGRAM, Errno::EACCES) => format!(
            "user {:?} may not run command {command:?} ({}); check its permissions and those of its directories",
            spec.user,
            program.display()
        ),
        (STEP_PROGRAM, Errno::E2BIG) => {
            format!("arguments and environment of command {command:?} are larger than this system allows; shorten them")
        }
        (STEP_PROGRAM, Errno::ENOMEM | Errno::EAGAIN | Errno::ETXTBSY) => {
            return Failure::Recoverable(format!("cannot run command {command:?}: {errno}"));
        }
        _ => format!("cannot run command {command:?} ({}): {errno}", program.display()),
    };
    Failure::Permanent(text)
}

fn reap(pid: Pid) {
    // It ends by itself: its pipe is closed, or it has told why it cannot go on.
    while nix::sys::wait::waitpid(pid, None) == Err(nix::errno::Errno::EINTR) {}
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

fn no_room(error: &io::Error) -> Failure {
    Failure::Recoverable(format!("cannot start another process on this node: {error}"))
}

fn nul(what: &str, value: &str) -> Failure {
    Failure::Permanent(format!("{what} contains a NUL character, which no program can be given: {value:?}"))
}

fn path_text(path: &Path) -> Result<CString, Failure> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| nul("a path", &path.to_string_lossy()))
}

impl Child {
    /// The child's side: never returns.
    fn run(&self) -> ! {
        // SAFETY: system calls on descriptors and texts that were prepared before the fork and live until the exec.
        unsafe {
            let (step, errno) = self.become_task();
            let mut report = [step; 5];
            report[1..].copy_from_slice(&errno.to_ne_bytes());
            libc::write(self.failed, report.as_ptr().cast(), report.len());
            libc::_exit(127)
        }
    }

    /// Becomes the program; returns only with the step that failed and its error number.
    unsafe fn become_task(&self) -> (u8, c_int) {
        // SAFETY: see `run`.
        unsafe {
            libc::close(self.parents_go);
            let mut byte = 0u8;
            if libc::read(self.go, (&raw mut byte).cast(), 1) != 1 {
                libc::_exit(125);
            }
            if libc::setsid() < 0 || !self.reset() {
                return (STEP_SETUP, errno());
            }
            for (target, fd) in self.fds.iter().enumerate() {
                if libc::dup2(*fd, target as c_int) < 0 {
                    return (STEP_SETUP, errno());
                }
            }
            if let Some(identity) = &self.identity
                && !become_user(identity)
            {
                return (STEP_USER, errno());
            }
            if libc::chdir(self.dir.as_ptr()) < 0 {
                return (STEP_DIRECTORY, errno());
            }
            // Ours are marked already; this is for what the agent might have handed down. Old kernels lack it.
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr());
            (STEP_PROGRAM, errno())
        }
    }

    /// Signals as a fresh process has them, no core dumps (they would hold the task's secrets).
    unsafe fn reset(&self) -> bool {
        // SAFETY: see `run`.
        unsafe {
            // The kernel's own call, for the C library keeps two numbers back; all zero is the default action.
            let default = [0u64; 4];
            for signal in 1..=64 {
                // Refused for SIGKILL and SIGSTOP, as it should be.
                libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8);
            }
            let mut none = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut none);
            let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::umask(0o022);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) == 0
                && libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core) == 0
        }
    }
}

unsafe fn become_user(identity: &Identity) -> bool {
    // SAFETY: `Gid` is a transparent `gid_t`; the list lives as long as the call.
    unsafe {
        libc::setgroups(identity.groups.len(), identity.groups.as_ptr().cast()) == 0
            && libc::setgid(identity.gid.as_raw()) == 0
            && libc::setuid(identity.uid.as_raw()) == 0
    }
}

fn errno() -> c_int {
    nix::errno::Errno::last_raw()
}
