//! Every "no" comes with its reasons, and the exit code tells the truth.

use scenarios::{Agent, job_file};

fn job(body: &str, task: &str) -> String {
    format!(
        "job \"no\" {{\n  {body}\n  group \"g\" {{\n    restart {{\n      attempts = 0\n      mode     = \"fail\"\n    }}\n    \
         reschedule {{\n      attempts  = 0\n      unlimited = false\n    }}\n    task \"t\" {{\n      {task}\n    }}\n  }}\n}}\n"
    )
}

#[tokio::test]
async fn refused_jobs_say_why() {
    let agent = Agent::start(&[]).await;
    let sleep =
        "driver = \"raw_exec\"\n      config {\n        command = \"/bin/sleep\"\n        args    = [\"1\"]\n      }";
    let cases: [(&str, String, i32, &[&str]); 5] = [
        (
            "an impossible constraint",
            job("constraint {\n    attribute = \"${attr.kernel.name}\"\n    value     = \"plan9\"\n  }", sleep),
            2,
            &["plan9", "help:"],
        ),
        (
            "more memory than there is",
            job("", &format!("{sleep}\n      resources {{\n        memory = 99999999\n      }}")),
            2,
            &["memory"],
        ),
        (
            "a command that exits 1",
            job(
                "",
                "driver = \"raw_exec\"\n      config {\n        command = \"/bin/sh\"\n        args    = [\"-c\", \"echo broken pipe dream >&2; exit 1\"]\n      }",
            ),
            1,
            &["Exit Code: 1", "broken pipe dream"],
        ),
        (
            "a command that is not there",
            job("", "driver = \"raw_exec\"\n      config {\n        command = \"/no/such/program\"\n      }"),
            1,
            &["/no/such/program"],
        ),
        ("a typo", job("", &sleep.replace("config", "confg")), 1, &["confg", "did you mean", "config"]),
    ];
    for (case, text, code, words) in cases {
        let (_dir, file) = job_file(&text);
        let run = agent.drover(&["job", "run", &file]).await;
        assert_eq!(run.code, code, "{case}: {run}\n{}", agent.output());
        let said = format!("{}{}", run.out, run.err);
        for word in words {
            assert!(said.contains(word), "{case}: {word:?} is missing in {run}");
        }
        agent.drover(&["job", "stop", "-purge", "no"]).await;
    }
}

#[tokio::test]
async fn a_system_job_that_no_node_qualifies_for_is_not_placed() {
    let agent = Agent::start(&[]).await;
    for kind in ["system", "sysbatch"] {
        let (_dir, file) = job_file(&format!(
            "job \"no\" {{\n  type = \"{kind}\"\n  constraint {{\n    attribute = \"${{attr.kernel.name}}\"\n    value = \
             \"plan9\"\n  }}\n  group \"g\" {{\n    task \"t\" {{\n      driver = \"raw_exec\"\n      config {{\n        \
             command = \"/bin/true\"\n      }}\n    }}\n  }}\n}}\n"
        ));
        let run = agent.drover(&["job", "run", &file]).await;
        assert_eq!((run.code, run.out.contains("healthy")), (2, false), "{kind}: {run}\n{}", agent.output());
        agent.drover(&["job", "stop", "-purge", "no"]).await;
    }
}

#[tokio::test]
async fn a_missing_image_says_why() {
    let agent = Agent::start(&[]).await;
    let (_dir, file) =
        job_file(&job("", "driver = \"docker\"\n      config {\n        image = \"drover-no-such-image:1\"\n      }"));
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 1, "{run}\n{}", agent.output());
    assert!(format!("{}{}", run.out, run.err).contains("drover-no-such-image:1"), "{run}");
}

#[tokio::test]
async fn a_port_taken_by_another_program_is_told_with_its_holder() {
    // Given a program outside drover that listens on a port of the node's address
    let agent = Agent::start(&[]).await;
    let node = agent.get("/v1/nodes").await;
    let address = node[0]["Address"].as_str().unwrap_or_default();
    let taken = std::net::TcpListener::bind((address, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let network =
        format!("network {{\n      port \"http\" {{\n        static = {port}\n      }}\n    }}\n    restart {{");
    let sleep = "driver = \"raw_exec\"\n      config {\n        command = \"/bin/sleep\"\n        args    = [\"1000\"]\n      }";
    let docker = "driver = \"docker\"\n      config {\n        image = \"any:1\"\n        ports = [\"http\"]\n      }";

    // When a job wants that port, as a process or as a container, then it fails at once and names who has it
    for task in [sleep, docker] {
        let (_dir, file) = job_file(&job("", task).replace("restart {", &network));
        let run = agent.drover(&["job", "run", &file]).await;
        assert_eq!(run.code, 1, "{run}\n{}", agent.output());
        for word in [&port.to_string(), &format!("(pid {})", std::process::id()), "stop that, or choose another port"] {
            assert!(run.err.contains(word), "{word:?} is missing in {run}");
        }
        agent.drover(&["job", "stop", "-purge", "no"]).await;
    }
}

#[tokio::test]
async fn without_an_engine_a_container_is_not_placed() {
    let (_dir, config) = job_file("plugin \"docker\" {\n  config {\n    endpoint = \"unix:///no/such.sock\"\n  }\n}\n");
    let agent = Agent::start(&["-config", &config]).await;
    let (_dir, file) = job_file(&job("", "driver = \"docker\"\n      config {\n        image = \"any:1\"\n      }"));
    let run = agent.drover(&["job", "run", &file]).await;
    assert_eq!(run.code, 2, "{run}\n{}", agent.output());
    for word in ["docker", "unix:///no/such.sock", "there is no such socket", "apt-get install docker.io"] {
        assert!(run.err.contains(word), "{word:?} is missing in {run}");
    }
}

#[tokio::test]
async fn without_a_server_the_command_line_says_what_to_do() {
    let agent = Agent::start(&[]).await;
    let status = agent.drover(&["job", "status", "-address", "http://127.0.0.1:1"]).await;
    assert_eq!(status.code, 1);
    assert!(status.err.contains("drover agent -dev"), "{status}");
}
