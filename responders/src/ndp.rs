//! What the messages of Neighbor Discovery share (RFC 4861): their validity checks, and their options (§4.6).

use crate::answer::Malformed;
use crate::frame::{ETHERNET_LEN, Icmpv6Message, Ipv6Packet};
use sextant_model::MacAddr;
use std::net::Ipv6Addr;

/// Offsets in the frame, to report where a message is malformed.
const HOP_LIMIT_AT: usize = ETHERNET_LEN + 7;
/// The offset of the IPv6 source.
pub(crate) const SOURCE_AT: usize = ETHERNET_LEN + 8;

/// Source link-layer address (RFC 4861 §4.6.1).
pub const SOURCE_LINK_LAYER: u8 = 1;
/// Target link-layer address (RFC 4861 §4.6.1).
pub const TARGET_LINK_LAYER: u8 = 2;
/// MTU (RFC 4861 §4.6.4).
pub const MTU: u8 = 5;

/// The fixed fields after the checksum, and the options, of a valid message. RFC 4861 (§6.1, §7.1) requires hop limit
/// 255, code 0 and complete fields. The checksum was checked before.
pub(crate) fn validate<'a, const FIELDS: usize>(
    packet: &Ipv6Packet<'a>,
    message: &Icmpv6Message<'a>,
) -> Result<(&'a [u8; FIELDS], NdOptions<'a>), Malformed> {
    if packet.hop_limit != 255 {
        return Err(Malformed::new(HOP_LIMIT_AT, "hop limit is not 255"));
    }
    if message.code != 0 {
        return Err(Malformed::new(message.offset - 3, "code is not 0"));
    }
    let (fields, options) = message
        .body
        .split_first_chunk()
        .ok_or_else(|| Malformed::new(message.offset, "shorter than its fixed fields"))?;
    Ok((fields, NdOptions::new(options, message.offset + FIELDS)))
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NdOption<'a> {
    /// Its type.
    pub kind: u8,
    /// What follows type and length.
    pub value: &'a [u8],
}

impl NdOption<'_> {
    /// The Ethernet address of a link-layer address option (RFC 2464 §6).
    pub(crate) fn mac(self) -> Result<MacAddr, &'static str> {
        let octets = self.value.try_into();
        let mac = MacAddr(octets.map_err(|_| "link-layer address is not 6 octets long")?);
        match is_station(mac) {
            true => Ok(mac),
            false => Err("link-layer address is no single station's"),
        }
    }
}

/// Appends a link-layer address option.
pub(crate) fn put_mac(out: &mut Vec<u8>, kind: u8, mac: MacAddr) {
    out.extend([kind, 1]);
    out.extend(mac.0);
}

/// Whether this is the address of one interface, to which frames can be sent.
pub(crate) fn is_station(mac: MacAddr) -> bool {
    !mac.is_multicast() && mac.0 != [0; 6]
}

/// The Ethernet address of an IPv6 multicast group (RFC 2464 §7).
pub(crate) fn multicast_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

/// The options of a message, in order. They end after the first malformed one.
#[derive(Clone, Debug)]
pub struct NdOptions<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> NdOptions<'a> {
    /// The options in `bytes`, which begin `offset` octets into the frame.
    #[must_use]
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset }
    }

    /// Where in the frame the next option begins.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    fn step(&mut self) -> Result<NdOption<'a>, &'static str> {
        let &[kind, units] = self.bytes.first_chunk().ok_or("option header cut short")?;
        if units == 0 {
            return Err("option of length zero");
        }
        let (option, rest) = self
            .bytes
            .split_at_checked(usize::from(units) * 8)
            .ok_or("option past the message's end")?;
        self.bytes = rest;
        self.offset += option.len();
        let value = &option[2..];
        Ok(NdOption { kind, value })
    }
}

impl<'a> Iterator for NdOptions<'a> {
    type Item = Result<NdOption<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let offset = self.offset;
        Some(self.step().map_err(|reason| {
            self.bytes = &[];
            Malformed { offset, reason }
        }))
    }
}
