//! What rules say about a job points into its file.

use jobspec::{ParseOptions, Severity, check};
use model::job::{Job, validate};

fn rules(job: &Job) -> jobspec::Remarks {
    validate(job).into_iter().map(|violation| (Severity::Error, violation)).collect()
}

fn shown(source: &str) -> Vec<(usize, String)> {
    match check(source, "web.hcl", &ParseOptions::default(), &rules) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(|one| (one.line, source[one.span.clone()].to_owned())).collect(),
    }
}

#[test]
fn a_broken_rule_points_at_the_value_that_breaks_it() {
    let source = r#"job "web" {
  type     = "servce"
  priority = 500

  update {
    health_check = "cheks"
  }

  group "one" {
    network {
      port "http" {
        to = 99999
      }
      port "admin" {
        static = 88888
      }
    }

    volume "data" {
      type = "host"
    }

    service {
      name = "not a name"

      check {
        type     = "http"
        interval = "1ms"
        timeout  = "2s"
      }
    }

    task "t" {
      kill_timeout = "-5s"
      driver       = "docker"
    }
  }
}
"#;
    let expected = [
        (2, "\"servce\""),
        (3, "500"),
        (6, "\"cheks\""),
        (12, "99999"),
        (15, "88888"),
        (19, "volume"),
        (24, "\"not a name\""),
        (26, "check"),
        (28, "\"1ms\""),
        (34, "\"-5s\""),
    ];
    let found = shown(source);
    let found: Vec<(usize, &str)> = found.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn rules_and_mistakes_of_reading_are_told_together() {
    let source = r#"job "web" {
  type = "servce"

  group "one" {
    cuont = 3

    task "t" {
      drivr = "docker"
    }
  }
}
"#;
    let found: Vec<usize> = shown(source).into_iter().map(|(line, _)| line).collect();
    assert_eq!(found, [2, 5, 8], "the missing driver is the misspelt one");
}

#[test]
fn a_dynamic_block_is_pointed_at_as_a_whole() {
    let source = r#"job "web" {
  group "one" {
    dynamic "task" {
      for_each = ["a", "b"]
      labels   = [task.value]
      content {
        driver = ""
      }
    }
  }
}
"#;
    assert_eq!(shown(source), [(7, "\"\"".to_owned())]);
}
