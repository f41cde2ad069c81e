//! What the README promises, done as it says.

use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scenarios::{Agent, binary, on_an_island, wait_until, workspace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

#[test]
fn the_quickstart_ends_with_urls_that_answer_and_a_name() {
    on_an_island(|engine| async move {
        // When the first command of the README is run (without optimising, for the sake of the test's time)
        let output = Command::new("./quickstart")
            .current_dir(workspace())
            .env("DOCKER_HOST", engine.endpoint())
            .env("PROFILE", "dev")
            .env("CARGO_TARGET_DIR", binary("drover").ancestors().nth(2).expect("<target>/<profile>/drover"))
            .stdin(Stdio::null())
            .output()
            .await
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("     docker "), "not in containers: {said}");
        let after = |words: &str| {
            let found = said.split(words).nth(1).and_then(|rest| rest.split_whitespace().next());
            found.unwrap_or_else(|| panic!("{words:?} is missing in {said}")).to_owned()
        };
        let agent: i32 = after("kill ").parse().expect("a process id");

        // Then its URLs answer, its name lists three ports and the node's address
        let urls: Vec<&str> = said.lines().filter_map(|line| line.trim().strip_prefix("→ http://")).collect();
        assert_eq!(urls.len(), 3, "{said}");
        for url in &urls {
            assert!(get(url).await.lines().next().is_some_and(|line| line.contains(" 200 ")), "{url} does not answer");
        }
        let srv = dig("web.service.drover", "SRV").await;
        assert_eq!(srv.lines().count(), 3, "{srv}");
        let address = urls[0].split(':').next().expect("an address");
        assert_eq!(dig("web.service.drover", "A").await.trim(), address);

        // And what it says about stopping is true
        kill(Pid::from_raw(agent), Signal::SIGTERM).expect("it runs");
        let gone = format!("/proc/{agent}");
        wait_until("the agent's end", async || !Path::new(&gone).exists()).await;
        assert_eq!(engine.docker(&["ps", "-aq"]), "");
    });
}

async fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

async fn dig(name: &str, kind: &str) -> String {
    let dig = Command::new("dig").args(["@127.0.0.1", "-p", "8600", "+short", name, kind]).output().await;
    String::from_utf8_lossy(&dig.expect("dig is installed").stdout).into_owned()
}

#[tokio::test]
async fn the_printed_run_of_the_web_job_is_what_it_prints() {
    let readme = std::fs::read_to_string(workspace().join("README.md")).expect("a README");
    let block = readme.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let (command, printed) = block.split_once('\n').expect("a command and what it prints");
    let arguments: Vec<String> = command
        .trim_start_matches("$ drover ")
        .split_whitespace()
        .map(|word| word.replace("target/debug/hello-web", &binary("hello-web").to_string_lossy()))
        .map(|word| word.replace("jobspecs/", &format!("{}/jobspecs/", workspace().display())))
        .collect();
    let agent = Agent::start(&["-node", "vm"]).await;
    let run = agent.drover(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(run.code, 0, "{run}\n{}", agent.output());
    // The first copy may answer before the last one has started.
    let lines = |text: &str| {
        let mut lines: Vec<String> = without_numbers(text).lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines(&run.out), lines(printed));
}

/// Addresses, ports and times vary.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }) {
        if !(c == '0' && out.ends_with('0')) {
            out.push(c);
        }
    }
    out
}
