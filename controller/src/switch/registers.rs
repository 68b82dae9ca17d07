//! What a packet brings along in registers when it comes up, and its flow does not say.

use rust_openflow::PacketIn;
use sextant_flows::pipeline::{ADVERTISED_FLAGS, ANSWER_MAC, NEXT_HOP, TAG};
use sextant_model::{Asker, KnownNeighbor, MacAddr, Punt};
use sextant_responders::neighbor::wanted;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

/// R of a Neighbor Advertisement (RFC 4861 §4.4), as [`ADVERTISED_FLAGS`] has it.
const ROUTER: u128 = 0x8000_0000;
/// An anycast address, there.
const ANYCAST: u128 = 1;

/// The reason why a packet came up, with what it brought along.
pub(super) fn filled<'a>(punt: &'a Punt, packet: &PacketIn) -> Cow<'a, Punt> {
    match punt {
        Punt::Unheld(asker) => Cow::Owned(Punt::Unheld(Asker {
            wanted: Some(next_hop(packet)),
            ..asker.clone()
        })),
        Punt::BareSolicitation => known(packet).map_or(Cow::Borrowed(punt), Cow::Owned),
        Punt::RouterSolicitation { .. }
        | Punt::Dhcpv6(_)
        | Punt::Dhcpv4(_)
        | Punt::IcmpError(_)
        | Punt::Heard(_)
        | Punt::Unresolved(_)
        | Punt::PrefixClientMessage(_)
        | Punt::NeighborSolicitation(_)
        | Punt::Announced(_)
        | Punt::Appeared(_)
        | Punt::GroupEcho(_)
        | Punt::Probed
        | Punt::Captured(..) => Cow::Borrowed(punt),
    }
}

fn next_hop(packet: &PacketIn) -> IpAddr {
    let address = Ipv6Addr::from_bits(NEXT_HOP.read(&packet.matches));
    address
        .to_ipv4_mapped()
        .map_or(address.into(), IpAddr::from)
}

fn known(packet: &PacketIn) -> Option<Punt> {
    let [_, _, mac @ ..] = (ANSWER_MAC.read(&packet.matches) as u64).to_be_bytes();
    let flags = ADVERTISED_FLAGS.read(&packet.matches);
    Some(Punt::NeighborSolicitation(KnownNeighbor {
        address: wanted(&packet.data)?,
        mac: MacAddr(mac),
        router: flags & ROUTER != 0,
        overrides: flags & ANYCAST == 0,
        vlan_tci: TAG.read(&packet.matches) as u16,
    }))
}
