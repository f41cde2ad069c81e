//! Every benchmark works: run with a few samples, it prints figures. Nothing is judged here.

use std::process::Command;

fn bench(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_drover-bench")).args(arguments).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_benchmark_prints_figures() {
    let (_, help, _) = bench(&["--help"]);
    let section = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("commands");
    // What goes on over a line is indented further.
    let names = section.lines().filter(|line| !line.starts_with("   "));
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"exec") && names.contains(&"c1m"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let began = std::time::Instant::now();
        let (good, out, error) = bench(&["--smoke", "--json", name]);
        assert!(good, "drover-bench --smoke {name}:\n{out}\n{error}");
        let figures: Vec<serde_json::Value> =
            out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON for each figure")).collect();
        assert!(!figures.is_empty() && figures.iter().all(|figure| figure["value"].is_number()), "{name}: {out}");
        println!("{name}: {} figures in {:?}", figures.len(), began.elapsed());
    }
}
