//! Where and how a packet comes in.

use super::super::flows::known_chassis;
use super::said::SaidPacket;
use super::view;
use crate::control::VerbError;
use crate::snapshot::Snapshot;
use rust_openflow::Field;
use serde::{Deserialize, Serialize};
use sextant_flows::trace::{Output, OutputTarget, Packet};
use sextant_model::{ChassisId, Port, PortId};
use std::net::IpAddr;
use std::str::FromStr;

/// How a packet comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayIn {
    /// This guest's port sends it.
    Port(PortId),
    /// This hypervisor sends it, through a tunnel.
    Tunnel(ChassisId),
    /// It comes from this physical network.
    Physical(String),
}

/// The text is not a place where packets come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not where a packet can come in: use port/UUID, tunnel/NAME or physical/NAME")]
pub struct UnknownWayIn(String);

impl FromStr for WayIn {
    type Err = UnknownWayIn;

    fn from_str(text: &str) -> Result<Self, UnknownWayIn> {
        let way = match text.split_once('/') {
            Some(("port", id)) => id.parse().map(Self::Port).ok(),
            Some(("tunnel", id)) => Some(Self::Tunnel(ChassisId::new(id))),
            Some(("physical", id)) => Some(Self::Physical(id.to_owned())),
            Some(_) | None => None,
        };
        way.ok_or_else(|| UnknownWayIn(text.to_owned()))
    }
}

/// A packet that comes to a hypervisor.
pub(super) struct Arrival {
    pub(super) chassis: ChassisId,
    pub(super) packet: Packet,
}

/// The hop limit that most systems start with.
const HOP_LIMIT: u128 = 64;

impl Arrival {
    /// An arrival from a packet's text and its way in.
    ///
    /// # Errors
    /// It is no packet, or it cannot come in that way.
    pub(super) fn new(
        text: &str,
        from: Option<&WayIn>,
        chassis: Option<ChassisId>,
        snapshot: &Snapshot,
    ) -> Result<Self, VerbError> {
        let sender = match from {
            Some(WayIn::Port(id)) => snapshot.intent.ports.get(id),
            Some(WayIn::Tunnel(_) | WayIn::Physical(_)) | None => None,
        };
        let said = SaidPacket::read(text, snapshot)?;
        let mut packet = said.packet(sender.map(|port| &**port), snapshot)?;
        if matches!(packet.get(Field::ETH_TYPE), 0x0800 | 0x86dd) {
            fill(&mut packet, Field::NW_TTL, HOP_LIMIT);
        }
        match from {
            Some(WayIn::Port(port)) => from_port(packet, *port, chassis, snapshot),
            Some(WayIn::Tunnel(peer)) => from_tunnel(packet, peer, needed(chassis)?, snapshot),
            Some(WayIn::Physical(name)) => {
                let chassis = needed(chassis)?;
                packet.set(Field::IN_PORT, patch_port(&chassis, name, snapshot)?.into());
                Ok(Self { chassis, packet })
            }
            None if packet.get(Field::IN_PORT) == 0 => Err(VerbError::Unfit(
                "say where the packet comes in: name the port before it, or --from, or in_port in the packet"
                    .to_owned(),
            )),
            None => Ok(Self {
                chassis: needed(chassis)?,
                packet,
            }),
        }
    }
}

fn needed(chassis: Option<ChassisId>) -> Result<ChassisId, VerbError> {
    chassis.ok_or_else(|| {
        VerbError::Unfit("say with --chassis to which hypervisor the packet comes".to_owned())
    })
}

fn from_port(
    mut packet: Packet,
    id: PortId,
    chassis: Option<ChassisId>,
    snapshot: &Snapshot,
) -> Result<Arrival, VerbError> {
    let Some(plugged) = snapshot.facts.plugged().get(&id) else {
        return Err(VerbError::Unfit(format!(
            "port {id} is not plugged in anywhere"
        )));
    };
    let place = &plugged.chassis;
    if chassis.is_some_and(|asked| asked != *place) {
        return Err(VerbError::Unfit(format!(
            "port {id} is plugged in on hypervisor {place}"
        )));
    }
    let Some(ofport) = plugged.ofport else {
        return Err(VerbError::Unfit(format!(
            "port {id} has no OpenFlow port on hypervisor {place} yet"
        )));
    };
    packet.set(Field::IN_PORT, ofport.into());
    if let Some(port) = snapshot.intent.ports.get(&id) {
        fill_sources(&mut packet, port);
    }
    Ok(Arrival {
        chassis: place.clone(),
        packet,
    })
}

/// Fills in the port's source MAC and address.
fn fill_sources(packet: &mut Packet, port: &Port) {
    fill(packet, Field::ETH_SRC, port.mac_address.to_u64().into());
    let is_ipv6 = packet.get(Field::ETH_TYPE) == 0x86dd;
    let mut addresses = port.addresses().map(|(_, address)| address);
    match addresses.find(|address| address.is_ipv6() == is_ipv6) {
        Some(IpAddr::V6(address)) => fill(packet, Field::IPV6_SRC, address.to_bits()),
        Some(IpAddr::V4(address)) if packet.get(Field::ETH_TYPE) == 0x0800 => {
            fill(packet, Field::IPV4_SRC, address.to_bits().into());
        }
        Some(IpAddr::V4(_)) | None => {}
    }
}

/// Sets a field that has no value yet.
fn fill(packet: &mut Packet, field: Field, value: u128) {
    if packet.get(field) == 0 {
        packet.set(field, value);
    }
}

fn from_tunnel(
    mut packet: Packet,
    peer: &ChassisId,
    chassis: ChassisId,
    snapshot: &Snapshot,
) -> Result<Arrival, VerbError> {
    known_chassis(snapshot, Some(peer))?;
    let from = view(snapshot, peer);
    let Some(tunnel) = from.tunnel_to(&chassis) else {
        return Err(no_tunnel(peer, &chassis));
    };
    match tunnel.remote {
        IpAddr::V6(remote) => packet.set(Field::TUN_IPV6_DST, remote.to_bits()),
        IpAddr::V4(remote) => packet.set(Field::TUN_DST, remote.to_bits().into()),
    }
    let output = Output {
        port: tunnel.port.into(),
        packet,
    };
    match output.way(&from) {
        OutputTarget::Tunnel(chassis, packet) => Ok(Arrival { chassis, packet }),
        OutputTarget::Guest(_)
        | OutputTarget::Underlay(_)
        | OutputTarget::Outside(_)
        | OutputTarget::Metadata
        | OutputTarget::Unknown => Err(no_tunnel(peer, &chassis)),
    }
}

fn no_tunnel(from: &ChassisId, to: &ChassisId) -> VerbError {
    VerbError::Unfit(format!("{from} has no tunnel to {to}"))
}

fn patch_port(chassis: &ChassisId, name: &str, snapshot: &Snapshot) -> Result<u16, VerbError> {
    let own = snapshot.facts.chassis().get(chassis);
    let port = own.and_then(|own| own.patch_ports.get(name));
    port.copied().ok_or_else(|| {
        VerbError::Unfit(format!(
            "hypervisor {chassis} has no bridge to physical network {name}"
        ))
    })
}
