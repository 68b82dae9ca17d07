//! What is heard of addresses out of the pairs of ports, who is asked for them, and what routers answer as members of groups.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use sextant_model::{Asker, GroupMember, MacAddr, NetworkKey, PortId, Punt};
use sextant_responders::frame::{FrameBuilder, Icmpv6Message, Ipv6Addresses, Ipv6Packet};
use sextant_responders::neighbor::{HeardNeighbor, announce, wanted};
use sextant_responders::{Learned, PacketVerdict, respond};
use std::net::{IpAddr, Ipv6Addr};

const GUEST: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 9]);
const ROUTERS: [MacAddr; 2] = [
    MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]),
    MacAddr([0xfa, 0x16, 0x3e, 0, 0, 2]),
];
const PORT: PortId = PortId::MIN;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn members() -> Punt {
    let member = |mac: MacAddr| GroupMember {
        mac,
        address: mac.link_local(),
    };
    Punt::GroupEcho(ROUTERS.map(member).into())
}

fn echo(source: Ipv6Addr, body: &[u8]) -> Vec<u8> {
    let addresses = Ipv6Addresses {
        source_mac: GUEST,
        destination_mac: MacAddr([0x33, 0x33, 0, 0, 0, 2]),
        source,
        destination: "ff02::2".parse().unwrap(),
    };
    let mut frame = FrameBuilder::icmpv6(addresses, 128, body.len());
    frame.bytes().extend(body);
    frame.finish()
}

#[test]
fn an_announcement_says_who_has_an_address() {
    for vip in ["2001:db8:a::99", "10.1.0.99"] {
        let frame = announce(GUEST, address(vip));
        let answer = respond(&Punt::Announced(PORT), &frame);
        assert_eq!(answer.outcome.verdict, PacketVerdict::Noted);
        let told = Learned::Announced {
            port: PORT,
            address: address(vip),
            mac: GUEST,
        };
        assert_eq!(answer.learned, [told]);
        assert!(answer.frames.is_empty());
    }
    let nothing = respond(&Punt::Announced(PORT), &echo(GUEST.link_local(), b"ping"));
    assert!(nothing.learned.is_empty());
}

#[test]
fn a_router_asks_in_its_own_name() {
    let [router, _] = ROUTERS;
    let asker = |wanted| Asker {
        network: NetworkKey(7),
        mac: router,
        addresses: vec![router.link_local().into(), address("10.1.0.1")],
        wanted,
    };
    let asked = |vip: &str| {
        let answer = respond(&Punt::Unheld(asker(Some(address(vip)))), &[]);
        answer.frames.into_iter().next().unwrap()
    };
    let question = asked("2001:db8:a::99");
    assert_eq!(
        wanted(&question).map(IpAddr::from),
        Some(address("2001:db8:a::99"))
    );
    let heard = HeardNeighbor::parse(&question).unwrap();
    assert_eq!(
        (heard.address, heard.mac),
        (router.link_local().into(), Some(router))
    );
    let heard = HeardNeighbor::parse(&asked("10.1.0.99")).unwrap();
    assert_eq!(
        (heard.address, heard.to),
        (address("10.1.0.1"), address("10.1.0.99"))
    );
    assert!(respond(&Punt::Unheld(asker(None)), &[]).frames.is_empty());
}

#[test]
fn each_router_of_a_link_answers_from_its_own_address() {
    let answer = respond(&members(), &echo(GUEST.link_local(), b"\x12\x34\0\x01data"));
    assert_eq!(answer.frames.len(), 2);
    for (frame, mac) in answer.frames.iter().zip(ROUTERS) {
        let packet = Ipv6Packet::parse(frame).unwrap();
        assert_eq!((packet.source_mac, packet.source), (mac, mac.link_local()));
        assert_eq!(
            (packet.destination_mac, packet.destination),
            (GUEST, GUEST.link_local())
        );
        let reply = Icmpv6Message::parse(&packet).unwrap();
        assert_eq!((reply.kind, reply.body), (129, &b"\x12\x34\0\x01data"[..]));
    }
    for nobody in [Ipv6Addr::UNSPECIFIED, "ff02::1".parse().unwrap()] {
        assert!(respond(&members(), &echo(nobody, b"")).frames.is_empty());
    }
}

proptest! {
    #[test]
    fn whatever_comes_nothing_panics(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        for punt in [members(), Punt::Announced(PORT), Punt::BareSolicitation] {
            let _ = respond(&punt, &frame);
        }
        let _ = wanted(&frame);
    }
}
