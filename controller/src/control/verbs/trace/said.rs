//! A packet as people say it: `icmp6 to 2001:db8::1`, `tcp to web2 port 443`.
//!
//! Its other words are a match as `ovs-ofctl` writes it. What a guest's system would fill in is filled in: the MAC that the
//! guest finds for the destination, and the type of an echo request.

use super::super::named_port::port_named;
use super::super::served::network;
use super::unfit;
use crate::control::VerbError;
use crate::snapshot::Snapshot;
use rust_openflow::{Field, Match};
use sextant_flows::trace::Packet;
use sextant_model::{
    IpVersion, METADATA_IPV4, METADATA_IPV6, METADATA_MAC, MacAddr, Port, is_link_local,
};
use std::net::IpAddr;

/// The protocols that have another name in IPv6.
const PROTOCOLS: [(&str, &str); 5] = [
    ("ip", "ipv6"),
    ("icmp", "icmp6"),
    ("tcp", "tcp6"),
    ("udp", "udp6"),
    ("sctp", "sctp6"),
];
/// What is sent where nothing but an address is said.
const ECHO: &str = "icmp";

/// A packet's text, taken apart.
#[derive(Default)]
pub(super) struct SaidPacket {
    /// What is left: fields of a match.
    fields: String,
    from: Option<IpAddr>,
    to: Option<IpAddr>,
    port: Option<u16>,
}

impl SaidPacket {
    pub(super) fn read(text: &str, snapshot: &Snapshot) -> Result<Self, VerbError> {
        let (mut said, mut fields) = (Self::default(), vec![]);
        let (mut from, mut to) = (None, None);
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                "from" => from = Some(after(word, words.next())?),
                "to" => to = Some(after(word, words.next())?),
                "port" => {
                    let number = after(word, words.next())?;
                    let number = number.parse().map_err(|_| no_port(number));
                    said.port = Some(number?);
                }
                word => fields.push(word),
            }
        }
        said.fields = fields.join(",");
        if said.fields.is_empty() && to.is_some() {
            said.fields = ECHO.to_owned();
        }
        said.from = said.end(from, snapshot)?;
        said.to = said.end(to, snapshot)?;
        said.in_family()?;
        Ok(said)
    }

    /// An address, or that of a port which is named.
    fn end(&self, said: Option<&str>, snapshot: &Snapshot) -> Result<Option<IpAddr>, VerbError> {
        let Some(said) = said else {
            return Ok(None);
        };
        if let Ok(address) = said.parse() {
            return Ok(Some(address));
        }
        let port = port_named(snapshot, said)?;
        let other = self.to.or(self.from).map(IpVersion::of);
        let found = match self.version().or(other) {
            Some(version) => address_of(&port, version),
            None => address_of(&port, IpVersion::V6).or(address_of(&port, IpVersion::V4)),
        };
        let found = found.ok_or_else(|| {
            VerbError::Unfit(format!("port {} has no address for this packet", port.id))
        });
        found.map(Some)
    }

    /// The IP version that its protocol is only of.
    fn version(&self) -> Option<IpVersion> {
        let first = self.protocol();
        let is_ipv6 = PROTOCOLS.iter().any(|(_, ipv6)| *ipv6 == first);
        is_ipv6.then_some(IpVersion::V6)
    }

    fn protocol(&self) -> &str {
        let first = self.fields.split(',').next();
        first.unwrap_or_default()
    }

    /// Says the protocol by its name in the version of the addresses.
    fn in_family(&mut self) -> Result<(), VerbError> {
        let Some(address) = self.to.or(self.from) else {
            return Ok(());
        };
        let ends = [self.to, self.from].into_iter().flatten();
        let version = IpVersion::of(address);
        let is_mixed = ends.map(IpVersion::of).any(|other| other != version);
        let contradicts = self.version().is_some_and(|only| only != version);
        if is_mixed || contradicts {
            return Err(unfit(
                "its addresses are of one IP version, its protocol of another",
            ));
        }
        let first = self.protocol().to_owned();
        let known = PROTOCOLS.iter().find(|(ipv4, _)| *ipv4 == first);
        if let Some((_, ipv6)) = known.filter(|_| version == IpVersion::V6) {
            self.fields.replace_range(..first.len(), ipv6);
        }
        Ok(())
    }

    /// The packet, with what is said of it. A guest's system fills in the rest, if this port sends it.
    pub(super) fn packet(
        &self,
        sender: Option<&Port>,
        snapshot: &Snapshot,
    ) -> Result<Packet, VerbError> {
        let fields = match self.port {
            Some(port) => format!("{},tp_dst={port}", self.fields),
            None => self.fields.clone(),
        };
        let matches: Match = fields.parse().map_err(unfit)?;
        let mut packet = Packet::of(&matches).map_err(unfit)?;
        let is_ip = matches!(packet.get(Field::ETH_TYPE), 0x0800 | 0x86dd);
        if !is_ip && self.to.or(self.from).is_some() {
            return Err(unfit("'from' and 'to' are for IP only"));
        }
        if let Some(from) = self.from {
            set(&mut packet, [Field::IPV6_SRC, Field::IPV4_SRC], from);
        }
        let Some(to) = self.to else {
            return Ok(packet);
        };
        set(&mut packet, [Field::IPV6_DST, Field::IPV4_DST], to);
        if !fields.contains("icmp_type") && !fields.contains("icmpv6_type") {
            request_echo(&mut packet);
        }
        if let Some(sender) = sender.filter(|_| packet.get(Field::ETH_DST) == 0) {
            let mac = mac_towards(sender, to, snapshot)?;
            packet.set(Field::ETH_DST, mac.to_u64().into());
        }
        Ok(packet)
    }
}

fn address_of(port: &Port, version: IpVersion) -> Option<IpAddr> {
    let mut addresses = port.addresses().map(|(_, address)| address);
    addresses.find(|address| IpVersion::of(*address) == version)
}

fn after<'w>(word: &str, next: Option<&'w str>) -> Result<&'w str, VerbError> {
    next.ok_or_else(|| unfit(format!("'{word}' is followed by nothing")))
}

fn no_port(text: &str) -> VerbError {
    unfit(format!("'{text}' is no port number"))
}

fn set(packet: &mut Packet, [ipv6, ipv4]: [Field; 2], address: IpAddr) {
    match address {
        IpAddr::V6(address) => packet.set(ipv6, address.to_bits()),
        IpAddr::V4(address) => packet.set(ipv4, address.to_bits().into()),
    }
}

/// ICMP without a type is an echo request (RFC 792, RFC 4443 §4.1).
fn request_echo(packet: &mut Packet) {
    match packet.get(Field::IP_PROTO) {
        1 => packet.set(Field::ICMPV4_TYPE, 8),
        58 => packet.set(Field::ICMPV6_TYPE, 128),
        _ => {}
    }
}

/// The MAC that a guest sends to: that of a group, of its neighbour, or of its router.
fn mac_towards(sender: &Port, to: IpAddr, snapshot: &Snapshot) -> Result<MacAddr, VerbError> {
    if let Some(group) = group_mac(to) {
        return Ok(group);
    }
    if to == IpAddr::from(METADATA_IPV4) || to == IpAddr::from(METADATA_IPV6) {
        return Ok(METADATA_MAC);
    }
    let mut subnets = snapshot.intent.subnets_of(sender.network_id);
    let is_link_local = matches!(to, IpAddr::V6(address) if is_link_local(address));
    if is_link_local || subnets.any(|subnet| subnet.cidr.contains(&to)) {
        return neighbor_mac(sender, to, snapshot).ok_or_else(|| unanswered(sender, to, snapshot));
    }
    router_mac(sender, to, snapshot)
}

/// RFC 2464 §7, RFC 1112 §6.4.
fn group_mac(to: IpAddr) -> Option<MacAddr> {
    match to {
        IpAddr::V6(group) if group.is_multicast() => {
            let [.., a, b, c, d] = group.octets();
            Some(MacAddr([0x33, 0x33, a, b, c, d]))
        }
        IpAddr::V4(group) if group.is_multicast() => {
            let [_, b, c, d] = group.octets();
            Some(MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d]))
        }
        IpAddr::V4(all) if all.is_broadcast() => Some(MacAddr([0xff; 6])),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    }
}

/// Who has an address on the sender's network: given, by its MAC, or announced.
fn neighbor_mac(sender: &Port, to: IpAddr, snapshot: &Snapshot) -> Option<MacAddr> {
    let (intent, network) = (&snapshot.intent, sender.network_id);
    let mut given = intent.holders_of(to);
    if let Some(port) = given.find(|port| port.network_id == network) {
        return Some(port.mac_address);
    }
    let mut ports = intent.ports_of(network);
    let by_mac = ports.find(|port| IpAddr::from(port.mac_address.link_local()) == to);
    let held = snapshot.facts.holders().get(&(network, to));
    let by_mac = by_mac.map(|port| port.mac_address);
    by_mac.or(held.map(|holder| holder.mac))
}

/// The gateway of a subnet of this version, or else any router of the network.
fn router_mac(sender: &Port, to: IpAddr, snapshot: &Snapshot) -> Result<MacAddr, VerbError> {
    let version = IpVersion::of(to);
    let subnets = snapshot.intent.subnets_of(sender.network_id);
    let gateways = subnets.filter_map(|subnet| subnet.gateway_ip);
    let mut gateways = gateways.filter(|gateway| IpVersion::of(*gateway) == version);
    let by_gateway = gateways.find_map(|gateway| neighbor_mac(sender, gateway, snapshot));
    let mut routers = snapshot.intent.router_ports_of(sender.network_id);
    let any = routers.next().filter(|_| version == IpVersion::V6);
    by_gateway
        .or(any.map(|port| port.mac_address))
        .ok_or_else(|| {
            let on = network(&snapshot.intent, sender.network_id);
            VerbError::Unfit(format!(
                "{to} is in no subnet of {on}, and that has no router of this cloud: give the MAC that the guest sends to \
                 (dl_dst=MAC)"
            ))
        })
}

fn unanswered(sender: &Port, to: IpAddr, snapshot: &Snapshot) -> VerbError {
    let on = network(&snapshot.intent, sender.network_id);
    VerbError::Unfit(format!(
        "nobody on {on} has {to}, so the guest finds no MAC to send to; dl_dst=MAC traces it all the same"
    ))
}
