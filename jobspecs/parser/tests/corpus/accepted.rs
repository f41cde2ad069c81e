//! Files that Nomad accepts.

use super::{Meant, conclude, corpus, differences, files, json, parse_file};

#[test]
fn accepted_files_give_equal_jobs() {
    let Some(corpus) = corpus() else { return };
    let mut meant = Meant::load();
    let mut different = Vec::new();
    let all = files(&corpus.join("accept"), ".nomad.hcl");
    for path in &all {
        let stem = path.to_string_lossy().replace(".nomad.hcl", "");
        let name = stem.split("jobs/accept/").last().unwrap().to_owned();
        let wrong = match parse_file(path) {
            Err(found) => vec![format!("refused, line {}: {}", found[0].line, found[0].message)],
            Ok(parsed) => {
                let mut job = parsed.job;
                let mut wrong = differences(&serde_json::to_value(&job).unwrap(), &json(format!("{stem}.json")));
                job.canonicalise();
                let once = serde_json::to_value(&job).unwrap();
                job.canonicalise();
                if serde_json::to_value(&job).unwrap() != once {
                    wrong.push("canonicalising twice is not the same as once".to_owned());
                }
                let canonical = differences(&once, &json(format!("{stem}.canonical.json")));
                // A service that names no provider is drover's own here and Consul's there.
                let by_design = |why: &&String| why.ends_with(".Provider: \"nomad\" here, \"consul\" there");
                wrong.extend(canonical.iter().filter(|why| !by_design(why)).map(|why| format!("canonical {why}")));
                wrong
            }
        };
        meant.judge(&format!("accept/{name}"), wrong, &mut different);
    }
    different.extend(meant.unseen("accept/"));
    conclude("accepted files, plain and canonical", all.len(), &different);
}
