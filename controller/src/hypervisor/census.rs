//! The guests' interfaces of a hypervisor, kept up to date by the changes of its database.
//!
//! A hypervisor may have thousands of interfaces, and a guest that comes or goes touches a few rows: those alone are looked
//! at. Where anything else changes, all is to be read again.

use super::observe::guest;
use super::schema::{Bridge, Interface, Port};
use super::{INTEGRATION_BRIDGE, integration_bridge, is_owned};
use sextant_model::PortId;
use sextant_ovsdb_client::{ColumnError, Replica, RowChange, Table};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The interfaces that carry a port's id, and where they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Census {
    /// The ports of `br-int`.
    ports: BTreeSet<Uuid>,
    /// The port of each interface, on whichever bridge.
    port_of: BTreeMap<Uuid, Uuid>,
    /// The same the other way round.
    interfaces: BTreeSet<(Uuid, Uuid)>,
    /// What each interface carries, and its OpenFlow port if it has one.
    carried: BTreeMap<Uuid, (PortId, Option<u16>)>,
    /// The same the other way round.
    carriers: BTreeSet<(PortId, Uuid)>,
}

impl Census {
    /// Reads all.
    pub(super) fn read(replica: &Replica) -> Self {
        let mut census = Self::default();
        if let Some((_, bridge)) = integration_bridge(replica) {
            census.ports = bridge.ports();
        }
        for (port, row) in replica.all::<Port>() {
            for interface in row.interfaces() {
                census.put(interface, port);
            }
        }
        for (interface, row) in replica.all::<Interface>() {
            if let Some((port, ofport)) = guest(row) {
                census.carry(interface, port, ofport);
            }
        }
        census
    }

    /// Takes in changes. Returns the ports whose interfaces they touch; none if they touch anything else.
    pub(super) fn follow(&mut self, changes: &[RowChange]) -> Option<BTreeSet<PortId>> {
        let mut touched = BTreeSet::new();
        for change in changes {
            let mut sides = [&change.old, &change.new].into_iter().flatten();
            if sides.any(is_owned) && &*change.table != Bridge::NAME {
                return None;
            }
            match &*change.table {
                Interface::NAME => self.interface(change, &mut touched),
                Port::NAME => self.port(change, &mut touched).ok()?,
                Bridge::NAME => self.bridge(change, &mut touched)?,
                _ => return None,
            }
        }
        Some(touched)
    }

    /// Where a port is plugged in on `br-int`: its OpenFlow port, if it has one yet. None if it is not.
    pub(super) fn plugged(&self, port: PortId) -> Option<Option<u16>> {
        let carriers = self
            .carriers
            .range((port, Uuid::nil())..=(port, Uuid::max()));
        let mut ofports = carriers
            .filter(|(_, interface)| {
                let port = self.port_of.get(interface);
                port.is_some_and(|port| self.ports.contains(port))
            })
            .filter_map(|(_, interface)| Some(self.carried.get(interface)?.1))
            .peekable();
        ofports.peek()?;
        Some(ofports.flatten().next())
    }

    fn interface(&mut self, change: &RowChange, touched: &mut BTreeSet<PortId>) {
        if let Some((port, _)) = self.carried.remove(&change.uuid) {
            self.carriers.remove(&(port, change.uuid));
            touched.insert(port);
        }
        let new = change.new.as_ref().map(Interface::of);
        let carried = new.and_then(guest);
        if let Some((port, ofport)) = carried {
            self.carry(change.uuid, port, ofport);
            touched.insert(port);
        }
    }

    fn carry(&mut self, interface: Uuid, port: PortId, ofport: Option<u16>) {
        self.carried.insert(interface, (port, ofport));
        self.carriers.insert((port, interface));
    }

    fn port(
        &mut self,
        change: &RowChange,
        touched: &mut BTreeSet<PortId>,
    ) -> Result<(), ColumnError> {
        let (gone, came) = change.moved_uuids("interfaces")?;
        for interface in &gone {
            if self.interfaces.remove(&(change.uuid, *interface)) {
                self.port_of.remove(interface);
            }
        }
        for interface in &came {
            self.put(*interface, change.uuid);
        }
        let carried = gone
            .union(&came)
            .filter_map(|interface| self.carried.get(interface));
        touched.extend(carried.map(|(port, _)| *port));
        Ok(())
    }

    fn put(&mut self, interface: Uuid, port: Uuid) {
        if let Some(other) = self.port_of.insert(interface, port) {
            self.interfaces.remove(&(other, interface));
        }
        self.interfaces.insert((port, interface));
    }

    /// A bridge that has other ports; none if it is new, gone, or differs in anything else.
    fn bridge(&mut self, change: &RowChange, touched: &mut BTreeSet<PortId>) -> Option<()> {
        let (_, new) = change.old.as_ref().zip(change.new.as_ref())?;
        let mut others = Bridge::COLUMNS
            .iter()
            .filter(|(column, _)| *column != "ports");
        if others.any(|(column, _)| change.touches(column)) {
            return None;
        }
        if Bridge::of(new).name() != INTEGRATION_BRIDGE {
            return Some(());
        }
        let (gone, came) = change.moved_uuids("ports").ok()?;
        for port in &gone {
            self.ports.remove(port);
        }
        self.ports.extend(&came);
        for port in gone.union(&came) {
            let interfaces = self
                .interfaces
                .range((*port, Uuid::nil())..=(*port, Uuid::max()));
            let carried = interfaces.filter_map(|(_, interface)| self.carried.get(interface));
            touched.extend(carried.map(|(port, _)| *port));
        }
        Some(())
    }
}

/// What of a hypervisor's database was not looked at since it changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// The whole database, and the census with it.
    Everything,
    /// The interfaces of these ports.
    Guests(BTreeSet<PortId>),
}

impl Unread {
    pub(super) fn nothing() -> Self {
        Self::Guests(BTreeSet::new())
    }

    /// Takes in what [`Census::follow`] returned.
    pub(super) fn add(&mut self, touched: Option<BTreeSet<PortId>>) {
        match (&mut *self, touched) {
            (Self::Guests(ports), Some(more)) => ports.extend(more),
            (Self::Everything, _) => {}
            (Self::Guests(_), None) => *self = Self::Everything,
        }
    }
}

#[cfg(test)]
mod tests;
