//! Datacenter patterns: `*` stands for any text, everything else for itself.

/// Whether one of `patterns` matches.
pub(crate) fn matches_any(patterns: &[String], datacenter: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, datacenter))
}

fn matches(pattern: &str, text: &str) -> bool {
    if pattern == "*" || !pattern.contains('*') {
        return pattern == "*" || pattern == text;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_text_and_nothing_else_is_special() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("dc1", "dc1", true),
            ("dc1", "dc11", false),
            ("eu-*", "eu-west", true),
            ("*-west", "eu-west", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXc", false),
            ("a*a", "a", false),
            ("eu-?", "eu-1", false),
            ("EU", "eu", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
