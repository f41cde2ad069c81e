//! Address blocks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use num_bigint::{BigInt, Sign};

use super::{Function, MANY, Outcome, row};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("cidrhost", 2, 2, cidrhost),
    row("cidrnetmask", 1, 1, cidrnetmask),
    row("cidrsubnet", 3, 3, cidrsubnet),
    row("cidrsubnets", 1, MANY, cidrsubnets),
];

/// The block `first/length`, of 32 or 128 bits.
struct Network {
    first: u128,
    length: u32,
    bits: u32,
}

impl Network {
    fn read(value: &Value) -> Result<Network, String> {
        let text = value.to_text()?;
        let bad = || format!("{text:?} is no address block such as 10.0.0.0/16");
        let (address, length) = text.split_once('/').ok_or_else(bad)?;
        let (address, bits) = match address.parse::<IpAddr>().map_err(|_| bad())? {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let digits = !length.is_empty() && length.len() < 4 && length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse::<u32>().ok().filter(|length| digits && *length <= bits).ok_or_else(bad)?;
        let network = Network { first: 0, length, bits };
        Ok(Network { first: address & network.mask(), ..network })
    }

    fn mask(&self) -> u128 {
        let all = if self.bits == 32 { u128::from(u32::MAX) } else { u128::MAX };
        all & !self.host_mask()
    }

    /// The bits of the hosts.
    fn host_mask(&self) -> u128 {
        let free = self.bits - self.length;
        if free == 128 { u128::MAX } else { (1 << free) - 1 }
    }

    fn address(&self, bits: u128) -> String {
        match u32::try_from(bits) {
            Ok(short) if self.bits == 32 => Ipv4Addr::from(short).to_string(),
            _ => Ipv6Addr::from(bits).to_string(),
        }
    }

    fn contains(&self, address: u128) -> bool {
        address & self.mask() == self.first
    }
}

fn cidrhost(arguments: &[Value]) -> Outcome {
    let network = Network::read(&arguments[0])?;
    let number = i128::from(arguments[1].to_int()?);
    let distance = if number < 0 { -number - 1 } else { number }.unsigned_abs();
    if distance > network.host_mask() {
        return Err(format!("there is no host {number} in a block of /{}", network.length));
    }
    let host = if number < 0 { network.host_mask() - distance } else { distance };
    Ok(Value::Text(network.address(network.first | host)))
}

fn cidrnetmask(arguments: &[Value]) -> Outcome {
    let network = Network::read(&arguments[0])?;
    Ok(Value::Text(network.address(network.mask())))
}

fn cidrsubnet(arguments: &[Value]) -> Outcome {
    let network = Network::read(&arguments[0])?;
    let (more, number) = (arguments[1].to_int()?, arguments[2].to_int()?);
    let length = i64::from(network.length).checked_add(more).and_then(|length| u32::try_from(length).ok());
    let length = length.filter(|length| *length <= network.bits);
    let length = length.ok_or_else(|| format!("{more} more bits do not fit behind /{}", network.length))?;
    if (0..63).contains(&more) && number >= 1 << more {
        return Err(format!("{more} bits do not hold the number {number}"));
    }
    // A negative number is laid over the block as two's complement of any length; its magnitude is the address.
    let laid = BigInt::from(network.first) | (BigInt::from(number) << (network.bits - length));
    let magnitude = BigInt::from_biguint(Sign::Plus, laid.into_parts().1);
    let first = u128::try_from(magnitude).map_err(|_| "the address is too long".to_owned())?;
    Ok(Value::Text(format!("{}/{length}", network.address(first))))
}

fn cidrsubnets(arguments: &[Value]) -> Outcome {
    let network = Network::read(&arguments[0])?;
    let mut next = Some(network.first);
    let mut blocks = Vec::new();
    for value in &arguments[1..] {
        let more = u32::try_from(value.to_int()?).ok().filter(|more| (1..=32).contains(more));
        let more = more.ok_or("each block must be 1 to 32 bits longer")?;
        let length = network.length + more;
        if length > network.bits {
            return Err(format!("{more} more bits do not fit behind /{}", network.length));
        }
        let block = Network { first: 0, length, bits: network.bits };
        let up = next.and_then(|next| next.checked_add(block.host_mask())).map(|up| up & block.mask());
        let first = up.filter(|first| network.contains(*first));
        let first = first.ok_or_else(|| format!("no room is left for a block of /{length}"))?;
        blocks.push(format!("{}/{length}", network.address(first)));
        next = first.checked_add(block.host_mask()).and_then(|last| last.checked_add(1));
    }
    Ok(Value::texts(blocks))
}
