//! Clouds that are copied from one store to another, by the command.

use crate::etcd::{Member, settings};
use crate::world::{Folder, everything, put};
use serde_json::{Value, json};
use sextant_controller::store::{EMBEDDED_FILE, Embedded, Etcd, Store};
use sextant_model::{Change, ChassisId, MacAddr, NetworkId, Object, ObjectKey, Outside, PortId};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

/// Where the three kinds of stores are, and the configuration that says so.
struct Stores {
    folder: Folder,
    member: Member,
}

impl Stores {
    fn new(name: &str) -> Self {
        let stores = Self {
            folder: Folder::new(name),
            member: Member::alone(),
        };
        let text = format!(
            "data_dir = '{}'\n[store]\nkind = 'etcd'\nendpoints = ['{}']\nprefix = '/cloud/'\n",
            stores.folder.0.join("data").display(),
            stores.member.url()
        );
        std::fs::write(stores.folder.0.join("sextant.toml"), text).unwrap();
        stores
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    fn embedded(&self) -> PathBuf {
        self.file("data").join(EMBEDDED_FILE)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut sextant = Command::new(env!("CARGO_BIN_EXE_sextant"));
        sextant.args(["--json", "store"]).args(arguments);
        sextant.arg("--config").arg(self.file("sextant.toml"));
        sextant.current_dir(&self.folder.0).output().unwrap()
    }

    /// What a command prints that does what it should.
    fn done(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The complaint of a command that refuses.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    async fn open_etcd(&self) -> Etcd {
        Etcd::open(&settings([self.member.url()])).await.unwrap()
    }
}

/// A few objects of several kinds, and many small ones.
fn cloud() -> Vec<Change> {
    let chassis = ChassisId::new("h\u{e9} 1");
    let outside = Outside {
        default_router: Some("fe80::1".parse().unwrap()),
        neighbors: [("192.0.2.1".parse().unwrap(), MacAddr([2, 0, 0, 0, 0, 1]))].into(),
    };
    let mut changes: Vec<Change> = (0..1234).map(put).collect();
    changes.push(Change::Put(Object::Outside(
        chassis.clone(),
        NetworkId::MIN,
        Arc::new(outside),
    )));
    changes.push(Change::Put(Object::Location(PortId::MIN, chassis)));
    changes
}

async fn sorted(store: &dyn Store) -> Vec<Change> {
    let mut changes = everything(store).await.changes;
    changes.sort_by_key(Change::key);
    changes
}

#[tokio::test]
async fn a_cloud_goes_round_and_comes_back_the_same() {
    let stores = Stores::new("round");
    std::fs::create_dir(stores.file("data")).unwrap();
    let store = Embedded::open(&stores.embedded()).unwrap();
    store.commit(cloud(), vec![]).await.unwrap();
    let before = sorted(&store).await;
    drop(store);

    for (from, to) in [("embedded", "etcd"), ("etcd", "one.backup")] {
        let said = stores.done(&["copy", "--from", from, "--to", to]);
        assert_eq!(said, json!({"from": from, "to": to, "objects": 1236}));
    }
    let etcd = stores.open_etcd().await;
    assert_eq!(sorted(&etcd).await, before);
    // The copy is a store like any other.
    etcd.commit(vec![put(5000)], vec![]).await.unwrap();
    std::fs::rename(stores.file("data"), stores.file("old")).unwrap();
    stores.done(&["copy", "--from", "one.backup", "--to", "embedded"]);
    let store = Embedded::open(&stores.embedded()).unwrap();
    assert_eq!(sorted(&store).await, before);
    drop(store);

    for at in ["embedded", "one.backup"] {
        let said = stores.done(&["check", at]);
        let objects = json!({"Claim": 1234, "Location": 1, "Outside": 1});
        assert_eq!(said, json!({"at": at, "objects": objects}));
    }
    let said = stores.done(&["check", "etcd"]);
    assert_eq!(said["objects"]["Claim"], 1235);
}

#[tokio::test]
async fn nothing_is_copied_over_a_cloud_or_from_nowhere() {
    let stores = Stores::new("over");
    for from in ["embedded", "etcd", "missing.backup"] {
        let complaint = stores.refused(&["copy", "--from", from, "--to", "new.backup"]);
        assert!(!complaint.is_empty());
        stores.refused(&["check", from]);
    }
    assert!(!stores.file("new.backup").exists());
    assert!(!stores.embedded().exists(), "a check makes nothing");

    let etcd = stores.open_etcd().await;
    etcd.commit(vec![put(1)], vec![]).await.unwrap();
    for to in ["one.backup", "embedded"] {
        stores.done(&["copy", "--from", "etcd", "--to", to]);
        let complaint = stores.refused(&["copy", "--from", "etcd", "--to", to]);
        assert!(complaint.contains("exists"), "{complaint}");
    }
    let complaint = stores.refused(&["copy", "--from", "one.backup", "--to", "etcd"]);
    assert!(complaint.contains("/cloud/"), "{complaint}");
    assert_eq!(everything(&etcd).await.changes, [put(1)]);
}

#[tokio::test]
async fn a_copy_into_etcd_that_was_interrupted_is_no_store() {
    let stores = Stores::new("interrupted");
    let mut client = etcd_client::Client::connect([stores.member.url()], None)
        .await
        .unwrap();
    let key = serde_json::to_string(&put(1).key()).unwrap();
    client
        .put(format!("/cloud/objects/{key}"), "{}", None)
        .await
        .unwrap();
    let complaint = stores.refused(&["check", "etcd"]);
    assert!(complaint.contains("no key names a format"), "{complaint}");
    assert!(Etcd::open(&settings([stores.member.url()])).await.is_err());
}

#[tokio::test]
async fn no_damage_of_a_backup_passes() {
    let stores = Stores::new("damaged");
    let etcd = stores.open_etcd().await;
    let objects = vec![
        put(1),
        put(2),
        Change::Put(Object::Location(PortId::MIN, ChassisId::new("h1"))),
    ];
    etcd.commit(objects, vec![]).await.unwrap();
    stores.done(&["copy", "--from", "etcd", "--to", "whole"]);
    let whole = std::fs::read(stores.file("whole")).unwrap();
    let read = |octets: &[u8]| {
        std::fs::write(stores.file("damaged"), octets).unwrap();
        sextant_controller::store::backup::read(&stores.file("damaged"))
    };
    assert_eq!(read(&whole).unwrap().len(), 3);
    for place in 0..whole.len() {
        let mut octets = whole.clone();
        octets[place] ^= 0x5a;
        assert!(read(&octets).is_err(), "octet {place}");
        assert!(read(&whole[..place]).is_err(), "{place} octets");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_found() {
    let stores = Stores::new("unreadable");
    let etcd = stores.open_etcd().await;
    etcd.commit(vec![put(1)], vec![]).await.unwrap();
    stores.done(&["check", "etcd"]);
    let key = serde_json::to_string(&sextant_model::Key::from(ObjectKey::ServerIdentity)).unwrap();
    let key = format!("/cloud/objects/{key}");
    let mut client = etcd_client::Client::connect([stores.member.url()], None)
        .await
        .unwrap();
    client.put(key, "{\"Location\":1}", None).await.unwrap();
    let complaint = stores.refused(&["check", "etcd"]);
    assert!(complaint.contains("ServerIdentity"), "{complaint}");
}
