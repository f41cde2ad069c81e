//! Canonical layout of HCL, as `fmt` writes it: indentation by brackets, one blank where one belongs, equals signs and
//! trailing comments of neighbouring lines in one column.
//!
//! Only blanks change. Every token stays as it is and in its line, so that comments are kept and the file means what
//! it meant; heredocs, quoted texts and block comments are not looked into.

mod layout;
mod lexer;

use crate::diagnostics::Diagnostic;
use crate::syntax;

/// One indentation step.
const STEP: &str = "  ";

/// The canonical layout of `source`.
///
/// # Errors
/// The text is no HCL; the finding says where.
pub fn format(source: &str) -> Result<String, Box<Diagnostic>> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    syntax::parse(source)?;
    Ok(canonical(source))
}

/// The canonical layout of a text that is HCL.
pub(crate) fn canonical(source: &str) -> String {
    layout::lines(&lexer::tokens(source))
}

#[cfg(test)]
mod tests;
