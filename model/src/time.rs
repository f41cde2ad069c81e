//! Points in time and spans of time, as numbers; this crate never reads a clock.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This point, `span` later; saturates at the ends of time.
    pub fn after(self, span: GoDuration) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }

    /// The span from `earlier` to this point; negative when this point is the earlier one.
    pub fn since(self, earlier: Timestamp) -> GoDuration {
        GoDuration(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC with as many fractional digits as needed, as Go prints a `time.Time`.
    pub fn to_rfc3339(self) -> String {
        let seconds = self.0.div_euclid(1_000_000_000);
        let nanos = self.0.rem_euclid(1_000_000_000);
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let second_of_day = seconds.rem_euclid(86_400);
        let mut text = format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
            second_of_day / 3600,
            second_of_day / 60 % 60,
            second_of_day % 60
        );
        if nanos != 0 {
            let fraction = format!("{nanos:09}");
            text.push('.');
            text.push_str(fraction.trim_end_matches('0'));
        }
        text.push('Z');
        text
    }
}

/// Year, month and day of a day count since 1970-01-01 (Howard Hinnant's `civil_from_days`).
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A span of time in nanoseconds, written in JSON as an integer, in job files as Go writes it (`1h30m`, `1.5s`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GoDuration(pub i64);

impl GoDuration {
    /// A span of whole seconds.
    pub const fn from_secs(seconds: i64) -> GoDuration {
        GoDuration(seconds * 1_000_000_000)
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: i64) -> GoDuration {
        GoDuration(millis * 1_000_000)
    }

    /// This span and another; saturates.
    pub fn plus(self, other: GoDuration) -> GoDuration {
        GoDuration(self.0.saturating_add(other.0))
    }

    /// The span for timers; a negative one is zero.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// Parses Go's duration syntax: an optional sign, then numbers with units `ns us µs ms s m h`, or `0`.
    ///
    /// # Errors
    /// A sentence that says what is wrong, without a full stop.
    pub fn parse(text: &str) -> Result<GoDuration, String> {
        let bad = |why: &str| format!("{why} in duration {text:?}; write for example \"30s\" or \"1h30m\"");
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(GoDuration(0));
        }
        if rest.is_empty() {
            return Err(bad("missing number"));
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let whole_len = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (whole, after) = rest.split_at(whole_len);
            let (fraction, after) = match after.strip_prefix('.') {
                Some(tail) => tail.split_at(tail.bytes().take_while(u8::is_ascii_digit).count()),
                None => ("", after),
            };
            if whole.is_empty() && fraction.is_empty() {
                return Err(bad("missing number"));
            }
            let unit_len = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, tail) = after.split_at(unit_len);
            let scale: i128 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "" => return Err(bad("missing unit")),
                _ => return Err(bad(&format!("unknown unit {unit:?}"))),
            };
            if whole.len() > 19 {
                return Err(bad("number too large"));
            }
            let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad("invalid number"))? };
            total += whole * scale;
            // Go computes the fraction in floating point; 0.3333h gives the same nanosecond here.
            let (mut digits, mut divisor) = (0u64, 1f64);
            for digit in fraction.bytes() {
                if digits > i64::MAX as u64 / 10 {
                    break;
                }
                digits = digits * 10 + u64::from(digit - b'0');
                divisor *= 10.0;
            }
            total += (digits as f64 * (scale as f64 / divisor)) as i128;
            rest = tail;
        }
        let signed = if negative { -total } else { total };
        i64::try_from(signed).map(GoDuration).map_err(|_| bad("number too large"))
    }
}

impl fmt::Display for GoDuration {
    /// As Go prints it: `1h30m0s`, `1.5s`, `250ms`, `0s`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            out.write_str("-")?;
        }
        if nanos < 1_000_000_000 {
            let (value, unit) = match nanos {
                0 => return out.write_str("0s"),
                1..=999 => return write!(out, "{nanos}ns"),
                1_000..=999_999 => (nanos as f64 / 1e3, "µs"),
                _ => (nanos as f64 / 1e6, "ms"),
            };
            return write!(out, "{value}{unit}");
        }
        let total_seconds = nanos / 1_000_000_000;
        let fraction = nanos % 1_000_000_000;
        let (hours, minutes, seconds) = (total_seconds / 3600, total_seconds / 60 % 60, total_seconds % 60);
        if hours > 0 {
            write!(out, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(out, "{minutes}m")?;
        }
        if fraction == 0 {
            write!(out, "{seconds}s")
        } else {
            write!(out, "{seconds}.{}s", format!("{fraction:09}").trim_end_matches('0'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_go_does() {
        for (text, nanos, printed) in [
            ("0", 0, "0s"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("1h30m", 5_400_000_000_000, "1h30m0s"),
            ("250ms", 250_000_000, "250ms"),
            ("-2m", -120_000_000_000, "-2m0s"),
            (".5s", 500_000_000, "500ms"),
            ("1.5us", 1_500, "1.5µs"),
        ] {
            assert_eq!(GoDuration::parse(text), Ok(GoDuration(nanos)), "{text}");
            assert_eq!(GoDuration(nanos).to_string(), printed);
        }
        for text in ["", "5", "s", "1x", "1 s", "1s ", "9999999999h", "-", "1.s.", "٣s"] {
            assert!(GoDuration::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn timestamps_print_as_rfc_3339() {
        assert_eq!(Timestamp(0).to_rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp(1_795_472_670_749_578_878).to_rfc3339(), "2026-11-23T22:24:30.749578878Z");
        assert_eq!(Timestamp(951_782_400_500_000_000).to_rfc3339(), "2000-02-29T00:00:00.5Z");
    }
}
