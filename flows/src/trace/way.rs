//! What a packet's output port leads to.

use super::{Output, Packet};
use crate::view::View;
use rust_openflow::Field;
use sextant_model::{Chassis, ChassisId, PortId, Transport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an output port leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputTarget {
    /// A guest here.
    Guest(PortId),
    /// Another hypervisor, where the packet comes in like this.
    Tunnel(ChassisId, Packet),
    /// An endpoint that no hypervisor has, or one that does not accept what this hypervisor sends.
    Underlay(Option<IpAddr>),
    /// A physical network.
    Outside(String),
    /// The metadata service of this hypervisor.
    Metadata,
    /// A port of unknown use.
    Unknown,
}

impl Output {
    /// What it leads to, from the hypervisor of the view.
    #[must_use]
    pub fn way(&self, view: &View<'_>) -> OutputTarget {
        let Some((own, port)) = view.own().zip(u16::try_from(self.port).ok()) else {
            return OutputTarget::Unknown;
        };
        let mut tunnels = own.tunnel_ports.iter();
        if let Some((transport, _)) = tunnels.find(|(_, tunnel)| **tunnel == port) {
            return self.across(view, own, *transport);
        }
        let mut patches = own.patch_ports.iter();
        if let Some((physical, _)) = patches.find(|(_, patch)| **patch == port) {
            return OutputTarget::Outside(physical.clone());
        }
        if own.metadata_port == Some(port) {
            return OutputTarget::Metadata;
        }
        let mut plugged = view.facts.plugged().iter();
        let guest = plugged
            .find(|(_, plugged)| plugged.chassis == *view.chassis && plugged.ofport == Some(port));
        guest.map_or(OutputTarget::Unknown, |(id, _)| OutputTarget::Guest(*id))
    }

    fn across(&self, view: &View<'_>, own: &Chassis, transport: Transport) -> OutputTarget {
        let remote = self.packet.remote();
        let mut chassis = view.facts.chassis().values();
        let peer =
            remote.and_then(|remote| chassis.find(|chassis| chassis.encap.endpoints.has(remote)));
        let arrival = peer.and_then(|peer| Some((peer, self.arrival(own, peer, transport)?)));
        arrival.map_or(OutputTarget::Underlay(remote), |(peer, packet)| {
            OutputTarget::Tunnel(peer.id.clone(), packet)
        })
    }

    /// The packet as it comes in by the peer's tunnel port. Of its metadata only the key passes the underlay.
    fn arrival(&self, own: &Chassis, peer: &Chassis, transport: Transport) -> Option<Packet> {
        let (source, _) = own.encap.endpoints.towards(peer.encap.endpoints)?;
        let in_port = *peer.tunnel_ports.get(&transport)?;
        let key = self.packet.get(Field::TUN_ID);
        let packet = self.packet.clone().on_the_wire();
        let packet = packet
            .with(Field::IN_PORT, in_port)
            .with(Field::TUN_ID, key);
        Some(match source {
            IpAddr::V6(source) => packet.ipv6(Field::TUN_IPV6_SRC, source),
            IpAddr::V4(source) => packet.with(Field::TUN_SRC, source.to_bits()),
        })
    }
}

impl Packet {
    /// The endpoint that it is sent to through a tunnel.
    #[must_use]
    pub fn remote(&self) -> Option<IpAddr> {
        let ipv6 = self.get(Field::TUN_IPV6_DST);
        let ipv4 = u32::try_from(self.get(Field::TUN_DST)).ok();
        let ipv4 = ipv4.filter(|bits| *bits != 0);
        let ipv6 = (ipv6 != 0).then(|| Ipv6Addr::from_bits(ipv6).into());
        ipv6.or(ipv4.map(|bits| Ipv4Addr::from_bits(bits).into()))
    }
}
