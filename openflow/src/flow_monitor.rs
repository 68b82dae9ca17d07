//! Flow monitors: a switch tells at once what others change of its flows (`ONFST_FLOW_MONITOR`, Open vSwitch 2.16 or later;
//! the form is that of `nx_flow_monitor_request` and `nx_flow_update_*` in `nicira-ext.h`).
//!
//! ```text
//!  request  id:32  flags:16  match_len:16  out_port:32  table:8  zeros:24  match
//!  update   length:16  event:16  reason:16  priority:16  idle:16  hard:16  match_len:16  table:8  pad:8  cookie:64  match
//!  own      length:16  event:16  xid:32
//! ```
//!
//! Changes over the monitor's own connection come abbreviated, as the xid of the message that made them. While the switch has
//! more to tell than the connection takes, it tells of them in full, too.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::fields::ONF;
use crate::flow_mod::ALL_TABLES;
use crate::matches::Match;
use crate::multipart::{MultipartBody, MultipartReply, MultipartRequest};
use crate::numbers::{Cookie, TableId, Xid};
use crate::ports;
use crate::wire::{Reader, set_length};

/// `OFPMP_EXPERIMENTER`
const EXPERIMENTER: u16 = 0xffff;
const FLOW_MONITOR: u32 = 1870;
/// `NXFMF_ADD`, `NXFMF_DELETE`, `NXFMF_MODIFY`
const CHANGES: u16 = 1 << 1 | 1 << 2 | 1 << 3;
const ADDED: u16 = 0;
const DELETED: u16 = 1;
const MODIFIED: u16 = 2;
const ABBREVIATED: u16 = 3;

/// What happened to a flow (`enum nx_flow_update_event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEvent {
    /// It came, or took the place of another with the same match.
    Added,
    /// It went.
    Deleted,
    /// Its actions are others.
    Modified,
}

/// One thing that a flow monitor tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlowUpdate {
    /// A flow changed.
    Changed {
        /// How.
        event: FlowEvent,
        /// Why it went, if it did (`OFPRR_*`).
        reason: u16,
        /// Its priority.
        priority: u16,
        /// Its table.
        table: TableId,
        /// Its mark.
        cookie: Cookie,
        /// Which packets.
        matches: Match,
    },
    /// A message of this connection changed flows.
    Own {
        /// The message's xid.
        xid: Xid,
    },
}

/// Asks to be told what changes of any flow from here on, but not what flows there are, nor their actions.
pub fn watch_flows(id: u32) -> MultipartRequest {
    let (mut body, mut matches) = (BytesMut::new(), BytesMut::new());
    Match::new().encode(&mut matches);
    body.put_u32(ONF);
    body.put_u32(FLOW_MONITOR);
    body.put_u32(id);
    body.put_u16(CHANGES);
    // Without the padding; a match of nothing is its own header.
    body.put_u16(4);
    body.put_u32(ports::ANY.0);
    body.put_u8(ALL_TABLES.0);
    body.put_bytes(0, 3);
    body.put_slice(&matches);
    MultipartRequest::Raw {
        kind: EXPERIMENTER,
        body: body.freeze(),
    }
}

/// What a reply tells, if it is a flow monitor's; the first after the request is empty.
///
/// # Errors
/// An update is cut short, or of an event that is none.
pub fn flow_updates(reply: &MultipartReply) -> Option<Result<Vec<FlowUpdate>, DecodeError>> {
    let MultipartBody::Raw { kind, body } = &reply.body else {
        return None;
    };
    let mut reader = Reader::new(body);
    let header = (*kind, reader.u32().ok()?, reader.u32().ok()?);
    (header == (EXPERIMENTER, ONF, FLOW_MONITOR)).then(|| decode_list(&mut reader))
}

/// A reply that tells this.
pub fn flow_update_reply(updates: &[FlowUpdate]) -> MultipartReply {
    let mut body = BytesMut::new();
    body.put_u32(ONF);
    body.put_u32(FLOW_MONITOR);
    updates.iter().for_each(|update| update.encode(&mut body));
    let (kind, body): (u16, Bytes) = (EXPERIMENTER, body.freeze());
    MultipartReply {
        more: false,
        body: MultipartBody::Raw { kind, body },
    }
}

fn decode_list(reader: &mut Reader<'_>) -> Result<Vec<FlowUpdate>, DecodeError> {
    let mut updates = vec![];
    while !reader.is_empty() {
        let length = usize::from(u16::from_be_bytes(reader.peek()?));
        if length < 8 {
            return Err(reader.bad_length("flow update", length));
        }
        let mut part = reader.part(length)?;
        part.skip(2)?;
        updates.push(FlowUpdate::decode(&mut part)?);
    }
    Ok(updates)
}

impl FlowUpdate {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let event = match u16::from_be_bytes(reader.peek()?) {
            ADDED => FlowEvent::Added,
            DELETED => FlowEvent::Deleted,
            MODIFIED => FlowEvent::Modified,
            ABBREVIATED => {
                reader.skip(2)?;
                return Ok(Self::Own { xid: reader.xid()? });
            }
            other => return Err(reader.bad_value("event of a flow update", other)),
        };
        reader.skip(2)?;
        let (reason, priority) = (reader.u16()?, reader.u16()?);
        // Time-outs, and the length of the match.
        reader.skip(6)?;
        let table = reader.table()?;
        reader.skip(1)?;
        Ok(Self::Changed {
            event,
            reason,
            priority,
            table,
            cookie: reader.cookie()?,
            matches: Match::decode(reader)?,
        })
    }

    fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u16(0);
        match self {
            Self::Own { xid } => {
                buffer.put_u16(ABBREVIATED);
                buffer.put_u32(xid.0);
            }
            Self::Changed {
                event,
                reason,
                priority,
                table,
                cookie,
                matches,
            } => {
                buffer.put_u16(match event {
                    FlowEvent::Added => ADDED,
                    FlowEvent::Deleted => DELETED,
                    FlowEvent::Modified => MODIFIED,
                });
                buffer.put_u16(*reason);
                buffer.put_u16(*priority);
                buffer.put_u32(0);
                let at = buffer.len();
                buffer.put_u16(0);
                buffer.put_u8(table.0);
                buffer.put_u8(0);
                buffer.put_u64(cookie.0);
                let begin = buffer.len();
                matches.encode(buffer);
                // The second field of a match is its length without the padding.
                let length = [buffer[begin + 2], buffer[begin + 3]];
                buffer[at..at + 2].copy_from_slice(&length);
            }
        }
        set_length(buffer, start, start);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
mod tests {
    use super::*;
    use crate::fields::Field;
    use crate::message::Message;

    /// What Open vSwitch 3.1 sent, and ovs-ofctl sends, each with its header.
    const REQUEST: &str = "0412003000000006ffff0000000000004f4e46000000074e00000000000e0004ffffffffff0000000001000400000000";
    const CAME: &str = "0413004800000000ffff0000000000004f4e46000000074e0030000000000007000000000012030000000000000000050001001280000a0208008000160401020304000000000000";
    const WENT: &str = "0413004800000000ffff0000000000004f4e46000000074e0030000100020007000000000012030000000000000000060001001280000a0208008000160401020304000000000000";
    const OWN: &str = "0413002000000000ffff0000000000004f4e46000000074e00080003000003e8";

    fn octets(text: &str) -> Bytes {
        let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(pair).collect()
    }

    fn told(text: &str) -> FlowUpdate {
        let Message::MultipartReply(reply) = Message::decode(&octets(text)).unwrap().1 else {
            panic!("{text}");
        };
        let mut updates = flow_updates(&reply).unwrap().unwrap();
        assert_eq!(flow_update_reply(&updates), reply, "and back");
        updates.pop().unwrap()
    }

    #[test]
    fn it_is_asked_for_as_ovs_ofctl_does() {
        let mut buffer = BytesMut::new();
        let request = Message::MultipartRequest(watch_flows(0));
        request.encode(6, &mut buffer).unwrap();
        assert_eq!(buffer.freeze(), octets(REQUEST));
    }

    #[test]
    fn what_others_and_we_do_is_read() {
        let matches = Match::new()
            .with(Field::ETH_TYPE, 0x800_u16)
            .with(Field::IPV4_SRC, 0x0102_0304_u32);
        let changed = |event, reason, cookie| FlowUpdate::Changed {
            event,
            reason,
            priority: 7,
            table: TableId(3),
            cookie: Cookie(cookie),
            matches: matches.clone(),
        };
        assert_eq!(told(CAME), changed(FlowEvent::Added, 0, 5));
        assert_eq!(told(WENT), changed(FlowEvent::Deleted, 2, 6));
        assert_eq!(told(OWN), FlowUpdate::Own { xid: Xid(1000) });
    }

    #[test]
    fn nonsense_is_refused_and_what_is_not_a_monitors_passed_over() {
        let reply = |body: &[u8]| MultipartReply {
            more: false,
            body: MultipartBody::Raw {
                kind: EXPERIMENTER,
                body: Bytes::copy_from_slice(body),
            },
        };
        let own = flow_update_reply(&[FlowUpdate::Own { xid: Xid(1) }]);
        let MultipartBody::Raw { body, .. } = own.body else {
            panic!("raw");
        };
        for cut in 9..body.len() {
            assert!(flow_updates(&reply(&body[..cut])).unwrap().is_err());
        }
        let mut odd = body.to_vec();
        odd[11] = 9;
        assert!(flow_updates(&reply(&odd)).unwrap().is_err());
        assert!(
            flow_updates(&reply(&body[..8]))
                .unwrap()
                .unwrap()
                .is_empty()
        );
        assert!(flow_updates(&reply(&body[..7])).is_none());
        assert!(flow_updates(&reply(&[0; 16])).is_none());
    }
}
