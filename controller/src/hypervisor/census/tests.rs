use super::*;
use proptest::prelude::*;
use sextant_ovsdb_client::monitor::{RowUpdate, Update};
use sextant_ovsdb_client::{Row, Value};

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn port_id(n: u128) -> PortId {
    PortId(uuid(n))
}

fn change(table: &str, n: u128, old: Option<Row>, new: Option<Row>) -> RowChange {
    RowChange::new(table, uuid(n), old, new)
}

fn interface(carries: u128, ofport: Option<i64>) -> Row {
    let id = uuid(carries).to_string();
    let row = Row::new().with("external_ids", Value::map([("iface-id", id.as_str())]));
    row.with("ofport", Value::set(ofport))
}

fn port(interface: u128) -> Row {
    port_of([interface])
}

fn port_of(interfaces: impl IntoIterator<Item = u128>) -> Row {
    Row::new()
        .with("interfaces", Value::set(interfaces.into_iter().map(uuid)))
        .with("external_ids", Value::map::<&str, &str>([]))
}

fn bridge(ports: &[u128]) -> Row {
    let ports: Vec<Uuid> = ports.iter().copied().map(uuid).collect();
    let row = Bridge::COLUMNS
        .iter()
        .fold(Row::new(), |row, (column, _)| row.with(*column, "x"));
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
    let owned = || Row::new().with("external_ids", Value::map([crate::hypervisor::OWNED]));
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

/// An interface: what it carries, its OpenFlow port, and the port that it is on; none if there is no such interface.
type Interface = Option<(u128, Option<i64>, u128)>;

/// What a hypervisor may have: interfaces, and which ports are on `br-int`.
#[derive(Clone, Debug)]
struct Shape {
    interfaces: [Interface; 4],
    bridged: [bool; 3],
}

fn shape() -> impl Strategy<Value = Shape> {
    let interface = (0..3_u128, prop::option::of(1..9_i64), 0..3_u128);
    let interfaces = prop::array::uniform4(prop::option::of(interface));
    let shape = (interfaces, any::<[bool; 3]>());
    shape.prop_map(|(interfaces, bridged)| Shape {
        interfaces,
        bridged,
    })
}

/// The updates that lead there.
fn updates(shape: &Shape, replica: &Replica) -> Vec<RowUpdate> {
    let update = |table: &str, n: u128, row: Option<Row>| {
        let there = replica.row(table, uuid(n)).is_some();
        let change = row
            .map(Update::Contents)
            .or(there.then_some(Update::Deleted));
        change.map(|change| RowUpdate {
            table: table.into(),
            uuid: uuid(n),
            change,
        })
    };
    let row = |(carries, ofport, _)| interface(carries, ofport);
    let interfaces = (20..).zip(&shape.interfaces);
    let on = |port: u128| {
        let on = move |interface: &Interface| interface.is_some_and(|(_, _, on)| on == port);
        let numbered = (20..).zip(&shape.interfaces);
        numbered.filter_map(move |(n, interface)| on(interface).then_some(n))
    };
    let ports: Vec<u128> = (0..3).filter(|port| on(*port).next().is_some()).collect();
    let bridged: Vec<u128> = ports
        .iter()
        .filter(|port| shape.bridged[**port as usize])
        .map(|port| port + 10)
        .collect();
    interfaces
        .filter_map(|(n, interface)| update("Interface", n, interface.map(row)))
        .chain((0..3).filter_map(|port| {
            let there = ports.contains(&port);
            update("Port", port + 10, there.then(|| port_of(on(port))))
        }))
        .chain(update("Bridge", 5, Some(bridge(&bridged))))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_followed_is_what_would_be_read(
        shapes in prop::collection::vec((shape(), any::<prop::sample::Index>()), 2..12),
    ) {
        let mut replica = Replica::default();
        let mut census = None::<Census>;
        for (shape, first) in shapes {
            let mut updates = updates(&shape, &replica);
            let first = first.index(updates.len());
            updates.rotate_left(first);
            let changes = replica.apply(updates).unwrap();
            let read = Census::read(&replica);
            if let Some(census) = &mut census {
                let before = census.clone();
                let touched = census.follow(&changes).unwrap();
                prop_assert_eq!(&*census, &read);
                for port in (0..3).map(port_id) {
                    prop_assert!(
                        touched.contains(&port) || before.plugged(port) == read.plugged(port)
                    );
                }
            }
            census = Some(read);
        }
    }
}
