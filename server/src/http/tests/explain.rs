//! Explanations, questions and decisions made again.

use super::harness::Agent;

fn job(id: &str, count: usize, memory: usize) -> String {
    format!(
        r#"{{"Job":{{"ID":"{id}","Name":"{id}","Type":"service","Datacenters":["dc1"],"TaskGroups":[{{"Name":"g",
        "Count":{count},"Networks":[{{"Mode":"host","DynamicPorts":[{{"Label":"http"}}]}}],"Tasks":[{{"Name":"t",
        "Driver":"raw_exec","Config":{{"command":"/bin/true"}},"Resources":{{"CPU":50,"MemoryMB":{memory}}}}}]}}]}}}}"#
    )
}

#[tokio::test]
async fn decisions_come_out_the_same_when_they_are_made_again() {
    let agent = Agent::start().await;
    agent.add_node().await;
    // At once, so that rounds have many plans and commands land between planning and applying.
    let bodies: Vec<String> = (0..40).map(|n| job(&format!("job-{n}"), 1 + n % 3, 32 + n * 40)).collect();
    futures_util::future::join_all(bodies.iter().map(|body| agent.put("/v1/jobs", body))).await;
    agent.settle().await;
    let changed: Vec<String> = (0..40).step_by(3).map(|n| job(&format!("job-{n}"), 2, 600)).collect();
    futures_util::future::join_all(changed.iter().map(|body| agent.put("/v1/jobs", body))).await;
    agent.settle().await;
    let evals = agent.get("/v1/evaluations").await.json();
    let mut replayed = 0;
    for eval in evals.as_array().unwrap().iter().filter(|eval| eval["Status"] == "complete") {
        let answer = agent.get(&format!("/v1/evaluation/{}/replay", eval["ID"].as_str().unwrap())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let replay = answer.json();
        assert_eq!(replay["Equal"], true, "{replay:#}");
        replayed += 1;
    }
    assert!(replayed >= 40, "{replayed}");
    let unknown = agent.get("/v1/evaluation/00000000-0000-0000-0000-000000000001/replay").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("reaches back"), "{}", unknown.text());
}

#[tokio::test]
async fn a_job_says_why_it_is_here_and_not_there() {
    let agent = Agent::start().await;
    agent.add_node().await;
    agent.put("/v1/jobs", &job("small", 1, 100)).await;
    agent.put("/v1/jobs", &job("huge", 1, 1_000_000)).await;
    agent.settle().await;
    let small = agent.get("/v1/job/small/explain?node=node-a").await.json();
    let group = &small["Groups"][0];
    assert_eq!((&group["Node"]["Verdict"], &group["Node"]["Rank"]), (&"fits".into(), &1.into()));
    assert!(group["Now"]["ScoreMetaData"][0]["Scores"]["binpack"].is_number() && group["Recorded"].is_null());
    let huge = agent.get("/v1/job/huge/explain?node=node-a").await.json();
    let group = &huge["Groups"][0];
    assert_eq!(group["Node"]["Verdict"], "exhausted");
    assert_eq!(group["Recorded"]["DimensionExhausted"]["memory"], 1);
    assert!(group["Node"]["Metric"]["Help"][0].as_str().unwrap().contains("memory"), "{group:#}");
    let alloc = agent.get("/v1/job/small/allocations").await.json()[0]["ID"].as_str().unwrap().to_owned();
    let explained = agent.get(&format!("/v1/allocation/{alloc}/explain")).await.json();
    assert_eq!((&explained["NodeName"], &explained["Groups"][0]["Name"]), (&"node-a".into(), &"g".into()));
    assert!(explained["Groups"][0]["Recorded"]["NodesEvaluated"].as_u64() == Some(1));
    assert_eq!(agent.get("/v1/job/small/explain?node=nope").await.status, 404);
    assert_eq!(agent.get("/v1/job/nope/explain").await.status, 404);
}

#[tokio::test]
async fn a_question_is_answered_and_changes_nothing() {
    let agent = Agent::start().await;
    agent.add_node().await;
    agent.put("/v1/jobs", &job("web", 2, 100)).await;
    agent.settle().await;
    let index = agent.server.state().index();
    let down = agent.put("/v1/what-if", r#"{"Down":["node-a"]}"#).await.json();
    assert_eq!((down["Stopped"].as_array().unwrap().len(), &down["Waiting"][0]["Count"]), (2, &2.into()));
    let more = agent.put("/v1/what-if", r#"{"Drain":["node-a"],"Add":{"Count":1,"Like":"node-a"}}"#).await.json();
    assert_eq!(more["Placed"].as_array().unwrap().len(), 2, "{more:#}");
    assert_eq!(agent.server.state().index(), index);
    for wrong in ["{}", r#"{"Add":{"Count":0,"Like":"node-a"}}"#, r#"{"Add":{"Count":99999999,"Like":"node-a"}}"#] {
        assert_eq!(agent.put("/v1/what-if", wrong).await.status, 400, "{wrong}");
    }
    assert_eq!(agent.put("/v1/what-if", r#"{"Down":["nope"]}"#).await.status, 404);
}
