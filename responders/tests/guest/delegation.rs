//! The servers outside that delegate prefixes, as the tests play them, and the client that asks them.

use super::link::{NEXT_HOP, OLD, START};
use super::property::honest;
use super::{ROUTER_MAC, SERVER_DUID};
use ipnet::Ipv6Net;
use sextant_model::{MacAddr, SubnetId};
use sextant_responders::dhcpv6::codec::{Dhcpv6Message, Dhcpv6MessageType, put_option};
use sextant_responders::dhcpv6::option::{self, DecodedDhcpv6Option};
use sextant_responders::dhcpv6::{ALL_SERVERS, CLIENT_PORT, SERVER_PORT};
use sextant_responders::frame::{FrameBuilder, Ipv6Addresses, Ipv6Packet, UdpDatagram};
use sextant_responders::prefix_client::{
    Client, Effect, HeardServer, IAID, Lease, PrefixClientState, Sender,
};
use std::time::{Duration, Instant};

/// The random number that makes RAND zero, and a delay half of what it can be.
pub const MIDDLE: u64 = u64::MAX / 2;
pub const FOR_EVER: u32 = u32::MAX;
pub const ADVERTISE: Dhcpv6MessageType = Dhcpv6MessageType::Advertise;
pub const REPLY: Dhcpv6MessageType = Dhcpv6MessageType::Reply;

/// A prefix, its preferred and its valid lifetime.
pub type Given = (&'static str, u32, u32);
/// What is given where a test does not care, and T1 and T2 with it.
pub const USUAL: Given = ("2001:db8:1::/64", 1000, 2000);
pub const OTHER: Given = ("2001:db8:2::/64", 1000, 2000);
pub const TIMES: (u32, u32) = (500, 800);

pub fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

pub fn sender() -> Sender {
    let (mac, address) = (ROUTER_MAC, ROUTER_MAC.link_local());
    Sender { mac, address }
}

/// The subnet of the recorded client.
pub fn subnet() -> SubnetId {
    "2a15d0e9-fccc-4143-a255-b0b35642843b".parse().unwrap()
}

/// What a client's frame asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub kind: Dhcpv6MessageType,
    pub transaction: [u8; 3],
    pub client: Vec<u8>,
    pub server: Option<Vec<u8>>,
    /// In hundredths of a second.
    pub elapsed: u16,
    pub requested: Vec<u16>,
    pub prefix: Option<Ipv6Net>,
}

impl Asked {
    /// Checks on the way that it is for all servers, and that there is nothing else in it.
    pub fn read(frame: &[u8]) -> Self {
        let packet = Ipv6Packet::parse(frame).unwrap();
        let datagram = UdpDatagram::parse(&packet).unwrap();
        let ports = (datagram.source_port, datagram.destination_port);
        assert_eq!(packet.destination_mac, MacAddr([0x33, 0x33, 0, 1, 0, 2]));
        assert_eq!(packet.destination, ALL_SERVERS);
        assert_eq!(ports, (CLIENT_PORT, SERVER_PORT));
        let message = Dhcpv6Message::parse(datagram.body, datagram.offset).unwrap();
        let mut asked = Self {
            kind: message.kind,
            transaction: message.transaction,
            client: vec![],
            server: None,
            elapsed: u16::MAX,
            requested: vec![],
            prefix: None,
        };
        let mut associations = 0;
        for raw in message.options {
            match DecodedDhcpv6Option::decode(raw.unwrap()).unwrap() {
                DecodedDhcpv6Option::ClientId(duid) => asked.client = duid.to_vec(),
                DecodedDhcpv6Option::ServerId(duid) => asked.server = Some(duid.to_vec()),
                DecodedDhcpv6Option::ElapsedTime(time) => asked.elapsed = time,
                DecodedDhcpv6Option::OptionRequest(codes) => asked.requested.extend(codes.iter()),
                DecodedDhcpv6Option::Ia(ia) => {
                    associations += 1;
                    assert_eq!((ia.kind as u16, ia.iaid), (option::IA_PD, IAID));
                    let prefix = ia.prefixes().next();
                    asked.prefix =
                        prefix.map(|said| Ipv6Net::new(said.prefix, said.length).unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(associations, 1);
        asked
    }
}

/// A server's message, put together octet by octet.
#[derive(Clone, Debug)]
pub struct Said {
    pub bytes: Vec<u8>,
    pub addresses: Ipv6Addresses,
    pub ports: (u16, u16),
}

impl Said {
    /// Only the header.
    pub fn bare(kind: Dhcpv6MessageType, transaction: [u8; 3]) -> Self {
        let [a, b, c] = transaction;
        Self {
            bytes: vec![kind as u8, a, b, c],
            addresses: Ipv6Addresses {
                source_mac: OLD,
                destination_mac: ROUTER_MAC,
                source: NEXT_HOP,
                destination: ROUTER_MAC.link_local(),
            },
            ports: (SERVER_PORT, CLIENT_PORT),
        }
    }

    /// From this server to whoever asked.
    pub fn from(server: &[u8], kind: Dhcpv6MessageType, asked: &Asked) -> Self {
        Self::bare(kind, asked.transaction)
            .with(option::CLIENT_ID, &asked.client)
            .with(option::SERVER_ID, server)
    }

    /// From the usual server to whoever asked.
    pub fn to(kind: Dhcpv6MessageType, asked: &Asked) -> Self {
        Self::from(&SERVER_DUID, kind, asked)
    }

    pub fn with(mut self, code: u16, value: &[u8]) -> Self {
        put_option(&mut self.bytes, code, |out| out.extend(value));
        self
    }

    /// With our identity association: T1, T2, and these prefixes.
    pub fn giving(self, times: (u32, u32), prefixes: &[Given]) -> Self {
        let prefixes: Vec<_> = prefixes
            .iter()
            .map(|(prefix, preferred, valid)| (net(prefix), *preferred, *valid))
            .collect();
        self.with(option::IA_PD, &association(IAID, times, &prefixes, None))
    }

    /// With our identity association, which has nothing but this status.
    pub fn refusing(self, status: u16) -> Self {
        self.with(option::IA_PD, &association(IAID, (0, 0), &[], Some(status)))
    }

    pub fn status(self, status: u16) -> Self {
        self.with(option::STATUS_CODE, &status.to_be_bytes())
    }

    pub fn frame(&self) -> Vec<u8> {
        let (source, destination) = self.ports;
        let mut frame = FrameBuilder::udp(self.addresses, source, destination, self.bytes.len());
        frame.bytes().extend(&self.bytes);
        frame.finish()
    }

    pub fn heard(&self) -> HeardServer {
        HeardServer::parse(&self.frame()).unwrap()
    }
}

/// The value of an IA_PD option.
pub fn association(
    iaid: u32,
    (t1, t2): (u32, u32),
    prefixes: &[(Ipv6Net, u32, u32)],
    status: Option<u16>,
) -> Vec<u8> {
    let mut out = [iaid, t1, t2].map(u32::to_be_bytes).concat();
    for (prefix, preferred, valid) in prefixes {
        put_option(&mut out, option::IA_PREFIX, |out| {
            out.extend([*preferred, *valid].map(u32::to_be_bytes).concat());
            out.push(prefix.prefix_len());
            out.extend(prefix.addr().octets());
        });
    }
    if let Some(status) = status {
        put_option(&mut out, option::STATUS_CODE, |out| {
            out.extend(status.to_be_bytes());
        });
    }
    out
}

/// A client, and the time.
pub struct Asking {
    pub client: Client,
    pub now: Instant,
}

impl Asking {
    pub fn new() -> Self {
        Self::with(None)
    }

    pub fn with(known: Option<Lease>) -> Self {
        Self {
            client: Client::new(subnet(), sender(), known, *START, MIDDLE),
            now: *START,
        }
    }

    /// With a lease of the usual prefix.
    pub fn bound() -> Self {
        Self::bound_to(TIMES, USUAL)
    }

    pub fn bound_to(times: (u32, u32), given: Given) -> Self {
        let mut asking = Self::new();
        let request = asking.choose(given);
        let reply = Said::to(REPLY, &request).giving(times, &[given]);
        assert_eq!(asking.hear(&reply), Effect::Granted);
        asking
    }

    /// Solicits, and is offered this by a server that it asks for it at once: the Request.
    pub fn choose(&mut self, given: Given) -> Asked {
        let solicit = self.next();
        assert_eq!(solicit.kind, Dhcpv6MessageType::Solicit);
        let offer = Said::to(ADVERTISE, &solicit)
            .giving(TIMES, &[given])
            .with(option::PREFERENCE, &[255]);
        assert_eq!(self.hear(&offer), Effect::Taken);
        let request = self.next();
        assert_eq!(request.kind, Dhcpv6MessageType::Request);
        request
    }

    pub fn hear(&mut self, said: &Said) -> Effect {
        let heard = said.heard();
        self.client.handle_message(&heard, self.now, MIDDLE)
    }

    /// Polls at this many milliseconds from now: what is sent.
    pub fn after(&mut self, milliseconds: u64) -> Option<Asked> {
        self.now += Duration::from_millis(milliseconds);
        self.poll()
    }

    pub fn poll(&mut self) -> Option<Asked> {
        let frames = polled(&mut self.client, self.now, MIDDLE);
        assert!(frames.len() <= 1);
        frames.first().map(|frame| Asked::read(frame))
    }

    /// Lets time pass until something is sent: what.
    pub fn next(&mut self) -> Asked {
        for _ in 0..10 {
            let next = self
                .client
                .poll_timeout()
                .expect("there is something to do");
            self.now = self.now.max(next);
            if let Some(asked) = self.poll() {
                return asked;
            }
        }
        panic!("nothing is sent");
    }

    /// The next messages, and how many milliseconds after the one before each is.
    pub fn sends(&mut self, count: usize) -> Vec<(Dhcpv6MessageType, u128)> {
        let mut before = self.now;
        let mut told = Vec::new();
        for _ in 0..count {
            let kind = self.next().kind;
            told.push((kind, ((self.now - before).as_micros() + 500) / 1000));
            before = self.now;
        }
        told
    }

    /// The prefix that it has.
    pub fn prefix(&self) -> Option<Ipv6Net> {
        self.client.lease().map(|lease| lease.prefix)
    }

    /// In how many seconds the lease is renewed, rebound, no more preferred, and at its end.
    pub fn times(&self) -> [Option<u64>; 4] {
        let lease = self.client.lease().expect("it has a lease");
        let times = [
            lease.renew_at,
            lease.rebind_at,
            lease.preferred_until,
            lease.valid_until,
        ];
        times.map(|at| at.map(|at| (at - self.now).as_secs()))
    }
}

/// What holds after each step of a client, whatever it was.
pub fn holds(client: &Client, now: Instant) {
    let lease = client.lease();
    let for_ever =
        lease.is_some_and(|lease| lease.renew_at.is_none() && lease.valid_until.is_none());
    match client.poll_timeout() {
        Some(next) => assert!(next > now, "polling makes progress"),
        None => {
            assert!(client.is_done() || (client.state() == PrefixClientState::Bound && for_ever))
        }
    }
    let state = client.state();
    let Some(lease) = lease else {
        let needs_none = [
            PrefixClientState::Soliciting,
            PrefixClientState::Requesting,
            PrefixClientState::Releasing,
        ];
        assert!(needs_none.contains(&state));
        return;
    };
    assert!(![PrefixClientState::Soliciting, PrefixClientState::Releasing].contains(&state));
    assert!(!lease.has_ended(now));
    assert!(lease.prefix.prefix_len() <= 64);
    assert_eq!(lease.prefix, lease.prefix.trunc());
    let end = |at: Option<Instant>| at.map_or(Duration::MAX, |at| at - *START);
    assert!(end(lease.preferred_until) <= end(lease.valid_until));
    assert!(end(lease.renew_at) <= end(lease.rebind_at));
}

/// A frame is heard by clients in all states, each as if it was the answer to what it asks.
pub fn hears_anything(frame: &[u8]) {
    let mut renewing = Asking::bound();
    renewing.next();
    let mut releasing = Asking::bound();
    releasing.client.release(releasing.now, MIDDLE);
    let mut requesting = Asking::new();
    requesting.choose(USUAL);
    for mut asking in [Asking::new(), renewing, releasing, requesting] {
        let asked = asking.next();
        let mut frame = frame.to_vec();
        if let Some(transaction) = frame.get_mut(63..66) {
            transaction.copy_from_slice(&asked.transaction);
        }
        let Ok(heard) = HeardServer::parse(&honest(frame)) else {
            return;
        };
        asking.client.handle_message(&heard, asking.now, MIDDLE);
        asking.poll();
        holds(&asking.client, asking.now);
    }
}

/// What a client sends at a time.
pub fn polled(client: &mut Client, now: Instant, random: u64) -> Vec<Vec<u8>> {
    client.handle_timeout(now, random);
    client.poll_frame().into_iter().collect()
}
