//! One task of the supervisor: running, ending (its first process is gone, the rest is being killed), ended.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use driver::{ExitResult, LogKind};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags};

use super::output::Output;
use super::spawn;
use crate::cgroup::{self, Cgroups};
use crate::process;
use crate::protocol::{Failure, TaskSpec};
use crate::record::{Record, Store, key};

/// First pause between two kills; doubled each time.
const KILL_PAUSE: Duration = Duration::from_millis(1);

/// Longest pause between two kills.
const MAX_KILL_PAUSE: Duration = Duration::from_millis(200);

/// How often a pipe is emptied after the end; each time takes more than a pipe holds.
const MAX_DRAIN: usize = 16;

/// How long something may resist SIGKILL (in the kernel, waiting for a device) before we go on without it.
pub const UNKILLABLE: Duration = Duration::from_secs(10);

/// Who waits for an answer: a connection and the number of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The connection.
    pub client: u64,
    /// The request.
    pub request: u64,
}

/// How far a task is.
enum Phase {
    Running,
    /// The first process has ended so; what else it started is being killed, at most until then.
    Ending(ExitResult, Instant),
    Ended,
}

/// One task.
pub struct Task {
    /// What is on disk of it.
    pub record: Record,
    /// Its outputs, while it may print.
    pub outputs: Vec<Output>,
    /// Set for a task that another supervisor started: the kernel tells its end, but not its exit code.
    pub adopted: Option<OwnedFd>,
    /// Whether this supervisor started it.
    is_child: bool,
    /// Who waits for its end.
    pub waiters: Vec<Ticket>,
    /// Who asked to stop it, and when that counts as failed.
    pub stoppers: Vec<(Ticket, Instant)>,
    phase: Phase,
    kill_at: Option<Instant>,
    kill_pause: Duration,
}

impl Task {
    fn new(record: Record, outputs: Vec<Output>) -> Task {
        let phase = if record.exit.is_some() { Phase::Ended } else { Phase::Running };
        Task {
            record,
            outputs,
            adopted: None,
            is_child: false,
            waiters: Vec::new(),
            stoppers: Vec::new(),
            phase,
            kill_at: None,
            kill_pause: KILL_PAUSE,
        }
    }

    /// Starts a task. Leaves nothing behind when that fails.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn start(spec: &TaskSpec, store: &Store, cgroups: &Cgroups, boot_id: &str) -> Result<Task, Failure> {
        let started = Task::try_start(spec, store, cgroups, boot_id);
        if started.is_err() {
            store.remove(&spec.task);
            if let Ok(Some(cgroup)) = cgroups.create(&key(&spec.task)) {
                cgroup::remove(&cgroup);
            }
        }
        started
    }

    fn try_start(spec: &TaskSpec, store: &Store, cgroups: &Cgroups, boot_id: &str) -> Result<Task, Failure> {
        let node = |error: io::Error| Failure::Recoverable(format!("cannot prepare the task on this node: {error}"));
        let identity = spawn::identity(&spec.user)?;
        // Before anything is made: most mistakes end here.
        spawn::resolve(spec)?;
        let cgroup = cgroups.create(&key(&spec.task)).map_err(node)?;
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let null = null.map_err(|errno| node(errno.into()))?;
        let mut record = Record {
            task: spec.task.clone(),
            pid: 0,
            start_time: 0,
            boot_id: boot_id.to_owned(),
            cgroup,
            started_at: super::now(),
            logs: spec.logs.clone(),
            log_settings: spec.log_settings,
            exit: None,
        };
        let outputs = open_outputs(&record, store).map_err(node)?;
        let owner = identity.as_ref().map(|identity| (identity.uid, identity.gid));
        let mut task_sides = Vec::new();
        if !outputs.is_empty() {
            for kind in [LogKind::Stdout, LogKind::Stderr] {
                task_sides.push(Output::task_side(&store.pipe_path(&spec.task, kind), owner).map_err(node)?);
            }
        }
        let side = |index: usize| task_sides.get(index).unwrap_or(&null);
        let cgroup = record.cgroup.clone();
        spawn::spawn(spec, identity, [&null, side(0), side(1)], cgroup.as_deref(), |pid| {
            record.pid = pid;
            record.start_time = process::stat(pid).ok_or_else(|| io::Error::other("it is gone"))?.start_time;
            store.save(&record)
        })?;
        Ok(Task { is_child: true, ..Task::new(record, outputs) })
    }

    /// Takes over a task that another supervisor started, or finds out that it is gone.
    pub fn adopt(record: Record, store: &Store, boot_id: &str) -> Task {
        if record.exit.is_some() {
            return Task::new(record, Vec::new());
        }
        // After a reboot neither its pid nor its cgroup mean anything.
        let same_boot = record.boot_id == boot_id;
        let outputs = open_outputs(&record, store).unwrap_or_default();
        let mut task = Task::new(record, outputs);
        if !same_boot {
            task.record.cgroup = None;
            task.first_process_ended(unknown("the machine was restarted while it ran"));
        } else if !task.is_ours() {
            task.first_process_ended(unknown("it ended while its supervisor was gone"));
        } else {
            let pid = rustix::process::Pid::from_raw(task.record.pid);
            let watch = pid.and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok());
            // Between the look and the opening the pid may have changed hands.
            match watch.filter(|_| task.is_ours()) {
                Some(watch) => task.adopted = Some(watch),
                None => task.first_process_ended(unknown("it ended while its supervisor was gone")),
            }
        }
        task
    }

    /// Whether the recorded pid is still that process: same start time, same cgroup.
    fn is_ours(&self) -> bool {
        let Record { pid, start_time, cgroup, .. } = &self.record;
        process::is_running(*pid, *start_time)
            && cgroup.as_ref().is_none_or(|cgroup| cgroup::pids(cgroup).contains(pid))
    }

    /// Whether it has ended and everything it started is gone.
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Whether `pid` is its first process, started by this supervisor and not known to have ended.
    pub fn is_child_running(&self, pid: i32) -> bool {
        self.is_child && self.record.pid == pid && matches!(self.phase, Phase::Running)
    }

    /// Sends a signal to the first process.
    ///
    /// # Errors
    /// When the kernel refuses; a process that just ended is no error.
    pub fn signal(&self, number: i32) -> Result<(), Failure> {
        if !matches!(self.phase, Phase::Running) {
            return Ok(());
        }
        let refused = |error: String| Failure::Recoverable(format!("cannot signal {}: {error}", self.record.task));
        let signal = Signal::try_from(number).map_err(|_| refused(format!("there is no signal {number}")))?;
        let sent = match &self.adopted {
            // The handle means the process, whatever became of its pid.
            Some(watch) => {
                rustix::process::Signal::from_named_raw(number).map_or(Err(nix::errno::Errno::EINVAL), |signal| {
                    rustix::process::pidfd_send_signal(watch.as_fd(), signal)
                        .map_err(|errno| nix::errno::Errno::from_raw(errno.raw_os_error()))
                })
            }
            // Our own child, not reaped yet: the pid is still its own.
            None => kill(Pid::from_raw(self.record.pid), signal),
        };
        match sent {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(errno) => Err(refused(errno.to_string())),
        }
    }

    /// Asks it to stop; what is left after `timeout` is killed. A second, shorter request shortens the first.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn stop(&mut self, ticket: Ticket, number: i32, timeout: Duration, now: Instant) -> Result<(), Failure> {
        if timeout > Duration::ZERO {
            self.signal(number)?;
        }
        let at = now + timeout;
        self.kill_at = Some(self.kill_at.map_or(at, |before| before.min(at)));
        self.stoppers.push((ticket, at + UNKILLABLE));
        Ok(())
    }

    /// The first process has ended; the rest follows.
    pub fn first_process_ended(&mut self, exit: ExitResult) {
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        // While a child is not reaped its group's number cannot be reused; later it could be.
        if self.is_child && self.record.cgroup.is_none() {
            self.kill_group();
        }
        let now = Instant::now();
        self.phase = Phase::Ending(exit, now + UNKILLABLE);
        self.kill_at = Some(now);
        self.kill_pause = KILL_PAUSE;
    }

    /// The adopted first process has ended.
    pub fn adopted_ended(&mut self) {
        self.adopted = None;
        self.first_process_ended(unknown("its supervisor was replaced while it ran, and only that could have known"));
    }

    /// When [`Task::tick`] is due next.
    pub fn due(&self) -> Option<Instant> {
        let stoppers = self.stoppers.iter().map(|(_, until)| *until).min();
        self.kill_at.into_iter().chain(stoppers).min()
    }

    /// Kills what is due; `true` when the task has ended by that and its record must be saved.
    pub fn tick(&mut self, now: Instant, buffer: &mut Vec<u8>) -> bool {
        if self.kill_at.is_none_or(|at| at > now) {
            return false;
        }
        let empty = self.kill_everything();
        self.kill_at = Some(now + self.kill_pause);
        self.kill_pause = (self.kill_pause * 2).min(MAX_KILL_PAUSE);
        match &self.phase {
            Phase::Ending(exit, until) if empty || now >= *until => {
                self.record.exit = Some(exit.clone());
                self.phase = Phase::Ended;
                self.kill_at = None;
                // Nobody writes any more: what is in the pipes is all there is.
                for output in &mut self.outputs {
                    // Bounded, for something unkillable may still write.
                    let _ = (0..MAX_DRAIN).any(|_| output.pump(buffer));
                }
                self.outputs.clear();
                true
            }
            _ => false,
        }
    }

    /// Sends SIGKILL to all there is; `true` when nothing is left.
    fn kill_everything(&self) -> bool {
        match (&self.record.cgroup, &self.phase) {
            (Some(cgroup), _) => cgroup::kill(cgroup),
            (None, Phase::Running) => {
                if process::is_running(self.record.pid, self.record.start_time) {
                    self.kill_group();
                }
                false
            }
            (None, Phase::Ending(..) | Phase::Ended) => true,
        }
    }

    fn kill_group(&self) {
        // 0 and 1 would mean our own group and everybody.
        if self.record.pid > 1 {
            let _ = killpg(Pid::from_raw(self.record.pid), Signal::SIGKILL);
        }
    }

    /// Removes what is left of it on this machine. Only for an ended task.
    pub fn remove(&self, store: &Store) {
        if let Some(cgroup) = &self.record.cgroup
            && !cgroup::remove(cgroup)
        {
            eprintln!("cgroup {} cannot be removed yet", cgroup.display());
        }
        store.remove(&self.record.task);
    }
}

fn unknown(reason: &str) -> ExitResult {
    let text = format!("exit code unknown: {reason}");
    ExitResult { unknown: Some(text), ..ExitResult::default() }
}

/// Our sides of its pipes; none when its output is thrown away.
fn open_outputs(record: &Record, store: &Store) -> io::Result<Vec<Output>> {
    if record.log_settings.disabled {
        return Ok(Vec::new());
    }
    [LogKind::Stdout, LogKind::Stderr]
        .into_iter()
        .map(|kind| {
            let pipe = store.pipe_path(&record.task, kind);
            Output::open(&pipe, &record.logs, &record.task.task, kind, record.log_settings)
        })
        .collect()
}
