//! kill -9 of the agent: no acknowledged write is lost, no running task is touched.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use scenarios::{Agent, binary, example, job_file};
use serde_json::{Value, json};

#[tokio::test]
async fn acknowledged_jobs_and_running_tasks_survive_a_crash() {
    let home = tempfile::tempdir().unwrap();
    let data_dir = home.path().to_string_lossy().into_owned();
    let mut agent = Agent::start(&["-data-dir", &data_dir]).await;
    let command = format!("command={}", binary("hello-web").display());
    let run = agent.drover(&["job", "run", "-var", &command, &example("web-raw.nomad.hcl")]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    let before = ports(&agent).await;

    let acknowledged = Arc::new(std::sync::Mutex::new(Vec::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let mut writers = Vec::new();
    for writer in 0..4 {
        let (api, acknowledged, count) = (agent.api.clone(), acknowledged.clone(), count.clone());
        writers.push(tokio::spawn(async move {
            for number in 0..50 {
                let id = format!("job-{writer}-{number}");
                if api.put::<Value>("/v1/jobs", &stored_job(&id)).await.is_err() {
                    return;
                }
                acknowledged.lock().unwrap().push(id);
                count.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    scenarios::wait_until("half of the registrations", async || count.load(Ordering::SeqCst) >= 100).await;
    agent.kill_9();
    for writer in writers {
        writer.await.unwrap();
    }

    let mut agent = agent.start_again().await;
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() >= 100);
    for id in &acknowledged {
        assert_eq!(agent.get(&format!("/v1/job/{id}")).await["ID"], id.as_str());
    }
    agent.wait("three healthy copies", async |agent| agent.healthy("web").await == 3).await;
    assert_eq!(ports(&agent).await, before, "the same copies go on");
    let pids: Vec<String> = agent.allocs("web").await.iter().map(|alloc| alloc["TaskStates"].to_string()).collect();
    assert!(pids.iter().all(|states| !states.contains("Restarting")), "a task was restarted: {pids:?}");
    let stop = agent.drover(&["job", "stop", "-purge", "web"]).await;
    assert_eq!(stop.code, 0, "{stop}");
    agent.interrupt().await;
}

#[tokio::test]
async fn a_dev_agent_leaves_nothing_behind() {
    let mut agent = Agent::start(&[]).await;
    let (_dir, file) = job_file(
        "job \"sleeper\" {\n  group \"g\" {\n    task \"t\" {\n      driver = \"raw_exec\"\n      config {\n        command = \
         \"/bin/sleep\"\n        args = [\"98765\"]\n      }\n    }\n  }\n}\n",
    );
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    assert_eq!(sleepers(), 1);
    assert_eq!(agent.interrupt().await, 0);
    assert_eq!(sleepers(), 0);
}

/// Processes called `sleep 98765`.
fn sleepers() -> usize {
    let processes = std::fs::read_dir("/proc").expect("a mounted /proc").flatten();
    processes
        .filter(|dir| std::fs::read(dir.path().join("cmdline")).is_ok_and(|line| line == b"/bin/sleep\x0098765\0"))
        .count()
}

async fn ports(agent: &Agent) -> Vec<u64> {
    let instances = agent.get("/v1/service/web").await;
    let mut ports: Vec<u64> = instances.as_array().expect("a list").iter().filter_map(|i| i["Port"].as_u64()).collect();
    ports.sort_unstable();
    ports
}

/// A job that wants no copies.
fn stored_job(id: &str) -> Value {
    json!({ "Job": { "ID": id, "Name": id, "Type": "service", "TaskGroups": [{
        "Name": "g", "Count": 0,
        "Tasks": [{ "Name": "t", "Driver": "raw_exec", "Config": { "command": "/bin/true" } }],
    }]}})
}
