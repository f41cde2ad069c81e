//! A driver that runs nothing and does what its settings, or a test, say.
//!
//! Job files use it as `mock_driver`. Settings: `run_for` (ends at once without), `exit_code`, `exit_signal`,
//! `stdout_string`, `stdout_repeat`, `start_error`, `start_error_recoverable`, `start_block_for`, `kill_after`,
//! `signal_error`. Tests reach further through [`MockDriver`]'s own methods, so that they need not sleep.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use model::time::{GoDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::logs::{LogKind, RotatingLog};
use crate::settings::Settings;
use crate::{
    Capabilities, Driver, DriverError, ExitResult, Fingerprint, FsIsolation, Progress, TaskConfig, TaskHandle, TaskId,
    TaskStats,
};

/// The name in job files.
pub const NAME: &str = "mock_driver";

const KNOWN: &[&str] = &[
    "run_for",
    "exit_code",
    "exit_signal",
    "stdout_string",
    "stdout_repeat",
    "start_error",
    "start_error_recoverable",
    "start_block_for",
    "kill_after",
    "signal_error",
];

/// What a task of this driver will do.
#[derive(Clone, Debug)]
struct Script {
    run_for: GoDuration,
    exit: ExitResult,
    stdout: String,
    start_error: Option<DriverError>,
    start_block_for: GoDuration,
    kill_after: GoDuration,
    signal_error: Option<String>,
}

impl Script {
    fn read(task: &TaskConfig) -> Result<Script, DriverError> {
        let settings = Settings::new(NAME, &task.config, KNOWN)?;
        let number = |key| settings.integer(key).map(|value| i32::try_from(value.unwrap_or(0)).unwrap_or(i32::MAX));
        let recoverable = settings.boolean("start_error_recoverable")?;
        let start_error = settings.text("start_error")?.map(|text| match recoverable {
            true => DriverError::Recoverable(text),
            false => DriverError::Permanent(text),
        });
        let signal = number("exit_signal")?;
        let code = if signal > 0 { 128 + signal } else { number("exit_code")? };
        let repeat = usize::try_from(settings.integer("stdout_repeat")?.unwrap_or(0)).unwrap_or(0);
        let text = settings.text("stdout_string")?.unwrap_or_default();
        Ok(Script {
            run_for: settings.duration("run_for")?.unwrap_or_default(),
            exit: ExitResult { exit_code: code, signal, ..ExitResult::default() },
            stdout: text.repeat(1 + repeat.min(10_000)),
            start_error,
            start_block_for: settings.duration("start_block_for")?.unwrap_or_default(),
            kill_after: settings.duration("kill_after")?.unwrap_or_default(),
            signal_error: settings.text("signal_error")?,
        })
    }
}

/// What a test sees of one task.
#[derive(Clone, Debug)]
pub struct MockTask {
    /// What it was started with.
    pub config: TaskConfig,
    /// How it ended; `None` while it runs.
    pub exit: Option<ExitResult>,
    /// Signals it got, in order, those of `stop` included.
    pub signals: Vec<String>,
    /// How often `recover` found it.
    pub recovered: u32,
}

/// One task in the machine.
struct Entry {
    script: Script,
    seen: MockTask,
    exit: watch::Sender<Option<ExitResult>>,
    started_at: Timestamp,
}

/// The "machine" that outlives driver objects.
#[derive(Default)]
struct World {
    tasks: BTreeMap<TaskId, Entry>,
    starts: Vec<TaskId>,
    fail_starts: Vec<DriverError>,
    fingerprint: Option<Fingerprint>,
    clock: i64,
}

/// The mock driver. [`MockDriver::restarted`] makes another object over the same tasks, as after an agent restart.
pub struct MockDriver {
    world: Arc<Mutex<World>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Default for MockDriver {
    fn default() -> Self {
        MockDriver::new()
    }
}

impl MockDriver {
    /// A driver on an empty machine.
    pub fn new() -> MockDriver {
        MockDriver { world: Arc::default(), changed: Arc::new(watch::channel(0).0) }
    }

    /// Another driver object over the same tasks.
    pub fn restarted(&self) -> MockDriver {
        MockDriver { world: Arc::clone(&self.world), changed: Arc::clone(&self.changed) }
    }

    /// All tasks that were started and not destroyed.
    pub fn tasks(&self) -> BTreeMap<TaskId, MockTask> {
        self.world.lock().tasks.iter().map(|(id, entry)| (id.clone(), entry.seen.clone())).collect()
    }

    /// The tasks that run now.
    pub fn running(&self) -> Vec<TaskId> {
        let world = self.world.lock();
        world.tasks.iter().filter(|(_, entry)| entry.seen.exit.is_none()).map(|(id, _)| id.clone()).collect()
    }

    /// Every successful start that made a task, in order; destroyed ones included.
    pub fn starts(&self) -> Vec<TaskId> {
        self.world.lock().starts.clone()
    }

    /// Ends a running task; `false` when there is none of that id.
    pub fn finish(&self, id: &TaskId, exit: ExitResult) -> bool {
        let ended = end(&mut self.world.lock(), id, exit);
        self.wake();
        ended
    }

    /// Makes a task vanish without a trace, as a reboot of the machine does.
    pub fn forget(&self, id: &TaskId) {
        self.world.lock().tasks.remove(id);
        self.wake();
    }

    /// The next `start` fails with `error`; called several times, the errors are used up in order.
    pub fn fail_next_start(&self, error: DriverError) {
        self.world.lock().fail_starts.push(error);
    }

    /// What `fingerprint` answers from now on.
    pub fn set_fingerprint(&self, fingerprint: Fingerprint) {
        self.world.lock().fingerprint = Some(fingerprint);
    }

    /// Waits until `condition` holds of this driver; looked at again after each change.
    pub async fn until(&self, condition: impl Fn(&MockDriver) -> bool) {
        let mut changes = self.changed.subscribe();
        while !condition(self) {
            // The sender lives in `self`, so this cannot fail while we wait.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn wake(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn handle(id: &TaskId, started_at: Timestamp) -> TaskHandle {
        let state = json!({ "version": 1 });
        TaskHandle { id: id.clone(), driver: NAME.to_owned(), state, started_at, address: None }
    }

    /// The handle of a task that runs or ran already.
    fn existing(&self, id: &TaskId) -> Option<TaskHandle> {
        self.world.lock().tasks.get(id).map(|entry| MockDriver::handle(id, entry.started_at))
    }

    fn exit_of(&self, id: &TaskId) -> Result<watch::Receiver<Option<ExitResult>>, DriverError> {
        let world = self.world.lock();
        world.tasks.get(id).map(|entry| entry.exit.subscribe()).ok_or_else(|| DriverError::NotFound(id.clone()))
    }

    /// Ends the task by itself when its time has come.
    fn schedule_end(&self, id: TaskId, script: &Script) {
        if script.run_for.0 <= 0 {
            self.finish(&id, script.exit.clone());
            return;
        }
        let (driver, run_for, exit) = (self.restarted(), script.run_for.to_std(), script.exit.clone());
        tokio::spawn(async move {
            let Ok(ended) = driver.exit_of(&id) else { return };
            tokio::select! {
                () = sleep(run_for) => { driver.finish(&id, exit); }
                _ = ended_of(ended) => {}
            }
        });
    }
}

/// Waits for an end; `None` when the task was removed meanwhile.
async fn ended_of(mut exit: watch::Receiver<Option<ExitResult>>) -> Option<ExitResult> {
    exit.wait_for(Option::is_some).await.ok().and_then(|result| result.clone())
}

fn end(world: &mut World, id: &TaskId, exit: ExitResult) -> bool {
    match world.tasks.get_mut(id) {
        Some(entry) if entry.seen.exit.is_none() => {
            entry.seen.exit = Some(exit.clone());
            entry.exit.send_replace(Some(exit));
            true
        }
        _ => false,
    }
}

fn write_stdout(task: &TaskConfig, text: &str) -> Result<(), DriverError> {
    if text.is_empty() || task.logs.disabled {
        return Ok(());
    }
    RotatingLog::open(&task.dirs.logs, &task.id.task, LogKind::Stdout, task.logs)
        .and_then(|mut log| log.write_all(text.as_bytes()))
        .map_err(|error| DriverError::Recoverable(format!("cannot write logs in {:?}: {error}", task.dirs.logs)))
}

#[async_trait]
impl Driver for MockDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            fs_isolation: FsIsolation::None,
            send_signals: true,
            mounts: false,
            default_kill_signal: "SIGINT",
        }
    }

    async fn fingerprint(&self) -> Fingerprint {
        let told = self.world.lock().fingerprint.clone();
        told.unwrap_or_else(|| Fingerprint {
            detected: true,
            healthy: true,
            description: "Healthy".to_owned(),
            attributes: BTreeMap::from([(format!("driver.{NAME}"), "1".to_owned())]),
        })
    }

    async fn start(&self, task: &TaskConfig, _progress: Progress) -> Result<TaskHandle, DriverError> {
        let script = Script::read(task)?;
        if let Some(handle) = self.existing(&task.id) {
            return Ok(handle);
        }
        if script.start_block_for.0 > 0 {
            sleep(script.start_block_for.to_std()).await;
        }
        let (planned, started_at) = {
            let mut world = self.world.lock();
            if let Some(entry) = world.tasks.get(&task.id) {
                return Ok(MockDriver::handle(&task.id, entry.started_at));
            }
            let planned = (!world.fail_starts.is_empty()).then(|| world.fail_starts.remove(0));
            world.clock += 1;
            (planned, Timestamp(world.clock))
        };
        if let Some(error) = planned.or_else(|| script.start_error.clone()) {
            return Err(error);
        }
        write_stdout(task, &script.stdout)?;
        let seen = MockTask { config: task.clone(), exit: None, signals: Vec::new(), recovered: 0 };
        let entry = Entry { script: script.clone(), seen, exit: watch::channel(None).0, started_at };
        {
            let mut world = self.world.lock();
            world.tasks.insert(task.id.clone(), entry);
            world.starts.push(task.id.clone());
        }
        self.wake();
        self.schedule_end(task.id.clone(), &script);
        Ok(MockDriver::handle(&task.id, started_at))
    }

    async fn recover(&self, handle: &TaskHandle, _task: &TaskConfig) -> Result<(), DriverError> {
        let mut world = self.world.lock();
        let entry = world.tasks.get_mut(&handle.id).ok_or_else(|| DriverError::NotFound(handle.id.clone()))?;
        entry.seen.recovered += 1;
        Ok(())
    }

    async fn wait(&self, handle: &TaskHandle) -> Result<ExitResult, DriverError> {
        let exit = self.exit_of(&handle.id)?;
        ended_of(exit).await.ok_or_else(|| DriverError::NotFound(handle.id.clone()))
    }

    async fn stop(&self, handle: &TaskHandle, signal: &str, timeout: GoDuration) -> Result<(), DriverError> {
        let exit = self.exit_of(&handle.id)?;
        if exit.borrow().is_some() {
            return Ok(());
        }
        let kill_after = {
            let mut world = self.world.lock();
            let entry = world.tasks.get_mut(&handle.id).ok_or_else(|| DriverError::NotFound(handle.id.clone()))?;
            entry.seen.signals.push(signal.to_owned());
            entry.script.kill_after
        };
        self.wake();
        let obeys = kill_after <= timeout;
        tokio::select! {
            () = sleep(kill_after.min(timeout).to_std()) => {}
            _ = ended_of(exit) => {}
        }
        let number = if obeys { 2 } else { 9 };
        self.finish(&handle.id, ExitResult { exit_code: 128 + number, signal: number, ..ExitResult::default() });
        Ok(())
    }

    async fn signal(&self, handle: &TaskHandle, signal: &str) -> Result<(), DriverError> {
        let refused = {
            let mut world = self.world.lock();
            let entry = world.tasks.get_mut(&handle.id).ok_or_else(|| DriverError::NotFound(handle.id.clone()))?;
            entry.seen.signals.push(signal.to_owned());
            entry.script.signal_error.clone()
        };
        self.wake();
        refused.map_or(Ok(()), |text| Err(DriverError::Permanent(text)))
    }

    async fn destroy(&self, handle: &TaskHandle) -> Result<(), DriverError> {
        self.world.lock().tasks.remove(&handle.id);
        self.wake();
        Ok(())
    }

    async fn stats(&self, handle: &TaskHandle) -> Result<TaskStats, DriverError> {
        self.exit_of(&handle.id).map(|_| TaskStats { cpu: GoDuration::from_millis(1), memory_bytes: 1 << 20 })
    }

    async fn reap(&self, wanted: &[TaskId]) -> Result<Vec<TaskId>, DriverError> {
        let mut world = self.world.lock();
        let unwanted: Vec<TaskId> = world.tasks.keys().filter(|id| !wanted.contains(id)).cloned().collect();
        for id in &unwanted {
            world.tasks.remove(id);
        }
        drop(world);
        self.wake();
        Ok(unwanted)
    }
}
