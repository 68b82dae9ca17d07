//! A hypervisor as who may only read its database sees it: what a session would make of it, and what is in the way.

use super::observe::{NotReady, Observation, guest, observe};
use super::schema::{
    Bridge, Controller, DATABASE, Interface, MONITORED, Manager, OpenVswitch, Port,
};
use super::{DATAPATH_TYPE, INTEGRATION_BRIDGE, is_owned, managers, patches};
use sextant_model::PortId;
use sextant_ovsdb_client::{MonitorRequest, Replica, Table, tables};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

tables! {
    /// What sessions do not need, and older databases may lack.
    const OPTIONAL;

    /// The root: the datapaths.
    Root = "Open_vSwitch" {
        datapaths: BTreeMap<String, Uuid>,
        datapath_types: BTreeSet<String>,
    }

    /// A datapath, and what it can do.
    DatapathRow = "Datapath" { capabilities: BTreeMap<String, String> }

    /// How a manager is connected.
    ManagerState = "Manager" {
        is_connected: bool,
        status: BTreeMap<String, String>,
    }

    /// Why an interface does not work.
    InterfaceState = "Interface" { error: Option<String> }
}

/// A hypervisor, seen from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideView {
    /// What a session would make of it.
    pub observation: Result<Observation, NotReady>,
    /// The version of Open vSwitch.
    pub version: Option<String>,
    /// The datapath of `br-int`, if that is there.
    pub datapath_id: Option<String>,
    /// The types of datapaths.
    pub datapath: SeenDatapath,
    /// Where the database finds its managers.
    pub managers: Vec<SeenManager>,
    /// Targets of controllers of `br-int` that Sextant did not make.
    pub other_controllers: Vec<String>,
    /// Bridges of mappings that are not there.
    pub missing_bridges: Vec<String>,
    /// Interfaces that may be guests', and those that do not work.
    pub interfaces: Vec<SeenInterface>,
    /// What other network services left or still keep.
    pub leftovers: Vec<String>,
}

/// The datapath of `br-int`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenDatapath {
    /// The type that an administrator asks for.
    pub asked: Option<String>,
    /// The type that `br-int` has.
    pub used: Option<String>,
    /// The types that this Open vSwitch has.
    pub types: BTreeSet<String>,
    /// What of it Sextant needs and it says that it lacks. None where it says nothing.
    pub lacks: Option<Vec<String>>,
}

/// A manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenManager {
    /// Where it is.
    pub target: String,
    /// Whether the database waits there, rather than to connect.
    pub listens: bool,
    /// The port, where it connects.
    pub port: Option<String>,
    /// Whether it is connected.
    pub is_connected: bool,
    /// Why it is not.
    pub error: Option<String>,
    /// Milliseconds of silence after which the database asks whether it lives. 0: it never asks.
    pub probe: Option<i64>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenInterface {
    /// Its name.
    pub name: String,
    /// Its bridge.
    pub bridge: String,
    /// The port that it says it is for.
    pub port: Option<PortId>,
    /// Why it does not work.
    pub error: Option<String>,
}

/// What Sextant needs of a datapath (ovs-vswitchd.conf.db(5), `Datapath:capabilities`).
const NEEDED: [&str; 8] = [
    "recirc",
    "ct_state",
    "ct_zone",
    "ct_mark",
    "ct_state_nat",
    "ct_orig_tuple",
    "ct_orig_tuple6",
    "check_pkt_len",
];
/// The keys of `external_ids` by which an OVN controller is told what to do.
const OF_OVN: [&str; 3] = ["ovn-remote", "ovn-encap-ip", "ovn-bridge-mappings"];
/// The bridge for tunnels of Neutron's agent.
const TUNNEL_BRIDGE: &str = "br-tun";
/// Kinds of interfaces by which frames leave `br-int`, which are Sextant's to make.
const WAYS_OUT: [&str; 5] = ["patch", "vxlan", "geneve", "gre", "ip6gre"];

/// What to ask a database for.
pub fn request() -> MonitorRequest {
    MonitorRequest::declared(DATABASE, MONITORED).optional(OPTIONAL)
}

/// What a database shows.
pub fn look(replica: &Replica) -> OutsideView {
    let observation = observe(replica);
    let bridge = super::integration_bridge(replica).map(|(_, bridge)| bridge);
    let root = replica.all::<OpenVswitch>().next().map(|(_, root)| root);
    let missing_bridges = observation.as_ref().map_or_else(
        |_| vec![],
        |seen| patches::missing_bridges(replica, &seen.chassis.bridge_mappings),
    );
    let missing_bridges = missing_bridges.into_iter().map(str::to_owned).collect();
    OutsideView {
        version: root.and_then(|root| root.ovs_version().map(str::to_owned)),
        datapath_id: bridge.and_then(|bridge| bridge.datapath_id().map(str::to_owned)),
        datapath: datapath(replica, root, bridge),
        managers: replica
            .all::<Manager>()
            .map(|(_, manager)| seen_manager(manager))
            .collect(),
        other_controllers: bridge.map_or_else(Vec::new, |bridge| others(replica, bridge)),
        missing_bridges,
        interfaces: interfaces(replica),
        leftovers: leftovers(replica, root, bridge),
        observation,
    }
}

fn datapath(
    replica: &Replica,
    root: Option<OpenVswitch<'_>>,
    bridge: Option<Bridge<'_>>,
) -> SeenDatapath {
    let asked = root.and_then(|root| root.external_ids().get(DATAPATH_TYPE));
    let used = bridge.map(|bridge| named(bridge.datapath_type()));
    let Some(all) = root.map(|root| Root::of(root.row())) else {
        return SeenDatapath::default();
    };
    let row = all
        .datapaths()
        .get(used.or(asked).unwrap_or("system"))
        .copied();
    let row = row.and_then(|row| replica.get::<DatapathRow>(row));
    let can = row.map(DatapathRow::capabilities);
    let can = can.filter(|can| can.iter().next().is_some());
    SeenDatapath {
        asked: asked.map(|asked| named(asked).to_owned()),
        used: used.map(str::to_owned),
        types: all
            .datapath_types()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        lacks: can.map(|can| {
            let lacks = NEEDED.iter().filter(|name| can.get(name) == Some("false"));
            lacks.map(|name| (*name).to_owned()).collect()
        }),
    }
}

fn named(datapath: &str) -> &str {
    match datapath {
        "" => "system",
        named => named,
    }
}

fn seen_manager(manager: Manager<'_>) -> SeenManager {
    let (target, state) = (manager.target(), ManagerState::of(manager.row()));
    SeenManager {
        target: target.to_owned(),
        listens: managers::listens(target),
        port: managers::port(target).map(str::to_owned),
        is_connected: state.is_connected(),
        error: state.status().get("last_error").map(str::to_owned),
        probe: manager.inactivity_probe(),
    }
}

fn others(replica: &Replica, bridge: Bridge<'_>) -> Vec<String> {
    let all = replica.get_all::<Controller>(bridge.controller());
    let others = all.filter(|(_, controller)| !is_owned(controller.row()));
    others
        .map(|(_, controller)| controller.target().to_owned())
        .collect()
}

fn interfaces(replica: &Replica) -> Vec<SeenInterface> {
    let mut seen = vec![];
    for (_, bridge) in replica.all::<Bridge>() {
        for (_, port) in replica.get_all::<Port>(bridge.ports()) {
            for (_, interface) in replica.get_all::<Interface>(port.interfaces()) {
                let state = InterfaceState::of(interface.row());
                let (port, error) = (guest(interface).map(|(port, _)| port), state.error());
                if port.is_some() || error.is_some() {
                    seen.push(SeenInterface {
                        name: interface.name().to_owned(),
                        bridge: bridge.name().to_owned(),
                        port,
                        error: error.map(str::to_owned),
                    });
                }
            }
        }
    }
    seen
}

fn leftovers(
    replica: &Replica,
    root: Option<OpenVswitch<'_>>,
    bridge: Option<Bridge<'_>>,
) -> Vec<String> {
    let ids = root.map(OpenVswitch::external_ids).unwrap_or_default();
    let keys = OF_OVN.iter().filter(|key| ids.get(key).is_some());
    let mut found: Vec<String> = keys.map(|key| format!("external_ids:{key}")).collect();
    let mut bridges = replica.all::<Bridge>();
    if bridges.any(|(_, bridge)| bridge.name() == TUNNEL_BRIDGE) {
        found.push(format!("bridge {TUNNEL_BRIDGE}"));
    }
    let ports = bridge.map(|bridge| bridge.ports()).unwrap_or_default();
    for (_, port) in replica.get_all::<Port>(ports) {
        for (_, interface) in replica.get_all::<Interface>(port.interfaces()) {
            if !is_owned(interface.row()) && WAYS_OUT.contains(&interface.kind()) {
                let (name, kind) = (interface.name(), interface.kind());
                found.push(format!("port {name} ({kind}) of {INTEGRATION_BRIDGE}"));
            }
        }
    }
    found
}
