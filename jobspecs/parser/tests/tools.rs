//! Layout and rewriting over every job file at hand: the examples, and the corpus where it lies beside the tree.

use std::path::{Path, PathBuf};

use jobspec::{ParseOptions, format, parse, write};
use model::job::Job;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.to_string_lossy().ends_with(".nomad.hcl") {
            out.push(path);
        }
    }
}

/// Every file that parses, with the job it holds.
fn jobs() -> Vec<(PathBuf, String, ParseOptions, Job)> {
    let mut all = Vec::new();
    files(&here().join("../examples"), &mut all);
    let corpus = here().join("../../../shared/corpus/jobs/accept");
    match corpus.is_dir() {
        true => files(&corpus, &mut all),
        false => println!("the corpus is not here; only the examples are tried"),
    }
    all.sort();
    let read = |path: PathBuf| {
        let source = String::from_utf8(std::fs::read(&path).ok()?).ok()?;
        let vars = PathBuf::from(path.to_string_lossy().replace(".nomad.hcl", ".vars"));
        let var_files = std::fs::read_to_string(vars).ok().map(|text| ("test.vars".to_owned(), text));
        let options = ParseOptions { var_files: var_files.into_iter().collect(), ..ParseOptions::default() };
        let job = parse(&source, "file", &options).ok()?.job;
        Some((path, source, options, job))
    };
    all.into_iter().filter_map(read).collect()
}

#[test]
fn the_canonical_layout_is_stable_and_means_the_same() {
    let mut tried = 0;
    for (path, source, options, job) in jobs() {
        // Files in the JSON syntax have no layout of this kind.
        let Ok(once) = format(&source) else { continue };
        tried += 1;
        assert_eq!(format(&once).ok().as_ref(), Some(&once), "{} is not stable", path.display());
        let again = parse(&once, "formatted", &options).unwrap_or_else(|found| {
            panic!("{}: {}\n{once}", path.display(), found[0].message);
        });
        assert_eq!(again.job, job, "{} means something else", path.display());
    }
    println!("{tried} files formatted");
    assert!(tried >= 5);
}

#[test]
fn a_rewritten_job_is_the_same_job() {
    let mut tried = 0;
    for (path, _, _, job) in jobs() {
        tried += 1;
        let source = write(&job).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let back = parse(&source, "written", &ParseOptions::default()).unwrap_or_else(|found| {
            panic!("{}: {}\n{source}", path.display(), found[0].render("written", &source, false));
        });
        assert_eq!(back.job, job, "{}\n{source}", path.display());
    }
    println!("{tried} jobs rewritten");
    assert!(tried >= 5);
}
