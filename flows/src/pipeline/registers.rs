//! The registers: one row each, with its bits and the stages between which they have a meaning.
//!
//! Two registers may share bits if one is read for the last time before the other is set. The compiler checks that. A
//! test checks that flows set and read registers only between their stages.

use super::Stage;
use rust_openflow::{Action, Field, Match, Subfield};

/// Some bits of Open vSwitch's registers. They have one meaning between two stages.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    /// Its name in the documentation.
    pub name: &'static str,
    /// The field that it is part of.
    pub field: Field,
    /// Its lowest bit in the field.
    pub offset: u16,
    /// How many bits it has.
    pub width: u16,
    /// The first stage whose flows set it.
    pub from: Stage,
    /// The last stage whose flows read it.
    pub to: Stage,
    holds: &'static str,
    /// The width of the field in bits.
    whole: u16,
    /// Its lowest bit among the bits of all registers. `reg0` is the highest (ovs-fields(7), "Registers").
    lowest: u16,
}

/// The number of bits of all registers.
const ALL: u16 = 512;

/// A row: what it holds; constant, name; field, lowest bit, number of bits; first and last stage.
macro_rules! registers {
    ($($(#[doc = $holds:literal])+
       $constant:ident $name:literal = $file:ident $number:literal [$offset:literal; $width:literal],
       $from:ident..=$to:ident;)+) => {
        $($(#[doc = $holds])+ pub const $constant: Register = Register {
            name: $name,
            field: Field::$file($number),
            offset: $offset,
            width: $width,
            from: Stage::$from,
            to: Stage::$to,
            holds: concat!($($holds),+),
            whole: width::$file,
            lowest: ALL - width::$file * ($number + 1) + $offset,
        };)+

        /// All registers.
        pub const REGISTERS: &[Register] = &[$($constant),+];
    };
}

/// The widths of the fields in bits.
#[allow(non_upper_case_globals, reason = "they are named as the fields are")]
mod width {
    pub(super) const reg: u16 = 32;
    pub(super) const xreg: u16 = 64;
    pub(super) const xxreg: u16 = 128;
}

registers! {
    /// The key of the network that the packet is on.
    NETWORK "network" = reg 0 [0; 32], Classify..=IngressRules;
    /// Where the packet came from: 0 the controller, 1 a guest of this hypervisor or a router's gateway here, 2 a
    /// tunnel, 3 a provider network.
    ORIGIN "origin" = reg 1 [0; 32], Classify..=Switch;
    /// The key of the router that the packet is for.
    ROUTER "router" = reg 2 [0; 32], Router..=Switch;
    /// The OpenFlow port that the packet leaves by. 65528 is the port that it came in by.
    OUTPUT "output" = reg 3 [0; 32], Advertise..=Deliver;
    /// The flags of a neighbour advertisement in the making (R, S, O), as in its reserved field. The lowest bit marks
    /// an anycast address.
    ADVERTISED_FLAGS "advertised flags" = reg 4 [0; 32], Outside..=AdvertiseOptions;
    /// The MTU of the network that a packet is routed to, in octets.
    NEXT_MTU "next MTU" = reg 4 [0; 32], Router..=Report;
    /// The tag of a packet from outside, as in `vlan_tci`. An answer gets it again.
    TAG "tag" = reg 5 [0; 16], Classify..=Route;
    /// The number of the chosen next hop, from 0. A hash of addresses and ports chooses it.
    PATH "path" = reg 5 [0; 32], Route..=Path;
    /// The shard of receivers that a copy of the frame is for. The highest bit is 1 if they are on other hypervisors.
    SHARD "shard" = reg 5 [0; 32], Switch..=Replicate;
    /// The MAC that an answer contains.
    ANSWER_MAC "answer's MAC" = xreg 3 [0; 48], Outside..=Advertise;
    /// The type of an advertisement's option, before it is copied into the packet.
    OPTION_TYPE "option type" = xreg 3 [0; 8], AdvertiseOptions..=AdvertiseOptions;
    /// The MAC of the sender of a routed packet.
    SENDER_MAC "sender's MAC" = xreg 3 [0; 48], Router..=NextHop;
    /// 1 if the packet is longer than the next network's MTU.
    LONGER "longer" = reg 6 [31; 1], Outside..=Fit;
    /// An IPv4 address while two addresses are swapped.
    SWAPPED_IPV4 "swapped address" = xxreg 2 [0; 32], Advertise..=Advertise;
    /// The next hop's address. An IPv4 address is `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
    NEXT_HOP "next hop" = xxreg 2 [0; 128], Route..=Report;
    /// The key of the network where the packet came to a router.
    ARRIVED "arrived" = reg 12 [0; 32], Router..=Translate;
    /// Why a router does not forward the packet: 1 hop limit, 2 no route, 3 unreachable, 4 too big, 5 own address, 6 no
    /// holder known.
    PROBLEM "problem" = reg 13 [0; 32], Router..=Report;
    /// The number of the set of security groups whose rules apply.
    POLICY "policy" = xreg 7 [0; 64], Egress..=IngressRules;
}

/// The value of [`OUTPUT`] for answers, which leave by the port that the packet came in by: `IN_PORT` in 16 bits, as Open
/// vSwitch reads it from a register (ovs-actions(7), "The output action").
pub const BACK: u32 = 0xfff8;

/// The values of [`ORIGIN`].
pub mod origin {
    /// Sent by the controller. It goes to local ports only.
    pub const CONTROLLER: u32 = 0;
    /// Sent by a guest of this hypervisor, or routed from or to outside by a gateway here. It may go to other
    /// hypervisors and outside.
    pub const GUEST: u32 = 1;
    /// Came through a tunnel. It goes to local ports only.
    pub const TUNNEL: u32 = 2;
    /// Came from a provider network. It goes to local ports only.
    pub const PROVIDER: u32 = 3;
}

/// The values of [`PROBLEM`].
pub mod problem {
    /// The hop limit ends at the router.
    pub const HOP_LIMIT: u32 = 1;
    /// The router has no route.
    pub const NO_ROUTE: u32 = 2;
    /// Nobody has the next hop's address.
    pub const UNREACHABLE: u32 = 3;
    /// The packet is longer than the next network's MTU.
    pub const TOO_BIG: u32 = 4;
    /// The packet is for the router itself, which does not answer it.
    pub const OWN_ADDRESS: u32 = 5;
    /// The next hop's address is from address pairs, and no port has announced it yet.
    pub const UNHELD: u32 = 6;
}

impl Register {
    /// What it holds.
    #[must_use]
    pub fn holds(&self) -> &'static str {
        self.holds.trim()
    }

    /// Sends the packet out of the port that it holds.
    pub(crate) fn output(&self) -> Action {
        Action::OutputReg {
            src: self.bits(),
            max_len: 0,
        }
    }

    /// Its bits in the field.
    #[must_use]
    pub fn bits(&self) -> Subfield {
        Subfield::new(self.field, self.offset, self.width)
    }

    /// Its text in the syntax of `ovs-ofctl` (ovs-actions(7), "Fields and Subfields").
    #[must_use]
    pub fn subfield(&self) -> String {
        let (field, last) = (self.field.name(), self.offset + self.width - 1);
        match self.width {
            whole if whole == self.whole => field.to_owned(),
            1 => format!("{field}[{last}]"),
            _ => format!("{field}[{}..{last}]", self.offset),
        }
    }

    /// Sets it. A value that is too wide loses its upper bits.
    pub fn set(&self, value: impl Into<u128>) -> Action {
        let value = value.into();
        if self.width == self.whole {
            return Action::set(self.field, value);
        }
        Action::Load {
            value: (value & (self.mask() >> self.offset)) as u64,
            dst: self.bits(),
        }
    }

    /// Copies the lowest bits of a field into it.
    #[must_use]
    pub fn copy_from(&self, field: Field) -> Action {
        Action::Move {
            src: Subfield::new(field, 0, field.bits().min(self.width)),
            dst: Subfield {
                bits: field.bits().min(self.width),
                ..self.bits()
            },
        }
    }

    /// Copies it into a field that has as many bits.
    #[must_use]
    pub fn copy_to(&self, field: Field) -> Action {
        Action::Move {
            src: self.bits(),
            dst: Subfield::whole(field),
        }
    }

    /// Its value in a packet that came up. A switch leaves out registers that are 0, and reports wide ones as narrow
    /// ones.
    #[must_use]
    pub fn read(&self, packet: &Match) -> u128 {
        let first = (ALL - (self.lowest - self.offset) - self.whole) / 32;
        let narrow = (first..first + self.whole / 32).map(|number| Field::reg(number as u8));
        let whole = narrow.fold(0, |wide, field| {
            wide << 32 | packet.value(field).unwrap_or_default()
        });
        let whole = packet.value(self.field).unwrap_or(whole);
        (whole & self.mask()) >> self.offset
    }

    /// The mask of its bits in its field.
    fn mask(&self) -> u128 {
        u128::MAX >> (128 - self.width) << self.offset
    }
}

/// Matches on registers.
pub trait Holding {
    /// Only packets with this value in that register.
    fn holding(self, register: Register, value: impl Into<u128>) -> Self;
}

impl Holding for Match {
    fn holding(self, register: Register, value: impl Into<u128>) -> Self {
        let value = value.into();
        match register.width == register.whole {
            true => self.with(register.field, value),
            false => self.masked(register.field, value << register.offset, register.mask()),
        }
    }
}

/// Whether no two registers share a bit while both have a meaning.
///
/// In the stage where one register is read for the last time, another may be set: a flow reads what it matches before
/// it sets anything.
const fn live_apart(registers: &[Register]) -> bool {
    let mut one = 0;
    while one < registers.len() {
        let mut other = one + 1;
        while other < registers.len() {
            if share_bits(&registers[one], &registers[other])
                && share_life(&registers[one], &registers[other])
            {
                return false;
            }
            other += 1;
        }
        one += 1;
    }
    true
}

const fn share_bits(one: &Register, other: &Register) -> bool {
    one.lowest < other.lowest + other.width && other.lowest < one.lowest + one.width
}

const fn share_life(one: &Register, other: &Register) -> bool {
    let (from, to) = (one.from as u8, one.to as u8);
    let (other_from, other_to) = (other.from as u8, other.to as u8);
    from == other_from || (from < other_to && other_from < to)
}

const _: () = assert!(
    live_apart(REGISTERS),
    "two registers have bits in common while both mean something"
);
