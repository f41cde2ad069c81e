//! `agent`: wires a server, a client and the DNS listener into one process, and takes them down in order.

mod config;
mod container_dns;
mod links;
mod node;
mod server;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tracing_subscriber::EnvFilter;

use crate::args::AgentArgs;
use config::AgentConfig;

/// Threads that answer users and nodes, at most: what they all wait for, planner and log, are one thread each.
const MOST_WORKERS: usize = 8;

/// Runs until SIGINT, SIGTERM or SIGHUP.
pub fn run(args: AgentArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let mut config = AgentConfig::load(&args)?;
    if args.dev {
        config.server.enabled = true;
        config.client.enabled = true;
    }
    if !config.server.enabled && !config.client.enabled {
        bail!(
            "nothing to run: give -dev for a server and a client in one, or a -config FILE with `server {{ enabled = \
             true }}` or `client {{ enabled = true }}`"
        );
    }
    log_to_stderr(&config.log_level)?;
    let home = Home::open(&args, &config)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = cores.clamp(2, MOST_WORKERS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(32)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(serve(&config, &home, args.dev, started));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    outcome
}

/// Where an agent keeps its state, and whether it is forgotten at the end.
struct Home {
    path: std::path::PathBuf,
    /// Removed when dropped.
    temporary: Option<tempfile::TempDir>,
}

impl Home {
    fn open(args: &AgentArgs, config: &AgentConfig) -> Result<Home> {
        match &config.data_dir {
            Some(path) => {
                std::fs::create_dir_all(path)
                    .with_context(|| format!("cannot make data directory {}", path.display()))?;
                let path = path.canonicalize().with_context(|| format!("cannot resolve {}", path.display()))?;
                Ok(Home { path, temporary: None })
            }
            None if args.dev => {
                let temporary = tempfile::Builder::new().prefix("drover-").tempdir()?;
                Ok(Home { path: temporary.path().to_owned(), temporary: Some(temporary) })
            }
            None => bail!("no data directory: give -data-dir DIR or `data_dir` in the configuration"),
        }
    }
}

async fn serve(config: &AgentConfig, home: &Home, dev: bool, started: Instant) -> Result<ExitCode> {
    let mut stop = StopSignals::listen()?;
    let server = match config.server.enabled {
        true => Some(server::Running::start(config, &home.path).await?),
        false => None,
    };
    let node = match config.client.enabled {
        true => Some(node::start(config, &home.path, dev, server.as_ref()).await?),
        false => None,
    };
    if let (Some(server), Some(node)) = (&server, &node) {
        server.attach(node.client.clone());
        server.registers(node.client.node().id).await;
    }
    banner(config, home, server.as_ref(), node.as_ref().map(|node| &*node.client), started);
    stop.received().await;
    // Standard error may be the terminal that was closed.
    let _ = writeln!(std::io::stderr(), "stopping");
    if let Some(node) = node {
        node.shutdown(home.temporary.is_some()).await;
    }
    if let Some(server) = server {
        server.shutdown().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what runs, where it answers, and what to do next.
fn banner(
    config: &AgentConfig,
    home: &Home,
    server: Option<&server::Running>,
    client: Option<&client::Client>,
    started: Instant,
) {
    let kept = if home.temporary.is_some() { "forgotten at the end" } else { "kept" };
    println!("drover {} agent", env!("CARGO_PKG_VERSION"));
    println!("  state      {} ({kept})", home.path.display());
    if let Some(server) = server {
        println!("  API        http://{}", server.http_address());
        match server.dns_addresses().as_slice() {
            [] => println!("  DNS        off"),
            addresses => {
                let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                println!("  DNS        {} (*.service.drover)", shown.join(", "));
            }
        }
    }
    if let Some(client) = client {
        let node = client.node();
        println!("  node       {} at {}, datacenter {}", node.name, node.address(), config.datacenter);
        for (name, info) in node.drivers.iter().filter(|(_, info)| info.detected || !info.health_description.is_empty())
        {
            let sign = if info.healthy { "✓" } else { "✗" };
            println!("  driver     {sign} {name}: {}", info.health_description);
        }
    }
    println!("Ready in {:.2}s.", started.elapsed().as_secs_f64());
    if server.is_some() {
        println!("Try in another terminal:  drover job init && drover job run web.nomad.hcl");
    }
}

fn log_to_stderr(level: &str) -> Result<()> {
    // What openraft's front logs as an error comes back to us as one, and is normal while it stops.
    let quiet = "openraft=warn,openraft::raft::raft_inner=off,hyper=warn,bollard=warn,hickory_proto=error";
    let filter = EnvFilter::try_new(format!("{level},{quiet}"))
        .with_context(|| format!("log level {level:?} is none of error, warn, info, debug, trace"))?;
    // A closed terminal cannot be told that it cannot be written to: trying ends in a panic.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .init();
    Ok(())
}

/// SIGINT, SIGTERM, and SIGHUP: a terminal that is closed must not leave tasks of a dev agent behind.
struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// None when it was ignored at the start, as `nohup` does: the agent is to outlive its terminal.
    hangup: Option<tokio::signal::unix::Signal>,
}

impl StopSignals {
    fn listen() -> Result<StopSignals> {
        use tokio::signal::unix::{SignalKind, signal};
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Ok(StopSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if ignores_hangup(&status) { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    async fn received(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Whether a process with this `/proc/<pid>/status` ignores SIGHUP, which is the lowest bit of the mask.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_seen_in_the_mask_of_ignored_signals() {
        assert!(ignores_hangup("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
