//! What packets of guests' networks show about addresses from address pairs, and what routers answer as members of
//! multicast groups.

use crate::answer::{Answer, Learned, Outcome, PacketVerdict};
use crate::frame::{FrameBuilder, Icmpv6Message, Ipv6Addresses, Ipv6Packet, ethernet};
use crate::neighbor::{Ends, HeardClaim, HeardNeighbor, Solicited, Target, solicit};
use sextant_model::{Asker, GroupMember, PortId};

const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
const NAME: &str = "echo_request";

/// A guest says that it has an address, in a Neighbor Advertisement or as the sender of an ARP message.
pub(crate) fn announced(port: PortId, frame: &[u8]) -> Answer {
    let heard = match HeardNeighbor::parse(frame) {
        Ok(heard) => heard,
        Err(refusal) => return Answer::refused("frame", refusal.into()),
    };
    let message = match heard.claim {
        _ if heard.address.is_ipv4() => "arp",
        HeardClaim::Advertised { .. } => "neighbor_advertisement",
        HeardClaim::Mentioned { .. } => return Answer::ignored("icmpv6", "it announces nothing"),
    };
    // An advertisement without a MAC means the MAC of its sender.
    let sender = ethernet(frame).ok().map(|(_, source, _)| source);
    let Some(mac) = heard.mac.or(sender) else {
        return Answer::ignored(message, "it says no MAC");
    };
    Answer {
        frames: vec![],
        outcome: Outcome {
            message,
            verdict: PacketVerdict::Noted,
        },
        learned: vec![Learned::Announced {
            port,
            address: heard.address,
            mac,
        }],
    }
}

/// A guest sends where it is expected. What it sends does not matter.
pub(crate) fn appeared(port: PortId) -> Answer {
    Answer {
        frames: vec![],
        outcome: Outcome {
            message: "frame",
            verdict: PacketVerdict::Noted,
        },
        learned: vec![Learned::Appeared(port)],
    }
}

/// The frame that asks on a network who has an address.
pub(crate) fn ask(asker: &Asker) -> Answer {
    let Some(wanted) = asker.wanted else {
        return Answer::ignored("packet", "it does not say for whom it is");
    };
    let mut sources = asker.addresses.iter();
    let Some(ends) = sources.find_map(|source| Ends::new(*source, wanted)) else {
        return Answer::ignored("packet", "the router has no address of its family");
    };
    let target = Target {
        ends,
        source_mac: asker.mac,
    };
    answered(
        "packet",
        "solicitation",
        vec![solicit(&target, Solicited::Anyone)],
    )
}

/// The routers' answers to an echo request to one of their groups, each from its own address (RFC 4443 §4.2).
pub(crate) fn group_echo(members: &[GroupMember], packet: &Ipv6Packet<'_>) -> Answer {
    let request = match Icmpv6Message::parse(packet) {
        Ok(request) => request,
        Err(refusal) => return Answer::refused("icmpv6", refusal.into()),
    };
    if (request.kind, request.code) != (ECHO_REQUEST, 0) {
        return Answer::ignored("icmpv6", "not an echo request");
    }
    if packet.source.is_multicast() || packet.source.is_unspecified() {
        return Answer::ignored(NAME, "from nobody who could be answered");
    }
    let replies = members.iter().map(|member| {
        let addresses = Ipv6Addresses {
            source_mac: member.mac,
            destination_mac: packet.source_mac,
            source: member.address,
            destination: packet.source,
        };
        let mut frame = FrameBuilder::icmpv6_error(addresses, ECHO_REPLY, 0, request.body.len());
        frame.bytes().extend(request.body);
        frame.finish()
    });
    answered(NAME, "echo_reply", replies.collect())
}

fn answered(message: &'static str, with: &'static str, frames: Vec<Vec<u8>>) -> Answer {
    Answer {
        frames,
        outcome: Outcome {
            message,
            verdict: PacketVerdict::Answered(with),
        },
        learned: vec![],
    }
}
