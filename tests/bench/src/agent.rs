//! The release binary as a process of its own, with default settings and its data on disk.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::machine::{HOME, disk};

/// A running agent; stopped when dropped.
pub struct Agent {
    child: Child,
    home: tempfile::TempDir,
    /// Where its API answers.
    pub http: SocketAddr,
    /// Where its DNS answers.
    pub dns: SocketAddr,
}

/// The built binary of this name, beside this one.
pub fn binary(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let path = here.parent().context("a program lies in a directory")?.join(name);
    if !path.exists() {
        bail!("{} is not built; run: cargo build --release", path.display());
    }
    Ok(path)
}

impl Agent {
    /// Starts an agent in an empty directory on disk.
    pub fn start() -> Result<Agent> {
        Agent::start_in(Agent::empty_home()?)
    }

    /// Starts an agent in a directory that may hold state.
    pub fn start_in(home: tempfile::TempDir) -> Result<Agent> {
        Agent::launch(home, &["-dev"])
    }

    /// Starts a server without a node of its own in a directory that may hold state.
    pub fn server_in(home: tempfile::TempDir) -> Result<Agent> {
        Agent::configured(home, r#"{ "server": { "enabled": true } }"#)
    }

    /// As [`Agent::server_in`], but a node whose heartbeats are late is waited for: on a busy machine thousands of them are.
    pub fn patient_server_in(home: tempfile::TempDir) -> Result<Agent> {
        Agent::configured(home, r#"{ "server": { "enabled": true, "heartbeat_grace": "120s" } }"#)
    }

    fn configured(home: tempfile::TempDir, text: &str) -> Result<Agent> {
        let config = home.path().join("agent.json");
        std::fs::write(&config, text)?;
        let config = config.to_str().context("a path of plain characters")?.to_owned();
        Agent::launch(home, &["-config", &config])
    }

    /// An empty directory on disk.
    pub fn empty_home() -> Result<tempfile::TempDir> {
        Ok(tempfile::Builder::new().prefix(HOME).tempdir_in(disk())?)
    }

    fn launch(home: tempfile::TempDir, how: &[&str]) -> Result<Agent> {
        let mut child = Command::new(binary("drover")?)
            .arg("agent")
            .args(how)
            .args(["-http-port", "0", "-dns-port", "0", "-log-level", "error", "-data-dir"])
            .arg(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("piped")?).lines();
        let (mut http, mut dns) = (None, None);
        for line in lines.by_ref().map_while(Result::ok) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["API", address, ..] => http = address.trim_start_matches("http://").parse().ok(),
                ["DNS", address, ..] => dns = address.trim_end_matches(',').parse().ok(),
                ["Ready", ..] => break,
                _ => {}
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        match (http, dns) {
            (Some(http), Some(dns)) => Ok(Agent { child, home, http, dns }),
            _ => {
                child.kill()?;
                child.wait()?;
                bail!("the agent did not say where it answers")
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its data directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Stops the agent and keeps its directory.
    pub fn stop(mut self) -> Result<tempfile::TempDir> {
        self.end();
        let replacement = tempfile::tempdir()?;
        Ok(std::mem::replace(&mut self.home, replacement))
    }

    /// Ends the agent without warning and keeps its directory.
    pub fn kill(mut self) -> Result<tempfile::TempDir> {
        self.child.kill()?;
        self.child.wait()?;
        let replacement = tempfile::tempdir()?;
        Ok(std::mem::replace(&mut self.home, replacement))
    }

    fn end(&mut self) {
        // Once it was waited for, its id may be another's.
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT);
        let since = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && since.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}
