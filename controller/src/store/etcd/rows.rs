//! Reads everything that is stored, at one revision.

use super::call::{CallError, timely};
use super::endpoints::Reached;
use super::layout::{Layout, end_of};
use etcd_client::{GetOptions, KeyValue};

/// How many rows are read at once. A port is about two kilobytes.
const PAGE: i64 = 1000;

/// The size of a message that is accepted from etcd, which bounds what it stores. Go's client has the same.
pub(super) const LARGEST: usize = i32::MAX as usize;

/// Everything at one revision.
pub(super) struct Listing {
    pub(super) revision: i64,
    pub(super) rows: Vec<KeyValue>,
}

/// Reads everything, as the cluster's majority knows it.
pub(super) async fn list(reached: &Reached, layout: &Layout) -> Result<Listing, CallError> {
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
            Some(_) | None => return Ok(Listing { revision, rows }),
        }
    }
}
