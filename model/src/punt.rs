//! Why a packet comes up from a switch, with everything needed to answer it.
//!
//! A punt consists of plain values. They are computed with the flow that sends the packet up, so answering a packet
//! looks nothing up.

use crate::{
    Advertisement, Dhcpv4Service, Dhcpv6Option, DomainName, MacAddr, NetworkId, NetworkKey, PortId,
};
use ipnet::Ipv6Net;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

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

/// What DHCPv6 answers the guest of one port (RFC 9915).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv6Service {
    /// The port.
    pub port: PortId,
    /// The server's Ethernet address.
    pub server_mac: MacAddr,
    /// The server's link-local address: the source of answers.
    pub server_address: Ipv6Addr,
    /// The server's DUID. It never changes, and is the same on every hypervisor.
    pub server_duid: Arc<[u8]>,
    /// Addresses of the port on subnets that Sextant serves.
    pub addresses: Vec<LeasedAddress>,
    /// Prefixes on the link, for Confirm (RFC 9915 §18.3.3).
    pub on_link: Vec<Ipv6Net>,
    /// DNS servers (RFC 3646).
    pub dns_servers: Vec<Ipv6Addr>,
    /// Domain search list (RFC 3646).
    pub domains: Vec<String>,
    /// Further options.
    pub options: Dhcpv6Options,
}

/// Further options of DHCPv6. The default contains none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dhcpv6Options {
    /// Preference over other servers. With 255 a client asks no others (RFC 9915 §21.8).
    pub preference: u8,
    /// The guest's own name (RFC 4704).
    pub fqdn: Option<DomainName>,
    /// Options given to the port. They override options of the service.
    pub extra: Vec<Dhcpv6Option>,
}

/// Why a router does not forward or take a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// Its hop limit or time to live ends at the router.
    HopLimit,
    /// The router has no route to its destination.
    NoRoute,
    /// Nobody on the network of its next hop has the next hop's address.
    Unreachable,
    /// It is longer than the next network's MTU.
    TooBig {
        /// The MTU of that network in octets.
        mtu: u16,
    },
    /// It is for the router itself, which does not use it. Whoever decodes the packet finds out why.
    OwnAddress,
}

impl Problem {
    /// The name in metrics and logs: the name of its ICMP message (RFC 4443 §3), if there is only one.
    #[must_use]
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

/// The ICMP error of a router about packets from one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// The reason.
    pub problem: Problem,
    /// The MAC of the router's port on that network: the Ethernet source.
    pub mac: MacAddr,
    /// The router's address there, which also says the IP version of the packets. An error about a packet for one of
    /// the router's own addresses comes from that address (RFC 4443 §2.2(a)).
    pub source: IpAddr,
    /// The `vlan_tci` of the error (ovs-fields(7)); 0 without a tag.
    pub vlan_tci: u16,
}

/// A neighbour that a guest asks for, and its MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownNeighbor {
    /// The address.
    pub address: Ipv6Addr,
    /// Its MAC.
    pub mac: MacAddr,
    /// Whether it is a router's.
    pub router: bool,
    /// Whether nobody else has the address: it is not an anycast address (RFC 4861 §7.2.4).
    pub overrides: bool,
    /// The `vlan_tci` of the answer (ovs-fields(7)); 0 without a tag.
    pub vlan_tci: u16,
}

/// A router's port on a network, and the address that it asks for there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The network's number.
    pub network: NetworkKey,
    /// The MAC that the port sends from.
    pub mac: MacAddr,
    /// The addresses of the port.
    pub addresses: Vec<IpAddr>,
    /// The address that it asks for. `None` until the packet has come up.
    pub wanted: Option<IpAddr>,
}

/// A router's port as a member of the all-nodes and all-routers groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The MAC that it sends from.
    pub mac: MacAddr,
    /// Its address on the link.
    pub address: Ipv6Addr,
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
    /// A packet of a guest that its router does not forward or take.
    IcmpError(IcmpError),
    /// A Router Advertisement, a Neighbor Advertisement or an ARP packet from outside, on an external network.
    Heard(NetworkId),
    /// A packet for a neighbour on an external network whose MAC is not known.
    Unresolved(NetworkId),
    /// A DHCPv6 message for a router, on an external network.
    PrefixClientMessage(NetworkId),
    /// A Neighbor Solicitation for an address whose MAC is known, where the switch has no flow that can answer it.
    NeighborSolicitation(KnownNeighbor),
    /// A Neighbor Solicitation without a source link-layer option, to which no flow can add the option that the answer
    /// needs. The packet's registers contain what is known of the neighbour.
    BareSolicitation,
    /// A guest says that it has an address from its port's pairs.
    Announced(PortId),
    /// A packet for an address from address pairs that no port has announced.
    Unheld(Asker),
    /// A guest sends from an interface where it is expected: a live migration has brought it there.
    Appeared(PortId),
    /// An echo request to all nodes or all routers of a link.
    GroupEcho(Vec<GroupMember>),
    /// A probe of a tunnel, from another hypervisor.
    Probed,
    /// A copy of a frame of a port whose frames somebody captures.
    Captured(PortId, crate::FrameDirection),
}

impl Punt {
    /// The port whose guest sent the packet, where the punt is one port's.
    #[must_use]
    pub fn sender(&self) -> Option<PortId> {
        match self {
            Self::RouterSolicitation { port, .. }
            | Self::Announced(port)
            | Self::Appeared(port) => Some(*port),
            Self::Dhcpv6(service) => Some(service.port),
            Self::Dhcpv4(service) => Some(service.port),
            Self::IcmpError(_)
            | Self::Heard(_)
            | Self::Unresolved(_)
            | Self::PrefixClientMessage(_)
            | Self::NeighborSolicitation(_)
            | Self::BareSolicitation
            | Self::Unheld(_)
            | Self::GroupEcho(_)
            | Self::Probed
            | Self::Captured(..) => None,
        }
    }

    /// The punt at a time, in seconds since 1970. The clock is read only if something ends, since reading it takes a
    /// tenth of an answer's time.
    pub fn at(&self, clock: impl FnOnce() -> i64) -> Cow<'_, Self> {
        let Self::RouterSolicitation {
            port,
            advertisements,
        } = self
        else {
            return Cow::Borrowed(self);
        };
        if !advertisements.iter().any(|said| said.has_ends()) {
            return Cow::Borrowed(self);
        }
        let now = clock();
        let said = advertisements.iter().map(|said| match said.at(now) {
            Cow::Borrowed(_) => said.clone(),
            Cow::Owned(said) => Arc::new(said),
        });
        Cow::Owned(Self::RouterSolicitation {
            port: *port,
            advertisements: said.collect(),
        })
    }

    /// The `vlan_tci` of an answer (ovs-fields(7)); 0 without a tag.
    #[must_use]
    pub fn vlan_tci(&self) -> u16 {
        match self {
            Self::IcmpError(error) => error.vlan_tci,
            Self::NeighborSolicitation(known) => known.vlan_tci,
            Self::RouterSolicitation { .. }
            | Self::Dhcpv6(_)
            | Self::Dhcpv4(_)
            | Self::Heard(_)
            | Self::Unresolved(_)
            | Self::PrefixClientMessage(_)
            | Self::BareSolicitation
            | Self::Announced(_)
            | Self::Unheld(_)
            | Self::Appeared(_)
            | Self::GroupEcho(_)
            | Self::Probed
            | Self::Captured(..) => 0,
        }
    }

    /// The name in metrics and logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RouterSolicitation { .. } => "router_solicitation",
            Self::Dhcpv6(_) => "dhcpv6",
            Self::Dhcpv4(_) => "dhcpv4",
            Self::IcmpError(_) => "icmp_error",
            Self::Heard(_) => "heard",
            Self::Unresolved(_) => "unresolved",
            Self::PrefixClientMessage(_) => "delegation",
            Self::NeighborSolicitation(_) => "neighbor_solicitation",
            Self::BareSolicitation => "bare_solicitation",
            Self::Announced(_) => "announced",
            Self::Unheld(_) => "unheld",
            Self::Appeared(_) => "appeared",
            Self::GroupEcho(_) => "group_echo",
            Self::Probed => "probe",
            Self::Captured(..) => "capture",
        }
    }
}
