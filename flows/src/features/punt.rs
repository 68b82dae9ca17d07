//! What a guest sends to the controller: Router Solicitations, DHCPv6 and DHCPv4.

use super::{ethertype, icmpv6, ipv6, protocol, valid_nd};
use crate::advertisement::{advertisement, dhcpv6_service};
use crate::dhcpv4::dhcpv4_service;
use crate::flow::Flow;
use crate::pipeline::Stage;
use crate::view::View;
use rust_openflow::{Field, Match};
use sextant_model::{Network, Port, Punt};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// All_DHCP_Relay_Agents_and_Servers (RFC 9915 §7.1).
const ALL_DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// The punts of a guest's port. Each passes the meter whose number is the OpenFlow port's.
pub(crate) fn port(view: &View<'_>, network: &Network, port: &Port, ofport: u16) -> Vec<Flow> {
    let advertisements: Vec<_> = view
        .intent
        .router_ports_of(network.id)
        .filter_map(|router_port| advertisement(view, network, router_port))
        .collect();
    let solicitation = (!advertisements.is_empty()).then(|| {
        let matches = valid_nd(icmpv6::ROUTER_SOLICITATION).with(Field::IN_PORT, ofport);
        Flow::new(Stage::Punt, 100, matches).punt(Punt::RouterSolicitation {
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
        Flow::new(Stage::Punt, 100, to_servers).punt(Punt::Dhcpv6(service))
    });
    solicitation
        .into_iter()
        .chain(dhcpv6)
        .chain(dhcpv4(view, network, port, ofport))
        .map(|flow| flow.meter(u32::from(ofport)))
        .collect()
}

/// What a client sends to all servers, and to its own when it renews (RFC 2131 §4.1). What is for another server is left
/// to it.
fn dhcpv4(
    view: &View<'_>,
    network: &Network,
    port: &Port,
    ofport: u16,
) -> impl Iterator<Item = Flow> + use<> {
    let service = dhcpv4_service(view, network, port);
    service.into_iter().flat_map(move |service| {
        let servers: BTreeSet<Ipv4Addr> = service.leases.iter().map(|lease| lease.server).collect();
        let to = move |server: Ipv4Addr| {
            let matches = Match::new()
                .with(Field::ETH_TYPE, ethertype::IPV4)
                .with(Field::IP_PROTO, protocol::UDP)
                .with(Field::UDP_DST, 67u16)
                .with(Field::IPV4_DST, server.to_bits())
                .with(Field::IN_PORT, ofport);
            Flow::new(Stage::Punt, 100, matches).punt(Punt::Dhcpv4(service.clone()))
        };
        servers.into_iter().chain([Ipv4Addr::BROADCAST]).map(to)
    })
}
