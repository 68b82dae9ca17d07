//! What DHCPv4 answers the guest of one port (RFC 2131).

use crate::{Dhcpv4Option, DomainName, MacAddr, PortId};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// A classless route for a guest (RFC 3442).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClasslessRoute {
    /// The destination.
    pub destination: Ipv4Net,
    /// The neighbour to send to.
    pub next_hop: Ipv4Addr,
}

/// An address that DHCPv4 leases to a guest, with the options of its subnet.
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

/// What DHCPv4 answers the guest of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv4Service {
    /// The port.
    pub port: PortId,
    /// The guest's Ethernet address. Other clients on the port get no answer.
    pub mac: MacAddr,
    /// The server's Ethernet address.
    pub server_mac: MacAddr,
    /// The port's addresses on subnets that Sextant serves. There is at least one.
    pub leases: Vec<Dhcpv4Lease>,
    /// How long an address is leased, in seconds.
    pub lifetime: u32,
    /// MTU of the network in octets.
    pub mtu: u16,
    /// The guests' search domain.
    pub domain: Option<DomainName>,
    /// All domains that guests search (RFC 3397). Empty: only the one above.
    pub search: Vec<DomainName>,
    /// Options given to the port. They override options of the service.
    pub extra: Vec<Dhcpv4Option>,
}
