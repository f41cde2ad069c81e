//! Whether a text is a cron schedule: five fields, with a year behind them six, with seconds before them seven.

/// A field: its least and largest number, and names that stand for numbers from the least up.
struct Field {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const fn numbers(least: u32, most: u32) -> Field {
    Field { least, most, names: &[] }
}

const SECOND: Field = numbers(0, 59);
const MINUTE: Field = numbers(0, 59);
const HOUR: Field = numbers(0, 23);
const DAY: Field = numbers(1, 31);
const MONTH: Field = Field {
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// Both 0 and 7 are Sunday.
const WEEKDAY: Field = Field { least: 0, most: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };
const YEAR: Field = numbers(1970, 2099);

/// Words that stand for whole schedules.
const WORDS: [&str; 7] = ["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"];

/// What is wrong with a schedule.
///
/// # Errors
/// A sentence that names the field, without a full stop.
pub(super) fn check(text: &str) -> Result<(), String> {
    if let Some(word) = text.strip_prefix('@') {
        let known = WORDS.contains(&word) || word.starts_with("every ");
        return if known { Ok(()) } else { Err(format!("there is no schedule @{word}")) };
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let kinds: &[(&str, &Field)] = &[
        ("second", &SECOND),
        ("minute", &MINUTE),
        ("hour", &HOUR),
        ("day", &DAY),
        ("month", &MONTH),
        ("weekday", &WEEKDAY),
        ("year", &YEAR),
    ];
    let kinds = match fields.len() {
        5 => &kinds[1..6],
        6 => &kinds[1..],
        7 => kinds,
        count => return Err(format!("{text:?} is no cron text: it has {count} fields, not five")),
    };
    for (field, (name, kind)) in fields.iter().zip(kinds) {
        if !field.split(',').all(|part| kind.takes(part, name)) {
            return Err(format!("{field:?} is no {name} of a cron text"));
        }
    }
    Ok(())
}

impl Field {
    /// `*`, `?`, `5`, `5-9`, each with `/2` behind it, and what only days have: `L`, `15W`, `5L`, `5#2`.
    fn takes(&self, part: &str, name: &str) -> bool {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let good_step = step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| step > 0 && step <= self.most));
        good_step && (self.takes_range(range) || (step.is_none() && self.takes_special(range, name)))
    }

    fn takes_range(&self, range: &str) -> bool {
        match range.split_once('-') {
            _ if range == "*" || range == "?" => true,
            Some((from, to)) => matches!((self.number(from), self.number(to)), (Some(from), Some(to)) if from <= to),
            None => self.number(range).is_some(),
        }
    }

    fn takes_special(&self, range: &str, name: &str) -> bool {
        let range = range.to_ascii_uppercase();
        let day = |text: &str| text.parse().is_ok_and(|day: u32| (self.least..=self.most).contains(&day));
        match name {
            "day" => range == "L" || range == "LW" || range.strip_suffix('W').is_some_and(day),
            "weekday" => {
                let nth = range.split_once('#').is_some_and(|(weekday, nth)| {
                    self.number(weekday).is_some() && nth.parse().is_ok_and(|nth: u32| (1..=5).contains(&nth))
                });
                nth || range == "L" || range.strip_suffix('L').is_some_and(|weekday| self.number(weekday).is_some())
            }
            _ => false,
        }
    }

    fn number(&self, text: &str) -> Option<u32> {
        let lower = text.to_ascii_lowercase();
        let named = self.names.iter().position(|name| lower == *name).and_then(|at| u32::try_from(at).ok());
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = named.map(|at| at + self.least).or_else(|| text.parse().ok().filter(|_| digits));
        number.filter(|number| (self.least..=self.most).contains(number))
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn schedules_are_told_from_other_texts() {
        for good in [
            "* * * * *",
            "*/15 0-6,22 1 JAN-mar mon,3",
            "0 3 ? * 5#2",
            "0 12 L * *",
            "0 12 15W * 5L",
            "5/10 * * * * 2030",
            "0 5/10 * * * * 2030-2040",
            "@daily",
            "@every 5m",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "@never"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        for bad in
            ["9-5 * * * *", "*/0 * * * *", "a * * * *", "* * * * mon#6", "1,,2 * * * *", "L * * * *", "+1 * * * *"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
