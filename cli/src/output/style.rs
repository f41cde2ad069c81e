//! Colours and symbols. A colour never stands alone: a word or symbol says the same.

use std::io::IsTerminal;

use owo_colors::OwoColorize;

/// Whether and how to colour.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colored: bool,
    /// Whether standard error is coloured: it may be a terminal where standard output is not, and the other way round.
    errors: bool,
}

impl Style {
    /// Colours where the stream is a terminal, unless `-no-color`, `NO_COLOR` or `NOMAD_CLI_NO_COLOR` says otherwise.
    pub fn detect(no_color: bool) -> Style {
        let refused = ["NO_COLOR", "NOMAD_CLI_NO_COLOR"].iter().any(|name| std::env::var_os(name).is_some());
        let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let colored = |is_terminal: bool| !no_color && !refused && (forced || (is_terminal && !dumb));
        Style { colored: colored(std::io::stdout().is_terminal()), errors: colored(std::io::stderr().is_terminal()) }
    }

    /// The style of what goes to standard error.
    pub fn of_errors(self) -> Style {
        Style { colored: self.errors, ..self }
    }

    /// Done.
    pub fn good(self, text: &str) -> String {
        if self.colored { text.green().to_string() } else { text.to_owned() }
    }

    /// Needs you.
    pub fn bad(self, text: &str) -> String {
        if self.colored { text.red().to_string() } else { text.to_owned() }
    }

    /// Waiting.
    pub fn wait(self, text: &str) -> String {
        if self.colored { text.yellow().to_string() } else { text.to_owned() }
    }

    /// A title.
    pub fn bold(self, text: &str) -> String {
        if self.colored { text.bold().to_string() } else { text.to_owned() }
    }

    /// Less important.
    pub fn dim(self, text: &str) -> String {
        if self.colored { text.dimmed().to_string() } else { text.to_owned() }
    }

    /// Whether colours are used.
    pub fn is_colored(self) -> bool {
        self.colored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_follows_its_own_terminal() {
        let style = Style { colored: false, errors: true };
        assert_eq!(style.bad("x"), "x");
        assert_eq!(style.of_errors().bad("x"), "x".red().to_string());
    }
}
