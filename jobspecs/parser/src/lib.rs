//! HCL job files to [`model::job::Job`], with positions, advice, and every mistake of a file at once.
//!
//! `syntax` makes a tree, `variables` fills in names, `evaluate` (with `template`, `operators`, `functions`) turns
//! expressions into values, `block` reads blocks by name and type, and one file for each area of the language
//! (`job`, `group`, `task`, ...) says which names there are. Nothing is defaulted here beyond what the language itself
//! says; `Job::canonicalise` does that.

mod api_form;
mod block;
mod config;
mod connect;
mod diagnostics;
mod dynamic;
mod evaluate;
mod field;
mod files;
mod format;
mod functions;
mod group;
mod job;
pub mod literal;
mod locals;
mod network;
mod number;
mod operators;
mod placement;
mod places;
mod policy;
mod references;
mod resources;
mod schema;
mod service;
mod syntax;
mod task;
mod template;
mod top;
mod types;
mod value;
mod variables;
mod write;

pub use diagnostics::{Diagnostic, Severity};
pub use files::Files;
pub use format::format;
pub use places::{Located, Places};
pub use write::write;

use std::sync::Arc;

use block::Session;
use evaluate::{Evaluator, Mode};
use model::job::{Job, Violation};

/// Where variables get their values, and how strict to be.
#[derive(Clone, Debug, Default)]
pub struct ParseOptions {
    /// `-var name=text`, in order.
    pub variables: Vec<(String, String)>,
    /// Var files in order: name and text.
    pub var_files: Vec<(String, String)>,
    /// The environment; `NOMAD_VAR_x` and `DROVER_VAR_x` are looked at.
    pub env: Vec<(String, String)>,
    /// What functions such as `file` may read; without it they are refused.
    pub files: Option<Arc<dyn Files>>,
    /// Whether values for variables that the file does not declare are errors instead of warnings.
    pub strict: bool,
}

/// A job and what deserves a look in its file.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The job as written, without defaults.
    pub job: Job,
    /// Findings that do not stand in the way.
    pub warnings: Vec<Diagnostic>,
    /// Where everything stands.
    pub places: Places,
}

/// What rules say about a job: how bad, and where in the API's names.
pub type Remarks = Vec<(Severity, Violation)>;

/// Rules for jobs that a file is held against.
pub type Rules<'r> = &'r (dyn Fn(&Job) -> Remarks + Sync);

/// Stack of the parsing thread: enough for the deepest nesting that the syntax allows, in a debug build. Only what is
/// used of it takes memory.
const STACK: usize = 256 * 1024 * 1024;

/// Parses a job file. `file_name` is for messages only.
///
/// # Errors
/// The first mistake of syntax, otherwise every mistake of the file.
pub fn parse(source: &str, file_name: &str, options: &ParseOptions) -> Result<Parsed, Vec<Diagnostic>> {
    check(source, file_name, options, &|_| Vec::new())
}

/// Like [`parse`], from bytes that may be no text.
///
/// # Errors
/// Also when the file is no UTF-8 text.
pub fn parse_bytes(source: &[u8], file_name: &str, options: &ParseOptions) -> Result<Parsed, Vec<Diagnostic>> {
    parse(text_of(source).map_err(|found| vec![*found])?, file_name, options)
}

/// The bytes of a file as text.
///
/// # Errors
/// When they are no UTF-8: the place of the first byte that is wrong.
pub fn text_of(source: &[u8]) -> Result<&str, Box<Diagnostic>> {
    std::str::from_utf8(source).map_err(|why| {
        let good = std::str::from_utf8(&source[..why.valid_up_to()]).unwrap_or_default();
        let help = Some("save the file as UTF-8".to_owned());
        let message = "this file is no UTF-8 text";
        Box::new(Diagnostic::new(Severity::Error, message, good.len()..good.len(), good, help))
    })
}

/// Reads a job in the API's form: alone or under `Job`. Key case, unknown keys and what follows the object do not
/// matter.
///
/// # Errors
/// Where and why the JSON is not a job.
pub fn read_api_json(source: &[u8]) -> Result<Job, Box<Diagnostic>> {
    let text = text_of(source)?;
    let wrong = |why: &serde_json::Error| {
        let line_start = text.split_inclusive('\n').take(why.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let at = (line_start + why.column().saturating_sub(1)).min(text.len());
        let why = why.to_string();
        let message = why.split(" at line ").next().unwrap_or("this is not a job").to_owned();
        Box::new(Diagnostic::new(Severity::Error, message, at..at + 1, text, None))
    };
    let mut first = serde_json::Deserializer::from_str(text).into_iter::<api_form::Wrapped>();
    match first.next() {
        Some(Ok(api_form::Wrapped(Some(job)))) => return Ok(job),
        Some(Ok(_)) => {}
        Some(Err(why)) => return Err(wrong(&why)),
        None => {
            let message = "there is no job in this file";
            return Err(Box::new(Diagnostic::new(Severity::Error, message, 0..0, text, None)));
        }
    }
    match serde_json::Deserializer::from_str(text).into_iter::<Job>().next() {
        Some(Ok(job)) => Ok(job),
        Some(Err(why)) => Err(wrong(&why)),
        None => Ok(Job::default()),
    }
}

/// Parses a job file and holds it against `rules`; what they say points into the file. When the file has mistakes of
/// its own, the rules are asked as well, and what they say about values that are written in it is told too: one look
/// at a file tells everything.
///
/// # Errors
/// The first mistake of syntax, otherwise every mistake of the file.
pub fn check(
    source: &str,
    file_name: &str,
    options: &ParseOptions,
    rules: Rules<'_>,
) -> Result<Parsed, Vec<Diagnostic>> {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new()
            .name("jobspec".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || parse_here(source, options, rules));
        let failed = |why: &str| {
            let message = format!("{file_name} could not be parsed: {why}");
            vec![Diagnostic::new(Severity::Error, message, 0..0, source, None)]
        };
        match worker.map(|handle| handle.join()) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(failed("the parser stopped; this is a bug in drover, please report the file")),
            Err(why) => Err(failed(&format!("no thread for it: {why}"))),
        }
    })
}

fn parse_here(source: &str, options: &ParseOptions, rules: Rules<'_>) -> Result<Parsed, Vec<Diagnostic>> {
    let body = syntax::parse(source).map_err(|diagnostic| vec![*diagnostic])?;
    let mut evaluator = Evaluator::new(source, Mode::Full);
    evaluator.files = options.files.as_deref();
    let mut session = Session::new(evaluator);
    let blocks = top::blocks(&session, &body);
    variables::load(&mut session, &blocks, options);
    locals::load(&mut session, &blocks);
    let job = top::the_job(&session, &blocks).map(|block| top::read_job(&session, block, job::job));
    let (mut found, place) = session.into_parts();
    let places = Places::new(place);
    if let Some(job) = &job {
        remark(&mut found, rules(job), &places, source);
    }
    found.sort_by_key(|one| (one.file.is_some(), one.span.start));
    let (errors, warnings): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.severity == Severity::Error);
    match job {
        Some(job) if errors.is_empty() => Ok(Parsed { job, warnings, places }),
        _ if !errors.is_empty() => Err(errors),
        _ => {
            let help = Some("a job file begins with: job \"name\" { ... }".to_owned());
            Err(vec![Diagnostic::new(Severity::Error, "there is no job in this file", 0..0, source, help)])
        }
    }
}

/// Adds what the rules say, at its place. Beside mistakes of reading only what is written counts: an absent field may
/// be absent because it was misspelt.
fn remark(found: &mut Vec<Diagnostic>, remarks: Remarks, places: &Places, source: &str) {
    let broken = found.iter().any(|one| one.severity == Severity::Error);
    for (severity, Violation { path, message, help, of_name }) in remarks {
        let place = if of_name { places.find_name(&path) } else { places.find(&path) };
        let told = found.iter().any(|one| one.severity == Severity::Error && one.line == line_of(source, &place));
        let one = Diagnostic::new(severity, message, place.span.clone(), source, help);
        if !found.contains(&one) && (!broken || (place.written && !told)) {
            found.push(one);
        }
    }
}

fn line_of(source: &str, place: &Located) -> usize {
    source[..place.span.start.min(source.len())].matches('\n').count() + 1
}
