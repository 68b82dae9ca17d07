//! Writes pcapng (draft-ietf-opsawg-pcapng): a section with one interface, and a block a frame.

use sextant_model::FrameDirection;

/// `LINKTYPE_ETHERNET`.
const ETHERNET: u16 = 1;
/// The type of blocks.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
/// The types of options.
const IF_NAME: u16 = 2;
const EPB_FLAGS: u16 = 2;
const SHB_USERAPPL: u16 = 4;

/// What a file begins with: who wrote it, and the interface with its name.
pub(super) fn head(name: &str, snaplen: u32) -> Vec<u8> {
    let mut section = Vec::new();
    section.extend(0x1a2b_3c4d_u32.to_le_bytes());
    section.extend(1_u16.to_le_bytes());
    section.extend(0_u16.to_le_bytes());
    // The length of the section is not known.
    section.extend(u64::MAX.to_le_bytes());
    section.extend(option(SHB_USERAPPL, b"Sextant"));
    section.extend(option(0, &[]));
    let mut interface = Vec::new();
    interface.extend(ETHERNET.to_le_bytes());
    interface.extend(0_u16.to_le_bytes());
    interface.extend(snaplen.to_le_bytes());
    interface.extend(option(IF_NAME, name.as_bytes()));
    interface.extend(option(0, &[]));
    [block(SECTION, &section), block(INTERFACE, &interface)].concat()
}

/// A frame: when it came by, in microseconds since 1970, which way, how long it was, and its first octets.
pub(super) fn frame(at: u64, direction: FrameDirection, length: u32, octets: &[u8]) -> Vec<u8> {
    // As the guest sees it.
    let flags: u32 = match direction {
        FrameDirection::ToGuest => 1,
        FrameDirection::FromGuest => 2,
    };
    let kept = u32::try_from(octets.len()).unwrap_or(u32::MAX);
    let [high, low] = [at >> 32, at & u64::from(u32::MAX)];
    let mut packet = Vec::new();
    packet.extend(0_u32.to_le_bytes());
    for half in [high, low] {
        packet.extend(u32::try_from(half).unwrap_or(u32::MAX).to_le_bytes());
    }
    packet.extend(kept.to_le_bytes());
    packet.extend(length.to_le_bytes());
    packet.extend(padded(octets));
    packet.extend(option(EPB_FLAGS, &flags.to_le_bytes()));
    packet.extend(option(0, &[]));
    block(PACKET, &packet)
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    const AROUND: usize = 12;
    let length = u32::try_from(body.len() + AROUND).unwrap_or(u32::MAX);
    let [kind, length] = [kind, length].map(u32::to_le_bytes);
    [&kind[..], &length, body, &length].concat()
}

fn option(kind: u16, value: &[u8]) -> Vec<u8> {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    [
        &kind.to_le_bytes()[..],
        &length.to_le_bytes(),
        &padded(value),
    ]
    .concat()
}

/// To a multiple of 32 bits.
fn padded(octets: &[u8]) -> Vec<u8> {
    let mut padded = octets.to_vec();
    padded.resize(octets.len().next_multiple_of(4), 0);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_says_its_length_before_and_after_and_is_padded() {
        let mut file = head("port-1", 262);
        file.extend(frame(
            0x1_0000_0002,
            FrameDirection::FromGuest,
            60,
            b"abcde",
        ));
        let (mut rest, mut kinds) = (&file[..], vec![]);
        while !rest.is_empty() {
            let [kind, length] = [0, 4].map(|at| {
                let octets = rest[at..at + 4].try_into().unwrap();
                u32::from_le_bytes(octets)
            });
            let (block, after) = rest.split_at(length as usize);
            assert_eq!(block[block.len() - 4..], length.to_le_bytes());
            assert_eq!(length % 4, 0);
            kinds.push(kind);
            rest = after;
        }
        assert_eq!(kinds, [SECTION, INTERFACE, PACKET]);
        let packet = &file[file.len() - 4 - 12 - 8 - 20..];
        let expected = [
            &[0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0][..],
            &[5, 0, 0, 0, 60, 0, 0, 0],
            b"abcde\0\0\0",
            &[2, 0, 4, 0, 2, 0, 0, 0],
            &[0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(packet[..expected.len()], expected);
    }
}
