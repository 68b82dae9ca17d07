//! Ethernet addresses and the IPv6 addresses made of them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A 48-bit Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

/// The text is not six colon-separated pairs of hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a valid MAC address")]
pub struct InvalidMac(pub String);

impl MacAddr {
    /// The modified EUI-64 interface identifier (RFC 4291 appendix A).
    #[must_use]
    pub fn interface_id(self) -> [u8; 8] {
        let [a, b, c, d, e, f] = self.0;
        [a ^ 2, b, c, 0xff, 0xfe, d, e, f]
    }

    /// The address that SLAAC gives to this interface under the /64 of `prefix` (RFC 4862 §5.5.3).
    #[must_use]
    pub fn eui64(self, prefix: Ipv6Addr) -> Ipv6Addr {
        let mut octets = prefix.octets();
        octets[8..].copy_from_slice(&self.interface_id());
        octets.into()
    }

    /// The link-local address of this interface (RFC 4862 §5.3).
    #[must_use]
    pub fn link_local(self) -> Ipv6Addr {
        self.eui64(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0))
    }

    /// The group bit: not the address of one interface.
    #[must_use]
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The address as a number, first octet most significant, as OpenFlow matches on it.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        self.0.iter().fold(0, |n, octet| n << 8 | u64::from(*octet))
    }
}

impl From<[u8; 6]> for MacAddr {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = InvalidMac;

    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let octets = text.split(':').map(hexadecimal_octet);
        let octets = octets.collect::<Option<Vec<u8>>>();
        match octets.and_then(|octets| octets.try_into().ok()) {
            Some(octets) => Ok(Self(octets)),
            None => Err(InvalidMac(text.to_owned())),
        }
    }
}

/// An octet as two hexadecimal digits. `from_str_radix` alone would accept one digit, or a sign.
pub(crate) fn hexadecimal_octet(pair: &str) -> Option<u8> {
    let is_pair = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_pair {
        return None;
    }
    u8::from_str_radix(pair, 16).ok()
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eui64_is_the_address_that_linux_configures() {
        let mac: MacAddr = "fa:16:3e:00:00:02".parse().unwrap();
        assert_eq!(
            mac.eui64("2001:db8:2::".parse().unwrap()).to_string(),
            "2001:db8:2:0:f816:3eff:fe00:2"
        );
        assert_eq!(mac.link_local().to_string(), "fe80::f816:3eff:fe00:2");
    }

    #[test]
    fn text_that_is_no_mac_is_refused() {
        for text in [
            "",
            "fa:16:3e:00:00",
            "fa:16:3e:00:00:02:03",
            "fa:16:3e:00:00:+2",
            "fa-16-3e-00-00-02",
            "é:16:3e:00:00:02",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(InvalidMac(text.to_owned())));
        }
    }
}
