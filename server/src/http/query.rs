//! The query string: the parameters that many routes share, read once, with Nomad's leniency where clients rely on it.

use std::time::Duration;

use model::time::GoDuration;

use super::error::{ApiError, ApiResult};

/// A blocking query waits this long at most, and when it does not say how long.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// The pairs of a query string, decoded. A pair that cannot be decoded is dropped, as Nomad does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub fn parse(raw: &str) -> Query {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name, true)?, decode(value, true)?))
        });
        Query { pairs: pairs.collect() }
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name`, or nothing when it is absent or empty.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// A flag that Nomad refuses with status 500 when it is not a boolean; absent or empty is false.
    pub fn strict_bool(&self, name: &str) -> ApiResult<bool> {
        match self.non_empty(name) {
            None => Ok(false),
            Some(value) => go_bool(value).ok_or_else(|| {
                ApiError::refused(format!("Failed to parse value of {name:?} ({value}) as a bool: write true or false"))
            }),
        }
    }

    /// A flag that Nomad refuses with status 400 when it is not a boolean; absent or empty is false.
    pub fn checked_bool(&self, name: &str) -> ApiResult<bool> {
        let wrong = |text| ApiError::bad_request(format!("{name} must be true or false, not {text:?}"));
        self.non_empty(name).map_or(Ok(false), |text| go_bool(text).ok_or_else(|| wrong(text)))
    }

    /// A flag that is false when it is not a boolean.
    pub fn lenient_bool(&self, name: &str) -> bool {
        self.get(name).and_then(go_bool).unwrap_or(false)
    }

    /// Whether JSON is to be indented: any value but `0`.
    pub fn pretty(&self) -> bool {
        self.get("pretty").is_some_and(|value| value != "0")
    }
}

/// Go's `strconv.ParseBool`.
pub(crate) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Decodes `%41` and, in a query, `+`. `None` for what is not an escape or not UTF-8.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let escaped = text.contains('%') || (plus_is_space && text.contains('+'));
    if !escaped {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let high = (bytes.next()? as char).to_digit(16)?;
                let low = (bytes.next()? as char).to_digit(16)?;
                out.push((high * 16 + low) as u8);
            }
            b'+' if plus_is_space => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

/// The parameters that every read understands.
#[derive(Clone, Debug)]
pub(crate) struct ReadOptions {
    /// `*` stands for all.
    pub namespace: String,
    pub prefix: String,
    /// Answer only when the state has moved beyond this index; 0 answers at once.
    pub min_index: u64,
    /// How long to wait for that, without the random extra.
    pub wait: Duration,
    /// At most this many rows; none for all.
    pub per_page: Option<usize>,
    /// The first row of the page, as the page before named it.
    pub next_token: String,
    pub reverse: bool,
    /// The raw filter expression.
    pub filter: String,
}

impl ReadOptions {
    pub fn parse(query: &Query) -> ApiResult<ReadOptions> {
        if let Some(stale) = query.non_empty("stale")
            && go_bool(stale).is_none()
        {
            return Err(ApiError::bad_request("stale must be true or false"));
        }
        Ok(ReadOptions {
            namespace: namespace(query).to_owned(),
            prefix: query.get("prefix").unwrap_or_default().to_owned(),
            min_index: min_index(query)?,
            wait: wait(query)?,
            per_page: per_page(query)?,
            next_token: query.get("next_token").unwrap_or_default().to_owned(),
            reverse: query.get("reverse") == Some("true"),
            filter: query.get("filter").unwrap_or_default().to_owned(),
        })
    }

    /// Whether rows of `namespace` are asked for.
    pub fn wants_namespace(&self, namespace: &str) -> bool {
        self.namespace == "*" || self.namespace == namespace
    }
}

/// The namespace of a request, `default` when it names none.
pub(crate) fn namespace(query: &Query) -> &str {
    query.non_empty("namespace").unwrap_or("default")
}

fn min_index(query: &Query) -> ApiResult<u64> {
    match query.non_empty("index") {
        None => Ok(0),
        Some(text) => text.parse().map_err(|_| ApiError::bad_request("Invalid index: it must be a whole number")),
    }
}

fn wait(query: &Query) -> ApiResult<Duration> {
    let Some(text) = query.non_empty("wait") else { return Ok(MAX_WAIT) };
    let span = GoDuration::parse(text).map_err(|why| ApiError::bad_request(format!("Invalid wait time: {why}")))?;
    Ok(match span.0 {
        0 => MAX_WAIT,
        negative if negative < 0 => Duration::ZERO,
        _ => span.to_std().min(MAX_WAIT),
    })
}

fn per_page(query: &Query) -> ApiResult<Option<usize>> {
    let Some(text) = query.non_empty("per_page") else { return Ok(None) };
    let number: i32 =
        text.parse().map_err(|_| ApiError::bad_request("Expect a number for `per_page` query string parameter"))?;
    Ok((number != 0).then(|| usize::try_from(number).unwrap_or(0)))
}

/// The ids that start with a prefix: hexadecimal digits in pairs, hyphens anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdRange {
    pub first: u128,
    pub last: u128,
}

impl IdRange {
    /// The range of `prefix`; everything when it is empty. Errors name `noun`.
    pub fn of(prefix: &str, noun: &str) -> ApiResult<IdRange> {
        let bad = |why: &str| ApiError::refused(format!("{noun} lookup failed: prefix {prefix:?} {why}"));
        let (mut first, mut digits) = (0u128, 0u32);
        for character in prefix.chars().filter(|character| *character != '-') {
            let digit = character.to_digit(16).ok_or_else(|| bad("is not hexadecimal"))?;
            digits += 1;
            if digits > 32 {
                return Err(bad("is longer than an id"));
            }
            first |= u128::from(digit) << (128 - 4 * digits);
        }
        if digits % 2 == 1 {
            return Err(bad("must have an even number of digits (without hyphens)"));
        }
        let rest = if digits == 0 { u128::MAX } else { u128::MAX.checked_shr(4 * digits).unwrap_or(0) };
        Ok(IdRange { first, last: first | rest })
    }

    pub fn contains(self, id: u128) -> bool {
        self.first <= id && id <= self.last
    }
}

/// One page of `rows`, and the token of the page behind it. `token` names a row; rows are in the order of their keys.
pub(crate) fn page<T, K: Ord>(
    mut rows: Vec<T>,
    options: &ReadOptions,
    key: impl Fn(&T) -> K,
    token: impl Fn(&T) -> String,
    parse: impl Fn(&str) -> Option<K>,
) -> (Vec<T>, Option<String>) {
    rows.sort_by_key(|row| key(row));
    if options.reverse {
        rows.reverse();
    }
    if !options.next_token.is_empty() {
        let start = parse(&options.next_token).map_or(rows.len(), |wanted| {
            let before = |row: &T| if options.reverse { key(row) > wanted } else { key(row) < wanted };
            rows.partition_point(before)
        });
        rows.drain(..start);
    }
    let Some(limit) = options.per_page.filter(|limit| *limit < rows.len()) else { return (rows, None) };
    let next = rows.get(limit).map(&token);
    rows.truncate(limit);
    (rows, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(raw: &str) -> ApiResult<ReadOptions> {
        ReadOptions::parse(&Query::parse(raw))
    }

    #[test]
    fn shared_parameters_are_read_as_nomad_reads_them() {
        let read = options("index=7&wait=1500ms&namespace=*&prefix=a%2Fb&per_page=2&reverse=1").unwrap();
        assert_eq!((read.min_index, read.wait), (7, Duration::from_millis(1500)));
        assert_eq!((read.prefix.as_str(), read.per_page, read.reverse), ("a/b", Some(2), false));
        assert!(read.wants_namespace("any"));
        assert_eq!(options("wait=10h").unwrap().wait, MAX_WAIT);
        assert_eq!(options("wait=-5s").unwrap().wait, Duration::ZERO);
        for bad in ["index=x", "index=-1", "wait=soon", "wait=10", "stale=x", "per_page=many"] {
            assert!(options(bad).is_err(), "{bad}");
        }
        assert_eq!(Query::parse("prefix=%zz").get("prefix"), None);
        assert!(Query::parse("pretty").pretty() && Query::parse("pretty=false").pretty());
        assert!(!Query::parse("pretty=0").pretty());
    }

    #[test]
    fn a_prefix_of_an_id_is_hexadecimal_pairs() {
        let all = IdRange::of("", "alloc").unwrap();
        assert_eq!((all.first, all.last), (0, u128::MAX));
        let some = IdRange::of("aba1eed5-84", "alloc").unwrap();
        assert!(some.contains(0xaba1_eed5_8499 << 80) && !some.contains(0xaba1_eed5_8599 << 80));
        let one = IdRange::of("aba1eed5-849d-fd6e-f9ff-e9fef14873ef", "alloc").unwrap();
        assert_eq!(one.first, one.last);
        for bad in ["aba", "zz", &"a".repeat(34)] {
            assert!(IdRange::of(bad, "alloc").is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_follow_each_other_in_both_directions() {
        for (reverse, wanted) in [("", vec![1, 2, 3, 4, 5]), ("&reverse=true", vec![5, 4, 3, 2, 1])] {
            let mut seen = Vec::new();
            let mut token = String::new();
            loop {
                let read = options(&format!("per_page=2&next_token={token}{reverse}")).unwrap();
                let rows = vec![3, 1, 2, 5, 4];
                let (rows, next) = page(rows, &read, |row| *row, |row| row.to_string(), |text| text.parse().ok());
                seen.extend(rows);
                match next {
                    Some(next) => token = next,
                    None => break,
                }
            }
            assert_eq!(seen, wanted);
        }
        let rubbish = options("next_token=rubbish").unwrap();
        assert!(page(vec![1], &rubbish, |row| *row, |row| row.to_string(), |text| text.parse().ok()).0.is_empty());
    }
}
