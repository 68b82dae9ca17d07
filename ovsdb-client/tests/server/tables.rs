//! Rows as types, of a real Open vSwitch.

use std::collections::{BTreeMap, BTreeSet};

use sextant_ovsdb_client::monitor::RequestMismatch;
use sextant_ovsdb_client::{Error, MonitorRequest, SessionError, tables};
use uuid::Uuid;

use crate::server::{Server, in_time, synced};

tables! {
    const DECLARED;
    Bridge = "Bridge" {
        name: String,
        ports: BTreeSet<Uuid>,
        fail_mode: Option<String>,
        stp_enable: bool,
        external_ids: BTreeMap<String, String>,
    }
    Port = "Port" { name: String, interfaces: BTreeSet<Uuid> }
    Interface = "Interface" { kind = "type": String, ofport: Option<i64> }
}

tables! {
    const MISTAKEN;
    PortWithTwoTags = "Port" { tag: BTreeSet<i64>, trunks: Option<i64> }
}

#[tokio::test]
async fn what_is_declared_is_read() {
    in_time(async {
        let server = Server::open_vswitch();
        server.vsctl(&[
            "add-br",
            "br0",
            "--",
            "set",
            "bridge",
            "br0",
            "external_ids:a=b",
        ]);
        let mut connection = server.connect().await;
        connection.monitor_request(MonitorRequest::declared("Open_vSwitch", DECLARED));
        synced(&mut connection).await;
        let replica = connection.replica();
        let (_, bridge) = replica.all::<Bridge>().next().unwrap();
        assert_eq!((bridge.name(), bridge.fail_mode()), ("br0", None));
        assert!(!bridge.stp_enable());
        assert_eq!(bridge.external_ids().get("a"), Some("b"));
        let (_, port) = replica.get_all::<Port>(bridge.ports()).next().unwrap();
        assert_eq!(port.name(), "br0");
        let mut interfaces = replica.get_all::<Interface>(port.interfaces());
        let (uuid, interface) = interfaces.next().unwrap();
        assert_eq!((interface.kind(), interface.ofport()), ("internal", None));
        assert_eq!(replica.get(uuid), Some(interface));
        assert!(replica.get::<Port>(uuid).is_none());
    })
    .await;
}

#[tokio::test]
async fn a_mistaken_declaration_is_refused_before_anything_is_monitored() {
    in_time(async {
        let server = Server::open_vswitch();
        let mut connection = server.connect().await;
        connection.monitor_request(MonitorRequest::declared("Open_vSwitch", MISTAKEN));
        let error = connection.next_event().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "column trunks of table Port of database Open_vSwitch holds a set of integer, where at most one integer is wanted"
        );
        assert!(matches!(
            error,
            Error::Session(SessionError::Mismatch(RequestMismatch::WrongType { .. }))
        ));
    })
    .await;
}
