//! The types that attributes are read as.

use std::collections::BTreeMap;

use model::time::GoDuration;

use crate::value::Value;

/// A type that an attribute can be read as. Options take null, all others refuse it.
pub(crate) trait Field: Default {
    /// What to write, when the value is wrong.
    const ADVICE: Option<&'static str> = None;

    fn read(value: Value) -> Result<Self, String>;
}

const NULL: &str = "null cannot stand here";

impl Field for String {
    fn read(value: Value) -> Result<Self, String> {
        if value.is_null() { Err(NULL.to_owned()) } else { value.to_text() }
    }
}

impl Field for bool {
    fn read(value: Value) -> Result<Self, String> {
        if value.is_null() { Err(NULL.to_owned()) } else { value.to_bool() }
    }
}

impl Field for i64 {
    fn read(value: Value) -> Result<Self, String> {
        if value.is_null() { Err(NULL.to_owned()) } else { value.to_int() }
    }
}

impl Field for u64 {
    /// As Nomad's unsigned fields do: from 1 up, a fraction that a float holds exactly is cut off.
    fn read(value: Value) -> Result<Self, String> {
        let number = value.to_number()?;
        if let Some(whole) = number.to_i64() {
            return u64::try_from(whole).map_err(|_| format!("a number from 0 up is needed here, not {whole}"));
        }
        let float = number.to_f64();
        let exact = (1.0..9.0e18).contains(&float) && (float * 1_048_576.0).fract() == 0.0;
        if exact { Ok(float as u64) } else { Err(format!("a whole number from 0 up is needed here, not {number}")) }
    }
}

/// A whole number; a fraction is cut off, as Nomad does for a few fields.
#[derive(Default)]
pub(crate) struct Cut(pub Option<i64>);

impl Field for Cut {
    fn read(value: Value) -> Result<Self, String> {
        if value.is_null() {
            return Ok(Cut(None));
        }
        let number = value.to_number()?;
        match number.to_i64() {
            Some(whole) => Ok(Cut(Some(whole))),
            None if number.to_f64().abs() < 9.0e15 => Ok(Cut(Some(number.to_f64() as i64))),
            None => Err(format!("{number} is too large")),
        }
    }
}

impl Field for GoDuration {
    const ADVICE: Option<&'static str> = Some("write a duration as text with a unit: \"30s\", \"5m\", \"1h30m\"");

    fn read(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => GoDuration::parse(&text),
            Value::Number(number) => {
                number.to_i64().map(GoDuration).ok_or_else(|| format!("{number} is not a whole number of nanoseconds"))
            }
            Value::Null => Err(NULL.to_owned()),
            other => Err(format!("a duration is needed here, this is {}", other.kind())),
        }
    }
}

impl Field for Option<GoDuration> {
    const ADVICE: Option<&'static str> = GoDuration::ADVICE;

    /// Durations refuse null even where they are optional, as Nomad does.
    fn read(value: Value) -> Result<Self, String> {
        GoDuration::read(value).map(Some)
    }
}

macro_rules! optional {
    ($($kind:ty),*) => {$(
        impl Field for Option<$kind> {
            const ADVICE: Option<&'static str> = <$kind as Field>::ADVICE;

            fn read(value: Value) -> Result<Self, String> {
                if value.is_null() { Ok(None) } else { <$kind>::read(value).map(Some) }
            }
        }
    )*};
}
optional!(String, bool, i64, u64);

impl<T: Field> Field for Option<Vec<T>> {
    const ADVICE: Option<&'static str> = Some("write a list: [\"a\", \"b\"]");

    fn read(value: Value) -> Result<Self, String> {
        if value.is_null() {
            return Ok(None);
        }
        let items: Result<Vec<T>, String> = value.items()?.iter().map(|item| T::read(item.clone())).collect();
        items.map(Some)
    }
}

impl Field for Vec<String> {
    fn read(value: Value) -> Result<Self, String> {
        value.items()?.iter().map(|item| String::read(item.clone())).collect()
    }
}

impl Field for Option<BTreeMap<String, String>> {
    const ADVICE: Option<&'static str> = Some("write a map: { key = \"value\" }");

    fn read(value: Value) -> Result<Self, String> {
        if value.is_null() {
            return Ok(None);
        }
        let mut entries = BTreeMap::new();
        for (key, item) in value.entries()? {
            entries.insert(key.clone(), String::read(item.clone()).map_err(|why| format!("{key}: {why}"))?);
        }
        Ok(Some(entries))
    }
}
