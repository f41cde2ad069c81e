//! Job files to jobs: one of 10,000 lines, and 1,000 small ones, on one core, beside a bare syntax tree of the same text.
//!
//! The baseline is the hcl-edit crate, which evaluates and decodes nothing. The large file is made from one group,
//! written over and over under other names; the small ones are four of the examples in turn.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use crate::figure::{Goal, Report, quantile};

/// Lines of the large file.
const LINES: usize = 10_000;
/// Number of small files.
const FILES: usize = 1_000;
/// Samples of each figure.
const SAMPLES: usize = 15;

/// One group with expressions, templates and a heredoc; `@` is its number.
const GROUP: &str = r#"
  group "g@" {
    count = var.count + @ - @

    network {
      port "http" {
        to = 8080
      }
    }

    service {
      name = "g@-${var.name}"
      port = "http"
      tags = ["v@", "${attr.kernel.name}", upper(local.tag)]

      check {
        type     = "http"
        path     = "/health"
        interval = "10s"
        timeout  = "2s"
      }
    }

    task "t" {
      driver = "docker"

      config {
        image = "registry.example/${var.name}:${local.tag}"
        args  = [for n in ["a", "b"] : "--${n}=${NOMAD_PORT_http}"]
        ports = ["http"]
      }

      env {
        SCRIPT = <<-EOF
          echo "group @ of ${var.name}"
        EOF
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
"#;

const HEAD: &str = "variable \"name\" {\n  default = \"load\"\n}\n\nvariable \"count\" {\n  type    = number\n  \
                    default = 2\n}\n\nlocals {\n  tag = \"1.2\"\n}\n\njob \"large\" {\n";

const SMALL: [&str; 4] = [
    include_str!("../../../jobspecs/examples/web.nomad.hcl"),
    include_str!("../../../jobspecs/examples/shop.nomad.hcl"),
    include_str!("../../../jobspecs/examples/log-shipper.nomad.hcl"),
    include_str!("../../../jobspecs/examples/backup.nomad.hcl"),
];

/// Measures both.
pub fn measure(smoke: bool) -> Result<Report> {
    pin_to_one_core()?;
    let large = large_file();
    let lines = large.lines().count();
    if lines < LINES {
        bail!("the large file has only {lines} lines");
    }
    let samples = if smoke { 1 } else { SAMPLES };
    let mut report = Report::default();
    let (parsed, tree) = alternate(samples, || parse(&large), || syntax_tree(&large))?;
    report.add(format!("a file of {lines} lines, p50"), parsed * 1e3, "ms", Goal::AtMost(50.0), Some(tree * 1e3));
    report.add("the same, of the bare syntax tree", parsed / tree, "x", Goal::None, None);
    let files: Vec<&str> = (0..FILES).map(|at| SMALL[at % SMALL.len()]).collect();
    let all = || files.iter().try_for_each(|source| parse(source));
    let trees = || files.iter().try_for_each(|source| syntax_tree(source));
    let (parsed, tree) = alternate(samples, all, trees)?;
    report.add(format!("{FILES} small files, p50"), parsed, "s", Goal::AtMost(1.0), Some(tree));
    report.add("the same, of the bare syntax tree", parsed / tree, "x", Goal::None, None);
    Ok(report)
}

/// From here on this thread, and those that it starts, stay on one core.
fn pin_to_one_core() -> Result<()> {
    let mut set = nix::sched::CpuSet::new();
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0))?;
    let first = (0..nix::sched::CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    set.set(first.context("no core is allowed")?)?;
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?;
    Ok(())
}

fn large_file() -> String {
    let mut source = HEAD.to_owned();
    let groups = LINES / GROUP.lines().count() + 1;
    for number in 0..groups {
        source.push_str(&GROUP.replace('@', &number.to_string()));
    }
    source.push_str("}\n");
    source
}

/// Medians in seconds of two things measured in turn.
fn alternate(samples: usize, one: impl Fn() -> Result<()>, other: impl Fn() -> Result<()>) -> Result<(f64, f64)> {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let started = Instant::now();
        one()?;
        ones.push(started.elapsed().as_secs_f64());
        let started = Instant::now();
        other()?;
        others.push(started.elapsed().as_secs_f64());
    }
    Ok((quantile(&mut ones, 0.5), quantile(&mut others, 0.5)))
}

/// Text to a canonical job with every rule looked at, as `job validate` does.
fn parse(source: &str) -> Result<()> {
    let rules = |job: &model::job::Job| {
        let errors = model::job::Remarks::of(job).errors;
        errors.into_iter().map(|error| (jobspec::Severity::Error, error)).collect()
    };
    let options = jobspec::ParseOptions::default();
    match jobspec::check(source, "bench.nomad.hcl", &options, &rules) {
        Ok(parsed) => {
            let mut job = parsed.job;
            job.canonicalise();
            black_box(job);
            Ok(())
        }
        Err(found) => bail!("{}", found[0].render("bench.nomad.hcl", source, false)),
    }
}

/// Text to a syntax tree and no further.
fn syntax_tree(source: &str) -> Result<()> {
    let body = hcl_edit::parser::parse_body(source).map_err(|why| anyhow!("{why}"))?;
    black_box(body);
    Ok(())
}
