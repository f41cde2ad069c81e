//! Numbers of the language: binary floats of up to 512 bits, rounded to even.
//!
//! Literals and texts are read with 512 bits; results of functions that go through 64-bit floats or integers keep the
//! 53 or 64 bits of those, which shows in how many digits they print.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::{BigInt, BigUint, Sign};
use serde_json::Value as Json;

/// Bits of a number read from text.
const FULL: u64 = 512;
/// Decimal exponents beyond this are refused: such a number would print as that many digits.
const MAX_EXPONENT: i64 = 2_000;
/// The same in binary, for results.
const MAX_POWER: i64 = 8_000;

/// `mantissa * 2^exponent`, with a sign even for zero. The mantissa is odd or zero.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    negative: bool,
    mantissa: BigUint,
    exponent: i64,
    /// Bits that results are rounded to and that printing assumes.
    precision: u64,
}

impl Number {
    /// Rounds to `precision` bits, half to even, and makes the mantissa odd. `rest` says whether there was more.
    fn rounded(negative: bool, mantissa: BigUint, exponent: i64, precision: u64, rest: bool) -> Number {
        let (mut mantissa, mut exponent) = (mantissa, exponent);
        let bits = mantissa.bits();
        if bits > precision {
            let cut = bits - precision;
            let half = mantissa.bit(cut - 1);
            let below = rest || mantissa.trailing_zeros().is_some_and(|zeros| zeros < cut - 1);
            mantissa >>= cut;
            exponent += signed(cut);
            if half && (below || mantissa.bit(0)) {
                mantissa += 1u8;
            }
        }
        match mantissa.trailing_zeros() {
            None => exponent = 0,
            Some(0) => {}
            Some(zeros) => {
                mantissa >>= zeros;
                exponent += signed(zeros);
            }
        }
        Number { negative, mantissa, exponent, precision }
    }

    /// Reads `-12`, `1.50` or `1e3`; nothing else, no blanks.
    pub fn parse(text: &str) -> Option<Number> {
        let (negative, unsigned) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        let (digits, power) = match unsigned.split_once(['e', 'E']) {
            Some((digits, power)) => {
                let plain = power.strip_prefix(['-', '+']).unwrap_or(power);
                if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                (digits, power.parse::<i64>().ok()?)
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let shape = !whole.is_empty()
            && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
            && (fraction.is_empty() != digits.contains('.'));
        if !shape || digits.len() > 4_000 || power.abs() > MAX_EXPONENT {
            return None;
        }
        if power == 0 && fraction.is_empty() && whole.len() < 19 {
            return whole.parse::<u64>().ok().map(|small| Number::rounded(negative, small.into(), 0, FULL, false));
        }
        let mantissa: BigUint = format!("{whole}{fraction}").parse().ok()?;
        Some(Number::from_decimal(negative, mantissa, power - signed(fraction.len() as u64)))
    }

    /// `mantissa * 10^power`.
    fn from_decimal(negative: bool, mantissa: BigUint, power: i64) -> Number {
        if power >= 0 {
            let scale = BigUint::from(5u8).pow(u32::try_from(power).unwrap_or(u32::MAX));
            return Number::rounded(negative, mantissa * scale, power, FULL, false);
        }
        let divisor = BigUint::from(5u8).pow(u32::try_from(-power).unwrap_or(u32::MAX));
        Number::quotient(negative, &mantissa, power, &divisor, FULL)
    }

    /// `a * 2^exponent / b`.
    fn quotient(negative: bool, a: &BigUint, exponent: i64, b: &BigUint, precision: u64) -> Number {
        let shift = (precision + 2 + b.bits()).saturating_sub(a.bits());
        let scaled = a << shift;
        let quotient = &scaled / b;
        let rest = &quotient * b != scaled;
        // One more bit below tells the rounding that something is left.
        let (mantissa, exponent) = ((quotient << 1u8) + u8::from(rest), exponent - signed(shift) - 1);
        Number::rounded(negative, mantissa, exponent, precision, false)
    }

    /// A 64-bit float; `None` when it is not finite.
    pub fn from_f64(float: f64) -> Option<Number> {
        if !float.is_finite() {
            return None;
        }
        let bits = float.to_bits();
        let (field, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
        let (mantissa, exponent) =
            if field == 0 { (fraction, -1074) } else { (fraction | (1 << 52), signed(field) - 1075) };
        Some(Number::rounded(float.is_sign_negative(), mantissa.into(), exponent, 53, false))
    }

    pub fn to_f64(&self) -> f64 {
        let short = Number::rounded(false, self.mantissa.clone(), self.exponent, 53, false);
        let mantissa = u64::try_from(&short.mantissa).unwrap_or(0) as f64;
        let exponent = i32::try_from(short.exponent.clamp(-2200, 2200)).unwrap_or(0);
        // In two steps, so that the scale itself neither overflows nor vanishes too early.
        let value = mantissa * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2);
        if self.negative { -value } else { value }
    }

    /// Whether it is whole.
    pub fn is_whole(&self) -> bool {
        self.exponent >= 0
    }

    /// How much work it makes, above all to print; small whole numbers make none.
    pub fn weight(&self) -> usize {
        usize::try_from(self.mantissa.bits() / 16 + self.exponent.unsigned_abs() / 64).unwrap_or(usize::MAX)
    }

    /// Whether it is neither too large nor too small to be worked with.
    pub fn is_tame(&self) -> bool {
        self.exponent.abs() <= MAX_POWER
    }

    pub fn is_zero(&self) -> bool {
        self.mantissa == BigUint::ZERO
    }

    pub fn is_negative(&self) -> bool {
        self.negative && !self.is_zero()
    }

    /// The number without its fraction.
    pub fn truncated(&self) -> BigInt {
        let magnitude = match u64::try_from(self.exponent) {
            Ok(exponent) => &self.mantissa << exponent,
            Err(_) => &self.mantissa >> self.exponent.unsigned_abs(),
        };
        BigInt::from_biguint(if self.negative { Sign::Minus } else { Sign::Plus }, magnitude)
    }

    /// A whole number of at least 64 bits of precision.
    pub fn from_whole(whole: &BigInt, precision: u64) -> Number {
        let magnitude = whole.magnitude().clone();
        let precision = precision.max(magnitude.bits()).max(64);
        Number::rounded(whole.sign() == Sign::Minus, magnitude, 0, precision, false)
    }

    /// With the bits of text that was read.
    pub fn from_digits(whole: &BigInt) -> Number {
        Number::from_whole(whole, FULL)
    }

    pub fn to_i64(&self) -> Option<i64> {
        if !self.is_whole() || self.exponent > 64 {
            return None;
        }
        i64::try_from(self.truncated()).ok()
    }

    /// The largest whole number that is not above this one.
    pub fn floor(&self) -> Number {
        self.to_whole(self.negative)
    }

    /// The least whole number that is not below this one.
    pub fn ceil(&self) -> Number {
        self.to_whole(!self.negative)
    }

    fn to_whole(&self, away: bool) -> Number {
        if self.is_whole() {
            return self.clone();
        }
        let mut magnitude = &self.mantissa >> self.exponent.unsigned_abs();
        if away {
            magnitude += 1u8;
        }
        let negative = self.negative && magnitude != BigUint::ZERO;
        let precision = self.precision.max(magnitude.bits());
        Number::rounded(negative, magnitude, 0, precision, false)
    }

    pub fn absolute(&self) -> Number {
        Number { negative: false, ..self.clone() }
    }

    pub fn negate(&self) -> Number {
        Number { negative: !self.negative, ..self.clone() }
    }

    /// Whole numbers that fit 64 bits stay whole, all others become floats; `None` when no float is large enough.
    pub fn to_json(&self) -> Option<Json> {
        if self.is_whole() && self.exponent <= 64 {
            let whole = self.truncated();
            if let Ok(small) = i64::try_from(&whole) {
                return Some(Json::from(small));
            }
        }
        let float = self.to_f64();
        float.is_finite().then(|| Json::from(float))
    }

    pub fn compare(&self, other: &Number) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return if other.negative { Ordering::Greater } else { Ordering::Less },
            (false, true) => return if self.negative { Ordering::Less } else { Ordering::Greater },
            (false, false) if self.negative != other.negative => {
                return if self.negative { Ordering::Less } else { Ordering::Greater };
            }
            _ => {}
        }
        let least = self.exponent.min(other.exponent);
        let top = |number: &Number| number.exponent + signed(number.mantissa.bits());
        let order = top(self).cmp(&top(other)).then_with(|| self.at(least).cmp(&other.at(least)));
        if self.negative { order.reverse() } else { order }
    }

    /// The mantissa for a lower exponent.
    fn at(&self, exponent: i64) -> BigUint {
        &self.mantissa << u64::try_from(self.exponent - exponent).unwrap_or(0)
    }

    pub fn add(&self, other: &Number) -> Number {
        let precision = self.precision.max(other.precision);
        let least = self.exponent.min(other.exponent);
        let with_sign = |number: &Number| {
            BigInt::from_biguint(if number.negative { Sign::Minus } else { Sign::Plus }, number.at(least))
        };
        let sum = with_sign(self) + with_sign(other);
        let negative = sum.sign() == Sign::Minus || (self.negative && other.negative && self.is_zero());
        Number::rounded(negative, sum.into_parts().1, least, precision, false)
    }

    pub fn subtract(&self, other: &Number) -> Number {
        self.add(&other.negate())
    }

    /// The product keeps the bits it needs, up to 512.
    pub fn multiply(&self, other: &Number) -> Number {
        let exponent = self.exponent + other.exponent;
        let negative = self.negative != other.negative;
        let product = Number::rounded(negative, &self.mantissa * &other.mantissa, exponent, FULL, false);
        let precision = self.precision.max(other.precision).max(product.mantissa.bits());
        Number { precision, ..product }
    }

    /// `None` when dividing by zero.
    pub fn divide(&self, other: &Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        let precision = self.precision.max(other.precision);
        let negative = self.negative != other.negative;
        let exponent = self.exponent - other.exponent;
        Some(Number::quotient(negative, &self.mantissa, exponent, &other.mantissa, precision))
    }

    /// The remainder, with the sign of the dividend; by zero it is the dividend itself.
    pub fn remainder(&self, other: &Number) -> Number {
        let Some(quotient) = self.divide(other) else { return self.clone() };
        let times = Number::from_whole(&quotient.truncated(), FULL);
        let product = times.multiply(other);
        Number { precision: self.precision.max(other.precision), ..self.subtract(&product) }
    }

    /// All decimal digits, and where the point is: `0.digits * 10^point`. Empty for zero.
    pub fn decimal(&self) -> (Vec<u8>, i64) {
        exact(&self.mantissa, self.exponent)
    }

    /// The fewest decimal digits that round to this number at its precision, and where the point is.
    pub fn shortest(&self) -> (Vec<u8>, i64) {
        let (digits, point) = self.decimal();
        let bits = self.mantissa.bits();
        if digits.is_empty() || (self.exponent >= 0 && bits + self.exponent.unsigned_abs() < self.precision) {
            return (digits, point);
        }
        // One bit more than the precision: the neighbours by one are half a unit away.
        let shift = (self.precision + 1).saturating_sub(bits);
        let (mantissa, exponent) = (&self.mantissa << shift, self.exponent - signed(shift));
        let inclusive = !mantissa.bit(1);
        let (lower, _) = exact(&(&mantissa - 1u8), exponent);
        let (upper, _) = exact(&(&mantissa + 1u8), exponent);
        shorten(digits, point, &lower, &upper, inclusive)
    }
}

/// Rounds `digits` as early as the interval between `lower` and `upper` allows.
fn shorten(digits: Vec<u8>, point: i64, lower: &[u8], upper: &[u8], inclusive: bool) -> (Vec<u8>, i64) {
    let digit = |digits: &[u8], at: usize| digits.get(at).copied().unwrap_or(0);
    for at in 0..digits.len() {
        let (low, middle, high) = (digit(lower, at), digits[at], digit(upper, at));
        let down = low != middle || (inclusive && at + 1 == lower.len());
        let up = middle != high && (inclusive || middle + 1 < high || at + 1 < upper.len());
        let result = match (down, up) {
            (true, true) => round_digits(digits, point, at + 1),
            (true, false) => (trimmed(digits[..=at].to_vec()), point),
            (false, true) => round_up(digits, point, at + 1),
            (false, false) => continue,
        };
        return result;
    }
    (digits, point)
}

/// Cuts digits to `count`, half to even.
pub(crate) fn round_digits(digits: Vec<u8>, point: i64, count: usize) -> (Vec<u8>, i64) {
    if count >= digits.len() {
        return (digits, point);
    }
    let exactly_half = digits[count] == 5 && count + 1 == digits.len();
    let up = if exactly_half { count > 0 && digits[count - 1] % 2 == 1 } else { digits[count] >= 5 };
    if up { round_up(digits, point, count) } else { (trimmed(digits[..count].to_vec()), point) }
}

fn round_up(digits: Vec<u8>, point: i64, count: usize) -> (Vec<u8>, i64) {
    let mut kept = digits[..count].to_vec();
    while let Some(last) = kept.pop() {
        if last < 9 {
            kept.push(last + 1);
            return (kept, point);
        }
    }
    (vec![1], point + 1)
}

fn trimmed(mut digits: Vec<u8>) -> Vec<u8> {
    while digits.last() == Some(&0) {
        digits.pop();
    }
    digits
}

/// The decimal digits of `mantissa * 2^exponent`, without zeros at the end.
fn exact(mantissa: &BigUint, exponent: i64) -> (Vec<u8>, i64) {
    if *mantissa == BigUint::ZERO {
        return (Vec::new(), 0);
    }
    let scale = exponent.unsigned_abs();
    let whole = if exponent >= 0 {
        mantissa << scale
    } else {
        mantissa * BigUint::from(5u8).pow(u32::try_from(scale).unwrap_or(u32::MAX))
    };
    let digits = whole.to_radix_be(10);
    let point = signed(digits.len() as u64) - if exponent < 0 { signed(scale) } else { 0 };
    (trimmed(digits), point)
}

fn signed(bits: u64) -> i64 {
    i64::try_from(bits).unwrap_or(i64::MAX)
}

impl From<i64> for Number {
    fn from(whole: i64) -> Number {
        Number::rounded(whole < 0, whole.unsigned_abs().into(), 0, 64, false)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

impl fmt::Display for Number {
    /// All digits, never an exponent.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, point) = self.shortest();
        if self.negative {
            out.write_str("-")?;
        }
        let mut text = String::with_capacity(digits.len() + 2);
        if point <= 0 {
            text.push('0');
            if !digits.is_empty() {
                text.push('.');
                (point..0).for_each(|_| text.push('0'));
            }
        }
        for (at, digit) in digits.iter().enumerate() {
            if point > 0 && signed(at as u64) == point {
                text.push('.');
            }
            text.push(char::from(b'0' + digit));
        }
        (signed(digits.len() as u64)..point).for_each(|_| text.push('0'));
        out.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn decimals_are_what_people_expect() {
        let sum = number("0.1").add(&number("0.2"));
        assert_eq!(sum.to_string(), "0.3");
        assert_eq!(sum, number("0.3"));
        assert_eq!(number("1").divide(&number("7")).unwrap().multiply(&number("7")).to_string(), "1");
        assert_eq!(number("-7").remainder(&number("3")).to_string(), "-1");
        assert_eq!(number("7.5").remainder(&number("2")).to_string(), "1.5");
        assert_eq!(number("1e-7").to_string(), "0.0000001");
        assert_eq!(Number::from_f64(2f64.powi(64)).unwrap().to_string(), "18446744073709550000");
        assert_eq!(Number::from_f64(0.5f64.sqrt()).unwrap().to_string(), "0.7071067811865476");
        for text in ["", "-", ".5", "5.", "1e", "0x10", "1_0", " 1", "1e2001", "--1"] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_64_bit_float_survives(float in proptest::num::f64::NORMAL) {
            prop_assert_eq!(Number::from_f64(float).unwrap().to_f64().to_bits(), float.to_bits());
        }

        #[test]
        fn text_reads_back_as_the_same_number(whole in any::<i64>(), fraction in any::<u32>(), power in -30i64..30) {
            let read = number(&format!("{whole}.{fraction}e{power}"));
            prop_assert_eq!(number(&read.to_string()), read);
        }

        #[test]
        fn whole_arithmetic_is_exact(a in any::<i64>(), b in any::<i64>()) {
            let (x, y) = (number(&a.to_string()), number(&b.to_string()));
            let (a, b) = (i128::from(a), i128::from(b));
            prop_assert_eq!(x.add(&y).to_string(), (a + b).to_string());
            prop_assert_eq!(x.multiply(&y).absolute().to_string(), (a * b).abs().to_string());
            prop_assert_eq!(x.compare(&y), a.cmp(&b));
            if b != 0 {
                prop_assert_eq!(x.remainder(&y).absolute().to_string(), (a % b).abs().to_string());
            }
        }
    }
}
