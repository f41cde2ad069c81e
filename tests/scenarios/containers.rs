//! Containers of a real engine.

use std::time::{Duration, Instant};

use scenarios::{Agent, Engine, example, job_file, on_an_island};

/// How long a dead container may stay in DNS: far less than the interval of its check, 10 s, for its end is what counts.
const OUT_OF_DNS: Duration = Duration::from_secs(5);

#[test]
fn a_job_in_the_old_spelling_runs_and_heals() {
    // Given an image of the name that the listing asks for, in an engine where nobody else has one
    on_an_island(|engine| async move {
        engine.build_web_image("nginx:latest", 80, "hello");
        let (_dir, config) = job_file(&endpoint_of(&engine));
        let agent = Agent::start(&["-config", &config]).await;
        heals(&engine, &agent).await;
    });
}

/// The agent's configuration for another engine than the machine's.
fn endpoint_of(engine: &Engine) -> String {
    format!("plugin \"docker\" {{\n  config {{\n    endpoint = \"{}\"\n  }}\n}}\n", engine.endpoint())
}

async fn heals(engine: &Engine, agent: &Agent) {
    // When it is run, then three copies run, pass their checks and are in DNS
    let file = example("web-app.nomad.hcl");
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    assert!(run.out.contains("3/3 checks passing"), "{run}");
    assert!(run.err.contains("old spelling"), "{run}");
    assert_eq!(agent.healthy("web-app").await, 3);
    assert_eq!(instances(agent).await, 3);

    // When one container is killed and another removed by hand, then each is out of DNS at once
    let mut lost = Vec::new();
    for (by_hand, left) in [(&["kill"][..], 2), (&["rm", "-f"], 1)] {
        let victim = agent.allocs("web-app").await[left]["ID"].as_str().unwrap_or_default().to_owned();
        let container = engine.containers_of(&victim).remove(0);
        engine.docker(&[by_hand, &[container.as_str()]].concat());
        let dead = Instant::now();
        agent.wait("one instance less", async |agent| instances(agent).await == left).await;
        assert!(dead.elapsed() < OUT_OF_DNS, "{by_hand:?}: out of DNS only after {:?}", dead.elapsed());
        lost.push((victim, container));
    }
    // And then both are replaced and come back
    agent.wait("three instances again", async |agent| instances(agent).await == 3).await;
    for (victim, container) in lost {
        assert!(!engine.containers_of(&victim).contains(&container), "the same container");
    }
}

async fn instances(agent: &Agent) -> usize {
    agent.dig("web-app.service.drover", "SRV").await.len()
}

#[tokio::test]
async fn containers_reach_each_other_by_plain_name() {
    let engine = Engine::with_web_image("drover-scenario:names", 80, "I am other");
    let agent = Agent::start_alone(&[]).await;
    one_fetches_the_other(&agent).await;
    drop(agent);
    engine.docker(&["rmi", "drover-scenario:names"]);
}

#[test]
fn containers_reach_each_other_by_plain_name_without_a_network() {
    on_an_island(|engine| async move {
        engine.build_web_image("drover-scenario:names", 80, "I am other");
        let (_dir, config) = job_file(&endpoint_of(&engine));
        let agent = Agent::start(&["-config", &config]).await;
        one_fetches_the_other(&agent).await;
    });
}

/// Runs two web servers, one on a static host port and one that is reached inside its own network, and a job that
/// fetches both by their plain names.
async fn one_fetches_the_other(agent: &Agent) {
    assert!(agent.output().contains(":53 "), "no DNS on the container bridge:\n{}", agent.output());
    for (name, port, service) in [
        ("other", "static = 8080", "port = \"http\""),
        ("inside", "", "port = \"http\"\n      address_mode = \"driver\""),
    ] {
        let job = format!(
            r#"job "{name}" {{
  group "g" {{
    network {{
      port "http" {{
        to = 80
        {port}
      }}
    }}
    service {{
      name = "{name}"
      {service}
    }}
    task "t" {{
      driver = "docker"
      config {{
        image = "drover-scenario:names"
        ports = ["http"]
      }}
    }}
  }}
}}
"#
        );
        let (_dir, file) = job_file(&job);
        let run = agent.drover(&["job", "run", &file]).await;
        assert_eq!(run.code, 0, "{name}: {run}\n{}", agent.output());
    }
    let (_dir, file) = job_file(FETCH);
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    let logs = agent.drover(&["logs", "fetch"]).await;
    assert_eq!(logs.out.matches("I am other").count(), 2, "{logs}");
}

const FETCH: &str = r#"job "fetch" {
  type = "batch"
  group "g" {
    restart {
      attempts = 0
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "t" {
      driver = "docker"
      config {
        image   = "drover-scenario:names"
        command = "/bin/sh"
        args    = ["-c", "wget -qO- http://other:8080/ && wget -qO- http://inside/"]
      }
    }
  }
}
"#;
