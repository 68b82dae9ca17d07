//! Reads everything that is stored, at one revision.

use super::call::{CallError, timely};
use super::endpoints::Reached;
use super::layout::{Layout, end_of};
use etcd_client::{GetOptions, KeyValue, SortOrder, SortTarget};

/// How many rows are read at once. A port is about two kilobytes.
const PAGE: i64 = 1000;

/// The size of a message that is accepted from etcd, which bounds what it stores. Go's client has the same.
pub(super) const LARGEST: usize = i32::MAX as usize;

/// Everything at one revision.
pub(super) struct ListedRows {
    pub(super) revision: i64,
    /// The revision of the last commit that left a trace.
    pub(super) last_commit: i64,
    pub(super) rows: Vec<KeyValue>,
}

/// Reads everything, as the cluster's majority knows it.
pub(super) async fn list(reached: &Reached, layout: &Layout) -> Result<ListedRows, CallError> {
    let mut kv = reached
        .client
        .kv_client()
        .max_decoding_message_size(LARGEST);
    let format = timely(kv.get(layout.format(), None)).await?;
    layout.check_format(&format)?;
    let revision = format.header().map_or(0, |header| header.revision());
    let mut rows: Vec<KeyValue> = Vec::new();
    let end = end_of(&layout.objects());
    let mut from = layout.objects().into_bytes();
    loop {
        let page = GetOptions::new().with_range(end.clone());
        let page = page.with_limit(PAGE).with_revision(revision);
        let mut page = timely(kv.get(from, Some(page))).await?;
        rows.append(&mut page.take_kvs());
        match rows.last() {
            Some(last) if page.more() => from = [last.key(), b"\0"].concat(),
            Some(_) | None => break,
        }
    }
    let receipt = last_receipt(reached, layout, revision).await?;
    let changed = rows.iter().map(KeyValue::mod_revision).max();
    Ok(ListedRows {
        revision,
        last_commit: receipt.max(changed.unwrap_or(0)),
        rows,
    })
}

/// When a receipt was written last, 0 without any. A commit that only deletes leaves nothing else.
async fn last_receipt(reached: &Reached, layout: &Layout, revision: i64) -> Result<i64, CallError> {
    let last = GetOptions::new().with_prefix().with_revision(revision);
    let last = last.with_sort(SortTarget::Mod, SortOrder::Descend);
    let last = last.with_limit(1).with_keys_only();
    let mut kv = reached.client.kv_client();
    let found = timely(kv.get(layout.receipts(), Some(last))).await?;
    Ok(found.kvs().first().map_or(0, KeyValue::mod_revision))
}
