//! What a connection tracker knows, as far as flows match it.

use super::Packet;
use rust_openflow::{Action, Field};
use std::collections::BTreeMap;

/// The connections that a switch knows, by zone. A trace adds those that flows commit. So an answer, or the next
/// packet, can be traced with them.
///
/// By Open vSwitch's rules, a connection is new until it is answered. ICMP other than echo belongs to no connection. A
/// packet that is not IP is not looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections(BTreeMap<(u16, Ends), Connection>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Connection {
    mark: u128,
    answered: bool,
}

/// The ends of a connection, seen from its opener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ends {
    ethertype: u128,
    protocol: u128,
    source: (u128, u128),
    destination: (u128, u128),
}

const NEW: u128 = 0x01;
const ESTABLISHED: u128 = 0x02;
const REPLY: u128 = 0x08;
const INVALID: u128 = 0x10;
const TRACKED: u128 = 0x20;

const IPV4: u128 = 0x0800;
const IPV6: u128 = 0x86dd;

/// The fields that show what is known of a connection.
const SHOWN: [Field; 11] = [
    Field::CT_STATE,
    Field::CT_ZONE,
    Field::CT_MARK,
    Field::CT_LABEL,
    Field::CT_NW_PROTO,
    Field::CT_NW_SRC,
    Field::CT_NW_DST,
    Field::CT_IPV6_SRC,
    Field::CT_IPV6_DST,
    Field::CT_TP_SRC,
    Field::CT_TP_DST,
];

impl Connections {
    /// Looks up the connection of a packet, and sets the packet's connection fields.
    pub(super) fn track(&mut self, zone: u16, packet: &mut Packet) {
        forget(packet);
        if ![IPV4, IPV6].contains(&packet.get(Field::ETH_TYPE)) {
            return;
        }
        packet.set(Field::CT_ZONE, zone.into());
        let Some(ends) = Ends::of(packet) else {
            return packet.set(Field::CT_STATE, TRACKED | INVALID);
        };
        if let Some(known) = self.0.get(&(zone, ends)) {
            let since = if known.answered { ESTABLISHED } else { NEW };
            show(packet, TRACKED | since, known.mark, ends);
        } else if let Some(known) = self.0.get_mut(&(zone, ends.turned())) {
            known.answered = true;
            let state = TRACKED | ESTABLISHED | REPLY;
            show(packet, state, known.mark, ends.turned());
        } else if ends.is_answer() {
            packet.set(Field::CT_STATE, TRACKED | INVALID);
        } else {
            show(packet, TRACKED | NEW, 0, ends);
        }
    }

    /// Remembers the connection of a packet, with this mark if one is given.
    pub(super) fn commit(&mut self, zone: u16, packet: &mut Packet, mark: Option<u128>) {
        let Some(ends) = Ends::of(packet) else {
            return;
        };
        let turned = (zone, ends.turned());
        let key = if self.0.contains_key(&turned) {
            turned
        } else {
            (zone, ends)
        };
        let known = self.0.entry(key).or_default();
        if let Some(mark) = mark {
            known.mark = mark;
            packet.set(Field::CT_MARK, mark);
        }
    }
}

/// Clears the connection fields of a packet.
pub(super) fn forget(packet: &mut Packet) {
    SHOWN.iter().for_each(|field| packet.set(*field, 0));
}

fn show(packet: &mut Packet, state: u128, mark: u128, opener: Ends) {
    let (source, destination) = match opener.ethertype {
        IPV4 => (Field::CT_NW_SRC, Field::CT_NW_DST),
        _ => (Field::CT_IPV6_SRC, Field::CT_IPV6_DST),
    };
    for (field, value) in [
        (Field::CT_STATE, state),
        (Field::CT_MARK, mark),
        (Field::CT_NW_PROTO, opener.protocol),
        (source, opener.source.0),
        (destination, opener.destination.0),
        (Field::CT_TP_SRC, opener.source.1),
        (Field::CT_TP_DST, opener.destination.1),
    ] {
        packet.set(field, value);
    }
}

/// Types of echo requests and their answers.
const ECHO: [(u128, u128); 2] = [(8, 0), (128, 129)];

impl Ends {
    /// The ends of a packet's connection. ICMP other than echo has none.
    fn of(packet: &Packet) -> Option<Self> {
        let ethertype = packet.get(Field::ETH_TYPE);
        let (source, destination) = match ethertype {
            IPV4 => (Field::IPV4_SRC, Field::IPV4_DST),
            _ => (Field::IPV6_SRC, Field::IPV6_DST),
        };
        let protocol = packet.get(Field::IP_PROTO);
        let (from, to) = match protocol {
            1 | 58 => echo(packet, protocol)?,
            6 => (packet.get(Field::TCP_SRC), packet.get(Field::TCP_DST)),
            17 => (packet.get(Field::UDP_SRC), packet.get(Field::UDP_DST)),
            132 => (packet.get(Field::SCTP_SRC), packet.get(Field::SCTP_DST)),
            _ => (0, 0),
        };
        Some(Self {
            ethertype,
            protocol,
            source: (packet.get(source), from),
            destination: (packet.get(destination), to),
        })
    }

    /// The same connection seen from the other side.
    fn turned(self) -> Self {
        let (source, destination) = match self.protocol {
            1 | 58 => (
                (self.destination.0, turned_type(self.source.1)),
                (self.source.0, self.destination.1),
            ),
            _ => (self.destination, self.source),
        };
        Self {
            source,
            destination,
            ..self
        }
    }

    /// Whether it can only be an answer, never the first packet of a connection.
    fn is_answer(self) -> bool {
        let icmp = [1, 58].contains(&self.protocol);
        icmp && ECHO.iter().any(|(_, reply)| *reply == self.source.1)
    }
}

/// The answer's type for that of a request, and the other way round.
fn turned_type(kind: u128) -> u128 {
    let turned = ECHO.iter().find_map(|(request, reply)| match kind {
        kind if kind == *request => Some(*reply),
        kind if kind == *reply => Some(*request),
        _ => None,
    });
    turned.unwrap_or(kind)
}

/// Type and code of an echo request or its answer.
fn echo(packet: &Packet, protocol: u128) -> Option<(u128, u128)> {
    let (kind, code) = match protocol {
        1 => (Field::ICMPV4_TYPE, Field::ICMPV4_CODE),
        _ => (Field::ICMPV6_TYPE, Field::ICMPV6_CODE),
    };
    let (kind, code) = (packet.get(kind), packet.get(code));
    let known = match protocol {
        1 => ECHO[0],
        _ => ECHO[1],
    };
    (kind == known.0 || kind == known.1).then_some((kind, code))
}

/// The mark that a commit sets.
pub(super) fn mark_of(exec: &[Action]) -> Option<u128> {
    exec.iter().rev().find_map(|action| {
        if let Action::SetField { field, value, .. } = action
            && *field == Field::CT_MARK
        {
            Some(*value)
        } else {
            None
        }
    })
}
