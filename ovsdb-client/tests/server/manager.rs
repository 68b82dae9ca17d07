//! Serving as the manager of a server that connects by itself, as a hypervisor's does.

use sextant_ovsdb_client::{
    Condition, Connection, Event, Mutation, OperationResult, Options, Replica, Row, Transaction,
    Value, accept,
};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{Server, in_time, next, synced};

const TABLES: [(&str, &[&str]); 4] = [
    ("Open_vSwitch", &["external_ids", "bridges", "ovs_version"]),
    ("Bridge", &["name", "ports", "fail_mode", "external_ids"]),
    ("Port", &["name", "interfaces", "external_ids"]),
    (
        "Interface",
        &["name", "type", "ofport", "options", "external_ids"],
    ),
];

/// A listener and a hypervisor that was told to connect to it.
async fn joined() -> (Server, Connection<TcpStream>) {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let server = Server::open_vswitch();
    let port = listener.local_addr().unwrap().port();
    server.vsctl(&["set-manager", &format!("tcp:[::1]:{port}")]);
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = accept(stream, Options::default()).unwrap();
    connection.monitor(
        "Open_vSwitch",
        TABLES.map(|(table, columns)| (table, columns.iter().copied())),
    );
    synced(&mut connection).await;
    (server, connection)
}

/// The names of a bridge's ports, sorted.
fn ports_of<'r>(replica: &'r Replica, bridge: &str) -> Vec<&'r str> {
    let (_, bridge) = replica.find("Bridge", "name", bridge).unwrap();
    let ports = bridge.uuids("ports").unwrap();
    let rows = ports.iter().map(|port| replica.row("Port", *port).unwrap());
    let mut names: Vec<&str> = rows.map(|row| row.string("name").unwrap()).collect();
    names.sort_unstable();
    names
}

/// A bridge `br-int` with its port and interface.
fn make_bridge() -> Transaction {
    let interface = Row::new().with("name", "br-int").with("type", "internal");
    let port = Row::new()
        .with("name", "br-int")
        .with("interfaces", Value::named_uuid("interface"));
    let bridge = Row::new()
        .with("name", "br-int")
        .with("fail_mode", "secure")
        .with("protocols", Value::set(["OpenFlow13"]))
        .with("external_ids", Value::map([("owner", "test")]))
        .with("ports", Value::named_uuid("port"));
    Transaction::new("Open_vSwitch")
        .insert("Interface", Some("interface"), interface)
        .insert("Port", Some("port"), port)
        .insert("Bridge", Some("bridge"), bridge)
        .mutate(
            "Open_vSwitch",
            [],
            [Mutation::insert("bridges", Value::named_uuid("bridge"))],
        )
        .comment("a bridge")
}

#[tokio::test]
async fn what_ovs_vsctl_does_is_seen() {
    in_time(async {
        let (server, mut connection) = joined().await;
        let mut settings = connection.replica().rows("Open_vSwitch");
        assert_eq!(
            settings
                .next()
                .unwrap()
                .1
                .map("external_ids")
                .unwrap()
                .len(),
            0
        );
        drop(settings);

        server.vsctl(&["set", "open_vswitch", ".", "external_ids:system-id=h1"]);
        let change = next(&mut connection, |_, event| {
            let Event::Changed(mut changes) = event else {
                return None;
            };
            changes.pop()
        });
        let change = change.await.unwrap();
        assert!(change.touches("external_ids") && !change.touches("bridges"));
        assert_eq!(
            change.new.unwrap().map_entry("external_ids", "system-id"),
            Ok(Some("h1"))
        );

        let plug = "add-br br-int -- add-port br-int tap1 \
                    -- set Interface tap1 external_ids:iface-id=p1";
        server.vsctl(&Vec::from_iter(plug.split_whitespace()));
        let interface = next(&mut connection, |connection, _| {
            let found = connection.replica().find("Interface", "name", "tap1");
            found.map(|(_, row)| row.clone())
        });
        let interface = interface.await.unwrap();
        assert_eq!(
            interface.map_entry("external_ids", "iface-id"),
            Ok(Some("p1"))
        );
        assert_eq!(interface.optional_integer("ofport"), Ok(None));

        assert_eq!(ports_of(connection.replica(), "br-int"), ["br-int", "tap1"]);

        server.vsctl(&["del-br", "br-int"]);
        next(&mut connection, |connection, _| {
            (connection.replica().rows("Interface").count() == 0).then_some(())
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_transaction_does_is_in_the_replica_when_its_reply_comes() {
    in_time(async {
        let (server, mut connection) = joined().await;
        let request = connection.transact(make_bridge());
        let results = next(&mut connection, |_, event| {
            let Event::Reply { id, result } = event else {
                return None;
            };
            assert_eq!(id, request);
            Some(result)
        });
        let results = results.await.unwrap().unwrap();
        let OperationResult::Inserted(bridge) = results[2] else {
            panic!("{results:?}");
        };
        assert_eq!(
            results[3..],
            [OperationResult::Count(1), OperationResult::Done]
        );
        let row = connection.replica().row("Bridge", bridge).unwrap();
        assert_eq!(row.optional_string("fail_mode"), Ok(Some("secure")));
        assert_eq!(server.vsctl(&["get-fail-mode", "br-int"]), "secure\n");

        connection.transact(Transaction::new("Open_vSwitch").mutate(
            "Open_vSwitch",
            [Condition::includes("bridges", bridge)],
            [Mutation::delete("bridges", bridge)],
        ));
        next(&mut connection, |connection, _| {
            connection
                .replica()
                .row("Bridge", bridge)
                .is_none()
                .then_some(())
        })
        .await
        .unwrap();
        assert_eq!(server.vsctl(&["list-br"]), "");
    })
    .await;
}
