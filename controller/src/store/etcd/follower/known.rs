//! Which keys were published, at which revisions: what a difference is taken from.

use crate::store::etcd::layout::{EtcdKey, Layout, decode, decode_key};
use etcd_client::KeyValue;
use sextant_model::Change;
use std::collections::BTreeMap;

/// The keys of objects as in etcd, without what comes before them, and the revisions of their last changes.
#[derive(Debug, Default)]
pub(super) struct KnownRows(BTreeMap<Box<[u8]>, i64>);

impl KnownRows {
    /// What leads from the known to these rows. Nothing changes if one of them cannot be read.
    pub(super) fn replace(
        &mut self,
        layout: &Layout,
        rows: &[KeyValue],
    ) -> Result<Vec<Change>, String> {
        let mut now = BTreeMap::new();
        let mut changes = Vec::new();
        for row in rows {
            let EtcdKey::Object(key) = layout.place(row.key()) else {
                continue;
            };
            if self.0.get(key) != Some(&row.mod_revision()) {
                changes.push(decode(key, row.value())?);
            }
            now.insert(Box::from(key), row.mod_revision());
        }
        for key in self.0.keys().filter(|key| !now.contains_key(*key)) {
            changes.push(Change::Delete(decode_key(key)?));
        }
        self.0 = now;
        Ok(changes)
    }

    /// Takes in that a key has this value.
    pub(super) fn put(&mut self, key: &[u8], row: &KeyValue) -> Result<Change, String> {
        let change = decode(key, row.value())?;
        self.0.insert(Box::from(key), row.mod_revision());
        Ok(change)
    }

    /// Takes in that a key is gone.
    pub(super) fn delete(&mut self, key: &[u8]) -> Result<Change, String> {
        let change = Change::Delete(decode_key(key)?);
        self.0.remove(key);
        Ok(change)
    }
}
