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

#[tokio::test]
async fn volumes_of_the_host_are_mounted_and_outlive_their_users() {
    // Given a node with two volumes, one of which nobody may write to
    let engine = Engine::with_web_image("drover-scenario:volumes", 80, "unused");
    let volumes = tempfile::tempdir().unwrap();
    let path_of = |name: &str| volumes.path().join(name);
    for name in ["data", "given"] {
        std::fs::create_dir(path_of(name)).unwrap();
    }
    std::fs::write(path_of("given").join("note"), "from the host\n").unwrap();
    let volume = |name: &str, more: &str| {
        format!("  host_volume {name:?} {{\n    path = {:?}\n{more}  }}\n", path_of(name).display().to_string())
    };
    let config = format!("client {{\n{}{}}}\n", volume("data", ""), volume("given", "    read_only = true\n"));
    let (_config_dir, config) = job_file(&config);
    let agent = Agent::start(&["-config", &config]).await;

    // When a job mounts both, then it keeps what it writes to the one, and cannot write to the other
    let (_dir, file) = job_file(&VOLUMES.replace("SOURCE", "data"));
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    let logs = agent.drover(&["logs", "volumes"]).await;
    assert!(logs.out.contains("from the host"), "{logs}");
    assert_eq!(std::fs::read_to_string(path_of("data").join("written")).unwrap(), "by the task\n");

    // When a job asks for a volume that no node has, then it is told what is missing
    let (_other_dir, file) = job_file(&VOLUMES.replace("SOURCE", "elsewhere").replace("\"volumes\"", "\"lost\""));
    let lost = agent.drover(&["job", "run", &file]).await;
    assert_eq!(lost.code, 2, "{lost}");
    assert!(lost.err.contains("Of host volumes [\"given\", \"elsewhere\"] one is missing on 1 node"), "{lost}");

    // When a driver that cannot mount is to mount, then the job is refused
    let raw = VOLUMES.replace("SOURCE", "data").replace("\"docker\"", "\"raw_exec\"").replace("image", "# image");
    let (_raw_dir, file) = job_file(&raw);
    let refused = agent.drover(&["job", "run", &file]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.err.contains("driver \"raw_exec\" cannot mount volumes"), "{refused}");
    drop(agent);
    engine.docker(&["rmi", "drover-scenario:volumes"]);
}

const VOLUMES: &str = r#"job "volumes" {
  type = "batch"
  group "g" {
    volume "kept" {
      type   = "host"
      source = "SOURCE"
    }
    volume "given" {
      type      = "host"
      source    = "given"
      read_only = true
    }
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
        image   = "drover-scenario:volumes"
        command = "/bin/sh"
        args    = ["-c", "echo by the task > /data/written && ! touch /given/no && cat /given/note"]
      }
      volume_mount {
        volume      = "kept"
        destination = "/data"
      }
      volume_mount {
        volume      = "given"
        destination = "/given"
      }
    }
  }
}
"#;

#[tokio::test]
async fn a_volume_without_its_directory_is_told_before_anything_starts() {
    let agent = Agent::start(&[]).await;
    let (_dir, config) = job_file("client {\n  host_volume \"data\" {\n    path = \"/no/such/place\"\n  }\n}\n");
    let refused = agent.drover(&["agent", "-dev", "-http-port", "0", "-dns-port", "0", "-config", &config]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.err.contains("\"data\"") && refused.err.contains("mkdir -p /no/such/place"), "{refused}");
}
