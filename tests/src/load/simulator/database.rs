//! The database of a hypervisor that is played: what ovsdb-server and ovs-vswitchd do to it together.

use super::locks::{Locks, SessionNumber};
use super::schema::Schema;
use super::value::Value;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub(super) const NAME: &str = "Open_vSwitch";
const BRIDGE: &str = "br-int";
/// Silence after which Open vSwitch asks a controller or a manager whether it is there, where none is set
/// (`inactivity_probe`, ovs-vswitchd.conf.db(5)).
pub(super) const USUAL_PROBE: Duration = Duration::from_secs(5);

type Row = BTreeMap<String, Value>;

/// A table, and the identity of a row in it.
type Place = (String, String);

/// What rows were before they changed; none: they were not there.
pub(super) type Changes = BTreeMap<Place, Option<Row>>;

/// What somebody monitors, by table.
pub(super) type Monitored = BTreeMap<String, MonitoredTable>;

/// What somebody monitors of a table: all rows or none. Sextant selects no others.
#[derive(Clone, Debug)]
pub(super) struct MonitoredTable {
    pub(super) columns: Vec<String>,
    pub(super) has_rows: bool,
}

#[derive(Debug)]
pub(super) struct SimulatedDatabase {
    schema: Arc<Schema>,
    rows: BTreeMap<Place, Row>,
    /// What rows were when their changes were last taken.
    before: Changes,
    is_changed: bool,
    number: u32,
    rows_made: u32,
    ports_made: u32,
    /// Guests' ports that wait for the bridge.
    waiting: Vec<String>,
    pub(super) locks: Locks,
}

impl SimulatedDatabase {
    /// A hypervisor's, before anybody manages it.
    pub(super) fn new(schema: Arc<Schema>, number: u32) -> Self {
        let mut database = Self {
            schema,
            rows: BTreeMap::new(),
            before: BTreeMap::new(),
            is_changed: false,
            number,
            rows_made: 0,
            ports_made: 0,
            waiting: vec![],
            locks: Locks::default(),
        };
        let name = format!("fleet{number}");
        let tunnel = format!("fd00:f1ee::{:x}:{:x}", number >> 16, number & 0xffff);
        let ids = [
            ["system-id", &name],
            ["hostname", &name],
            ["sextant-encap-ip", &tunnel],
        ];
        let root = json!({"external_ids": ["map", ids], "ovs_version": "3.1.0"});
        database.transact(&[json!({"op": "insert", "table": NAME, "row": root})]);
        database
    }

    /// The same for a session, unless it lacks a lock that an operation asserts (RFC 7047 §5.2.10): then nothing is changed.
    pub(super) fn transact_for(
        &mut self,
        session: SessionNumber,
        operations: &[Json],
    ) -> Vec<Json> {
        let locks: Vec<Option<String>> = operations
            .iter()
            .map(|operation| match operation["op"] == "assert" {
                true => operation["lock"].as_str().map(str::to_owned),
                false => None,
            })
            .collect();
        if let Some(failed) = locks.iter().position(|lock| {
            let lock = lock.as_deref();
            lock.is_some_and(|lock| !self.locks.has(lock, session))
        }) {
            let lock = locks[failed].as_deref().unwrap_or_default();
            let details = format!("Asserted lock {lock} not held.");
            let mut results = vec![json!({}); failed];
            results.push(json!({"error": "not owner", "details": details}));
            results.resize(operations.len(), Json::Null);
            return results;
        }
        let locks = locks.iter().flatten();
        locks.for_each(|lock| self.locks.note_write(lock));
        self.transact(operations)
    }

    /// Does what the operations say, and what ovs-vswitchd does thereupon; gives their results.
    pub(super) fn transact(&mut self, operations: &[Json]) -> Vec<Json> {
        let mut named = HashMap::new();
        for operation in operations {
            if let Some(name) = operation["uuid-name"].as_str() {
                named.insert(name.to_owned(), self.new_uuid());
            }
        }
        let done = operations
            .iter()
            .map(|operation| self.operate(operation, &named));
        let results = done.collect();
        self.drop_unnamed();
        self.reconfigure();
        if self.bridge().is_some() && !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            self.plug(&waiting);
        }
        results
    }

    pub(super) fn schema(&self) -> &Json {
        &self.schema.json
    }

    fn new_uuid(&mut self) -> String {
        self.rows_made += 1;
        format!(
            "{:08x}-0000-4000-8000-0000{:08x}",
            self.number, self.rows_made
        )
    }

    fn operate(&mut self, operation: &Json, named: &HashMap<String, String>) -> Json {
        let table = operation["table"].as_str().unwrap_or_default();
        match operation["op"].as_str() {
            Some("insert") => {
                let name = operation["uuid-name"].as_str();
                let uuid = name.and_then(|name| named.get(name).cloned());
                let uuid = uuid.unwrap_or_else(|| self.new_uuid());
                let place = (table.to_owned(), uuid.clone());
                self.is_changed = true;
                self.before.entry(place.clone()).or_insert(None);
                let row = self.schema.new_row(table);
                self.rows.insert(place.clone(), row);
                self.set(&place, &operation["row"], named);
                json!({"uuid": ["uuid", uuid]})
            }
            Some("update") => {
                let places = self.found(table, &operation["where"]);
                places
                    .iter()
                    .for_each(|place| self.set(place, &operation["row"], named));
                json!({"count": places.len()})
            }
            Some("mutate") => {
                let places = self.found(table, &operation["where"]);
                places
                    .iter()
                    .for_each(|place| self.mutate(place, &operation["mutations"], named));
                json!({"count": places.len()})
            }
            _ => json!({}),
        }
    }

    /// The rows of one identity, or all.
    fn found(&self, table: &str, conditions: &Json) -> Vec<Place> {
        let wanted = conditions[0][2][1].as_str();
        let places = self.places(table);
        let found = places.filter(|(_, uuid)| wanted.is_none_or(|wanted| wanted == uuid));
        found.cloned().collect()
    }

    fn places(&self, table: &str) -> impl Iterator<Item = &Place> {
        let first = (table.to_owned(), String::new());
        self.rows
            .range(first..)
            .map(|(place, _)| place)
            .take_while({
                let table = table.to_owned();
                move |place| place.0 == table
            })
    }

    /// Whether it has changed since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    fn change(&mut self, place: &Place) -> Option<&mut Row> {
        self.is_changed = true;
        let row = self.rows.get_mut(place);
        let before = self.before.entry(place.clone());
        before.or_insert_with(|| row.as_deref().cloned());
        row
    }

    fn set(&mut self, place: &Place, columns: &Json, named: &HashMap<String, String>) {
        let Some(row) = self.change(place) else {
            return;
        };
        for (name, value) in columns.as_object().into_iter().flatten() {
            row.insert(name.clone(), Value::read(value, named));
        }
    }

    fn mutate(&mut self, place: &Place, mutations: &Json, named: &HashMap<String, String>) {
        let Some(row) = self.change(place) else {
            return;
        };
        for mutation in mutations.as_array().into_iter().flatten() {
            let column = mutation[0].as_str().and_then(|name| row.get_mut(name));
            let (Some(column), operand) = (column, Value::read(&mutation[2], named)) else {
                continue;
            };
            if mutation[1] == "insert" {
                column.insert(operand);
            } else {
                column.delete(&operand);
            }
        }
    }

    /// Rows that no other row names go, but those of root tables.
    fn drop_unnamed(&mut self) {
        loop {
            let values = self.rows.values().flat_map(BTreeMap::values);
            let named: BTreeSet<&str> = values.flat_map(Value::references).collect();
            let gone: Vec<Place> = self
                .rows
                .keys()
                .filter(|(table, uuid)| {
                    !self.schema.tables[table].is_root && !named.contains(uuid.as_str())
                })
                .cloned()
                .collect();
            if gone.is_empty() {
                return;
            }
            for place in gone {
                self.change(&place);
                self.rows.remove(&place);
            }
        }
    }

    /// What ovs-vswitchd does: a bridge has a datapath, and each interface a port number.
    fn reconfigure(&mut self) {
        let none = HashMap::new();
        let bridges: Vec<Place> = self.places("Bridge").cloned().collect();
        for place in bridges {
            let asked = self.rows[&place]["other_config"]
                .entry("datapath-id")
                .map(str::to_owned);
            if let Some(asked) = asked {
                self.set(&place, &json!({"datapath_id": asked}), &none);
            }
        }
        let interfaces: Vec<Place> = self.places("Interface").cloned().collect();
        for place in interfaces {
            if self.rows[&place]["ofport"] != Value::Set(vec![]) {
                continue;
            }
            let local = self.rows[&place]["name"] == Value::Set(vec![json!(BRIDGE)]);
            let ofport = if local {
                65534
            } else {
                self.ports_made += 1;
                self.ports_made
            };
            self.set(&place, &json!({"ofport": ofport}), &none);
        }
    }

    /// What `ovs-vsctl set-manager` does.
    pub(super) fn set_managers(&mut self, addresses: &[SocketAddr]) {
        let inserts = addresses.iter().enumerate().map(|(number, address)| {
            let row = json!({"target": format!("tcp:{address}")});
            let name = format!("manager{number}");
            json!({"op": "insert", "table": "Manager", "uuid-name": name, "row": row})
        });
        let mut operations: Vec<Json> = inserts.collect();
        let names = (0..addresses.len()).map(|n| json!(["named-uuid", format!("manager{n}")]));
        let managers = json!(["set", names.collect::<Vec<_>>()]);
        operations.push(
            json!({"op": "update", "table": NAME, "where": [], "row": {"manager_options": managers}}),
        );
        self.transact(&operations);
    }

    /// Where the database's server connects to, and the silence that is set for each.
    pub(super) fn managers(&self) -> Vec<(SocketAddr, Duration)> {
        self.targets("Manager")
    }

    /// The same of the integration bridge's switch. All controllers are of that bridge.
    pub(super) fn controllers(&self) -> Vec<(SocketAddr, Duration)> {
        self.targets("Controller")
    }

    fn targets(&self, table: &str) -> Vec<(SocketAddr, Duration)> {
        let rows = self.places(table).map(|place| &self.rows[place]);
        let targets = rows.filter_map(|row| {
            let target = only(&row["target"])?.as_str()?;
            let probe = only(&row["inactivity_probe"]).and_then(Json::as_u64);
            Some((
                address(target)?,
                probe.map_or(USUAL_PROBE, Duration::from_millis),
            ))
        });
        targets.collect()
    }

    /// The datapath id of the integration bridge, once it has a controller.
    pub(super) fn controlled(&self) -> Option<u64> {
        let place = self.bridge()?;
        let bridge = &self.rows[place];
        bridge["controller"].references().next()?;
        let Value::Set(id) = &bridge["datapath_id"] else {
            return None;
        };
        u64::from_str_radix(id.first()?.as_str()?, 16).ok()
    }

    fn bridge(&self) -> Option<&Place> {
        let name = Value::Set(vec![json!(BRIDGE)]);
        self.places("Bridge")
            .find(|place| self.rows[*place]["name"] == name)
    }

    /// Plugs guests' ports in, once there is a bridge.
    pub(super) fn plug(&mut self, ports: &[String]) {
        let Some((_, bridge)) = self.bridge().cloned() else {
            self.waiting.extend_from_slice(ports);
            return;
        };
        let mut operations = vec![];
        for port in ports {
            let name = format!("tap{}", &port[..11.min(port.len())]);
            let ids = json!(["map", [["iface-id", port]]]);
            let interface = json!({"name": name, "external_ids": ids});
            let row = json!({"name": name, "interfaces": ["named-uuid", "interface"]});
            let bridge = json!([["_uuid", "==", ["uuid", bridge]]]);
            let ports = json!([["ports", "insert", ["named-uuid", "port"]]]);
            operations.push([
                json!({"op": "insert", "table": "Interface", "uuid-name": "interface", "row": interface}),
                json!({"op": "insert", "table": "Port", "uuid-name": "port", "row": row}),
                json!({"op": "mutate", "table": "Bridge", "where": bridge, "mutations": ports}),
            ]);
        }
        operations
            .iter()
            .for_each(|operations| drop(self.transact(operations)));
    }

    /// Takes a guest's port away.
    pub(super) fn unplug(&mut self, port: &str) {
        let name = Value::Set(vec![json!(format!("tap{}", &port[..11.min(port.len())]))]);
        let found = self
            .places("Port")
            .find(|place| self.rows[*place]["name"] == name);
        let Some((_, uuid)) = found.cloned() else {
            return;
        };
        let ports = json!([["ports", "delete", ["uuid", uuid]]]);
        self.transact(&[
            json!({"op": "mutate", "table": "Bridge", "where": [], "mutations": ports}),
        ]);
    }

    /// All that is monitored, as the answer to `monitor_cond_since` has it (ovsdb-server(7), 4.1.15).
    pub(super) fn contents(&self, monitored: &Monitored) -> Json {
        let mut tables = Map::new();
        for ((table, uuid), row) in &self.rows {
            let Some(columns) = columns(monitored, table) else {
                continue;
            };
            let shown = self.shown(table, row, columns);
            let rows = tables.entry(table.clone()).or_insert_with(|| json!({}));
            rows[uuid] = json!({ "initial": shown });
        }
        Json::Object(tables)
    }

    /// The rows that come or go by another selection, as `update3` has them (ovsdb-server(7), 4.1.13).
    pub(super) fn selection(&self, before: &Monitored, after: &Monitored) -> Json {
        let mut tables = Map::new();
        for ((table, uuid), row) in &self.rows {
            let said = match (columns(before, table), columns(after, table)) {
                (None, Some(columns)) => json!({"insert": self.shown(table, row, columns)}),
                (Some(_), None) => json!({ "delete": null }),
                (None, None) | (Some(_), Some(_)) => continue,
            };
            let rows = tables.entry(table.clone()).or_insert_with(|| json!({}));
            rows[uuid] = said;
        }
        Json::Object(tables)
    }

    /// Columns, but those that have what they have in a new row.
    fn shown(&self, table: &str, row: &Row, columns: &[String]) -> Json {
        let schema = &self.schema.tables[table].columns;
        let shown = columns
            .iter()
            .filter(|name| row[*name] != schema[*name].default);
        let shown = shown.map(|name| (name.clone(), row[name].write()));
        Json::Object(shown.collect())
    }

    /// What has changed since the last call.
    pub(super) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.before)
    }

    /// The same as `update3` has it; `None` if nothing changed that is monitored.
    pub(super) fn update(&self, changes: &Changes, monitored: &Monitored) -> Option<Json> {
        let mut tables = Map::new();
        for ((table, uuid), old) in changes {
            let Some(columns) = columns(monitored, table) else {
                continue;
            };
            let new = self.rows.get(&(table.clone(), uuid.clone()));
            let said = match (old, new) {
                (None, Some(new)) => json!({"insert": self.shown(table, new, columns)}),
                (Some(_), None) => json!({ "delete": null }),
                (Some(old), Some(new)) => match self.differences(table, old, new, columns) {
                    changes if changes.is_empty() => continue,
                    changes => json!({ "modify": changes }),
                },
                (None, None) => continue,
            };
            let rows = tables.entry(table.clone()).or_insert_with(|| json!({}));
            rows[uuid] = said;
        }
        (!tables.is_empty()).then_some(Json::Object(tables))
    }

    fn differences(
        &self,
        table: &str,
        old: &Row,
        new: &Row,
        columns: &[String],
    ) -> Map<String, Json> {
        let schema = &self.schema.tables[table].columns;
        let changed = columns.iter().filter(|name| old[*name] != new[*name]);
        let differences = changed.map(|name| {
            let difference = new[name].difference(&old[name], schema[name].single);
            (name.clone(), difference)
        });
        differences.collect()
    }
}

/// The columns of a table of which rows are monitored.
fn columns<'a>(monitored: &'a Monitored, table: &str) -> Option<&'a [String]> {
    let table = monitored.get(table).filter(|table| table.has_rows)?;
    Some(&table.columns)
}

/// The value of a column that has one.
fn only(value: &Value) -> Option<&Json> {
    match value {
        Value::Set(set) => set.first(),
        Value::Map(_) => None,
    }
}

/// Where a target leads, with or without brackets.
fn address(target: &str) -> Option<SocketAddr> {
    let (host, port) = target.strip_prefix("tcp:")?.rsplit_once(':')?;
    let host: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    Some((host, port.parse().ok()?).into())
}
