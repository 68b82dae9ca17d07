//! All hypervisors of a cloud and the underlay between them: follows a guest's frame to every port that it reaches.

use super::cloud::{Cloud, name_of, port_id, tunnel_port};
use super::show::{flows_of, stage_name};
use rust_openflow::Field;
use sextant_flows::trace::{Connections, Drop, Output, OutputTarget, Packet, Trace, Tracer};
use sextant_flows::{Flows, View};
use sextant_model::{ChassisId, EncapKind, IcmpError, IpVersion, Punt, Transport};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) struct Fabric<'a> {
    cloud: &'a Cloud,
    flows: BTreeMap<ChassisId, Flows>,
    /// What the connection trackers know: as long as the fabric lives.
    known: RefCell<BTreeMap<ChassisId, Connections>>,
}

/// A frame that came out at a guest.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) hypervisor: String,
    pub(crate) port: String,
    pub(crate) packet: Packet,
}

/// What became of a frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journey {
    /// Frames that came out at guests.
    pub(crate) deliveries: Vec<Delivery>,
    /// Why it went to the controller.
    pub(crate) punts: Vec<&'static str>,
    /// Frames that passed the underlay: from, to, key.
    pub(crate) tunnels: Vec<(String, String, u128)>,
    /// Frames that went outside: hypervisor, physical network, as they are there.
    pub(crate) outside: Vec<(String, String, Packet)>,
    /// Frames that went to the metadata service of the sender's hypervisor.
    pub(crate) asked: Vec<Packet>,
    /// Look-ups on the sender's hypervisor, and then one number for each that a tunnel led to.
    pub(crate) lookups: Vec<usize>,
    /// Where it was dropped.
    pub(crate) drops: Vec<String>,
}

impl Journey {
    /// The names of the ports reached, sorted.
    pub(crate) fn reached(&self) -> Vec<&str> {
        let mut ports: Vec<_> = self
            .deliveries
            .iter()
            .map(|end| end.port.as_str())
            .collect();
        ports.sort_unstable();
        ports
    }

    /// The only frame that came out.
    pub(crate) fn only(&self) -> &Delivery {
        assert_eq!(self.deliveries.len(), 1, "{self:?}");
        &self.deliveries[0]
    }

    /// Neither a guest nor the controller saw it, nor anybody outside.
    pub(crate) fn is_lost(&self) -> bool {
        self.deliveries.is_empty()
            && self.punts.is_empty()
            && self.outside.is_empty()
            && self.asked.is_empty()
    }
}

impl<'a> Fabric<'a> {
    pub(crate) fn new(cloud: &'a Cloud) -> Self {
        let flows = |chassis: &ChassisId| (chassis.clone(), flows_of(cloud, chassis.as_str()));
        let flows = cloud.facts.chassis().keys().map(flows).collect();
        Self {
            cloud,
            flows,
            known: RefCell::default(),
        }
    }

    /// The connection trackers know nothing any more.
    pub(crate) fn forget(&self) {
        self.known.borrow_mut().clear();
    }

    /// The same switches, with what their connection trackers know, once the cloud has changed.
    pub(crate) fn after<'b>(self, cloud: &'b Cloud) -> Fabric<'b> {
        Fabric {
            known: self.known,
            ..Fabric::new(cloud)
        }
    }

    /// A plugged-in guest sends a frame.
    pub(crate) fn send(&self, port: &str, frame: &Packet) -> Journey {
        let plugged = &self.cloud.facts.plugged()[&port_id(port)];
        let in_port = u32::from(plugged.ofport.unwrap());
        let mut journey = Journey::default();
        let frame = frame.clone().with(Field::IN_PORT, in_port);
        self.arrive(&plugged.chassis, frame, &mut journey);
        journey
    }

    /// What the guest that sends a frame is told of it, and the frame that comes up, if its router does not forward it.
    pub(crate) fn refusal(&self, port: &str, frame: &Packet) -> Option<(IcmpError, Packet)> {
        let plugged = &self.cloud.facts.plugged()[&port_id(port)];
        let frame = frame.clone().with(Field::IN_PORT, plugged.ofport.unwrap());
        self.refusal_at(&plugged.chassis, frame)
    }

    /// What is told outside of a frame that comes from a physical network.
    pub(crate) fn refused_outside(
        &self,
        hypervisor: &str,
        physical: &str,
        frame: &Packet,
    ) -> Option<IcmpError> {
        let chassis = ChassisId::new(hypervisor);
        let port = self.cloud.facts.chassis()[&chassis].patch_ports[physical];
        let frame = frame.clone().with(Field::IN_PORT, port);
        let (error, _) = self.refusal_at(&chassis, frame)?;
        Some(error)
    }

    fn refusal_at(&self, chassis: &ChassisId, frame: Packet) -> Option<(IcmpError, Packet)> {
        let flows = &self.flows[chassis];
        let trace = Tracer::new(flows).trace(frame).unwrap();
        let (cookie, frame) = trace.punts.first()?;
        match flows.punt(*cookie) {
            Some(Punt::IcmpError(error)) => Some((*error, frame.clone().on_the_wire())),
            _ => None,
        }
    }

    /// What the guest that sends a frame is told of it.
    pub(crate) fn refused(&self, port: &str, frame: &Packet) -> Option<IcmpError> {
        self.refusal(port, frame).map(|(error, _)| error)
    }

    /// A frame of this key comes from the underlay.
    pub(crate) fn receive(
        &self,
        hypervisor: &str,
        frame: &Packet,
        from: IpAddr,
        key: u32,
    ) -> Journey {
        let mut journey = Journey::default();
        let frame = from_underlay(frame.clone(), EncapKind::Vxlan, from, key.into());
        self.arrive(&ChassisId::new(hypervisor), frame, &mut journey);
        journey
    }

    /// A frame comes from a physical network.
    pub(crate) fn come_in(&self, hypervisor: &str, physical: &str, frame: &Packet) -> Journey {
        let chassis = ChassisId::new(hypervisor);
        let port = self.cloud.facts.chassis()[&chassis].patch_ports[physical];
        let mut journey = Journey::default();
        self.arrive(
            &chassis,
            frame.clone().with(Field::IN_PORT, port),
            &mut journey,
        );
        journey
    }

    /// A frame comes from a hypervisor's metadata service.
    pub(crate) fn serve(&self, hypervisor: &str, frame: &Packet) -> Journey {
        let chassis = ChassisId::new(hypervisor);
        let port = self.cloud.facts.chassis()[&chassis].metadata_port.unwrap();
        let mut journey = Journey::default();
        let frame = frame.clone().with(Field::IN_PORT, port);
        self.arrive(&chassis, frame, &mut journey);
        journey
    }

    fn arrive(&self, chassis: &ChassisId, frame: Packet, journey: &mut Journey) {
        let flows = &self.flows[chassis];
        let tracer = Tracer::new(flows);
        let mut known = self.known.borrow_mut().remove(chassis).unwrap_or_default();
        let trace = tracer.trace_among(frame, &mut known).unwrap();
        self.known.borrow_mut().insert(chassis.clone(), known);
        journey.lookups.push(trace.visits.len());
        let punts = trace.punts.iter();
        journey
            .punts
            .extend(punts.map(|(cookie, _)| flows.punt(*cookie).unwrap().kind()));
        journey
            .drops
            .extend(trace.drops.iter().map(|drop| reason(&trace, *drop)));
        for output in trace.outputs {
            self.leave(chassis, output, journey);
        }
    }

    fn leave(&self, chassis: &ChassisId, output: Output, journey: &mut Journey) {
        let view = View::new(&self.cloud.intent, &self.cloud.facts, chassis);
        match output.way(&view) {
            OutputTarget::Tunnel(peer, packet) => {
                self.expect_fitting(chassis, &peer, &output);
                let key = packet.get(Field::TUN_ID);
                let (from, to) = (chassis.as_str().to_owned(), peer.as_str().to_owned());
                journey.tunnels.push((from, to, key));
                self.arrive(&peer, packet, journey);
            }
            OutputTarget::Outside(physical) => {
                let frame = output.packet.on_the_wire();
                let place = (chassis.as_str().to_owned(), physical.clone(), frame.clone());
                journey.outside.push(place);
                self.spread(chassis, &physical, &frame, journey);
            }
            OutputTarget::Guest(port) => journey.deliveries.push(Delivery {
                hypervisor: chassis.as_str().to_owned(),
                port: name_of(port.0),
                packet: output.packet.on_the_wire(),
            }),
            OutputTarget::Metadata => journey.asked.push(output.packet.on_the_wire()),
            way @ (OutputTarget::Underlay(_) | OutputTarget::Unknown) => {
                panic!("{way:?}: {output:?}")
            }
        }
    }

    /// A frame leaves for a physical network; every other hypervisor that is attached to it sees it.
    fn spread(&self, from: &ChassisId, physical: &str, frame: &Packet, journey: &mut Journey) {
        for (id, chassis) in self.cloud.facts.chassis() {
            let port = chassis.patch_ports.get(physical).filter(|_| id != from);
            if let Some(port) = port {
                let arriving = frame.clone().with(Field::IN_PORT, *port);
                self.arrive(id, arriving, journey);
            }
        }
    }

    /// A frame leaves by the tunnel port that the two use.
    fn expect_fitting(&self, from: &ChassisId, to: &ChassisId, output: &Output) {
        let all = self.cloud.facts.chassis();
        let (own, peer) = (&all[from], &all[to]);
        let (_, remote) = own.encap.endpoints.towards(peer.encap.endpoints).unwrap();
        let destination = destination(&output.packet);
        assert_eq!(destination, remote, "of the family that the two use");
        let mut tunnels = own.tunnel_ports.iter();
        let (transport, _) = tunnels
            .find(|(_, port)| u32::from(**port) == output.port)
            .unwrap();
        assert_eq!(IpVersion::of(destination), transport.family);
        assert_eq!(
            peer.encap.kind, transport.kind,
            "it is sent what it wants to be sent"
        );
    }
}

/// A frame of this key as it comes by the tunnel port of a protocol from an endpoint.
pub(crate) fn from_underlay(frame: Packet, kind: EncapKind, from: IpAddr, key: u128) -> Packet {
    let family = IpVersion::of(from);
    let frame = frame
        .with(Field::TUN_ID, key)
        .with(Field::IN_PORT, tunnel_port(Transport { kind, family }));
    match from {
        IpAddr::V6(from) => frame.ipv6(Field::TUN_IPV6_SRC, from),
        IpAddr::V4(from) => frame.with(Field::TUN_SRC, from.to_bits()),
    }
}

/// Where a frame goes in the underlay: of one family, and nothing of the other. Its source is the port's.
fn destination(packet: &Packet) -> IpAddr {
    let [ipv6, ipv4_bits] = [Field::TUN_IPV6_DST, Field::TUN_DST].map(|end| packet.get(end));
    assert_eq!(packet.get(Field::TUN_IPV6_SRC), 0);
    assert_eq!(packet.get(Field::TUN_SRC), 0);
    match (ipv6, ipv4_bits) {
        (end, 0) => Ipv6Addr::from_bits(end).into(),
        (0, end) => ipv4(end),
        mixed => panic!("{mixed:x?}: of both families"),
    }
}

fn ipv4(bits: u128) -> IpAddr {
    Ipv4Addr::from_bits(u32::try_from(bits).unwrap()).into()
}

fn reason(trace: &Trace, drop: Drop) -> String {
    let stage = |wanted| {
        let visit = trace.visits.iter().find(|visit| visit.flow == Some(wanted));
        stage_name(visit.unwrap().table)
    };
    match drop {
        Drop::Missed { table } => format!("no flow in {}", stage_name(table)),
        Drop::ByFlow(flow) => format!("forbidden in {}", stage(flow)),
        Drop::HopLimit(flow) => format!("hop limit in {}", stage(flow)),
        Drop::Hairpin(flow) => format!("its own in {}", stage(flow)),
    }
}
