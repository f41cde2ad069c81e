//! Reading a job file from disk or standard input, with everything that is wrong in it shown in place.

use std::io::Read;

use anyhow::{Context, Result, bail};
use model::job::Job;

use crate::args::JobFile;
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
}

/// Reads and parses; diagnostics go to standard error.
///
/// # Errors
/// The file cannot be read, or is no job file; then all its mistakes have been printed.
pub fn load(file: &JobFile, style: Style) -> Result<LoadedJob> {
    let (name, source) = read(&file.path)?;
    if file.json {
        let job = from_json(&source).with_context(|| format!("{name} is not a job in JSON"))?;
        return Ok(LoadedJob { job, source, format: "json" });
    }
    let mut options = jobspec::ParseOptions { strict: true, ..jobspec::ParseOptions::default() };
    for var in &file.vars {
        let Some((key, value)) = var.split_once('=') else { bail!("-var {var:?} has no value; write -var {var}=...") };
        options.variables.push((key.to_owned(), value.to_owned()));
    }
    for path in &file.var_files {
        let (name, text) = read(&path.to_string_lossy())?;
        options.var_files.push((name, text));
    }
    options.env = std::env::vars().filter(|(key, _)| key.contains("_VAR_")).collect();
    let shown = |diagnostics: &[jobspec::Diagnostic]| {
        for diagnostic in diagnostics {
            eprintln!("{}", diagnostic.render(&name, &source, style.is_colored()));
        }
    };
    match jobspec::parse(&source, &name, &options) {
        Ok(parsed) => {
            shown(&parsed.warnings);
            Ok(LoadedJob { job: parsed.job, source, format: "hcl2" })
        }
        Err(diagnostics) => {
            shown(&diagnostics);
            let count = diagnostics.len();
            bail!("{name}: {count} {} nothing was changed", if count == 1 { "mistake;" } else { "mistakes;" })
        }
    }
}

fn read(path: &str) -> Result<(String, String)> {
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

/// A job in the API's JSON, bare or inside `{"Job": ...}`.
fn from_json(source: &str) -> Result<Job> {
    let mut value: serde_json::Value = serde_json::from_str(source)?;
    if let Some(inner) = value.get_mut("Job") {
        value = inner.take();
    }
    Ok(serde_json::from_value(value)?)
}
