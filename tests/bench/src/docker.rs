//! From a job submitted over HTTP to the container's own first instruction, beside the raw Engine API.
//!
//! Both sides run the same program in the same image with the same mount, alternately: it makes a file on the host.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::agent::Agent;
use crate::figure::{Goal, Report, quantile};
use crate::http::Connection;
use crate::machine::{HOME, disk};

/// Samples of each side, taken alternately.
const SAMPLES: usize = 25;
const SOCKET: &str = "/var/run/docker.sock";
const IMAGE: &str = "drover-bench:local";
/// What drover may add to the Engine's own time, in milliseconds.
const ON_TOP: f64 = 15.0;
/// Between two looks for the file.
const TICK: Duration = Duration::from_micros(200);

/// Measures both sides alternately; the figure is the median of the differences of neighbouring samples.
pub async fn measure(smoke: bool) -> Result<Report> {
    make_image()?;
    let outcome = alternate(if smoke { 2 } else { SAMPLES }).await;
    let _ = Command::new("docker").args(["rmi", IMAGE]).output();
    let (mut through_drover, mut raw) = outcome?;
    let mut on_top: Vec<f64> = through_drover.iter().zip(&raw).map(|(ours, theirs)| ours - theirs).collect();
    let floor = quantile(&mut raw, 0.5);
    let mut report = Report::default();
    report.add(
        "docker: submit to first instruction, p50",
        quantile(&mut through_drover, 0.5),
        "ms",
        Goal::None,
        Some(floor),
    );
    report.add(
        "docker: drover on top of the Engine, p50",
        quantile(&mut on_top, 0.5),
        "ms",
        Goal::AtMost(ON_TOP),
        None,
    );
    Ok(report)
}

async fn alternate(samples: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let agent = Agent::start()?;
    let scratch = tempfile::Builder::new().prefix(HOME).tempdir_in(disk())?;
    let mut connection = Connection::open(agent.http).await?;
    let mut engine = Connection::open_unix(SOCKET).await?;
    let (mut through_drover, mut raw) = (Vec::new(), Vec::new());
    for sample in 0..samples {
        let started = Instant::now();
        connection.register(&job(sample, scratch.path())).await?;
        through_drover.push(made(&scratch.path().join(format!("ours-{sample}")), started).await?);
        connection.send("DELETE", &format!("/v1/job/docker-{sample}?purge=true"), b"").await?;
        settle(&mut engine).await?;

        let started = Instant::now();
        let id = run_raw(&mut engine, sample, scratch.path()).await?;
        raw.push(made(&scratch.path().join(format!("raw-{sample}")), started).await?);
        engine.send("DELETE", &format!("/containers/{id}?force=true&v=true"), b"").await?;
        settle(&mut engine).await?;
    }
    Ok((through_drover, raw))
}

/// Waits until no container of ours is left: removing one would slow the next start down.
async fn settle(engine: &mut Connection<UnixStream>) -> Result<()> {
    let filter = api::escape(&json!({ "ancestor": [IMAGE] }).to_string());
    let path = format!("/containers/json?all=true&filters={filter}");
    let since = Instant::now();
    while engine.send("GET", &path, b"").await?.trim_ascii() != b"[]" {
        if since.elapsed() > Duration::from_secs(30) {
            bail!("a container of {IMAGE} is not removed");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Milliseconds from `started` until the container has made `file`.
async fn made(file: &Path, started: Instant) -> Result<f64> {
    while !file.exists() {
        if started.elapsed() > Duration::from_secs(30) {
            bail!("the container did not make {}", file.display());
        }
        tokio::time::sleep(TICK).await;
    }
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn program(file: &str) -> Vec<String> {
    ["-c", &format!("> /out/{file}; exec sleep 1000")].map(str::to_owned).to_vec()
}

fn job(sample: usize, scratch: &Path) -> Value {
    json!({ "Job": { "ID": format!("docker-{sample}"), "Name": "docker", "Type": "service", "TaskGroups": [{
        "Name": "g", "Count": 1, "EphemeralDisk": { "SizeMB": 110 },
        "Tasks": [{
            "Name": "t", "Driver": "docker", "KillTimeout": 1_000_000, "Resources": { "CPU": 100, "MemoryMB": 64 },
            "Config": {
                "image": IMAGE, "command": "/bin/sh", "args": program(&format!("ours-{sample}")),
                "volumes": [format!("{}:/out", scratch.display())],
            },
        }],
    }]}})
}

/// What the docker driver asks of the Engine for such a job, without drover: the same limits, log and mounts.
async fn run_raw(engine: &mut Connection<UnixStream>, sample: usize, scratch: &Path) -> Result<String> {
    let dirs = ["alloc", "local", "secrets"].map(|name| scratch.join(format!("{name}-{sample}")));
    for dir in &dirs {
        std::fs::create_dir(dir)?;
    }
    let mut binds: Vec<String> =
        dirs.iter().zip(["alloc", "local", "secrets"]).map(|(dir, to)| format!("{}:/{to}", dir.display())).collect();
    binds.push(format!("{}:/out", scratch.display()));
    let command = [vec!["/bin/sh".to_owned()], program(&format!("raw-{sample}"))].concat();
    let memory = 64 << 20;
    let body = json!({
        "Image": IMAGE, "Cmd": command,
        "HostConfig": {
            "Binds": binds, "Memory": memory, "MemorySwap": memory, "CpuShares": 100, "CapDrop": ["NET_RAW"],
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "50m", "max-file": "2" } },
        },
    });
    let made = engine.send("POST", "/containers/create", body.to_string().as_bytes()).await?;
    let made: Value = serde_json::from_slice(&made)?;
    let id = made["Id"].as_str().context("the Engine named no container")?.to_owned();
    engine.send("POST", &format!("/containers/{id}/start"), b"").await?;
    Ok(id)
}

/// An image with nothing but a static busybox, as the Engine makes it of an archive.
fn make_image() -> Result<()> {
    let script = "set -e; dir=$(mktemp -d); mkdir $dir/bin $dir/tmp; cp \"$(command -v busybox)\" $dir/bin/busybox; \
                  ln -s busybox $dir/bin/sh; ln -s busybox $dir/bin/sleep; \
                  tar -C $dir -c . | docker import - \"$1\"; rm -rf $dir";
    let made = Command::new("sh").args(["-c", script, "sh", IMAGE]).output()?;
    if !made.status.success() {
        let why = String::from_utf8_lossy(&made.stderr).into_owned();
        bail!("cannot make an image ({}); it needs docker.io and busybox-static", why.trim());
    }
    Ok(())
}
