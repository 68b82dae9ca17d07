//! A file that an older version wrote is opened by this one, whole, and by the older one no more.
//!
//! `stored/format-1.redb` was written by Sextant at commit 3bc851d, driven through its API: a network with subnets of
//! three modes, a pool, guests' ports (one of them plugged in on a hypervisor, one without port security), and a router
//! with two interfaces.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use sextant_controller::store::{Embedded, FORMAT, Revision, Store};
use sextant_model::{Change, Intent, Object};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// A copy of the file, gone with its test.
struct OldFile(PathBuf);

impl OldFile {
    fn copy(name: &str) -> Self {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored/format-1.redb");
        let name = format!("sextant-{name}-{}.redb", std::process::id());
        let copy = std::env::temp_dir().join(name);
        std::fs::copy(original, &copy).unwrap();
        Self(copy)
    }

    /// Format, revision and rows, read without the store.
    fn raw(&self) -> (u64, u64, BTreeMap<String, serde_json::Value>) {
        let database = Database::create(&self.0).unwrap();
        let transaction = database.begin_read().unwrap();
        let numbers = transaction.open_table(NUMBERS).unwrap();
        let number = |name| numbers.get(name).unwrap().unwrap().value();
        let rows = transaction.open_table(OBJECTS).unwrap();
        let rows = rows.iter().unwrap().map(|row| {
            let (key, value) = row.unwrap();
            let key = String::from_utf8(key.value().to_vec()).unwrap();
            (key, serde_json::from_slice(value.value()).unwrap())
        });
        (number("format"), number("revision"), rows.collect())
    }
}

impl Drop for OldFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_file_of_format_1_is_read_whole_and_becomes_one_of_this_format() {
    let file = OldFile::copy("format-1");
    let (format, revision, rows) = file.raw();
    assert_eq!(format, 1);
    let store = Embedded::open(&file.0).unwrap();
    let stored = store.watch().await.unwrap().next().await.unwrap();
    assert_eq!(stored.revision, Revision(revision));
    assert_eq!(stored.changes.len(), rows.len());

    let mut intent = Intent::default();
    stored
        .changes
        .iter()
        .for_each(|change| intent.apply(change));
    let names: Vec<&str> = intent
        .subnets
        .values()
        .map(|subnet| subnet.meta.name.as_str())
        .collect();
    for name in ["slaac", "stateful", "four"] {
        assert!(names.contains(&name), "{name} is among {names:?}");
    }
    let [one, open] = ["one", "open"].map(|name| {
        let mut ports = intent.ports.values();
        ports.find(|port| port.meta.name == name).unwrap()
    });
    assert_eq!(one.fixed_ips.len(), 3);
    assert_eq!(one.meta.tags.len(), 2);
    assert!(!open.port_security_enabled);
    let router = intent.routers.values().next().unwrap();
    assert_eq!(intent.interfaces_of(router.id).count(), 2);
    let is_location = |change: &Change| matches!(change, Change::Put(Object::Location(port, host)) if *port == one.id && host.as_str() == "h1");
    assert!(stored.changes.iter().any(is_location));

    drop(store);
    let (format, same, migrated) = file.raw();
    assert_eq!((format, same), (FORMAT, revision));
    assert!(
        migrated.keys().eq(rows.keys()),
        "nothing is lost or invented"
    );
}

#[tokio::test]
async fn what_was_brought_to_this_format_is_opened_again_and_written_to() {
    let file = OldFile::copy("format-1-again");
    let mut before = None;
    for _ in 0..2 {
        let store = Embedded::open(&file.0).unwrap();
        let stored = store.watch().await.unwrap().next().await.unwrap();
        let again = stored.changes.last().unwrap().clone();
        let expected = before.map_or(stored.revision, |before: Revision| Revision(before.0 + 1));
        assert_eq!(stored.revision, expected);
        store.commit(vec![again], vec![]).await.unwrap();
        before = Some(stored.revision);
    }
}
