//! What the tests of all stores say: small changes, and what a store has.

use sextant_controller::store::{Committed, Store};
use sextant_model::{Change, Claim, Key, Mark, NetworkId, NetworkKey, Object};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a store is kept. It outlives the store.
pub(crate) trait Place {
    /// Opens the store, which nobody has open.
    async fn open(&self) -> Arc<dyn Store>;
}

/// A folder that is gone with its test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("sextant-store-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("store")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn number(n: u32) -> Key {
    Key::Claim(Claim::NetworkKey(NetworkKey(n)))
}

pub(crate) fn mark() -> Key {
    Key::Mark(Mark::PortsOf(NetworkId::MIN))
}

pub(crate) fn put(n: u32) -> Change {
    Change::Put(Object::Claim(number(n)))
}

pub(crate) async fn everything(store: &dyn Store) -> Committed {
    store.watch().await.unwrap().next().await.unwrap()
}

pub(crate) fn keys(committed: &Committed) -> BTreeSet<Key> {
    committed.changes.iter().map(Change::key).collect()
}

/// What these changes lead to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Known(pub(crate) BTreeMap<Key, String>);

impl Known {
    pub(crate) fn apply(&mut self, committed: &Committed) {
        for change in &committed.changes {
            match change {
                Change::Put(object) => self.0.insert(object.key(), format!("{object:?}")),
                Change::Delete(key) => self.0.remove(key),
            };
        }
    }
}
