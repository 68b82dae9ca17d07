//! The addresses of a hypervisor's tunnel endpoint: at most one of each IP version.

use crate::IpVersion;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Where a hypervisor receives tunnelled frames (`external_ids:sextant-encap-ip`): at an IPv6 address, an IPv4 address,
/// or one of each. Its text is the addresses, separated by commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Endpoints {
    /// IPv6 only.
    Ipv6(Ipv6Addr),
    /// IPv4 only.
    Ipv4(Ipv4Addr),
    /// One of each.
    Both(Ipv6Addr, Ipv4Addr),
}

/// The text is not a hypervisor's tunnel endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoints {
    /// This text is not an address.
    #[error("'{0}': {1}")]
    NoAddress(String, AddrParseError),
    /// No machine can have this address.
    #[error("{0}: it is not the address of one machine")]
    NoMachine(IpAddr),
    /// There are several addresses of one IP version.
    #[error("it has more than one address of a family")]
    Several,
}

impl Endpoints {
    /// The IPv6 address.
    #[must_use]
    pub fn ipv6(self) -> Option<Ipv6Addr> {
        match self {
            Self::Ipv6(ipv6) | Self::Both(ipv6, _) => Some(ipv6),
            Self::Ipv4(_) => None,
        }
    }

    /// The IPv4 address.
    #[must_use]
    pub fn ipv4(self) -> Option<Ipv4Addr> {
        match self {
            Self::Ipv4(ipv4) | Self::Both(_, ipv4) => Some(ipv4),
            Self::Ipv6(_) => None,
        }
    }

    /// The first address that other machines can never use to reach this one: `::1`, link-local, multicast and so on.
    #[must_use]
    pub fn impossible(self) -> Option<IpAddr> {
        self.addresses().find(|address| match address {
            IpAddr::V6(ipv6) => {
                ipv6.is_loopback()
                    || ipv6.is_unspecified()
                    || ipv6.is_multicast()
                    || ipv6.is_unicast_link_local()
            }
            IpAddr::V4(ipv4) => {
                let [first, ..] = ipv4.octets();
                ipv4.is_loopback() || ipv4.is_link_local() || first == 0 || first >= 224
            }
        })
    }

    /// The address of an IP version.
    pub fn of(self, family: IpVersion) -> Option<IpAddr> {
        match family {
            IpVersion::V6 => self.ipv6().map(IpAddr::from),
            IpVersion::V4 => self.ipv4().map(IpAddr::from),
        }
    }

    /// All addresses, IPv6 first.
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> {
        let ipv6 = self.ipv6().map(IpAddr::from);
        ipv6.into_iter().chain(self.ipv4().map(IpAddr::from))
    }

    /// Whether an address is one of these.
    #[must_use]
    pub fn has(self, address: IpAddr) -> bool {
        self.addresses().any(|own| own == address)
    }

    /// The preferred address: IPv6 if there is one.
    #[must_use]
    pub fn first(self) -> IpAddr {
        match self {
            Self::Ipv6(ipv6) | Self::Both(ipv6, _) => ipv6.into(),
            Self::Ipv4(ipv4) => ipv4.into(),
        }
    }

    /// Our address and the peer's, for a tunnel between two hypervisors. IPv6 if both have it, else IPv4. `None` if
    /// they share no IP version.
    #[must_use]
    pub fn towards(self, peer: Self) -> Option<(IpAddr, IpAddr)> {
        let ipv6 = self.ipv6().zip(peer.ipv6());
        let ipv4 = self.ipv4().zip(peer.ipv4());
        ipv6.map(|(own, peer)| (own.into(), peer.into()))
            .or_else(|| ipv4.map(|(own, peer)| (own.into(), peer.into())))
    }
}

impl From<IpAddr> for Endpoints {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V6(ipv6) => Self::Ipv6(ipv6),
            IpAddr::V4(ipv4) => Self::Ipv4(ipv4),
        }
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv6(ipv6) => ipv6.fmt(f),
            Self::Ipv4(ipv4) => ipv4.fmt(f),
            Self::Both(ipv6, ipv4) => write!(f, "{ipv6},{ipv4}"),
        }
    }
}

impl FromStr for Endpoints {
    type Err = BadEndpoints;

    fn from_str(text: &str) -> Result<Self, BadEndpoints> {
        let mut addresses = text.split(',').map(|part| address(part.trim()));
        // A split has one part at least.
        let first: IpAddr = addresses.next().unwrap_or_else(|| address(text))?;
        let Some(second) = addresses.next().transpose()? else {
            return Ok(first.into());
        };
        match (first, second, addresses.next()) {
            (IpAddr::V6(ipv6), IpAddr::V4(ipv4), None)
            | (IpAddr::V4(ipv4), IpAddr::V6(ipv6), None) => Ok(Self::Both(ipv6, ipv4)),
            (_, _, third) => third.transpose().and(Err(BadEndpoints::Several)),
        }
    }
}

/// Parses an address. An IPv4-mapped one (RFC 4291 §2.5.5.2) becomes IPv4, as in Open vSwitch.
fn address(text: &str) -> Result<IpAddr, BadEndpoints> {
    let parsed: Result<IpAddr, _> = text.parse();
    let address = parsed
        .map_err(|error| BadEndpoints::NoAddress(text.to_owned(), error))?
        .to_canonical();
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.is_unspecified() || address.is_multicast() || broadcast {
        return Err(BadEndpoints::NoMachine(address));
    }
    Ok(address)
}

impl TryFrom<String> for Endpoints {
    type Error = BadEndpoints;

    fn try_from(text: String) -> Result<Self, BadEndpoints> {
        text.parse()
    }
}

impl From<Endpoints> for String {
    fn from(endpoints: Endpoints) -> Self {
        endpoints.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(text: &str) -> Endpoints {
        text.parse().unwrap()
    }

    #[test]
    fn nobody_else_can_send_to_some() {
        for text in [
            "::1",
            "fe80::1",
            "127.0.0.1",
            "169.254.1.2",
            "2001:db8::1,127.9.9.9",
        ] {
            // What is no machine's address at all is no endpoint.
            let impossible = text.parse().map(Endpoints::impossible);
            assert!(!matches!(impossible, Ok(None)), "{text}: {impossible:?}");
        }
        let endpoints: Endpoints = "2001:db8::1,192.0.2.1".parse().unwrap();
        assert_eq!(endpoints.impossible(), None);
    }

    #[test]
    fn one_address_of_each_family_in_any_order() {
        for (text, shown) in [
            ("2001:db8::1", "2001:db8::1"),
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1,192.0.2.1", "2001:db8::1,192.0.2.1"),
            (" 192.0.2.1 , 2001:db8::1 ", "2001:db8::1,192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(endpoints(text).to_string(), shown);
            assert_eq!(endpoints(shown), endpoints(text));
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "'': invalid IP address syntax"),
            ("somewhere", "'somewhere': invalid IP address syntax"),
            ("2001:db8::1,", "'': invalid IP address syntax"),
            ("::", "::: it is not the address of one machine"),
            (
                "192.0.2.1,ff02::1",
                "ff02::1: it is not the address of one machine",
            ),
            (
                "255.255.255.255",
                "255.255.255.255: it is not the address of one machine",
            ),
            (
                "192.0.2.1,192.0.2.2",
                "it has more than one address of a family",
            ),
            (
                "192.0.2.1,2001:db8::1,2001:db8::2",
                "it has more than one address of a family",
            ),
        ] {
            assert_eq!(
                text.parse::<Endpoints>().unwrap_err().to_string(),
                reason,
                "{text}"
            );
        }
    }

    #[test]
    fn two_use_ipv6_where_both_have_it() {
        let way = |own: &str, peer: &str| {
            let way = endpoints(own).towards(endpoints(peer));
            way.map(|(own, peer)| format!("{own} {peer}"))
        };
        let (six, four) = ("2001:db8::1", "192.0.2.1");
        let both = "2001:db8::2,192.0.2.2";
        assert_eq!(way(both, both).unwrap(), "2001:db8::2 2001:db8::2");
        assert_eq!(way(six, both).unwrap(), "2001:db8::1 2001:db8::2");
        assert_eq!(way(both, four).unwrap(), "192.0.2.2 192.0.2.1");
        assert_eq!(way(six, four), None);
    }
}
