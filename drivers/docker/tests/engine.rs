//! The driver over a real Engine. Nothing is skipped: without an Engine these tests fail and say so.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod registry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use driver::conformance::{Foreign, Harness, Program, conformance};
use driver::{Driver, DriverError, ExitResult, LogSettings, TaskConfig, TaskDirs, TaskHandle, TaskId};
use driver_docker::{DockerDriver, DockerSettings};
use model::allocation::AllocatedPort;
use model::id::AllocId;
use model::time::GoDuration;
use serde_json::{Value, json};

/// Runs `docker` and returns what it prints.
fn docker(args: &[&str]) -> String {
    let output = Command::new("docker")
        .args(args)
        .output()
        .expect("the docker command must be installed (apt-get install docker.io)");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {args:?} failed; these tests need a running Docker Engine: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// An image with busybox and nothing else, removed when the last test that holds it ends.
struct Image {
    name: String,
}

impl Image {
    fn new() -> Image {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        let busybox = busybox.expect("busybox must be installed (apt-get install busybox-static)");
        std::fs::copy(busybox, bin.join("busybox")).unwrap();
        for applet in ["sh", "sleep", "seq", "env", "setsid", "cat", "dd", "tail", "httpd", "id", "hostname", "true"] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
        }
        let archive = dir.path().join("image.tar");
        let tar = Command::new("tar")
            .arg("-C")
            .arg(dir.path())
            .args(["-cf", archive.to_str().unwrap(), "bin", "etc"])
            .status();
        assert!(tar.unwrap().success());
        let name = format!("drover-driver-test:{}", unique());
        docker(&["import", archive.to_str().unwrap(), &name]);
        Image { name }
    }

    /// The same with one more line of a Dockerfile.
    fn with(self, line: &str) -> Image {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Dockerfile"), format!("FROM {}\n{line}\n", self.name)).unwrap();
        let made = Image { name: format!("drover-driver-test:{}", unique()) };
        // The classic builder needs nothing that is not here.
        let build = Command::new("docker")
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "-q", "-t", &made.name])
            .arg(dir.path())
            .output()
            .unwrap();
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
        made
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.name]).output();
    }
}

fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One driver with an image, a node id and a directory of its own; removes the containers it left.
struct Machine {
    image: Image,
    node: String,
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        Machine::with_image(Image::new())
    }

    fn with_image(image: Image) -> Machine {
        Machine { image, node: format!("test-{}", unique()), dir: tempfile::tempdir().unwrap() }
    }

    fn settings(&self) -> DockerSettings {
        DockerSettings::new(&self.node)
    }

    fn config(&self, more: Value) -> BTreeMap<String, Value> {
        let mut config: BTreeMap<String, Value> = serde_json::from_value(more).unwrap();
        config.entry("image".to_owned()).or_insert_with(|| json!(self.image.name));
        config
    }

    fn task(&self, more: Value) -> TaskConfig {
        static NEXT: OnceLock<u128> = OnceLock::new();
        let base = *NEXT.get_or_init(|| {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() << 40
        });
        let serial: u128 = unique().rsplit('-').next().unwrap().parse().unwrap();
        let id = TaskId { alloc: AllocId(base + serial), task: "web".to_owned(), attempt: 0 };
        let root = self.dir.path().join(id.alloc.to_string());
        let dirs = TaskDirs {
            alloc: root.join("alloc"),
            task: root.join("web"),
            local: root.join("web/local"),
            secrets: root.join("web/secrets"),
            logs: root.join("alloc/logs"),
        };
        for dir in [&dirs.logs, &dirs.local, &dirs.secrets] {
            std::fs::create_dir_all(dir).unwrap();
        }
        TaskConfig {
            id,
            labels: BTreeMap::new(),
            config: self.config(more),
            env: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]),
            user: String::new(),
            cpu_mhz: 100,
            node_cpu_mhz: 1000,
            memory_mb: 32,
            memory_max_mb: 0,
            ports: Vec::new(),
            hostname: String::new(),
            dns_servers: Vec::new(),
            dns_searches: Vec::new(),
            dns_options: Vec::new(),
            dirs,
            mounts: Vec::new(),
            logs: LogSettings { max_files: 10, max_file_mb: 1, disabled: false },
            kill_signal: String::new(),
        }
    }

    async fn start(&self, task: &TaskConfig) -> Result<(DockerDriver, TaskHandle), DriverError> {
        let driver = DockerDriver::new(self.settings());
        let (progress, _lines) = tokio::sync::mpsc::unbounded_channel();
        let handle = driver.start(task, progress).await?;
        Ok((driver, handle))
    }

    /// Runs `script` to its end: how it ended and what it printed.
    async fn run(&self, task: &TaskConfig) -> (ExitResult, String) {
        let (driver, handle) = self.start(task).await.unwrap();
        let exit = driver.wait(&handle).await.unwrap();
        driver.destroy(&handle).await.unwrap();
        (exit, printed(task))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let filter = format!("label=io.drover.node={}", self.node);
        let left = Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output().unwrap();
        for id in String::from_utf8_lossy(&left.stdout).split_whitespace() {
            let _ = Command::new("docker").args(["rm", "-f", id]).output();
        }
    }
}

fn printed(task: &TaskConfig) -> String {
    let file = |n: u32| std::fs::read(task.dirs.logs.join(format!("web.stdout.{n}"))).ok();
    String::from_utf8((0..).map_while(file).flatten().collect()).unwrap()
}

fn shell(script: &str) -> Value {
    json!({"command": "sh", "args": ["-c", script]})
}

/// Waits until something accepts connections at `address`.
async fn answers(address: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while tokio::net::TcpStream::connect(address).await.is_err() {
        assert!(std::time::Instant::now() < deadline, "{address} accepts connections");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

struct ForeignContainer(String);

impl Foreign for ForeignContainer {
    fn is_alive(&self) -> bool {
        docker(&["inspect", "--format", "{{.State.Running}}", &self.0]) == "true"
    }
}

impl Drop for ForeignContainer {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", &self.0]).output();
    }
}

#[async_trait]
impl Harness for Machine {
    async fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(DockerDriver::new(self.settings()))
    }

    fn program(&self, program: &Program) -> Option<BTreeMap<String, Value>> {
        Some(self.config(match program {
            Program::Exit(code) => shell(&format!("exit {code}")),
            // The first process of a container gets no signal that it does not ask for.
            Program::Forever => shell("trap 'exit 143' TERM; sleep 1000 & wait"),
            Program::Shell(script, args) => {
                let first = ["-c", script.as_str(), "sh"].map(str::to_owned);
                json!({"command": "sh", "args": first.iter().chain(args).collect::<Vec<_>>()})
            }
        }))
    }

    fn missing_program(&self) -> Option<(BTreeMap<String, Value>, String)> {
        Some((self.config(json!({"command": "nonesuch"})), "nonesuch".to_owned()))
    }

    fn bad_configs(&self) -> Vec<(BTreeMap<String, Value>, String)> {
        vec![
            (BTreeMap::new(), "\"image\"".to_owned()),
            (self.config(json!({"comand": "x"})), "did you mean \"command\"?".to_owned()),
            (self.config(json!({"ports": ["http"]})), "\"http\"".to_owned()),
            (self.config(json!({"privileged": true})), "allow_privileged".to_owned()),
        ]
    }

    /// A container that has our agent's label, but of another node.
    async fn foreign(&self) -> Option<Box<dyn Foreign>> {
        let label = format!("io.drover.node=other-{}", self.node);
        let id = docker(&["run", "-d", "--label", &label, &self.image.name, "sleep", "1000"]);
        Some(Box::new(ForeignContainer(id)))
    }

    fn base_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_of_every_driver() {
    assert_eq!(conformance(&Machine::new()).await, 20);
}

#[tokio::test]
async fn a_task_sees_its_directories_host_name_resolver_and_labels() {
    let machine = Machine::new();
    let script = "cat /local/in; echo out >/alloc/out; echo s >/secrets/s; hostname; cat /etc/resolv.conf";
    let mut task = machine.task(shell(script));
    task.hostname = "chosen".to_owned();
    task.dns_servers = vec!["192.0.2.7".parse().unwrap()];
    task.dns_searches = vec!["service.drover".to_owned()];
    std::fs::write(task.dirs.local.join("in"), "in\n").unwrap();
    let (exit, printed) = machine.run(&task).await;
    assert!(exit.is_success(), "{exit:?}");
    assert!(printed.starts_with("in\nchosen\n"), "{printed}");
    assert!(printed.contains("nameserver 192.0.2.7") && printed.contains("search service.drover"), "{printed}");
    assert_eq!(std::fs::read_to_string(task.dirs.alloc.join("out")).unwrap(), "out\n");
}

#[tokio::test]
async fn a_task_out_of_memory_says_so() {
    let machine = Machine::new();
    let mut task = machine.task(shell("tail /dev/zero"));
    task.memory_mb = 8;
    let (exit, _) = machine.run(&task).await;
    assert!(exit.oom_killed && !exit.is_success(), "{exit:?}");
}

#[tokio::test]
async fn a_published_port_answers_on_the_host_and_inside() {
    let machine = Machine::new();
    let mut task = machine.task(json!({
        "command": "httpd", "args": ["-f", "-p", "8000", "-h", "/local"], "ports": ["http"],
    }));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    task.ports = vec![AllocatedPort {
        label: "http".to_owned(),
        value: free,
        to: 8000,
        host_ip: "127.0.0.1".to_owned(),
        task: String::new(),
        ..AllocatedPort::default()
    }];
    let (driver, handle) = machine.start(&task).await.unwrap();
    let inside = handle.address.clone().unwrap();
    assert_eq!(inside.ports["http"], 8000);
    for address in [format!("127.0.0.1:{free}"), format!("{}:8000", inside.ip)] {
        answers(&address).await;
    }
    // The same port again: refused in words, and nothing is left.
    let mut second = machine.task(serde_json::to_value(&task.config).unwrap());
    second.ports = task.ports.clone();
    let error = machine.start(&second).await.map(|_| ()).unwrap_err();
    assert!(error.is_recoverable() && error.to_string().contains("another program or container"), "{error}");
    driver.destroy(&handle).await.unwrap();
    assert!(driver.reap(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_image_says_what_to_do() {
    let machine = Machine::new();
    let task = machine.task(json!({"image": "127.0.0.1:1/nonesuch:1"}));
    let error = machine.start(&task).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1/nonesuch:1 is not here") && error.contains("docker load"), "{error}");
}

#[tokio::test]
async fn an_image_is_pulled_with_its_credentials_and_tells_of_it() {
    let machine = Machine::new();
    let registry = registry::Registry::of(&machine.image.name);
    let pulled = Image { name: registry.image() };
    let mut wanted = shell("echo pulled");
    wanted["image"] = json!(pulled.name);
    let error = machine.start(&machine.task(wanted.clone())).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(&pulled.name) && !error.is_recoverable(), "{error}");
    wanted["auth"] = json!([{"username": registry::USER, "password": registry::PASSWORD}]);
    let task = machine.task(wanted);
    let driver = DockerDriver::new(machine.settings());
    let (progress, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let handle = driver.start(&task, progress).await.unwrap();
    assert_eq!(lines.recv().await, Some(format!("Downloading image {}", pulled.name)));
    driver.wait(&handle).await.unwrap();
    driver.destroy(&handle).await.unwrap();
    assert_eq!(printed(&task), "pulled\n");
}

#[tokio::test]
async fn the_images_own_stop_signal_is_honoured() {
    let machine = Machine::with_image(Image::new().with("STOPSIGNAL SIGQUIT"));
    let script = "trap 'exit 3' QUIT; trap 'exit 4' TERM; echo up; while :; do sleep 0.01; done";
    for (signal, asked, code) in [("", "SIGTERM", 3), ("SIGTERM", "SIGTERM", 4), ("", "SIGUSR1", 137)] {
        let mut task = machine.task(shell(script));
        task.kill_signal = signal.to_owned();
        let (driver, handle) = machine.start(&task).await.unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while printed(&task) != "up\n" {
            assert!(std::time::Instant::now() < deadline, "the task prints");
            tokio::task::yield_now().await;
        }
        let patience = if code == 137 { GoDuration::from_millis(100) } else { GoDuration::from_secs(20) };
        driver.stop(&handle, asked, patience).await.unwrap();
        assert_eq!(driver.wait(&handle).await.unwrap().exit_code, code, "{signal} {asked}");
        driver.destroy(&handle).await.unwrap();
    }
}

#[tokio::test]
async fn long_lines_and_much_output_arrive_whole() {
    let machine = Machine::new();
    // A line longer than the Engine's pieces of 16 kB, then some 600 kB of short ones.
    let task = machine.task(shell("for i in $(seq 1 5000); do printf 0123456789; done; echo; seq 1 100000"));
    let (exit, printed) = machine.run(&task).await;
    assert!(exit.is_success());
    let numbers: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    let expected = "0123456789".repeat(5000) + "\n" + &numbers;
    let differs = printed.lines().zip(expected.lines()).position(|(printed, expected)| printed != expected);
    assert_eq!((differs, printed.len()), (None, expected.len()));
}

#[tokio::test]
async fn a_container_of_somebody_else_is_not_taken_over() {
    let machine = Machine::new();
    let task = machine.task(shell("exit 0"));
    let name = driver_docker::container::name_of(&task.id);
    let foreign = ForeignContainer(docker(&["run", "-d", "--name", &name, &machine.image.name, "sleep", "1000"]));
    let error = machine.start(&task).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, DriverError::Permanent(text) if text.contains("did not make it")), "{error:?}");
    assert!(foreign.is_alive());
}
