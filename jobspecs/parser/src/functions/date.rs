//! Points in time, as RFC 3339 texts.

use model::time::{GoDuration, civil_from_days};

use super::{Function, Outcome, row};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[row("formatdate", 2, 2, formatdate), row("timeadd", 2, 2, timeadd)];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Local time and its distance from UTC.
struct Moment {
    /// Nanoseconds since the start of 1970, on the local clock.
    local: i128,
    /// Minutes east of UTC.
    offset: i64,
}

/// The fields of a local clock.
struct Fields {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Moment {
    /// Reads `2031-07-04T09:08:07.5+02:00`.
    fn read(text: &str) -> Result<Moment, String> {
        let bad = || format!("{text:?} is no time such as 2031-07-04T09:08:07Z");
        if !text.is_ascii() || text.len() < 20 {
            return Err(bad());
        }
        let number = |from: usize, to: usize| -> Option<i64> {
            let digits = &text[from..to];
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let signs = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
        if signs.iter().any(|(at, sign)| &text[*at..*at + 1] != *sign) {
            return Err(bad());
        }
        let parts = [(0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)].map(|(from, to)| number(from, to));
        let [Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)] = parts else {
            return Err(bad());
        };
        let (fraction, zone) = match text[19..].strip_prefix('.') {
            Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", &text[19..]),
        };
        if text[19..].starts_with('.') && fraction.is_empty() {
            return Err(bad());
        }
        let nanos: i128 = format!("{fraction:0<9}")[..9].parse().map_err(|_| bad())?;
        let offset = zone_minutes(zone).ok_or_else(bad)?;
        let in_range = (1..=12).contains(&month)
            && (1..=days_of(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !in_range {
            return Err(format!("{text:?} is no day or hour that exists"));
        }
        let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Ok(Moment { local: i128::from(seconds) * 1_000_000_000 + nanos, offset })
    }

    fn fields(&self) -> Fields {
        let seconds = i64::try_from(self.local.div_euclid(1_000_000_000)).unwrap_or(0);
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        Fields {
            year,
            month: usize::try_from(month).unwrap_or(1),
            day,
            weekday: usize::try_from(days.rem_euclid(7)).unwrap_or(0),
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// The offset as `+02:00`, with `between` as its colon.
    fn zone(&self, between: &str) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs();
        format!("{sign}{:02}{between}{:02}", minutes / 60, minutes % 60)
    }
}

/// `Z` or `+02:00` in minutes.
fn zone_minutes(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let digits =
        |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<i64>().ok())?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Howard Hinnant's `days_from_civil`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn timeadd(arguments: &[Value]) -> Outcome {
    let moment = Moment::read(&arguments[0].to_text()?)?;
    let span = GoDuration::parse(&arguments[1].to_text()?)?;
    let moment = Moment { local: moment.local + i128::from(span.0), ..moment };
    let at = moment.fields();
    let zone = if moment.offset == 0 { "Z".to_owned() } else { moment.zone(":") };
    Ok(Value::Text(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{zone}",
        at.year, at.month, at.day, at.hour, at.minute, at.second
    )))
}

fn formatdate(arguments: &[Value]) -> Outcome {
    let format: Vec<char> = arguments[0].to_text()?.chars().collect();
    let moment = Moment::read(&arguments[1].to_text()?)?;
    let at = moment.fields();
    let (mut out, mut from) = (String::new(), 0);
    while let Some(&c) = format.get(from) {
        if c == '\'' {
            from = quoted(&format, from, &mut out)?;
            continue;
        }
        let count = format[from..].iter().take_while(|other| **other == c).count();
        if !c.is_ascii_alphabetic() {
            out.extend(std::iter::repeat_n(c, count));
        } else {
            out.push_str(&part(c, count, &at, &moment)?);
        }
        from += count;
    }
    Ok(Value::Text(out))
}

/// Text between apostrophes; two of them stand for one.
fn quoted(format: &[char], open: usize, out: &mut String) -> Result<usize, String> {
    let mut at = open + 1;
    loop {
        match format.get(at) {
            Some('\'') if format.get(at + 1) == Some(&'\'') => {
                out.push('\'');
                at += 2;
            }
            Some('\'') => return Ok(at + 1),
            Some(c) => {
                out.push(*c);
                at += 1;
            }
            None => return Err("an apostrophe is never closed".to_owned()),
        }
    }
}

fn part(letter: char, count: usize, at: &Fields, moment: &Moment) -> Result<String, String> {
    let padded = |number: i64| if count == 1 { number.to_string() } else { format!("{number:02}") };
    let twelve = (at.hour + 11) % 12 + 1;
    Ok(match (letter, count) {
        ('Y', 4) => format!("{:04}", at.year),
        ('Y', 2) => format!("{:02}", at.year.rem_euclid(100)),
        ('M', 4) => MONTHS[at.month - 1].to_owned(),
        ('M', 3) => MONTHS[at.month - 1][..3].to_owned(),
        ('M', 1 | 2) => padded(i64::try_from(at.month).unwrap_or(0)),
        ('D', 1 | 2) => padded(at.day),
        ('E', 4) => DAYS[at.weekday].to_owned(),
        ('E', 3) => DAYS[at.weekday][..3].to_owned(),
        ('h', 1 | 2) => padded(at.hour),
        ('H', 1 | 2) => padded(twelve),
        ('A', 2) => if at.hour < 12 { "AM" } else { "PM" }.to_owned(),
        ('a', 2) => if at.hour < 12 { "am" } else { "pm" }.to_owned(),
        ('m', 1 | 2) => padded(at.minute),
        ('s', 1 | 2) => padded(at.second),
        ('Z', 1) if moment.offset == 0 => "Z".to_owned(),
        ('Z', 3) if moment.offset == 0 => "UTC".to_owned(),
        ('Z', 1 | 5) => moment.zone(":"),
        ('Z', 3 | 4) => moment.zone(""),
        _ => {
            let word: String = std::iter::repeat_n(letter, count).collect();
            return Err(format!("{word} is no part of a date; put text between apostrophes"));
        }
    })
}

/// Whether a text is a point in time.
pub(super) fn exists(text: &str) -> bool {
    Moment::read(text).is_ok()
}
