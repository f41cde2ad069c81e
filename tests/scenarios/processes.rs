//! Plain programs: the web job with raw_exec.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scenarios::{Agent, binary, example, job_file, listener_of};

fn web_job() -> Vec<String> {
    let command = format!("command={}", binary("hello-web").display());
    ["job", "run", "-var", &command, &example("web-raw.nomad.hcl")].map(str::to_owned).to_vec()
}

async fn run_web(agent: &Agent) {
    let arguments = web_job();
    let run = agent.drover(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    assert!(run.out.contains("http://"), "no address in {run}");
    assert!(run.out.contains("web.service.drover"), "no name in {run}");
}

#[tokio::test]
async fn a_job_runs_answers_and_has_a_name() {
    let mut agent = Agent::start(&[]).await;
    run_web(&agent).await;
    assert_eq!(agent.healthy("web").await, 3);
    assert_eq!(agent.dig("web.service.drover", "SRV").await.len(), 3);
    let nodes = agent.get("/v1/nodes").await;
    assert_eq!(agent.dig("web.service.drover", "A").await[0], nodes[0]["Address"].as_str().unwrap_or_default());
    assert_eq!(agent.dig("nothing.service.drover", "A").await, Vec::<String>::new());

    let stop = agent.drover(&["job", "stop", "web"]).await;
    assert_eq!(stop.code, 0, "{stop}");
    agent.wait("an empty catalog", async |agent| agent.dig("web.service.drover", "SRV").await.is_empty()).await;
    assert_eq!(agent.interrupt().await, 0);
}

#[tokio::test]
async fn a_killed_process_leaves_the_catalog_and_comes_back() {
    let agent = Agent::start(&[]).await;
    run_web(&agent).await;
    let instances = agent.get("/v1/service/web").await;
    let port = instances[0]["Port"].as_u64().unwrap_or_default();
    let pid = listener_of(port as u16);
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    agent.wait("two instances", async |agent| agent.dig("web.service.drover", "SRV").await.len() == 2).await;
    agent.wait("three instances again", async |agent| agent.dig("web.service.drover", "SRV").await.len() == 3).await;
}

/// Adds a line to the shared data and to its own, and prints both.
const STICKY: &str = r#"job "sticky" {
  group "g" {
    ephemeral_disk {
      sticky = true
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "for d in $NOMAD_ALLOC_DIR/data $NOMAD_TASK_DIR; do echo VERSION >> $d/lines; done; cat $NOMAD_ALLOC_DIR/data/lines $NOMAD_TASK_DIR/lines; exec sleep 1000"]
      }
    }
  }
}
"#;

#[tokio::test]
async fn a_sticky_disk_goes_to_the_replacement() {
    let agent = Agent::start(&[]).await;
    for version in ["one", "two"] {
        let (_dir, file) = job_file(&STICKY.replace("VERSION", version));
        let run = agent.drover(&["job", "run", &file]).await;
        assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    }
    agent
        .wait("the replacement has printed", async |agent| {
            agent.drover(&["logs", "sticky"]).await.out.matches("two").count() == 2
        })
        .await;
    let logs = agent.drover(&["logs", "sticky"]).await;
    assert_eq!(logs.out.matches("one").count(), 2, "the first copy's lines, of both directories: {logs}");
}
