//! Input that is meant to hurt: it gets an error, soon, and never a panic.

use jobspec::{ParseOptions, parse};
use proptest::prelude::*;

fn refused(source: &str) -> String {
    let found = parse(source, "hostile", &ParseOptions::default()).expect_err("this must be refused");
    assert!(!found.is_empty());
    found[0].render("hostile", source, false)
}

fn in_job(expression: &str) -> String {
    format!("job \"h\" {{\n  meta = {{\n    k = {expression}\n  }}\n}}\n")
}

#[test]
fn nesting_is_bounded() {
    let deep = 200_000;
    for source in [
        in_job(&"(".repeat(deep)),
        in_job(&format!("{}1{}", "(".repeat(deep), ")".repeat(deep))),
        in_job(&format!("{}{}", "[".repeat(deep), "]".repeat(deep))),
        in_job(&format!("{}true", "!".repeat(deep))),
        in_job(&format!("\"{}", "${\"".repeat(deep))),
        "a {\n".repeat(262_143),
        format!("job \"x\" {{\n{}{}}}\n", "b {\n".repeat(100_000), "}\n".repeat(100_000)),
    ] {
        refused(&source);
    }
}

#[test]
fn size_is_bounded() {
    let source = "# a comment\n".repeat(100_000);
    assert!(refused(&source).contains("larger than 1 MiB"));
}

#[test]
fn work_is_bounded() {
    let range = "range(1000)";
    let loops = format!("jsonencode([for a in {range} : [for b in {range} : [for c in {range} : a]]])");
    assert!(refused(&in_job(&loops)).contains("too much work"));
    let doubling: String =
        (1..40).map(|at| format!("  a{at} = \"${{local.a{}}}${{local.a{}}}\"\n", at - 1, at - 1)).collect();
    let source = format!("locals {{\n  a0 = \"0123456789\"\n{doubling}}}\njob \"x\" {{\n  group \"g\" {{}}\n}}\n");
    assert!(refused(&source).contains("too much work"));
}

#[test]
fn a_flood_of_mistakes_is_cut_off() {
    let unknown: String = (0..5000).map(|at| format!("  nothing{at} = 1\n")).collect();
    let found = parse(&format!("job \"x\" {{\n{unknown}}}\n"), "flood", &ParseOptions::default()).unwrap_err();
    assert!(found.len() <= 100, "{}", found.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(source in "\\PC{0,200}") {
        if let Err(found) = parse(&source, "any", &ParseOptions::default()) {
            found.iter().for_each(|one| { one.render("any", &source, true); });
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let source = String::from_utf8_lossy(&bytes);
        if let Err(found) = parse(&source, "any", &ParseOptions::default()) {
            found.iter().for_each(|one| { one.render("any", &source, true); });
        }
    }

    #[test]
    fn any_expression_is_answered(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "1", "0", "\"a\"", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", "var.x", "local.y", "attr.z",
            "?", ":", "for", "in", ",", "=", "=>", "...", "[*]", ".*", ".0", "null", "true", "!", "&&", "==", "<",
            "format(", "substr(", "range(", "slice(", "\"${", "}\"", "%{ if true }", "%{ endif }", "1e99", "é", " ",
        ]), 0..24),
    ) {
        let source = in_job(&parts.concat());
        if let Err(found) = parse(&source, "any", &ParseOptions::default()) {
            found.iter().for_each(|one| { one.render("any", &source, true); });
        }
    }
}
