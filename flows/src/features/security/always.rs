//! What passes whatever the rules are: address resolution, Neighbor Discovery, multicast listeners' messages, and a
//! guest's own DHCP.
//!
//! Hosts cannot do without these (RFC 4890 §4.4.1), and the connection tracker does not know them. The guards have
//! dropped those that a guest must not send. Neighbor Discovery passes only with the hop limit that shows that no
//! router forwarded it (RFC 4861 §7.1). So do multicast listeners' messages, with theirs (RFC 3810 §5).

use super::super::{ethertype, icmpv6, icmpv6_type, protocol, valid_nd};
use super::{EGRESS, INGRESS, RulePath, entry};
use crate::flow::Flow;
use rust_openflow::{Field, Match};
use std::net::Ipv6Addr;

/// A DHCPv6 server answers from a link-local address (RFC 9915 §18.3). An answer from any other address has passed a
/// router.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);

/// The ports of a DHCP client and its server.
struct Dhcp {
    ethertype: u16,
    client: u16,
    server: u16,
}

const DHCP: [Dhcp; 2] = [
    Dhcp {
        ethertype: ethertype::IPV4,
        client: 68,
        server: 67,
    },
    Dhcp {
        ethertype: ethertype::IPV6,
        client: 546,
        server: 547,
    },
];

pub(super) fn flows() -> Vec<Flow> {
    let to_servers = DHCP.map(|dhcp| datagram(dhcp.ethertype, dhcp.client, dhcp.server));
    let [to_ipv4_clients, to_ipv6_clients] =
        DHCP.map(|dhcp| datagram(dhcp.ethertype, dhcp.server, dhcp.client));
    let on_link = to_ipv6_clients.clone();
    let on_link = on_link.ipv6_prefix(Field::IPV6_SRC, LINK_LOCAL, 10);
    let from_guests = on_the_link()
        .chain(to_servers)
        .map(|matches| pass(&EGRESS, matches));
    let to_guests = on_the_link()
        .chain([valid_nd(icmpv6::ROUTER_ADVERTISEMENT)])
        .chain([to_ipv4_clients, on_link])
        .map(|matches| pass(&INGRESS, matches));
    let from_afar = Flow::new(INGRESS.entry, entry::NEVER, to_ipv6_clients);
    from_guests.chain(to_guests).chain([from_afar]).collect()
}

fn pass(way: &RulePath, matches: Match) -> Flow {
    Flow::new(way.entry, entry::ALWAYS, matches).goto(way.next)
}

/// Passes in both directions.
fn on_the_link() -> impl Iterator<Item = Match> {
    let arp = Match::new().with(Field::ETH_TYPE, ethertype::ARP);
    let discovery = [
        icmpv6::ROUTER_SOLICITATION,
        icmpv6::NEIGHBOR_SOLICITATION,
        icmpv6::NEIGHBOR_ADVERTISEMENT,
    ];
    let listeners = [
        icmpv6::MLD_QUERY,
        icmpv6::MLD_REPORT,
        icmpv6::MLD_DONE,
        icmpv6::MLDV2_REPORT,
    ];
    [arp]
        .into_iter()
        .chain(discovery.map(valid_nd))
        .chain(listeners.map(|kind| icmpv6_type(kind).with(Field::NW_TTL, 1u8)))
}

fn datagram(ethertype: u16, from: u16, to: u16) -> Match {
    Match::new()
        .with(Field::ETH_TYPE, ethertype)
        .with(Field::IP_PROTO, protocol::UDP)
        .with(Field::UDP_SRC, from)
        .with(Field::UDP_DST, to)
}
