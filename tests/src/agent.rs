//! One agent: a process of the built binary on free ports, with its output kept for the case of failure.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::files::binary;

/// How long a condition may take to come true.
const LIMIT: Duration = Duration::from_secs(60);
/// Pause between two looks at a condition that nothing announces.
const TICK: Duration = Duration::from_millis(20);

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "exit code {}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.out, self.err)
    }
}

/// Only one agent of a machine answers DNS on the container bridge: one that must do so runs while no other does.
static BRIDGE: LazyLock<Arc<RwLock<()>>> = LazyLock::new(Arc::default);

/// An agent's share of the machine, held as long as it lives.
enum Share {
    Any { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

/// A running dev agent.
pub struct Agent {
    share: Option<Share>,
    child: Child,
    arguments: Vec<String>,
    output: Arc<Mutex<String>>,
    /// `http://host:port` of its API.
    pub address: String,
    /// Where its DNS answers.
    pub dns: SocketAddr,
    /// The HTTP client for it.
    pub api: api::Client,
}

impl Agent {
    /// Starts `drover agent -dev` with more arguments and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready; with its output.
    pub async fn start(arguments: &[&str]) -> Agent {
        let share = Share::Any { _guard: BRIDGE.clone().read_owned().await };
        Agent::spawn(dev_arguments(arguments), share).await
    }

    /// The same while no other agent of this harness runs, so that this one has the container bridge.
    ///
    /// # Panics
    /// As [`Agent::start`].
    pub async fn start_alone(arguments: &[&str]) -> Agent {
        let share = Share::Alone { _guard: BRIDGE.clone().write_owned().await };
        Agent::spawn(dev_arguments(arguments), share).await
    }

    async fn spawn(arguments: Vec<String>, share: Share) -> Agent {
        let mut child = Command::new(binary("drover"))
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the agent starts");
        let output = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().expect("piped"), output.clone());
        collect(child.stderr.take().expect("piped"), output.clone());
        let printed = |output: &Arc<Mutex<String>>| output.lock().expect("no panic while locked").clone();
        let since = Instant::now();
        while !printed(&output).contains("Ready in") {
            let ended = child.try_wait().expect("the agent is ours");
            assert!(ended.is_none() && since.elapsed() < LIMIT, "agent not ready ({ended:?}):\n{}", printed(&output));
            tokio::time::sleep(TICK).await;
        }
        let banner = printed(&output);
        let word_after = |label: &str| {
            let line = banner.lines().find(|line| line.trim_start().starts_with(label));
            line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or_default().trim_end_matches(',').to_owned()
        };
        let address = word_after("API");
        let dns = word_after("DNS").parse().unwrap_or_else(|_| panic!("no DNS address in:\n{banner}"));
        let settings = api::Settings { address: address.clone(), ..api::Settings::default() };
        let api = api::Client::new(settings).expect("an HTTP client");
        Agent { share: Some(share), child, arguments, output, address, dns, api }
    }

    /// Its API's `host:port`.
    pub fn host(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// Kills the agent as a crash would; its tasks are not touched.
    pub fn kill_9(&mut self) {
        self.child.kill().expect("the agent is ours");
        self.child.wait().expect("the agent is ours");
    }

    /// Starts the same agent again, on new ports.
    ///
    /// # Panics
    /// As [`Agent::start`].
    pub async fn start_again(mut self) -> Agent {
        let arguments = self.arguments.clone();
        let share = self.share.take().expect("held until now");
        drop(self);
        Agent::spawn(arguments, share).await
    }

    /// Sends SIGINT and waits for the end.
    ///
    /// # Panics
    /// When the agent does not end.
    pub async fn interrupt(&mut self) -> i32 {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).expect("the agent is ours");
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the agent is ours") {
                return status.code().unwrap_or(-1);
            }
            assert!(since.elapsed() < LIMIT, "the agent does not stop:\n{}", self.output());
            tokio::time::sleep(TICK).await;
        }
    }

    /// Everything the agent has printed.
    pub fn output(&self) -> String {
        self.output.lock().expect("no panic while locked").clone()
    }

    /// Runs the command line against this agent.
    pub async fn drover(&self, arguments: &[&str]) -> Outcome {
        let mut command = tokio::process::Command::new(binary("drover"));
        command.args(arguments).env("DROVER_ADDR", &self.address).env("NO_COLOR", "1").stdin(Stdio::null());
        command.kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT * 3, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("drover {arguments:?} hangs:\n{}", self.output()));
        let output = output.expect("the command line starts");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Reads the API.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn get(&self, path: &str) -> Value {
        match self.api.get(path).await {
            Ok(answer) => answer.body,
            Err(error) => panic!("GET {path}: {error}\n{}", self.output()),
        }
    }

    /// Allocations of a job that should run.
    pub async fn allocs(&self, job: &str) -> Vec<Value> {
        let Value::Array(allocs) = self.get(&format!("/v1/job/{job}/allocations")).await else { return Vec::new() };
        allocs.into_iter().filter(|alloc| alloc["DesiredStatus"] == "run").collect()
    }

    /// How many copies of a job run and are healthy.
    pub async fn healthy(&self, job: &str) -> usize {
        let healthy =
            |alloc: &&Value| alloc["ClientStatus"] == "running" && alloc["DeploymentStatus"]["Healthy"] == true;
        self.allocs(job).await.iter().filter(healthy).count()
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    /// When it does not in time; with the cluster's state.
    pub async fn wait(&self, what: &str, condition: impl AsyncFn(&Agent) -> bool) {
        let since = Instant::now();
        while !condition(self).await {
            if since.elapsed() > LIMIT {
                let allocs = self.get("/v1/allocations").await;
                panic!("waited in vain for {what}\nallocations: {allocs:#}\nagent:\n{}", self.output());
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Asks the agent's DNS with `dig +short`; the lines of the answer.
    pub async fn dig(&self, name: &str, kind: &str) -> Vec<String> {
        let port = self.dns.port().to_string();
        let server = format!("@{}", self.dns.ip());
        let dig = tokio::process::Command::new("dig")
            .args([&server, "-p", &port, "+short", "+tries=1", "+time=3", name, kind])
            .output()
            .await
            .expect("dig is installed");
        String::from_utf8_lossy(&dig.stdout).lines().map(str::to_owned).collect()
    }
}

impl Drop for Agent {
    /// A scenario that fails leaves no agent behind; an agent that was not interrupted leaves its tasks to it.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT);
            let since = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && since.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(TICK);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn dev_arguments(more: &[&str]) -> Vec<String> {
    let all = ["agent", "-dev", "-http-port", "0", "-dns-port", "0"].iter().chain(more);
    all.map(|argument| (*argument).to_owned()).collect()
}

/// Waits until `condition` holds for something that no agent announces.
///
/// # Panics
/// When it does not in time.
pub async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !condition().await {
        assert!(since.elapsed() < LIMIT, "waited in vain for {what}");
        tokio::time::sleep(TICK).await;
    }
}

fn collect(stream: impl std::io::Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Ok(mut text) = into.lock() {
                text.push_str(&line);
                text.push('\n');
            }
        }
    });
}
