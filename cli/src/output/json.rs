//! Reading the API's JSON for display: a missing field is an empty text or zero, never a crash.

use serde_json::Value;

/// The text at `path`.
pub fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at `path`.
pub fn number(value: &Value, path: &[&str]) -> i64 {
    at(value, path).and_then(Value::as_i64).unwrap_or_default()
}

/// The truth at `path`; absent is false.
pub fn truth(value: &Value, path: &[&str]) -> bool {
    at(value, path).and_then(Value::as_bool).unwrap_or_default()
}

/// The items of the list at `path`.
pub fn items<'a>(value: &'a Value, path: &[&str]) -> impl Iterator<Item = &'a Value> {
    at(value, path).and_then(Value::as_array).into_iter().flatten()
}

/// The entries of the object at `path`, in the API's order.
pub fn entries<'a>(value: &'a Value, path: &[&str]) -> impl Iterator<Item = (&'a String, &'a Value)> {
    at(value, path).and_then(Value::as_object).into_iter().flatten()
}

/// The first eight characters of the id at `path`, or all of it.
pub fn id(value: &Value, path: &[&str], verbose: bool) -> String {
    let full = text(value, path);
    full.chars().take(if verbose { usize::MAX } else { 8 }).collect()
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// How long ago a time in nanoseconds since the epoch was, as `5m3s ago`; empty for zero.
pub fn ago(nanos: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
    let seconds = (now - nanos / 1_000_000_000).max(0);
    match seconds {
        _ if nanos == 0 => String::new(),
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m{}s ago", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m ago", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h ago", seconds / 86_400, seconds / 3600 % 24),
    }
}
