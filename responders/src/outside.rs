//! What packets of an external network show.

use crate::answer::{Answer, Learned, Outcome, PacketVerdict};
use crate::frame::{Ipv4Packet, Ipv6Packet, Refusal, ethernet};
use crate::neighbor::{HeardClaim, HeardNeighbor};
use crate::prefix_client;
use crate::ra::HeardAdvertisement;
use sextant_model::NetworkId;
use std::net::IpAddr;

/// A frame that shows a neighbour's MAC, or a router.
pub(crate) fn heard(network: NetworkId, frame: &[u8]) -> Answer {
    let told = ethernet(frame).and_then(|(_, from, _)| Ok((from, HeardNeighbor::parse(frame)?)));
    let (from, heard) = match told {
        Ok(told) => told,
        Err(refusal) => return Answer::refused("frame", refusal.into()),
    };
    let router = HeardAdvertisement::parse(frame).ok();
    let message = match (router.is_some(), heard.claim) {
        (true, _) => "router_advertisement",
        (false, HeardClaim::Advertised { .. }) if heard.address.is_ipv4() => "arp_reply",
        (false, HeardClaim::Advertised { .. }) => "neighbor_advertisement",
        (false, HeardClaim::Mentioned { .. }) if heard.address.is_ipv4() => "arp_request",
        (false, HeardClaim::Mentioned { .. }) => "neighbor_solicitation",
    };
    let router = router.map(|advertisement| Learned::Router {
        network,
        from,
        advertisement,
    });
    let learned = router
        .into_iter()
        .chain([Learned::Neighbor(network, heard)])
        .collect();
    noted(message, learned)
}

/// A packet for a neighbour whose MAC is to be found.
pub(crate) fn sought(network: NetworkId, frame: &[u8]) -> Answer {
    let destination = match Ipv6Packet::parse(frame) {
        Ok(packet) => Ok(IpAddr::from(packet.destination)),
        Err(Refusal::Ignored(_)) => {
            Ipv4Packet::parse(frame).map(|packet| packet.destination.into())
        }
        Err(refusal) => Err(refusal),
    };
    match destination {
        Ok(address) => noted("packet", vec![Learned::Sought(network, address)]),
        Err(refusal) => Answer::refused("frame", refusal.into()),
    }
}

/// A DHCPv6 server's message to a client that asks for a prefix.
pub(crate) fn prefix_client_message(network: NetworkId, frame: &[u8]) -> Answer {
    match prefix_client::HeardServer::parse(frame) {
        Ok(heard) => noted(
            heard.message(),
            vec![Learned::PrefixClientMessage(network, heard)],
        ),
        Err((message, refusal)) => Answer::refused(message, refusal.into()),
    }
}

fn noted(message: &'static str, learned: Vec<Learned>) -> Answer {
    let verdict = PacketVerdict::Noted;
    Answer {
        frames: vec![],
        outcome: Outcome { message, verdict },
        learned,
    }
}
