//! Rules on nodes: constraints, affinities, spreads.

use crate::go_json::go_json;

go_json! {
    /// A node is fit only when `l_target operand r_target` holds.
    pub struct Constraint {
        l_target: String = "LTarget",
        r_target: String = "RTarget",
        operand: String = "Operand",
    }
}

go_json! {
    /// A node is better, or worse, when `l_target operand r_target` holds. Weight -100 to 100.
    pub struct Affinity {
        l_target: String = "LTarget",
        r_target: String = "RTarget",
        operand: String = "Operand",
        weight: Option<i64> = "Weight",
    }
}

go_json! {
    /// Allocations are spread over the values of an attribute. Weight 0 to 100.
    pub struct Spread {
        attribute: String = "Attribute",
        weight: Option<i64> = "Weight",
        spread_target: Option<Vec<SpreadTarget>> = "SpreadTarget",
    }
}

go_json! {
    /// The share of allocations wanted at one value, in percent.
    pub struct SpreadTarget {
        value: String = "Value",
        percent: i64 = "Percent",
    }
}
