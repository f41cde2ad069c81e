//! What users read: places, advice, and every mistake at once.

use jobspec::{Diagnostic, ParseOptions, Severity, check, parse};

fn errors(source: &str) -> Vec<Diagnostic> {
    parse(source, "web.hcl", &ParseOptions::default()).expect_err("this must be refused")
}

#[test]
fn an_unknown_name_gets_a_caret_and_a_suggestion() {
    let source =
        "job \"web\" {\n  group \"g\" {\n    cuont = 3\n    task \"t\" {\n      driver = \"docker\"\n    }\n  }\n}\n";
    let found = errors(source);
    assert_eq!(found.len(), 1);
    let expected = "\
error: group has no attribute \"cuont\"
  --> web.hcl:3:5
  |
3 |     cuont = 3
  |     ^^^^^
  = help: did you mean \"count\"?
";
    assert_eq!(found[0].render("web.hcl", source, false), expected);
    assert!(found[0].render("web.hcl", source, true).contains("\u{1b}[1;31merror\u{1b}[0m"));
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let source = r#"job "web" {
  priority = "high"
  group "g" {
    count = true
    netwrok {}
    task "t" {
      driver = uppper("docker")
      kill_timeout = "5"
      restart = {}
    }
  }
}
"#;
    let found = errors(source);
    let lines: Vec<usize> = found.iter().map(|one| one.line).collect();
    assert_eq!(lines, [2, 4, 5, 7, 8, 9], "{found:#?}");
    let text: String = found.iter().map(|one| one.render("web.hcl", source, false)).collect();
    for part in ["did you mean \"network\"?", "did you mean upper?", "\"30s\"", "write restart { ... }"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn only_the_first_mistake_of_syntax_is_told() {
    let found = errors("job \"web\" {\n  type: service\n  = =\n}\n");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, 2);
    assert!(found[0].help.as_deref().unwrap_or("").contains("equals sign"), "{found:?}");
}

#[test]
fn habits_from_older_files_get_advice() {
    for (line, advice) in [
        ("  \"type\" = \"service\"", "without quotes"),
        ("  type = 'service'", "double quotes"),
        ("  group \"g\" { count = 1 task \"t\" {} }", "own line"),
    ] {
        let found = errors(&format!("job \"web\" {{\n{line}\n}}\n"));
        assert!(found[0].help.as_deref().unwrap_or("").contains(advice), "{line}: {found:?}");
    }
}

#[test]
fn the_old_spellings_stay_and_are_warned_about() {
    let source = include_str!("../../examples/web-app.nomad.hcl");
    let rules = |job: &model::job::Job| {
        model::job::warnings(job).into_iter().map(|warning| (Severity::Warning, warning)).collect()
    };
    let parsed = check(source, "web-app.hcl", &ParseOptions::default(), &rules).unwrap();
    let lines: Vec<usize> = parsed.warnings.iter().map(|one| one.line).collect();
    assert_eq!(lines, [14, 22, 23], "port_map, network and mbits");
    let shown: String = parsed.warnings.iter().map(|one| one.render("web-app.hcl", source, false)).collect();
    assert!(parsed.warnings.iter().all(|one| one.severity == Severity::Warning));
    for part in ["port_map is the old spelling", "to = 80", "network inside resources", "mbits is no longer used"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    let task = &parsed.job.task_groups.as_ref().unwrap()[0].tasks.as_ref().unwrap()[0];
    assert!(task.config.as_ref().unwrap().contains_key("port_map"));
    assert!(task.resources.as_ref().unwrap().networks.is_some());
    assert_eq!(model::job::validate(&parsed.job), []);
}

#[test]
fn the_published_listing_parses_as_it_is() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seed/nomad/web-app.hcl");
    let Ok(source) = std::fs::read_to_string(path) else { return };
    let parsed = parse(&source, "web-app.hcl", &ParseOptions::default()).unwrap();
    assert_eq!((model::job::validate(&parsed.job), model::job::warnings(&parsed.job).len()), (Vec::new(), 3));
}

#[test]
fn what_would_hide_a_mistake_is_warned_about() {
    let source = r#"locals {
  a = 1
}
locals {
  a = 2
}
job "web" {
  region    = nil
  namespace = True
  node_pool = "${pool}-${attr.x}"
  meta = {
    a = attr.kernel.name
    b = NOMAD_ALLOC_ID
    c = node.class
    d = loca.a
    e = "{${attr.y}}"
  }
  affinity {
    attribute = attr.x
    weight    = 200
  }
  constraint {
    attribute    = attr.x
    set_contains_any = "a,b"
  }
  group "g" {
    network {
      port "a" {}
      reserved_ports "b" {
        static = 80
      }
    }
    volume "v" {}
    volume "v" {}
    secret "s" {}
    task "t" {
      secret "own" {}
    }
  }
}
"#;
    let parsed = parse(source, "web.hcl", &ParseOptions::default()).unwrap();
    let found: Vec<(usize, &str)> = parsed.warnings.iter().map(|one| (one.line, one.message.as_str())).collect();
    let wanted = [
        (2, "local.a is set again"),
        (8, "stays as the text ${nil}"),
        (9, "stays as the text ${True}"),
        (15, "stays as the text ${loca.a}"),
        (16, "brace right behind a reference"),
        (20, "counts as -56"),
        (24, "set_contains_any has no effect"),
        (29, "reserved_ports has no effect"),
        (33, "two volumes"),
        (35, "secrets of its own"),
    ];
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for ((line, part), (at, message)) in wanted.iter().zip(&found) {
        assert!(line == at && message.contains(part), "{line} {part}: {at} {message}");
    }
    assert_eq!(parsed.warnings[1].help.as_deref(), Some("write null for no value"));
    assert_eq!(parsed.warnings[3].help.as_deref(), Some("did you mean local.a?"));
}
