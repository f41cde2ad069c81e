//! The command line as a user meets it.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scenarios::{Agent, binary, job_file};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long a line may take to come.
const LIMIT: Duration = Duration::from_secs(60);

/// Two copies that print a line each second; the first line of each tells which copy it is.
const TALKERS: &str = r#"job "talkers" {
  group "g" {
    count = 2
    service {
      name = "talkers"
      port = "p"
    }
    network {
      port "p" {}
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "while :; do echo out $NOMAD_ALLOC_INDEX; echo err $NOMAD_ALLOC_INDEX >&2; sleep 0.2; done"]
      }
    }
  }
}
"#;

/// A service whose check can never pass.
const NEVER_HEALTHY: &str = r#"job "never" {
  group "g" {
    network {
      port "p" {}
    }
    service {
      name = "never"
      port = "p"
      check {
        type     = "tcp"
        interval = "1s"
        timeout  = "1s"
      }
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args    = ["1000"]
      }
    }
  }
}
"#;

/// A command that runs until it is interrupted.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(agent: &Agent, arguments: &[&str]) -> Following {
        let mut child = Command::new(binary("drover"))
            .args(arguments)
            .env("DROVER_ADDR", &agent.address)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the command line starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Following { child, lines }
    }

    /// Reads lines until all of `wanted` have been among them.
    async fn see(&mut self, wanted: &[&str]) {
        let mut seen: Vec<String> = Vec::new();
        while !wanted.iter().all(|word| seen.iter().any(|line| line.contains(word))) {
            match tokio::time::timeout(LIMIT, self.lines.next_line()).await {
                Ok(line) => {
                    seen.push(line.expect("text").unwrap_or_else(|| panic!("it ended without {wanted:?}: {seen:?}")))
                }
                Err(_) => panic!("waited in vain for {wanted:?}: {seen:?}"),
            }
        }
    }

    /// Presses Ctrl-C; exit code and standard error.
    async fn interrupt(self) -> (i32, String) {
        kill(Pid::from_raw(self.child.id().expect("it runs") as i32), Signal::SIGINT).expect("it is ours");
        self.end().await
    }

    /// Waits for its end; exit code and standard error.
    async fn end(mut self) -> (i32, String) {
        while self.lines.next_line().await.expect("text").is_some() {}
        let output = self.child.wait_with_output().await.expect("an end");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test]
async fn every_reading_command_speaks_json_and_plain_text() {
    let agent = Agent::start(&[]).await;
    let (_dir, file) = job_file(TALKERS);
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    let alloc = agent.allocs("talkers").await[0].clone();
    let [alloc, eval, node] = ["ID", "EvalID", "NodeID"].map(|key| alloc[key].as_str().unwrap_or_default().to_owned());
    for (command, words) in [
        (&["job", "status"][..], &["talkers", "running"][..]),
        (&["job", "status", "talkers"], &["Allocations", &alloc[..8], "Summary"]),
        (&["job", "inspect", "talkers"], &["\"raw_exec\""]),
        (&["alloc", "status"], &[&alloc[..8]]),
        (&["alloc", "status", &alloc[..8]], &["talkers.g[", "Task \"t\" is running", "Started"]),
        (&["eval", "status"], &[&eval[..8], "job-register"]),
        (&["eval", "status", &eval[..8]], &["complete"]),
        (&["node", "status"], &[&node[..8], "ready"]),
        (&["node", "status", &node[..8]], &["raw_exec", "docker"]),
        (&["service", "list"], &["talkers"]),
        (&["service", "info", "talkers"], &["talkers", &alloc[..8]]),
        (&["version"], &["drover v"]),
    ] {
        let shown = agent.drover(command).await;
        assert_eq!(shown.code, 0, "{command:?}: {shown}");
        for word in words {
            assert!(shown.out.contains(word), "{command:?}: {word:?} is missing in {shown}");
        }
        assert!(!shown.out.contains('\u{1b}'), "{command:?}: colours in spite of NO_COLOR: {shown}");
        let json = agent.drover(&[command, &["-json"]].concat()).await;
        assert_eq!(json.code, 0, "{command:?} -json: {json}");
        assert!(serde_json::from_str::<Value>(&json.out).is_ok(), "{command:?} -json: {json}");
    }
    for (command, noun) in [
        (&["job", "status", "nobody"][..], "job"),
        (&["alloc", "status", "nobody"], "allocation"),
        (&["eval", "status", "nobody"], "evaluation"),
        (&["node", "status", "nobody"], "node"),
        (&["service", "info", "nobody"], "service"),
        (&["logs", "nobody"], "job"),
        (&["job", "stop", "nobody"], "job"),
    ] {
        let missing = agent.drover(command).await;
        assert_eq!(missing.code, 1, "{command:?}: {missing}");
        assert!(missing.err.contains(noun) && missing.err.contains("nobody"), "{command:?}: {missing}");
    }
}

#[tokio::test]
async fn logs_follow_all_copies_with_the_copy_in_front_of_each_line() {
    let agent = Agent::start(&[]).await;
    let (_dir, file) = job_file(TALKERS);
    // -detach does not wait.
    let run = agent.drover(&["job", "run", "-detach", &file]).await;
    assert_eq!(run.code, 0, "{run}");
    assert!(run.out.contains("evaluation") && !run.out.contains("running"), "{run}");
    agent.wait("two copies", async |agent| agent.healthy("talkers").await == 2).await;
    let copies: Vec<String> =
        agent.allocs("talkers").await.iter().map(|a| a["ID"].as_str().unwrap_or_default()[..8].to_owned()).collect();
    let mut logs = Following::start(&agent, &["logs", "-f", "talkers"]);
    let lines: Vec<String> = copies.iter().map(|copy| format!("{copy} t | ")).collect();
    logs.see(&[&lines[0], &lines[1], "out 0", "err 0", "out 1", "err 1"]).await;

    // For programs each line is an object that says where it comes from.
    let json = agent.drover(&["logs", "-json", "talkers"]).await;
    let objects: Vec<Value> = json.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for said in ["out 0", "err 0", "out 1", "err 1"] {
        let is_it = |object: &&Value| object["Line"].as_str().is_some_and(|line| line.contains(said));
        let object = objects.iter().find(is_it).unwrap_or_else(|| panic!("{said:?} is missing in {json}"));
        assert_eq!((&object["Task"], &object["Type"]), (&"t".into(), &format!("std{}", &said[..3]).into()));
    }

    // A copy that comes later is followed as well.
    let stop = agent.drover(&["alloc", "stop", &copies[0]]).await;
    assert_eq!(stop.code, 0, "{stop}");
    let newcomer = async |agent: &Agent| {
        let allocs = agent.allocs("talkers").await;
        let mut ids = allocs.iter().map(|a| a["ID"].as_str().unwrap_or_default()[..8].to_owned());
        ids.find(|id| !copies.contains(id))
    };
    agent.wait("a replacement", async |agent| newcomer(agent).await.is_some()).await;
    let line = format!("{} t | ", newcomer(&agent).await.expect("it is there"));
    logs.see(&[&line]).await;

    // When all is over, so is the command.
    let stop = agent.drover(&["job", "stop", "talkers"]).await;
    assert_eq!(stop.code, 0, "{stop}");
    while logs.lines.next_line().await.expect("text").is_some() {}
    assert_eq!(logs.child.wait().await.expect("an end").code(), Some(0));
}

#[tokio::test]
async fn a_run_that_is_interrupted_detaches_and_says_so() {
    let agent = Agent::start(&[]).await;
    let (_dir, file) = job_file(NEVER_HEALTHY);
    let mut run = Following::start(&agent, &["job", "run", &file]);
    run.see(&["1/1 running", "waiting: 0 of 1 healthy (Ctrl-C is safe"]).await;
    let (code, said) = run.interrupt().await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("detached; the job goes on without you"), "{said}");
    assert_eq!(agent.allocs("never").await[0]["ClientStatus"], "running");
    // A service that is not healthy has a name, and no address.
    assert_eq!(agent.dig("never.service.drover", "SRV").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_run_ends_when_somebody_else_replaces_or_purges_its_job() {
    let agent = Agent::start(&[]).await;
    let (_dir, file) = job_file(NEVER_HEALTHY);
    let (_newer_dir, newer) = job_file(&NEVER_HEALTHY.replace("1000", "1001"));
    for (command, words) in [
        (&["job", "run", "-detach", &newer][..], "\"never\" was registered anew as version 1"),
        (&["job", "stop", "-detach", "-purge", "never"], "\"never\" was purged"),
    ] {
        let mut run = Following::start(&agent, &["job", "run", &file]);
        run.see(&["1/1 running"]).await;
        let other = agent.drover(command).await;
        assert_eq!(other.code, 0, "{other}");
        let (code, said) = run.end().await;
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(words), "{words:?} is missing in {said}");
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_a_command_quietly() {
    let agent = Agent::start(&[]).await;
    let status = Following::start(&agent, &["node", "status", "-json"]);
    drop(status.lines);
    let output = status.child.wait_with_output().await.expect("an end");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[tokio::test]
async fn plan_tells_what_would_happen_and_changes_nothing() {
    let agent = Agent::start(&[]).await;
    let (_dir, file) = job_file(TALKERS);
    let plan = agent.drover(&["job", "plan", &file]).await;
    assert_eq!(plan.code, 1, "{plan}");
    assert!(plan.out.contains("\"talkers\" is new") && plan.out.contains("2 to place"), "{plan}");
    assert_eq!(agent.get("/v1/jobs").await, serde_json::json!([]));
    let run = agent.drover(&["job", "run", "-check-index", "0", &file]).await;
    assert_eq!(run.code, 0, "{run}");
    let plan = agent.drover(&["job", "plan", &file]).await;
    assert_eq!(plan.code, 0, "{plan}");
    let (_dir, more) = job_file(&TALKERS.replace("count = 2", "count = 3"));
    let plan = agent.drover(&["job", "plan", &more]).await;
    assert_eq!(plan.code, 1, "{plan}");
    assert!(plan.out.contains("1 to place") && plan.out.contains("\"2\" → \"3\""), "{plan}");
    // Whoever planned against an older version is told so.
    let stale = agent.drover(&["job", "run", "-check-index", "0", &more]).await;
    assert_eq!(stale.code, 1, "{stale}");
    assert!(stale.err.contains("nothing was changed"), "{stale}");
}
