//! The lab's addresses, all from documentation and private ranges. Every hypervisor has an
//! underlay link of its own to the router (a /64, so that tunnels are routed), and all share
//! the management link with the controller.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The controller's address on the management link.
pub const CONTROLLER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xc, 0, 0, 0, 0, 0, 1);
/// The largest frame payload on every underlay link, in bytes.
pub const UNDERLAY_MTU: u32 = 1500;
/// The name of a hypervisor's underlay interface; on the userspace datapath a port of `br-phy`.
pub const UNDERLAY_DEVICE: &str = "underlay";

/// Internet protocols of the underlay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Underlay {
    /// IPv6 alone.
    #[default]
    Ipv6,
    /// IPv6 and IPv4.
    DualStack,
}

/// Which end of a hypervisor's underlay link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Router,
    Hypervisor,
}

impl End {
    fn last(self) -> u8 {
        match self {
            Self::Router => 1,
            Self::Hypervisor => 2,
        }
    }
}

/// `2001:db8:77:N::1` (router) and `::2` (hypervisor), a /64 each N.
pub(crate) fn underlay_v6(number: u16, end: End) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x77, number, 0, 0, 0, end.last().into())
}

/// `10.77.N.1` (router) and `.2` (hypervisor), a /24 each N.
pub(crate) fn underlay_v4(number: u16, end: End) -> Ipv4Addr {
    let [_, number] = number.to_be_bytes();
    Ipv4Addr::new(10, 77, number, end.last())
}

/// Both ends' addresses with their prefix lengths.
pub(crate) fn underlay(number: u16, end: End, underlay: Underlay) -> Vec<(IpAddr, u8)> {
    let mut addresses = vec![(IpAddr::from(underlay_v6(number, end)), 64)];
    if underlay == Underlay::DualStack {
        addresses.push((underlay_v4(number, end).into(), 24));
    }
    addresses
}

/// The address on the management link of one of several controllers, `c1` and so on.
pub(crate) fn controller(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xc, 0, 0, 0, 0, 2, number)
}

/// The addresses of all members of etcd.
pub(crate) const MEMBERS: &str = "fd00:c::3:0/112";

/// The address on the management link of a member of etcd, `e1` and so on.
pub(crate) fn member(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xc, 0, 0, 0, 0, 3, number)
}

/// The hypervisor's address on the management link.
pub(crate) fn management(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xc, 0, 0, 0, 0, 1, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hypervisor_has_a_link_of_its_own() {
        assert_eq!(
            underlay_v6(1, End::Hypervisor).to_string(),
            "2001:db8:77:1::2"
        );
        assert_eq!(underlay_v6(2, End::Router).to_string(), "2001:db8:77:2::1");
        assert_eq!(underlay_v4(2, End::Hypervisor).to_string(), "10.77.2.2");
        assert_eq!(management(2).to_string(), "fd00:c::1:2");
    }
}
