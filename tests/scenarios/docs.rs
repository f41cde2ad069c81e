//! The page on scheduling says what is true: its commands run on a real agent, in order, and print what it shows.
//! `BLESS=1 cargo test -p scenarios docs` writes their output anew into the page.

use scenarios::{Agent, binary, workspace};

/// Numbers and ids vary with the machine.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, c)) if !c.is_ascii_alphanumeric() => word.split_at(at),
            _ => (word, ""),
        };
        let varies =
            word.bytes().any(|byte| byte.is_ascii_digit()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        out.push_str(if varies { "0" } else { word });
        out.push_str(end);
    }
    out.replace(' ', "")
}

async fn nothing_pends(agent: &Agent) -> bool {
    let evals = agent.get("/v1/evaluations").await;
    evals.as_array().is_some_and(|evals| evals.iter().all(|eval| eval["Status"] != "pending"))
}

#[tokio::test]
async fn the_page_on_scheduling_is_true() {
    let path = workspace().join("docs/scheduling.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let agent = Agent::start(&["-node", "vm"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let programs = binary("drover").parent().expect("target/debug").display().to_string();
    let run = async |command: &str| {
        let output = tokio::process::Command::new("/bin/sh")
            .current_dir(folder.path())
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
            .env("NO_COLOR", "1")
            .env("DROVER_ADDR", &agent.address)
            .args(["-c", &format!("exec 2>&1; {command}")])
            .output();
        String::from_utf8_lossy(&output.await.expect("a shell").stdout).into_owned()
    };
    let mut shown = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        shown.push_str(&format!("{line}\n"));
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match info.strip_prefix("hcl write=") {
            Some(name) => {
                std::fs::write(folder.path().join(name), body.join("\n")).expect("a job file");
                shown.push_str(&format!("{}\n", body.join("\n")));
            }
            None => {
                assert_eq!(info, "console", "run or write blocks of {info:?}");
                let command = body[0].strip_prefix("$ ").expect("a command");
                shown.push_str(&format!("$ {command}\n{}", run(command).await));
                agent.wait("every evaluation to be planned", nothing_pends).await;
            }
        }
        shown.push_str("```\n");
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &shown).expect("the page");
    }
    let page = std::fs::read_to_string(&path).expect("the page");
    assert_eq!(
        without_numbers(&page),
        without_numbers(&shown),
        "BLESS=1 writes what is true; agent:\n{}",
        agent.output()
    );
}

#[test]
fn the_page_lists_what_is_deliberately_not_as_recorded() {
    let page = std::fs::read_to_string(workspace().join("docs/scheduling.md")).expect("the page");
    let list = workspace().join("server/scheduler/src/tests/oddities.tsv");
    for line in std::fs::read_to_string(list).expect("the list").lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let row = format!("| `{}`, `{}` | {} |", cells[0], cells[1], cells[2]);
        assert!(page.contains(&row), "missing: {row}");
    }
}
