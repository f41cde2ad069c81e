//! How things are printed: tables, colours, times, and the one place that knows whether colours are wanted.

pub mod json;
mod style;
mod table;

pub use style::Style;
pub use table::{fields, table};
