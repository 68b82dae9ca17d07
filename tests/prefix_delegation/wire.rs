//! DHCPv6 as it passes on the link outside (RFC 9915 §7.3).

use sextant_lab::story::Failure;
use sextant_lab::{Capture, LabError, OutsideRouter};

pub(crate) const SOLICIT: u8 = 1;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const RENEW: u8 = 5;
pub(crate) const REBIND: u8 = 6;
pub(crate) const RELEASE: u8 = 8;

/// A message of a client, as tshark reads it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// In seconds since 1970.
    pub(crate) at: f64,
    pub(crate) kind: u8,
    /// The octets of the client's DUID, in hexadecimal.
    pub(crate) client: String,
    /// In hexadecimal, without leading zeros.
    pub(crate) iaid: String,
}

/// Captures what clients send of these kinds.
pub(crate) fn sent(edge: &OutsideRouter, kinds: &[u8]) -> Result<Capture, LabError> {
    edge.capture(&filter("dst", kinds))
}

/// The message type follows the headers of IPv6 and UDP.
fn filter(direction: &str, kinds: &[u8]) -> String {
    let kinds: Vec<String> = kinds
        .iter()
        .map(|kind| format!("ip6[48] == {kind}"))
        .collect();
    format!("udp {direction} port 547 and ({})", kinds.join(" or "))
}

/// Ends a capture of what clients send.
pub(crate) fn messages(capture: Capture) -> Result<Vec<Message>, Failure> {
    let fields = [
        "frame.time_epoch",
        "dhcpv6.msgtype",
        "dhcpv6.duid.bytes",
        "dhcpv6.iaid",
    ];
    let rows = capture.stop()?.fields("", &fields)?;
    let read = |row: &Vec<String>| {
        // The client's DUID is the first (§16), the server's may follow.
        let client = row[2].split(',').next()?.replace(':', "");
        let iaid = row[3].trim_start_matches("0x").replace(':', "");
        Some(Message {
            at: row[0].parse().ok()?,
            kind: row[1].parse().ok()?,
            client,
            iaid: iaid.trim_start_matches('0').to_owned(),
        })
    };
    let messages = rows.iter().map(|row| {
        let unread = || Failure::Observed(format!("no message of a client: {row:?}"));
        read(row).ok_or_else(unread)
    });
    messages.collect()
}

/// The DUID that Neutron's client has for a subnet: DUID-EN of the enterprise 8888 with the subnet's id (RFC 9915 §11.3). Its
/// octets in hexadecimal, with this between them.
pub(crate) fn duid(subnet_id: &str, between: &str) -> String {
    let text = format!("0002000022b8{}", subnet_id.replace('-', ""));
    let octets: Vec<&str> = (0..text.len())
        .step_by(2)
        .filter_map(|at| text.get(at..at + 2))
        .collect();
    octets.join(between)
}
