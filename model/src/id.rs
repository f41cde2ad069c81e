//! Typed ids. An allocation's id cannot be passed where a node's is meant.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A text that is not an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId(pub String);

impl fmt::Display for InvalidId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} is not an id; an id has 36 characters, like 64b7c15e-78da-7d8a-228e-2b89f5050782", self.0)
    }
}

impl std::error::Error for InvalidId {}

/// The seed of one command: every id made while it is applied derives from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(#[serde(with = "seed_bytes")] pub u128);

impl Seed {
    /// The `ordinal`-th 128 bits that follow from this seed, shaped as a version 4 UUID.
    pub fn uuid(self, ordinal: u64) -> u128 {
        let mut hasher = Sha256::new();
        hasher.update(self.0.to_be_bytes());
        hasher.update(ordinal.to_be_bytes());
        let digest = hasher.finalize();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        shape_as_v4(u128::from_be_bytes(bytes))
    }

    /// A seed of its own for the `ordinal`-th part of a command.
    pub fn child(self, ordinal: u64) -> Seed {
        Seed(self.uuid(ordinal ^ 0x5eed_5eed_0000_0000))
    }
}

/// Sets the version and variant bits of RFC 9562.
fn shape_as_v4(bits: u128) -> u128 {
    const VERSION: u128 = 0xf << 76;
    const VARIANT: u128 = 0b11 << 62;
    (bits & !VERSION & !VARIANT) | (0x4 << 76) | (0b10 << 62)
}

mod seed_bytes {
    //! A 128-bit number: hexadecimal in text, 16 bytes in binary encodings.
    use serde::{Deserializer, Serializer};

    use super::Bits;

    pub fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(&format_args!("{value:032x}")),
            false => serializer.serialize_bytes(&value.to_be_bytes()),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        Bits::read(deserializer, Bits { what: "a seed", parse: |text| u128::from_str_radix(text, 16).ok() })
    }
}

/// Reads 128 bits from 16 bytes (most significant first) or from a text.
///
/// Takes either whatever the encoding says of itself, because serde buffers some values and then forgets.
struct Bits {
    what: &'static str,
    parse: fn(&str) -> Option<u128>,
}

impl Bits {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, bits: Bits) -> Result<u128, D::Error> {
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_str(bits),
            false => deserializer.deserialize_bytes(bits),
        }
    }
}

impl Visitor<'_> for Bits {
    type Value = u128;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.what)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u128, E> {
        (self.parse)(text).ok_or_else(|| E::custom(InvalidId(text.to_owned())))
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<u128, E> {
        let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        Ok(u128::from_be_bytes(bytes))
    }
}

fn parse_uuid(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut value: u128 = 0;
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
        } else {
            value = value << 4 | u128::from((*byte as char).to_digit(16)?);
        }
    }
    Some(value)
}

macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        // A number of 128 bits would be aligned to 16 bytes, and tables of ids beside small numbers be a third air.
        #[repr(Rust, packed(8))]
        pub struct $name(pub u128);

        impl $name {
            /// The id that is the `ordinal`-th made by a command.
            pub fn derive(seed: Seed, ordinal: u64) -> Self {
                Self(seed.uuid(ordinal))
            }

            /// The first eight characters, as shown in tables.
            pub fn short(&self) -> String {
                format!("{:08x}", self.0 >> 96)
            }

            /// Whether this is the zero id, which stands for "none" in JSON's empty text.
            pub fn is_none(&self) -> bool {
                self.0 == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let bits = self.0;
                write!(
                    out,
                    "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                    bits >> 96,
                    bits >> 80 & 0xffff,
                    bits >> 64 & 0xffff,
                    bits >> 48 & 0xffff,
                    bits & 0xffff_ffff_ffff
                )
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_uuid(text).map(Self).ok_or_else(|| InvalidId(text.to_owned()))
            }
        }

        impl Serialize for $name {
            /// In text the zero id is the empty text, as Nomad writes an absent id.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match (serializer.is_human_readable(), self.is_none()) {
                    (true, true) => serializer.serialize_str(""),
                    (true, false) => serializer.collect_str(self),
                    (false, _) => serializer.serialize_bytes(&self.0.to_be_bytes()),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let parse = |text: &str| if text.is_empty() { Some(0) } else { parse_uuid(text) };
                Bits::read(deserializer, Bits { what: "an id", parse }).map(Self)
            }
        }
    };
}

uuid_id! {
    /// The id of a node; the node's agent makes it once and keeps it.
    NodeId
}
uuid_id! {
    /// The id of an allocation.
    AllocId
}
uuid_id! {
    /// The id of an evaluation.
    EvalId
}
uuid_id! {
    /// The id of a deployment.
    DeploymentId
}

impl AllocId {
    /// The id of the `ordinal`-th allocation that a plan with this seed places.
    ///
    /// They all begin with the same twelve bits, so that what is placed together lies together in every ordered table: a
    /// plan of a thousand copies then writes into one corner of tables of millions. The next twenty differ for each of
    /// the first million, so that the eight characters which people are shown tell the copies of a plan apart.
    pub fn placed(plan: Seed, ordinal: u64) -> AllocId {
        const PLACE: u128 = (1 << 20) - 1;
        // Odd, so that it runs through all places; large, so that neighbours do not look alike.
        const STEP: u128 = 0x9_e375;
        let (corner, first) = (plan.0 & 0xfff, plan.0 >> 12 & PLACE);
        let place = (first + (u128::from(ordinal) & PLACE) * STEP) & PLACE;
        AllocId(plan.uuid(ordinal) & u128::MAX >> 32 | (corner << 20 | place) << 96)
    }
}

/// A job's full name: its namespace and its id. Orders by namespace, then id.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// The namespace, `default` unless told otherwise.
    pub namespace: std::sync::Arc<str>,
    /// The job's id.
    pub id: std::sync::Arc<str>,
}

impl JobKey {
    /// The key of job `id` in `namespace`.
    pub fn new(namespace: &str, id: &str) -> JobKey {
        JobKey { namespace: namespace.into(), id: id.into() }
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_4_and_read_back() {
        let id = AllocId::derive(Seed(7), 0);
        let text = id.to_string();
        assert_eq!(&text[14..15], "4");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"));
        assert_eq!(text.parse(), Ok(id));
        assert_ne!(id, AllocId::derive(Seed(7), 1));
        assert_ne!(id, AllocId::derive(Seed(8), 0));
        assert_eq!(id.short(), text[..8]);
        assert!("aba1eed5".parse::<AllocId>().is_err());
        assert_eq!(serde_json::to_string(&AllocId::default()).unwrap(), "\"\"");
    }

    #[test]
    fn what_is_placed_together_lies_together() {
        let ids: std::collections::BTreeSet<AllocId> =
            (0..100_000).map(|ordinal| AllocId::placed(Seed(7 << 64 | 0x12_3a2a), ordinal)).collect();
        assert_eq!(ids.len(), 100_000);
        assert!(ids.iter().all(|id| id.to_string().starts_with("a2a") && &id.to_string()[14..15] == "4"));
        let shown: std::collections::BTreeSet<String> = ids.iter().map(AllocId::short).collect();
        assert_eq!(shown.len(), 100_000, "the eight characters of tables tell them apart");
    }

    #[test]
    fn ids_are_text_for_people_and_bytes_for_programs() {
        for id in [AllocId::default(), AllocId::derive(Seed(7), 0)] {
            let (text, bytes) = (serde_json::to_string(&id).unwrap(), rmp_serde::to_vec(&id).unwrap());
            assert_eq!(serde_json::from_str::<AllocId>(&text).unwrap(), id);
            assert_eq!((bytes.len(), rmp_serde::from_slice::<AllocId>(&bytes).unwrap()), (18, id));
            // What was written as text before is still read.
            let as_text = rmp_serde::to_vec(&serde_json::from_str::<String>(&text).unwrap()).unwrap();
            assert_eq!(rmp_serde::from_slice::<AllocId>(&as_text).unwrap(), id);
        }
        let seed = Seed(u128::MAX - 5);
        assert_eq!(rmp_serde::from_slice::<Seed>(&rmp_serde::to_vec(&seed).unwrap()).unwrap(), seed);
        assert_eq!(serde_json::from_str::<Seed>(&serde_json::to_string(&seed).unwrap()).unwrap(), seed);
        assert!(rmp_serde::from_slice::<AllocId>(&[0xc4, 2, 1, 2]).is_err(), "two bytes are no id");
    }
}
