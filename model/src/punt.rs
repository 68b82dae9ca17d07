//! Why a packet comes up from a switch, with everything needed to answer it.
//!
//! A punt is plain values, computed when the flow that raises it is computed: answering a packet looks nothing up.

use crate::{Dhcpv4Service, Dhcpv6Option, DomainName, MacAddr, NetworkId, PortId};
use ipnet::Ipv6Net;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// A prefix information option (RFC 4861 §4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvertisedPrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// L: addresses of the prefix are on-link.
    pub on_link: bool,
    /// A: hosts form addresses from it.
    pub autonomous: bool,
    /// Valid lifetime in seconds.
    pub valid: u32,
    /// Preferred lifetime in seconds.
    pub preferred: u32,
    /// P: hosts had better ask DHCPv6 for a prefix of their own (RFC 9762).
    pub delegation_preferred: bool,
}

/// How much a router or a route is preferred over others (RFC 4191 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouterPreference {
    /// Over the others.
    High,
    /// As the others.
    #[default]
    Medium,
    /// Where there is no other.
    Low,
}

/// A route information option (RFC 4191 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvertisedRoute {
    /// Where to.
    pub prefix: Ipv6Net,
    /// Over other routers' routes to there.
    pub preference: RouterPreference,
    /// Lifetime in seconds.
    pub lifetime: u32,
}

/// A PREF64 option (RFC 8781 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pref64 {
    /// The NAT64 prefix, of 96, 64, 56, 48, 40 or 32 bits; another is not advertised.
    pub prefix: Ipv6Net,
    /// Lifetime in seconds, at most 65528.
    pub lifetime: u16,
}

/// What an advertisement can say besides. The default says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdvertisedOptions {
    /// Default router preference (RFC 4191 §2.2).
    pub preference: RouterPreference,
    /// Reachable time in milliseconds; 0: hosts decide.
    pub reachable_time: u32,
    /// Retransmission timer in milliseconds; 0: hosts decide.
    pub retransmission_timer: u32,
    /// Domains that hosts search (RFC 8106 §5.2).
    pub search_domains: Vec<DomainName>,
    /// Routes by way of this router.
    pub routes: Vec<AdvertisedRoute>,
    /// The NAT64 prefix of the link.
    pub pref64: Option<Pref64>,
    /// Where hosts learn of the captive portal (RFC 8910 §2.3).
    pub captive_portal: Option<String>,
}

/// What a router says of itself and of a link (RFC 4861 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The router port's MAC: Ethernet source and source link-layer address option.
    pub mac: MacAddr,
    /// The router port's link-local address: the source.
    pub source: Ipv6Addr,
    /// Cur Hop Limit.
    pub hop_limit: u8,
    /// M: addresses from DHCPv6.
    pub managed: bool,
    /// O: other configuration from DHCPv6.
    pub other: bool,
    /// Router lifetime in seconds, at most 9000; 0: not a default router.
    pub lifetime: u16,
    /// MTU of the link in octets.
    pub mtu: Option<u16>,
    /// Prefixes.
    pub prefixes: Vec<AdvertisedPrefix>,
    /// Recursive DNS servers (RFC 8106 §5.1).
    pub dns_servers: Vec<Ipv6Addr>,
    /// Lifetime of the DNS servers and the search domains in seconds.
    pub dns_lifetime: u32,
    /// What there is besides.
    pub options: AdvertisedOptions,
}

/// An address that DHCPv6 hands to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasedAddress {
    /// The address.
    pub address: Ipv6Addr,
    /// Preferred lifetime in seconds.
    pub preferred: u32,
    /// Valid lifetime in seconds.
    pub valid: u32,
}

/// What DHCPv6 tells the guest of one port (RFC 9915).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv6Service {
    /// The port.
    pub port: PortId,
    /// The server's Ethernet address.
    pub server_mac: MacAddr,
    /// The server's link-local address: the source of answers.
    pub server_address: Ipv6Addr,
    /// The server's DUID, the same for ever and on every hypervisor.
    pub server_duid: Arc<[u8]>,
    /// Addresses of the port on subnets where Sextant hands them out.
    pub addresses: Vec<LeasedAddress>,
    /// Prefixes on the link, for Confirm (RFC 9915 §18.3.3).
    pub on_link: Vec<Ipv6Net>,
    /// DNS servers (RFC 3646).
    pub dns_servers: Vec<Ipv6Addr>,
    /// Domain search list (RFC 3646).
    pub domains: Vec<String>,
    /// What there is besides.
    pub options: Dhcpv6Options,
}

/// What DHCPv6 can tell besides. The default tells nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dhcpv6Options {
    /// Over other servers; at 255 a client asks no further (RFC 9915 §21.8).
    pub preference: u8,
    /// The guest's own name (RFC 4704).
    pub fqdn: Option<DomainName>,
    /// Options given to the port. One of them wins over what the service tells by itself.
    pub extra: Vec<Dhcpv6Option>,
}

/// Why a router does not take a packet, to forward it or for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// Its hop limit, or time to live, ends at the router.
    HopLimit,
    /// The router has no route to its destination.
    NoRoute,
    /// Nobody on the network of its next hop has the next hop's address.
    Unreachable,
    /// It is longer than the next network takes.
    TooBig {
        /// The MTU of that network in octets.
        mtu: u16,
    },
    /// It is for the router itself, which has no use for it. What exactly is wrong is for whoever opens it to find.
    OwnAddress,
}

impl Problem {
    /// The name in metrics and logs: what the message about it is called (RFC 4443 §3), where there is only one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HopLimit => "time_exceeded",
            Self::NoRoute => "no_route",
            Self::Unreachable => "address_unreachable",
            Self::TooBig { .. } => "packet_too_big",
            Self::OwnAddress => "own_address",
        }
    }
}

/// What a router says of packets of one network that it does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Why not.
    pub problem: Problem,
    /// The MAC of the router's port on that network: the Ethernet source.
    pub mac: MacAddr,
    /// The router's address there, and so the family of the packets it is about. What is said of a packet for one of the
    /// router's own addresses comes from that address (RFC 4443 §2.2(a)).
    pub source: IpAddr,
    /// The tag that what is sent there gets, as `vlan_tci` has it (ovs-fields(7)); 0 for none.
    pub vlan_tci: u16,
}

/// Why a packet comes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Punt {
    /// A Router Solicitation of a guest, and the advertisements that answer it: one for each router of the link.
    RouterSolicitation {
        /// The guest's port.
        port: PortId,
        /// The answers.
        advertisements: Vec<Arc<Advertisement>>,
    },
    /// A DHCPv6 message of a guest.
    Dhcpv6(Arc<Dhcpv6Service>),
    /// A DHCPv4 message of a guest.
    Dhcpv4(Arc<Dhcpv4Service>),
    /// A packet of a guest that its router does not take.
    IcmpError(IcmpError),
    /// A Router Advertisement, a Neighbor Advertisement or an ARP packet from outside, on an external network.
    Heard(NetworkId),
    /// A packet for a neighbour on an external network whose MAC is not known.
    Unresolved(NetworkId),
    /// A DHCPv6 message to a client that asks for a prefix, from outside, on an external network.
    Delegation(NetworkId),
}

impl Punt {
    /// The tag of an answer, as `vlan_tci` has it (ovs-fields(7)); 0 for none.
    pub fn vlan_tci(&self) -> u16 {
        match self {
            Self::IcmpError(error) => error.vlan_tci,
            Self::RouterSolicitation { .. }
            | Self::Dhcpv6(_)
            | Self::Dhcpv4(_)
            | Self::Heard(_)
            | Self::Unresolved(_)
            | Self::Delegation(_) => 0,
        }
    }

    /// The name in metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RouterSolicitation { .. } => "router_solicitation",
            Self::Dhcpv6(_) => "dhcpv6",
            Self::Dhcpv4(_) => "dhcpv4",
            Self::IcmpError(_) => "icmp_error",
            Self::Heard(_) => "heard",
            Self::Unresolved(_) => "unresolved",
            Self::Delegation(_) => "delegation",
        }
    }
}
