//! What DHCPv4 tells the guest of one port (RFC 2131).

use crate::{Dhcpv4Option, DomainName, MacAddr, PortId};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// A route that a guest is told of (RFC 3442).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClasslessRoute {
    /// Where to.
    pub destination: Ipv4Net,
    /// By which neighbour.
    pub next_hop: Ipv4Addr,
}

/// An address that DHCPv4 hands to a guest, and what goes with its subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv4Lease {
    /// The address, with its subnet's prefix length.
    pub address: Ipv4Net,
    /// The server's address on the subnet: source of answers and server identifier.
    pub server: Ipv4Addr,
    /// The default router.
    pub router: Option<Ipv4Addr>,
    /// Routes, the default route among them.
    pub routes: Vec<ClasslessRoute>,
    /// DNS servers.
    pub dns_servers: Vec<Ipv4Addr>,
    /// The guest's name, without domain.
    pub host_name: DomainName,
}

/// What DHCPv4 tells the guest of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv4Service {
    /// The port.
    pub port: PortId,
    /// The guest's Ethernet address: no other client of the port is served.
    pub mac: MacAddr,
    /// The server's Ethernet address.
    pub server_mac: MacAddr,
    /// The port's addresses on subnets where Sextant hands them out; one at least.
    pub leases: Vec<Dhcpv4Lease>,
    /// For how long an address is leased, in seconds.
    pub lifetime: u32,
    /// MTU of the network in octets.
    pub mtu: u16,
    /// The domain that guests search.
    pub domain: Option<DomainName>,
    /// Options given to the port. One of them wins over what the service tells by itself.
    pub extra: Vec<Dhcpv4Option>,
}
