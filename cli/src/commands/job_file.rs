//! Reading a job file from disk or standard input, held against every rule that can be checked without a server.

use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use jobspec::{Diagnostic, Severity};
use model::job::{Job, Remarks, Violation};

use crate::args::JobFile;
use crate::commands::job_folder::JobFolder;
use crate::drivers;
use crate::output::Style;

/// Longer job files are not read.
const MAX_SOURCE_BYTES: u64 = 1 << 20;

/// A job and the text it came from.
pub struct LoadedJob {
    /// The job, as written.
    pub job: Job,
    /// The text.
    pub source: String,
    /// `hcl2` or `json`.
    pub format: &'static str,
    /// Variables given with `-var`, and those that the environment gave.
    pub variable_flags: Vec<(String, String)>,
    /// The texts of the var files, one behind the other.
    pub variables: String,
    /// What was warned about.
    pub warned: Vec<String>,
}

impl LoadedJob {
    /// Warnings of a server's answer that were not given here already.
    pub fn news<'w>(&self, warnings: &'w str) -> impl Iterator<Item = &'w str> {
        let lines = warnings.lines().filter_map(|line| line.trim().strip_prefix("* "));
        lines.filter(|line| !self.warned.iter().any(|said| line.contains(said.as_str())))
    }
}

/// A job file that has been read and checked.
pub struct Checked {
    /// The file's name; `stdin` for standard input.
    pub name: String,
    /// Its text.
    pub source: String,
    /// The job; none when there are errors.
    pub job: Option<LoadedJob>,
    /// Everything found, errors and warnings, in the order of the file.
    pub found: Vec<Diagnostic>,
}

impl Checked {
    /// How many findings are errors.
    pub fn errors(&self) -> usize {
        self.found.iter().filter(|one| one.severity == Severity::Error).count()
    }

    /// Prints the findings to standard error.
    pub fn show(&self, style: Style) {
        for one in &self.found {
            eprintln!("{}", one.render(&self.name, &self.source, style.of_errors().is_colored()));
        }
    }
}

/// How much of what this version cannot run stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The job is printed as it was read: what rules say are warnings.
    Print,
    /// The job is only looked at: what cannot run is warned about, and JSON is read as JSON only if it is.
    Look,
    /// The job is to run: what cannot run is an error.
    Run,
}

/// Reads, parses and checks; diagnostics go to standard error.
///
/// # Errors
/// The file cannot be read, or has mistakes; then all of them have been printed.
pub fn load(file: &JobFile, purpose: Purpose, style: Style) -> Result<LoadedJob> {
    let checked = check(file, purpose)?;
    checked.show(style);
    let count = checked.errors();
    let name = checked.name;
    let mistakes = if count == 1 { "mistake" } else { "mistakes" };
    checked.job.with_context(|| format!("{name}: {count} {mistakes}; nothing was changed"))
}

/// Reads, parses and checks.
///
/// # Errors
/// The file cannot be read. Mistakes in it are among what was found.
pub fn check(file: &JobFile, purpose: Purpose) -> Result<Checked> {
    let (name, source) = read(&file.path)?;
    let looks_like_json = source.trim_start().starts_with('{');
    if file.json && (purpose != Purpose::Look || looks_like_json) {
        return check_json(name, source, purpose);
    }
    let mut options = jobspec::ParseOptions { strict: file.hcl2_strict, ..jobspec::ParseOptions::default() };
    for var in &file.vars {
        let Some((key, value)) = var.split_once('=') else { bail!("-var {var:?} has no value; write -var {var}=...") };
        options.variables.push((key.to_owned(), value.to_owned()));
    }
    for path in &file.var_files {
        options.var_files.push(read(&path.to_string_lossy())?);
    }
    options.env = std::env::vars().filter(|(key, _)| key.contains("_VAR_")).collect();
    options.files = Some(Arc::new(JobFolder::of(&file.path)));
    let rules = |job: &Job| remarks(job, purpose);
    let (job, found) = match jobspec::check(&source, &name, &options, &rules) {
        Err(found) => (None, found),
        Ok(parsed) => {
            let variables = options.var_files.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n");
            let job = LoadedJob {
                job: parsed.job,
                source: source.clone(),
                format: "hcl2",
                variable_flags: from_environment(&options.env, &source).chain(options.variables.clone()).collect(),
                variables,
                warned: messages(&parsed.warnings),
            };
            (Some(job), parsed.warnings)
        }
    };
    Ok(Checked { name, source, job, found })
}

/// Variables that the file declares and the environment gives: they belong to what was submitted.
fn from_environment<'e>(
    env: &'e [(String, String)],
    source: &'e str,
) -> impl Iterator<Item = (String, String)> + use<'e> {
    env.iter().filter_map(move |(key, value)| {
        let name = key.strip_prefix("NOMAD_VAR_").or_else(|| key.strip_prefix("DROVER_VAR_"))?;
        source.contains(&format!("variable \"{name}\"")).then(|| (name.to_owned(), value.clone()))
    })
}

fn messages(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(|one| one.message.clone()).collect()
}

/// Everything that the rules say about a job.
fn remarks(job: &Job, purpose: Purpose) -> jobspec::Remarks {
    let error = if purpose == Purpose::Print { Severity::Warning } else { Severity::Error };
    let refused = if purpose == Purpose::Run { Severity::Error } else { Severity::Warning };
    let Remarks { errors, unsupported, warnings } = Remarks::of(job).and(drivers::remarks(job));
    let with = |severity, found: Vec<Violation>| found.into_iter().map(move |one| (severity, one));
    with(error, errors).chain(with(refused, unsupported)).chain(with(Severity::Warning, warnings)).collect()
}

/// The API's JSON has no places: findings name the field.
fn check_json(name: String, source: String, purpose: Purpose) -> Result<Checked> {
    let job = match jobspec::read_api_json(source.as_bytes()) {
        Ok(job) => job,
        Err(wrong) => return Ok(Checked { name, source, job: None, found: vec![*wrong] }),
    };
    let say = |(severity, one): (Severity, Violation)| {
        Diagnostic::new(severity, format!("{}: {}", one.path, one.message), 0..0, &source, one.help)
    };
    let found: Vec<Diagnostic> = remarks(&job, purpose).into_iter().map(say).collect();
    let good = found.iter().all(|one| one.severity == Severity::Warning);
    let job = good.then(|| LoadedJob {
        job,
        source: source.clone(),
        format: "json",
        variable_flags: Vec::new(),
        variables: String::new(),
        warned: messages(&found),
    });
    Ok(Checked { name, source, job, found })
}

/// The name and the text of a file; `-` is standard input.
///
/// # Errors
/// It cannot be read, is longer than 1 MiB, or is no text.
pub fn read(path: &str) -> Result<(String, String)> {
    let (name, input): (&str, Box<dyn Read>) = match path {
        "-" => ("stdin", Box::new(std::io::stdin())),
        path => (path, Box::new(std::fs::File::open(path).with_context(|| format!("cannot open {path}"))?)),
    };
    let mut bytes = Vec::new();
    input.take(MAX_SOURCE_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > MAX_SOURCE_BYTES {
        bail!("{name} is longer than 1 MiB, the most a job file may have");
    }
    let source = String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{name} is not UTF-8 text"))?;
    Ok((name.to_owned(), source))
}

#[cfg(test)]
#[path = "typo_tests.rs"]
mod typos;
