//! What guests send to the controller: Router Solicitations, DHCPv6 and DHCPv4.

use super::{arp, icmpv6, icmpv6_type, ipv4, ipv6, protocol, valid_nd};
use crate::advertisement::{advertised_link, dhcpv6_service};
use crate::dhcpv4::{SERVER_WITHOUT_GATEWAY, dhcpv4_service};
use crate::flow::Flow;
use crate::pipeline::{Stage, punt};
use crate::view::View;
use rust_openflow::{Field, Match};
use sextant_model::{Dhcpv4Service, GroupMember, Network, Port, Punt};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// All_DHCP_Relay_Agents_and_Servers (RFC 9915 §7.1).
const ALL_DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// The punts of a guest's port. Each passes the meter with the number of the OpenFlow port.
pub(crate) fn port(view: &View<'_>, network: &Network, port: &Port, ofport: u16) -> Vec<Flow> {
    let advertisements: Vec<_> = view
        .intent
        .router_ports_of(network.id)
        .filter_map(|router_port| advertised_link(view, network, router_port))
        .map(|link| link.advertisement)
        .collect();
    let solicitation = (!advertisements.is_empty()).then(|| {
        let matches = valid_nd(icmpv6::ROUTER_SOLICITATION).with(Field::IN_PORT, ofport);
        Flow::new(Stage::Punt, punt::SERVED, matches).punt(Punt::RouterSolicitation {
            port: port.id,
            advertisements,
        })
    });
    let dhcpv6 = dhcpv6_service(view, network, port).map(|service| {
        let to_servers = ipv6()
            .with(Field::IP_PROTO, protocol::UDP)
            .with(Field::UDP_DST, 547u16)
            .ipv6(Field::IPV6_DST, ALL_DHCP_SERVERS)
            .with(Field::IN_PORT, ofport);
        Flow::new(Stage::Punt, punt::SERVED, to_servers).punt(Punt::Dhcpv6(service))
    });
    let members = group_members(view, network);
    let to_routers = (!members.is_empty()).then(|| {
        let matches = group_echo(ALL_ROUTERS).with(Field::IN_PORT, ofport);
        Flow::new(Stage::Punt, punt::SERVED, matches).punt(Punt::GroupEcho(members.clone()))
    });
    let to_nodes = (!members.is_empty()).then(|| {
        let matches = group_echo(ALL_NODES).with(Field::IN_PORT, ofport);
        Flow::new(Stage::Punt, punt::SERVED, matches)
            // A copy only: guests of the network answer an echo request to all nodes, too.
            .copy_up(Punt::GroupEcho(members), ofport.into())
            .goto(Stage::Neighbor)
    });
    let dhcpv4 = dhcpv4_service(view, network, port);
    let resolved = dhcpv4.iter().flat_map(|service| server(service, ofport));
    let resolved: Vec<Flow> = resolved.collect();
    solicitation
        .into_iter()
        .chain(dhcpv6)
        .chain(to_routers)
        .chain(
            dhcpv4
                .into_iter()
                .flat_map(|service| to_dhcpv4(service, ofport)),
        )
        .map(|flow| flow.meter(u32::from(ofport)))
        .chain(resolved)
        .chain(to_nodes)
        .collect()
}

/// The routers of a network.
fn group_members(view: &View<'_>, network: &Network) -> Vec<GroupMember> {
    let ports = view.intent.router_ports_of(network.id);
    let working = ports.filter(|port| view.router(port).is_some());
    working
        .map(|port| GroupMember {
            mac: port.mac_address,
            address: port.mac_address.link_local(),
        })
        .collect()
}

/// An echo request to a multicast group that routers are in (RFC 4291 §2.8).
fn group_echo(group: Ipv6Addr) -> Match {
    icmpv6_type(icmpv6::ECHO_REQUEST)
        .with(Field::ICMPV6_CODE, 0u8)
        .ipv6(Field::IPV6_DST, group)
        .masked(Field::IP_FRAG, 0u8, 3u8)
}

/// Answers the ARP request of a guest that renews its lease. Where the server has a gateway's address, the router
/// answers.
fn server(service: &Dhcpv4Service, ofport: u16) -> Option<Flow> {
    let mut servers = service.leases.iter().map(|lease| lease.server);
    servers
        .any(|server| server == SERVER_WITHOUT_GATEWAY)
        .then(|| arp::server(SERVER_WITHOUT_GATEWAY, service.server_mac, ofport))
}

/// What a client sends to all servers and, when it renews, to its own (RFC 2131 §4.1). Packets for another server pass
/// on to it.
fn to_dhcpv4(service: Arc<Dhcpv4Service>, ofport: u16) -> impl Iterator<Item = Flow> {
    let servers: BTreeSet<Ipv4Addr> = service.leases.iter().map(|lease| lease.server).collect();
    let servers = servers.into_iter().chain([Ipv4Addr::BROADCAST]);
    servers.map(move |server| {
        let matches = ipv4()
            .with(Field::IP_PROTO, protocol::UDP)
            .with(Field::UDP_DST, 67u16)
            .with(Field::IPV4_DST, server.to_bits())
            .with(Field::IN_PORT, ofport);
        Flow::new(Stage::Punt, punt::SERVED, matches).punt(Punt::Dhcpv4(service.clone()))
    })
}
