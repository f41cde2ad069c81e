//! `fmt`: brings HCL files into the canonical layout.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use imara_diff::{Algorithm, BasicLineDiffPrinter, Diff, InternedInput, UnifiedDiffConfig};

use super::job_file;
use crate::args::Fmt;
use crate::output::Style;

/// Exit code 1 when a file is no HCL, or with `-check` when one is not in the canonical layout.
pub fn run(args: Fmt) -> Result<ExitCode> {
    let style = Style::detect(args.no_color);
    let mut files = Vec::new();
    let paths = if args.paths.is_empty() { vec![PathBuf::from(".")] } else { args.paths.clone() };
    for path in &paths {
        collect(path, args.recursive, true, &mut files)?;
    }
    let (mut broken, mut changed) = (0, 0);
    for file in &files {
        match one(file, &args, style)? {
            Outcome::Broken => broken += 1,
            Outcome::Changed => changed += 1,
            Outcome::Canonical => {}
        }
    }
    let good = broken == 0 && !(args.check && changed > 0);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

enum Outcome {
    /// It is no HCL; that has been told.
    Broken,
    /// Its layout was another.
    Changed,
    Canonical,
}

fn one(path: &Path, args: &Fmt, style: Style) -> Result<Outcome> {
    let (name, source) = job_file::read(&path.to_string_lossy())?;
    let formatted = match jobspec::format(&source) {
        Ok(formatted) => formatted,
        Err(found) => {
            eprintln!("{}", found.render(&name, &source, style.of_errors().is_colored()));
            return Ok(Outcome::Broken);
        }
    };
    let changed = formatted != source;
    let from_stdin = path == Path::new("-");
    if changed && args.list && !(from_stdin && args.write && !args.check) {
        println!("{name}");
    }
    if changed && args.diff {
        print!("--- old/{name}\n+++ new/{name}\n{}", unified_diff(&source, &formatted));
    } else if from_stdin && args.write && !args.check {
        print!("{formatted}");
    }
    if changed && args.write && !args.check && !from_stdin {
        replace(path, &formatted)?;
    }
    Ok(if changed { Outcome::Changed } else { Outcome::Canonical })
}

/// What turns `before` into `after`, with three lines around each change.
fn unified_diff(before: &str, after: &str) -> String {
    let lines = InternedInput::new(before, after);
    let mut diff = Diff::compute(Algorithm::Histogram, &lines);
    diff.postprocess_lines(&lines);
    diff.unified_diff(&BasicLineDiffPrinter(&lines.interner), UnifiedDiffConfig::default(), &lines).to_string()
}

/// Writes beside the file first, so that it is never half of either text.
fn replace(path: &Path, text: &str) -> Result<()> {
    let shown = path.display();
    let target = path.canonicalize().with_context(|| format!("cannot find {shown}"))?;
    let folder = target.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write beside {shown}"))?;
    std::io::Write::write_all(&mut file, text.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
    let permissions = std::fs::metadata(&target).with_context(|| format!("cannot read {shown}"))?.permissions();
    file.as_file().set_permissions(permissions).with_context(|| format!("cannot write {shown}"))?;
    file.persist(&target).with_context(|| format!("cannot replace {shown}"))?;
    Ok(())
}

/// The files that a path means: itself, or the job files in a folder.
fn collect(path: &Path, recursive: bool, named: bool, files: &mut Vec<PathBuf>) -> Result<()> {
    if path == Path::new("-") {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let kind = std::fs::symlink_metadata(path).with_context(|| format!("there is no {}", path.display()))?;
    if kind.is_dir() && (named || recursive) {
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut inside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        inside.sort();
        return inside.iter().try_for_each(|path| collect(path, recursive, false, files));
    }
    let ours = path.extension().is_some_and(|extension| extension == "hcl" || extension == "nomad");
    if named && !ours && !kind.is_dir() {
        bail!("{} is no .hcl or .nomad file", path.display());
    }
    // A link found in a folder may lead anywhere; one that was named is meant.
    if ours && (kind.is_file() || named) {
        files.push(path.to_path_buf());
    }
    Ok(())
}
