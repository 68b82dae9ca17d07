//! One flow, and the hash of its content that is its cookie.

use crate::pipeline::Stage;
use bytes::{Bytes, BytesMut};
pub use rust_openflow::Cookie;
use rust_openflow::{
    Action, BUNDLE_ADD_OVERHEAD, FlowMod, Instruction, Match, Message, PacketInReason, TableId,
    WHOLE_PACKET, Xid,
};
use sextant_model::Punt;
use std::hash::Hasher;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// How long a flow's message may be, in octets: a bundle can still hold it.
const LONGEST: usize = u16::MAX as usize - BUNDLE_ADD_OVERHEAD;

/// The hash of what a flow does, without table, priority and match: these cannot be changed, they make it another flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doing(u64);

impl Doing {
    /// Of these instructions, as a switch says that it has them. None if no message holds them.
    pub fn of(instructions: &[Instruction]) -> Option<Self> {
        let mut content = BytesMut::with_capacity(256);
        let flow_mod = FlowMod::add(0, 0, Match::new(), instructions.to_vec());
        let encoded = Message::FlowMod(flow_mod).encode(0, &mut content);
        encoded.ok().and_then(|_| Self::of_message(&content))
    }

    /// Of a flow-mod (OpenFlow 1.3.5 §7.3.4.2): instructions are what follows the match, which is padded.
    fn of_message(flow_mod: &[u8]) -> Option<Self> {
        const MATCH: usize = 48;
        let length = flow_mod.get(MATCH + 2..MATCH + 4)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let instructions = flow_mod.get(MATCH + length.next_multiple_of(8)..)?;
        Some(Self(xxh3_64(instructions)))
    }
}

/// A cookie is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CookieHasher(u64);

impl Hasher for CookieHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, cookie: u64) {
        self.0 = cookie;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }
}

/// One flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Where it is.
    pub stage: Stage,
    /// Which flow of a stage wins.
    pub priority: u16,
    /// Which packets.
    pub matches: Match,
    /// What becomes of them.
    pub instructions: Vec<Instruction>,
    /// If it sends packets up: why, and how to answer. Not part of what the switch has, so not of the cookie.
    pub punt: Option<Punt>,
}

impl Flow {
    /// A flow that drops, until told otherwise.
    pub fn new(stage: Stage, priority: u16, matches: Match) -> Self {
        Self {
            stage,
            priority,
            matches,
            instructions: vec![],
            punt: None,
        }
    }

    /// Does this, then goes on to what is added next.
    pub fn apply(mut self, actions: Vec<Action>) -> Self {
        self.instructions.push(Instruction::Apply(actions));
        self
    }

    /// Then goes on to that stage.
    pub fn goto(mut self, next: Stage) -> Self {
        debug_assert!(
            next > self.stage,
            "{:?} does not lead to {next:?}",
            self.stage
        );
        self.instructions.push(next.goto());
        self
    }

    /// First passes that meter.
    pub fn meter(mut self, meter: u32) -> Self {
        self.instructions.insert(0, Instruction::Meter(meter));
        self
    }

    /// Goes up to the controller, for this reason.
    pub fn punt(mut self, punt: Punt) -> Self {
        self.punt = Some(punt);
        self.apply(vec![Action::controller()])
    }

    /// A copy goes up to the controller, for this reason, as often as a meter allows; the packet goes on to what is added
    /// next.
    pub fn copy_up(mut self, punt: Punt, meter: u32) -> Self {
        self.punt = Some(punt);
        self.apply(vec![Action::Controller {
            max_len: WHOLE_PACKET,
            id: 0,
            reason: PacketInReason::Action,
            userdata: Bytes::new(),
            pause: false,
            meter: Some(meter),
        }])
    }

    /// The hash of its table, priority, match and instructions. Never 0 or all ones, which Open vSwitch and controllers give
    /// a meaning of their own.
    pub fn cookie(&self) -> Cookie {
        self.pack().0
    }

    /// Its content in little room, and the hash of it.
    pub(crate) fn pack(&self) -> (Cookie, Packed) {
        let mut content = BytesMut::with_capacity(256);
        let message = Message::FlowMod(self.to_flow_mod(0));
        let encoded = message.encode(Xid(0), &mut content).is_ok();
        let (hash, packed) = if encoded && content.len() <= LONGEST {
            (xxh3_64(&content), Packed::Message(content[..].into()))
        } else {
            // No switch will ever have it, but it is still not any other flow.
            let hash = xxh3_64(format!("{self:?}").as_bytes());
            (hash, Packed::TooLong(Arc::new(self.clone())))
        };
        (Cookie(hash.clamp(1, u64::MAX - 1)), packed)
    }

    /// The message that installs it under that cookie.
    pub fn to_flow_mod(&self, cookie: impl Into<Cookie>) -> FlowMod {
        FlowMod {
            cookie: cookie.into(),
            ..FlowMod::add(
                self.stage.table(),
                self.priority,
                self.matches.clone(),
                self.instructions.clone(),
            )
        }
    }
}

/// A flow without its punt, as it is kept: a [`Flow`] takes some five times the room, and a cloud has many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Packed {
    /// The message that installs it, under cookie 0.
    Message(Arc<[u8]>),
    /// It is too long for a message.
    TooLong(Arc<Flow>),
}

impl Packed {
    /// The message that installs the flow under that cookie.
    pub(crate) fn to_flow_mod(&self, cookie: Cookie) -> FlowMod {
        let flow_mod = match self {
            Self::Message(content) => decoded(content),
            Self::TooLong(flow) => Some(flow.to_flow_mod(0)),
        };
        FlowMod {
            cookie,
            ..flow_mod.unwrap_or_else(|| FlowMod::add(TableId(0), 0, Match::new(), vec![]))
        }
    }

    /// The hash of what it does.
    pub(crate) fn doing(&self) -> Option<Doing> {
        match self {
            Self::Message(content) => Doing::of_message(content),
            Self::TooLong(_) => None,
        }
    }

    /// The flow, sending packets up for this reason if it does.
    pub(crate) fn unpack(&self, stage: Stage, punt: Option<&Punt>) -> Flow {
        let flow_mod = self.to_flow_mod(Cookie(0));
        Flow {
            stage,
            priority: flow_mod.priority,
            matches: flow_mod.matches,
            instructions: flow_mod.instructions,
            punt: punt.cloned(),
        }
    }
}

/// What was encoded can be decoded (a property of `rust-openflow`).
fn decoded(content: &[u8]) -> Option<FlowMod> {
    match Message::decode(&Bytes::copy_from_slice(content)) {
        Ok((_, Message::FlowMod(flow_mod))) => Some(flow_mod),
        Ok(_) | Err(_) => None,
    }
}
