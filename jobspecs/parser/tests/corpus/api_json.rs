//! Jobs in the API's form.

use super::{Meant, conclude, corpus, differences, json};

#[test]
fn jobs_in_the_api_form_are_read_alike() {
    let Some(corpus) = corpus() else { return };
    let mut meant = Meant::load();
    let mut different = Vec::new();
    let index = json(corpus.join("json/index.json"));
    let cases = index.as_array().unwrap();
    for case in cases {
        let file = case["file"].as_str().unwrap();
        let bytes = std::fs::read(corpus.join("json").join(file)).unwrap();
        let wrong = match (jobspec::read_api_json(&bytes), case["run_output"] == "accepted") {
            (Err(_), false) => Vec::new(),
            (Ok(_), false) => vec!["accepted".to_owned()],
            (Err(why), true) => vec![format!("refused: {}", why.message)],
            (Ok(job), true) => {
                let golden = json(corpus.join("json").join(file.replace(".json", ".out.json")));
                let mut wrong = differences(&serde_json::json!({ "Job": job }), &golden);
                let mut canonical = job;
                canonical.canonicalise();
                let valid = model::job::validate(&canonical).is_empty();
                if valid != (case["validate"] == "valid") {
                    wrong.push(format!("valid: {valid}, there: {}", case["validate"]));
                }
                wrong
            }
        };
        meant.judge(&format!("json/{}", file.trim_end_matches(".json")), wrong, &mut different);
    }
    different.extend(meant.unseen("json/"));
    conclude("jobs in the API's form", cases.len(), &different);
}
