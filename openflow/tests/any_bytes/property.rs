//! The properties, one function a fuzz target. A function that returns has found nothing wrong.

use bytes::{Bytes, BytesMut};
use rust_openflow::{DecodeError, Framer, Message, MultipartBody, Xid};

/// `OFPT_*` of the messages whose parts have a text of their own.
const WITH_TEXT: [u8; 4] = [14, 15, 29, 19];
/// Bytes in a message's header.
const HEADER: usize = 8;
/// Inputs longer than this say nothing that shorter ones do not.
const LONGEST: usize = 16_384;

/// What a stream was cut into: the frames, why there are no more, and what remains.
type Cut = (Vec<Bytes>, Option<DecodeError>, Bytes);

/// However a stream is cut into reads, the frames are the same, they and the rest are the stream, and what waits is
/// never more than the one message that is incomplete. The first 4 bytes of the input are lengths of reads.
pub(crate) fn frames_do_not_depend_on_reads(input: &[u8]) {
    let Some((reads, stream)) = input.split_first_chunk::<4>() else {
        return;
    };
    let whole = cut([stream].into_iter());
    let mut lengths = reads.iter().cycle().map(|read| usize::from(*read) + 1);
    let mut left = stream;
    let pieces = std::iter::from_fn(|| {
        let (piece, rest) = left.split_at(left.len().min(lengths.next()?));
        left = rest;
        (!piece.is_empty()).then_some(piece)
    });
    let (frames, error, rest) = cut(pieces);
    assert_eq!((&frames, error), (&whole.0, whole.1));
    let read: usize = frames.iter().map(Bytes::len).sum::<usize>() + rest.len();
    assert_eq!([&frames.concat(), &rest[..]].concat(), stream[..read]);
    assert!(error.is_some() || rest == whole.2);
}

fn cut<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Cut {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match Framer.next(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error), buffer.freeze()),
            }
        }
        let missing = Framer.missing(&buffer);
        assert!(missing > 0 && buffer.len() + missing <= usize::from(u16::MAX));
    }
    (frames, None, buffer.freeze())
}

/// A frame of OpenFlow 1.3: `kind`, its true length, an xid, and `body`.
pub(crate) fn frame(kind: u8, body: &[u8]) -> Bytes {
    let length = (HEADER + body.len()) as u16;
    let header = [&[4, kind][..], &length.to_be_bytes(), &[0, 0, 0, 1]].concat();
    [&header[..], body].concat().into()
}

/// What is decoded can be encoded, is not blown up by that, and is decoded as it was, from then on byte for byte.
/// A refusal points into the frame. The first byte of the input is the message's type.
pub(crate) fn what_is_decoded_survives(input: &[u8]) {
    let Some((kind, body)) = input.split_first().filter(|_| input.len() <= LONGEST) else {
        return;
    };
    let frame = frame(*kind, body);
    match Message::decode(&frame) {
        Err(error) => assert!(error.offset <= frame.len(), "{error}"),
        Ok((xid, message)) => {
            let again = encode(xid, &message);
            assert!(again.len() <= 3 * frame.len() + 1024, "{}", again.len());
            let decoded = Message::decode(&again);
            assert_eq!(decoded.as_ref(), Ok(&(xid, message)));
            assert_eq!(decoded.map(|(xid, same)| encode(xid, &same)), Ok(again));
        }
    }
}

fn encode(xid: Xid, message: &Message) -> Bytes {
    let mut buffer = BytesMut::new();
    message.encode(xid, &mut buffer).unwrap();
    buffer.freeze()
}

/// The text of a part of what is decoded is one line, that of the whole has no other control characters than ends of
/// lines, and neither is out of all proportion. The first byte of the input chooses the message's type: one whose parts have
/// a text of their own, or, above 127, any.
pub(crate) fn what_is_decoded_has_a_text(input: &[u8]) {
    let Some((choice, body)) = input.split_first().filter(|_| input.len() <= LONGEST) else {
        return;
    };
    let kind = choice.checked_sub(128);
    let kind = kind.unwrap_or(WITH_TEXT[usize::from(*choice) % WITH_TEXT.len()]);
    let frame = frame(kind, body);
    let Ok((xid, message)) = Message::decode(&frame) else {
        return;
    };
    let whole = message.print(xid).to_string();
    let control = |character: char| character.is_control() && character != '\n';
    assert!(!whole.contains(control), "{whole:?}");
    assert!(whole.len() <= 64 * frame.len() + 2048, "{whole}");
    for text in texts(&message) {
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(text.len() <= 64 * frame.len(), "{text}");
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "few messages have a text of their own"
)]
fn texts(message: &Message) -> Vec<String> {
    match message {
        Message::FlowMod(flow) => vec![flow.to_string()],
        Message::GroupMod(group) => vec![group.to_string()],
        Message::MeterMod(meter) => vec![meter.to_string()],
        Message::MultipartReply(reply) => match &reply.body {
            MultipartBody::Flow(flows) => flows
                .iter()
                .flat_map(|flow| [flow.to_string(), format!("{flow:#}")])
                .collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
