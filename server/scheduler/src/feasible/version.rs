//! Versions and version constraints in the two dialects that jobs use: `version` (with `~>`) and `semver`.

use std::cmp::Ordering;

/// Which dialect a constraint is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Pre-releases match only constraints that name a pre-release of the same numbers; knows `~>`.
    Version,
    /// Plain precedence; no `~>`.
    Semver,
}

/// A version: numbers, perhaps a pre-release. Build metadata is read and dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// At least three.
    numbers: Vec<i64>,
    /// How many of `numbers` were written.
    written: usize,
    prerelease: String,
}

fn identifiers_are_valid(text: &str) -> bool {
    let valid =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'~');
    text.split('.').all(valid)
}

impl Version {
    /// Reads `v1.2.3-rc.1+build`, with any count of numbers; a pre-release may follow the numbers without a dash.
    pub fn parse(text: &str) -> Option<Version> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, metadata) = text.split_once('+').map_or((text, None), |(head, tail)| (head, Some(tail)));
        if metadata.is_some_and(|metadata| !identifiers_are_valid(metadata)) {
            return None;
        }
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (numbers, rest) = text.split_at(end);
        let mut numbers = numbers.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<i64>>>()?;
        let prerelease = rest.strip_prefix('-').unwrap_or(rest);
        if !rest.is_empty() && !identifiers_are_valid(prerelease) {
            return None;
        }
        let written = numbers.len();
        numbers.resize(written.max(3), 0);
        Some(Version { numbers, written, prerelease: prerelease.to_owned() })
    }

    fn compare(&self, other: &Version) -> Ordering {
        self.compare_numbers(other).then_with(|| compare_prereleases(&self.prerelease, &other.prerelease))
    }

    fn compare_numbers(&self, other: &Version) -> Ordering {
        let longest = self.numbers.len().max(other.numbers.len());
        let at = |numbers: &[i64], position: usize| numbers.get(position).copied().unwrap_or(0);
        (0..longest)
            .map(|i| at(&self.numbers, i).cmp(&at(&other.numbers, i)))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// None at all is the highest; numbers come before text; a longer list comes after its own beginning.
fn compare_prereleases(left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<i64>(), b.parse::<i64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Pessimistic,
}

/// A comma-separated list of comparisons, all of which must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionConstraint {
    dialect: Dialect,
    parts: Vec<(Comparison, Version)>,
}

impl VersionConstraint {
    /// Reads for example `>= 1.2, < 2.0`.
    ///
    /// # Errors
    /// A sentence naming the part that cannot be read.
    pub fn parse(text: &str, dialect: Dialect) -> Result<VersionConstraint, String> {
        let parts = text.split(',').map(|part| parse_part(part.trim(), dialect)).collect::<Result<Vec<_>, _>>()?;
        Ok(VersionConstraint { dialect, parts })
    }

    /// Whether `version` satisfies every part.
    pub fn matches(&self, version: &Version) -> bool {
        self.parts.iter().all(|(comparison, wanted)| holds(*comparison, version, wanted, self.dialect))
    }
}

fn parse_part(part: &str, dialect: Dialect) -> Result<(Comparison, Version), String> {
    const SYMBOLS: [(&str, Comparison); 7] = [
        (">=", Comparison::GreaterEqual),
        ("<=", Comparison::LessEqual),
        ("!=", Comparison::NotEqual),
        ("~>", Comparison::Pessimistic),
        (">", Comparison::Greater),
        ("<", Comparison::Less),
        ("=", Comparison::Equal),
    ];
    let found = SYMBOLS.iter().find_map(|(symbol, comparison)| Some((part.strip_prefix(symbol)?, *comparison)));
    let (version, comparison) = found.unwrap_or((part, Comparison::Equal));
    if comparison == Comparison::Pessimistic && dialect == Dialect::Semver {
        return Err(format!("semver constraint {part:?} uses ~>, which only the operator \"version\" knows"));
    }
    let version = Version::parse(version.trim())
        .ok_or_else(|| format!("{part:?} is no version constraint; write for example \">= 1.2, < 2.0\""))?;
    Ok((comparison, version))
}

fn holds(comparison: Comparison, version: &Version, wanted: &Version, dialect: Dialect) -> bool {
    let order = version.compare(wanted);
    match comparison {
        Comparison::Equal => return order.is_eq(),
        Comparison::NotEqual => return order.is_ne(),
        _ => {}
    }
    if dialect == Dialect::Version && !prerelease_is_comparable(version, wanted) {
        return false;
    }
    match comparison {
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterEqual => order.is_ge(),
        Comparison::Less => order.is_lt(),
        Comparison::LessEqual => order.is_le(),
        Comparison::Pessimistic => order.is_ge() && is_within_pessimistic_bound(version, wanted),
        Comparison::Equal | Comparison::NotEqual => false,
    }
}

/// A pre-release is compared only with a constraint that names a pre-release of the very same numbers.
fn prerelease_is_comparable(version: &Version, wanted: &Version) -> bool {
    version.prerelease.is_empty() || (!wanted.prerelease.is_empty() && version.compare_numbers(wanted).is_eq())
}

/// `~> 1.2.3` allows the last written number to grow, nothing before it.
fn is_within_pessimistic_bound(version: &Version, wanted: &Version) -> bool {
    if wanted.numbers.len() > version.numbers.len() || (version.prerelease.is_empty() && !wanted.prerelease.is_empty())
    {
        return false;
    }
    let last = wanted.written - 1;
    version.numbers[..last] == wanted.numbers[..last] && version.numbers[last] >= wanted.numbers[last]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_differ_on_prereleases() {
        let matches = |version: &str, constraint: &str, dialect| {
            VersionConstraint::parse(constraint, dialect).unwrap().matches(&Version::parse(version).unwrap())
        };
        assert!(!matches("1.3.0-beta", ">= 1.0", Dialect::Version));
        assert!(matches("1.3.0-beta", ">= 1.0", Dialect::Semver));
        assert!(matches("1.9", "~> 1.2", Dialect::Version));
        assert!(!matches("2.0", "~> 1.2", Dialect::Version));
        assert!(matches("1.2.3-rc.2", "> 1.2.3-rc.1", Dialect::Version));
        assert!(VersionConstraint::parse("~> 1.2", Dialect::Semver).is_err());
        for text in ["", "1..2", "x", "1.2.3_1", " 1", "V1", "99999999999999999999"] {
            assert!(Version::parse(text).is_none(), "{text:?}");
        }
    }
}
