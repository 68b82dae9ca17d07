//! What a packet brings along in registers when it comes up, and its flow does not say.

use rust_openflow::{Field, PacketIn};
use sextant_flows::pipeline::{ADDRESS, ADVERTISED_FLAGS, MAC, TAG};
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
        | Punt::Delegation(_)
        | Punt::NeighborSolicitation(_)
        | Punt::Announced(_)
        | Punt::GroupEcho(_) => Cow::Borrowed(punt),
    }
}

fn next_hop(packet: &PacketIn) -> IpAddr {
    let address = Ipv6Addr::from_bits(register(packet, ADDRESS));
    address
        .to_ipv4_mapped()
        .map_or(address.into(), IpAddr::from)
}

fn known(packet: &PacketIn) -> Option<Punt> {
    let [_, _, mac @ ..] = (register(packet, MAC) as u64).to_be_bytes();
    let flags = register(packet, ADVERTISED_FLAGS);
    Some(Punt::NeighborSolicitation(KnownNeighbor {
        address: wanted(&packet.data)?,
        mac: MacAddr(mac),
        router: flags & ROUTER != 0,
        overrides: flags & ANYCAST == 0,
        vlan_tci: register(packet, TAG) as u16,
    }))
}

/// The value of a register, however wide; a switch leaves out those that are 0 and tells wide ones as narrow ones.
fn register(packet: &PacketIn, field: Field) -> u128 {
    let value = |field| packet.matches.value(field).unwrap_or_default();
    let wide = |first: u8, count: u8| {
        let narrow = (first..first + count).map(Field::reg);
        narrow.fold(0, |wide, field| wide << 32 | value(field))
    };
    let of_two = (0..8).find(|n| Field::xreg(*n) == field);
    let of_four = (0..4).find(|n| Field::xxreg(*n) == field);
    match (of_two, of_four) {
        (Some(n), _) => wide(2 * n, 2),
        (_, Some(n)) => wide(4 * n, 4),
        (None, None) => value(field),
    }
}
