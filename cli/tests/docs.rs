//! The pages on job files say what is true: every block of code is compared with a file or run, and its output compared.
//! `BLESS=1 cargo test -p drover --test docs` writes files and outputs anew into the pages.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A folder with the examples, in which the commands of one page run.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(workspace().join("jobspecs/examples"), dir.path().join("examples")).unwrap();
    dir
}

/// What a shell prints for a command, standard error included.
fn run(dir: &Path, command: &str) -> String {
    let drover = Path::new(env!("CARGO_BIN_EXE_drover")).parent().unwrap();
    let path = format!("{}:{}", drover.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("/bin/sh");
    shell.current_dir(dir).env("PATH", path).env("NO_COLOR", "1").env_remove("DROVER_ADDR").env_remove("NOMAD_ADDR");
    let output = shell.args(["-c", &format!("exec 2>&1; {command}")]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The page with every block as it should be.
fn checked(page: &str, dir: &Path) -> String {
    let mut out = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out.push_str(&format!("{line}\n"));
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        out.push_str(&block(info, &body, dir));
        out.push_str("```\n");
    }
    out
}

fn block(info: &str, body: &[&str], dir: &Path) -> String {
    let text: String = body.iter().map(|line| format!("{line}\n")).collect();
    match info.split_once(' ').unwrap_or((info, "")) {
        ("hcl", what) if what.starts_with("example=") => {
            let name = what.trim_start_matches("example=");
            std::fs::read_to_string(workspace().join("jobspecs/examples").join(name)).unwrap()
        }
        ("hcl", what) if what.starts_with("write=") => {
            std::fs::write(dir.join(what.trim_start_matches("write=")), &text).unwrap();
            text
        }
        ("console", "") => {
            let commands = body.iter().filter_map(|line| line.strip_prefix("$ "));
            commands.map(|command| format!("$ {command}\n{}", run(dir, command))).collect()
        }
        _ => panic!("nothing is known about blocks of {info:?}: run or compare them"),
    }
}

#[test]
fn the_pages_on_job_files_are_true() {
    for name in ["jobs.md", "examples.md"] {
        let path = workspace().join("docs").join(name);
        let page = std::fs::read_to_string(&path).unwrap();
        let expected = checked(&page, folder().path());
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        } else {
            assert_eq!(page, expected, "docs/{name}: BLESS=1 writes what is true");
        }
    }
}

#[test]
fn every_example_is_quoted() {
    let page = std::fs::read_to_string(workspace().join("docs/examples.md")).unwrap();
    for entry in std::fs::read_dir(workspace().join("jobspecs/examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            !name.ends_with(".hcl") || page.contains(&format!("example={name}\n")),
            "{name} is not in docs/examples.md"
        );
    }
}
