//! The functions of the language, in one table. `try`, `can` and `convert` are in `evaluate`: they see expressions.

mod collection;
mod encoding;
mod numeric;
mod text;

use crate::diagnostics::nearest;
use crate::value::Value;

/// A function: its name, how many arguments it takes, what it does.
pub(crate) struct Function {
    pub name: &'static str,
    pub least: usize,
    pub most: usize,
    pub run: fn(&[Value]) -> Result<Value, String>,
}

/// Any number of arguments.
const MANY: usize = usize::MAX;

/// A row of the table.
const fn row(name: &'static str, least: usize, most: usize, run: fn(&[Value]) -> Result<Value, String>) -> Function {
    Function { name, least, most, run }
}

impl Function {
    /// Checks the number of arguments and runs it.
    pub fn call(&self, arguments: &[Value]) -> Result<Value, String> {
        if arguments.len() < self.least || arguments.len() > self.most {
            return Err(match (self.least, self.most) {
                (least, MANY) => format!("takes at least {least} arguments, not {}", arguments.len()),
                (least, most) if least == most => format!("takes {least} arguments, not {}", arguments.len()),
                (least, most) => format!("takes {least} to {most} arguments, not {}", arguments.len()),
            });
        }
        (self.run)(arguments)
    }
}

fn all() -> impl Iterator<Item = &'static Function> {
    [collection::TABLE, encoding::TABLE, numeric::TABLE, text::TABLE].into_iter().flatten()
}

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

/// What to write instead of a function that does not exist.
pub(crate) fn advice(name: &str) -> Option<String> {
    if let Some(kind) = ["tostring", "tonumber", "tobool", "tolist", "toset", "tomap"].iter().find(|f| **f == name) {
        let word = match kind.trim_start_matches("to") {
            "list" => "list(string)",
            "set" => "set(string)",
            "map" => "map(string)",
            plain => plain,
        };
        return Some(format!("write convert(..., {word})"));
    }
    let known = all().map(|function| function.name).chain(["try", "can", "convert"]);
    nearest(name, known).map(|near| format!("did you mean {near}?"))
}
