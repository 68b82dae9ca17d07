//! Takes guests to the hypervisor's metadata service, and its answers back, without a connection's memory.
//!
//! A guest asks 169.254.169.254 or fe80::a9fe:a9fe, over TCP port 80, from an address of its own. It is heard from an address
//! that carries its OpenFlow port ([`MetadataClient`]): so the service knows who asks, whatever addresses guests have in common,
//! and no guest can ask in another's name. Nothing else gets to the service's port, and nothing but answers comes from it.
//!
//! The guest's rules do not count here, in neither direction, and the frame's destination MAC does not either: it is the
//! service's own on the link, or that of a router. No frame for the service leaves the hypervisor.

use super::neighbor::{self, AddressOwner, KnownAddress};
use super::{arp, ipv4, ipv6, protocol};
use crate::flow::Flow;
use crate::pipeline::{OUTPUT, Stage, classify, metadata, punt};
use crate::view::View;
use rust_openflow::{Action, Field, Match};
use sextant_model::{
    METADATA_IPV4, METADATA_IPV6, METADATA_LISTENER_IPV4, METADATA_LISTENER_PORT, METADATA_MAC,
    METADATA_PORT, MetadataClient, Network, Port, metadata_addresses,
};
use std::net::IpAddr;

/// The bit of `nw_frag` that fragments have (ovs-fields(7)).
const ANY_FRAGMENT: u8 = 1;

/// Recognizes what comes from the service.
pub(crate) fn classify(view: &View<'_>) -> Vec<Flow> {
    let from_service = service_port(view).map(|service| {
        let matches = Match::new().with(Field::IN_PORT, service);
        Flow::new(Stage::Classify, classify::PORT, matches).goto(Stage::Metadata)
    });
    from_service.into_iter().collect()
}

/// Answers guests of a network here that ask which MAC the service has.
pub(crate) fn resolved(view: &View<'_>, network: &Network) -> Vec<Flow> {
    if service_port(view).is_none() {
        return vec![];
    }
    let known = KnownAddress {
        network,
        address: METADATA_IPV6,
        mac: METADATA_MAC,
        owner: AddressOwner::Guest,
        anycast: false,
        vlan_tci: 0,
    };
    let mut flows = neighbor::answer(view.answering(), Stage::Neighbor, &known);
    flows.push(arp::on_link(network, METADATA_IPV4, METADATA_MAC));
    flows
}

/// Takes what a guest asks to the service, and the service's answers to the guest.
pub(crate) fn port(view: &View<'_>, port: &Port, ofport: u16) -> Vec<Flow> {
    let Some(service) = service_port(view) else {
        return vec![];
    };
    let addresses = metadata_addresses(port);
    let both_ways = addresses.flat_map(|(number, own)| {
        let client = MetadataClient { ofport, number };
        [asked(client, own, service), answered(client, own, port)]
    });
    both_ways.collect()
}

fn service_port(view: &View<'_>) -> Option<u16> {
    view.own()?.metadata_port
}

fn asked(client: MetadataClient, own: IpAddr, service: u16) -> Flow {
    let (matches, addresses) = match own {
        IpAddr::V4(own) => {
            let matches = ipv4()
                .with(Field::IPV4_SRC, own.to_bits())
                .with(Field::IPV4_DST, METADATA_IPV4.to_bits());
            let addresses = [
                Action::set(Field::IPV4_SRC, client.ipv4().to_bits()),
                Action::set(Field::IPV4_DST, METADATA_LISTENER_IPV4.to_bits()),
            ];
            (matches, addresses.to_vec())
        }
        IpAddr::V6(own) => {
            let matches = ipv6()
                .ipv6(Field::IPV6_SRC, own)
                .ipv6(Field::IPV6_DST, METADATA_IPV6);
            let source = Action::set(Field::IPV6_SRC, client.ipv6().to_bits());
            (matches, vec![source])
        }
    };
    let matches = matches
        .with(Field::IN_PORT, client.ofport)
        .with(Field::IP_PROTO, protocol::TCP)
        // The host would keep fragments, and wait for the others.
        .masked(Field::IP_FRAG, 0u8, ANY_FRAGMENT)
        .with(Field::TCP_DST, METADATA_PORT);
    let onward = [
        Action::set(Field::TCP_DST, METADATA_LISTENER_PORT),
        Action::set(Field::ETH_DST, METADATA_MAC.to_u64()),
        Action::output(u32::from(service)),
    ];
    Flow::new(Stage::Punt, punt::SERVED, matches).apply([addresses, onward.to_vec()].concat())
}

fn answered(client: MetadataClient, own: IpAddr, port: &Port) -> Flow {
    let (matches, addresses) = match own {
        IpAddr::V4(own) => {
            let matches = ipv4()
                .with(Field::IPV4_SRC, METADATA_LISTENER_IPV4.to_bits())
                .with(Field::IPV4_DST, client.ipv4().to_bits());
            let addresses = [
                Action::set(Field::IPV4_SRC, METADATA_IPV4.to_bits()),
                Action::set(Field::IPV4_DST, own.to_bits()),
            ];
            (matches, addresses.to_vec())
        }
        IpAddr::V6(own) => {
            let matches = ipv6()
                .ipv6(Field::IPV6_SRC, METADATA_IPV6)
                .ipv6(Field::IPV6_DST, client.ipv6());
            let destination = Action::set(Field::IPV6_DST, own.to_bits());
            (matches, vec![destination])
        }
    };
    let matches = matches
        .with(Field::IP_PROTO, protocol::TCP)
        .with(Field::TCP_SRC, METADATA_LISTENER_PORT);
    let home = [
        Action::set(Field::TCP_SRC, METADATA_PORT),
        Action::set(Field::ETH_SRC, METADATA_MAC.to_u64()),
        Action::set(Field::ETH_DST, port.mac_address.to_u64()),
        OUTPUT.set(client.ofport),
    ];
    Flow::new(Stage::Metadata, metadata::ANSWER, matches)
        .apply([addresses, home.to_vec()].concat())
        .goto(Stage::Deliver)
}
