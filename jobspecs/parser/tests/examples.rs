//! Every example file parses to the JSON beside it. `BLESS=1 cargo test -p jobspec` writes that JSON anew.

use std::path::{Path, PathBuf};

use jobspec::{ParseOptions, parse};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

#[test]
fn every_example_parses_to_its_golden_json() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".nomad.hcl"))
        else {
            continue;
        };
        count += 1;
        let source = std::fs::read_to_string(&path).unwrap();
        // One is the listing of a book, byte for byte.
        if name != "web-app" {
            assert_eq!(jobspec::format(&source).ok().as_ref(), Some(&source), "{name}: drover fmt has another layout");
        }
        let parsed = parse(&source, name, &ParseOptions::default()).unwrap_or_else(|found| {
            panic!("{name}:\n{}", found.iter().map(|one| one.render(name, &source, false)).collect::<String>())
        });
        let json = serde_json::to_string_pretty(&parsed.job).unwrap() + "\n";
        let golden = path.with_file_name(format!("{name}.json"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &json).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(json, expected, "{name}: BLESS=1 writes the new result");
    }
    assert!(count >= 15, "only {count} examples found");
}
