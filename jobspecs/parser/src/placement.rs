//! `constraint`, `affinity` and `spread`.

use model::job::{Affinity, Constraint, Spread, SpreadTarget};

use crate::block::Block;
use crate::diagnostics::Problem;
use crate::field::Cut;

/// Operators that may be written as an attribute: `regexp = "..."` for `operator = "regexp"`, `value = "..."`.
const CONSTRAINT_WORDS: [&str; 4] = ["version", "semver", "regexp", "set_contains"];
const AFFINITY_WORDS: [&str; 6] =
    ["version", "semver", "regexp", "set_contains_any", "set_contains_all", "set_contains"];

pub(crate) fn constraint(block: &Block<'_>) -> Constraint {
    let mut constraint = Constraint {
        l_target: text(block, "attribute"),
        r_target: text(block, "value"),
        operand: text(block, "operator"),
    };
    if let Some((word, value)) = shorthand(block, &CONSTRAINT_WORDS) {
        constraint.operand = word.to_owned();
        constraint.r_target = value;
    }
    for word in ["set_contains_all", "set_contains_any", "is_set", "is_not_set"] {
        if block.get::<Option<String>>(word).is_some() {
            block.session.warn(
                format!("{word} has no effect when written as an attribute of a constraint"),
                block.place(word),
                format!("write operator = \"{word}\""),
            );
        }
    }
    if let Some(distinct) = block.get::<Option<bool>>("distinct_hosts") {
        constraint.operand = "distinct_hosts".to_owned();
        constraint.r_target = distinct.to_string();
    }
    if let Some(property) = block.get::<Option<String>>("distinct_property").filter(|text| !text.is_empty()) {
        constraint.operand = "distinct_property".to_owned();
        constraint.l_target = property;
    }
    if constraint.operand.is_empty() {
        constraint.operand = "=".to_owned();
    }
    constraint
}

pub(crate) fn affinity(block: &Block<'_>) -> Affinity {
    let mut affinity = Affinity {
        l_target: text(block, "attribute"),
        r_target: text(block, "value"),
        operand: text(block, "operator"),
        weight: weight(block),
    };
    if let Some((word, value)) = shorthand(block, &AFFINITY_WORDS) {
        affinity.operand = word.to_owned();
        affinity.r_target = value;
    }
    if affinity.operand.is_empty() {
        affinity.operand = "=".to_owned();
    }
    affinity
}

/// Nomad keeps eight bits of a weight: 200 becomes -56.
fn weight(block: &Block<'_>) -> Option<i64> {
    let written = block.get::<Cut>("weight").0?;
    let kept = i64::from(written.to_le_bytes()[0].cast_signed());
    if kept != written {
        block.session.warn(
            format!("this weight is outside of its range, and counts as {kept}"),
            block.place("weight"),
            "a weight is -100 to 100 and not 0",
        );
    }
    Some(kept)
}

fn text(block: &Block<'_>, name: &'static str) -> String {
    block.get::<Option<String>>(name).unwrap_or_default()
}

/// The last of the words that is written, and its value.
fn shorthand(block: &Block<'_>, words: &[&'static str]) -> Option<(&'static str, String)> {
    let mut found = None;
    for word in words {
        if let Some(value) = block.get::<Option<String>>(word).filter(|value| !value.is_empty()) {
            found = Some((*word, value));
        }
    }
    found
}

pub(crate) fn spread(block: &Block<'_>) -> Spread {
    let weight = block.get::<Option<i64>>("weight");
    if weight.is_some_and(|weight| i8::try_from(weight).is_err()) {
        let message = "weight of a spread is 0 to 100".to_owned();
        block.session.report(Problem { message, span: block.place("weight"), help: None });
    }
    Spread {
        attribute: block.get("attribute"),
        weight,
        spread_target: block.many("target", &["value"], |block| {
            let percent: u64 = block.get("percent");
            if percent > 255 {
                let message = "percent of a target is 0 to 100".to_owned();
                block.session.report(Problem { message, span: block.place("percent"), help: None });
            }
            SpreadTarget { value: block.label(0), percent: i64::try_from(percent).unwrap_or_default() }
        }),
    }
}
