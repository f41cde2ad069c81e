//! The agent's configuration files.

use scenarios::{Agent, job_file};

#[tokio::test]
async fn files_in_hcl_and_json_are_merged_in_order() {
    let (_hcl_dir, hcl) = job_file(
        r#"name       = "alpha"
datacenter = "dc7"
client {
  node_class = "big"
  meta {
    rack = "r1"
    zone = "a"
  }
  reserved {
    memory         = 256
    reserved_ports = "22,8000-8010"
  }
}
plugin "raw_exec" {
  config {
    enabled = false
  }
}
"#,
    );
    let (_json_dir, json) =
        job_file(r#"{ "client": { "meta": { "rack": "r2" } }, "advertise": { "address": "127.0.0.1" } }"#);
    let agent = Agent::start(&["-config", &hcl, "-config", &json]).await;
    let stub = agent.get("/v1/nodes").await[0].clone();
    assert_eq!(
        (&stub["Name"], &stub["Datacenter"], &stub["NodeClass"]),
        (&"alpha".into(), &"dc7".into(), &"big".into())
    );
    assert_eq!(stub["Address"], "127.0.0.1");
    assert_eq!(stub["Drivers"]["raw_exec"]["Healthy"], false);
    let node = agent.get(&format!("/v1/node/{}", stub["ID"].as_str().unwrap_or_default())).await;
    assert_eq!((&node["Meta"]["rack"], &node["Meta"]["zone"]), (&"r2".into(), &"a".into()));
    assert_eq!(node["ReservedResources"]["Memory"]["MemoryMB"], 256);
    assert_eq!(node["ReservedResources"]["Networks"]["ReservedHostPorts"], "22,8000-8010");
}

#[tokio::test]
async fn every_unknown_key_is_named_and_nothing_starts() {
    let agent = Agent::start(&[]).await;
    let (_dir, file) = job_file("nam = \"x\"\nclient {\n  nodeclass = \"a\"\n}\nserver {\n  enable = true\n}\n");
    let refused = agent.drover(&["agent", "-dev", "-http-port", "0", "-dns-port", "0", "-config", &file]).await;
    assert_eq!(refused.code, 1, "{refused}");
    for word in [&file, "\"nam\"", "\"client.nodeclass\"", "did you mean \"client.node_class\"", "\"server.enabled\""] {
        assert!(refused.err.contains(word), "{word:?} is missing in {refused}");
    }
}

#[tokio::test]
async fn a_taken_address_is_told() {
    let agent = Agent::start(&[]).await;
    let port = agent.host().rsplit_once(':').map(|(_, port)| port.to_owned()).unwrap_or_default();
    let second = agent.drover(&["agent", "-dev", "-http-port", &port, "-dns-port", "0"]).await;
    assert_eq!(second.code, 1, "{second}");
    assert!(second.err.contains(agent.host()) && second.err.contains("-http-port"), "{second}");
}
