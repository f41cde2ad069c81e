//! Any bytes as a job file, as a var file and as a job in the API's form: an answer, never a panic or a hang.
//!
//! Seeds: `cargo +nightly fuzz run parse fuzz/corpus/parse tests/language ../examples`.

#![no_main]

use jobspec::{ParseOptions, parse_bytes, read_api_json};
use libfuzzer_sys::fuzz_target;

const JOB: &[u8] = b"variable \"a\" {\n  default = 1\n}\njob \"x\" {\n}\n";

fuzz_target!(|bytes: &[u8]| {
    if let Ok(parsed) = parse_bytes(bytes, "any", &ParseOptions::default()) {
        let mut job = parsed.job;
        job.canonicalise();
        let once = job.clone();
        job.canonicalise();
        assert_eq!(job, once);
    }
    let var_files = vec![("a.vars".to_owned(), String::from_utf8_lossy(bytes).into_owned())];
    let _ = parse_bytes(JOB, "job", &ParseOptions { var_files, ..ParseOptions::default() });
    let _ = read_api_json(bytes);
});
