//! What nobody may send, neither a guest, guarded or not, nor anybody outside: packets from addresses that are nobody's, and
//! frames that stay between two switches. Neighbor Discovery in fragments ends here (RFC 6980 §5), so nothing that has passed
//! a meter of [`fragments`](super::fragments) is rewritten by ovs-vswitchd itself.

use super::{ethertype, icmpv6, icmpv6_type, ipv4, protocol};
use crate::flow::Flow;
use crate::pipeline::{Stage, classify, martians};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rust_openflow::{Field, Match};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Addresses of bridges among themselves: 01:80:c2:00:00:00 to :0f (IEEE 802.1Q §8.6.3).
const BRIDGES: (u64, u64) = (0x0180_c200_0000, 0xffff_ffff_fff0);

/// `nw_frag=first`: a fragment, and the first (ovs-fields(7)).
const FIRST_FRAGMENT: (u8, u8) = (1, 3);
const NO_FRAGMENT: (u8, u8) = (0, 1);

/// The stages where packets are looked at, of guests and from outside, and where those go on that pass.
pub(super) const WAYS: [(Stage, Stage); 2] = [
    (Stage::Martians, Stage::Guard),
    (Stage::Border, Stage::Outside),
];

/// What is the same whoever sends it.
pub(crate) fn base() -> Vec<Flow> {
    let (value, mask) = BRIDGES;
    let bridges = Match::new().masked(Field::ETH_DST, value, mask);
    let mut flows = vec![Flow::new(Stage::Classify, classify::RESERVED, bridges)];
    for (stage, next) in WAYS {
        let drop = |priority| move |matches| Flow::new(stage, priority, matches);
        flows.extend(fragmented_discovery().map(drop(martians::FRAGMENTED_DISCOVERY)));
        flows.extend(nobodys().map(drop(martians::NOBODYS)));
        let pass = |matches| Flow::new(stage, martians::BEFORE_ANY_ADDRESS, matches).goto(next);
        flows.extend(before_any_address().map(pass));
    }
    flows
}

fn fragmented_discovery() -> impl Iterator<Item = Match> {
    let (value, mask) = FIRST_FRAGMENT;
    [
        icmpv6::ROUTER_SOLICITATION,
        icmpv6::ROUTER_ADVERTISEMENT,
        icmpv6::NEIGHBOR_SOLICITATION,
        icmpv6::NEIGHBOR_ADVERTISEMENT,
        icmpv6::REDIRECT,
    ]
    .into_iter()
    .map(move |kind| icmpv6_type(kind).masked(Field::IP_FRAG, value, mask))
}

/// Sources that no packet on a link has (RFC 4291 §2.5.2, §2.5.3, §2.7, RFC 4942 §2.2; RFC 6890 §2.2.2, RFC 1122
/// §3.2.1.3).
fn nobodys() -> impl Iterator<Item = Match> {
    let six = |address: Ipv6Addr, length| IpNet::V6(Ipv6Net::new_assert(address, length));
    let four = |first: u8, length| IpNet::V4(Ipv4Net::new_assert([first, 0, 0, 0].into(), length));
    let ipv6 = [
        six(Ipv6Addr::UNSPECIFIED, 128),
        six(Ipv6Addr::LOCALHOST, 128),
        six(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
        six(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), 96),
    ];
    // Multicast, and what is reserved above it.
    let ipv4 = [four(0, 8), four(127, 8), four(224, 3)];
    let arp = [four(127, 8), four(224, 3)].into_iter().map(of_arp);
    let sources = ipv6.into_iter().chain(ipv4);
    sources.map(super::routing::from).chain(arp)
}

fn of_arp(sender: IpNet) -> Match {
    let arp = Match::new().with(Field::ETH_TYPE, ethertype::ARP);
    match sender {
        IpNet::V4(sender) => arp.masked(
            Field::ARP_SPA,
            sender.network().to_bits(),
            sender.netmask().to_bits(),
        ),
        IpNet::V6(_) => arp,
    }
}

/// What hosts send before they have an address: duplicate address probes and Router Solicitations (RFC 4861), multicast
/// listeners' messages (RFC 3590), DHCPv4 (RFC 2131), and IGMP (RFC 3376 §4.2.13).
fn before_any_address() -> impl Iterator<Item = Match> {
    let (value, mask) = NO_FRAGMENT;
    let ipv6 = [
        icmpv6::NEIGHBOR_SOLICITATION,
        icmpv6::ROUTER_SOLICITATION,
        icmpv6::MLD_QUERY,
        icmpv6::MLD_REPORT,
        icmpv6::MLD_DONE,
        icmpv6::MLDV2_REPORT,
    ];
    let ipv6 = ipv6.map(|kind| icmpv6_type(kind).ipv6(Field::IPV6_SRC, Ipv6Addr::UNSPECIFIED));
    let from_none = || ipv4().with(Field::IPV4_SRC, Ipv4Addr::UNSPECIFIED.to_bits());
    let dhcp = from_none()
        .with(Field::IP_PROTO, protocol::UDP)
        .with(Field::UDP_SRC, 68u16)
        .with(Field::UDP_DST, 67u16);
    let igmp = from_none().with(Field::IP_PROTO, protocol::IGMP);
    let all = ipv6.into_iter().chain([dhcp, igmp]);
    all.map(move |matches| matches.masked(Field::IP_FRAG, value, mask))
}
