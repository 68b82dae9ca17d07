//! What is encoded is decoded as it was; and whatever bytes come, nothing panics and what is accepted is stable.

#![allow(clippy::unwrap_used)]

#[path = "roundtrip/values.rs"]
mod values;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use rust_openflow::{
    Action, Command, Entry, Field, FlowMod, Instruction, Match, Message, PacketOut, Xid,
};
use values::{flow_mod, matches, message};

fn encode(xid: impl Into<Xid>, message: &Message) -> Bytes {
    let mut buffer = BytesMut::new();
    message.encode(xid, &mut buffer).unwrap();
    buffer.freeze()
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_as_it_was(xid: u32, message in message()) {
        prop_assert_eq!(Message::decode(&encode(xid, &message)), Ok((Xid(xid), message)));
    }

    #[test]
    fn whatever_comes_nothing_panics_and_what_is_accepted_is_stable(
        message in message(), changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut frame = encode(1, &message).to_vec();
        for (place, byte) in changes {
            // The header's length stays, so that the change reaches the codecs.
            let place = place.index(frame.len());
            if !(2..4).contains(&place) {
                frame[place] = byte;
            }
        }
        if let Ok((xid, accepted)) = Message::decode(&frame.into()) {
            let again = Message::decode(&encode(xid, &accepted));
            prop_assert_eq!(again, Ok((xid, accepted)));
        }
    }

    #[test]
    fn the_text_of_any_flow_can_be_made(flow in flow_mod()) {
        let adds = matches!(flow.command, Command::Add | Command::Modify);
        prop_assert_eq!(flow.to_string().contains("actions="), adds);
    }

    #[test]
    fn the_order_of_terms_has_no_meaning(matches in matches()) {
        let mut reversed = Match::new();
        for entry in matches.entries().iter().rev() {
            match entry {
                Entry::Field(term) => reversed.insert(*term),
                Entry::Unknown(entry) => reversed.insert_unknown(entry.clone()),
            }
        }
        prop_assert_eq!(&reversed, &matches);
        let (reversed, matches) = (reversed.canonical(), matches.canonical());
        prop_assert_eq!(reversed.entries(), matches.entries());
    }
}

#[test]
fn actions_nested_without_end_are_refused() {
    let deep = (0..1000).fold(Action::Exit, |inner, _| Action::Clone(vec![inner]));
    let flow = FlowMod::add(0, 0, Match::new(), vec![Instruction::Apply(vec![deep])]);
    let error = Message::decode(&encode(1, &Message::FlowMod(flow))).unwrap_err();
    assert!(
        error.to_string().ends_with("nested more than 32 deep"),
        "{error}"
    );
}

#[test]
fn a_message_that_is_too_long_leaves_the_buffer_alone() {
    let mut buffer = BytesMut::from(&b"before"[..]);
    let packet = PacketOut::to_port(1, Bytes::from(vec![0; 66_000]));
    let error = Message::PacketOut(packet)
        .encode(1, &mut buffer)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a message of 66040 bytes does not fit OpenFlow's limit of 65535"
    );
    assert_eq!(&buffer[..], b"before");
}

#[test]
fn a_match_says_what_it_lacks() {
    let target = Match::new()
        .with(Field::ETH_TYPE, 0x86dd_u16)
        .with(Field::IP_PROTO, 58_u8)
        .with(Field::ND_TARGET, 1_u8);
    let error = target.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "nd_target needs a match on icmp6 with type 135 or 136 and code 0"
    );
    let solicitation = target
        .with(Field::ICMPV6_TYPE, 135_u8)
        .with(Field::ICMPV6_CODE, 0_u8);
    assert_eq!(solicitation.check(), Ok(()));
    assert!(
        solicitation
            .clone()
            .with(Field::ND_TLL, 1_u8)
            .check()
            .is_err()
    );
    assert!(
        solicitation
            .masked(Field::ICMPV6_TYPE, 135_u8, 0x0f_u8)
            .check()
            .is_err()
    );
    let wide = Match::new().with(Field::CT_ZONE, 0x1_0000_u32);
    assert_eq!(
        wide.check().unwrap_err().to_string(),
        "the value of ct_zone has more bits than the field"
    );
}
