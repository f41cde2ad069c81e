//! Messy files become canonical, canonical ones stay, and no layout changes what a file means.

use proptest::prelude::*;

use super::lexer::{Kind, tokens};
use super::*;
use crate::{ParseOptions, parse};

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

const RICH: &str = r#"variable "n" {
  default = 3 // with a comment
}
locals {
  list = [for i, x in ["a", "b"] : "${i}-${x}" if x != "c"]
  map  = { for k, v in { a = 1, b = 2 } : k => v * -2... }
}
job "rich" {
  meta = {
    "a.b"  = var.n > 2 ? upper("x") : lower("Y") # choice
    list   = join(",", local.list[*])
    kernel = attr.kernel [ "name" ]
    first  = local.list[0]
    negative = -(1 + 2) * 3 - -4
    not    = !(true && false || 1 <= 2)
  }
  group "g" {
    /* a block
       comment */
    count = var.n
    task "t" {
      driver = "docker"
      config {
        image = "a:${NOMAD_ALLOC_ID}"
        args  = [
          "x", <<-EOF
            dedented
              more
          EOF
        ]
        labels { a = "b" }
      }
      env { }
    }
  }
}
"#;

fn meaning(source: &str) -> String {
    let parsed = parse(source, "layout", &ParseOptions::default());
    let parsed = parsed.unwrap_or_else(|found| panic!("{}", found[0].render("layout", source, false)));
    serde_json::to_string(&parsed.job).unwrap()
}

/// The same tokens with other blanks between them, and with empty lines.
fn laid_out(source: &str, blanks: &[(u8, u8)]) -> String {
    let mut out = String::new();
    let mut before = Kind::Newline;
    for (token, (number, kind)) in tokens(source).iter().zip(blanks.iter().cycle()) {
        let kept = [before, token.kind].iter().any(|kind| matches!(kind, Kind::Dot | Kind::Index));
        let least = usize::from(!token.blanks.is_empty() && before != Kind::Newline);
        match kept {
            true => out.push_str(token.blanks),
            false => out.push_str(&[" ", "\t"][usize::from(*kind % 2)].repeat(least.max(usize::from(*number)))),
        }
        out.push_str(token.text);
        if token.kind == Kind::Newline && *kind == 7 {
            out.push_str("\n\n");
        }
        before = token.kind;
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_layout_has_one_canonical_form_that_means_the_same(
        blanks in proptest::collection::vec((0u8..4, 0u8..8), 1..60)
    ) {
        for source in [RICH, include_str!("../../../examples/web.nomad.hcl"), include_str!("../../../examples/web-app.nomad.hcl")] {
            let messy = laid_out(source, &blanks);
            let canonical = format(&messy).map_err(|found| TestCaseError::fail(found.message.clone()))?;
            prop_assert_eq!(format(&canonical).ok(), Some(canonical.clone()), "not stable");
            prop_assert_eq!(meaning(&canonical), meaning(source));
            prop_assert_eq!(words(&messy), words(canonical.strip_suffix('\n').filter(|_| !messy.ends_with('\n')).unwrap_or(&canonical)));
        }
    }
}
