//! The commands for job files that need no server: validate, run -output, fmt, init.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

struct Outcome {
    code: i32,
    out: String,
    err: String,
}

fn drover_in(dir: &Path, arguments: &[&str], input: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
    command.current_dir(dir).args(arguments).env("NO_COLOR", "1").env_remove("DROVER_ADDR").env_remove("NOMAD_ADDR");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drover starts");
    // A command that does not read its input may have ended before it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn drover(arguments: &[&str], input: &str) -> Outcome {
    drover_in(Path::new("."), arguments, input)
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobspecs/examples")
}

fn example(name: &str) -> String {
    examples().join(format!("{name}.nomad.hcl")).to_string_lossy().into_owned()
}

const WRONG: &str = r#"job "web" {
  type = "servce"
  group "web" {
    cuont = 3
    task "t" {
      driver = "docker"
      config {
        imgae = "x"
        args  = "y"
      }
    }
  }
}
"#;

#[test]
fn every_mistake_of_a_file_is_shown_in_its_place() {
    let outcome = drover(&["job", "validate", "-offline", "-"], WRONG);
    let expected = r#"error: there is no job type "servce"
  --> stdin:2:10
  |
2 |   type = "servce"
  |          ^^^^^^^^
  = help: did you mean "service"?

error: group has no attribute "cuont"
  --> stdin:4:5
  |
4 |     cuont = 3
  |     ^^^^^
  = help: did you mean "count"?

error: driver "docker" has no setting "imgae"
  --> stdin:8:9
  |
8 |         imgae = "x"
  |         ^^^^^
  = help: did you mean "image"?

error: args of driver "docker" must be a list of texts: ["a", "b"]
  --> stdin:9:17
  |
9 |         args  = "y"
  |                 ^^^

✗ stdin: 4 mistakes
"#;
    assert_eq!((outcome.code, outcome.err.as_str(), outcome.out.as_str()), (1, expected, ""));
}

#[test]
fn editors_get_one_line_or_json() {
    let short = drover(&["job", "validate", "-offline", "-o", "short", "-"], WRONG);
    assert_eq!(short.code, 1);
    assert_eq!(
        short.out.lines().next(),
        Some("stdin:2:10: error: there is no job type \"servce\"; did you mean \"service\"?")
    );
    assert_eq!(short.out.lines().count(), 4);
    let json = drover(&["job", "validate", "-offline", "-json", "-"], WRONG);
    let report: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, &report["valid"], &report["server"]), (1, &Value::Bool(false), &Value::Null));
    let first = &report["diagnostics"][0];
    let place = ["line", "column", "end_line", "end_column"].map(|key| first[key].as_u64().unwrap());
    assert_eq!(place, [2, 10, 2, 18]);
    assert_eq!((&first["file"], &first["severity"]), (&"stdin".into(), &"error".into()));
}

#[test]
fn a_valid_file_says_how_it_was_checked() {
    let outcome = drover(&["job", "validate", "-offline", &example("hello")], "");
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
    assert!(
        outcome.out.ends_with("hello.nomad.hcl is valid (checked offline: -offline was given)\n"),
        "{}",
        outcome.out
    );
    let nobody = drover(&["job", "validate", "-address", "http://127.0.0.1:1", &example("hello")], "");
    assert_eq!(nobody.code, 1, "an address that was named must answer");
    assert!(nobody.err.contains("no answer from http://127.0.0.1:1"), "{}", nobody.err);
}

#[test]
fn what_cannot_run_is_warned_about_and_refused() {
    let file = example("templates");
    let look = drover(&["job", "validate", "-offline", &file], "");
    assert_eq!(look.code, 0, "{}", look.err);
    assert!(look.err.contains("warning: templates are not rendered yet"), "{}", look.err);
    assert!(look.out.contains("is valid, with 1 warning"), "{}", look.out);
    let run = drover(&["job", "run", "-address", "http://127.0.0.1:1", &file], "");
    assert_eq!(run.code, 1);
    assert!(run.err.contains("error: templates are not rendered yet"), "{}", run.err);
    assert!(run.err.contains("1 mistake; nothing was changed"), "{}", run.err);
}

#[test]
fn every_example_is_valid() {
    let mut count = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "hcl") {
            count += 1;
            let outcome = drover(&["job", "validate", "-offline", &path.to_string_lossy()], "");
            assert_eq!(outcome.code, 0, "{}: {}", path.display(), outcome.err);
        }
    }
    assert!(count >= 15, "{count} examples");
}

#[test]
fn run_output_prints_what_run_json_reads() {
    let first = drover(&["job", "run", "-output", &example("web")], "");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(examples().join("web.json")).unwrap()).unwrap();
    let printed: Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!(printed, serde_json::json!({ "Job": golden }));
    let second = drover(&["job", "run", "-output", "-json", "-"], &first.out);
    assert_eq!((second.code, second.out), (0, first.out));
}

#[test]
fn variables_come_from_flags_files_and_the_environment() {
    let file = "variable \"n\" {\n  type = number\n}\njob \"v\" {\n  group \"g\" {\n    count = var.n\n    task \"t\" {\n      driver = \"podman\"\n    }\n  }\n}\n";
    let unset = drover(&["job", "run", "-output", "-"], file);
    assert!(unset.code == 1 && unset.err.contains("pass -var n=..."), "{}", unset.err);
    let set = drover(&["job", "run", "-output", "-var", "n=4", "-"], file);
    let printed: Value = serde_json::from_str(&set.out).unwrap();
    assert_eq!(printed["Job"]["TaskGroups"][0]["Count"], 4);
    let strict = drover(&["job", "run", "-output", "-var", "n=4", "-var", "m=1", "-"], file);
    assert_eq!(strict.code, 1, "{}", strict.err);
    let relaxed = drover(&["job", "run", "-output", "-hcl2-strict=false", "-var", "n=4", "-var", "m=1", "-"], file);
    assert!(relaxed.code == 0 && relaxed.err.contains("warning"), "{}", relaxed.err);
}

#[test]
fn functions_read_files_beside_the_job_file() {
    let dir = tempfile::tempdir().unwrap();
    let text = "job \"f\" {\n  meta = {\n    motd = file(\"inner/motd.txt\")\n    all  = join(\",\", fileset(\".\", \"**\"))\n  }\n}\n";
    std::fs::create_dir(dir.path().join("inner")).unwrap();
    std::fs::write(dir.path().join("inner/motd.txt"), "hello").unwrap();
    std::fs::write(dir.path().join("f.nomad.hcl"), text).unwrap();
    let path = dir.path().join("f.nomad.hcl");
    let run = drover(&["job", "run", "-output", &path.to_string_lossy()], "");
    let printed: Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{}", run.err));
    assert_eq!(printed["Job"]["Meta"], serde_json::json!({"motd": "hello", "all": "f.nomad.hcl,inner/motd.txt"}));
}

#[test]
fn fmt_writes_lists_checks_and_shows() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let (messy, canonical) =
        ("job \"a\"{\n# kept\n  type=\"batch\"\n}\n", "job \"a\" {\n  # kept\n  type = \"batch\"\n}\n");
    let outside = dir.path().join("a.nomad.hcl");
    let inside = inner.join("b.hcl");
    let reset = || {
        std::fs::write(&outside, messy).unwrap();
        std::fs::write(&inside, messy).unwrap();
    };
    let texts = || [std::fs::read_to_string(&outside).unwrap(), std::fs::read_to_string(&inside).unwrap()];
    reset();
    let fmt = |arguments: &[&str]| drover_in(dir.path(), &[&["fmt"], arguments].concat(), messy);
    let check = fmt(&["-check"]);
    assert_eq!((check.code, check.out.as_str()), (1, "./a.nomad.hcl\n"));
    assert_eq!(texts(), [messy, messy]);
    let quiet = fmt(&["-check", "-list=false", "-recursive"]);
    assert_eq!((quiet.code, quiet.out.as_str()), (1, ""));
    let diff = fmt(&["-write=false", "-list=false", "-diff"]);
    assert_eq!(diff.code, 0);
    assert!(diff.out.contains("-job \"a\"{\n") && diff.out.contains("+job \"a\" {\n"), "{}", diff.out);
    assert_eq!(texts(), [messy, messy]);
    assert_eq!(fmt(&[]).code, 0);
    assert_eq!(texts(), [canonical, messy]);
    let deep = fmt(&["-recursive"]);
    assert_eq!((deep.code, deep.out.as_str()), (0, "./inner/b.hcl\n"));
    assert_eq!(texts(), [canonical, canonical]);
    assert_eq!(fmt(&["-check", "-recursive"]).code, 0);
    let piped = fmt(&["-"]);
    assert_eq!((piped.code, piped.out.as_str()), (0, canonical));
    std::fs::write(&inside, "job = = 1\n").unwrap();
    let broken = fmt(&["inner/b.hcl"]);
    assert!(broken.code == 1 && broken.err.contains("inner/b.hcl:1:"), "{}", broken.err);
}

#[test]
fn init_writes_a_job_that_is_valid_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, file) in [
        (&["job", "init"][..], "web.nomad.hcl"),
        (&["job", "init", "-driver", "raw_exec"], "hello.nomad.hcl"),
        (&["job", "init", "-short", "short.nomad.hcl"], "short.nomad.hcl"),
    ] {
        let first = drover_in(dir.path(), arguments, "");
        assert_eq!((first.code, first.out.contains(&format!("drover job run {file}"))), (0, true), "{}", first.err);
        let text = std::fs::read_to_string(dir.path().join(file)).unwrap();
        assert_eq!(text.contains('#'), !file.starts_with("short"));
        let valid = drover_in(dir.path(), &["job", "validate", "-offline", "-o", "short", file], "");
        assert_eq!((valid.code, valid.out.as_str()), (0, ""));
        assert_eq!(drover_in(dir.path(), &["fmt", "-check", file], "").code, 0);
        assert_eq!(drover_in(dir.path(), arguments, "").code, 1);
    }
}
