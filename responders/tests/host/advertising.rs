//! Unsolicited advertisements to guests.

use crate::clock::{Seeded, start};
use sextant_model::{
    AdvertisedLink, AdvertisedOptions, AdvertisedPrefix, Advertisement, MacAddr, NetworkKey,
    PortId, PrefixEnds, RaInterval,
};
use sextant_responders::frame::Ipv6Packet;
use sextant_responders::host::{Advertising, FrameKind, OutgoingFrame, Time};
use sextant_responders::ra_schedule::MIN_DELAY_BETWEEN_RAS;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const PORT: PortId = PortId::MIN;
/// What passes before a change: longer than the least distance between two advertisements.
const STEP: Duration = Duration::from_secs(20);

/// A switch's session, as far as it advertises one link.
struct AdvertisingStory {
    advertising: Advertising,
    random: Seeded,
    now: Time,
    final_words: u64,
}

/// Of one advertisement: the router's lifetime, and of each prefix the last group with its preferred and valid lifetimes. The
/// latter is rounded up to minutes: the test takes a while.
type Said = (u16, Vec<(u8, u32, u32)>);

impl AdvertisingStory {
    fn new() -> Self {
        Self {
            advertising: Advertising::default(),
            random: Seeded::new(1),
            now: start(),
            final_words: 0,
        }
    }

    /// What is said at once when the link advertises these prefixes; none: when it is gone.
    fn change(&mut self, prefixes: Option<&[AdvertisedPrefix]>) -> Vec<Said> {
        let changed = prefixes.map(link);
        let links: Vec<_> = changed.iter().map(|link| (PORT, link)).collect();
        self.said(&links)
    }

    fn said(&mut self, links: &[(PortId, &AdvertisedLink)]) -> Vec<Said> {
        self.set(links).iter().map(read).collect()
    }

    /// What is sent at once when these are the links.
    fn set(&mut self, links: &[(PortId, &AdvertisedLink)]) -> Vec<OutgoingFrame> {
        self.now.instant += STEP;
        let links = links
            .iter()
            .map(|(port, link)| (*port, AdvertisedLink::clone(link)));
        let links: BTreeMap<_, _> = links.collect();
        self.advertising.handle_planned(&links, self.now);
        self.advertising
            .handle_links(links, self.now, &mut self.random.draw());
        self.due()
    }

    fn due(&mut self) -> Vec<OutgoingFrame> {
        self.advertising
            .handle_timeout(self.now, &mut self.random.draw());
        let frames = std::iter::from_fn(|| self.advertising.poll_frame());
        let frames: Vec<OutgoingFrame> = frames.collect();
        let last = |frame: &&OutgoingFrame| frame.kind == FrameKind::FinalAdvertisement;
        self.final_words += frames.iter().filter(last).count() as u64;
        frames
    }

    /// What is said next, if anything is.
    fn next(&mut self) -> Option<Said> {
        self.now.instant = self.advertising.poll_timeout()?;
        let due = self.due();
        let [frame] = &due[..] else {
            panic!("one at a time: {due:?}")
        };
        Some(read(frame))
    }
}

pub(crate) fn prefix(n: u8) -> AdvertisedPrefix {
    AdvertisedPrefix {
        prefix: format!("2001:db8:0:{n}::/64").parse().unwrap(),
        on_link: true,
        autonomous: true,
        valid: 86_400,
        preferred: 14_400,
        delegation_preferred: false,
        ends: None,
    }
}

pub(crate) fn link(prefixes: &[AdvertisedPrefix]) -> AdvertisedLink {
    let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);
    AdvertisedLink {
        network: NetworkKey(7),
        advertisement: Arc::new(Advertisement {
            mac,
            source: mac.link_local(),
            hop_limit: 64,
            managed: false,
            other: false,
            lifetime: 300,
            mtu: None,
            prefixes: prefixes.to_vec(),
            dns_servers: vec![],
            dns_lifetime: 300,
            options: AdvertisedOptions::default(),
        }),
        interval: RaInterval::default(),
    }
}

fn read(frame: &OutgoingFrame) -> Said {
    let packet = Ipv6Packet::parse(&frame.octets).unwrap();
    let number = |octets: &[u8]| octets.iter().fold(0, |n, octet| n << 8 | u32::from(*octet));
    let lifetime = u16::from_be_bytes([packet.payload[6], packet.payload[7]]);
    let mut options = &packet.payload[16..];
    let mut prefixes = vec![];
    while let [kind, units, ..] = options {
        let (option, rest) = options.split_at(usize::from(*units) * 8);
        if *kind == 3 {
            let valid = number(&option[4..8]).div_ceil(60) * 60;
            prefixes.push((option[23], number(&option[8..12]), valid));
        }
        options = rest;
    }
    (lifetime, prefixes)
}

#[test]
fn a_prefix_that_is_replaced_is_withdrawn_at_once_and_twice_more() {
    let mut story = AdvertisingStory::new();
    let first = (300, vec![(1, 14_400, 86_400)]);
    assert_eq!(story.change(Some(&[prefix(1)])), [first]);
    let both = (300, vec![(2, 14_400, 86_400), (1, 0, 7200)]);
    let mut said = story.change(Some(&[prefix(2)]));
    said.extend([story.next(), story.next()].into_iter().flatten());
    assert_eq!(said, [both.clone(), both.clone(), both]);
    assert_eq!(story.next(), Some((300, vec![(2, 14_400, 86_400)])));
    assert_eq!(story.final_words, 0);
}

#[test]
fn a_router_that_goes_away_says_so_three_times() {
    let mut story = AdvertisingStory::new();
    story.change(Some(&[prefix(1)]));
    let last = (0, vec![(1, 0, 7200)]);
    let mut said = story.change(None);
    let begun = story.now;
    said.extend([story.next(), story.next()].into_iter().flatten());
    assert_eq!(said, [last.clone(), last.clone(), last]);
    assert_eq!(story.now.instant - begun.instant, MIN_DELAY_BETWEEN_RAS * 2);
    assert_eq!(story.next(), None);
    assert_eq!(story.final_words, 3);
}

#[test]
fn a_router_that_comes_back_with_another_prefix_goes_on_to_withdraw_the_first() {
    let mut story = AdvertisingStory::new();
    story.change(Some(&[prefix(1)]));
    story.change(None);
    let both = (300, vec![(2, 14_400, 86_400), (1, 0, 7200)]);
    assert_eq!(story.change(Some(&[prefix(2)])), [both]);
    story.change(None);
    let again = (300, vec![(2, 14_400, 86_400), (1, 0, 7200)]);
    assert_eq!(story.change(Some(&[prefix(2)])), [again]);
    assert_eq!(story.final_words, 2);
}

#[test]
fn a_prefix_that_has_ended_is_advertised_as_such_before_it_is_withdrawn() {
    let ended = AdvertisedPrefix {
        ends: Some(PrefixEnds {
            preferred_until: i64::MIN,
            valid_until: i64::MIN,
        }),
        ..prefix(1)
    };
    let mut story = AdvertisingStory::new();
    story.change(Some(&[prefix(1)]));
    assert_eq!(story.change(Some(&[ended])), [(300, vec![(1, 0, 0)])]);
    let both = (300, vec![(2, 14_400, 86_400), (1, 0, 0)]);
    assert_eq!(story.change(Some(&[prefix(2)])), [both]);
}

#[test]
fn an_advertisement_does_not_grow_however_often_its_prefix_is_replaced() {
    let mut story = AdvertisingStory::new();
    story.change(Some(&[prefix(0)]));
    let last = (1..=99).map(|n| story.change(Some(&[prefix(n)]))).last();
    let said = last.unwrap().pop().unwrap().1;
    let told: Vec<_> = said.iter().map(|(n, ..)| format!("{n:x}")).collect();
    let newest: Vec<_> = (75..=99).rev().map(|n| n.to_string()).collect();
    assert_eq!(told, newest, "the one that counts, and the last that went");
}

const OTHER: PortId = PortId::MAX;

/// A link that advertises a prefix and these DNS servers and search domains.
fn with_dns(n: u8, servers: &[u16], domains: &[&str]) -> AdvertisedLink {
    let mut link = link(&[prefix(n)]);
    let advertisement = Arc::make_mut(&mut link.advertisement);
    advertisement.dns_servers = servers.iter().map(|server| dns(*server)).collect();
    let domains = domains.iter().map(|domain| domain.parse().unwrap());
    advertisement.options.search_domains = domains.collect();
    link
}

fn dns(n: u16) -> std::net::Ipv6Addr {
    std::net::Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, n)
}

impl AdvertisingStory {
    /// What is said of DNS at once when these are the links: the last octets of servers that stay and of those that go, and
    /// whether search domains stay and go.
    fn dns(&mut self, links: &[(PortId, &AdvertisedLink)]) -> Vec<Dns> {
        self.set(links).iter().map(read_dns).collect()
    }

    fn next_dns(&mut self) -> Option<Dns> {
        self.now.instant = self.advertising.poll_timeout()?;
        self.due().first().map(read_dns)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Dns {
    stay: Vec<u8>,
    go: Vec<u8>,
    domains_stay: usize,
    domains_go: usize,
}

fn read_dns(frame: &OutgoingFrame) -> Dns {
    let packet = Ipv6Packet::parse(&frame.octets).unwrap();
    let mut told = Dns::default();
    let mut options = &packet.payload[16..];
    while let [kind, units, ..] = options {
        let (option, rest) = options.split_at(usize::from(*units) * 8);
        let stays = option[4..8] != [0; 4];
        let servers = option[8..].chunks_exact(16).map(|server| server[15]);
        match (*kind, stays) {
            (25, true) => told.stay.extend(servers),
            (25, false) => told.go.extend(servers),
            (31, true) => told.domains_stay += 1,
            (31, false) => told.domains_go += 1,
            _ => {}
        }
        options = rest;
    }
    told
}

fn stay_and_go(stay: &[u8], go: &[u8]) -> Dns {
    Dns {
        stay: stay.to_vec(),
        go: go.to_vec(),
        ..Dns::default()
    }
}

/// RFC 8106 §5.1.
#[test]
fn dns_servers_that_go_are_advertised_with_lifetime_zero_three_times() {
    let mut story = AdvertisingStory::new();
    let first = story.dns(&[(PORT, &with_dns(1, &[1, 2], &[]))]);
    assert_eq!(first, [stay_and_go(&[1, 2], &[])]);
    let said = story.dns(&[(PORT, &with_dns(1, &[2, 3], &[]))]);
    assert_eq!(said, [stay_and_go(&[2, 3], &[1])]);
    for left in [vec![1], vec![1], vec![]] {
        assert_eq!(story.next_dns(), Some(stay_and_go(&[2, 3], &left)));
    }
    story.dns(&[(PORT, &with_dns(1, &[], &[]))]);
    assert_eq!(story.next_dns(), Some(stay_and_go(&[], &[2, 3])));
    let back = story.dns(&[(PORT, &with_dns(1, &[3], &[]))]);
    assert_eq!(back, [stay_and_go(&[3], &[2])]);
}

#[test]
fn a_router_that_goes_takes_its_dns_servers_and_domains_with_it() {
    let mut story = AdvertisingStory::new();
    let said = story.dns(&[(PORT, &with_dns(1, &[1], &["example.org"]))]);
    assert_eq!(said[0].domains_stay, 1);
    let last = Dns {
        go: vec![1],
        domains_go: 1,
        ..Dns::default()
    };
    assert_eq!(story.dns(&[]), [last]);
    let back = story.dns(&[(PORT, &with_dns(1, &[2], &[]))]);
    let (stay, go) = (vec![2], vec![1]);
    let both = Dns {
        stay,
        go,
        domains_go: 1,
        ..Dns::default()
    };
    assert_eq!(back, [both]);
}

#[test]
fn what_another_router_on_the_link_advertises_is_not_taken_along() {
    let mut story = AdvertisingStory::new();
    let leaving = with_dns(1, &[1, 2], &["example.org"]);
    let staying = with_dns(1, &[2], &["example.org"]);
    story.dns(&[(PORT, &leaving), (OTHER, &staying)]);
    let said = story.dns(&[(OTHER, &staying)]);
    assert_eq!(said[0], stay_and_go(&[], &[1]), "{said:?}");

    let mut elsewhere = staying.clone();
    elsewhere.network = NetworkKey(8);
    let mut story = AdvertisingStory::new();
    story.dns(&[(PORT, &leaving), (OTHER, &elsewhere)]);
    let said = story.dns(&[(OTHER, &elsewhere)]);
    assert_eq!(said[0].go, [1, 2], "another link");
}

#[test]
fn a_prefix_that_another_router_advertises_stays_preferred() {
    let mut story = AdvertisingStory::new();
    let (both, other) = (link(&[prefix(1), prefix(2)]), link(&[prefix(1)]));
    story.said(&[(PORT, &both), (OTHER, &other)]);
    let said = story.said(&[(OTHER, &other)]);
    assert_eq!(
        said[0],
        (0, vec![(2, 0, 7200)]),
        "a router less, a prefix less"
    );
    let said = story.said(&[]);
    assert!(
        said.contains(&(0, vec![(1, 0, 7200)])),
        "the last one takes it: {said:?}"
    );

    let mut story = AdvertisingStory::new();
    story.said(&[(PORT, &both), (OTHER, &other)]);
    let changed = link(&[prefix(3)]);
    let said = story.said(&[(PORT, &changed), (OTHER, &other)]);
    let withdrawn = vec![(3, 14_400, 86_400), (2, 0, 7200)];
    assert!(said.contains(&(300, withdrawn)), "{said:?}");
}

/// While a switch is away, a router may lose a subnet, a DNS server, or go.
#[test]
fn what_went_while_the_switch_was_away_is_withdrawn_when_it_is_back() {
    let (stays, goes) = (with_dns(1, &[1, 2], &[]), with_dns(2, &[3], &[]));
    let told = BTreeMap::from([(PORT, stays.clone()), (OTHER, goes)]);
    let mut story = AdvertisingStory::new();
    story.advertising = Advertising::new(told.clone(), story.now);
    assert_eq!(
        story.advertising.poll_timeout(),
        None,
        "not before it is known"
    );
    let said = story.dns(&[(PORT, &with_dns(1, &[2], &[]))]);
    assert_eq!(said, [stay_and_go(&[], &[3]), stay_and_go(&[2], &[1])]);

    let mut story = AdvertisingStory::new();
    story.advertising = Advertising::new([(PORT, stays.clone())].into(), story.now);
    let said = story.dns(&[(PORT, &stays)]);
    assert_eq!(said, [stay_and_go(&[1, 2], &[])], "nothing went");
}
