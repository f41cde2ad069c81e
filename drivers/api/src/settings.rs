//! Reads a task's `config` block: types checked, unknown names refused with a suggestion.

use std::collections::BTreeMap;

use model::suggest::nearest;
use model::time::GoDuration;
use serde_json::Value;

use crate::DriverError;
use crate::schema::scalar;

/// A reader of one `config` block. Every error is a [`DriverError::Config`] with a sentence for the user.
pub struct Settings<'a> {
    driver: &'a str,
    values: &'a BTreeMap<String, Value>,
}

impl<'a> Settings<'a> {
    /// A reader of `values`, which may hold only names among `known`.
    ///
    /// # Errors
    /// Names the first unknown one.
    pub fn new(driver: &'a str, values: &'a BTreeMap<String, Value>, known: &[&str]) -> Result<Self, DriverError> {
        if let Some(unknown) = values.keys().find(|key| !known.contains(&key.as_str())) {
            let hint = match nearest(unknown, known.iter().copied()) {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("it knows {}", known.join(", ")),
            };
            let text = format!("driver {driver:?} has no setting {unknown:?} in its config block; {hint}");
            return Err(DriverError::Config(text));
        }
        Ok(Settings { driver, values })
    }

    /// A text that may be left out; numbers and booleans count as what they print.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self, key: &str) -> Result<Option<String>, DriverError> {
        self.get(key).map(|value| scalar(value).ok_or_else(|| self.wrong(key, "a text", value))).transpose()
    }

    /// A text that must be there and not be empty.
    ///
    /// # Errors
    /// When it is missing, empty or something else.
    pub fn required(&self, key: &str) -> Result<String, DriverError> {
        match self.text(key)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(DriverError::Config(format!("driver {:?} needs {key:?} in its config block", self.driver))),
        }
    }

    /// A list of texts; empty when left out.
    ///
    /// # Errors
    /// When it is something else.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, DriverError> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(value @ Value::Array(items)) => {
                items.iter().map(|item| scalar(item).ok_or_else(|| self.wrong(key, "a list of texts", value))).collect()
            }
            Some(other) => Err(self.wrong(key, "a list of texts", other)),
        }
    }

    /// A boolean; `false` when left out.
    ///
    /// # Errors
    /// When it is something else.
    pub fn boolean(&self, key: &str) -> Result<bool, DriverError> {
        match self.get(key) {
            None => Ok(false),
            Some(value) => {
                scalar(value).and_then(|text| text.parse().ok()).ok_or_else(|| self.wrong(key, "true or false", value))
            }
        }
    }

    /// A whole number that may be left out.
    ///
    /// # Errors
    /// When it is something else.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, DriverError> {
        self.get(key)
            .map(|value| {
                scalar(value).and_then(|text| text.parse().ok()).ok_or_else(|| self.wrong(key, "a whole number", value))
            })
            .transpose()
    }

    /// A duration such as `"1m30s"` that may be left out; a bare number counts nanoseconds.
    ///
    /// # Errors
    /// When it is something else.
    pub fn duration(&self, key: &str) -> Result<Option<GoDuration>, DriverError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) if number.is_i64() => Ok(number.as_i64().map(GoDuration)),
            Some(Value::String(text)) => GoDuration::parse(text)
                .map(Some)
                .map_err(|why| DriverError::Config(format!("{key:?} of driver {:?}: {why}", self.driver))),
            Some(other) => Err(self.wrong(key, "a duration such as \"30s\"", other)),
        }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, wanted: &str, found: &Value) -> DriverError {
        let found = match found {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a block",
        };
        DriverError::Config(format!("{key:?} of driver {:?} must be {wanted}, but here is {found}", self.driver))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_settings_are_refused_in_words() {
        let values: BTreeMap<String, Value> = serde_json::from_value(json!({"comand": "x"})).unwrap();
        let error = Settings::new("raw_exec", &values, &["command", "args"]).err().unwrap().to_string();
        assert!(error.contains("\"comand\"") && error.contains("did you mean \"command\"?"), "{error}");

        let values = serde_json::from_value(json!({"args": "x", "command": ["x"], "run_for": "5"})).unwrap();
        let settings = Settings::new("d", &values, &["command", "args", "run_for"]).unwrap();
        assert!(settings.texts("args").unwrap_err().to_string().contains("must be a list of texts"));
        assert!(settings.required("command").unwrap_err().to_string().contains("must be a text"));
        assert!(settings.duration("run_for").unwrap_err().to_string().contains("missing unit"));
    }

    #[test]
    fn plain_values_are_converted() {
        let values =
            serde_json::from_value(json!({"args": [1, true, "x"], "n": "7", "t": "1s", "none": null})).unwrap();
        let settings = Settings::new("d", &values, &["args", "n", "t", "none"]).unwrap();
        assert_eq!(settings.texts("args").unwrap(), ["1", "true", "x"]);
        assert_eq!(settings.integer("n").unwrap(), Some(7));
        assert_eq!(settings.duration("t").unwrap(), Some(GoDuration::from_secs(1)));
        assert_eq!(settings.text("none").unwrap(), None);
    }
}
