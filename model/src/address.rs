//! Functions on IPv6 addresses that the standard library lacks.

use std::net::Ipv6Addr;

/// `fe80::/10` (RFC 4291 §2.5.6).
#[must_use]
pub fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// The solicited-node multicast address (RFC 4291 §2.7.1).
#[must_use]
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(a),
        u16::from_be_bytes([b, c]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solicited_node_takes_the_low_24_bits() {
        let address = "2001:db8::f816:3eff:fe01:203".parse().unwrap();
        assert_eq!(solicited_node(address).to_string(), "ff02::1:ff01:203");
    }
}
