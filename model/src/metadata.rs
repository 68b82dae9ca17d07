//! How a hypervisor's metadata service knows which guest asks: the guest's OpenFlow port, and which of its addresses it
//! asks from, are carried in the address from which the service hears it.
//!
//! Guests of two projects may have the same address. On the way between their ports and the service's port, flows exchange each
//! guest's address for one that no other guest of the hypervisor has.

use crate::{MacAddr, Port};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The port of `br-int` by which guests reach the service, and the name of the host's interface.
pub const METADATA_INTERFACE: &str = "sextant-md";
/// The MAC of that interface, and the one that guests see. Locally administered; it contains 169.254.169.254.
pub const METADATA_MAC: MacAddr = MacAddr([0x02, 0x53, 0xa9, 0xfe, 0xa9, 0xfe]);
/// Where guests find the service over IPv4, as in EC2 and Nova.
pub const METADATA_IPV4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Where guests find the service over IPv6, as with Neutron.
pub const METADATA_IPV6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
/// The TCP port where guests find it.
pub const METADATA_PORT: u16 = 80;
/// The TCP port where the service listens. It is not 80: a listener of the host may have that port at every address.
pub const METADATA_LISTENER_PORT: u16 = 16_980;
/// Where the service listens for IPv4. Hosts have no route to 240.0.0.0/4 (RFC 1112 §4), and Linux accepts it.
pub const METADATA_LISTENER_IPV4: Ipv4Addr = Ipv4Addr::new(METADATA_NET, 255, 255, 254);
/// The prefix of the addresses from which the service hears guests over IPv4, with that of its own. Neutron's agents use
/// 240.0.0.0/16, if any.
pub const METADATA_IPV4_PREFIX: (Ipv4Addr, u8) = (Ipv4Addr::new(METADATA_NET, 0, 0, 0), 8);

/// The first octet of the service's IPv4.
const METADATA_NET: u8 = 241;
/// The second two octets of the service's link-local IPv6 addresses. All of fe80::/10 is link-local (RFC 4291 §2.4).
const METADATA_LINK: u16 = 0xa9fe;

/// The keys of `external_ids` of a guest's interface, by which the service knows the guest.
pub mod metadata_key {
    /// The instance: the port's `device_id`.
    pub const DEVICE: &str = "sextant-device";
    /// The project of the port.
    pub const PROJECT: &str = "sextant-project";
    /// The guest's addresses in the order of their numbers, with spaces between.
    pub const ADDRESSES: &str = "sextant-addresses";
    /// All of them.
    pub const ALL: [&str; 3] = [DEVICE, PROJECT, ADDRESSES];
}

/// One address of a guest on a hypervisor, as the metadata service hears from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataClient {
    /// The OpenFlow port of the guest.
    pub ofport: u16,
    /// The number of the address among the guest's ([`metadata_addresses`]).
    pub number: u8,
}

impl MetadataClient {
    /// The IPv4 address that carries it.
    #[must_use]
    pub fn ipv4(self) -> Ipv4Addr {
        let [high, low] = self.ofport.to_be_bytes();
        Ipv4Addr::new(METADATA_NET, self.number, high, low)
    }

    /// The IPv6 address that carries it. Each client has a /64 of its own, so that limits on a /64 are limits on a guest.
    #[must_use]
    pub fn ipv6(self) -> Ipv6Addr {
        let number = self.number.into();
        Ipv6Addr::new(0xfe80, METADATA_LINK, self.ofport, number, 0, 0, 0, 1)
    }

    /// What an address carries. `None`: no guest sends from it.
    #[must_use]
    pub fn of(address: IpAddr) -> Option<Self> {
        let client = match address.to_canonical() {
            IpAddr::V4(address) => {
                let [_, number, high, low] = address.octets();
                let ofport = u16::from_be_bytes([high, low]);
                Self { ofport, number }
            }
            IpAddr::V6(address) => {
                let [_, _, ofport, number, ..] = address.segments();
                let number = u8::try_from(number).ok()?;
                Self { ofport, number }
            }
        };
        let carries = match address.to_canonical() {
            IpAddr::V4(address) => client.ipv4() == address && address != METADATA_LISTENER_IPV4,
            IpAddr::V6(address) => client.ipv6() == address,
        };
        carries.then_some(client)
    }
}

/// The addresses from which a guest may ask, each with its number: its link-local one first. At most 255 have a number.
pub fn metadata_addresses(port: &Port) -> impl Iterator<Item = (u8, IpAddr)> + '_ {
    let link_local = IpAddr::from(port.mac_address.link_local());
    let given = port.addresses().map(|(_, address)| address);
    (0..u8::MAX).zip([link_local].into_iter().chain(given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_carries_who_asks() {
        for (ofport, number) in [(1, 0), (0xfeff, 254), (258, 3)] {
            let client = MetadataClient { ofport, number };
            for address in [client.ipv4().into(), client.ipv6().into()] {
                assert_eq!(MetadataClient::of(address), Some(client), "{address}");
            }
        }
    }

    #[test]
    fn other_addresses_carry_nobody() {
        for address in [
            "10.0.0.1",
            "241.255.255.254",
            "169.254.169.254",
            "fe80::1",
            "fe80:a9fe:1:100::1",
            "fe80:a9fe:1:1::2",
            "fe80::a9fe:a9fe",
        ] {
            assert_eq!(MetadataClient::of(address.parse().unwrap()), None);
        }
    }
}
