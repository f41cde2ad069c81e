//! Which nodes may run a copy at all. A filter that rejects a node also says why, in the same small type.

pub mod constraint;
mod datacenter;
pub(crate) mod distinct;
mod pattern;
mod version;

use std::collections::BTreeSet;

use model::compiled::{CompiledGroup, CompiledJob};

use crate::table::NodeInfo;
use constraint::Check;

/// Why a node may not run a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rejection {
    /// The constraint at this place of the group's list does not hold.
    Constraint(usize),
    /// A driver is missing or unhealthy.
    Driver,
    /// A host volume is missing, or read-only where it must not be.
    Volume,
    /// Another copy runs there.
    DistinctHosts,
    /// The property at this place has its value used up, or the node lacks it.
    DistinctProperty(usize),
}

/// A compiled constraint, or what is wrong with it: then no node satisfies it.
pub(crate) struct Rule {
    pub text: String,
    pub check: Option<Check>,
}

/// All filters of a group that look at nothing but the node.
pub(crate) struct Rules<'a> {
    pub rules: Vec<Rule>,
    pub drivers: BTreeSet<&'a str>,
    job: &'a CompiledJob,
    group: &'a CompiledGroup,
}

impl<'a> Rules<'a> {
    /// Compiles the filters of `group`.
    pub fn of(job: &'a CompiledJob, group: &'a CompiledGroup) -> Rules<'a> {
        let plain = group.constraints.iter().filter(|constraint| !distinct::is_distinct(&constraint.operand));
        let rules = plain.map(|constraint| match Check::compile(constraint) {
            Ok(check) => Rule { text: check.text().to_owned(), check: Some(check) },
            Err(reason) => Rule { text: reason, check: None },
        });
        Rules {
            rules: rules.collect(),
            drivers: group.tasks.iter().map(|task| task.driver.as_str()).collect(),
            job,
            group,
        }
    }

    /// Whether the node is one that the job looks at: its pool and one of its datacenters.
    pub fn concerns(&self, node: &NodeInfo) -> bool {
        self.is_in_pool(node) && datacenter::matches_any(&self.job.datacenters, &node.datacenter)
    }

    /// Whether the node is of the job's pool.
    pub fn is_in_pool(&self, node: &NodeInfo) -> bool {
        self.job.node_pool == "all" || self.job.node_pool == node.pool
    }

    /// Whether the job looks at the node and the node may run a copy.
    pub fn admit(&self, node: &NodeInfo) -> bool {
        self.concerns(node) && self.check(node).is_ok()
    }

    /// Whether the node itself may run a copy; the first reason why not.
    pub fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        let fails = |rule: &Rule| !rule.check.as_ref().is_some_and(|check| check.holds(node));
        if self.drivers.iter().any(|driver| !matches!(node.drivers.get(*driver), Some(Ok(())))) {
            return Err(Rejection::Driver);
        }
        if let Some(position) = self.rules.iter().position(fails) {
            return Err(Rejection::Constraint(position));
        }
        for request in self.group.volumes.values().filter(|request| request.r#type != "csi") {
            match node.volumes.get(&request.source) {
                Some(read_only) if !read_only || request.read_only => {}
                _ => return Err(Rejection::Volume),
            }
        }
        Ok(())
    }
}
