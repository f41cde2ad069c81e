//! What this agent says of itself: settings, membership, health; and the order to collect garbage.

use model::time::Timestamp;
use serde_json::{Value, json};
use state::Op;

use super::call::{Answer, Call};
use super::response::{Content, Reply};
use crate::Server;

/// `GET /v1/agent/self`
pub(super) async fn this(call: Call) -> Answer {
    let server = &call.server;
    let config = server.config();
    let state = server.state();
    let leader = server.leader_addr();
    let number = |value: u64| Value::String(value.to_string());
    let body = json!({
        "config": {
            "ACL": {"Enabled": false},
            "AdvertiseAddrs": {"HTTP": config.advertise_http, "RPC": config.advertise_rpc, "Serf": ""},
            "Client": {"Enabled": server.local_client().is_some()},
            "DataDir": config.data_dir,
            "Datacenter": config.datacenter,
            "NodeName": config.name,
            "Region": config.region,
            "Server": {"Enabled": true, "BootstrapExpect": server.peers().len()},
            "Version": version(),
        },
        "member": member(server),
        "stats": {
            "nomad": {
                "server": "true",
                "leader": server.is_leader().to_string(),
                "leader_addr": leader.unwrap_or_default(),
                "known_regions": "1",
            },
            "raft": {
                "applied_index": number(state.index()),
                "num_peers": number(server.peers().len().saturating_sub(1) as u64),
                "state": if server.is_leader() { "Leader" } else { "Follower" },
            },
            "runtime": {"arch": std::env::consts::ARCH, "kernel.name": std::env::consts::OS, "version": "rust"},
        },
    });
    Ok(Reply::json(&body)?)
}

fn version() -> Value {
    json!({"Version": env!("CARGO_PKG_VERSION"), "VersionPrerelease": "", "VersionMetadata": "", "Revision": ""})
}

fn member(server: &Server) -> Value {
    let config = server.config();
    let (host, port) = config.advertise_rpc.rsplit_once(':').unwrap_or((&config.advertise_rpc, ""));
    json!({
        "Name": format!("{}.{}", config.name, config.region),
        "Addr": host,
        "Port": port.parse::<u16>().unwrap_or(0),
        "Tags": {
            "role": "nomad", "region": config.region, "dc": config.datacenter, "port": port, "rpc_addr": host,
            "build": env!("CARGO_PKG_VERSION"),
        },
        "Status": "alive",
        "ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2,
        "DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4,
    })
}

/// `GET /v1/agent/members`
pub(super) async fn members(call: Call) -> Answer {
    let config = call.server.config();
    let body = json!({
        "ServerName": config.name,
        "ServerRegion": config.region,
        "ServerDC": config.datacenter,
        "Members": [member(&call.server)],
    });
    Ok(Reply::json(&body)?)
}

/// `GET /v1/agent/servers`
pub(super) async fn servers(call: Call) -> Answer {
    Ok(Reply::json(&call.server.peers())?)
}

/// `GET /v1/agent/health`: 500 with the same body when something is wrong.
pub(super) async fn health(call: Call) -> Answer {
    let wanted = call.query.non_empty("type");
    let asked = |part: &str| wanted.is_none_or(|wanted| wanted == part);
    let mut body = serde_json::Map::new();
    let mut healthy = true;
    let mut say = |part: &str, ok: bool, message: &str| {
        healthy &= ok;
        body.insert(part.to_owned(), json!({"ok": ok, "message": if ok { "ok" } else { message }}));
    };
    let has_client = call.server.local_client().is_some();
    // An agent without a client is not ill, so that it is silent unless asked for it alone.
    if asked("client") && (has_client || wanted.is_some()) {
        say("client", has_client, "client not enabled");
    }
    if asked("server") {
        say("server", call.server.leader_addr().is_some(), "no cluster leader");
    }
    let mut reply = Reply::json(&Value::Object(body))?;
    if !healthy {
        reply.status = http::StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(reply)
}

/// `PUT /v1/system/gc`: forgets everything that has ended, whatever its age.
pub(super) async fn collect_garbage(call: Call) -> Answer {
    call.propose(Op::Gc { before: Timestamp(i64::MAX), force: true }).await?;
    Ok(Reply::of(Content::Nothing))
}
