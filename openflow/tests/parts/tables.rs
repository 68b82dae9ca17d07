//! A part of a switch's answer about its tables.

use rust_openflow::multipart::TableStats;
use rust_openflow::{Message, MultipartBody, MultipartReply, TableId};

pub(crate) fn tables(more: bool, table: u8) -> Message {
    let counters = TableStats {
        table: TableId(table),
        active: 1,
        lookups: 2,
        matched: 3,
    };
    let body = MultipartBody::Table(vec![counters]);
    Message::MultipartReply(MultipartReply { more, body })
}
