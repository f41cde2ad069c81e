//! Containers of a real engine.

use scenarios::{Agent, Engine, example, job_file};

#[tokio::test]
async fn a_job_in_the_old_spelling_runs_and_heals() {
    let engine = Engine::with_web_image("nginx:latest", 80, "hello");
    let agent = Agent::start(&[]).await;
    let file = example("web-app.nomad.hcl");
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    assert_eq!(agent.healthy("web-app").await, 3);
    assert_eq!(agent.dig("web-app.service.drover", "SRV").await.len(), 3);

    let victim = agent.allocs("web-app").await[0]["ID"].as_str().unwrap_or_default().to_owned();
    let container = engine.containers_of(&victim);
    engine.docker(&["kill", &container[0]]);
    let out = std::time::Instant::now();
    agent.wait("two instances", async |agent| agent.dig("web-app.service.drover", "SRV").await.len() == 2).await;
    println!("out of DNS after {:?}", out.elapsed());
    agent
        .wait("three instances again", async |agent| agent.dig("web-app.service.drover", "SRV").await.len() == 3)
        .await;
}

#[tokio::test]
async fn containers_reach_each_other_by_plain_name() {
    let engine = Engine::with_web_image("drover-scenario:names", 8080, "I am other");
    let agent = Agent::start_alone(&[]).await;
    if !agent.output().contains(":53 ") {
        panic!("the agent answers no DNS on the container bridge:\n{}", agent.output());
    }
    for (name, network, service) in [
        ("other", "port \"http\" {\n  static = 8080\n  to = 8080\n}", "port = \"http\""),
        ("inside", "port \"http\" {\n  to = 8080\n}", "port = \"8080\"\naddress_mode = \"driver\""),
    ] {
        let job = format!(
            "job \"{name}\" {{\ngroup \"g\" {{\nnetwork {{\n{network}\n}}\nservice {{\nname = \"{name}\"\n{service}\n}}\n\
             task \"t\" {{\ndriver = \"docker\"\nconfig {{\nimage = \"drover-scenario:names\"\nports = [\"http\"]\n}}\n}}\n}}\n}}\n"
        );
        let (_dir, file) = job_file(&job);
        let run = agent.drover(&["job", "run", &file]).await;
        assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    }
    let fetch = "job \"fetch\" {\ntype = \"batch\"\ngroup \"g\" {\nrestart {\nattempts = 0\n}\nreschedule {\nattempts = 0\nunlimited = false\n}\n\
                 task \"t\" {\ndriver = \"docker\"\nconfig {\nimage = \"drover-scenario:names\"\ncommand = \"/bin/sh\"\n\
                 args = [\"-c\", \"wget -qO- http://other:8080/ && wget -qO- http://inside:8080/\"]\n}\n}\n}\n}\n";
    let (_dir, file) = job_file(fetch);
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    let logs = agent.drover(&["logs", "fetch"]).await;
    assert_eq!(logs.out.matches("I am other").count(), 2, "{logs}");
    drop(agent);
    engine.docker(&["rmi", "drover-scenario:names"]);
}
