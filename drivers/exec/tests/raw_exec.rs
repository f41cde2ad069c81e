//! The raw_exec driver against real processes: the conformance suite with every kind of cgroup, deaths of the
//! supervisor and of the agent.
//!
//! This binary is also the supervisor and an agent that dies, so it has its own `main` in place of the test harness.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use driver::conformance::{Foreign, Harness, Program, conformance};
use driver::{Driver, DriverError, LogSettings, TaskConfig, TaskDirs, TaskHandle, TaskId};
use driver_exec::cgroup::{CgroupMode, Cgroups};
use driver_exec::protocol::{Answer, Ask, Request, Response, VERSION, encode, take};
use driver_exec::record::{Record, Store};
use driver_exec::{RawExecDriver, RawExecSettings, process};
use model::time::GoDuration;
use serde_json::{Value, json};

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("conforms_with_the_best_cgroups", || conforms(CgroupMode::Auto)),
    ("conforms_with_cgroups_v1", || conforms(CgroupMode::V1)),
    ("conforms_without_cgroups", || conforms(CgroupMode::Off)),
    ("a_killed_supervisor_is_replaced", || run(a_killed_supervisor_is_replaced())),
    ("an_end_without_supervisor_is_unknown", || run(an_end_without_supervisor_is_unknown())),
    ("a_reused_pid_is_not_touched", || run(a_reused_pid_is_not_touched())),
    ("a_killed_agent_leaves_its_tasks", || run(a_killed_agent_leaves_its_tasks())),
    ("an_idle_supervisor_ends", || run(an_idle_supervisor_ends())),
    ("refusals_say_what_to_do", || run(refusals_say_what_to_do())),
    ("tasks_run_as_their_user", || run(tasks_run_as_their_user())),
    ("the_process_is_set_up", || run(the_process_is_set_up())),
    ("nonsense_on_the_socket_does_no_harm", || run(nonsense_on_the_socket_does_no_harm())),
    ("a_burst_of_output_is_whole", || run(a_burst_of_output_is_whole())),
    ("a_forking_task_is_killed_whole", || run(a_forking_task_is_killed_whole())),
    ("what_no_record_names_is_cleaned_up", || run(what_no_record_names_is_cleaned_up())),
    ("two_starting_agents_share_one_supervisor", || run(two_starting_agents_share_one_supervisor())),
    ("starting_is_quick", || run(starting_is_quick())),
];

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    match args.peek().and_then(|first| first.to_str()) {
        Some("supervisor") => return driver_exec::supervisor::main(args.skip(1)),
        Some("agent") => return agent_that_dies(&PathBuf::from(args.nth(1).unwrap())),
        _ => {}
    }
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    if args.iter().any(|arg| arg == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| wanted(name)) {
        let began = Instant::now();
        let passed = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {} ({:?})", if passed { "ok" } else { "FAILED" }, began.elapsed());
        failed += u32::from(!passed);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

/// A state directory, and the end of everything in it when dropped.
struct Node {
    dir: tempfile::TempDir,
    mode: CgroupMode,
}

impl Node {
    fn new(mode: CgroupMode) -> Node {
        Node { dir: tempfile::tempdir().unwrap(), mode }
    }

    fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn driver(&self) -> RawExecDriver {
        RawExecDriver::new(settings(self.state_dir(), self.mode))
    }

    fn records(&self) -> Vec<Record> {
        Store::new(&self.state_dir()).load().unwrap().0
    }

    /// A task that runs `script`, with its directories.
    fn task(&self, name: &str, script: &str) -> TaskConfig {
        task(self.dir.path(), name, script)
    }

    /// The pid of the supervisor that serves now.
    fn supervisor(&self) -> i32 {
        match ask(&self.state_dir(), &Ask::Hello { version: VERSION }) {
            Some(Answer::Hello { pid, .. }) => i32::try_from(pid).unwrap(),
            other => panic!("no supervisor: {other:?}"),
        }
    }

    /// Kills the supervisor and waits until it is gone.
    async fn kill_supervisor(&self) {
        let pid = self.supervisor();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        until("the supervisor is gone", || process::stat(pid).is_none_or(|stat| stat.dead)).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let (state_dir, mode) = (self.state_dir(), self.mode);
        let node = format!("{:016x}", driver_exec::record::fnv(state_dir.as_os_str().as_encoded_bytes()));
        // In a thread: a runtime may not be started within another.
        let ended = std::thread::spawn(move || {
            run(async move {
                let driver = RawExecDriver::new(settings(state_dir, mode));
                for id in driver.reap(&[]).await.unwrap() {
                    println!("  left over: {id}");
                }
                driver.shutdown().await.unwrap();
            });
        });
        ended.join().expect("the node is cleaned up");
        let began = Instant::now();
        while self.state_dir().join("supervisor.sock").exists() {
            assert!(began.elapsed() < Duration::from_secs(10), "the supervisor does not leave");
            std::thread::yield_now();
        }
        let left = || leftovers(&node);
        while !left().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(10), "cgroups are left: {:?}", left());
            std::thread::yield_now();
        }
    }
}

/// Our cgroups of one node in any hierarchy.
fn leftovers(node: &str) -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let roots = mounts.lines().filter(|line| line.contains("cgroup")).filter_map(|line| line.split(' ').nth(1));
    roots.map(|root| Path::new(root).join("drover").join(node)).filter(|path| path.exists()).collect()
}

fn settings(state_dir: PathBuf, cgroups: CgroupMode) -> RawExecSettings {
    RawExecSettings { cgroups, ..RawExecSettings::new(state_dir).unwrap() }
}

fn block(value: Value) -> BTreeMap<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn task(root: &Path, name: &str, script: &str) -> TaskConfig {
    let dirs = TaskDirs {
        alloc: root.join("alloc"),
        task: root.join(name),
        local: root.join(name).join("local"),
        secrets: root.join(name).join("secrets"),
        logs: root.join("alloc/logs"),
    };
    for dir in [&dirs.logs, &dirs.local, &dirs.secrets] {
        std::fs::create_dir_all(dir).unwrap();
    }
    let env = [("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"), ("DIR", dirs.alloc.to_str().unwrap())];
    TaskConfig {
        id: TaskId { alloc: "64b7c15e-78da-7d8a-228e-2b89f5050782".parse().unwrap(), task: name.into(), attempt: 0 },
        labels: BTreeMap::new(),
        config: block(json!({ "command": "sh", "args": ["-c", script] })),
        env: env.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        user: String::new(),
        cpu_mhz: 100,
        node_cpu_mhz: 1000,
        memory_mb: 64,
        memory_max_mb: 0,
        ports: Vec::new(),
        hostname: String::new(),
        dns_servers: Vec::new(),
        dns_searches: Vec::new(),
        dns_options: Vec::new(),
        dirs,
        mounts: Vec::new(),
        logs: LogSettings { max_files: 5, max_file_mb: 1, disabled: false },
        kill_signal: String::new(),
    }
}

async fn start(driver: &RawExecDriver, task: &TaskConfig) -> Result<TaskHandle, DriverError> {
    let (progress, _lines) = tokio::sync::mpsc::unbounded_channel();
    driver.start(task, progress).await
}

fn stdout(task: &TaskConfig) -> String {
    std::fs::read_to_string(task.dirs.logs.join(format!("{}.stdout.0", task.id.task))).unwrap_or_default()
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// One request over a connection of its own; `None` when it is closed without an answer.
fn ask(state_dir: &Path, body: &Ask) -> Option<Answer> {
    use std::io::{Read, Write};
    let dir = std::fs::File::open(state_dir).unwrap();
    let mut stream = std::os::unix::net::UnixStream::connect(driver_exec::supervisor::socket_path(&dir)).unwrap();
    stream.write_all(&encode(&Request { id: 1, body: body.clone() }).unwrap()).unwrap();
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        let length = stream.read(&mut chunk).unwrap();
        bytes.extend_from_slice(&chunk[..length]);
        if let Some(Response { body, .. }) = take(&mut bytes).unwrap() {
            return Some(body);
        }
        if length == 0 {
            return None;
        }
    }
}

struct Raw {
    node: Node,
}

/// A process that is none of the driver's.
struct Stranger(std::process::Child);

impl Stranger {
    fn new() -> Stranger {
        Stranger(std::process::Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Foreign for Stranger {
    fn is_alive(&self) -> bool {
        process::stat(self.pid()).is_some_and(|stat| !stat.dead)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[async_trait]
impl Harness for Raw {
    async fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.node.driver())
    }

    fn program(&self, program: &Program) -> Option<BTreeMap<String, Value>> {
        let (script, args) = match program {
            Program::Exit(code) => (format!("exit {code}"), Vec::new()),
            Program::Forever => ("exec sleep 1000".to_owned(), Vec::new()),
            Program::Shell(script, args) => (script.clone(), args.clone()),
        };
        let all: Vec<String> = ["-c".to_owned(), script, "sh".to_owned()].into_iter().chain(args).collect();
        Some(block(json!({ "command": "/bin/sh", "args": all })))
    }

    fn missing_program(&self) -> Option<(BTreeMap<String, Value>, String)> {
        Some((block(json!({ "command": "no-such-program" })), "\"no-such-program\" was not found".to_owned()))
    }

    fn bad_configs(&self) -> Vec<(BTreeMap<String, Value>, String)> {
        vec![
            (block(json!({})), "needs \"command\"".to_owned()),
            (block(json!({ "comand": "sh" })), "did you mean \"command\"?".to_owned()),
            (block(json!({ "command": "sh", "args": "-c" })), "must be a list of texts".to_owned()),
            (block(json!({ "command": ["sh"] })), "must be a text".to_owned()),
        ]
    }

    async fn foreign(&self) -> Option<Box<dyn Foreign>> {
        Some(Box::new(Stranger::new()))
    }

    fn kills_detached(&self) -> bool {
        self.node.mode != CgroupMode::Off
    }

    fn base_dir(&self) -> PathBuf {
        self.node.dir.path().to_owned()
    }
}

fn conforms(mode: CgroupMode) {
    if mode != CgroupMode::Off {
        let probe = Cgroups::detect(mode, "probe");
        probe.leave();
        if !probe.is_available() {
            println!("  skipped: cgroups {} are not available to this user", mode.as_str());
            return;
        }
    }
    let raw = Raw { node: Node::new(mode) };
    run(async {
        assert_eq!(conformance(&raw).await, 20, "no case is skipped");
        assert!(raw.node.records().is_empty(), "no record is left");
    });
}

/// Prints its pid, then a numbered line for each line of `in`.
const ECHO: &str = r#"exec 3<"$DIR/in"; echo "pid $$"; n=0; while read x <&3; do n=$((n+1)); echo "line $n"; done"#;

/// The pipe that feeds [`ECHO`].
fn input(task: &TaskConfig) -> std::fs::File {
    let path = task.dirs.alloc.join("in");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    std::fs::File::options().read(true).write(true).open(path).unwrap()
}

async fn a_killed_supervisor_is_replaced() {
    use std::io::Write;
    let node = Node::new(CgroupMode::Auto);
    let driver = node.driver();
    let task = node.task("web", ECHO);
    let mut input = input(&task);
    let handle = start(&driver, &task).await.unwrap();
    writeln!(input, "x").unwrap();
    until("first line", || stdout(&task).contains("line 1\n")).await;
    let before = node.supervisor();
    node.kill_supervisor().await;
    // Written while nobody supervises: it waits in the pipe.
    writeln!(input, "x").unwrap();
    driver.recover(&handle, &task).await.unwrap();
    assert_ne!(node.supervisor(), before);
    writeln!(input, "x").unwrap();
    until("third line", || stdout(&task).contains("line 3\n")).await;
    let pid = node.records()[0].pid;
    assert_eq!(stdout(&task), format!("pid {pid}\nline 1\nline 2\nline 3\n"), "nothing lost, nothing doubled");
    assert_eq!(start(&driver, &task).await.unwrap(), handle, "start still finds it");
    assert!(driver.stats(&handle).await.unwrap().memory_bytes > 0);
    driver.stop(&handle, "SIGTERM", GoDuration::from_secs(20)).await.unwrap();
    let exit = driver.wait(&handle).await.unwrap();
    assert!(exit.unknown.unwrap().contains("supervisor was replaced"));
    assert!(!process::is_running(pid, node.records()[0].start_time));
    driver.destroy(&handle).await.unwrap();
}

async fn an_end_without_supervisor_is_unknown() {
    let node = Node::new(CgroupMode::Auto);
    let driver = node.driver();
    let task = node.task("web", r#"echo up; read x <"$DIR/in"; exit 3"#);
    let input = input(&task);
    let handle = start(&driver, &task).await.unwrap();
    until("up", || stdout(&task).contains("up")).await;
    let ended_before = node.task("done", "exit 6");
    let ended = start(&driver, &ended_before).await.unwrap();
    assert_eq!(driver.wait(&ended).await.unwrap().exit_code, 6);
    let Record { pid, start_time, .. } = node.records().into_iter().find(|record| record.task == task.id).unwrap();
    // A wait that is under way when the supervisor dies is answered by the next one.
    node.kill_supervisor().await;
    std::io::Write::write_all(&mut &input, b"x\n").unwrap();
    until("it ended", || !process::is_running(pid, start_time)).await;
    let exit = driver.wait(&handle).await.unwrap();
    assert!(exit.unknown.as_ref().unwrap().contains("while its supervisor was gone"), "{exit:?}");
    assert!(!exit.is_success());
    assert_eq!(driver.wait(&ended).await.unwrap().exit_code, 6, "what was known stays known");
    driver.destroy(&handle).await.unwrap();
    driver.destroy(&ended).await.unwrap();
}

async fn a_reused_pid_is_not_touched() {
    let node = Node::new(CgroupMode::Off);
    let driver = node.driver();
    let task = node.task("web", "exec sleep 1000");
    let handle = start(&driver, &task).await.unwrap();
    let mut record = node.records().remove(0);
    let real = (record.pid, record.start_time);
    node.kill_supervisor().await;
    // As if the pid now belonged to somebody else.
    // Not one of the same clock tick: the kernel does not give a pid out again that soon.
    let start_time = |stranger: &Stranger| process::stat(stranger.pid()).unwrap().start_time;
    let stranger = std::iter::repeat_with(Stranger::new).find(|found| start_time(found) != record.start_time).unwrap();
    record.pid = stranger.pid();
    Store::new(&node.state_dir()).save(&record).unwrap();
    driver.stop(&handle, "SIGKILL", GoDuration::from_secs(1)).await.unwrap();
    assert!(driver.wait(&handle).await.unwrap().unknown.is_some());
    driver.destroy(&handle).await.unwrap();
    assert!(stranger.is_alive());
    assert!(process::is_running(real.0, real.1), "and ours was out of reach");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(real.0), nix::sys::signal::Signal::SIGKILL).unwrap();
    until("it is gone", || !process::is_running(real.0, real.1)).await;
}

/// An agent that starts a task, waits for it and is killed.
fn agent_that_dies(root: &Path) -> ExitCode {
    run(async {
        let driver = RawExecDriver::new(settings(root.join("state"), CgroupMode::Auto));
        let task = task(root, "web", ECHO);
        let handle = start(&driver, &task).await.unwrap();
        let stored = root.join("handle.new");
        std::fs::write(&stored, serde_json::to_vec(&handle).unwrap()).unwrap();
        std::fs::rename(stored, root.join("handle")).unwrap();
        let _ = driver.wait(&handle).await;
    });
    ExitCode::SUCCESS
}

async fn a_killed_agent_leaves_its_tasks() {
    use std::io::Write;
    let node = Node::new(CgroupMode::Auto);
    let root = node.dir.path();
    let task = node.task("web", ECHO);
    let mut input = input(&task);
    let exe = std::env::current_exe().unwrap();
    let mut agent = std::process::Command::new(exe).arg("agent").arg(root).spawn().unwrap();
    until("the agent has stored its handle", || root.join("handle").exists()).await;
    writeln!(input, "x").unwrap();
    until("first line", || stdout(&task).contains("line 1\n")).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    writeln!(input, "x").unwrap();
    until("the supervisor goes on logging", || stdout(&task).contains("line 2\n")).await;
    let handle: TaskHandle = serde_json::from_slice(&std::fs::read(root.join("handle")).unwrap()).unwrap();
    let driver = node.driver();
    driver.recover(&handle, &task).await.unwrap();
    drop(input);
    assert!(driver.wait(&handle).await.unwrap().is_success(), "its exit code is known");
    assert_eq!(stdout(&task).lines().skip(1).collect::<Vec<_>>(), ["line 1", "line 2"]);
    driver.destroy(&handle).await.unwrap();
}

async fn an_idle_supervisor_ends() {
    let node = Node::new(CgroupMode::Auto);
    let settings =
        RawExecSettings { supervisor_idle: Duration::from_millis(30), ..settings(node.state_dir(), CgroupMode::Auto) };
    let driver = RawExecDriver::new(settings);
    assert!(driver.reap(&[]).await.unwrap().is_empty());
    assert!(!node.state_dir().exists(), "nothing is started before the first task");
    let task = node.task("web", "exit 0");
    let handle = start(&driver, &task).await.unwrap();
    driver.wait(&handle).await.unwrap();
    let pid = node.supervisor();
    driver.destroy(&handle).await.unwrap();
    drop(driver);
    until("it leaves", || process::stat(pid).is_none_or(|stat| stat.dead)).await;
    assert!(!node.state_dir().join("supervisor.sock").exists());
}

async fn refusals_say_what_to_do() {
    let node = Node::new(CgroupMode::Auto);
    let driver = node.driver();
    let local = node.task("web", "").dirs.local;
    std::fs::write(local.join("plain"), "#!/bin/sh\n").unwrap();
    let script = |name: &str, text: &str| {
        let path = local.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    script("orphan", "#!/no/such/interpreter\n");
    script("text", "echo hello\n");
    for (command, expected) in [
        ("nope", "install it, or give its full path"),
        ("/no/such/thing", "does not exist on this node"),
        ("plain", "is not executable; run \"chmod +x"),
        ("/usr", "is a directory"),
        ("orphan", "needs an interpreter"),
        ("text", "a script needs a first line"),
    ] {
        let mut task = node.task("web", "");
        task.config = block(json!({ "command": command }));
        match start(&driver, &task).await {
            Err(DriverError::Permanent(said)) => {
                assert!(said.contains(expected) && said.contains(command), "{command}: {said}");
            }
            other => panic!("{command}: {other:?}"),
        }
    }
    for (user, expected) in [("nobody-here", "does not exist on this node"), ("no\0body", "")] {
        let mut task = node.task("web", "exit 0");
        task.user = user.to_owned();
        let error = start(&driver, &task).await.unwrap_err();
        assert!(!error.is_recoverable() || expected.is_empty(), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let mut task = node.task("web", "exit 0");
    task.env.insert("X".to_owned(), "a\0b".to_owned());
    assert!(start(&driver, &task).await.unwrap_err().to_string().contains("NUL"));
    let disabled = RawExecSettings { enabled: false, ..settings(node.state_dir(), CgroupMode::Auto) };
    let disabled = RawExecDriver::new(disabled);
    assert!(!disabled.fingerprint().await.detected);
    assert!(start(&disabled, &node.task("web", "exit 0")).await.unwrap_err().to_string().contains("enabled = true"));
    assert!(node.records().is_empty());
}

async fn tasks_run_as_their_user() {
    if !nix::unistd::Uid::effective().is_root() {
        println!("  skipped: only root can change users");
        return;
    }
    let node = Node::new(CgroupMode::Auto);
    let driver = node.driver();
    let mut task = node.task("web", "id -un; id -Gn; echo direct >/dev/stdout; pwd");
    // The temporary directory is only root's; a user must be able to enter the task's.
    std::fs::set_permissions(node.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    task.user = "nobody".to_owned();
    let handle = start(&driver, &task).await.unwrap();
    assert!(driver.wait(&handle).await.unwrap().is_success());
    let dir = task.dirs.task.canonicalize().unwrap();
    assert_eq!(stdout(&task), format!("nobody\nnogroup\ndirect\n{}\n", dir.display()));
    driver.destroy(&handle).await.unwrap();
}

async fn the_process_is_set_up() {
    let node = Node::new(CgroupMode::Auto);
    let driver = node.driver();
    let task = node.task("web", "ulimit -c; ls /proc/$$/fd; grep -E 'SigBlk|SigIgn' /proc/self/status");
    let handle = start(&driver, &task).await.unwrap();
    assert!(driver.wait(&handle).await.unwrap().is_success());
    let record = node.records().remove(0);
    let zeros = "0000000000000000";
    assert_eq!(stdout(&task), format!("0\n0\n1\n2\nSigBlk:\t{zeros}\nSigIgn:\t{zeros}\n"));
    assert_eq!(record.exit.unwrap().exit_code, 0);
    driver.destroy(&handle).await.unwrap();
    assert!(record.cgroup.is_none_or(|cgroup| !cgroup.exists()));
}

async fn nonsense_on_the_socket_does_no_harm() {
    use std::io::{Read, Write};
    let node = Node::new(CgroupMode::Auto);
    let driver = node.driver();
    let task = node.task("web", "exec sleep 1000");
    let handle = start(&driver, &task).await.unwrap();
    for bytes in [&[0xff; 64][..], &[0, 0, 0, 2, 0xc1, 0xc1], b"GET / HTTP/1.1\r\n\r\n"] {
        let dir = std::fs::File::open(node.state_dir()).unwrap();
        let mut stream = std::os::unix::net::UnixStream::connect(driver_exec::supervisor::socket_path(&dir)).unwrap();
        stream.write_all(bytes).unwrap();
        let closed = stream.read(&mut [0u8; 16]);
        assert!(matches!(closed, Ok(0) | Err(_)), "it is closed without an answer");
    }
    match ask(&node.state_dir(), &Ask::Hello { version: VERSION + 1 }) {
        Some(Answer::Failed(failure)) => assert!(format!("{failure:?}").contains("speaks version")),
        other => panic!("{other:?}"),
    }
    driver.recover(&handle, &task).await.unwrap();
    assert!(driver.shutdown().await.is_err(), "it does not leave its tasks");
    driver.stop(&handle, "", GoDuration::from_secs(20)).await.unwrap();
    driver.destroy(&handle).await.unwrap();
}

async fn a_burst_of_output_is_whole() {
    let node = Node::new(CgroupMode::Auto);
    let driver = node.driver();
    let task = node.task("web", "seq 1 400000; printf end");
    let handle = start(&driver, &task).await.unwrap();
    assert!(driver.wait(&handle).await.unwrap().is_success());
    let file = |index: u32| std::fs::read_to_string(task.dirs.logs.join(format!("web.stdout.{index}"))).ok();
    let files: Vec<String> = (0..).map_while(file).collect();
    assert!(files.len() >= 3 && files.iter().all(|file| file.len() <= 1 << 20), "rotated at 1 MB");
    let expected: String = (1..=400_000).map(|n| format!("{n}\n")).collect::<String>() + "end";
    assert!(files.concat() == expected, "all of it is there when the end is told");
    driver.destroy(&handle).await.unwrap();
}

async fn a_forking_task_is_killed_whole() {
    for mode in [CgroupMode::Auto, CgroupMode::V1] {
        let node = Node::new(mode);
        let driver = node.driver();
        // Always a few short-lived processes, some of them born during the kill.
        let task =
            node.task("web", "trap '' INT TERM; echo up; while :; do (sleep 0.02; sleep 0.02) & sleep 0.004; done");
        let handle = start(&driver, &task).await.unwrap();
        until("up", || stdout(&task).contains("up")).await;
        let cgroup = node.records()[0].cgroup.clone();
        driver.stop(&handle, "", GoDuration::from_millis(50)).await.unwrap();
        assert_eq!(driver.wait(&handle).await.unwrap().exit_code, 137);
        if let Some(cgroup) = cgroup {
            assert!(driver_exec::cgroup::pids(&cgroup).is_empty());
        }
        driver.destroy(&handle).await.unwrap();
    }
}

async fn what_no_record_names_is_cleaned_up() {
    let node = Node::new(CgroupMode::Auto);
    let driver = node.driver();
    let task = node.task("web", "exec sleep 1000");
    let handle = start(&driver, &task).await.unwrap();
    let record = node.records().remove(0);
    node.kill_supervisor().await;
    // As if the supervisor had died before the record was whole.
    let state = node.state_dir().join("tasks");
    let path = std::fs::read_dir(&state).unwrap().flatten().find(|entry| entry.path().extension().unwrap() == "json");
    std::fs::write(path.unwrap().path(), "").unwrap();
    assert_eq!(driver.recover(&handle, &task).await, Err(DriverError::NotFound(task.id.clone())));
    if let Some(cgroup) = record.cgroup {
        until("its process is gone", || !process::is_running(record.pid, record.start_time)).await;
        assert!(driver_exec::cgroup::pids(&cgroup).is_empty());
    } else {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(record.pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
}

async fn two_starting_agents_share_one_supervisor() {
    let node = Node::new(CgroupMode::Auto);
    let (first, second) = (node.driver(), node.driver());
    let task = node.task("web", "exec sleep 1000");
    let (one, two) = tokio::join!(start(&first, &task), start(&second, &task));
    assert_eq!(one.unwrap(), two.clone().unwrap());
    first.destroy(&two.unwrap()).await.unwrap();
}

async fn starting_is_quick() {
    let node = Node::new(CgroupMode::Auto);
    let driver = node.driver();
    let (mut took, mut plain) = (Vec::new(), Vec::new());
    for attempt in 0..40 {
        let mut task = node.task("web", "");
        task.config = block(json!({ "command": "/bin/true" }));
        task.id.attempt = attempt;
        let began = Instant::now();
        let handle = start(&driver, &task).await.unwrap();
        took.push(began.elapsed());
        let began = Instant::now();
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        plain.push(began.elapsed());
        child.wait().unwrap();
        driver.wait(&handle).await.unwrap();
        driver.destroy(&handle).await.unwrap();
    }
    took.sort();
    plain.sort();
    let rss = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", node.supervisor())).unwrap_or_default();
    let pss = rss.lines().find(|line| line.starts_with("Pss:")).unwrap_or("Pss: unknown");
    println!("  start: median {:?}, slowest {:?}; plain: median {:?}; supervisor {pss}", took[20], took[39], plain[20]);
    // Generous, for a busy machine: this is no benchmark, but a forgotten timer would show.
    assert!(took[20] < plain[20] * 50 + Duration::from_millis(100));
}
