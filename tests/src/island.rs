//! A place without a network: loopback, and a container engine of its own with its bridge; nothing else.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Engine;

/// How long an engine may take to answer, and to stop.
const LIMIT: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(50);

/// Runs `scenario` on a thread of its own in a fresh network namespace, where whatever it starts runs, too. The
/// machine's own network is not touched.
///
/// # Panics
/// When the scenario does, or no engine can be started.
pub fn on_an_island<F: Future<Output = ()>>(scenario: impl FnOnce(Engine) -> F + Send + 'static) {
    let island = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace needs root");
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("iproute2 is installed");
        assert!(up.success(), "loopback does not come up");
        let dockerd = Dockerd::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(scenario(dockerd.engine()));
    });
    if let Err(panic) = island.join() {
        std::panic::resume_unwind(panic);
    }
}

/// An engine beside the machine's own; stopped and forgotten when dropped.
struct Dockerd {
    child: Child,
    home: tempfile::TempDir,
}

impl Dockerd {
    fn start() -> Dockerd {
        let home = tempfile::Builder::new().prefix("drover-dockerd-").tempdir_in("/var/tmp").expect("a directory");
        let path = |name: &str| home.path().join(name).to_string_lossy().into_owned();
        let log = std::fs::File::create(path("log")).expect("a log file");
        let child = Command::new("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["--host", &format!("unix://{}", path("socket")), "--containerd-namespace", "drover-island"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("docker.io is installed");
        let mut dockerd = Dockerd { child, home };
        let since = Instant::now();
        while !dockerd.answers() {
            let ended = dockerd.child.try_wait().expect("the engine is ours");
            let log = std::fs::read_to_string(dockerd.home.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && since.elapsed() < LIMIT, "no engine ({ended:?}):\n{log}");
            std::thread::sleep(TICK);
        }
        dockerd
    }

    fn host(&self) -> String {
        format!("unix://{}", self.home.path().join("socket").display())
    }

    fn engine(&self) -> Engine {
        Engine::at(&self.host())
    }

    fn answers(&self) -> bool {
        let asked = Command::new("docker").env("DOCKER_HOST", self.host()).arg("version").output();
        asked.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let since = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && since.elapsed() < LIMIT {
            std::thread::sleep(TICK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
