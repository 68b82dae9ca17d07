//! Neighbor Discovery options (RFC 4861 §4.6): reading them one by one, and the options that advertisements carry.

use crate::answer::Malformed;

/// Source link-layer address (RFC 4861 §4.6.1).
pub const SOURCE_LINK_LAYER: u8 = 1;
/// Prefix information (RFC 4861 §4.6.2).
pub const PREFIX_INFORMATION: u8 = 3;
/// MTU (RFC 4861 §4.6.4).
pub const MTU: u8 = 5;
/// Route information (RFC 4191 §2.3).
pub const ROUTE_INFORMATION: u8 = 24;
/// Recursive DNS servers (RFC 8106 §5.1).
pub const RDNSS: u8 = 25;
/// DNS search list (RFC 8106 §5.2).
pub const DNSSL: u8 = 31;
/// Captive portal (RFC 8910 §2.3).
pub const CAPTIVE_PORTAL: u8 = 37;
/// NAT64 prefix (RFC 8781 §4).
pub const PREF64: u8 = 38;

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NdOption<'a> {
    /// Its type.
    pub kind: u8,
    /// What follows type and length.
    pub value: &'a [u8],
}

/// The options of a message, in their order. Ends after the first that is malformed.
#[derive(Clone, Debug)]
pub struct NdOptions<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> NdOptions<'a> {
    /// The options in `bytes`, which begin `offset` octets into the frame.
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset }
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
