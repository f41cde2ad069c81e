//! kill -9 of the agent: no acknowledged write is lost, no running task is touched.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use scenarios::{Agent, Engine, binary, example, job_file, processes_with, wait_until};
use serde_json::{Value, json};

/// Registrations, and how many of them are acknowledged before the agent dies.
const WRITERS: usize = 4;
const OF_EACH: usize = 50;
const BEFORE_THE_END: usize = 100;
const IMAGE: &str = "drover-scenario:durability";

#[tokio::test]
async fn acknowledged_jobs_and_running_tasks_survive_a_crash() {
    // Given a web job, and two tasks that count aloud, one a process and one a container
    let engine = Engine::with_web_image(IMAGE, 80, "hello");
    let home = tempfile::tempdir().unwrap();
    let data_dir = home.path().to_string_lossy().into_owned();
    let mut agent = Agent::start(&["-data-dir", &data_dir]).await;
    let marker = format!("counts-of-{}", std::process::id());
    let command = format!("command={}", binary("hello-web").display());
    let run = agent.drover(&["job", "run", "-var", &command, &example("web-raw.nomad.hcl")]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    let (_dir, file) = job_file(&counters(&marker));
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    let before = Running::look(&agent, &engine, &marker).await;
    assert_eq!((before.ports.len(), before.pids.len(), before.containers.len()), (3, 1, 1), "{before:?}");

    // When the agent is killed amid registrations, and started again
    let acknowledged = kill_amid_registrations(&mut agent).await;
    let mut agent = agent.start_again().await;

    // Then every acknowledged job is there
    assert!(acknowledged.len() >= BEFORE_THE_END);
    for id in &acknowledged {
        assert_eq!(agent.get(&format!("/v1/job/{id}")).await["ID"], id.as_str());
    }
    // And what ran goes on as it was: nothing was restarted, nothing runs twice
    agent.wait("three healthy copies", async |agent| agent.healthy("web").await == 3).await;
    agent.wait("counters again", async |agent| agent.healthy("counters").await == 1).await;
    assert_eq!(Running::look(&agent, &engine, &marker).await, before);
    for alloc in agent.allocs("web").await.iter().chain(&agent.allocs("counters").await) {
        assert!(!alloc["TaskStates"].to_string().contains("Restarting"), "a task was restarted: {alloc:#}");
    }
    // And no line of a log was lost or doubled, neither around the crash nor after it
    for task in ["process", "container"] {
        let so_far = counted(&agent, task).await.len();
        agent.wait("more lines", async |agent| counted(agent, task).await.len() > so_far + 50).await;
        let lines = counted(&agent, task).await;
        let wanted: Vec<String> = (1..=lines.len()).map(|number| number.to_string()).collect();
        assert_eq!(lines, wanted, "{task}: lines are lost or doubled");
    }
    for job in ["web", "counters"] {
        let stop = agent.drover(&["job", "stop", "-purge", job]).await;
        assert_eq!(stop.code, 0, "{stop}");
    }
    assert_eq!(processes_with(&marker), Vec::<i32>::new());
    agent.interrupt().await;
    engine.docker(&["rmi", IMAGE]);
}

#[tokio::test]
async fn a_dev_agent_leaves_nothing_behind() {
    // Given a dev agent without a data directory that runs a process and a container
    let engine = Engine::with_web_image("drover-scenario:leaves-nothing", 80, "hello");
    let mut agent = Agent::start(&[]).await;
    let marker = format!("leaves-nothing-{}", std::process::id());
    let (_dir, file) = job_file(&counters(&marker).replace(IMAGE, "drover-scenario:leaves-nothing"));
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    let alloc = agent.allocs("counters").await[0]["ID"].as_str().unwrap_or_default().to_owned();
    let home = state_directory(&agent);
    assert!(home.exists());
    assert_eq!((processes_with(&marker).len(), engine.containers_of(&alloc).len()), (1, 1));

    // When it is interrupted, then nothing is left
    assert_eq!(agent.interrupt().await, 0);
    assert_eq!(processes_with(&marker), Vec::<i32>::new());
    let all = ["ps", "-aq", "--filter", &format!("label=com.hashicorp.nomad.alloc_id={alloc}")];
    assert_eq!(engine.docker(&all), "");
    assert!(!home.exists(), "{} is left", home.display());
    assert_eq!(processes_with(&home.join("supervisor").to_string_lossy()), Vec::<i32>::new());
    engine.docker(&["rmi", "drover-scenario:leaves-nothing"]);
}

#[tokio::test]
async fn an_agent_with_a_data_directory_goes_on_where_it_was() {
    // Given an agent with a data directory and a running task
    let home = tempfile::tempdir().unwrap();
    let data_dir = home.path().to_string_lossy().into_owned();
    let mut agent = Agent::start(&["-data-dir", &data_dir]).await;
    let marker = format!("goes-on-{}", std::process::id());
    let job = format!(
        "job \"sleeper\" {{\n  group \"g\" {{\n    task \"t\" {{\n      driver = \"raw_exec\"\n      config {{\n        command = \
         \"/bin/sh\"\n        args = [\"-c\", \"sleep 1000\", \"{marker}\"]\n      }}\n    }}\n  }}\n}}\n"
    );
    let (_dir, file) = job_file(&job);
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    let pids = processes_with(&marker);

    // When it is interrupted, then the task runs on, and the next agent takes it over
    assert_eq!(agent.interrupt().await, 0);
    assert_eq!(processes_with(&marker), pids);
    let mut agent = agent.start_again().await;
    agent.wait("the task", async |agent| agent.healthy("sleeper").await == 1).await;
    assert_eq!(processes_with(&marker), pids);
    let stop = agent.drover(&["job", "stop", "sleeper"]).await;
    assert_eq!(stop.code, 0, "{stop}");
    assert_eq!(processes_with(&marker), Vec::<i32>::new());
    agent.interrupt().await;
}

/// What runs, in terms of the machine.
#[derive(Debug, PartialEq)]
struct Running {
    ports: Vec<u64>,
    pids: Vec<i32>,
    containers: Vec<String>,
}

impl Running {
    async fn look(agent: &Agent, engine: &Engine, marker: &str) -> Running {
        let instances = agent.get("/v1/service/web").await;
        let mut ports: Vec<u64> =
            instances.as_array().expect("a list").iter().filter_map(|i| i["Port"].as_u64()).collect();
        ports.sort_unstable();
        let allocs = agent.allocs("counters").await;
        let containers = allocs.iter().flat_map(|alloc| engine.containers_of(alloc["ID"].as_str().unwrap_or_default()));
        Running { ports, pids: processes_with(marker), containers: containers.collect() }
    }
}

/// Registers jobs from several connections at once and kills the agent in the middle; the acknowledged ones.
async fn kill_amid_registrations(agent: &mut Agent) -> Vec<String> {
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (api, acknowledged, count) = (agent.api.clone(), acknowledged.clone(), count.clone());
        writers.push(tokio::spawn(async move {
            for number in 0..OF_EACH {
                let id = format!("job-{writer}-{number}");
                if api.put::<Value>("/v1/jobs", &stored_job(&id)).await.is_err() {
                    return;
                }
                acknowledged.lock().expect("no panic while locked").push(id);
                count.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    wait_until("half of the registrations", async || count.load(Ordering::SeqCst) >= BEFORE_THE_END).await;
    agent.kill_9();
    for writer in writers {
        writer.await.expect("a writer gives up without a panic");
    }
    let acknowledged = acknowledged.lock().expect("no panic while locked");
    acknowledged.clone()
}

/// The whole lines that a task of the counters has printed.
async fn counted(agent: &Agent, task: &str) -> Vec<String> {
    let alloc = agent.allocs("counters").await[0]["ID"].as_str().unwrap_or_default().to_owned();
    let logs = agent.drover(&["alloc", "logs", &alloc, task]).await;
    assert_eq!(logs.code, 0, "{logs}");
    let whole = logs.out.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(str::to_owned).collect()
}

fn state_directory(agent: &Agent) -> std::path::PathBuf {
    let output = agent.output();
    let line = output.lines().find_map(|line| line.trim_start().strip_prefix("state")).expect("a banner");
    line.split_whitespace().next().expect("a path").into()
}

/// Two tasks that print 1, 2, 3, ...
fn counters(marker: &str) -> String {
    format!(
        r#"job "counters" {{
  group "g" {{
    task "process" {{
      driver = "raw_exec"
      config {{
        command = "/bin/sh"
        args    = ["-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done", "{marker}"]
      }}
    }}
    task "container" {{
      driver = "docker"
      config {{
        image   = "{IMAGE}"
        command = "/bin/sh"
        args    = ["-c", "i=0; while :; do i=$((i+1)); echo $i; usleep 20000; done"]
      }}
    }}
  }}
}}
"#
    )
}

/// A job that wants no copies.
fn stored_job(id: &str) -> Value {
    json!({ "Job": { "ID": id, "Name": id, "Type": "service", "TaskGroups": [{
        "Name": "g", "Count": 0,
        "Tasks": [{ "Name": "t", "Driver": "raw_exec", "Config": { "command": "/bin/true" } }],
    }]}})
}
