//! Numbers of the language, behind a type of their own so that their precision can grow.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value as Json;

/// A whole number of up to 127 bits, or a 64-bit float that is not whole or too large for that.
#[derive(Clone, Debug)]
pub(crate) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    /// Reads `-12`, `1.50` or `1e3`; nothing else, no blanks.
    pub fn parse(text: &str) -> Option<Number> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let shape_ok = digits.starts_with(|c: char| c.is_ascii_digit())
            && !digits.ends_with('.')
            && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
        if !shape_ok {
            return None;
        }
        if let Ok(whole) = text.parse::<i128>() {
            return Some(Number::Int(whole));
        }
        text.parse::<f64>().ok().filter(|float| float.is_finite()).map(Number::from_f64)
    }

    pub fn from_f64(float: f64) -> Number {
        if float.fract() == 0.0 && float.abs() < 1e30 { Number::Int(float as i128) } else { Number::Float(float) }
    }

    pub fn to_f64(&self) -> f64 {
        match self {
            Number::Int(whole) => *whole as f64,
            Number::Float(float) => *float,
        }
    }

    pub fn to_i64(&self) -> Option<i64> {
        match self {
            Number::Int(whole) => i64::try_from(*whole).ok(),
            Number::Float(_) => None,
        }
    }

    /// Whole numbers that fit 64 bits stay whole, all others become floats.
    pub fn to_json(&self) -> Json {
        match self {
            Number::Int(whole) => match (i64::try_from(*whole), u64::try_from(*whole)) {
                (Ok(small), _) => Json::from(small),
                (_, Ok(large)) => Json::from(large),
                _ => Json::from(*whole as f64),
            },
            Number::Float(float) => Json::from(*float),
        }
    }

    pub fn compare(&self, other: &Number) -> Ordering {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a.cmp(b),
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }

    pub fn negate(&self) -> Number {
        match self {
            Number::Int(whole) => whole.checked_neg().map_or(Number::Float(-(*whole as f64)), Number::Int),
            Number::Float(float) => Number::Float(-float),
        }
    }

    pub fn add(&self, other: &Number) -> Number {
        self.combine(other, i128::checked_add, |a, b| a + b)
    }

    pub fn subtract(&self, other: &Number) -> Number {
        self.combine(other, i128::checked_sub, |a, b| a - b)
    }

    pub fn multiply(&self, other: &Number) -> Number {
        self.combine(other, i128::checked_mul, |a, b| a * b)
    }

    /// `None` when dividing by zero.
    pub fn divide(&self, other: &Number) -> Option<Number> {
        if other.to_f64() == 0.0 {
            return None;
        }
        if let (Number::Int(a), Number::Int(b)) = (self, other)
            && a.checked_rem(*b) == Some(0)
        {
            return a.checked_div(*b).map(Number::Int);
        }
        Some(Number::from_f64(self.to_f64() / other.to_f64()))
    }

    /// The remainder, with the sign of the dividend; by zero it is the dividend itself.
    pub fn remainder(&self, other: &Number) -> Number {
        if other.to_f64() == 0.0 {
            return self.clone();
        }
        self.combine(other, i128::checked_rem, |a, b| a % b)
    }

    fn combine(
        &self,
        other: &Number,
        whole: impl Fn(i128, i128) -> Option<i128>,
        float: impl Fn(f64, f64) -> f64,
    ) -> Number {
        if let (Number::Int(a), Number::Int(b)) = (self, other)
            && let Some(result) = whole(*a, *b)
        {
            return Number::Int(result);
        }
        // Fifteen digits are what a 64-bit float holds for certain: 0.1 + 0.2 is 0.3.
        let result = float(self.to_f64(), other.to_f64());
        let rounded = format!("{result:.14e}").parse().unwrap_or(result);
        Number::from_f64(rounded)
    }
}

impl From<i64> for Number {
    fn from(whole: i64) -> Number {
        Number::Int(i128::from(whole))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(whole) => write!(out, "{whole}"),
            Number::Float(float) => write!(out, "{float}"),
        }
    }
}
