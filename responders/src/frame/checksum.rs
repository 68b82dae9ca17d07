//! The Internet checksum (RFC 1071) over the pseudo-header of IPv6 (RFC 8200 §8.1) or IPv4 (RFC 768), and of an IPv4
//! header.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The value of the checksum field of an upper-layer packet whose checksum field is zero. For a packet with its
/// checksum filled in, 0 means that it is right.
pub(super) fn checksum(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    next_header: u8,
    packet: &[u8],
) -> u16 {
    let sum = sum(&source.octets())
        + sum(&destination.octets())
        + packet.len() as u64
        + u64::from(next_header)
        + sum(packet);
    !fold(sum)
}

/// The same over IPv4.
pub(super) fn checksum_ipv4(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    packet: &[u8],
) -> u16 {
    let sum = sum(&source.octets())
        + sum(&destination.octets())
        + packet.len() as u64
        + u64::from(protocol)
        + sum(packet);
    !fold(sum)
}

/// The checksum of an IPv4 header (RFC 791 §3.1).
pub(super) fn header_checksum(header: &[u8]) -> u16 {
    !fold(sum(header))
}

/// The sum of 16-bit words, modulo 2^16 - 1.
///
/// It adds words of 32 bits in the machine's own order of octets: that gives the same sum with its two octets swapped
/// (RFC 1071 §2), and the compiler can add several at once.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let whole = words
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)));
    let sum = whole.sum::<u64>() + u64::from(u32::from_ne_bytes(last));
    u16::from_be(fold(sum)).into()
}

fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word by word.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    proptest! {
        #[test]
        fn equals_the_definition(source: [u8; 16], destination: [u8; 16], packet in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut all = [source, destination].concat();
            all.extend((packet.len() as u32).to_be_bytes());
            all.extend([0, 0, 0, 58]);
            all.extend(&packet);
            prop_assert_eq!(checksum(source.into(), destination.into(), 58, &packet), plain(&all));
        }

        #[test]
        fn equals_the_definition_over_ipv4(source: [u8; 4], destination: [u8; 4], packet in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut all = [source, destination].concat();
            all.extend([0, 17]);
            all.extend((packet.len() as u16).to_be_bytes());
            all.extend(&packet);
            prop_assert_eq!(checksum_ipv4(source.into(), destination.into(), 17, &packet), plain(&all));
            prop_assert_eq!(header_checksum(&packet), plain(&packet));
        }
    }
}
