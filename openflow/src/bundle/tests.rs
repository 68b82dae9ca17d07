//! Bundles that a switch takes, and those that it refuses.

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
