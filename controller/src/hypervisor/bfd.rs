//! BFD between hypervisors (RFC 5880), which Open vSwitch speaks by itself over a tunnel port with `bfd:enable`
//! (ovs-vswitchd.conf.db(5), Bidirectional Forwarding Detection).
//!
//! Two hypervisors speak BFD with each other, so each peer gets a tunnel port of its own. It has fixed endpoints and key 0, which
//! no network has. Open vSwitch gives a packet to the port that matches it most closely, so guests' frames still come in by the
//! flow-based ports. The port's name is a hash of its settings: a peer with another endpoint gets another port.

mod states;

pub(super) use states::States;

use super::schema::{Bridge, Interface, Port};
use super::tunnels::Datapath;
use super::wish::Wish;
use super::{is_owned, port};
use sextant_model::{Chassis, ChassisId, EncapKind, Facts, IpVersion};
use sextant_ovsdb_client::{Replica, Row, Table, Transaction, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// A port for BFD carries the peer's name under this key, too.
const PEER: &str = "sextant-bfd-peer";
/// Milliseconds between control packets, each way; three that are missing are the end of the session.
const PACE: &str = "1000";
/// How BFD is spoken.
const SPOKEN: [(&str, &str); 3] = [("enable", "true"), ("min_tx", PACE), ("min_rx", PACE)];

/// A peer with which a hypervisor speaks BFD, and over what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The other hypervisor.
    pub peer: ChassisId,
    /// The protocol: both have to use the same, so it is the first in alphabetical order of what the two want to be sent.
    pub kind: EncapKind,
    /// Our endpoint.
    pub local: IpAddr,
    /// Theirs.
    pub remote: IpAddr,
}

impl Watched {
    /// The type of its port's interface.
    fn interface_type(&self, datapath: Datapath) -> &'static str {
        datapath.interface_type(self.kind, IpVersion::of(self.local))
    }

    /// The options of its port's interface.
    fn addresses(&self) -> [(&'static str, String); 2] {
        [
            ("local_ip", self.local.to_string()),
            ("remote_ip", self.remote.to_string()),
        ]
    }

    /// The name of its port, short enough for a network device.
    fn name(&self, datapath: Datapath) -> String {
        let Self {
            peer,
            local,
            remote,
            ..
        } = self;
        let kind = self.interface_type(datapath);
        let all = format!("{kind} {local} {remote} {}", peer.as_str());
        let hash = xxh3_64(all.as_bytes());
        format!("bfd-{:011x}", hash >> 20)
    }
}

/// Every hypervisor to which one has a tunnel, as both see it.
pub(super) fn watched(facts: &Facts, own: &Chassis) -> Vec<Watched> {
    let peers = facts.chassis().values().filter(|peer| peer.id != own.id);
    let watched = peers.filter_map(|peer| {
        let (local, remote) = own.encap.endpoints.towards(peer.encap.endpoints)?;
        let kinds = [own.encap.kind, peer.encap.kind];
        Some(Watched {
            peer: peer.id.clone(),
            kind: kinds.into_iter().min_by_key(|kind| kind.as_str())?,
            local,
            remote,
        })
    });
    watched.collect()
}

/// Removes the ports that are not wanted, and in the next step makes those that are missing: Open vSwitch before 3.1.5 does
/// not add a port whose twin of another name goes in the same transaction (a peer that calls itself otherwise).
pub(super) fn wanted(
    replica: &Replica,
    wish: &Wish,
    uuid: Uuid,
    bridge: Bridge<'_>,
    transaction: Transaction,
) -> Transaction {
    let datapath = Datapath::of(bridge);
    let named = wish.watched.iter();
    let named = named.map(|watched| (watched.name(datapath), watched));
    let mut missing: BTreeMap<String, &Watched> = named.collect();
    let mut unwanted = vec![];
    let ports = replica.get_all::<Port>(bridge.ports());
    for (port, row) in ports.filter(|(_, row)| is_of_bfd(row.row())) {
        let watched = missing.remove(row.name());
        if !watched.is_some_and(|watched| is_intact(replica, row, watched, datapath)) {
            unwanted.push(port);
        }
    }
    if !unwanted.is_empty() {
        return port::remove(uuid, unwanted, transaction);
    }
    missing
        .iter()
        .fold(transaction, |transaction, (name, watched)| {
            add(uuid, name, watched, datapath, transaction)
        })
}

/// Whether a port, or an interface, is one that Sextant made for BFD.
pub(super) fn is_of_bfd(row: &Row) -> bool {
    is_owned(row) && matches!(row.map_entry("external_ids", PEER), Ok(Some(_)))
}

/// Whether a port's interface still is what Sextant made. It may have more than that.
fn is_intact(replica: &Replica, port: Port<'_>, watched: &Watched, datapath: Datapath) -> bool {
    let interface = port.interfaces().first().copied().unwrap_or_default();
    let Some(interface) = replica.get::<Interface>(interface) else {
        return false;
    };
    let (options, bfd) = (interface.options(), interface.bfd());
    let addresses = watched.addresses();
    interface.kind() == watched.interface_type(datapath)
        && addresses
            .iter()
            .all(|(key, value)| options.get(key) == Some(value))
        && SPOKEN
            .iter()
            .all(|(key, value)| bfd.get(key) == Some(*value))
}

fn add(
    bridge: Uuid,
    name: &str,
    watched: &Watched,
    datapath: Datapath,
    transaction: Transaction,
) -> Transaction {
    let addresses = watched.addresses();
    let options = addresses.iter().map(|(key, value)| (*key, value.as_str()));
    let interface = Row::new()
        .with("type", watched.interface_type(datapath))
        .with("options", Value::map(options))
        .with("bfd", Value::map(SPOKEN));
    let mark = (PEER, watched.peer.as_str());
    port::add(bridge, name, interface, Some(mark), transaction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_model::Encap;
    use std::collections::BTreeSet;

    fn cloud(hypervisors: &[(&str, &str, EncapKind)]) -> Facts {
        let mut facts = Facts::default();
        for (id, endpoints, kind) in hypervisors {
            facts.put_chassis(Chassis {
                observed: true,
                ..Chassis::new(
                    ChassisId::new(id),
                    Encap {
                        endpoints: endpoints.parse().unwrap(),
                        kind: *kind,
                    },
                )
            });
        }
        facts
    }

    fn of(facts: &Facts, id: &str) -> Vec<Watched> {
        watched(facts, &facts.chassis()[&ChassisId::new(id)])
    }

    #[test]
    fn both_of_a_pair_speak_over_the_same() {
        let facts = cloud(&[
            ("h1", "2001:db8::1,192.0.2.1", EncapKind::Vxlan),
            ("h2", "2001:db8::2", EncapKind::Gre),
            ("h3", "192.0.2.3", EncapKind::Geneve),
        ]);
        let (one, two, three) = (of(&facts, "h1"), of(&facts, "h2"), of(&facts, "h3"));
        assert_eq!([one.len(), two.len(), three.len()], [2, 1, 1]);
        for (here, there) in [(&one[0], &two[0]), (&one[1], &three[0])] {
            assert_eq!(here.kind, there.kind);
            assert_eq!((here.local, here.remote), (there.remote, there.local));
        }
        assert_eq!(
            (one[0].kind, one[1].kind),
            (EncapKind::Gre, EncapKind::Geneve)
        );
    }

    #[test]
    fn whatever_differs_is_another_port_with_a_name_that_a_device_may_have() {
        let names: BTreeSet<String> = [
            ("2001:db8::1", "h2", EncapKind::Gre),
            ("2001:db8::9", "h2", EncapKind::Gre),
            ("2001:db8::1", "h3", EncapKind::Gre),
            ("2001:db8::1", "h2", EncapKind::Vxlan),
        ]
        .into_iter()
        .flat_map(|(endpoint, peer, kind)| {
            let facts = cloud(&[("h1", endpoint, kind), (peer, "2001:db8::2", kind)]);
            of(&facts, "h1")
        })
        .map(|watched| watched.name(Datapath::Userspace))
        .collect();
        assert_eq!(names.len(), 4);
        assert!(names.iter().all(|name| name.len() == 15), "{names:?}");
    }
}
