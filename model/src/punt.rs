//! Why a packet comes up from a switch, with everything needed to answer it.
//!
//! A punt consists of plain values. They are computed with the flow that sends the packet up, so answering a packet
//! looks nothing up.

use crate::{Dhcpv4Service, Dhcpv6Option, DomainName, MacAddr, NetworkId, NetworkKey, PortId};
use ipnet::Ipv6Net;
use std::borrow::Cow;
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
    /// P: hosts should ask DHCPv6 for a prefix of their own (RFC 9762).
    pub delegation_preferred: bool,
    /// When it ends, if it does. The lifetimes are never longer than the time that is left.
    pub ends: Option<PrefixEnds>,
}

/// When a prefix ends, in seconds since 1970; [`i64::MAX`] means never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixEnds {
    /// Until when hosts prefer addresses of it.
    pub preferred_until: i64,
    /// Until when they are valid.
    pub valid_until: i64,
}

impl AdvertisedPrefix {
    /// The prefix as it is advertised at a time, in seconds since 1970.
    fn at(self, now: i64) -> Self {
        let Some(ends) = self.ends else {
            return self;
        };
        Self {
            valid: self.valid.min(left(ends.valid_until, now)),
            preferred: self.preferred.min(left(ends.preferred_until, now)),
            ..self
        }
    }
}

fn left(until: i64, now: i64) -> u32 {
    let seconds = until.saturating_sub(now).max(0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// How much a router or a route is preferred over others (RFC 4191 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouterPreference {
    /// Preferred over other routers.
    High,
    /// Like other routers.
    #[default]
    Medium,
    /// Only if there is no other router.
    Low,
}

/// A route information option (RFC 4191 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvertisedRoute {
    /// The destination.
    pub prefix: Ipv6Net,
    /// Compared to other routers' routes to the same destination.
    pub preference: RouterPreference,
    /// Lifetime in seconds.
    pub lifetime: u32,
}

/// A PREF64 option (RFC 8781 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pref64 {
    /// The NAT64 prefix, of 96, 64, 56, 48, 40 or 32 bits. A prefix of another length is not advertised.
    pub prefix: Ipv6Net,
    /// Lifetime in seconds, at most 65528.
    pub lifetime: u16,
}

/// Further options of an advertisement. The default contains none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdvertisedOptions {
    /// Default router preference (RFC 4191 §2.2).
    pub preference: RouterPreference,
    /// Reachable time in milliseconds. 0: hosts decide.
    pub reachable_time: u32,
    /// Retransmission timer in milliseconds. 0: hosts decide.
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

/// What a router advertises about itself and a link (RFC 4861 §4.2).
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
    /// Router lifetime in seconds, at most 9000. 0: not a default router.
    pub lifetime: u16,
    /// MTU of the link in octets.
    pub mtu: Option<u16>,
    /// Prefixes.
    pub prefixes: Vec<AdvertisedPrefix>,
    /// Recursive DNS servers (RFC 8106 §5.1).
    pub dns_servers: Vec<Ipv6Addr>,
    /// Lifetime of the DNS servers and the search domains in seconds.
    pub dns_lifetime: u32,
    /// Further options.
    pub options: AdvertisedOptions,
}

impl Advertisement {
    /// The advertisement at a time, in seconds since 1970. The lifetimes of a prefix that ends are at most the time
    /// that is left (RFC 9096 §3.3).
    #[must_use]
    pub fn at(&self, now: i64) -> Cow<'_, Self> {
        if !self.has_ends() {
            return Cow::Borrowed(self);
        }
        let mut said = self.clone();
        for prefix in &mut said.prefixes {
            *prefix = prefix.at(now);
        }
        Cow::Owned(said)
    }

    fn has_ends(&self) -> bool {
        self.prefixes.iter().any(|prefix| prefix.ends.is_some())
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn prefix(ends: Option<PrefixEnds>) -> AdvertisedPrefix {
        AdvertisedPrefix {
            prefix: "2001:db8::/64".parse().unwrap(),
            on_link: true,
            autonomous: true,
            valid: 86_400,
            preferred: 14_400,
            delegation_preferred: false,
            ends,
        }
    }

    fn advertisement(prefixes: Vec<AdvertisedPrefix>) -> Advertisement {
        let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);
        Advertisement {
            mac,
            source: mac.link_local(),
            hop_limit: 64,
            managed: false,
            other: false,
            lifetime: 300,
            mtu: None,
            prefixes,
            dns_servers: vec![],
            dns_lifetime: 300,
            options: AdvertisedOptions::default(),
        }
    }

    #[test]
    fn lifetimes_are_no_longer_than_what_is_left() {
        let ends = |preferred_until, valid_until| {
            Some(PrefixEnds {
                preferred_until,
                valid_until,
            })
        };
        for (ends, now, preferred, valid) in [
            (None, i64::MAX, 14_400, 86_400),
            (ends(i64::MAX, i64::MAX), 1_000, 14_400, 86_400),
            (ends(2_000, 3_000), 1_000, 1_000, 2_000),
            (ends(2_000, 3_000), 2_500, 0, 500),
            (ends(2_000, 3_000), 9_000, 0, 0),
            (ends(i64::MIN, i64::MIN), i64::MAX, 0, 0),
            (ends(20_000, 30_000), i64::MIN, 14_400, 86_400),
        ] {
            let advertisement = advertisement(vec![prefix(None), prefix(ends)]);
            let said = advertisement.at(now);
            let lifetimes = |n: usize| (said.prefixes[n].preferred, said.prefixes[n].valid);
            assert_eq!(lifetimes(0), (14_400, 86_400));
            assert_eq!(lifetimes(1), (preferred, valid), "{ends:?} at {now}");
        }
    }

    #[test]
    fn what_does_not_end_is_not_copied() {
        let lasting = Arc::new(advertisement(vec![prefix(None)]));
        assert!(matches!(lasting.at(5), Cow::Borrowed(_)));
        let ends = PrefixEnds {
            preferred_until: 8,
            valid_until: 9,
        };
        let ending = Arc::new(advertisement(vec![prefix(Some(ends))]));
        let punt = |advertisements| Punt::RouterSolicitation {
            port: PortId::MIN,
            advertisements,
        };
        let both = punt(vec![lasting.clone(), ending.clone()]);
        let Cow::Owned(Punt::RouterSolicitation { advertisements, .. }) = both.at(|| 5) else {
            panic!("one of them ends")
        };
        assert!(Arc::ptr_eq(&advertisements[0], &lasting));
        assert_eq!(*advertisements[1], *ending.at(5));
        let unasked = punt(vec![lasting]);
        let clock = || unreachable!("nothing ends");
        assert!(matches!(unasked.at(clock), Cow::Borrowed(_)));
    }
}
