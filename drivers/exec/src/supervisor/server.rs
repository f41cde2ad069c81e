//! The supervisor's loop: connections, outputs and ends of tasks, and what is due.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use driver::{ExitResult, TaskId};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use rustix::event::epoll;

use super::clients::Clients;
use super::task::{Task, Ticket};
use crate::cgroup::Cgroups;
use crate::protocol::{Answer, Ask, Failure, Request, TaskSpec, VERSION};
use crate::record::Store;

/// What an event is about; packed into the 64 bits that epoll carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Listener,
    Signals,
    Client(u64),
    Output(u64, usize),
    Adopted(u64),
}

impl Source {
    fn pack(self) -> epoll::EventData {
        epoll::EventData::new_u64(match self {
            Source::Listener => 0,
            Source::Signals => 1,
            Source::Client(number) => number << 4 | 2,
            Source::Output(task, index) => task << 4 | if index == 0 { 3 } else { 4 },
            Source::Adopted(task) => task << 4 | 5,
        })
    }

    fn unpack(data: u64) -> Option<Source> {
        match (data & 0xf, data >> 4) {
            (0, _) => Some(Source::Listener),
            (1, _) => Some(Source::Signals),
            (2, number) => Some(Source::Client(number)),
            (3, task) => Some(Source::Output(task, 0)),
            (4, task) => Some(Source::Output(task, 1)),
            (5, task) => Some(Source::Adopted(task)),
            _ => None,
        }
    }
}

/// The supervisor.
pub struct Server {
    epoll: std::os::fd::OwnedFd,
    listener: UnixListener,
    signals: SignalFd,
    clients: Clients,
    tasks: BTreeMap<u64, Task>,
    numbers: BTreeMap<TaskId, u64>,
    next_task: u64,
    store: Store,
    cgroups: Cgroups,
    boot_id: String,
    idle: Duration,
    idle_since: Instant,
    leaving: bool,
    buffer: Vec<u8>,
    /// Held until the end: no other supervisor serves this directory.
    _lock: File,
}

impl Server {
    /// A server that has adopted what the records name.
    pub fn new(
        listener: UnixListener,
        store: Store,
        cgroups: Cgroups,
        idle: Duration,
        lock: File,
    ) -> io::Result<Server> {
        let mut watched = SigSet::empty();
        watched.add(Signal::SIGCHLD);
        watched.thread_block()?;
        let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, Source::Listener.pack(), epoll::EventFlags::IN)?;
        epoll::add(&epoll, signals.as_fd(), Source::Signals.pack(), epoll::EventFlags::IN)?;
        let mut server = Server {
            epoll,
            listener,
            signals,
            clients: Clients::default(),
            tasks: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_task: 1,
            boot_id: crate::process::boot_id(),
            store,
            cgroups,
            idle,
            idle_since: Instant::now(),
            leaving: false,
            buffer: Vec::new(),
            _lock: lock,
        };
        let (records, unreadable) = server.store.load()?;
        for problem in unreadable {
            eprintln!("a record is passed over: {problem}");
        }
        let known: Vec<&std::path::Path> = records.iter().filter_map(|record| record.cgroup.as_deref()).collect();
        server.cgroups.sweep(&known);
        for record in records {
            let task = Task::adopt(record, &server.store, &server.boot_id);
            server.keep(task);
        }
        Ok(server)
    }

    /// Serves until there is nothing left to do.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(64);
        while !self.leaving {
            let now = Instant::now();
            self.tick(now);
            let Some(wait) = self.until_next(now) else { return Ok(()) };
            let wait = wait.map(|wait| rustix::event::Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(wait.subsec_nanos()),
            });
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), wait.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            for event in &events {
                let data = event.data;
                if let Some(source) = Source::unpack(data.u64()) {
                    self.handle(source);
                }
            }
        }
        Ok(())
    }

    /// Removes socket and cgroups, so that nothing of ours is left on the machine but the state directory.
    pub fn leave(&mut self) {
        self.store.remove_socket();
        self.cgroups.leave();
    }

    /// How long nothing is due; no bound when only events matter; `None` when it is time to end.
    fn until_next(&self, now: Instant) -> Option<Option<Duration>> {
        let mut due = self.tasks.values().filter_map(Task::due).min();
        if self.tasks.is_empty() && self.clients.is_empty() {
            let end = self.idle_since + self.idle;
            if end <= now {
                return None;
            }
            due = Some(due.map_or(end, |due| due.min(end)));
        }
        Some(due.map(|due| due.saturating_duration_since(now)))
    }

    fn handle(&mut self, source: Source) {
        match source {
            Source::Listener => self.admit(),
            Source::Signals => {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                self.reap();
            }
            Source::Client(client) => self.serve(client),
            Source::Output(number, index) => {
                if let Some(output) = self.tasks.get_mut(&number).and_then(|task| task.outputs.get_mut(index)) {
                    output.pump(&mut self.buffer);
                }
            }
            Source::Adopted(number) => {
                if let Some(task) = self.tasks.get_mut(&number) {
                    task.adopted_ended();
                }
            }
        }
    }

    fn admit(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let Some(client) = self.clients.admit(stream) else { continue };
            let Some(stream) = self.clients.stream(client) else { continue };
            if epoll::add(&self.epoll, stream, Source::Client(client).pack(), epoll::EventFlags::IN).is_err() {
                self.clients.close(client);
            }
        }
    }

    fn serve(&mut self, client: u64) {
        self.clients.flush(client);
        let (requests, good) = self.clients.read(client);
        for Request { id, body } in requests {
            let ticket = Ticket { client, request: id };
            if let Some(answer) = self.ask(ticket, body) {
                self.clients.answer(ticket, answer);
            }
        }
        if good {
            self.watch(client);
        } else {
            self.clients.close(client);
            for task in self.tasks.values_mut() {
                task.waiters.retain(|ticket| ticket.client != client);
                task.stoppers.retain(|(ticket, _)| ticket.client != client);
            }
            self.idle_since = Instant::now();
        }
    }

    /// Wakes up for sending only while there is something unsent.
    fn watch(&mut self, client: u64) {
        let Some(stream) = self.clients.stream(client) else { return };
        let mut flags = epoll::EventFlags::IN;
        if self.clients.has_unsent(client) {
            flags |= epoll::EventFlags::OUT;
        }
        let _ = epoll::modify(&self.epoll, stream, Source::Client(client).pack(), flags);
    }

    /// Collects ended children: first processes of tasks, and orphans that came to us.
    fn reap(&mut self) {
        let looking = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while let Ok(status) = waitid(Id::All, looking) {
            let exit = match status {
                WaitStatus::Exited(_, code) => ExitResult { exit_code: code, ..ExitResult::default() },
                WaitStatus::Signaled(_, signal, _) => {
                    ExitResult { exit_code: 128 + signal as i32, signal: signal as i32, ..ExitResult::default() }
                }
                _ => return,
            };
            let Some(pid) = status.pid() else { return };
            let ended = self.tasks.values_mut().find(|task| task.is_child_running(pid.as_raw()));
            if let Some(task) = ended {
                task.first_process_ended(exit);
            }
            // Only now, for until here its pid could not be reused.
            let _ = waitpid(pid, None);
        }
    }

    /// Does what is due, and tells those who wait.
    fn tick(&mut self, now: Instant) {
        let due: Vec<u64> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.due().is_some_and(|due| due <= now))
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            let Some(task) = self.tasks.get_mut(&number) else { continue };
            if task.tick(now, &mut self.buffer) {
                if let Err(error) = self.store.save(&task.record) {
                    eprintln!("the end of {} cannot be recorded: {error}", task.record.task);
                }
                let exit = task.record.exit.clone().unwrap_or_default();
                for ticket in std::mem::take(&mut task.waiters) {
                    self.clients.answer(ticket, Answer::Exited(exit.clone()));
                }
                for (ticket, _) in std::mem::take(&mut task.stoppers) {
                    self.clients.answer(ticket, Answer::Done);
                }
            }
            let name = task.record.task.to_string();
            for (ticket, _) in task.stoppers.extract_if(.., |(_, until)| *until <= now) {
                let text = format!("task {name} does not end although it was killed; it hangs in the kernel");
                self.clients.answer(ticket, Answer::Failed(Failure::Recoverable(text)));
            }
        }
    }

    fn ask(&mut self, ticket: Ticket, body: Ask) -> Option<Answer> {
        let failed = |failure| Some(Answer::Failed(failure));
        match body {
            Ask::Hello { version: VERSION } => Some(Answer::Hello { version: VERSION, pid: std::process::id() }),
            Ask::Hello { version } => failed(Failure::Permanent(format!(
                "the running task supervisor speaks version {VERSION} of its protocol, this agent version {version}; \
                 stop the raw_exec tasks of this node once, the supervisor then ends and a new one takes over"
            ))),
            Ask::Start(spec) => Some(self.start(&spec)),
            Ask::List => Some(Answer::Tasks(self.numbers.keys().cloned().collect())),
            Ask::Shutdown if self.tasks.is_empty() => {
                self.leaving = true;
                Some(Answer::Done)
            }
            Ask::Shutdown => failed(Failure::Recoverable("there are still tasks".to_owned())),
            Ask::Destroy(task) => Some(self.destroy(&task)),
            Ask::Find(task) | Ask::Wait(task) | Ask::Stop { task, .. } | Ask::Signal { task, .. }
                if !self.numbers.contains_key(&task) =>
            {
                failed(Failure::NotFound)
            }
            Ask::Find(task) => self.task(&task).map(|task| Answer::Task(Box::new(task.record.clone()))),
            Ask::Wait(task) => {
                let task = self.task(&task)?;
                match &task.record.exit {
                    Some(exit) if task.is_ended() => Some(Answer::Exited(exit.clone())),
                    _ => {
                        task.waiters.push(ticket);
                        None
                    }
                }
            }
            Ask::Stop { task, signal, timeout_ms } => {
                let task = self.task(&task)?;
                if task.is_ended() {
                    return Some(Answer::Done);
                }
                let timeout = Duration::from_millis(timeout_ms.min(MAX_TIMEOUT_MS));
                task.stop(ticket, signal, timeout, Instant::now()).err().map(Answer::Failed)
            }
            Ask::Signal { task, signal } => {
                let sent = self.task(&task)?.signal(signal);
                Some(sent.map_or_else(Answer::Failed, |()| Answer::Done))
            }
        }
    }

    fn task(&mut self, id: &TaskId) -> Option<&mut Task> {
        self.numbers.get(id).and_then(|number| self.tasks.get_mut(number))
    }

    fn start(&mut self, spec: &TaskSpec) -> Answer {
        if let Some(task) = self.task(&spec.task) {
            return Answer::Task(Box::new(task.record.clone()));
        }
        match Task::start(spec, &self.store, &self.cgroups, &self.boot_id) {
            Ok(task) => {
                let record = Box::new(task.record.clone());
                self.keep(task);
                Answer::Task(record)
            }
            Err(failure) => Answer::Failed(failure),
        }
    }

    fn destroy(&mut self, id: &TaskId) -> Answer {
        match self.task(id) {
            None => Answer::Done,
            Some(task) if !task.is_ended() => {
                Answer::Failed(Failure::Recoverable(format!("task {id} still runs; stop it first")))
            }
            Some(task) => {
                // Whoever waits is answered already: it has ended.
                let cgroup = task.record.cgroup.take();
                if let Some(cgroup) = cgroup {
                    // Something unkillable may have died meanwhile.
                    crate::cgroup::kill(&cgroup);
                    task.record.cgroup = Some(cgroup);
                }
                if let Some(task) = self.numbers.remove(id).and_then(|number| self.tasks.remove(&number)) {
                    task.remove(&self.store);
                }
                self.idle_since = Instant::now();
                Answer::Done
            }
        }
    }

    /// Keeps a task, and watches its outputs and, where it is not our child, its end.
    fn keep(&mut self, task: Task) {
        let number = self.next_task;
        self.next_task += 1;
        for (index, output) in task.outputs.iter().enumerate() {
            self.add(output.fd(), Source::Output(number, index));
        }
        if let Some(watch) = &task.adopted {
            self.add(watch.as_fd(), Source::Adopted(number));
        }
        self.numbers.insert(task.record.task.clone(), number);
        self.tasks.insert(number, task);
    }

    fn add(&self, fd: std::os::fd::BorrowedFd<'_>, source: Source) {
        if let Err(errno) = epoll::add(&self.epoll, fd, source.pack(), epoll::EventFlags::IN) {
            eprintln!("cannot watch {source:?}: {errno}");
        }
    }
}

/// A day: longer kill timeouts make no sense and would overflow clocks.
const MAX_TIMEOUT_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_survive_packing() {
        let sources = [
            Source::Listener,
            Source::Signals,
            Source::Client(1),
            Source::Output(77, 0),
            Source::Output(77, 1),
            Source::Adopted(1 << 40),
        ];
        for source in sources {
            assert_eq!(Source::unpack(source.pack().u64()), Some(source));
        }
    }
}
