//! Where in a job a field stands: written out only when something is said about it.

use std::fmt;

/// The path of a field in the API's names, as `TaskGroups[0].Tasks[1].Driver`. Each part knows the one before, so that
/// rules that find nothing write no text.
#[derive(Clone, Copy, Debug)]
pub struct FieldPath<'a> {
    before: Option<&'a FieldPath<'a>>,
    name: &'a str,
    at: Option<usize>,
}

impl<'a> FieldPath<'a> {
    /// The job itself: the empty path.
    pub const JOB: FieldPath<'static> = FieldPath { before: None, name: "", at: None };

    /// A field of what is at this path.
    pub const fn field(&'a self, name: &'a str) -> FieldPath<'a> {
        FieldPath { before: Some(self), name, at: None }
    }

    /// An item of a list that is a field of what is at this path; the first one is number 0.
    pub const fn item(&'a self, list: &'a str, at: usize) -> FieldPath<'a> {
        FieldPath { before: Some(self), name: list, at: Some(at) }
    }

    /// An item of the list at this path.
    pub const fn index(&'a self, at: usize) -> FieldPath<'a> {
        self.item("", at)
    }

    fn is_job(&self) -> bool {
        self.before.is_none() && self.name.is_empty()
    }
}

impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before.filter(|before| !before.is_job()) {
            fmt::Display::fmt(before, out)?;
            if !self.name.is_empty() {
                out.write_str(".")?;
            }
        }
        out.write_str(self.name)?;
        match self.at {
            Some(at) => write!(out, "[{at}]"),
            None => Ok(()),
        }
    }
}

impl From<FieldPath<'_>> for String {
    fn from(path: FieldPath<'_>) -> String {
        path.to_string()
    }
}

impl From<&FieldPath<'_>> for String {
    fn from(path: &FieldPath<'_>) -> String {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_the_api_spells_them() {
        let group = FieldPath::JOB.item("TaskGroups", 0);
        let mounts = group.item("Tasks", 1);
        let mounts = mounts.field("Config");
        let mounts = mounts.field("mount");
        assert_eq!(mounts.index(2).field("target").to_string(), "TaskGroups[0].Tasks[1].Config.mount[2].target");
        assert_eq!(FieldPath::JOB.field("ID").to_string(), "ID");
        assert_eq!(FieldPath::JOB.to_string(), "");
    }
}
