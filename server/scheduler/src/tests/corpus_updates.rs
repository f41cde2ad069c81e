//! Recorded answers to single edits of a job: in place, or a new copy.

use model::compiled::JobKind;
use model::job::Job;
use serde_json::Value;

use super::build::corpus;
use crate::reconcile::updates::runs_the_same;

/// Rows (edit x job type) that are answered as recorded; raise it when more are.
const AGREED: usize = 1_582;

/// Edits whose answer depends on the cluster and not on the documents.
fn depends_on_nodes(detail: &str) -> bool {
    detail.contains("not placeable")
}

/// Applies one edit at a path such as `TaskGroups[0].Meta.gm`.
fn edit(root: &mut Value, path: &str, new: &str) -> Option<()> {
    let mut target = root;
    let path = path.replace('[', ".[");
    let steps: Vec<&str> = path.split('.').collect();
    let (last, before) = steps.split_last()?;
    for step in before {
        target = match step.strip_prefix('[') {
            Some(index) => target.get_mut(index.trim_end_matches(']').parse::<usize>().ok()?)?,
            None => {
                if target.get(step).is_none_or(Value::is_null) {
                    let next_is_list = path.contains(&format!("{step}.["));
                    target[*step] = if next_is_list { Value::Array(Vec::new()) } else { serde_json::json!({}) };
                }
                target.get_mut(*step)?
            }
        };
    }
    if new == "reversed" {
        let list = target.get_mut(*last)?.as_array_mut()?;
        list.reverse();
        return Some(());
    }
    let removed = matches!(new, "removed" | "absent");
    match last.strip_prefix('[') {
        Some("+]") => target.as_array_mut()?.push(serde_json::from_str(new).ok()?),
        Some(index) => {
            let index: usize = index.trim_end_matches(']').parse().ok()?;
            match removed {
                true => drop(target.as_array_mut()?.remove(index)),
                false => *target.get_mut(index)? = serde_json::from_str(new).ok()?,
            }
        }
        None if removed => drop(target.as_object_mut()?.remove(*last)),
        None => target[*last] = serde_json::from_str(new).ok()?,
    }
    Some(())
}

#[test]
fn edits_are_answered_as_recorded() {
    let (Some(table), Some(bases)) = (corpus("updates.tsv"), corpus("updates.bases.json")) else { return };
    let bases: Value = serde_json::from_str(&bases).unwrap();
    let (mut agreed, mut rows) = (0, 0);
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let detail = columns.get(9).copied().unwrap_or_default();
        for (column, kind) in [JobKind::Service, JobKind::Batch, JobKind::System, JobKind::SysBatch].iter().enumerate()
        {
            let recorded = columns[4 + column];
            let destructive = match recorded {
                _ if depends_on_nodes(detail) => continue,
                "destructive" => true,
                text if text.starts_with("in-place") || text == "no change" => false,
                _ => continue,
            };
            let old = &bases[columns[0]][kind.as_str()];
            let mut new = old.clone();
            if edit(&mut new, columns[1], columns[3]).is_none() && columns[1] != "(nothing)" {
                continue;
            }
            let documents = (serde_json::from_value::<Job>(old.clone()), serde_json::from_value::<Job>(new));
            let (Ok(mut old), Ok(mut new)) = documents else { continue };
            old.canonicalise();
            new.canonicalise();
            let (old_group, new_group) = (&old.task_groups.as_ref().unwrap()[0], &new.task_groups.as_ref().unwrap()[0]);
            rows += 1;
            if runs_the_same(&old, old_group, &new, new_group) != destructive {
                agreed += 1;
            } else {
                println!("{} is not {recorded}: {}", kind.as_str(), columns[..4].join(" "));
            }
        }
    }
    println!("updates: {agreed} of {rows} as recorded");
    assert!(agreed >= AGREED, "{agreed} of {rows}");
}
