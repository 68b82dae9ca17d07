//! The flows of a switch that is played, as octets: decoding each would cost more than the controller that is measured.

use bytes::{BufMut, Bytes, BytesMut};
use rust_openflow::{ALL_TABLES, BUNDLE_ADD_OVERHEAD, Cookie, ONF, TableId, Xid};
use std::collections::HashMap;
use std::ops::Range;

/// Octets of a reply's flows after which another reply follows; Open vSwitch cuts them at 64 KiB.
const PART: usize = 60_000;

const VERSION: u8 = 4;
const EXPERIMENTER: u8 = 4;
const FLOW_MOD: u8 = 14;
const MULTIPART_REPLY: u8 = 19;
const ONF_BUNDLE_ADD: u32 = 2301;
const OFPMP_FLOW: u16 = 1;
const OFPMPF_REPLY_MORE: u16 = 1;

/// Where the fields of a flow-mod are in its message (`struct ofp_flow_mod`).
const COOKIE: usize = 8;
const TABLE: usize = 24;
const COMMAND: usize = 25;
const TIMEOUTS: Range<usize> = 26..30;
const PRIORITY: Range<usize> = 30..32;
const FLAGS: Range<usize> = 44..46;
const MATCH: usize = 48;
/// From here on it is an `OFPFC_DELETE`.
const DELETE: u8 = 3;
/// Octets of `struct ofp_flow_stats` before the match.
const STATS: usize = 48;

/// A flow-mod in a bundle.
#[derive(Clone, Debug)]
pub(super) struct BundledFlow {
    pub(super) xid: Xid,
    flow_mod: Bytes,
}

impl BundledFlow {
    /// The flow-mod that a message adds to a bundle, if that is what the message does.
    pub(super) fn of(frame: &Bytes) -> Option<Self> {
        let is_add = frame.len() > BUNDLE_ADD_OVERHEAD + MATCH
            && frame[1] == EXPERIMENTER
            && number(frame, 8) == ONF
            && number(frame, 12) == ONF_BUNDLE_ADD
            && frame[BUNDLE_ADD_OVERHEAD + 1] == FLOW_MOD;
        is_add.then(|| Self {
            xid: Xid(number(frame, 4)),
            flow_mod: frame.slice(BUNDLE_ADD_OVERHEAD..),
        })
    }
}

/// What a switch keeps of flows.
#[derive(Debug, Default)]
pub(super) struct FlowTable {
    /// The messages that installed them.
    flows: HashMap<(TableId, Cookie), Box<[u8]>>,
}

impl FlowTable {
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// Adds or deletes a flow.
    pub(super) fn change(&mut self, change: &BundledFlow) {
        let message = &change.flow_mod;
        let cookie =
            u64::from(number(message, COOKIE)) << 32 | u64::from(number(message, COOKIE + 4));
        let place = (TableId(message[TABLE]), Cookie(cookie));
        if message[COMMAND] >= DELETE {
            self.flows.remove(&place);
        } else {
            self.flows.insert(place, message[..].into());
        }
    }

    /// The replies that tell of the flows of a table, or of all.
    pub(super) fn tell(&self, xid: Xid, wanted: TableId, outgoing: &mut BytesMut) {
        let mut part = BytesMut::new();
        for ((table, _), message) in &self.flows {
            if wanted != ALL_TABLES && wanted != *table {
                continue;
            }
            if part.len() + message.len() > PART {
                put_part(xid, true, &part, outgoing);
                part.clear();
            }
            put_stats(message, &mut part);
        }
        put_part(xid, false, &part, outgoing);
    }
}

fn number(message: &[u8], at: usize) -> u32 {
    let mut octets = [0; 4];
    octets.copy_from_slice(&message[at..at + 4]);
    u32::from_be_bytes(octets)
}

fn put_part(xid: Xid, more: bool, flows: &[u8], outgoing: &mut BytesMut) {
    outgoing.put_u8(VERSION);
    outgoing.put_u8(MULTIPART_REPLY);
    outgoing.put_u16(u16::try_from(16 + flows.len()).unwrap_or(u16::MAX));
    outgoing.put_u32(xid.0);
    outgoing.put_u16(OFPMP_FLOW);
    outgoing.put_u16(if more { OFPMPF_REPLY_MORE } else { 0 });
    outgoing.put_u32(0);
    outgoing.put_slice(flows);
}

/// A flow as a switch tells of it (`struct ofp_flow_stats`): match and instructions are as they came.
fn put_stats(flow_mod: &[u8], part: &mut BytesMut) {
    let content = &flow_mod[MATCH..];
    part.put_u16(u16::try_from(STATS + content.len()).unwrap_or(u16::MAX));
    part.put_u8(flow_mod[TABLE]);
    part.put_u8(0);
    part.put_u64(1 << 32);
    part.put_slice(&flow_mod[PRIORITY]);
    part.put_slice(&flow_mod[TIMEOUTS]);
    part.put_slice(&flow_mod[FLAGS]);
    part.put_u32(0);
    part.put_slice(&flow_mod[COOKIE..COOKIE + 8]);
    part.put_u128(0);
    part.put_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_openflow::{
        Action, Bundle, Field, FlowMod, Instruction, Match, Message, MultipartBody,
    };

    fn frames(flow_mods: Vec<FlowMod>) -> Vec<Bytes> {
        let mut bundle = Bundle::new(1, flow_mods);
        bundle.start(1);
        let next = || {
            let mut output = BytesMut::new();
            bundle
                .encode_next(&mut output)
                .unwrap()
                .then(|| output.freeze())
        };
        std::iter::from_fn(next).collect()
    }

    fn told(table: &FlowTable, wanted: TableId) -> Vec<FlowMod> {
        let mut outgoing = BytesMut::new();
        table.tell(Xid(7), wanted, &mut outgoing);
        let (xid, message) = Message::decode(&outgoing.freeze()).unwrap();
        assert_eq!(xid, Xid(7));
        let Message::MultipartReply(reply) = message else {
            panic!("{message:?}")
        };
        let MultipartBody::Flow(flows) = reply.body else {
            panic!("{reply:?}")
        };
        let as_sent = flows.into_iter().map(|flow| FlowMod {
            cookie: flow.cookie,
            ..FlowMod::add(flow.table, flow.priority, flow.matches, flow.instructions)
        });
        as_sent.collect()
    }

    #[test]
    fn flows_are_told_as_they_were_added_until_they_are_deleted() {
        let matches = Match::new().with(Field::IN_PORT, 3u16);
        let output = vec![Instruction::Apply(vec![Action::output(2)])];
        let flow = FlowMod::add(5, 9, matches, output).with_cookie(77);
        let delete = FlowMod::delete_by_cookie(5, 77);
        let mut table = FlowTable::default();
        let frames = frames(vec![flow.clone(), delete]);
        let changes: Vec<BundledFlow> = frames.iter().filter_map(BundledFlow::of).collect();
        assert_eq!(changes.len(), 2);
        table.change(&changes[0]);
        assert_eq!(told(&table, ALL_TABLES), [flow]);
        assert_eq!(told(&table, TableId(4)), []);
        table.change(&changes[1]);
        assert_eq!((table.len(), told(&table, ALL_TABLES)), (0, vec![]));
    }
}
