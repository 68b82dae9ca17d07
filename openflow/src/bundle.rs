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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::actions::Action;
    use crate::bundle_wire::BundleAdd;
    use crate::instructions::Instruction;
    use crate::matches::Match;

    fn bundle(count: u16) -> Bundle {
        let flows = (0..count).map(|priority| FlowMod::add(0, priority, Match::new(), Vec::new()));
        let mut bundle = Bundle::new(7, flows);
        bundle.start(100);
        bundle
    }

    fn sent(bundle: &mut Bundle) -> Vec<String> {
        std::iter::from_fn(|| next(bundle))
            .map(|(xid, message)| format!("{} {}", xid.0, name(&message)))
            .collect()
    }

    fn next(bundle: &mut Bundle) -> Option<(Xid, Message)> {
        let mut output = BytesMut::new();
        let is_one = bundle.encode_next(&mut output).unwrap();
        is_one.then(|| Message::decode(&output.freeze()).unwrap())
    }

    fn name(message: &Message) -> String {
        if let Message::BundleControl(control) = message {
            format!("{:?}", control.kind)
        } else if let Message::BundleAdd(add) = message {
            format!("add xid {}", add.xid.0)
        } else {
            format!("{message:?}")
        }
    }

    fn reply(kind: BundleControlType) -> Message {
        Message::BundleControl(BundleControl {
            bundle: 7,
            kind,
            flags: BundleFlags::NONE,
        })
    }

    fn refusal() -> Message {
        Message::Error(ErrorMessage {
            code: ErrorCode::BAD_PREREQUISITE,
            data: Bytes::new(),
        })
    }

    #[test]
    fn the_commit_waits_for_the_close() {
        let mut bundle = bundle(2);
        assert_eq!(
            sent(&mut bundle),
            [
                "100 OpenRequest",
                "101 add xid 101",
                "102 add xid 102",
                "103 CloseRequest"
            ]
        );
        assert_eq!(
            bundle.on_message(Xid(100), &reply(BundleControlType::OpenReply)),
            None
        );
        assert!(sent(&mut bundle).is_empty());
        assert_eq!(
            bundle.on_message(Xid(103), &reply(BundleControlType::CloseReply)),
            None
        );
        assert_eq!(sent(&mut bundle), ["104 CommitRequest"]);
        assert_eq!(
            bundle.on_message(Xid(104), &reply(BundleControlType::CommitReply)),
            Some(Ok(()))
        );
    }

    #[test]
    fn a_refused_flow_mod_discards_the_rest() {
        let mut bundle = bundle(3);
        sent(&mut bundle);
        assert_eq!(bundle.on_message(Xid(101), &refusal()), None);
        assert_eq!(bundle.on_message(Xid(103), &refusal()), None);
        assert_eq!(
            bundle.on_message(Xid(104), &reply(BundleControlType::CloseReply)),
            None
        );
        assert_eq!(sent(&mut bundle), ["105 DiscardRequest"]);
        let outcome = bundle.on_message(Xid(105), &reply(BundleControlType::DiscardReply));
        assert_eq!(
            outcome.unwrap().unwrap_err().to_string(),
            "flow-mods of the bundle were refused: 0: OFPBMC_BAD_PREREQ, 2: OFPBMC_BAD_PREREQ"
        );
    }

    #[test]
    fn a_bundle_that_is_not_opened_is_not_its_flow_mods_fault() {
        let mut bundle = bundle(1);
        sent(&mut bundle);
        for xid in (100..=102).map(Xid) {
            assert_eq!(bundle.on_message(xid, &refusal()), None);
        }
        assert_eq!(sent(&mut bundle), ["103 DiscardRequest"]);
        let outcome = bundle.on_message(Xid(103), &refusal());
        assert!(matches!(outcome, Some(Err(BundleError::Control(_)))));
    }

    #[test]
    fn a_flow_mod_that_fails_at_commit_is_named() {
        let mut bundle = bundle(1);
        sent(&mut bundle);
        bundle.on_message(Xid(102), &reply(BundleControlType::CloseReply));
        sent(&mut bundle);
        assert_eq!(bundle.on_message(Xid(101), &refusal()), None);
        let outcome = bundle.on_message(Xid(103), &refusal()).unwrap();
        let refused = [(0, ErrorCode::BAD_PREREQUISITE)].into();
        assert_eq!(outcome, Err(BundleError::FlowMods(refused)));
    }

    #[test]
    fn messages_of_others_are_left_alone() {
        let mut bundle = bundle(1);
        sent(&mut bundle);
        assert_eq!(
            [99, 100, 103, 104].map(|xid| bundle.has(Xid(xid))),
            [false, true, true, false]
        );
        assert_eq!(bundle.on_message(Xid(99), &refusal()), None);
        assert_eq!(bundle.on_message(Xid(104), &refusal()), None);
        assert_eq!(bundle.on_message(Xid(102), &Message::BarrierReply), None);
        assert_eq!(next(&mut bundle), None);
    }

    #[test]
    fn a_message_is_longer_in_a_bundle() {
        let mut bundle = bundle(1);
        next(&mut bundle);
        let (_, add) = next(&mut bundle).unwrap();
        let Message::BundleAdd(BundleAdd { message, .. }) = &add else {
            panic!("{add:?}")
        };
        let length = |message: &Message| {
            let mut octets = bytes::BytesMut::new();
            message.encode(Xid(0), &mut octets).unwrap();
            octets.len()
        };
        assert_eq!(length(&add) - length(message), BUNDLE_ADD_OVERHEAD);
    }

    #[test]
    fn what_was_encoded_before_goes_as_what_is_encoded_when_it_is_sent() {
        let flow_mod = FlowMod::add(3, 7, Match::new(), Vec::new());
        let encoded = EncodedFlowMod::new(flow_mod.clone()).unwrap();
        let flow_mods = [
            BundledFlowMod::from(flow_mod.with_cookie(5)),
            encoded.with_cookie(5).into(),
        ];
        let mut bundle = Bundle::new(7, flow_mods);
        bundle.start(100);
        next(&mut bundle);
        let [plain, before] = [(); 2].map(|()| match next(&mut bundle) {
            Some((xid, Message::BundleAdd(add))) if add.xid == xid => add.message,
            other => panic!("{other:?}"),
        });
        assert_eq!(plain, before);
    }

    #[test]
    fn what_was_encoded_is_equal_whatever_its_cookie_was_before() {
        let flow_mod = FlowMod::add(3, 7, Match::new(), Vec::new());
        let [before, after] = [
            EncodedFlowMod::new(flow_mod.clone().with_cookie(5)).unwrap(),
            EncodedFlowMod::new(flow_mod.clone())
                .unwrap()
                .with_cookie(5),
        ];
        assert_eq!(before, after);
        assert_eq!(after.decode(), Ok(flow_mod.with_cookie(5)));
    }

    #[test]
    fn actions_that_are_nested_too_deep_to_be_read_end_nothing() {
        let mut action = Action::output(1);
        for _ in 0..40 {
            action = Action::Clone(vec![action]);
        }
        let apply = Instruction::Apply(vec![action]);
        let flow_mod = FlowMod::add(0, 0, Match::new(), vec![apply]);
        let encoded = EncodedFlowMod::new(flow_mod).unwrap();
        assert!(encoded.decode().is_err());
        assert!(format!("{encoded:?}").contains("Nesting"));
    }

    #[test]
    fn a_flow_mod_that_is_too_long_in_a_bundle_is_an_error() {
        // 64 octets and 16 for each action: the second would fit in a message of its own.
        for (outputs, is_sent) in [(4090, true), (4091, false)] {
            let apply = Instruction::Apply(vec![Action::output(1); outputs]);
            let flow_mod = FlowMod::add(0, 0, Match::new(), vec![apply]);
            let mut bundle = Bundle::new(7, [flow_mod]);
            bundle.start(100);
            next(&mut bundle);
            let mut output = BytesMut::new();
            assert_eq!(bundle.encode_next(&mut output).is_ok(), is_sent);
            assert_eq!(output.is_empty(), !is_sent);
        }
    }

    #[test]
    fn an_empty_bundle_is_committed_too() {
        let mut bundle = bundle(0);
        assert_eq!(sent(&mut bundle), ["100 OpenRequest", "101 CloseRequest"]);
        bundle.on_message(Xid(101), &reply(BundleControlType::CloseReply));
        assert_eq!(sent(&mut bundle), ["102 CommitRequest"]);
    }
}
