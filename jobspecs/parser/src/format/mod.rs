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
    Ok(layout::lines(&lexer::tokens(source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of a text without the blanks between them.
    fn words(source: &str) -> Vec<&str> {
        lexer::tokens(source).iter().map(|token| token.text).collect()
    }

    const MESSY: &str = r#"# top
job   "web"{
type="service"   # kind
      datacenters   = [ "dc1" ,"dc2"]
 meta={
    a=1
    bcd    =   "x"
 }


    group "g" {count=3}
  group "h" {
      network{
 port "http" {
to=8080
}
}
    task "t" {
   driver = "docker"
        config {
image = "${var.image}:${ var.tag }"
command="x"//run
args = [
"-c",
<<EOF
  kept
    as it is
EOF
]
}
env = merge( {
A = local.a ? 1:2
} , {for k,v in [ 1 ]: k=>-v if !(v==1)})
x = {for a in var.b:a=>a.c [ 0 ]...}
}
}
}"#;

    const CANONICAL: &str = r#"# top
job "web" {
  type        = "service" # kind
  datacenters = ["dc1", "dc2"]
  meta = {
    a   = 1
    bcd = "x"
  }


  group "g" { count = 3 }
  group "h" {
    network {
      port "http" {
        to = 8080
      }
    }
    task "t" {
      driver = "docker"
      config {
        image   = "${var.image}:${ var.tag }"
        command = "x" //run
        args = [
          "-c",
          <<EOF
  kept
    as it is
EOF
        ]
      }
      env = merge({
        A = local.a ? 1 : 2
      }, { for k, v in [1] : k => -v if !(v == 1) })
      x = { for a in var.b : a => a.c [ 0 ]... }
    }
  }
}
"#;

    #[test]
    fn a_messy_file_becomes_canonical() {
        let formatted = format(MESSY).unwrap_or_else(|found| panic!("{} at {}", found.message, found.line));
        assert_eq!(formatted, CANONICAL);
        assert_eq!(format(CANONICAL).ok().as_deref(), Some(CANONICAL));
        assert_eq!(words(MESSY), words(CANONICAL.trim_end()));
    }

    #[test]
    fn comments_stay_in_their_line_and_keep_a_column() {
        let source = "a = 1 # one\nbcd = 2   // two\n/* a\n   b */ e=3\n\n\n# alone\nx { // open\n# in\n}\n";
        let canonical = "a   = 1 # one\nbcd = 2 // two\n/* a\n   b */ e = 3\n\n\n# alone\nx { // open\n  # in\n}\n";
        assert_eq!(format(source).ok().as_deref(), Some(canonical));
    }

    #[test]
    fn what_is_no_hcl_is_told() {
        assert_eq!(format("a = = 1\n").unwrap_err().line, 1);
    }
}
