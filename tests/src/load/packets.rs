//! What guests ask, and whether an answer is right: frames built and read here, by none of the
//! code that is measured.

use std::net::Ipv6Addr;

const ETHERNET: usize = 14;
const IPV6: usize = 40;
const ICMPV6: u8 = 58;
const UDP: u8 = 17;
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// What a guest asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// A Router Solicitation (RFC 4861 §4.1); an advertisement to the guest answers it.
    RouterSolicitation,
    /// A DHCPv6 Solicit for one address (RFC 9915 §18.2.1); an Advertise with the guest's address
    /// answers it.
    Solicit,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// Its Ethernet address.
    pub(crate) mac: [u8; 6],
    /// The address that the API shows on its port.
    pub(crate) address: Ipv6Addr,
}

impl Asker {
    /// EUI-64 (RFC 4291, appendix A).
    fn link_local(&self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.mac;
        let identifier = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
        Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(identifier))
    }

    fn end(&self) -> End {
        (self.mac, self.link_local())
    }

    fn duid(&self) -> Vec<u8> {
        [&[0, 3, 0, 1], &self.mac[..]].concat()
    }
}

impl Question {
    /// The Ethernet frame in which a guest asks it.
    pub(crate) fn frame(self, guest: &Asker) -> Vec<u8> {
        match self {
            Self::RouterSolicitation => {
                let mut body = vec![133, 0, 0, 0, 0, 0, 0, 0, 1, 1];
                body.extend(guest.mac);
                let (from, to) = (guest.end(), multicast(ALL_ROUTERS));
                frame(from, to, (ICMPV6, 255, 2), body)
            }
            Self::Solicit => {
                let mut body = vec![0x02, 0x22, 0x02, 0x23, 0, 0, 0, 0, 1, 0x5e, 0x87, 0x7a];
                put_option(&mut body, 1, &guest.duid());
                put_option(&mut body, 3, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
                put_option(&mut body, 6, &[0, 23, 0, 24]);
                put_option(&mut body, 8, &[0, 0]);
                let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
                body[4..6].copy_from_slice(&length.to_be_bytes());
                let (from, to) = (guest.end(), multicast(ALL_DHCP_SERVERS));
                frame(from, to, (UDP, 64, 6), body)
            }
        }
    }

    /// Whether a frame is what the guest waits for; else what is wrong with it.
    pub(crate) fn check(self, guest: &Asker, frame: &[u8]) -> Result<(), &'static str> {
        let body = opened(guest, frame)?;
        match self {
            Self::RouterSolicitation => check_advertisement(guest, frame, body),
            Self::Solicit => check_advertise(guest, frame, body),
        }
    }
}

fn put_option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_be_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend(value);
}

/// The least that answers a Router Solicitation: lifetime, prefix and link-layer address.
pub(crate) fn advertisement(guest: &Asker) -> Vec<u8> {
    let mac = [2, 0, 0, 0, 0, 1];
    let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let mut body = vec![134, 0, 0, 0, 64, 0, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    body.extend(mac);
    body.extend([3, 4, 64, 0xc0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    body.extend(&guest.address.octets()[..8]);
    body.extend([0; 8]);
    frame((mac, router), guest.end(), (ICMPV6, 255, 2), body)
}

/// The least that answers a Solicit: both DUIDs and the address.
pub(crate) fn advertise(guest: &Asker) -> Vec<u8> {
    let mac = [2, 0, 0, 0, 0, 1];
    let server = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let mut body = vec![0x02, 0x23, 0x02, 0x22, 0, 0, 0, 0, 2, 0x5e, 0x87, 0x7a];
    put_option(&mut body, 1, &guest.duid());
    put_option(&mut body, 2, &[&[0, 3, 0, 1], &mac[..]].concat());
    let mut association = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let lifetimes = [0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10];
    let address = [&guest.address.octets()[..], &lifetimes].concat();
    put_option(&mut association, 5, &address);
    put_option(&mut body, 3, &association);
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    body[4..6].copy_from_slice(&length.to_be_bytes());
    frame((mac, server), guest.end(), (UDP, 64, 6), body)
}

/// An Ethernet and an IPv6 address.
type End = ([u8; 6], Ipv6Addr);

/// RFC 2464 §7.
fn multicast(address: Ipv6Addr) -> End {
    let [.., a, b, c, d] = address.octets();
    ([0x33, 0x33, a, b, c, d], address)
}

/// A frame; of its body are given the protocol, the hop limit and where the checksum is.
fn frame(from: End, to: End, (next, hops, at): (u8, u8, usize), mut body: Vec<u8>) -> Vec<u8> {
    let checksum = match !sum(from.1, to.1, next, &body) {
        // In UDP zero means none (RFC 768).
        0 if next == UDP => u16::MAX,
        sum => sum,
    };
    body[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut frame = [to.0, from.0].concat();
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, length[0], length[1], next, hops]);
    frame.extend(from.1.octets());
    frame.extend(to.1.octets());
    frame.extend(body);
    frame
}

/// The one's complement sum over pseudo-header and body (RFC 8200 §8.1).
fn sum(source: Ipv6Addr, destination: Ipv6Addr, next: u8, body: &[u8]) -> u16 {
    let parts: [&[u8]; 3] = [&source.octets(), &destination.octets(), body];
    let words = parts.into_iter().flat_map(|part| part.chunks(2));
    let words = words.map(|word| [word[0], word.get(1).copied().unwrap_or(0)]);
    let mut sum: u64 = words.map(|word| u64::from(u16::from_be_bytes(word))).sum();
    sum += body.len() as u64 + u64::from(next);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// What follows the IPv6 header of a frame to the guest, whose lengths and checksum are right.
fn opened<'a>(guest: &Asker, frame: &'a [u8]) -> Result<&'a [u8], &'static str> {
    let addresses = (address(frame, ETHERNET + 8), address(frame, ETHERNET + 24));
    let (Some(source), Some(destination)) = addresses else {
        return Err("shorter than its headers");
    };
    let body = &frame[ETHERNET + IPV6..];
    let length = usize::from(u16::from_be_bytes([
        frame[ETHERNET + 4],
        frame[ETHERNET + 5],
    ]));
    if frame[..6] != guest.mac || destination != guest.link_local() {
        Err("not to the guest that asked")
    } else if frame[12..14] != [0x86, 0xdd] || frame[ETHERNET] >> 4 != 6 {
        Err("not IPv6")
    } else if body.len() != length {
        Err("of another length than its header says")
    } else if sum(source, destination, frame[ETHERNET + 6], body) != 0xffff {
        Err("with a wrong checksum")
    } else if !source.is_unicast_link_local() {
        Err("not from a link-local address")
    } else {
        Ok(body)
    }
}

fn address(frame: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = frame.get(at..at + 16)?.try_into().ok()?;
    Some(octets.into())
}

/// The prefix of the guest's address is in it (RFC 4861 §4.2, §6.1.2).
fn check_advertisement(guest: &Asker, frame: &[u8], body: &[u8]) -> Result<(), &'static str> {
    let prefix = &guest.address.octets()[..8];
    if frame[ETHERNET + 6] != ICMPV6 || body[..2] != [134, 0] {
        Err("no advertisement")
    } else if frame[ETHERNET + 7] != 255 {
        Err("with another hop limit than 255")
    } else if !body
        .windows(32)
        .skip(16)
        .any(|option| option[..3] == [3, 4, 64] && option[16..24] == *prefix)
    {
        Err("without the guest's prefix")
    } else {
        Ok(())
    }
}

/// The transaction, the guest's DUID and its address are in it (RFC 9915 §18.2.9).
fn check_advertise(guest: &Asker, frame: &[u8], body: &[u8]) -> Result<(), &'static str> {
    if frame[ETHERNET + 6] != UDP || body[..4] != [0x02, 0x23, 0x02, 0x22] {
        Err("not from a DHCPv6 server to its client")
    } else if body.get(8..12) != Some(&[2, 0x5e, 0x87, 0x7a]) {
        Err("no Advertise of the transaction")
    } else if !contains(body, &guest.duid()) || !contains(body, &guest.address.octets()) {
        Err("without the guest's DUID or address")
    } else {
        Ok(())
    }
}

fn contains(body: &[u8], octets: &[u8]) -> bool {
    let mut windows = body.windows(octets.len());
    windows.any(|window| window == octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: Asker = Asker {
        mac: [0xfa, 0x16, 0x3e, 1, 2, 3],
        address: Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 7),
    };

    #[test]
    fn a_frame_sums_up_to_nothing() {
        for question in [Question::RouterSolicitation, Question::Solicit] {
            let frame = question.frame(&GUEST);
            let to = Ipv6Addr::from_octets(frame[38..54].try_into().unwrap());
            let found = sum(GUEST.link_local(), to, frame[20], &frame[54..]);
            assert_eq!(found, 0xffff, "{question:?}");
        }
    }

    #[test]
    fn a_question_is_no_answer() {
        for question in [Question::RouterSolicitation, Question::Solicit] {
            let frame = question.frame(&GUEST);
            assert!(question.check(&GUEST, &frame).is_err());
            assert!(question.check(&GUEST, &[0; 20]).is_err());
        }
    }

    #[test]
    fn the_least_advertise_is_an_answer() {
        assert_eq!(Question::Solicit.check(&GUEST, &advertise(&GUEST)), Ok(()));
    }

    #[test]
    fn an_advertisement_with_any_octet_changed_is_no_answer() {
        let right = advertisement(&GUEST);
        let check = |frame: &[u8]| Question::RouterSolicitation.check(&GUEST, frame);
        assert_eq!(check(&right), Ok(()));
        // Of all, the router's MAC and the traffic class are the router's own affair.
        for at in (0..6).chain(12..14).chain(18..right.len()) {
            let mut wrong = right.clone();
            wrong[at] ^= 0x20;
            assert!(check(&wrong).is_err(), "octet {at}");
        }
        assert!(check(&right[..right.len() - 1]).is_err());
        assert!(Question::Solicit.check(&GUEST, &right).is_err());
    }
}
