//! Input that is meant to hurt: it gets an answer, soon, and never a panic.

use std::path::Path;

use jobspec::{ParseOptions, parse, parse_bytes};
use proptest::prelude::*;

fn refused(source: &str) -> String {
    let Err(found) = parse(source, "hostile", &ParseOptions::default()) else {
        panic!("this must be refused: {}", source.chars().take(200).collect::<String>());
    };
    assert!(!found.is_empty());
    found[0].render("hostile", source, false)
}

fn in_job(expression: &str) -> String {
    format!("job \"h\" {{\n  meta = {{\n    k = {expression}\n  }}\n}}\n")
}

/// Parses and renders whatever is found; only a panic or a hang fails.
fn answered(bytes: &[u8]) {
    let options = ParseOptions {
        var_files: vec![("a.vars".to_owned(), String::from_utf8_lossy(&bytes[..bytes.len() / 2]).into_owned())],
        ..ParseOptions::default()
    };
    let source = String::from_utf8_lossy(bytes);
    for result in [parse_bytes(bytes, "any", &ParseOptions::default()), parse(&source, "any", &options)] {
        match result {
            Ok(mut parsed) => {
                parsed.job.canonicalise();
                model::job::validate(&parsed.job);
            }
            Err(found) => {
                assert!(!found.iter().any(|one| one.message.contains("a bug in drover")), "{found:?}");
                found.iter().for_each(|one| drop(one.render("any", &source, true)));
            }
        }
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = 200_000;
    for source in [
        in_job(&"(".repeat(deep)),
        in_job(&format!("{}1{}", "(".repeat(deep), ")".repeat(deep))),
        in_job(&format!("{}{}", "[".repeat(deep), "]".repeat(deep))),
        in_job(&format!("{}true", "!".repeat(deep))),
        in_job(&format!("{}1", "-".repeat(deep))),
        in_job(&format!("true {} 1", "? 1 : true ".repeat(50_000))),
        in_job(&format!("\"{}", "${\"".repeat(deep))),
        in_job(&format!("\"{}", "%{ if true }".repeat(20_000))),
        in_job(&"a[".repeat(deep)),
        in_job(&format!("a{}", ".*[*]".repeat(50_000))),
        in_job(&format!("a{}", "[*]".repeat(deep))),
        in_job(&"f(".repeat(deep)),
        in_job(&"{a=".repeat(deep)),
        in_job(&"[for x in ".repeat(50_000)),
        "a {\n".repeat(262_143),
        format!("job \"x\" {{\n{}{}}}\n", "b {\n".repeat(100_000), "}\n".repeat(100_000)),
        "{\"a\":".repeat(deep),
        format!("{{\"job\":{{\"a\":{{\"meta\":{}{}}}}}}}", "[".repeat(deep), "]".repeat(deep)),
    ] {
        refused(&source);
    }
}

#[test]
fn deep_yet_bounded_nesting_is_read() {
    let deep = 2_000;
    for (source, wanted) in [
        (format!("{}1{}", "(".repeat(deep), ")".repeat(deep)), "1"),
        (format!("{}true", "!".repeat(deep)), "true"),
        (format!("{}1", "1+".repeat(100_000)), "100001"),
        (format!("strlen(jsonencode({}{}))", "[".repeat(deep), "]".repeat(deep)), "4000"),
        (format!("strlen(jsonencode({}{}))", "{a=".repeat(deep), "1".to_owned() + &"}".repeat(deep)), "12001"),
        (format!("{}x{}", "\"${".repeat(deep / 2), "}\"".repeat(deep / 2)), "${x}"),
        (format!("{}1{}", "max(".repeat(deep), ")".repeat(deep)), "1"),
        (format!("false ? 1 : {}2", "false ? 1 : ".repeat(deep)), "2"),
        (format!("{}7{}", "[".repeat(deep), "]".repeat(deep) + &"[0]".repeat(deep)), "7"),
    ] {
        let parsed = parse(&in_job(&source), "deep", &ParseOptions::default()).unwrap_or_else(|found| {
            panic!("{}: {}", &source[..20], found[0].message);
        });
        assert_eq!(parsed.job.meta.unwrap()["k"], wanted, "{}", &source[..20]);
    }
}

#[test]
fn a_driver_config_is_as_deep_as_json_may_be() {
    let config = |inside: &str| {
        format!("job \"x\" {{\n  group \"g\" {{\n    task \"t\" {{\n      config {{\n{inside}\n}}\n}}\n}}\n}}\n")
    };
    refused(&config(&format!("a = {}{}", "[".repeat(200), "]".repeat(200))));
    refused(&config(&format!("{}{}", "b {\n".repeat(200), "}\n".repeat(200))));
    let parsed = parse(&config(&format!("a = {}{}", "[".repeat(90), "]".repeat(90))), "x", &ParseOptions::default());
    let text = serde_json::to_string(&parsed.unwrap().job).unwrap();
    assert!(serde_json::from_str::<model::job::Job>(&text).is_ok());
}

#[test]
fn size_is_bounded() {
    let source = "# a comment\n".repeat(100_000);
    assert!(refused(&source).contains("larger than 1 MiB"));
}

#[test]
fn work_is_bounded() {
    let range = "range(1000)";
    let long = format!("\"{}\"", "x".repeat(60_000));
    for expression in [
        format!("jsonencode([for a in {range} : [for b in {range} : [for c in {range} : a]]])"),
        format!("jsonencode([for a in {range} : [for b in {range} : \"${{a / 7}}\"]])"),
        format!(
            "\"%{{ for a in {range} }}%{{ for b in {range} }}%{{ for c in {range} }}x%{{ endfor }}%{{ endfor }}%{{ endfor }}\""
        ),
        format!("join(\",\", setproduct({range}, {range}, {range})...)"),
        format!("formatlist(\"{}%d\", {range})[0]", "x".repeat(60_000)),
        format!("jsonencode([for a in {range} : regex_replace({long}, \"(x+x+)+y\", \"z\")])"),
        format!("jsonencode([for a in {range} : [for b in {range} : bcrypt(\"x\", 14)]])"),
        format!("jsonencode([for a in {range} : [for b in {range} : format(\"%9999d\", a)]])"),
        format!("jsonencode([for a in {range} : [for b in {range} : \"${{1e2000}}\"]])"),
        format!("try({}, 1)", format_args!("[for a in {range} : [for b in {range} : [for c in {range} : a]]]")),
    ] {
        let message = refused(&in_job(&expression));
        assert!(message.contains("too much work") || message.contains("too large"), "{message}");
    }
    for expression in ["1e2000 * 1e2000 * 1e2000", "1e-2000 / 1e2000", "1e99999", "range(1e9)", "pow(10, 400)"] {
        refused(&in_job(expression));
    }
}

#[test]
fn growth_through_locals_is_bounded() {
    for step in ["\"${local.a@}${local.a@}\"", "[local.a@, local.a@]", "{ x = local.a@, y = local.a@ }"] {
        let line = |at: usize| format!("  a{} = {}\n", at + 1, step.replace('@', &at.to_string()));
        let doubling: String = (0..40).map(line).collect();
        let source = format!("locals {{\n  a0 = \"0123456789\"\n{doubling}}}\njob \"x\" {{\n  group \"g\" {{}}\n}}\n");
        assert!(refused(&source).contains("too much work"));
    }
    let chain: String = (0..20_000).map(|at| format!("  a{at} = [local.a{}]\n", at + 1)).collect();
    refused(&format!("locals {{\n{chain}  a20000 = 1\n}}\njob \"x\" {{\n}}\n"));
}

#[test]
fn a_flood_of_mistakes_is_cut_off() {
    for line in ["nothing@ = 1\n", "nothing@ {\n}\n", "nothing@ = missing(1)\n"] {
        let flood: String = (0..40_000).map(|at| line.replace('@', &at.to_string())).collect();
        let found = parse(&format!("job \"x\" {{\n{flood}}}\n"), "flood", &ParseOptions::default()).unwrap_err();
        assert!(found.len() <= 100, "{}", found.len());
    }
    let twice: String = (0..40_000).map(|at| format!("  a{at} = 1\n")).collect();
    refused(&format!("locals {{\n{twice}  a7 = 2\n}}\njob \"x\" {{\n}}\n"));
}

/// The job files of the project, and those of the corpus when it is here.
fn job_files() -> Vec<Vec<u8>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = crate::corpus::files(&here.join("../examples"), ".hcl");
    paths.extend(crate::corpus::files(&here.join("tests/language"), ".hcl"));
    if let Some(corpus) = crate::corpus::corpus() {
        paths.extend(crate::corpus::files(&corpus, ".hcl"));
    }
    let texts = paths.iter().map(|path| std::fs::read(path).unwrap());
    texts.filter(|text| text.len() < 20_000).collect()
}

/// What edits put in: pieces that mean something to the language.
const PIECES: &[&str] = &[
    "${",
    "}",
    "\"",
    "{",
    "%{",
    "~",
    "<<-X\n",
    "X\n",
    "\n",
    "[*]",
    ".*",
    "for x in ",
    "dynamic \"a\" {\n",
    "\u{feff}",
    "$${",
    "\\u00e9",
    "= ",
    "job ",
    "labels",
    "(",
    ")",
    "]",
    "[",
    "null",
    "1e9",
    "var.",
    "local.",
    "/*",
    "#",
    "\r\n",
    "\0",
    "...",
    "=>",
    "? :",
    "\u{e9}",
    "\u{301}",
];

/// One edit: where, what it takes away, and what it puts there.
type Edit = (prop::sample::Index, usize, prop::sample::Index, bool);

fn edited(base: &[u8], other: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut text = base.to_vec();
    for (place, cut, piece, foreign) in edits {
        let at = place.index(text.len() + 1);
        let end = (at + cut).min(text.len());
        let new = if *foreign && !other.is_empty() {
            let from = piece.index(other.len());
            other[from..(from + 40).min(other.len())].to_vec()
        } else {
            piece.get(PIECES).as_bytes().to_vec()
        };
        text.splice(at..end, new);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(source in "\\PC{0,200}") {
        answered(source.as_bytes());
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        answered(&bytes);
    }

    #[test]
    fn any_expression_is_answered(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "1", "0", "\"a\"", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", "var.x", "local.y", "attr.z",
            "?", ":", "for", "in", ",", "=", "=>", "...", "[*]", ".*", ".0", "null", "true", "!", "&&", "==", "<",
            "format(", "substr(", "range(", "slice(", "\"${", "}\"", "%{ if true }", "%{ endif }", "1e99", "é", " ",
            "convert(", "list(string)", "try(", "jsonencode(", "yamldecode(", "formatdate(", "cidrsubnet(", "1.5", "-1",
        ]), 0..24),
    ) {
        answered(in_job(&parts.concat()).as_bytes());
    }

    #[test]
    fn any_function_takes_any_arguments(
        name in proptest::sample::select(FUNCTIONS.to_vec()),
        arguments in proptest::collection::vec(proptest::sample::select(vec![
            "\"\"", "\"a\"", "\"é👩‍👩‍👧\"", "0", "1", "-1", "1.5", "1e300", "9223372036854775808", "true", "null", "[]", "[1, \"a\", null]",
            "[[1], [2]]", "{}", "{ a = 1 }", "\"10.0.0.0/8\"", "\"2031-07-04T09:08:07Z\"", "\"%s %5.2f\"", "\"[a-z]+\"",
            "convert([], set(string))", "convert({}, map(number))", "attr.x", "\"a: [1, &x b, *x]\"", "64", "128",
        ]), 0..4),
    ) {
        answered(in_job(&format!("jsonencode({name}({}))", arguments.join(", "))).as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_job_file_with_any_edits_is_answered(
        base in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        edits in proptest::collection::vec(any::<(prop::sample::Index, u8, prop::sample::Index, bool)>(), 1..6),
    ) {
        static FILES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        let files = FILES.get_or_init(job_files);
        let edits: Vec<Edit> = edits.into_iter().map(|(at, cut, piece, foreign)| (at, usize::from(cut % 48), piece, foreign)).collect();
        answered(&edited(&files[base.index(files.len())], &files[other.index(files.len())], &edits));
    }
}

const FUNCTIONS: &[&str] = &[
    "abs",
    "base64decode",
    "base64encode",
    "can",
    "ceil",
    "chomp",
    "chunklist",
    "cidrhost",
    "cidrnetmask",
    "cidrsubnet",
    "cidrsubnets",
    "coalesce",
    "coalescelist",
    "compact",
    "concat",
    "contains",
    "csvdecode",
    "distinct",
    "element",
    "flatten",
    "floor",
    "format",
    "formatdate",
    "formatlist",
    "indent",
    "index",
    "join",
    "jsondecode",
    "jsonencode",
    "keys",
    "length",
    "log",
    "lookup",
    "lower",
    "max",
    "merge",
    "min",
    "parseint",
    "pow",
    "range",
    "regex_replace",
    "replace",
    "reverse",
    "rsadecrypt",
    "setintersection",
    "setproduct",
    "setunion",
    "sha256",
    "signum",
    "slice",
    "sort",
    "split",
    "strlen",
    "strrev",
    "substr",
    "timeadd",
    "title",
    "trim",
    "trimprefix",
    "trimspace",
    "trimsuffix",
    "try",
    "upper",
    "urlencode",
    "uuidv4",
    "uuidv5",
    "values",
    "yamldecode",
    "yamlencode",
    "zipmap",
    "file",
    "basename",
];
