//! Filters that look at the other copies: `distinct_hosts` and `distinct_property`.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::compiled::CompiledGroup;
use model::document::Document;
use model::job::Constraint;

use super::Rejection;
use super::constraint::Target;
use crate::table::NodeTable;
use crate::usage::Usage;

/// Whether `operand` is one of the two.
pub(crate) fn is_distinct(operand: &str) -> bool {
    matches!(operand, "distinct_hosts" | "distinct_property")
}

struct Property {
    target: Target,
    text: String,
    limit: u64,
    /// Whether copies of other groups count too.
    whole_job: bool,
}

/// The distinct filters of a group.
pub(crate) struct Distinct {
    /// None: off; else whether copies of other groups count too.
    hosts: Option<bool>,
    properties: Vec<Property>,
}

impl Distinct {
    /// Reads the filters of `group`. The compiled group does not tell the job's constraints from its own; the document
    /// does.
    pub fn of(group: &CompiledGroup, document: impl Fn() -> Option<Arc<Document>>) -> Distinct {
        let of_job = |constraint: &Constraint| {
            document().is_some_and(|job| job.job().constraints.iter().flatten().any(|known| known == constraint))
        };
        let is_on = |constraint: &&Constraint| {
            constraint.operand == "distinct_hosts"
                && !matches!(constraint.r_target.as_str(), "0" | "f" | "F" | "false" | "False" | "FALSE")
        };
        let hosts = group.constraints.iter().filter(is_on).map(of_job).max();
        let properties = group.constraints.iter().filter(|constraint| constraint.operand == "distinct_property");
        let properties = properties.map(|constraint| Property {
            target: Target::parse(&constraint.l_target),
            text: constraint.l_target.clone(),
            limit: constraint.r_target.parse().unwrap_or(1),
            whole_job: of_job(constraint),
        });
        Distinct { hosts, properties: properties.collect() }
    }

    /// Whether a placement on one node can rule out another.
    pub fn reaches_across_nodes(&self) -> bool {
        !self.properties.is_empty()
    }

    /// The uses of every property's values by the copies of `usage`.
    pub fn count(&self, table: &NodeTable, usage: &Usage, group: &str) -> Vec<BTreeMap<String, u64>> {
        let count = |property: &Property| {
            let mut counts = BTreeMap::new();
            for (slot, copies) in usage.by_node((!property.whole_job).then_some(group)) {
                if let Some(value) = property.target.resolve(table.info(slot)) {
                    *counts.entry(value.into_owned()).or_insert(0) += u64::from(copies);
                }
            }
            counts
        };
        self.properties.iter().map(count).collect()
    }

    /// Whether the other copies leave the node free; the first reason why not.
    pub fn check(
        &self,
        table: &NodeTable,
        slot: usize,
        usage: &Usage,
        group: &str,
        counts: &[BTreeMap<String, u64>],
    ) -> Result<(), Rejection> {
        if let Some(whole_job) = self.hosts
            && usage.on_node(slot, (!whole_job).then_some(group)) > 0
        {
            return Err(Rejection::DistinctHosts);
        }
        for (position, (property, counts)) in self.properties.iter().zip(counts).enumerate() {
            let free = property
                .target
                .resolve(table.info(slot))
                .is_some_and(|value| counts.get(value.as_ref()).copied().unwrap_or(0) < property.limit);
            if !free {
                return Err(Rejection::DistinctProperty(position));
            }
        }
        Ok(())
    }

    /// Whether the node lacks the property.
    pub fn is_missing(&self, position: usize, table: &NodeTable, slot: usize) -> bool {
        let property = self.properties.get(position);
        property.is_some_and(|property| property.target.resolve(table.info(slot)).is_none())
    }

    /// The key under which a full property is counted.
    pub fn key(&self, position: usize, table: &NodeTable, slot: usize, counts: &[BTreeMap<String, u64>]) -> String {
        let Some(property) = self.properties.get(position) else { return "distinct_property".to_owned() };
        match property.target.resolve(table.info(slot)) {
            None => format!("missing property {:?}", property.text),
            Some(value) => {
                let used = counts.get(position).and_then(|counts| counts.get(value.as_ref())).copied().unwrap_or(0);
                format!("distinct_property: {}={value} used by {used} allocs", property.text)
            }
        }
    }
}
