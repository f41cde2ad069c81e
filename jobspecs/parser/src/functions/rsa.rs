//! `rsadecrypt`: PKCS #1 v1.5 with a private key in PEM (RFC 8017 sections 7.2.2 and A.1.2, RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use num_bigint::BigUint;

use super::Outcome;
use crate::syntax::normal;
use crate::value::Value;

/// The longest key, in bytes of its modulus.
const MAX_KEY: usize = 1024;

pub(super) fn rsadecrypt(arguments: &[Value]) -> Outcome {
    let cipher = STANDARD.decode(arguments[0].to_text()?.replace(['\n', '\r'], ""));
    let cipher = cipher.map_err(|_| "the encrypted text is no base64 text")?;
    let (modulus, exponent) = private_key(&arguments[1].to_text()?).ok_or("the key is no RSA private key in PEM")?;
    let size = usize::try_from(modulus.bits().div_ceil(8)).unwrap_or(usize::MAX);
    if cipher.len() != size || size > MAX_KEY {
        return Err("the key does not fit the encrypted text".to_owned());
    }
    let plain = BigUint::from_bytes_be(&cipher).modpow(&exponent, &modulus).to_bytes_be();
    // 0 2 padding 0 message; the leading zero is not in the number.
    let message = match plain.strip_prefix(&[2]) {
        Some(rest) if plain.len() + 1 == size => {
            rest.iter().position(|byte| *byte == 0).filter(|at| *at >= 8).map(|at| &rest[at + 1..])
        }
        _ => None,
    };
    let message = message.ok_or("the key does not fit the encrypted text")?;
    let text = String::from_utf8(message.to_vec()).map_err(|_| "the decrypted bytes are no text")?;
    Ok(Value::Text(normal(text)))
}

/// Modulus and private exponent.
fn private_key(pem: &str) -> Option<(BigUint, BigUint)> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let der = STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?;
    let (content, _) = element(&der, 0x30)?;
    match label {
        "RSA PRIVATE KEY" => rsa_key(content),
        "PRIVATE KEY" => {
            // version, algorithm, and the key itself inside an octet string
            let (_, rest) = element(content, 0x02)?;
            let (_, rest) = element(rest, 0x30)?;
            let (inner, _) = element(rest, 0x04)?;
            rsa_key(element(inner, 0x30)?.0)
        }
        _ => None,
    }
}

/// Version, modulus, public exponent, private exponent.
fn rsa_key(content: &[u8]) -> Option<(BigUint, BigUint)> {
    let (_, rest) = element(content, 0x02)?;
    let (modulus, rest) = element(rest, 0x02)?;
    let (_, rest) = element(rest, 0x02)?;
    let (exponent, _) = element(rest, 0x02)?;
    let (modulus, exponent) = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
    (modulus > BigUint::ZERO).then_some((modulus, exponent))
}

/// The content of a DER element with that tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), &rest[2..]),
        _ => return None,
    };
    Some((rest.get(..length)?, &rest[length..]))
}
