//! Hashes and identifiers.

use rand::Rng;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{Function, Outcome, row, rsa};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("bcrypt", 1, 2, bcrypt),
    row("md5", 1, 1, |arguments| digest::<md5::Md5>(&arguments[0])),
    row("rsadecrypt", 2, 2, rsa::rsadecrypt),
    row("sha1", 1, 1, |arguments| digest::<Sha1>(&arguments[0])),
    row("sha256", 1, 1, |arguments| digest::<Sha256>(&arguments[0])),
    row("sha512", 1, 1, |arguments| digest::<Sha512>(&arguments[0])),
    row("uuidv4", 0, 0, |_| Ok(Value::Text(uuid(random(), 4)))),
    row("uuidv5", 2, 2, uuidv5),
];

/// The namespaces of RFC 9562 by name.
const NAMESPACES: [(&str, u128); 4] = [
    ("dns", 0x6ba7b810_9dad_11d1_80b4_00c04fd430c8),
    ("url", 0x6ba7b811_9dad_11d1_80b4_00c04fd430c8),
    ("oid", 0x6ba7b812_9dad_11d1_80b4_00c04fd430c8),
    ("x500", 0x6ba7b814_9dad_11d1_80b4_00c04fd430c8),
];

/// The dearest bcrypt hash; the next ones take seconds.
const MAX_BCRYPT_COST: u32 = 14;

fn digest<D: Digest>(value: &Value) -> Outcome {
    let bytes = D::digest(value.to_text()?);
    Ok(Value::Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// Sixteen bytes as a UUID of that version.
fn uuid(bytes: [u8; 16], version: u128) -> String {
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | version << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn uuidv5(arguments: &[Value]) -> Outcome {
    let (space, name) = (arguments[0].to_text()?, arguments[1].to_text()?);
    let known = NAMESPACES.iter().find(|(word, _)| *word == space).map(|(_, bits)| *bits);
    let bits = known.or_else(|| {
        let parts: Vec<usize> = space.split('-').map(str::len).collect();
        if parts != [8, 4, 4, 4, 12] || space.contains('+') {
            return None;
        }
        u128::from_str_radix(&space.replace('-', ""), 16).ok()
    });
    let bits = bits.ok_or_else(|| format!("{space:?} is neither dns, url, oid, x500 nor a UUID"))?;
    let hash = Sha1::new().chain_update(bits.to_be_bytes()).chain_update(name).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Ok(Value::Text(uuid(bytes, 5)))
}

/// Evaluation steps of a hash of that cost, which doubles with each step up.
pub(super) fn bcrypt_steps(cost: &Value) -> usize {
    let cost = cost.to_int().ok().and_then(|cost| u32::try_from(cost).ok()).filter(|cost| *cost <= MAX_BCRYPT_COST);
    cost.map_or(0, |cost| 64 << cost)
}

fn bcrypt(arguments: &[Value]) -> Outcome {
    let text = arguments[0].to_text()?;
    let cost = arguments.get(1).map_or(Ok(10), Value::to_int)?;
    // Below the least cost, the usual one is taken.
    let cost = u32::try_from(cost).ok().map(|cost| if cost < 4 { 10 } else { cost });
    let cost = cost.filter(|cost| *cost <= MAX_BCRYPT_COST);
    let cost = cost.ok_or_else(|| format!("the cost must be 4 to {MAX_BCRYPT_COST}"))?;
    if text.len() > 72 {
        return Err("bcrypt takes at most 72 bytes".to_owned());
    }
    let parts = ::bcrypt::hash_with_salt(text, cost, random()).map_err(|why| why.to_string())?;
    Ok(Value::Text(parts.format_for_version(::bcrypt::Version::TwoA)))
}
