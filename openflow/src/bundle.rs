//! All changes or none: a bundle of flow-mods, and the fate of it. Does no IO.
//!
//! Open vSwitch drops a message that it refuses from the bundle and would commit the rest. So the messages go in two steps:
//! open, adds and close are sent at once; when the close has been answered and nothing was refused before, the commit
//! follows, and else a discard.
//!
//! ```
//! # use bytes::BytesMut;
//! # use rust_openflow::{Bundle, FlowMod, Match};
//! let mut bundle = Bundle::new(1, vec![FlowMod::add(0, 0, Match::new(), Vec::new())]);
//! bundle.start(100);
//! let mut output = BytesMut::new();
//! while bundle.encode_next(&mut output)? {}
//! // Send the output. For each message that comes: `bundle.on_message(xid, &message)`, and again `encode_next` until it says
//! // that there is no more.
//! # Ok::<(), rust_openflow::EncodeError>(())
//! ```

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use bytes::BytesMut;
use thiserror::Error;

use crate::bundle_wire::{BundleControl, BundleControlType, put_add};
use crate::encoded_flow_mod::EncodedFlowMod;
use crate::error::{DecodeError, EncodeError};
use crate::failure::{ErrorCode, ErrorMessage};
use crate::flags::BundleFlags;
use crate::flow_mod::FlowMod;
use crate::message::Message;
use crate::numbers::Xid;

/// How much longer a message is inside a [`crate::BundleAdd`] than by itself, in octets.
pub const BUNDLE_ADD_OVERHEAD: usize = 24;
const FLAGS: BundleFlags = BundleFlags(BundleFlags::ATOMIC.0 | BundleFlags::ORDERED.0);

/// Why nothing of a bundle was done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The switch refused these of the flow-mods, by their places in the list that [`Bundle::new`] was given. There may be
    /// more that it would refuse: Open vSwitch ends a commit with the first that fails.
    #[error("flow-mods of the bundle were refused: {}", listed(.0))]
    FlowMods(BTreeMap<usize, ErrorCode>),
    /// The switch refused to open or close the bundle, or to commit it for a reason that is none of the flow-mods.
    #[error("the bundle was refused: {0}")]
    Control(ErrorMessage),
}

fn listed(refused: &BTreeMap<usize, ErrorCode>) -> String {
    const MOST: usize = 5;
    let named = refused.iter().take(MOST);
    let named: Vec<String> = named
        .map(|(index, code)| format!("{index}: {code}"))
        .collect();
    match refused.len().saturating_sub(MOST) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// A bundle on its way. See the [module](self) for how it is driven.
#[derive(Debug)]
pub struct Bundle {
    id: u32,
    flow_mods: PendingFlowMods,
    /// How many flow-mods there are, sent or not.
    count: u32,
    first_xid: Xid,
    step: Step,
    refused: BTreeMap<usize, ErrorCode>,
    failure: Option<ErrorMessage>,
}

/// A flow-mod of a bundle: one that is encoded when it is sent, or one that was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundledFlowMod {
    /// To be encoded.
    Plain(FlowMod),
    /// Encoded.
    Encoded(EncodedFlowMod),
}

impl From<FlowMod> for BundledFlowMod {
    fn from(flow_mod: FlowMod) -> Self {
        Self::Plain(flow_mod)
    }
}

impl From<EncodedFlowMod> for BundledFlowMod {
    fn from(flow_mod: EncodedFlowMod) -> Self {
        Self::Encoded(flow_mod)
    }
}

impl BundledFlowMod {
    /// The flow-mod.
    ///
    /// # Errors
    /// As [`EncodedFlowMod::decode`].
    pub fn decode(self) -> Result<FlowMod, DecodeError> {
        match self {
            Self::Plain(flow_mod) => Ok(flow_mod),
            Self::Encoded(flow_mod) => flow_mod.decode(),
        }
    }

    fn encoded(self) -> Result<EncodedFlowMod, EncodeError> {
        match self {
            Self::Plain(flow_mod) => EncodedFlowMod::new(flow_mod),
            Self::Encoded(flow_mod) => Ok(flow_mod),
        }
    }
}

/// What is still to be sent.
struct PendingFlowMods(Box<dyn Iterator<Item = BundledFlowMod> + Send>);

impl fmt::Debug for PendingFlowMods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} flow-mods", self.0.size_hint().0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// [`Bundle::start`] has not been called.
    New,
    /// The open, then this many adds, then the close are still to be handed out.
    Sending(usize),
    /// The close has been handed out.
    Closing,
    /// The close was answered; commit or discard is to be handed out.
    Closed,
    /// Commit or discard has been handed out.
    Ending,
    /// The outcome is known.
    Done,
}

impl Bundle {
    /// A bundle with a number that no other open bundle of the connection has. Each flow-mod is made when it is sent, so
    /// that those of a large bundle are never all in memory.
    pub fn new<I>(id: u32, flow_mods: I) -> Self
    where
        I: IntoIterator<Item: Into<BundledFlowMod> + 'static>,
        I::IntoIter: ExactSizeIterator + Send + 'static,
    {
        let flow_mods = flow_mods.into_iter();
        Bundle {
            id,
            count: flow_mods.len() as u32,
            flow_mods: PendingFlowMods(Box::new(flow_mods.map(Into::into))),
            first_xid: Xid(0),
            step: Step::New,
            refused: BTreeMap::new(),
            failure: None,
        }
    }

    /// How many consecutive xids the bundle needs.
    pub fn xids(&self) -> u32 {
        self.count + 3
    }

    /// Whether [`Bundle::start`] has been called.
    pub fn is_started(&self) -> bool {
        self.step != Step::New
    }

    /// Gives the bundle its xids: [`Bundle::xids`] of them from `first_xid` on.
    pub fn start(&mut self, first_xid: impl Into<Xid>) {
        if self.step == Step::New {
            self.first_xid = first_xid.into();
            self.step = Step::Sending(0);
        }
    }

    /// Appends the next message to send. Says whether there was one: there is none until the switch has answered, or for good.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for a flow-mod that no message can contain. The bundle is of no more use then.
    pub fn encode_next(&mut self, output: &mut BytesMut) -> Result<bool, EncodeError> {
        match self.step {
            Step::Sending(0) => {
                self.step = Step::Sending(1);
                self.put_control(0, BundleControlType::OpenRequest, output)
            }
            Step::Sending(position) => self.put_next_add(position - 1, output),
            Step::Closed => {
                self.step = Step::Ending;
                let commit = self.failure.is_none() && self.refused.is_empty();
                let kind = if commit {
                    BundleControlType::CommitRequest
                } else {
                    BundleControlType::DiscardRequest
                };
                self.put_control(self.last_offset(), kind, output)
            }
            Step::New | Step::Closing | Step::Ending | Step::Done => Ok(false),
        }
    }

    fn put_next_add(&mut self, index: usize, output: &mut BytesMut) -> Result<bool, EncodeError> {
        let Some(flow_mod) = self.flow_mods.0.next() else {
            self.step = Step::Closing;
            let offset = self.last_offset() - 1;
            return self.put_control(offset, BundleControlType::CloseRequest, output);
        };
        self.step = Step::Sending(index + 2);
        let xid = self.first_xid.plus(index as u32 + 1);
        put_add(self.id, FLAGS, xid, &flow_mod.encoded()?, output)?;
        Ok(true)
    }

    fn put_control(
        &self,
        offset: u32,
        kind: BundleControlType,
        output: &mut BytesMut,
    ) -> Result<bool, EncodeError> {
        let message = Message::BundleControl(BundleControl {
            bundle: self.id,
            kind,
            flags: FLAGS,
        });
        message.encode(self.first_xid.plus(offset), output)?;
        Ok(true)
    }

    /// Offset of the last xid: that of the commit or discard.
    fn last_offset(&self) -> u32 {
        self.count + 2
    }

    /// Whether a message with this xid is one of the bundle's, or answers it.
    pub fn has(&self, xid: Xid) -> bool {
        self.is_started() && xid.behind(self.first_xid) <= self.last_offset()
    }

    /// Takes a message that came from the switch. Returns the outcome when it is known: after the commit was answered, or
    /// the discard. Messages that are no answer to the bundle change nothing.
    ///
    /// # Errors
    /// What was refused; none of the bundle's changes was made then.
    pub fn on_message(&mut self, xid: Xid, message: &Message) -> Option<Result<(), BundleError>> {
        let offset = xid.behind(self.first_xid);
        if matches!(self.step, Step::New | Step::Done) || offset > self.last_offset() {
            return None;
        }
        if let Message::Error(error) = message {
            self.refused(offset, error);
        } else if !matches!(message, Message::BundleControl(_)) {
            return None;
        }
        self.advance(offset)
    }

    fn refused(&mut self, offset: u32, error: &ErrorMessage) {
        let place = offset.wrapping_sub(1) as usize;
        if place < self.count as usize {
            self.refused.entry(place).or_insert(error.code);
        } else if self.step != Step::Ending || self.refused.is_empty() {
            self.failure.get_or_insert_with(|| error.clone());
        }
    }

    /// What an answer to the message at `offset` means.
    fn advance(&mut self, offset: u32) -> Option<Result<(), BundleError>> {
        let last = self.last_offset();
        if self.step == Step::Closing && offset == last - 1 {
            self.step = Step::Closed;
        } else if self.step == Step::Ending && offset == last {
            self.step = Step::Done;
            return Some(self.outcome());
        }
        None
    }

    fn outcome(&mut self) -> Result<(), BundleError> {
        match self.failure.take() {
            Some(failure) => Err(BundleError::Control(failure)),
            None if self.refused.is_empty() => Ok(()),
            None => Err(BundleError::FlowMods(std::mem::take(&mut self.refused))),
        }
    }
}
