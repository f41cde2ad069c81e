//! The functions of the language, in one table. `try`, `can` and `convert` are in `evaluate`: they see expressions.

mod collection;
mod csv;
mod date;
mod encoding;
mod file;
mod format;
mod hash;
mod network;
mod numeric;
mod rsa;
mod text;
mod yaml;
mod yaml_out;

use crate::diagnostics::nearest;
use crate::files::Files;
use crate::value::Value;

pub(crate) type Outcome = Result<Value, String>;

/// A function: its name, how many arguments it takes, what it does.
pub(crate) struct Function {
    pub name: &'static str,
    least: usize,
    most: usize,
    run: Run,
}

enum Run {
    Plain(fn(&[Value]) -> Outcome),
    /// Looks at files, or at where they are.
    Files(fn(&dyn Files, &[Value]) -> Outcome),
}

/// Any number of arguments.
const MANY: usize = usize::MAX;

/// Texts that functions make are bounded: `replace` can square its input.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// A row of the table.
const fn row(name: &'static str, least: usize, most: usize, run: fn(&[Value]) -> Outcome) -> Function {
    Function { name, least, most, run: Run::Plain(run) }
}

/// A row for a function that needs files.
const fn file_row(name: &'static str, most: usize, run: fn(&dyn Files, &[Value]) -> Outcome) -> Function {
    Function { name, least: most, most, run: Run::Files(run) }
}

impl Function {
    /// Checks the number of arguments and runs it.
    pub fn call(&self, arguments: &[Value], files: Option<&dyn Files>) -> Outcome {
        if arguments.len() < self.least || arguments.len() > self.most {
            return Err(match (self.least, self.most) {
                (least, MANY) => format!("takes at least {least} arguments, not {}", arguments.len()),
                (least, most) if least == most => format!("takes {least} arguments, not {}", arguments.len()),
                (least, most) => format!("takes {least} to {most} arguments, not {}", arguments.len()),
            });
        }
        match (&self.run, files) {
            (Run::Plain(run), _) => run(arguments),
            (Run::Files(run), Some(files)) => run(files, arguments),
            (Run::Files(_), None) => {
                Err("functions on files work on the command line only, where the files are".to_owned())
            }
        }
    }

    /// Steps that a call takes, apart from its result.
    pub fn cost(&self, arguments: &[Value]) -> usize {
        let size: usize = arguments.iter().map(Value::size).sum();
        match (self.name, arguments) {
            ("bcrypt", [_, cost]) => hash::bcrypt_steps(cost),
            ("bcrypt", _) => hash::bcrypt_steps(&Value::int(10)),
            // Sorting, and matching of patterns.
            ("distinct" | "regex_replace" | "setintersection" | "setunion" | "sort", _) => size.saturating_mul(8),
            // One text for each item.
            ("formatlist", [pattern, lists @ ..]) => {
                let rows = lists.iter().filter_map(|list| list.items().ok()).map(<[Value]>::len).max();
                size.saturating_add(pattern.size().saturating_mul(rows.unwrap_or(1)))
            }
            _ => size,
        }
    }
}

fn all() -> impl Iterator<Item = &'static Function> {
    [
        collection::TABLE,
        encoding::TABLE,
        numeric::TABLE,
        text::TABLE,
        hash::TABLE,
        date::TABLE,
        network::TABLE,
        file::TABLE,
    ]
    .into_iter()
    .flatten()
}

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

/// Functions of a sister language that people reach for, and what to write here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("tostring", "write convert(..., string)"),
    ("tonumber", "write convert(..., number)"),
    ("tobool", "write convert(..., bool)"),
    ("tolist", "write convert(..., list(string))"),
    ("toset", "write convert(..., set(string))"),
    ("tomap", "write convert(..., map(string))"),
    ("regex", "regex_replace is there; try(...) and split(...) help to take a text apart"),
    ("templatefile", "write file(...), or the template's text as a heredoc"),
    ("env", "pass it as a variable: -var, or DROVER_VAR_name in the environment"),
    ("timestamp", "a job file has no clock; pass the time as a variable"),
];

/// What to write instead of a function that does not exist.
pub(crate) fn advice(name: &str) -> Option<String> {
    if let Some((_, help)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
        return Some((*help).to_owned());
    }
    let known = all().map(|function| function.name).chain(["try", "can", "convert"]);
    nearest(name, known).map(|near| format!("did you mean {near}?"))
}

/// A text that is not too long.
fn bounded(text: String) -> Outcome {
    if text.len() > MAX_TEXT { Err("the result is larger than 4 MiB".to_owned()) } else { Ok(Value::Text(text)) }
}

/// Null is no argument.
fn given(value: &Value) -> Result<&Value, String> {
    if value.is_null() { Err("null cannot stand here".to_owned()) } else { Ok(value) }
}
