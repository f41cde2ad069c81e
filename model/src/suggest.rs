//! What somebody meant who wrote a name that does not exist.

/// The name among `known` that is most like `name`, if one is near enough to be meant: one edit, or a quarter of its
/// letters. Edits are insertion, deletion, replacement, and the swap of neighbours (Damerau-Levenshtein); of equally
/// near names the one that shares most letters wins, then one with the same first letter.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase();
    let first = lower.chars().next();
    known
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, candidate)| {
            (*distance, usize::MAX - shared(&lower, candidate), candidate.chars().next() != first)
        })
        .map(|(_, candidate)| candidate)
}

/// How many letters two words have in common, wherever they stand.
fn shared(one: &str, other: &str) -> usize {
    let mut left: Vec<char> = other.chars().collect();
    let take = |letter: char| left.iter().position(|other| *other == letter).map(|at| left.swap_remove(at));
    one.chars().filter_map(take).count()
}

/// Help for a value that is none of `allowed`: the one that was meant, or all of them.
pub fn choices(value: &str, allowed: &[&str]) -> String {
    match nearest(value, allowed.iter().copied()) {
        Some(near) if !value.is_empty() => format!("did you mean {near:?}?"),
        _ => {
            let (last, rest) = allowed.split_last().unwrap_or((&"nothing", &[]));
            if rest.is_empty() { format!("use {last}") } else { format!("use {} or {last}", rest.join(", ")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_edit_is_forgiven_and_a_stranger_is_not() {
        let known = ["service", "batch", "system", "sysbatch"];
        for (typo, meant) in [("servce", "service"), ("Batch", "batch"), ("sytsem", "system"), ("sysbtch", "sysbatch")]
        {
            assert_eq!(nearest(typo, known.into_iter()), Some(meant));
        }
        assert_eq!(nearest("cros", ["cron", "crons"].into_iter()), Some("crons"));
        assert_eq!(nearest("daemon", known.into_iter()), None);
        assert_eq!(choices("daemon", &known), "use service, batch, system or sysbatch");
        assert_eq!(choices("btch", &known), "did you mean \"batch\"?");
    }
}
