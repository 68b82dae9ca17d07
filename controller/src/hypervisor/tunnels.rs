//! Tunnel ports on `br-int`: one for each protocol that some hypervisor wants to be sent and each family in which this one
//! has an endpoint (ovs-vswitchd.conf.db(5), Tunnel Options).
//!
//! A port has our endpoint; theirs and the key are fields of the packet. Open vSwitch gives a packet to the port that has
//! the endpoint it was sent to, so that ports of both families stand side by side.

use super::schema::{Bridge, Interface, Port};
use super::wish::Wish;
use super::{INTEGRATION_BRIDGE, bfd, is_owned, metadata, patches, port};
use sextant_model::{EncapKind, IpVersion, Transport};
use sextant_ovsdb_client::{Condition, Replica, Row, Table, Transaction, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use uuid::Uuid;

/// What makes the packets of a bridge's ports: each wants GRE over IPv6 said in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datapath {
    /// `ovs-vswitchd` itself. It knows GRE by the protocol alone, so that `gre` and `ip6gre` would take each other's packets.
    Userspace,
    /// The kernel, whose device for `gre` drops what comes over IPv6.
    Kernel,
}

impl Datapath {
    /// That of a bridge (`datapath_type`; ovs-vswitchd.conf.db(5)).
    pub(super) fn of(bridge: Bridge<'_>) -> Self {
        match bridge.datapath_type() {
            "netdev" => Self::Userspace,
            _ => Self::Kernel,
        }
    }

    /// The type of the interface that carries this.
    pub(super) fn interface_type(self, kind: EncapKind, family: IpVersion) -> &'static str {
        match (self, kind, family) {
            (Self::Kernel, EncapKind::Gre, IpVersion::V6) => "ip6gre",
            (Self::Kernel | Self::Userspace, _, _) => kind.as_str(),
        }
    }
}

/// What an interface carries, if it is a tunnel port that was made here.
pub(super) fn transport(interface: Interface<'_>) -> Option<Transport> {
    let kind = match interface.kind() {
        "ip6gre" => EncapKind::Gre,
        other => other.parse().ok()?,
    };
    let local: IpAddr = interface.options().get("local_ip")?.parse().ok()?;
    Some(Transport {
        kind,
        family: IpVersion::of(local),
    })
}

/// A tunnel port, as it should be or as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TunnelPort {
    kind: String,
    /// What else an administrator set there counts for nothing, and stays.
    options: BTreeMap<String, String>,
}

impl TunnelPort {
    fn has_options_of(&self, wanted: &Self) -> bool {
        let mut wanted = wanted.options.iter();
        wanted.all(|(key, value)| self.options.get(key) == Some(value))
    }
}

struct Present {
    port: Uuid,
    interface: Uuid,
    is: TunnelPort,
}

/// Makes the ports that are missing, removes those that are not wanted, and gives the others our endpoint.
///
/// A port of another type goes first, and is made anew in the next step: two must not have the same name.
pub(super) fn wanted(
    replica: &Replica,
    wish: &Wish,
    uuid: Uuid,
    bridge: Bridge<'_>,
    mut transaction: Transaction,
) -> Transaction {
    let mut missing = ports(wish, Datapath::of(bridge));
    let mut unwanted = vec![];
    for (name, present) in present(replica, bridge) {
        match missing.remove(&name) {
            Some(wanted) if wanted.kind != present.is.kind => unwanted.push(present.port),
            Some(wanted) if !present.is.has_options_of(&wanted) => {
                let options = present.is.options.into_iter().chain(wanted.options);
                transaction = transaction.update(
                    "Interface",
                    [Condition::uuid(present.interface)],
                    Row::new().with("options", map(&options.collect())),
                );
            }
            Some(_) => {}
            None => unwanted.push(present.port),
        }
    }
    transaction = port::remove(uuid, unwanted, transaction);
    missing
        .iter()
        .fold(transaction, |transaction, (name, wanted)| {
            let interface = Row::new()
                .with("type", wanted.kind.as_str())
                .with("options", map(&wanted.options));
            port::add(uuid, name, interface, None, transaction)
        })
}

fn ports(wish: &Wish, datapath: Datapath) -> BTreeMap<String, TunnelPort> {
    let families = [IpVersion::V6, IpVersion::V4];
    let endpoints = families.map(|family| Some((family, wish.endpoints.of(family)?)));
    let endpoints = endpoints.iter().flatten();
    endpoints
        .flat_map(|(family, local)| {
            wish.tunnels.iter().map(|kind| {
                let port = TunnelPort {
                    kind: datapath.interface_type(*kind, *family).to_owned(),
                    options: options(*local),
                };
                (name(*kind, *family), port)
            })
        })
        .collect()
}

fn name(kind: EncapKind, family: IpVersion) -> String {
    let digit = match family {
        IpVersion::V6 => 6,
        IpVersion::V4 => 4,
    };
    format!("sextant-{kind}{digit}")
}

fn options(local: IpAddr) -> BTreeMap<String, String> {
    let local = local.to_string();
    let options = [
        ("remote_ip", "flow"),
        ("local_ip", local.as_str()),
        ("key", "flow"),
    ];
    options
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn map(options: &BTreeMap<String, String>) -> Value {
    let pairs = options.iter();
    Value::map(pairs.map(|(key, value)| (key.as_str(), value.as_str())))
}

/// The tunnel ports that Sextant made on the bridge, by name.
fn present(replica: &Replica, bridge: Bridge<'_>) -> Vec<(String, Present)> {
    let mut found = vec![];
    for (port, row) in replica.get_all::<Port>(bridge.ports()) {
        let is_tunnel = is_owned(row.row())
            && row.name() != INTEGRATION_BRIDGE
            && !patches::is_patch(row)
            && !metadata::is_metadata_port(row)
            && !bfd::is_of_bfd(row.row());
        if is_tunnel {
            let interface = row.interfaces().first().copied().unwrap_or_default();
            let is = tunnel_port(replica.get(interface));
            let present = Present {
                port,
                interface,
                is,
            };
            found.push((row.name().to_owned(), present));
        }
    }
    found
}

fn tunnel_port(interface: Option<Interface<'_>>) -> TunnelPort {
    let options = interface.map(Interface::options).unwrap_or_default();
    TunnelPort {
        kind: interface.map_or("", Interface::kind).to_owned(),
        options: options
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    }
}
