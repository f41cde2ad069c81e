//! What writes do, and what reads see of it.

use std::time::Duration;

use super::harness::Agent;

const WEB: &str = r#"{"Job":{"ID":"team/web","Name":"web","Type":"service","Datacenters":["dc1"],"TaskGroups":[{"Name":"g",
    "Count":1,"Tasks":[{"Name":"t","Driver":"raw_exec","Config":{"command":"/bin/true"},"Resources":{"CPU":50,"MemoryMB":32}}]}]}}"#;

#[tokio::test]
async fn a_registered_job_is_listed_read_and_stopped() {
    let agent = Agent::start().await;
    let written = agent.put("/v1/jobs", WEB).await;
    assert_eq!(written.status, 200, "{}", written.text());
    let index = written.json()["JobModifyIndex"].as_u64().unwrap();
    assert_eq!(written.header("x-nomad-index"), Some(index.to_string().as_str()));
    assert_eq!(agent.get("/v1/jobs").await.json()[0]["ID"], "team/web");
    assert_eq!(agent.get("/v1/job/team%2Fweb").await.json()["Name"], "web");
    assert_eq!(agent.get("/v1/job/team/web/summary").await.json()["JobID"], "team/web");
    agent.settle().await;
    let evals = agent.get("/v1/job/team/web/evaluations").await.json();
    let triggers: Vec<&str> =
        evals.as_array().unwrap().iter().filter_map(|eval| eval["TriggeredBy"].as_str()).collect();
    assert_eq!(triggers, ["queued-allocs", "job-register"], "newest first");
    let stopped = agent.send("DELETE", "/v1/job/team/web", &[], "").await;
    assert_eq!(stopped.status, 200);
    assert_eq!(agent.get("/v1/job/team/web").await.json()["Stop"], true);
    let purged = agent.send("DELETE", "/v1/job/team/web?purge=true", &[], "").await;
    assert_eq!(purged.status, 200);
    assert_eq!(agent.get("/v1/job/team/web").await.status, 404);
    assert_eq!(agent.send("DELETE", "/v1/job/nope", &[], "").await.json()["Index"], 0);
}

#[tokio::test]
async fn a_lost_race_is_refused() {
    let agent = Agent::start().await;
    agent.put("/v1/jobs", WEB).await;
    let with = |index: u64| WEB.replacen("{", &format!("{{\"EnforceIndex\":true,\"JobModifyIndex\":{index},"), 1);
    for wrong in [0, 99_999] {
        let answer = agent.put("/v1/jobs", &with(wrong)).await;
        assert_eq!(answer.status, 500, "{}", answer.text());
    }
    let index = agent.get("/v1/job/team/web").await.json()["JobModifyIndex"].as_u64().unwrap();
    assert_eq!(agent.put("/v1/jobs", &with(index)).await.status, 200);
    assert_eq!(agent.put("/v1/job/other", WEB).await.status, 400);
}

#[tokio::test]
async fn a_blocking_query_answers_when_something_changes() {
    let agent = Agent::start().await;
    agent.put("/v1/jobs", WEB).await;
    agent.settle().await;
    let index = agent.get("/v1/jobs").await.header("x-nomad-index").unwrap().to_owned();
    let path = format!("/v1/jobs?index={index}&wait=60s");
    let other = WEB.replace("team/web", "other");
    let (blocked, written) = tokio::join!(agent.get(&path), agent.put("/v1/jobs", &other));
    assert_eq!(written.status, 200);
    assert_eq!(blocked.json().as_array().map(Vec::len), Some(2));
    let started = std::time::Instant::now();
    let late = agent.get("/v1/job/nope?index=99999&wait=100ms").await;
    assert_eq!(late.status, 404);
    assert!(started.elapsed() >= Duration::from_millis(100) && late.header("x-nomad-index").is_some());
}

#[tokio::test]
async fn answers_are_compressed_and_redirected_as_nomad_does() {
    let agent = Agent::start().await;
    let zipped = agent.send("GET", "/v1/regions", &[("Accept-Encoding", "gzip")], "").await;
    assert_eq!((zipped.header("content-encoding"), &zipped.body[..2]), (Some("gzip"), &[0x1f, 0x8b][..]));
    let moved = agent.get("//v1//jobs?prefix=a").await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (307, Some("/v1/jobs?prefix=a")));
    let head = agent.send("HEAD", "/v1/jobs", &[], "").await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (405, Some("14")));
    let unknown = agent.get("/v1/nothing").await;
    assert_eq!((unknown.status.as_u16(), unknown.body.len(), unknown.header("content-type")), (404, 0, None));
}

#[tokio::test]
async fn a_placed_job_has_allocations_logs_and_restarts() {
    let agent = Agent::start().await;
    agent.add_node().await;
    agent.put("/v1/jobs", WEB).await;
    agent.settle().await;
    let stubs = agent.get("/v1/job/team/web/allocations").await.json();
    let id = stubs[0]["ID"].as_str().expect("one allocation").to_owned();
    assert_eq!(stubs[0]["ClientStatus"], "running");
    let full = agent.get(&format!("/v1/allocation/{id}")).await.json();
    assert_eq!(full["Job"]["ID"], "team/web");
    assert_eq!(full["TaskStates"]["t"]["Events"][1]["ExitCode"], 7);
    let plain = agent.get(&format!("/v1/client/fs/logs/{id}?task=t&type=stdout&plain=true")).await;
    assert_eq!((plain.text().as_str(), plain.header("content-type")), ("hello\n", Some("text/plain")));
    let restarted = agent.put(&format!("/v1/client/allocation/{id}/restart"), r#"{"TaskName":"t"}"#).await;
    assert_eq!(restarted.status, 200, "{}", restarted.text());
    let stopped = agent.put(&format!("/v1/allocation/{id}/stop"), "").await;
    assert_eq!(stopped.status, 200, "{}", stopped.text());
    let node = agent.get("/v1/nodes").await.json()[0]["ID"].as_str().unwrap().to_owned();
    assert_eq!(agent.get(&format!("/v1/node/{node}")).await.json()["SecretID"], "");
    let plan = agent.put("/v1/job/team/web/plan", WEB).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    assert!(plan.json()["Annotations"]["DesiredTGUpdates"]["g"].is_object());
}
