//! What is malformed is refused: where, why, and with which error the peer is answered.

#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use rust_openflow::{ErrorCode, Hello, Message, MultipartRequest};

/// A frame: type, then the body in hexadecimal; spaces do not count.
fn frame(kind: u8, body: &str) -> Bytes {
    let digits: Vec<u8> = body.bytes().filter(|byte| *byte != b' ').collect();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).unwrap();
        u8::from_str_radix(pair, 16).unwrap()
    });
    let body: Vec<u8> = pairs.collect();
    let length = (8 + body.len()) as u16;
    let header = [&[4, kind][..], &length.to_be_bytes(), &[0, 0, 0, 1]].concat();
    [header, body].concat().into()
}

/// A flow-mod up to its match.
const FLOW: &str =
    "0000000000000000 0000000000000000 00 00 0000 0000 8000 ffffffff ffffffff ffffffff 0000 0000";

fn flow(rest: &str) -> Bytes {
    frame(14, &format!("{FLOW} {rest}"))
}

fn refusal(frame: &Bytes) -> String {
    let error = Message::decode(frame).unwrap_err();
    let words = error.to_string();
    let words = words.strip_prefix("malformed OpenFlow at byte ").unwrap();
    format!("{words}; {}", error.to_error_code())
}

fn refused_flows() -> Vec<(Bytes, &'static str)> {
    vec![
        (
            frame(14, &FLOW.replacen(" 00 00 0000", " 00 09 0000", 1)),
            "25: flow-mod command cannot be 0x9; OFPFMFC_BAD_COMMAND",
        ),
        (
            flow("0000 0058"),
            "48: match type cannot be 0x0; OFPBMC_BAD_TYPE",
        ),
        (
            flow("0101 0004 00000000"),
            "48: match type cannot be 0x101; OFPBMC_BAD_TYPE",
        ),
        (
            flow("0001 0008 80000a02"),
            "56: 2 bytes needed, 0 left; OFPBMC_BAD_LEN",
        ),
        (
            flow("0001 0009 80000a01 86 00000000000000"),
            "56: length 1 of OXM is impossible; OFPBMC_BAD_LEN",
        ),
        (
            flow("0001 0010 80000a02 86dd 80000a02 86dd"),
            "64: field matched twice; OFPBMC_DUP_FIELD",
        ),
        (
            flow("0001 0004 00000000 0001 000c 00000000 00000000"),
            "56: length 12 of instruction is impossible; OFPBIC_BAD_LEN",
        ),
        (
            flow("0001 0004 00000000 0004 0010 00000000 0000 0010 00000000"),
            "64: 16 bytes needed, 8 left; OFPBAC_BAD_LEN",
        ),
        (
            flow("0001 0004 00000000 0004 0010 00000000 0016 0004 00000001"),
            "64: length 4 of action is impossible; OFPBAC_BAD_LEN",
        ),
    ]
}

fn refused_others() -> Vec<(Bytes, &'static str)> {
    vec![
        (
            frame(15, "0007 00 00 00000001"),
            "8: group-mod command cannot be 0x7; OFPGMFC_BAD_COMMAND",
        ),
        (
            frame(15, "0000 04 00 00000001"),
            "10: group type cannot be 0x4; OFPGMFC_BAD_TYPE",
        ),
        (
            frame(15, "0000 00 00 00000001 0008 0000 00000000"),
            "16: length 8 of bucket is impossible; OFPGMFC_BAD_BUCKET",
        ),
        (
            frame(29, "0003 0001 00000001"),
            "8: meter-mod command cannot be 0x3; OFPMMFC_BAD_COMMAND",
        ),
        (
            frame(24, "00000104 00000000 0000000000000000"),
            "8: role cannot be 0x104; OFPRRFC_BAD_ROLE",
        ),
        (
            frame(4, "4f4e4600 000008fc 00000001 0008 0000"),
            "20: bundle control type cannot be 0x8; OFPBFC_BAD_TYPE",
        ),
        (
            frame(18, "000c 0000 00000000 0040 00"),
            "16: 64 bytes needed, 3 left; OFPBPC_BAD_LEN",
        ),
        (
            frame(12, "03"),
            "8: port-status reason cannot be 0x3; OFPBRC_BAD_TYPE",
        ),
        (
            frame(10, "ffffffff"),
            "12: 2 bytes needed, 0 left; OFPBRC_BAD_LEN",
        ),
        (
            frame(23, "00000001 00000000 00000001 00000001 0008 000000000000"),
            "16: length 8 of queue is impossible; OFPBRC_BAD_LEN",
        ),
        (
            Bytes::from_static(&[1, 14, 0, 8, 0, 0, 0, 1]),
            "0: version 0x01 where OpenFlow 1.3 (0x04) was negotiated; OFPBRC_BAD_VERSION",
        ),
    ]
}

#[test]
fn a_refusal_says_where_and_why_and_has_the_error_of_the_specification() {
    let refused = [refused_flows(), refused_others()].concat();
    let said: Vec<String> = refused.iter().map(|(frame, _)| refusal(frame)).collect();
    let expected: Vec<&str> = refused.iter().map(|(_, expected)| *expected).collect();
    assert_eq!(said, expected);
}

#[test]
fn actions_inside_each_other_without_end_are_too_many() {
    let deepest = format!("{FLOW} 0001 0004 00000000");
    let clone = |inner: Vec<u8>| {
        let length = (16 + inner.len()) as u16;
        let header = [
            &[0xff, 0xff][..],
            &length.to_be_bytes(),
            &[0, 0, 0x23, 0x20, 0, 42],
            &[0; 6],
        ];
        [header.concat(), inner].concat()
    };
    let actions = (0..40).fold(Vec::new(), |inner, _| clone(inner));
    let length = 8 + actions.len();
    let actions: String = actions.iter().map(|byte| format!("{byte:02x}")).collect();
    let frame = frame(
        14,
        &format!("{deepest} 0004 {length:04x} 00000000 {actions}"),
    );
    let error = Message::decode(&frame).unwrap_err();
    assert_eq!(error.to_error_code().to_string(), "OFPBAC_TOO_MANY");
}

/// A frame of OpenFlow 1.3 of this type and body.
fn framed(kind: u8, body: &[u8]) -> Bytes {
    let length = u16::try_from(8 + body.len()).unwrap().to_be_bytes();
    [&[4, kind][..], &length, &[0, 0, 0, 1], body]
        .concat()
        .into()
}

#[test]
fn a_hello_whose_body_is_no_list_of_elements_is_a_hello() {
    let bodies: [&[u8]; 5] = [
        &[0],
        &[0, 1, 0, 3],
        &[0, 1, 0, 0xff, 1, 2, 3, 4],
        &[0, 1, 0, 4],
        &[0xff; 33],
    ];
    for body in bodies {
        let (_, message) = Message::decode(&framed(0, body)).unwrap();
        assert_eq!(message, Message::Hello(Hello::default()), "{body:?}");
    }
    let (_, message) = Message::decode(&framed(0, &[0, 1, 0, 8, 0, 0, 0, 0x10, 9, 9])).unwrap();
    assert_eq!(message, Message::Hello(Hello::openflow13()));
}

#[test]
fn instructions_that_are_too_long_are_refused_as_such() {
    let head = [[0; 40].as_slice(), &[0, 1, 0, 4, 0, 0, 0, 0]].concat();
    let instructions: [&[u8]; 6] = [
        &[0, 1, 0, 8, 3, 0, 0, 0],
        &[0, 1, 0, 16, 3, 0, 0, 0],
        &[0, 2, 0, 32, 0, 0, 0, 0],
        &[0, 5, 0, 16, 0, 0, 0, 0],
        &[0, 6, 0, 16, 0, 0, 0, 1],
        &[0, 2, 0, 16, 0, 0, 0, 0],
    ];
    let refused = instructions.map(|instruction| {
        let padding = usize::from(instruction[3]) - instruction.len();
        let body = [&head, instruction, &vec![0; padding]].concat();
        let decoded = Message::decode(&framed(14, &body));
        decoded.err().map(|error| error.to_error_code())
    });
    assert_eq!(refused[0], None);
    assert_eq!(refused[1..], [Some(ErrorCode::BAD_INSTRUCTION_LENGTH); 5]);
}

#[test]
fn octets_behind_a_message_of_a_fixed_size_are_a_wrong_length() {
    let fixed: [(u8, usize); 13] = [
        (5, 0),
        (6, 24),
        (7, 0),
        (8, 4),
        (9, 4),
        (12, 72),
        (16, 32),
        (17, 8),
        (20, 0),
        (21, 0),
        (22, 8),
        (26, 0),
        (27, 24),
    ];
    for (kind, size) in fixed {
        Message::decode(&framed(kind, &vec![0; size])).unwrap();
        for more in 1..=8 {
            let error = Message::decode(&framed(kind, &vec![0; size + more])).unwrap_err();
            assert_eq!(
                error.to_error_code(),
                ErrorCode::BAD_LENGTH,
                "{kind} {more}"
            );
        }
    }
}

#[test]
fn a_request_that_goes_on_says_so_again() {
    for (kind, body) in [(0_u8, 0), (1, 40), (4, 8), (12, 0), (99, 5)] {
        let body = [&[0, kind, 0, 1, 0, 0, 0, 0][..], &vec![0; body]].concat();
        let body = if kind == 1 {
            [&body[..40], &[0, 1, 0, 4, 0, 0, 0, 0]].concat()
        } else {
            body
        };
        let frame = framed(18, &body);
        let (xid, message) = Message::decode(&frame).unwrap();
        assert!(matches!(
            &message,
            Message::MultipartRequest(MultipartRequest::More(_))
        ));
        let mut again = BytesMut::new();
        message.encode(xid, &mut again).unwrap();
        assert_eq!(again, frame);
        assert!(message.print(xid).to_string().contains("flags=[more]"));
    }
}
