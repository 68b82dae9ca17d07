//! The port of `br-int` by which guests reach the hypervisor's metadata service, and what the service has to know of them.
//!
//! The service reads who a guest is from the `external_ids` of the guest's interface. So it needs no controller to answer.

use super::schema::{Bridge, Interface, Port};
use super::wish::Wish;
use super::{is_owned, observe, port};
use sextant_model::{
    ChassisId, Intent, METADATA_INTERFACE, METADATA_MAC, PortId, metadata_addresses, metadata_key,
};
use sextant_ovsdb_client::{Condition, Mutation, Replica, Row, Table, Transaction, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What the service has to know of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataGuest {
    /// The instance.
    pub device: String,
    /// Its project.
    pub project: String,
    /// Its addresses, in the order of their numbers.
    pub addresses: String,
}

impl MetadataGuest {
    fn of(port: &sextant_model::Port) -> Self {
        let addresses = metadata_addresses(port).map(|(_, address)| address.to_string());
        Self {
            device: port.device_id.clone(),
            project: port.meta.project_id.clone(),
            addresses: addresses.collect::<Vec<_>>().join(" "),
        }
    }

    fn pairs(&self) -> BTreeMap<&'static str, &str> {
        let pairs = [
            (metadata_key::DEVICE, self.device.as_str()),
            (metadata_key::PROJECT, &self.project),
            (metadata_key::ADDRESSES, &self.addresses),
        ];
        pairs.into()
    }
}

/// The guests that are plugged in on a hypervisor by these interfaces, and used by somebody.
pub(super) fn guests(
    intent: &Intent,
    facts: &sextant_model::Facts,
    chassis: &ChassisId,
    interfaces: impl Iterator<Item = PortId>,
) -> BTreeMap<PortId, MetadataGuest> {
    interfaces
        .filter(|port| {
            let binding = facts.binding(*port);
            binding.is_some_and(|binding| binding.chassis == *chassis)
        })
        .filter_map(|port| intent.ports.get(&port))
        .filter(|port| !port.device_id.is_empty())
        .map(|port| (port.id, MetadataGuest::of(port)))
        .collect()
}

/// Makes or removes the port, and says on guests' interfaces who they are.
pub(super) fn wanted(
    replica: &Replica,
    wish: &Wish,
    uuid: Uuid,
    bridge: Bridge<'_>,
    transaction: Transaction,
) -> Transaction {
    let present = replica.get_all::<Port>(bridge.ports());
    let present: Vec<Uuid> = present
        .filter(|(_, port)| is_metadata_port(*port))
        .map(|(uuid, _)| uuid)
        .collect();
    let transaction = match (wish.metadata.is_some(), present.is_empty()) {
        (true, true) if is_free(replica) => add(uuid, transaction),
        (false, false) => port::remove(uuid, present, transaction),
        (true | false, _) => transaction,
    };
    let none = BTreeMap::new();
    name_guests(
        replica,
        wish.metadata.as_ref().unwrap_or(&none),
        transaction,
    )
}

/// Removes the names of guests. The port itself is removed with all others that Sextant made.
pub(super) fn release(replica: &Replica, transaction: Transaction) -> Transaction {
    name_guests(replica, &BTreeMap::new(), transaction)
}

/// Whether it is the port of the metadata service, as Sextant makes it.
pub(super) fn is_metadata_port(port: Port<'_>) -> bool {
    is_owned(port.row()) && port.name() == METADATA_INTERFACE
}

fn add(bridge: Uuid, transaction: Transaction) -> Transaction {
    let interface = Row::new()
        .with("type", "internal")
        .with("mac", Value::set([METADATA_MAC.to_string()]));
    port::add(bridge, METADATA_INTERFACE, interface, None, transaction)
}

/// Somebody else's port may have the name, and keeps it.
fn is_free(replica: &Replica) -> bool {
    let mut ports = replica.all::<Port>();
    let mut interfaces = replica.all::<Interface>();
    ports.all(|(_, port)| port.name() != METADATA_INTERFACE)
        && interfaces.all(|(_, interface)| interface.name() != METADATA_INTERFACE)
}

fn name_guests(
    replica: &Replica,
    guests: &BTreeMap<PortId, MetadataGuest>,
    transaction: Transaction,
) -> Transaction {
    let interfaces = replica.all::<Interface>();
    interfaces.fold(transaction, |transaction, (uuid, interface)| {
        let port = observe::guest(interface).map(|(port, _)| port);
        let guest = port.and_then(|port| guests.get(&port));
        let wanted = guest.map(MetadataGuest::pairs).unwrap_or_default();
        name_guest(uuid, interface, &wanted, transaction)
    })
}

fn name_guest(
    uuid: Uuid,
    interface: Interface<'_>,
    wanted: &BTreeMap<&'static str, &str>,
    transaction: Transaction,
) -> Transaction {
    let ids = interface.external_ids();
    let mut mutations = vec![];
    for key in metadata_key::ALL {
        let (present, wanted) = (ids.get(key), wanted.get(key).copied());
        if present == wanted {
            continue;
        }
        let gone = present.map(|present| Value::map([(key, present)]));
        mutations.extend(gone.map(|gone| Mutation::delete("external_ids", gone)));
        let new = wanted.map(|wanted| Value::map([(key, wanted)]));
        mutations.extend(new.map(|new| Mutation::insert("external_ids", new)));
    }
    match mutations.is_empty() {
        true => transaction,
        false => transaction.mutate("Interface", [Condition::uuid(uuid)], mutations),
    }
}
