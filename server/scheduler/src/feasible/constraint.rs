//! Constraints and affinities: a value of the node, an operator, a value to compare with.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use model::job::{Affinity, Constraint};
use regex::Regex;

use super::pattern;
use super::version::{Dialect, Version, VersionConstraint};
use crate::table::NodeInfo;

/// What one side of a constraint stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The text itself.
    Literal(String),
    /// `${attr.*}`.
    Attribute(String),
    /// `${meta.*}`.
    Meta(String),
    /// `${node.unique.id}`.
    NodeId,
    /// `${node.unique.name}`.
    NodeName,
    /// `${node.datacenter}`.
    Datacenter,
    /// `${node.class}`.
    Class,
    /// `${node.pool}`.
    Pool,
    /// A reference that no node has.
    Unknown,
}

impl Target {
    /// Reads one side of a constraint. What does not start with `${` is a literal.
    pub fn parse(text: &str) -> Target {
        let Some(reference) = text.strip_prefix("${") else { return Target::Literal(text.to_owned()) };
        let reference = reference.strip_suffix('}').unwrap_or(reference);
        match reference {
            "node.unique.id" => Target::NodeId,
            "node.unique.name" => Target::NodeName,
            "node.datacenter" => Target::Datacenter,
            "node.class" => Target::Class,
            "node.pool" => Target::Pool,
            other => match other.split_once('.') {
                Some(("attr", key)) => Target::Attribute(key.to_owned()),
                Some(("meta", key)) => Target::Meta(key.to_owned()),
                _ => Target::Unknown,
            },
        }
    }

    /// The value on `node`; none when it has none.
    pub fn resolve<'a>(&'a self, node: &'a NodeInfo) -> Option<Cow<'a, str>> {
        let text = match self {
            Target::Literal(text) => text,
            Target::Attribute(key) => node.attributes.get(key)?,
            Target::Meta(key) => node.meta.get(key)?,
            Target::NodeId => return Some(Cow::Owned(node.id.to_string())),
            Target::NodeName => &node.name,
            Target::Datacenter => &node.datacenter,
            Target::Class => &node.class,
            Target::Pool => &node.pool,
            Target::Unknown => return None,
        };
        Some(Cow::Borrowed(text))
    }
}

#[derive(Clone, Debug)]
enum Operator {
    Equal,
    NotEqual,
    /// The orders that satisfy it.
    Ordered(&'static [Ordering]),
    ContainsAll,
    ContainsAny,
    IsSet,
    IsNotSet,
    /// None: the pattern comes from the node and is compiled there.
    Pattern(Option<Arc<Regex>>),
    Version(VersionConstraint),
}

/// A compiled constraint.
#[derive(Clone, Debug)]
pub struct Check {
    left: Target,
    right: Target,
    operator: Operator,
    /// As it is counted and shown: `${attr.kernel.name} = windows`.
    text: String,
}

impl Check {
    /// Compiles a constraint other than `distinct_hosts` and `distinct_property`.
    ///
    /// # Errors
    /// What is wrong with its pattern, version or operator, in one sentence.
    pub fn compile(constraint: &Constraint) -> Result<Check, String> {
        let right = Target::parse(&constraint.r_target);
        let literal = |what: &str| match &right {
            Target::Literal(text) => Ok(text.clone()),
            _ => Err(format!("the right side of {what:?} must be a literal, not {:?}", constraint.r_target)),
        };
        let operator = match constraint.operand.as_str() {
            "" | "=" | "==" | "is" => Operator::Equal,
            "!=" | "not" => Operator::NotEqual,
            "<" => Operator::Ordered(&[Ordering::Less]),
            "<=" => Operator::Ordered(&[Ordering::Less, Ordering::Equal]),
            ">" => Operator::Ordered(&[Ordering::Greater]),
            ">=" => Operator::Ordered(&[Ordering::Greater, Ordering::Equal]),
            "set_contains" | "set_contains_all" => Operator::ContainsAll,
            "set_contains_any" => Operator::ContainsAny,
            "is_set" => Operator::IsSet,
            "is_not_set" => Operator::IsNotSet,
            "regexp" => Operator::Pattern(match &right {
                Target::Literal(text) => Some(pattern::compiled(text)?),
                _ => None,
            }),
            "version" => Operator::Version(VersionConstraint::parse(&literal("version")?, Dialect::Version)?),
            "semver" => Operator::Version(VersionConstraint::parse(&literal("semver")?, Dialect::Semver)?),
            other => return Err(format!("unknown operator {other:?}")),
        };
        let shown = if constraint.operand.is_empty() { "=" } else { &constraint.operand };
        let text = format!("{} {shown} {}", constraint.l_target, constraint.r_target).trim_end().to_owned();
        Ok(Check { left: Target::parse(&constraint.l_target), right, operator, text })
    }

    /// Compiles the condition of an affinity.
    ///
    /// # Errors
    /// As [`Check::compile`].
    pub fn of_affinity(affinity: &Affinity) -> Result<Check, String> {
        Check::compile(&Constraint {
            l_target: affinity.l_target.clone(),
            r_target: affinity.r_target.clone(),
            operand: affinity.operand.clone(),
        })
    }

    /// As it is counted and shown.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The left side.
    pub fn left(&self) -> &Target {
        &self.left
    }

    /// Whether it holds on `node`.
    pub fn holds(&self, node: &NodeInfo) -> bool {
        let (left, right) = (self.left.resolve(node), self.right.resolve(node));
        match &self.operator {
            Operator::IsSet => return left.is_some(),
            Operator::IsNotSet => return left.is_none(),
            // For this operator alone a missing value is the empty text.
            Operator::NotEqual => return left.unwrap_or_default() != right.unwrap_or_default(),
            _ => {}
        }
        let (Some(left), Some(right)) = (left, right) else { return false };
        match &self.operator {
            Operator::Equal => left == right,
            Operator::Ordered(wanted) => compare_with(&left, &right).is_some_and(|order| wanted.contains(&order)),
            Operator::ContainsAll => elements(&right).all(|wanted| elements(&left).any(|has| has == wanted)),
            Operator::ContainsAny => elements(&right).any(|wanted| elements(&left).any(|has| has == wanted)),
            Operator::Pattern(Some(regex)) => regex.is_match(&left),
            Operator::Pattern(None) => pattern::compiled(&right).is_ok_and(|regex| regex.is_match(&left)),
            Operator::Version(constraint) => Version::parse(&left).is_some_and(|version| constraint.matches(&version)),
            Operator::IsSet | Operator::IsNotSet | Operator::NotEqual => false,
        }
    }
}

pub(super) fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// Whole numbers, else decimal numbers, else bytes.
pub(super) fn compare_with(left: &str, right: &str) -> Option<Ordering> {
    if let (Ok(left), Ok(right)) = (left.parse::<i64>(), right.parse::<i64>()) {
        return Some(left.cmp(&right));
    }
    match (decimal(left), decimal(right)) {
        (Some(left), Some(right)) => left.partial_cmp(&right),
        _ => Some(left.cmp(right)),
    }
}

/// A number too large for 64 bits is no number.
fn decimal(text: &str) -> Option<f64> {
    // Digits may be grouped: 1_000.
    let grouped = text.as_bytes().windows(3).any(|w| w[0].is_ascii_digit() && w[1] == b'_' && w[2].is_ascii_digit());
    let number: f64 = if grouped { text.replace('_', "").parse().ok()? } else { text.parse().ok()? };
    (!number.is_infinite() || text.to_ascii_lowercase().contains("inf")).then_some(number)
}

/// Whether a constraint is one that the planner can check, for use when a job is registered.
///
/// # Errors
/// What is wrong, in one sentence.
pub fn validate(constraint: &Constraint) -> Result<(), String> {
    let needs_left = !matches!(constraint.operand.as_str(), "distinct_hosts");
    let missing_right = constraint.r_target.is_empty();
    match constraint.operand.as_str() {
        "" => return Err("the operator is missing".to_owned()),
        "distinct_hosts" => {}
        "distinct_property" => {
            let signed = constraint.r_target.starts_with('+');
            if !missing_right && (signed || constraint.r_target.parse::<u64>().ok().is_none_or(|count| count == 0)) {
                return Err(format!("distinct_property needs a count above 0, not {:?}", constraint.r_target));
            }
        }
        "is_set" | "is_not_set" if !missing_right => {
            return Err(format!("{:?} takes no right side, but has {:?}", constraint.operand, constraint.r_target));
        }
        "is_set" | "is_not_set" | "regexp" => {
            Check::compile(constraint)?;
        }
        operator => {
            Check::compile(constraint)?;
            if missing_right {
                return Err(format!("{operator:?} needs a right side"));
            }
        }
    }
    if needs_left && constraint.l_target.is_empty() {
        return Err(format!("{:?} needs an attribute on its left side", constraint.operand));
    }
    validate_target(&constraint.l_target)
}

/// Whether an affinity is one that the planner can weigh, for use when a job is registered. A reference that no node has
/// is let through: it never matches.
///
/// # Errors
/// What is wrong, in one sentence.
pub fn validate_affinity(affinity: &Affinity) -> Result<(), String> {
    match affinity.operand.as_str() {
        "" => return Err("the operator is missing".to_owned()),
        "distinct_hosts" | "distinct_property" | "is_set" | "is_not_set" => {
            return Err(format!("{:?} is no operator of an affinity", affinity.operand));
        }
        _ => {}
    }
    Check::of_affinity(affinity)?;
    if affinity.l_target.is_empty() {
        return Err(format!("{:?} needs an attribute on its left side", affinity.operand));
    }
    match affinity.r_target.is_empty() && affinity.operand != "regexp" {
        true => Err(format!("{:?} needs a right side", affinity.operand)),
        false => Ok(()),
    }
}

fn validate_target(text: &str) -> Result<(), String> {
    if !text.starts_with('$') {
        return Ok(());
    }
    if !text.starts_with("${") || !text.ends_with('}') {
        return Err(format!("{text:?} lacks a brace; write for example \"${{attr.kernel.name}}\""));
    }
    match Target::parse(text) {
        Target::Unknown if !text.starts_with("${device.") => Err(format!(
            "no node has {text:?}; there are attr.*, meta.* and \
             node.{{unique.id, unique.name, datacenter, class, pool}}"
        )),
        _ => Ok(()),
    }
}
