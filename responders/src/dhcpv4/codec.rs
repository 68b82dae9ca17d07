//! The format of messages (RFC 2131 §2): the fields of BOOTP, then options as code, length, value.
//!
//! ```text
//!  0                   1                   2                   3
//! |     op (1)    |   htype (1)   |   hlen (1)    |   hops (1)    |
//! |                            xid (4)                            |
//! |           secs (2)            |           flags (2)           |
//! |           ciaddr (4), yiaddr (4), siaddr (4), giaddr (4)      |
//! |       chaddr (16), sname (64), file (128)                     |
//! |   99  |  130  |   83  |   99  |   options …                   |
//! ```
//!
//! Options are read in place, in order. Option 52 may say that `file` and then `sname` contain more options (RFC 2131
//! §4.1). So there are at most three areas, each read once. An area ends after its first malformed option. Several
//! instances of an option are not joined here.

use super::option;
use crate::answer::Malformed;
use std::net::Ipv4Addr;

/// Octets of the fields before the magic cookie.
pub const FIELDS_LEN: usize = 236;
/// What tells options from BOOTP's vendor information (RFC 2132 §2).
pub const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
/// `op` of messages from clients.
pub const BOOT_REQUEST: u8 = 1;
/// `op` of messages from servers.
pub const BOOT_REPLY: u8 = 2;
/// The flag of a client that cannot yet receive unicast (RFC 2131 §2).
pub const BROADCAST: u16 = 0x8000;
const SERVER_NAME_AT: usize = 44;
const BOOT_FILE_AT: usize = 108;

/// The type of a message (RFC 2132 §9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Dhcpv4MessageType {
    /// A client looks for servers.
    Discover = 1,
    /// A server offers.
    Offer = 2,
    /// A client asks for the offered address, or whether its address is still right.
    Request = 3,
    /// A client found its address in use by another.
    Decline = 4,
    /// A server agrees.
    Ack = 5,
    /// A server refuses.
    Nak = 6,
    /// A client gives up its lease.
    Release = 7,
    /// A client asks for configuration only.
    Inform = 8,
}

impl Dhcpv4MessageType {
    const ALL: [Self; 8] = [
        Self::Discover,
        Self::Offer,
        Self::Request,
        Self::Decline,
        Self::Ack,
        Self::Nak,
        Self::Release,
        Self::Inform,
    ];

    /// The type with this number, if there is one.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Offer => "offer",
            Self::Request => "request",
            Self::Decline => "decline",
            Self::Ack => "ack",
            Self::Nak => "nak",
            Self::Release => "release",
            Self::Inform => "inform",
        }
    }
}

/// A message, its options still unread.
#[derive(Clone, Copy, Debug)]
pub struct Dhcpv4Message<'a> {
    /// [`BOOT_REQUEST`] or [`BOOT_REPLY`].
    pub op: u8,
    /// Hardware type; 1 is Ethernet.
    pub hardware_type: u8,
    /// Octets of the hardware address that are used.
    pub hardware_len: u8,
    /// Relay agents passed.
    pub hops: u8,
    /// Chosen by the client, repeated in the answer.
    pub transaction: [u8; 4],
    /// For how long the client has been trying, in seconds.
    pub seconds: u16,
    /// [`BROADCAST`], or nothing.
    pub flags: u16,
    /// `ciaddr`: the client's address, if it has one and answers ARP.
    pub client: Ipv4Addr,
    /// `yiaddr`: the address that the client is given.
    pub yours: Ipv4Addr,
    /// `siaddr`: the server to boot from.
    pub next_server: Ipv4Addr,
    /// `giaddr`: the relay agent.
    pub relay: Ipv4Addr,
    /// `chaddr`.
    pub hardware_address: [u8; 16],
    /// `sname`.
    pub server_name: &'a [u8; 64],
    /// `file`.
    pub boot_file: &'a [u8; 128],
    /// The options, those in `file` and `sname` too.
    pub options: RawDhcpv4Options<'a>,
}

impl<'a> Dhcpv4Message<'a> {
    /// Reads the message in `bytes`, which begins `offset` octets after the point that offsets count from.
    ///
    /// # Errors
    /// It is shorter than its fields, or BOOTP without the magic cookie.
    pub fn parse(bytes: &'a [u8], offset: usize) -> Result<Self, Malformed> {
        let Some((fields, rest)) = bytes.split_first_chunk::<FIELDS_LEN>() else {
            let reason = "DHCPv4 message shorter than its fields";
            return Err(Malformed::new(offset, reason));
        };
        let Some(options) = rest.strip_prefix(&MAGIC_COOKIE) else {
            return Err(Malformed::new(offset + FIELDS_LEN, "no magic cookie"));
        };
        let server_name = array(fields, SERVER_NAME_AT);
        let boot_file = array(fields, BOOT_FILE_AT);
        Ok(Self {
            op: fields[0],
            hardware_type: fields[1],
            hardware_len: fields[2],
            hops: fields[3],
            transaction: *array(fields, 4),
            seconds: u16::from_be_bytes(*array(fields, 8)),
            flags: u16::from_be_bytes(*array(fields, 10)),
            client: Ipv4Addr::from(*array::<4>(fields, 12)),
            yours: Ipv4Addr::from(*array::<4>(fields, 16)),
            next_server: Ipv4Addr::from(*array::<4>(fields, 20)),
            relay: Ipv4Addr::from(*array::<4>(fields, 24)),
            hardware_address: *array(fields, 28),
            server_name,
            boot_file,
            options: RawDhcpv4Options {
                area: Area {
                    bytes: options,
                    offset: offset + FIELDS_LEN + MAGIC_COOKIE.len(),
                },
                boot_file: Area {
                    bytes: boot_file,
                    offset: offset + BOOT_FILE_AT,
                },
                server_name: Area {
                    bytes: server_name,
                    offset: offset + SERVER_NAME_AT,
                },
                left: Overload::None,
                told: false,
            },
        })
    }

    /// Appends the fields and the magic cookie.
    pub fn put_fields(&self, out: &mut Vec<u8>) {
        let addresses = [self.client, self.yours, self.next_server, self.relay];
        out.extend([self.op, self.hardware_type, self.hardware_len, self.hops]);
        out.extend(self.transaction);
        out.extend(self.seconds.to_be_bytes());
        out.extend(self.flags.to_be_bytes());
        addresses
            .iter()
            .for_each(|address| out.extend(address.octets()));
        out.extend(self.hardware_address);
        out.extend(self.server_name);
        out.extend(self.boot_file);
        out.extend(MAGIC_COOKIE);
    }
}

/// `N` octets at a place in the fields. All callers pass constants of the format that are inside.
fn array<const N: usize>(fields: &[u8; FIELDS_LEN], at: usize) -> &[u8; N] {
    const { assert!(N <= 128) };
    fields[at..].first_chunk().unwrap_or(&[0; N])
}

/// Which BOOTP fields contain options (RFC 2132 §9.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overload {
    /// None.
    #[default]
    None,
    /// `file`.
    BootFile,
    /// `sname`.
    ServerName,
    /// Both, `file` first.
    Both,
}

impl Overload {
    /// The value of option 52.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::BootFile),
            2 => Some(Self::ServerName),
            3 => Some(Self::Both),
            _ => None,
        }
    }
}

/// One option, its value still unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawDhcpv4Option<'a> {
    /// Its code.
    pub code: u8,
    /// Its value.
    pub value: &'a [u8],
    /// Where the value begins.
    pub offset: usize,
}

/// Octets that hold options.
#[derive(Clone, Copy, Debug)]
struct Area<'a> {
    bytes: &'a [u8],
    offset: usize,
}

/// The options of a message.
#[derive(Clone, Copy, Debug)]
pub struct RawDhcpv4Options<'a> {
    area: Area<'a>,
    boot_file: Area<'a>,
    server_name: Area<'a>,
    /// The areas still to be read.
    left: Overload,
    /// Whether option 52 was read: it counts once, and only in the first area.
    told: bool,
}

impl<'a> RawDhcpv4Options<'a> {
    /// The octets of the current area that are still unread.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.area.bytes
    }

    /// Goes on to the next area, if there is one.
    fn next_area(&mut self) -> Option<()> {
        self.told = true;
        (self.area, self.left) = match self.left {
            Overload::None => return None,
            Overload::BootFile => (self.boot_file, Overload::None),
            Overload::ServerName => (self.server_name, Overload::None),
            Overload::Both => (self.boot_file, Overload::ServerName),
        };
        Some(())
    }

    /// Notes option 52.
    fn overload(&mut self, raw: RawDhcpv4Option<'a>) {
        if !std::mem::replace(&mut self.told, true) {
            let number = raw.value.first().copied().unwrap_or_default();
            self.left = Overload::from_u8(number).unwrap_or_default();
        }
    }
}

impl<'a> Iterator for RawDhcpv4Options<'a> {
    type Item = Result<RawDhcpv4Option<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.area.next() {
                Some(Ok(raw)) => {
                    if raw.code == option::OVERLOAD {
                        self.overload(raw);
                    }
                    return Some(Ok(raw));
                }
                Some(Err(malformed)) => return Some(Err(malformed)),
                None => self.next_area()?,
            }
        }
    }
}

impl<'a> Iterator for Area<'a> {
    type Item = Result<RawDhcpv4Option<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((&option::PAD, rest)) = self.bytes.split_first() {
            self.advance(rest);
        }
        let (&code, rest) = self.bytes.split_first()?;
        if code == option::END {
            self.advance(&[]);
            return None;
        }
        let offset = self.offset;
        match split(rest) {
            Ok((value, tail)) => {
                self.advance(tail);
                let offset = offset + 2;
                Some(Ok(RawDhcpv4Option {
                    code,
                    value,
                    offset,
                }))
            }
            Err(reason) => {
                self.advance(&[]);
                Some(Err(Malformed { offset, reason }))
            }
        }
    }
}

impl<'a> Area<'a> {
    fn advance(&mut self, rest: &'a [u8]) {
        self.offset += self.bytes.len() - rest.len();
        self.bytes = rest;
    }
}

/// The value after a code, and the rest after the value.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (&length, rest) = bytes.split_first().ok_or("option without length")?;
    rest.split_at_checked(usize::from(length))
        .ok_or("option past the end of what contains it")
}

/// Appends an option whose value `write` appends. A value of more than 255 octets becomes several instances, to be
/// joined by the reader (RFC 3396 §5).
pub fn put_option(out: &mut Vec<u8>, code: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([code, 0]);
    write(out);
    match u8::try_from(out.len() - start - 2) {
        Ok(length) => out[start + 1] = length,
        Err(_) => {
            let value = out.split_off(start + 2);
            out.truncate(start);
            for part in value.chunks(255) {
                out.extend([code, part.len() as u8]);
                out.extend_from_slice(part);
            }
        }
    }
}
