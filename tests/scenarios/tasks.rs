//! The life of tasks: restarts, signals, limits, and what their logs take.

use scenarios::{Agent, Engine, Outcome, job_file};
use serde_json::Value;

/// A job of one task, with what is said of the group and of the task.
fn job(name: &str, group: &str, task: &str) -> String {
    format!(
        r#"job "{name}" {{
  group "g" {{
    reschedule {{
      attempts  = 0
      unlimited = false
    }}
    {group}
    task "t" {{
      {task}
    }}
  }}
}}
"#
    )
}

fn script(text: &str) -> String {
    format!("driver = \"raw_exec\"\nconfig {{\ncommand = \"/bin/sh\"\nargs = [\"-c\", \"{text}\"]\n}}\n")
}

const NO_RESTART: &str = "restart {\nattempts = 0\nmode = \"fail\"\n}\n";

async fn run(agent: &Agent, text: &str) -> Outcome {
    let (_dir, file) = job_file(text);
    agent.drover(&["job", "run", &file]).await
}

/// The events of the one task of a job's newest copy.
async fn events(agent: &Agent, job: &str) -> Vec<Value> {
    let allocs = agent.get(&format!("/v1/job/{job}/allocations")).await;
    let newest = allocs.as_array().and_then(|allocs| allocs.iter().max_by_key(|alloc| alloc["CreateIndex"].as_u64()));
    newest.and_then(|alloc| alloc["TaskStates"]["t"]["Events"].as_array().cloned()).unwrap_or_default()
}

fn says(events: &[Value], words: &str) -> bool {
    events.iter().any(|event| event["DisplayMessage"].as_str().is_some_and(|text| text.contains(words)))
}

#[tokio::test]
async fn a_failing_check_restarts_its_task() {
    // Given a server that is well for two seconds after each start
    let engine = Engine::with_web_image("drover-scenario:check-restart", 80, "hello");
    let agent = Agent::start(&[]).await;
    let group = r#"restart {
      delay = "0s"
    }
    network {
      port "http" {
        to = 80
      }
    }
    service {
      name = "moody"
      port = "http"
      check {
        type     = "http"
        path     = "/well"
        interval = "1s"
        timeout  = "1s"
        check_restart {
          limit = 2
          grace = "1s"
        }
      }
    }"#;
    let task = r#"driver = "docker"
      kill_timeout = "100ms"
      config {
        image   = "drover-scenario:check-restart"
        ports   = ["http"]
        command = "/bin/sh"
        args    = ["-c", "echo well > /www/well; /bin/busybox httpd -p 80 -h /www; sleep 2; /bin/rm /www/well; sleep 1000"]
      }"#;
    let run = run(&agent, &job("moody", group, task)).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());

    // Then the check's failures restart it
    agent.wait("a restart", async |agent| says(&events(agent, "moody").await, "healthcheck")).await;
    agent.wait("health again", async |agent| agent.dig("moody.service.drover", "SRV").await.len() == 1).await;
    drop(agent);
    engine.docker(&["rmi", "drover-scenario:check-restart"]);
}

#[tokio::test]
async fn too_much_memory_is_told_as_such() {
    let engine = Engine::with_web_image("drover-scenario:oom", 80, "hello");
    let agent = Agent::start(&[]).await;
    let task = r#"driver = "docker"
      resources {
        memory = 16
      }
      config {
        image   = "drover-scenario:oom"
        command = "/bin/dd"
        args    = ["if=/dev/zero", "of=/dev/null", "bs=200M"]
      }"#;
    let run = run(&agent, &job("greedy", NO_RESTART, task)).await;
    assert_eq!(run.code, 1, "{run}\n{}", agent.output());
    assert!(run.err.contains("Exit Code: 137") && run.err.contains("OOM Killed"), "{run}");
    drop(agent);
    engine.docker(&["rmi", "drover-scenario:oom"]);
}

#[tokio::test]
async fn restarts_end_where_the_policy_says_so() {
    let agent = Agent::start(&[]).await;
    let policy = "restart {\nattempts = 2\ninterval = \"1h\"\ndelay = \"0s\"\nmode = \"fail\"\n}\n";
    let run = run(&agent, &job("crashing", policy, &script("echo crash; exit 3"))).await;
    assert_eq!(run.code, 1, "{run}\n{}", agent.output());
    assert_eq!(run.err.matches("Exit Code: 3").count(), 3, "{run}");
    assert!(run.err.contains("Exceeded allowed attempts 2"), "{run}");
    let logs = agent.drover(&["logs", "crashing"]).await;
    assert_eq!(logs.out.matches("crash").count(), 3, "{logs}");
}

#[tokio::test]
async fn a_task_gets_its_signal_and_then_its_time() {
    let agent = Agent::start(&[]).await;
    let polite = "trap 'echo got the signal; exit 0' USR1; while :; do sleep 0.05; done";
    let deaf = "trap '' TERM INT; while :; do sleep 0.05; done";
    let with = |signal: &str, timeout: &str, text: &str| {
        format!("kill_signal = \"{signal}\"\nkill_timeout = \"{timeout}\"\n{}", script(text))
    };
    for (name, task) in [("polite", with("SIGUSR1", "30s", polite)), ("deaf", with("SIGTERM", "300ms", deaf))] {
        let run = run(&agent, &job(name, "", &task)).await;
        assert_eq!(run.code, 0, "{run}\n{}", agent.output());
        let stop = agent.drover(&["job", "stop", name]).await;
        assert_eq!(stop.code, 0, "{stop}");
    }
    let logs = agent.drover(&["logs", "polite"]).await;
    assert!(logs.out.contains("got the signal"), "{logs}");
    assert!(says(&events(&agent, "deaf").await, "Signal: 9"), "{:#?}", events(&agent, "deaf").await);
}

#[tokio::test]
async fn logs_are_rotated_and_keep_their_end() {
    let home = tempfile::tempdir().unwrap();
    let agent = Agent::start(&["-data-dir", &home.path().to_string_lossy()]).await;
    let task = format!("logs {{\nmax_files = 2\nmax_file_size = 1\n}}\n{}", script("seq 1 500000; echo the end"));
    let text = job("chatty", NO_RESTART, &task).replacen("group", "type = \"batch\"\n  group", 1);
    let run = run(&agent, &text).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    let alloc = agent.allocs("chatty").await[0]["ID"].as_str().unwrap_or_default().to_owned();
    let dir = home.path().join("alloc").join(&alloc).join("alloc/logs");
    let sizes: Vec<u64> = std::fs::read_dir(&dir)
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("t.stdout."))
        .map(|entry| entry.metadata().unwrap().len())
        .collect();
    assert!(sizes.len() == 2 && sizes.iter().all(|size| *size <= 1 << 20), "{sizes:?}");
    let logs = agent.drover(&["alloc", "logs", &alloc]).await;
    assert!(logs.out.ends_with("500000\nthe end\n"), "the end is missing: {} bytes", logs.out.len());
}
