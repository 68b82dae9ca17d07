//! Against another implementation of DHCPv6: what dhcproto writes is understood, and what is answered it reads the
//! same. (Where it errs - relayed messages, classes, compressed names, deep nesting - it is not asked.)

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, Message, MessageType, ORO, OptionCode, Status,
};
use dhcproto::{Decodable, Decoder, Encodable};
use guest::*;
use proptest::prelude::*;
use sextant_responders::dhcpv6::codec;
use sextant_responders::dhcpv6::option;
use sextant_responders::frame::{Ipv6Packet, UdpDatagram};
use sextant_responders::respond;
use std::net::Ipv6Addr;

/// What a guest sends whose DHCPv6 is dhcproto's, and what it reads in the answer.
fn exchange(message: &Message) -> Message {
    let mut query = Query::bare(codec::Dhcpv6MessageType::Solicit);
    query.bytes = message.to_vec().unwrap();
    let frames = respond(&dhcpv6(service()), &query.frame()).frames;
    let packet = Ipv6Packet::parse(&frames[0]).unwrap();
    let datagram = UdpDatagram::parse(&packet).unwrap();
    Message::decode(&mut Decoder::new(datagram.body)).unwrap()
}

fn ias(options: &DhcpOptions) -> Vec<&IANA> {
    options
        .iter()
        .filter_map(|option| match option {
            DhcpOption::IANA(ia) => Some(ia),
            _ => None,
        })
        .collect()
}

fn addresses(ia: &IANA) -> Vec<(Ipv6Addr, u32, u32)> {
    ia.opts
        .iter()
        .filter_map(|option| match option {
            DhcpOption::IAAddr(ia) => Some((ia.addr, ia.preferred_life, ia.valid_life)),
            _ => None,
        })
        .collect()
}

fn status(ia: &IANA) -> Option<Status> {
    ia.opts.iter().find_map(|option| match option {
        DhcpOption::StatusCode(status) => Some(status.status),
        _ => None,
    })
}

fn message(kind: MessageType, iaids: &[u32], hints: &[Ipv6Addr]) -> Message {
    let mut message = Message::new_with_id(kind, TRANSACTION);
    let options = message.opts_mut();
    options.insert(DhcpOption::ClientId(CLIENT_DUID.into()));
    if kind == MessageType::Request {
        options.insert(DhcpOption::ServerId(SERVER_DUID.into()));
    }
    for id in iaids {
        let mut opts = DhcpOptions::new();
        for addr in hints {
            opts.insert(DhcpOption::IAAddr(IAAddr {
                addr: *addr,
                preferred_life: 1,
                valid_life: 2,
                opts: DhcpOptions::new(),
            }));
        }
        let (id, t1, t2) = (*id, 3, 4);
        options.insert(DhcpOption::IANA(IANA { id, t1, t2, opts }));
    }
    let opts = vec![OptionCode::DomainNameServers, OptionCode::DomainSearchList];
    options.insert(DhcpOption::ORO(ORO { opts }));
    options.insert(DhcpOption::ElapsedTime(0));
    message
}

#[test]
fn an_advertise_is_read_as_meant() {
    let answer = exchange(&message(MessageType::Solicit, &[7], &[]));
    assert_eq!(answer.msg_type(), MessageType::Advertise);
    assert_eq!(answer.xid(), TRANSACTION);
    let options = answer.opts();
    let ia = ias(options)[0];
    assert_eq!((ia.id, ia.t1, ia.t2), (7, 43_200, 69_120));
    let lease = |text| (address(text), 86_400, 86_400);
    assert_eq!(
        addresses(ia),
        [lease("2001:db8:1::cd"), lease("2001:db8:2::cd")]
    );
    let has = |option: DhcpOption| options.iter().any(|other| *other == option);
    assert!(has(DhcpOption::ClientId(CLIENT_DUID.into())));
    assert!(has(DhcpOption::ServerId(SERVER_DUID.into())));
    assert!(has(DhcpOption::DomainNameServers(vec![address(
        "2001:db8::53"
    )])));
    let names = ["example.org.", "corp.example.net."].map(|name| name.parse().unwrap());
    assert!(has(DhcpOption::DomainSearchList(names.into())));
}

proptest! {
    #[test]
    fn every_association_is_answered_once(
        iaids in prop::collection::btree_set(any::<u32>(), 1..8),
        request: bool,
        hints in prop::collection::vec(any::<u64>(), 0..3),
    ) {
        let kind = if request { MessageType::Request } else { MessageType::Solicit };
        let on_link = u128::from(address("2001:db8:1::"));
        let hints: Vec<_> = hints.iter().map(|low| Ipv6Addr::from(on_link | u128::from(*low))).collect();
        let iaids: Vec<_> = iaids.into_iter().collect();
        let answer = exchange(&message(kind, &iaids, &hints));
        let mut answered = ias(answer.opts());
        answered.sort_by_key(|ia| ia.id);
        prop_assert_eq!(answered.iter().map(|ia| ia.id).collect::<Vec<_>>(), iaids);
        let (holders, others): (Vec<_>, Vec<_>) = answered.into_iter().partition(|ia| status(ia).is_none());
        prop_assert_eq!(holders.len(), 1);
        prop_assert_eq!(addresses(holders[0]).len(), 2);
        prop_assert!(others.iter().all(|ia| status(ia) == Some(Status::NoAddrsAvail) && addresses(ia).is_empty()));
    }

    #[test]
    fn our_messages_are_whole_to_it(code in option::PREFERENCE..=option::ELAPSED_TIME, value: [u8; 2]) {
        let length = usize::from(code - 6);
        let query = Query::new(codec::Dhcpv6MessageType::Solicit).ia_na(1, &["2001:db8::1"]).with(code, &value[..length]);
        let read = Message::from_bytes(&query.bytes).unwrap();
        prop_assert_eq!(read.to_vec().unwrap(), query.bytes);
    }
}
