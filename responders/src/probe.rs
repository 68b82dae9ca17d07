//! Probes of tunnels, octet by octet: Ethernet, a magic number, the probe's own number, and zeros up to its length.

use crate::answer::{Answer, Learned, Outcome, PacketVerdict};
use sextant_model::{PROBE_ETHERTYPE, PROBE_MAC};

/// Ethernet's header in octets.
pub const ETHERNET: usize = 14;
/// `sextant\0`.
const MAGIC: [u8; 8] = *b"sextant\0";
const NAME: &str = "probe";

/// A frame with this number, as long as one with an IP packet of `length` octets. It is at least 60 octets long, the
/// shortest frame of Ethernet.
#[must_use]
pub fn frame(number: u64, length: u16) -> Vec<u8> {
    const SHORTEST: usize = 60;
    let mut frame = Vec::new();
    frame.extend(PROBE_MAC.0);
    frame.extend(PROBE_MAC.0);
    frame.extend(PROBE_ETHERTYPE.to_be_bytes());
    frame.extend(MAGIC);
    frame.extend(number.to_be_bytes());
    let length = ETHERNET + usize::from(length);
    frame.resize(length.max(SHORTEST), 0);
    frame
}

/// The number of a probe. `None`: the frame is none.
#[must_use]
pub fn number(frame: &[u8]) -> Option<u64> {
    let content = frame.get(ETHERNET..)?;
    let number = content.strip_prefix(&MAGIC)?.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*number))
}

/// A probe has arrived. Who sent it waits for it.
pub(crate) fn arrived(frame: &[u8]) -> Answer {
    match number(frame) {
        Some(number) => Answer {
            frames: vec![],
            outcome: Outcome {
                message: NAME,
                verdict: PacketVerdict::Noted,
            },
            learned: vec![Learned::Probe(number)],
        },
        None => Answer::ignored("frame", "it is no probe"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_has_its_number_and_its_length() {
        for length in [0, 46, 47, 1280, 9000] {
            let frame = frame(0x0102_0304_0506_0708, length);
            assert_eq!(number(&frame), Some(0x0102_0304_0506_0708));
            assert_eq!(frame.len(), 14 + usize::from(length).max(46));
            for short in 0..30 {
                assert_eq!(number(&frame[..short]), None, "{short} octets");
            }
        }
    }

    #[test]
    fn other_frames_are_none() {
        assert_eq!(number(&[0; 100]), None);
        assert!(arrived(&[0; 100]).learned.is_empty());
        assert_eq!(arrived(&frame(7, 100)).learned, [Learned::Probe(7)]);
    }
}
