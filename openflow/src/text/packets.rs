//! Packets that switches send up and that are sent out, and the bytes of what has no other text.

use std::fmt::{self, Display, Formatter};

use super::actions::Actions;
use super::matches::{DEFAULT_PRIORITY, describe};
use super::values::Dotted;
use crate::flow_mod::NO_BUFFER;
use crate::packet_in2::{PacketIn2, PacketInFormat};
use crate::packets::{PacketIn, PacketOut};

pub(super) fn packet_in(f: &mut Formatter<'_>, packet: &PacketIn) -> fmt::Result {
    if packet.table.0 != 0 {
        write!(f, " table_id={}", packet.table)?;
    }
    if packet.cookie.0 != u64::MAX {
        write!(f, " cookie={}", packet.cookie)?;
    }
    write!(f, " total_len={} ", packet.total_len)?;
    write!(
        f,
        "{} (via {})",
        describe(&packet.matches, DEFAULT_PRIORITY),
        packet.reason
    )?;
    write!(f, " data_len={}", packet.data.len())?;
    let (whole, here) = (usize::from(packet.total_len), packet.data.len());
    match packet.buffer_id {
        NO_BUFFER => f.write_str(" (unbuffered)")?,
        buffer => write!(f, " buffer={buffer:#010x}")?,
    }
    f.write_str(parts(packet.buffer_id == NO_BUFFER, whole, here))?;
    write!(f, "\n{}", Dump(&packet.data))
}

/// How a packet's length contradicts the octets that came of it.
fn parts(unbuffered: bool, whole: usize, here: usize) -> &'static str {
    if unbuffered && whole != here {
        " (***total_len != data_len***)"
    } else if !unbuffered && whole < here {
        " (***total_len < data_len***)"
    } else {
        ""
    }
}

pub(super) fn packet_in2(f: &mut Formatter<'_>, packet: &PacketIn2) -> fmt::Result {
    if let Some(table) = packet.table.filter(|table| table.0 != 0) {
        write!(f, " table_id={table}")?;
    }
    if let Some(cookie) = packet.cookie {
        write!(f, " cookie={cookie}")?;
    }
    let whole = packet
        .full_length
        .map_or(packet.data.len(), |length| length as usize);
    write!(
        f,
        " total_len={whole} {}",
        describe(&packet.metadata, DEFAULT_PRIORITY)
    )?;
    if let Some(reason) = packet.reason {
        write!(f, " (via {reason})")?;
    }
    write!(f, " data_len={}", packet.data.len())?;
    match packet.buffer_id {
        None => f.write_str(" (unbuffered)")?,
        Some(buffer) => write!(f, " buffer={buffer:#010x}")?,
    }
    f.write_str(parts(packet.buffer_id.is_none(), whole, packet.data.len()))?;
    if !packet.userdata.is_empty() {
        write!(f, "\n userdata={}", Dotted(&packet.userdata))?;
    }
    if !packet.continuation.is_empty() {
        write!(f, "\n continuation={}", Dotted(&packet.continuation))?;
    }
    write!(f, "\n{}", Dump(&packet.data))
}

pub(super) fn packet_out(f: &mut Formatter<'_>, packet: &PacketOut) -> fmt::Result {
    let actions = Actions(&packet.actions);
    write!(f, " in_port={} actions={actions}", packet.in_port)?;
    match packet.buffer_id {
        NO_BUFFER => write!(f, " data_len={}\n{}", packet.data.len(), Dump(&packet.data)),
        buffer => write!(f, " buffer={buffer:#010x}"),
    }
}

pub(super) fn format_name(format: PacketInFormat) -> &'static str {
    match format {
        PacketInFormat::Standard => "standard",
        PacketInFormat::Nicira => "nxt_packet_in",
        PacketInFormat::Nicira2 => "nxt_packet_in2",
    }
}

/// Bytes as `ovs_hex_dump()` prints them: sixteen a line, with what is text beside them.
pub(super) struct Dump<'a>(pub(super) &'a [u8]);

impl Display for Dump<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (number, line) in self.0.chunks(16).enumerate() {
            write!(f, "{:08x} ", 16 * number)?;
            for place in 0..16 {
                let between = if place == 8 && line.len() >= 8 {
                    '-'
                } else {
                    ' '
                };
                match line.get(place) {
                    Some(byte) => write!(f, "{between}{byte:02x}")?,
                    None => write!(f, "{between}  ")?,
                }
            }
            let text: String = line.iter().map(|byte| printable(*byte)).collect();
            writeln!(f, " |{text:16}|")?;
        }
        Ok(())
    }
}

fn printable(byte: u8) -> char {
    match byte {
        b' '..=b'~' => char::from(byte),
        _ => '.',
    }
}
