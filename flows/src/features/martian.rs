//! What nobody may send, neither guests, guarded or not, nor hosts outside: packets from addresses that nobody has,
//! frames that stay between two switches, and frames with two tags. Neighbor Discovery in fragments ends here (RFC 6980 §5), so ovs-vswitchd
//! rewrites nothing that has passed a meter of [`fragments`](super::fragments).

use super::{ethertype, icmpv6, icmpv6_type, ipv4, protocol};
use crate::flow::Flow;
use crate::pipeline::{Stage, classify, martians};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rust_openflow::{Field, Match};
use sextant_model::MacAddr;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Addresses of bridges among themselves: 01:80:c2:00:00:00 to :0f (IEEE 802.1Q §8.6.3).
const BRIDGES: (u64, u64) = (0x0180_c200_0000, 0xffff_ffff_fff0);

/// To which BFD of Open vSwitch's interfaces is sent, without a configured address (`eth_addr_bfd` in its `lib/packets.h`).
const BFD_MAC: MacAddr = MacAddr([0x00, 0x23, 0x20, 0x00, 0x00, 0x01]);
/// The UDP port of BFD (RFC 5881 §4).
const BFD: u16 = 3784;

/// The EtherTypes of a tag (IEEE 802.1Q §9.6). Open vSwitch reads one tag of a frame (`vlan-limit` in
/// ovs-vswitchd.conf.db(5)), so a frame whose EtherType is one of these has another tag inside.
const TAGS: [u16; 2] = [0x8100, 0x88a8];

/// `nw_frag=first`: the first fragment (ovs-fields(7)).
const FIRST_FRAGMENT: (u8, u8) = (1, 3);
const NO_FRAGMENT: (u8, u8) = (0, 1);

/// The stages that check sources, of guests and of hosts outside, each with the next stage.
pub(super) const WAYS: [(Stage, Stage); 2] = [
    (Stage::Martians, Stage::Guard),
    (Stage::Border, Stage::Outside),
];

/// The flows that are the same for every sender.
pub(crate) fn base() -> Vec<Flow> {
    let (value, mask) = BRIDGES;
    let bridges = Match::new().masked(Field::ETH_DST, value, mask);
    let reserved = [bridges, bfd()];
    let reserved = reserved.map(|matches| Flow::new(Stage::Classify, classify::RESERVED, matches));
    let mut flows = Vec::from(reserved);
    flows.extend(stacked_tags());
    for (stage, next) in WAYS {
        for matches in fragmented_discovery() {
            flows.push(Flow::new(stage, martians::FRAGMENTED_DISCOVERY, matches));
        }
        for matches in nobodys() {
            flows.push(Flow::new(stage, martians::NOBODYS, matches));
        }
        for matches in before_any_address() {
            flows.push(Flow::new(stage, martians::BEFORE_ANY_ADDRESS, matches).goto(next));
        }
    }
    flows
}

/// BFD between interfaces of switches. Open vSwitch takes it before any table is asked, and looks it up all the same: without a flow
/// that takes it, it would count as dropped packets.
fn bfd() -> Match {
    ipv4()
        .mac(Field::ETH_DST, BFD_MAC.0)
        .with(Field::IP_PROTO, protocol::UDP)
        .with(Field::UDP_DST, BFD)
}

/// Without its outer tag, such a frame would be in the VLAN of its inner tag outside.
fn stacked_tags() -> impl Iterator<Item = Flow> {
    TAGS.into_iter().map(|tag| {
        let within = Match::new().with(Field::ETH_TYPE, tag);
        Flow::new(Stage::Classify, classify::STACKED, within)
    })
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
    let ipv6 = [
        (Ipv6Addr::UNSPECIFIED, 128),
        (Ipv6Addr::LOCALHOST, 128),
        (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
        (Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), 96),
    ]
    .map(|(address, length)| Ipv6Net::new_assert(address, length).into());
    // 224/3 is multicast and the reserved addresses above it.
    let ipv4 = [in_ipv4(0, 8), in_ipv4(127, 8), in_ipv4(224, 3)];
    let arp = ipv4.into_iter().map(of_arp);
    let sources = ipv6.into_iter().chain(ipv4);
    sources.map(super::routing::from).chain(arp)
}

fn in_ipv4(first: u8, length: u8) -> IpNet {
    Ipv4Net::new_assert([first, 0, 0, 0].into(), length).into()
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

/// What hosts send before they have an address: duplicate address probes and Router Solicitations (RFC 4861), messages
/// of multicast listeners (RFC 3590), DHCPv4 (RFC 2131), IGMP (RFC 3376 §4.2.13), and ARP probes (RFC 5227).
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
    let from_none = ipv4().with(Field::IPV4_SRC, Ipv4Addr::UNSPECIFIED.to_bits());
    let dhcp = from_none
        .clone()
        .with(Field::IP_PROTO, protocol::UDP)
        .with(Field::UDP_SRC, 68u16)
        .with(Field::UDP_DST, 67u16);
    let igmp = from_none.with(Field::IP_PROTO, protocol::IGMP);
    let all = ipv6.into_iter().chain([dhcp, igmp]);
    let whole = all.map(move |matches| matches.masked(Field::IP_FRAG, value, mask));
    whole.chain([of_arp(in_ipv4(0, 32))])
}
