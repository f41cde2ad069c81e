//! Plain programs: the web job with raw_exec.

use scenarios::{Agent, binary, example};

fn web_job() -> Vec<String> {
    let command = format!("command={}", binary("hello-web").display());
    ["job", "run", "-var", &command, &example("web-raw.nomad.hcl")].map(str::to_owned).to_vec()
}

async fn run_web(agent: &Agent) {
    let arguments = web_job();
    let run = agent.drover(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    assert!(run.out.contains("http://"), "no address in {run}");
    assert!(run.out.contains("web.service.drover"), "no name in {run}");
}

#[tokio::test]
async fn a_job_runs_answers_and_has_a_name() {
    let mut agent = Agent::start(&[]).await;
    run_web(&agent).await;
    assert_eq!(agent.healthy("web").await, 3);
    assert_eq!(agent.dig("web.service.drover", "SRV").await.len(), 3);
    let nodes = agent.get("/v1/nodes").await;
    assert_eq!(agent.dig("web.service.drover", "A").await[0], nodes[0]["Address"].as_str().unwrap_or_default());
    assert_eq!(agent.dig("nothing.service.drover", "A").await, Vec::<String>::new());

    let stop = agent.drover(&["job", "stop", "web"]).await;
    assert_eq!(stop.code, 0, "{stop}");
    agent.wait("an empty catalog", async |agent| agent.dig("web.service.drover", "SRV").await.is_empty()).await;
    assert_eq!(agent.interrupt().await, 0);
}

#[tokio::test]
async fn a_killed_process_leaves_the_catalog_and_comes_back() {
    let agent = Agent::start(&[]).await;
    run_web(&agent).await;
    let instances = agent.get("/v1/service/web").await;
    let port = instances[0]["Port"].as_u64().unwrap_or_default();
    let pid = listener_of(port as u16);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    agent.wait("two instances", async |agent| agent.dig("web.service.drover", "SRV").await.len() == 2).await;
    agent.wait("three instances again", async |agent| agent.dig("web.service.drover", "SRV").await.len() == 3).await;
}

/// The process that listens on a TCP port of this machine.
fn listener_of(port: u16) -> i32 {
    let wanted = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a mounted /proc");
    let inode = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|cells| cells.len() > 9 && cells[1].ends_with(&wanted) && cells[3] == "0A")
        .map(|cells| format!("socket:[{}]", cells[9]))
        .unwrap_or_else(|| panic!("nobody listens on port {port}"));
    for process in std::fs::read_dir("/proc").expect("a mounted /proc").flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse::<i32>() else { continue };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        if files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|link| link.to_string_lossy() == inode))
        {
            return pid;
        }
    }
    panic!("no process has the socket of port {port}")
}
