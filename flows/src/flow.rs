//! A flow, and its cookie, which is the hash of its content.

use crate::difference::InstalledFlow;
use crate::pipeline::Stage;
use bytes::Bytes;
pub use rust_openflow::Cookie;
use rust_openflow::{
    Action, BUNDLE_ADD_OVERHEAD, BundledFlowMod, EncodedFlowMod, FlowMod, Instruction, Match,
    PacketInReason, WHOLE_PACKET,
};
use sextant_model::Punt;
use std::hash::Hasher;
use std::num::NonZeroU64;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// How long a flow's message may be, in octets, so that a bundle can contain it.
const LONGEST: usize = u16::MAX as usize - BUNDLE_ADD_OVERHEAD;

/// The hash of what a flow does. Table, priority and match are not in it: another one of these makes another flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doing(NonZeroU64);

impl Doing {
    /// Of these instructions, as a switch reports them. `None` if no message can contain them.
    pub fn of(instructions: &[Instruction]) -> Option<Self> {
        let flow_mod = FlowMod::add(0, 0, Match::new(), instructions.to_vec());
        let encoded = EncodedFlowMod::new(flow_mod).ok()?;
        Self::of_message(encoded.as_bytes())
    }

    /// Of a flow-mod (OpenFlow 1.3.5 §7.3.4.2). The instructions follow the match, which is padded.
    fn of_message(flow_mod: &[u8]) -> Option<Self> {
        const MATCH: usize = 48;
        let length = flow_mod.get(MATCH + 2..MATCH + 4)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let instructions = flow_mod.get(MATCH + length.next_multiple_of(8)..)?;
        Some(Self(NonZeroU64::MIN | xxh3_64(instructions)))
    }
}

/// Uses a cookie as its own hash, since it is one.
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
    /// Its table.
    pub stage: Stage,
    /// Among flows of a stage that match a packet, the one of the highest priority wins.
    pub priority: u16,
    /// The packets that it applies to.
    pub matches: Match,
    /// What it does with them.
    pub instructions: Vec<Instruction>,
    /// Why it sends packets up, if it does, and how to answer. The switch does not know this, so it is not part of the
    /// cookie.
    pub punt: Option<Punt>,
}

impl Flow {
    /// A flow that drops, until actions are added.
    #[must_use]
    pub fn new(stage: Stage, priority: u16, matches: Match) -> Self {
        Self {
            stage,
            priority,
            matches,
            instructions: vec![],
            punt: None,
        }
    }

    /// Adds these actions. What is added next follows them.
    #[must_use]
    pub fn apply(mut self, actions: Vec<Action>) -> Self {
        self.instructions.push(Instruction::Apply(actions));
        self
    }

    /// Goes on to that stage.
    #[must_use]
    pub fn goto(mut self, next: Stage) -> Self {
        debug_assert!(
            next > self.stage,
            "{:?} does not lead to {next:?}",
            self.stage
        );
        self.instructions.push(next.goto());
        self
    }

    /// Passes that meter before anything else.
    #[must_use]
    pub fn meter(mut self, meter: u32) -> Self {
        self.instructions.insert(0, Instruction::Meter(meter));
        self
    }

    /// Sends packets up to the controller for this reason.
    #[must_use]
    pub fn punt(mut self, punt: Punt) -> Self {
        self.punt = Some(punt);
        self.apply(vec![Action::controller()])
    }

    /// Sends a copy up to the controller for this reason, as often as a meter allows. The packet goes on to what is
    /// added next.
    #[must_use]
    pub fn copy_up(mut self, punt: Punt, meter: u32) -> Self {
        self.punt = Some(punt);
        self.apply(vec![copy(meter)])
    }

    /// The same, before all other actions.
    #[must_use]
    pub fn copy_up_first(mut self, punt: Punt, meter: u32) -> Self {
        self.punt = Some(punt);
        if let Some(Instruction::Apply(actions)) = self.instructions.first_mut() {
            actions.insert(0, copy(meter));
        } else {
            let copied = Instruction::Apply(vec![copy(meter)]);
            self.instructions.insert(0, copied);
        }
        self
    }

    /// The hash of its table, priority, match and instructions. It is never 0 or all ones: Open vSwitch and controllers
    /// give these a meaning of their own.
    #[must_use]
    pub fn cookie(&self) -> Cookie {
        self.pack().kept.cookie
    }

    /// The flow as a switch reports it.
    pub(crate) fn installed(&self) -> InstalledFlow {
        InstalledFlow {
            table: self.stage.table(),
            cookie: self.cookie(),
        }
    }

    /// Its content in little memory, and the hash of it.
    pub(crate) fn pack(&self) -> PackedFlow {
        let message = EncodedFlowMod::new(self.to_flow_mod(0));
        let message = message.ok().filter(|one| one.as_bytes().len() <= LONGEST);
        let (hash, content) = match message {
            Some(message) => (xxh3_64(message.as_bytes()), Packed::Message(message)),
            None => {
                // No switch will ever have this flow, but its cookie must still differ from every other flow's.
                let hash = xxh3_64(format!("{self:?}").as_bytes());
                (hash, Packed::TooLong(Arc::new(self.clone())))
            }
        };
        PackedFlow {
            kept: KeptFlow {
                cookie: Cookie(hash.clamp(1, u64::MAX - 1)),
                stage: self.stage,
                doing: content.doing(),
            },
            content,
            punt: self.punt.clone().map(Box::new),
        }
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

/// Sends a copy up, as often as a meter allows.
fn copy(meter: u32) -> Action {
    Action::Controller {
        max_len: WHOLE_PACKET,
        id: 0,
        reason: PacketInReason::Action,
        userdata: Bytes::new(),
        pause: false,
        meter: Some(meter),
    }
}

/// What is always known of a flow: a cloud has many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct KeptFlow {
    pub(crate) cookie: Cookie,
    pub(crate) stage: Stage,
    /// `None`: it is too long for a message.
    pub(crate) doing: Option<Doing>,
}

/// A flow in little memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PackedFlow {
    pub(crate) kept: KeptFlow,
    pub(crate) content: Packed,
    pub(crate) punt: Option<Box<Punt>>,
}

/// What a flow is, without its punt. A [`Flow`] takes about five times the memory, and a cloud has many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Packed {
    /// The message that installs it, under cookie 0.
    Message(EncodedFlowMod),
    /// It is too long for a message.
    TooLong(Arc<Flow>),
}

impl Packed {
    /// The message that installs the flow under that cookie.
    pub(crate) fn to_flow_mod(&self, cookie: Cookie) -> BundledFlowMod {
        match self {
            Self::Message(message) => message.with_cookie(cookie).into(),
            Self::TooLong(flow) => flow.to_flow_mod(cookie).into(),
        }
    }

    /// The hash of what it does.
    pub(crate) fn doing(&self) -> Option<Doing> {
        match self {
            Self::Message(message) => Doing::of_message(message.as_bytes()),
            Self::TooLong(_) => None,
        }
    }

    /// The flow, with the reason for which it sends packets up.
    ///
    /// `None` is never: no flow is in a table without a stage, and none nests actions deeper than they are read.
    pub(crate) fn unpack(&self, punt: Option<&Punt>) -> Option<Flow> {
        let flow_mod = self.to_flow_mod(Cookie(0)).decode().ok()?;
        Some(Flow {
            stage: Stage::of(flow_mod.table)?,
            priority: flow_mod.priority,
            matches: flow_mod.matches,
            instructions: flow_mod.instructions,
            punt: punt.cloned(),
        })
    }
}
