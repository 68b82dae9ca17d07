//! Reads what a hypervisor is and which ports are plugged in there.
//!
//! A guest's interface is known by the convention that every VIF driver follows: `external_ids:iface-id` is the port.

use super::bfd::is_of_bfd;
use super::machine::{LONGEST_DIRECTORY, machine};
use super::schema::{Bridge, Interface, OpenVswitch, Port};
use super::tunnels::{Datapath, transport};
use super::{PHYSICAL_NETWORK, integration_bridge};
use sextant_model::{
    BadEndpoints, Chassis, ChassisId, Encap, EncapKind, Endpoints, METADATA_INTERFACE, PortId,
    Reassembly, Transport, UnknownEncap,
};
use sextant_ovsdb_client::{Replica, Table};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The longest name, in octets: as long as a host's.
pub(super) const LONGEST_NAME: usize = 255;

/// What a hypervisor is, and which ports are plugged in there.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The hypervisor.
    pub chassis: Chassis,
    /// OpenFlow port, if it has one, of each interface of `br-int` that carries a port's id.
    pub interfaces: BTreeMap<PortId, Option<u16>>,
}

/// Why a hypervisor takes no part in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The database has no row of its root table.
    #[error("its database is empty: ovs-vswitchd has not set it up")]
    NoRoot,
    /// It has no name.
    #[error("external_ids:system-id is not set")]
    NoSystemId,
    /// Its name cannot be shown and logged.
    #[error(
        "external_ids:system-id is empty, has control characters, or is longer than {LONGEST_NAME} octets"
    )]
    BadSystemId,
    /// It has no tunnel endpoint: nobody asked it to join.
    #[error("external_ids:sextant-encap-ip is not set")]
    NoEndpoint(ChassisId),
    /// Its tunnel endpoint is neither one address nor one of each family.
    #[error("external_ids:sextant-encap-ip={value}: {error}")]
    BadEndpoint {
        /// What is there.
        value: String,
        /// Why that is wrong.
        error: BadEndpoints,
    },
    /// Nobody can reach it there.
    #[error("external_ids:sextant-encap-ip={0}: no other hypervisor can send there")]
    ImpossibleEndpoint(IpAddr),
    /// Its tunnel protocol is unknown.
    #[error("external_ids:sextant-encap-type: {0}")]
    BadEncapsulation(#[from] UnknownEncap),
    /// A mapping of its provider networks cannot be read.
    #[error("external_ids:sextant-bridge-mappings: '{0}' is not NETWORK:BRIDGE")]
    BadMapping(String),
    /// Its priority for routers' gateways cannot be read.
    #[error("external_ids:sextant-gateway-priority: '{0}' is not a number from 0 to 65535")]
    BadPriority(String),
    /// The directory of its guests' sockets cannot be used.
    #[error(
        "external_ids:sextant-vhostuser-socket-dir: '{0}' is not an absolute path of at most {LONGEST_DIRECTORY} octets"
    )]
    BadSocketDirectory(String),
}

/// Reads a replica.
///
/// # Errors
/// [`NotReady`] when the hypervisor has not been asked, correctly, to join.
pub fn observe(replica: &Replica) -> Result<Observation, NotReady> {
    let mut roots = replica.all::<OpenVswitch>();
    let (_, root) = roots.next().ok_or(NotReady::NoRoot)?;
    let ids = root.external_ids();
    let id = name(ids.get("system-id").ok_or(NotReady::NoSystemId)?)?;
    let value = ids
        .get("sextant-encap-ip")
        .ok_or_else(|| NotReady::NoEndpoint(id.clone()))?;
    let endpoints: Endpoints = value.parse().map_err(|error| NotReady::BadEndpoint {
        value: value.to_owned(),
        error,
    })?;
    if let Some(impossible) = endpoints.impossible() {
        return Err(NotReady::ImpossibleEndpoint(impossible));
    }
    let kind: EncapKind = ids
        .get("sextant-encap-type")
        .unwrap_or(EncapKind::Vxlan.as_str())
        .parse()?;
    let bridge_mappings = mappings(ids.get("sextant-bridge-mappings").unwrap_or_default())?;
    let gateway_priority = priority(ids.get("sextant-gateway-priority"))?;
    let bridge = integration_bridge(replica).map(|(_, bridge)| bridge);
    let datapath_id = bridge
        .and_then(Bridge::datapath_id)
        .and_then(|text| u64::from_str_radix(text, 16).ok());
    let reassembly = bridge.map(|bridge| reassembly(root, bridge));
    let machine = machine(root, bridge)?;
    let interfaces = bridge.map(|bridge| interfaces(replica, bridge));
    let Sorted {
        tunnel_ports,
        patch_ports,
        metadata_port,
        guests,
    } = sort(interfaces.into_iter().flatten());
    let chassis = Chassis {
        id,
        encap: Encap { endpoints, kind },
        bridge_mappings,
        gateway_priority,
        datapath_id,
        machine: Some(machine),
        tunnel_ports,
        patch_ports,
        metadata_port,
        reassembly: reassembly.unwrap_or_default(),
        observed: true,
    };
    Ok(Observation {
        chassis,
        interfaces: guests,
    })
}

/// A database that does not say its version has one that may be any.
fn reassembly(root: OpenVswitch<'_>, bridge: Bridge<'_>) -> Reassembly {
    match Datapath::of(bridge) {
        Datapath::Kernel => Reassembly::Kernel,
        Datapath::Userspace => Reassembly::in_userspace(root.ovs_version().unwrap_or_default()),
    }
}

fn name(text: &str) -> Result<ChassisId, NotReady> {
    if text.is_empty() || text.len() > LONGEST_NAME || text.contains(char::is_control) {
        return Err(NotReady::BadSystemId);
    }
    Ok(ChassisId::new(text))
}

/// Which hypervisors get routers' gateways first; the default is 0.
fn priority(text: Option<&str>) -> Result<u16, NotReady> {
    let Some(text) = text else {
        return Ok(0);
    };
    let number = text.trim().parse();
    number.map_err(|_| NotReady::BadPriority(text.to_owned()))
}

fn mappings(text: &str) -> Result<BTreeMap<String, String>, NotReady> {
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| match part.trim().split_once(':') {
            Some((network, bridge)) if is_nameable(network) && is_nameable(bridge) => {
                Ok((network.to_owned(), bridge.to_owned()))
            }
            _ => Err(NotReady::BadMapping(part.to_owned())),
        })
        .collect()
}

/// Whether ports can be named after it (ovs-vswitchd.conf.db(5), `Interface:name`).
fn is_nameable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
}

/// The interfaces of a bridge.
fn interfaces<'a>(replica: &'a Replica, bridge: Bridge<'a>) -> impl Iterator<Item = Interface<'a>> {
    let ports = replica.get_all::<Port>(bridge.ports());
    let interfaces = ports.flat_map(|(_, port)| replica.get_all(port.interfaces()));
    interfaces.map(|(_, interface)| interface)
}

/// Tunnel ports, patch ports and the port for metadata that Sextant made, and guests' interfaces.
#[derive(Default)]
struct Sorted {
    tunnel_ports: BTreeMap<Transport, u16>,
    patch_ports: BTreeMap<String, u16>,
    metadata_port: Option<u16>,
    guests: BTreeMap<PortId, Option<u16>>,
}

fn sort<'a>(interfaces: impl Iterator<Item = Interface<'a>>) -> Sorted {
    let mut sorted = Sorted::default();
    for interface in interfaces.filter(|interface| !is_of_bfd(interface.row())) {
        if super::is_owned(interface.row()) {
            let ofport = ofport(interface);
            if interface.name() == METADATA_INTERFACE {
                sorted.metadata_port = ofport;
            }
            let physical = interface.external_ids().get(PHYSICAL_NETWORK);
            sorted.tunnel_ports.extend(transport(interface).zip(ofport));
            sorted
                .patch_ports
                .extend(physical.map(str::to_owned).zip(ofport));
        } else if let Some((port, ofport)) = guest(interface) {
            let known: &mut Option<u16> = sorted.guests.entry(port).or_default();
            *known = known.or(ofport);
        }
    }
    sorted
}

/// The port whose id an interface carries that is not Sextant's own, and its OpenFlow port if it has one.
pub(super) fn guest(interface: Interface<'_>) -> Option<(PortId, Option<u16>)> {
    if super::is_owned(interface.row()) {
        return None;
    }
    let id = interface.external_ids().get("iface-id")?;
    Some((id.parse().ok()?, ofport(interface)))
}

fn ofport(interface: Interface<'_>) -> Option<u16> {
    let ofport = u16::try_from(interface.ofport()?).ok()?;
    (ofport > 0).then_some(ofport)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_shown_and_logged() {
        assert_eq!(name("h1.example"), Ok(ChassisId::new("h1.example")));
        for bad in ["", "h1\nERROR", &"h".repeat(LONGEST_NAME + 1)] {
            assert_eq!(name(bad), Err(NotReady::BadSystemId));
        }
    }

    #[test]
    fn a_priority_is_a_number_of_two_octets() {
        assert_eq!(priority(None), Ok(0));
        assert_eq!(priority(Some(" 65535")), Ok(65535));
        for bad in ["", "-1", "65536", "high"] {
            let bad_priority = NotReady::BadPriority(bad.to_owned());
            assert_eq!(priority(Some(bad)), Err(bad_priority));
        }
    }

    #[test]
    fn mappings_are_comma_separated() {
        let expected = [("physnet1", "br-ex"), ("physnet2", "br-two")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(
            mappings("physnet1:br-ex, physnet2:br-two"),
            Ok(expected.into())
        );
        assert_eq!(mappings(""), Ok(BTreeMap::new()));
        assert_eq!(
            mappings("physnet1"),
            Err(NotReady::BadMapping("physnet1".to_owned()))
        );
        assert_eq!(
            mappings("phys/net1:br-ex"),
            Err(NotReady::BadMapping("phys/net1:br-ex".to_owned()))
        );
    }
}
