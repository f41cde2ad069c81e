//! How things are printed: tables, colours, times, and the one place that knows whether colours are wanted.

use std::io::{ErrorKind, Write};

pub mod json;
mod style;
mod table;

pub use style::Style;
pub use table::{fields, table};

/// Stands in for the standard library's macro in this whole program: a reader that went away, as in `drover ... | head`,
/// ends it quietly instead of by a panic.
macro_rules! println {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}

/// Prints one line to standard output.
pub fn line(text: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    or_end(out.write_fmt(text).and_then(|()| out.write_all(b"\n")));
}

/// Ends the program when what was written found no reader.
pub fn or_end(written: std::io::Result<()>) {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("error: cannot write to standard output: {error}");
            std::process::exit(1);
        }
        Ok(()) => {}
    }
}
