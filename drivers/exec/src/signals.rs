//! Signal names of job files.

use std::str::FromStr;

use driver::DriverError;
use nix::sys::signal::Signal;

/// The number of `name`: `SIGTERM`, `TERM`, `term`; `default` when it is empty.
///
/// # Errors
/// When there is no such signal.
pub fn number(name: &str, default: &str) -> Result<i32, DriverError> {
    let name = if name.is_empty() { default } else { name };
    let upper = name.to_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    Signal::from_str(&full).map(|signal| signal as i32).map_err(|_| {
        DriverError::Config(format!(
            "{name:?} is no signal of this system; write for example \"SIGTERM\" or \"SIGHUP\""
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood() {
        assert_eq!(number("SIGTERM", "SIGINT"), Ok(15));
        assert_eq!(number("hup", "SIGINT"), Ok(1));
        assert_eq!(number("", "SIGINT"), Ok(2));
        assert!(number("SIGNOPE", "SIGINT").unwrap_err().to_string().contains("SIGNOPE"));
    }
}
