//! Which guests' interfaces a hypervisor has, kept by what changes of it.
//!
//! A hypervisor may have thousands of interfaces, and a guest that comes or goes touches a few rows: those alone are looked
//! at. Where anything else changes, all is to be read again.

use super::observe::guest;
use super::{INTEGRATION_BRIDGE, integration_bridge, is_owned};
use sextant_model::PortId;
use sextant_ovsdb_client::{ColumnError, Replica, Row, RowChange};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The columns of a bridge that say more than which ports it has.
const OF_THE_BRIDGE: [&str; 6] = [
    "name",
    "controller",
    "fail_mode",
    "protocols",
    "datapath_id",
    "external_ids",
];

/// The interfaces that carry a port's id, and where they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Census {
    /// The ports of `br-int`.
    ports: BTreeSet<Uuid>,
    /// The port of each interface, on whichever bridge.
    port_of: BTreeMap<Uuid, Uuid>,
    /// What each interface carries, and its OpenFlow port if it has one.
    carried: BTreeMap<Uuid, (PortId, Option<u16>)>,
    /// The same the other way round.
    carriers: BTreeSet<(PortId, Uuid)>,
}

impl Census {
    /// Reads all.
    pub(super) fn read(replica: &Replica) -> Result<Self, ColumnError> {
        let mut census = Self::default();
        if let Some((_, bridge)) = integration_bridge(replica) {
            census.ports = bridge.uuids("ports")?;
        }
        for (port, row) in replica.rows("Port") {
            let interfaces = row.uuids("interfaces")?.into_iter();
            census
                .port_of
                .extend(interfaces.map(|interface| (interface, port)));
        }
        for (interface, row) in replica.rows("Interface") {
            if let Some((port, ofport)) = guest(row)? {
                census.carry(interface, port, ofport);
            }
        }
        Ok(census)
    }

    /// Takes in changes. Returns the ports whose interfaces they touch; none if they touch anything else.
    pub(super) fn follow(&mut self, changes: &[RowChange]) -> Option<BTreeSet<PortId>> {
        let mut touched = BTreeSet::new();
        for change in changes {
            let sides = || [&change.old, &change.new].into_iter().flatten();
            if sides().any(is_owned) && &*change.table != "Bridge" {
                return None;
            }
            match &*change.table {
                "Interface" => self.interface(change, &mut touched).ok()?,
                "Port" => self.port(change, &mut touched).ok()?,
                "Bridge" => self.bridge(change, &mut touched)?,
                _ => return None,
            }
        }
        Some(touched)
    }

    /// Where a port is plugged in on `br-int`: its OpenFlow port, if it has one yet. None if it is not.
    pub(super) fn plugged(&self, port: PortId) -> Option<Option<u16>> {
        let here = |interface: &Uuid| {
            let port = self.port_of.get(interface);
            port.is_some_and(|port| self.ports.contains(port))
        };
        let carriers = self
            .carriers
            .range((port, Uuid::nil())..=(port, Uuid::max()));
        let mut ofports = carriers
            .filter(|(_, interface)| here(interface))
            .filter_map(|(_, interface)| Some(self.carried.get(interface)?.1))
            .peekable();
        ofports.peek()?;
        Some(ofports.flatten().next())
    }

    fn interface(
        &mut self,
        change: &RowChange,
        touched: &mut BTreeSet<PortId>,
    ) -> Result<(), ColumnError> {
        if let Some((port, _)) = self.carried.remove(&change.uuid) {
            self.carriers.remove(&(port, change.uuid));
            touched.insert(port);
        }
        let carried = change.new.as_ref().map(guest).transpose()?.flatten();
        if let Some((port, ofport)) = carried {
            self.carry(change.uuid, port, ofport);
            touched.insert(port);
        }
        Ok(())
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
        let interfaces = |row: &Option<Row>| match row {
            Some(row) => row.uuids("interfaces"),
            None => Ok(BTreeSet::new()),
        };
        let (old, new) = (interfaces(&change.old)?, interfaces(&change.new)?);
        for interface in &old {
            if self.port_of.get(interface) == Some(&change.uuid) {
                self.port_of.remove(interface);
            }
        }
        self.port_of
            .extend(new.iter().map(|interface| (*interface, change.uuid)));
        let carried = old
            .union(&new)
            .filter_map(|interface| self.carried.get(interface));
        touched.extend(carried.map(|(port, _)| *port));
        Ok(())
    }

    /// A bridge that has other ports; none if it is new, gone, or differs in anything else.
    fn bridge(&mut self, change: &RowChange, touched: &mut BTreeSet<PortId>) -> Option<()> {
        let (_, new) = change.old.as_ref().zip(change.new.as_ref())?;
        if OF_THE_BRIDGE.iter().any(|column| change.touches(column)) {
            return None;
        }
        if new.string("name").ok()? != INTEGRATION_BRIDGE {
            return Some(());
        }
        let now = new.uuids("ports").ok()?;
        let moved: BTreeSet<Uuid> = self.ports.symmetric_difference(&now).copied().collect();
        self.ports = now;
        let moved = |interface: &Uuid| {
            let port = self.port_of.get(interface);
            port.is_some_and(|port| moved.contains(port))
        };
        let carried = self
            .carried
            .iter()
            .filter(|(interface, _)| moved(interface));
        touched.extend(carried.map(|(_, (port, _))| *port));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_ovsdb_client::Value;

    fn uuid(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn port_id(n: u128) -> PortId {
        PortId(uuid(n))
    }

    fn change(table: &str, n: u128, old: Option<Row>, new: Option<Row>) -> RowChange {
        RowChange {
            table: table.into(),
            uuid: uuid(n),
            old,
            new,
        }
    }

    fn interface(carries: u128, ofport: Option<i64>) -> Row {
        let id = uuid(carries).to_string();
        let row = Row::new().with("external_ids", Value::map([("iface-id", id.as_str())]));
        row.with("ofport", Value::set(ofport))
    }

    fn port(interface: u128) -> Row {
        Row::new()
            .with("interfaces", Value::set([uuid(interface)]))
            .with("external_ids", Value::map::<&str, &str>([]))
    }

    fn bridge(ports: &[u128]) -> Row {
        let ports: Vec<Uuid> = ports.iter().copied().map(uuid).collect();
        let row = OF_THE_BRIDGE
            .into_iter()
            .fold(Row::new(), |row, column| row.with(column, "x"));
        row.with("name", INTEGRATION_BRIDGE)
            .with("external_ids", Value::map::<&str, &str>([]))
            .with("ports", Value::set(ports))
    }

    #[test]
    fn a_guest_that_is_plugged_in_gets_its_number_and_is_unplugged() {
        let mut census = Census::default();
        let come = [
            change("Interface", 21, None, Some(interface(1, None))),
            change("Port", 11, None, Some(port(21))),
            change("Bridge", 5, Some(bridge(&[])), Some(bridge(&[11]))),
        ];
        assert_eq!(census.follow(&come), Some([port_id(1)].into()));
        assert_eq!(census.plugged(port_id(1)), Some(None));

        let numbered = change(
            "Interface",
            21,
            Some(interface(1, None)),
            Some(interface(1, Some(7))),
        );
        assert_eq!(census.follow(&[numbered]), Some([port_id(1)].into()));
        assert_eq!(census.plugged(port_id(1)), Some(Some(7)));

        let go = [
            change("Bridge", 5, Some(bridge(&[11])), Some(bridge(&[]))),
            change("Port", 11, Some(port(21)), None),
            change("Interface", 21, Some(interface(1, Some(7))), None),
        ];
        assert_eq!(census.follow(&go), Some([port_id(1)].into()));
        assert_eq!(census.plugged(port_id(1)), None);
        assert_eq!(census, Census::default());
    }

    #[test]
    fn of_two_that_carry_the_same_one_that_has_a_number_counts() {
        let mut census = Census::default();
        let come = [
            change("Interface", 21, None, Some(interface(1, None))),
            change("Interface", 22, None, Some(interface(1, Some(8)))),
            change("Port", 11, None, Some(port(21))),
            change("Port", 12, None, Some(port(22))),
            change("Bridge", 5, Some(bridge(&[])), Some(bridge(&[11, 12]))),
        ];
        census.follow(&come).unwrap();
        assert_eq!(census.plugged(port_id(1)), Some(Some(8)));
        let go = change("Bridge", 5, Some(bridge(&[11, 12])), Some(bridge(&[11])));
        assert_eq!(census.follow(&[go]), Some([port_id(1)].into()));
        assert_eq!(census.plugged(port_id(1)), Some(None));
    }

    #[test]
    fn whatever_else_changes_has_all_read_again() {
        let owned = || Row::new().with("external_ids", Value::map([super::super::OWNED]));
        let renamed = bridge(&[]).with("datapath_id", "y");
        for other in [
            change("Manager", 1, None, Some(Row::new())),
            change("Interface", 2, None, Some(owned())),
            change("Port", 3, Some(owned()), None),
            change("Bridge", 5, Some(bridge(&[])), None),
            change("Bridge", 5, Some(bridge(&[])), Some(renamed)),
        ] {
            assert_eq!(
                Census::default().follow(std::slice::from_ref(&other)),
                None,
                "{other:?}"
            );
        }
    }
}
