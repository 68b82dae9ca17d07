mod chaos;

use super::*;
use bytes::Bytes;
use sextant_model::{
    AdvertisedOptions, Advertisement, KnownNeighbor, MacAddr, PortId, Punt, RouterPreference,
    Speaker,
};
use sextant_responders::ra::{Destination, advertise};
use sextant_responders::{neighbor, respond};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::Duration;
use uuid::Uuid;

const NETWORK: NetworkId = NetworkId(Uuid::from_u128(7));
const OWN: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);
const FIRST: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const SECOND: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn chassis() -> ChassisId {
    ChassisId::new("h1")
}

fn uplink() -> Uplink {
    let speaker = Speaker {
        mac: OWN,
        addresses: vec![OWN.link_local().into(), "2001:db8:e::5".parse().unwrap()],
        delegated: Default::default(),
    };
    Uplink {
        port: 5,
        vlan_tci: 0x1064,
        speakers: [(PortId(Uuid::from_u128(1)), speaker)].into(),
        next_hops: Default::default(),
        listens: true,
    }
}

fn started(facts: &Facts, now: Instant) -> Uplinks {
    let mut uplinks = Uplinks::default();
    uplinks.update([(NETWORK, uplink())].into(), &chassis(), facts, now);
    uplinks
}

fn hears(uplinks: &mut Uplinks, frame: &[u8]) {
    static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::new().unwrap());
    uplinks.learn(&respond(&Punt::Heard(NETWORK), frame).learned, &METRICS);
}

/// How much of what a frame told is counted as not believed.
fn refused(uplinks: &mut Uplinks, frame: &[u8]) -> u64 {
    let metrics = Metrics::new().unwrap();
    uplinks.learn(&respond(&Punt::Heard(NETWORK), frame).learned, &metrics);
    let reasons = [
        "names our own MAC",
        "names our own address",
        "from another MAC than its router's",
    ];
    let refused = |reason| {
        let labels = ["heard", reason];
        metrics.packet_ins_refused.with_label_values(&labels).get()
    };
    reasons.into_iter().map(refused).sum()
}

/// What a router at this MAC answers if these frames ask for it.
fn answers(asked: &[Bytes], mac: MacAddr) -> Vec<Vec<u8>> {
    let known = KnownNeighbor {
        address: mac.link_local(),
        mac,
        router: true,
        overrides: true,
        vlan_tci: 0,
    };
    let punt = Punt::NeighborSolicitation(known);
    let answers = asked.iter().flat_map(|frame| respond(&punt, frame).frames);
    answers.collect()
}

/// What is due is sent, and routers at these MACs answer.
fn answered(uplinks: &mut Uplinks, now: Instant, macs: &[MacAddr]) {
    let sent = frames(&uplinks.due(now));
    for answer in macs.iter().flat_map(|mac| answers(&sent, *mac)) {
        hears(uplinks, &answer);
    }
}

fn advertisement(mac: MacAddr, lifetime: u16, preference: RouterPreference) -> Vec<u8> {
    advertise(&said(mac, lifetime, preference), Destination::AllNodes)
}

fn said(mac: MacAddr, lifetime: u16, preference: RouterPreference) -> Advertisement {
    Advertisement {
        mac,
        source: mac.link_local(),
        hop_limit: 64,
        managed: false,
        other: false,
        lifetime,
        mtu: None,
        prefixes: vec![],
        dns_servers: vec![],
        dns_lifetime: 0,
        options: AdvertisedOptions {
            preference,
            ..AdvertisedOptions::default()
        },
    }
}

fn told(uplinks: &mut Uplinks) -> Option<Ipv6Addr> {
    let news = uplinks.news(Instant::now());
    let (_, outside) = news.last().expect("there are news");
    outside.as_ref().unwrap().default_router
}

fn frames(messages: &[Message]) -> Vec<Bytes> {
    let frame = |message: &Message| {
        let Message::PacketOut(packet) = message else {
            panic!("{message:?}")
        };
        packet.data.clone()
    };
    messages.iter().map(frame).collect()
}

#[test]
fn a_new_uplink_asks_for_routers_and_announces_itself_once_its_flows_are_there() {
    let now = Instant::now();
    let mut uplinks = started(&Facts::default(), now);
    let first = frames(&uplinks.due(now));
    assert_eq!(
        first,
        [Bytes::from(sextant_responders::ra::solicit(
            OWN,
            OWN.link_local()
        ))]
    );
    uplinks.announce(now);
    let said = frames(&uplinks.due(now));
    let of = |address: IpAddr| Bytes::from(neighbor::announce(OWN, address));
    let global: Ipv6Addr = "2001:db8:e::5".parse().unwrap();
    assert_eq!(said, [of(OWN.link_local().into()), of(global.into())]);
    assert!(uplinks.due(now).is_empty());
}

#[test]
fn the_better_router_wins_until_it_goes() {
    let now = Instant::now();
    let mut uplinks = started(&Facts::default(), now);
    hears(
        &mut uplinks,
        &advertisement(FIRST, 1800, RouterPreference::Low),
    );
    assert_eq!(told(&mut uplinks), Some(FIRST.link_local()));
    hears(
        &mut uplinks,
        &advertisement(SECOND, 1800, RouterPreference::High),
    );
    assert_eq!(told(&mut uplinks), Some(SECOND.link_local()));
    hears(
        &mut uplinks,
        &advertisement(SECOND, 0, RouterPreference::High),
    );
    assert_eq!(told(&mut uplinks), Some(FIRST.link_local()));
    assert!(uplinks.news(Instant::now()).is_empty(), "told once");
    let later = now + Duration::from_secs(1801);
    uplinks.due(later);
    assert_eq!(told(&mut uplinks), None);
}

#[test]
fn what_was_known_before_counts_until_a_router_is_heard() {
    let now = Instant::now();
    let mut facts = Facts::default();
    let known = Outside {
        default_router: Some(FIRST.link_local()),
        neighbors: [(IpAddr::from(FIRST.link_local()), FIRST)].into(),
    };
    facts.learn_outside(&chassis(), NETWORK, Some(Arc::new(known.clone())));
    let mut own = started(&facts, now);
    assert!(
        own.news(Instant::now()).is_empty(),
        "a restart tells nothing new"
    );

    let mut facts = Facts::default();
    facts.learn_outside(
        &ChassisId::new("h2"),
        NETWORK,
        Some(Arc::new(known.clone())),
    );
    let mut taken_over = started(&facts, now);
    assert_eq!(taken_over.news(Instant::now()), [(NETWORK, Some(known))]);
    hears(
        &mut taken_over,
        &advertisement(SECOND, 1800, RouterPreference::Medium),
    );
    taken_over.due(now);
    let later = Instant::now();
    assert!(taken_over.news(later).iter().all(|(_, known)| {
        let known = known.as_ref().unwrap();
        known.default_router == Some(FIRST.link_local())
    }));
    answered(&mut taken_over, now + Duration::from_secs(5), &[SECOND]);
    assert_eq!(told(&mut taken_over), Some(SECOND.link_local()));
}

#[test]
fn a_router_that_has_not_answered_displaces_none_that_does_and_keeps_nobody_from_asking() {
    let now = Instant::now();
    let mut uplinks = started(&Facts::default(), now);
    hears(
        &mut uplinks,
        &advertisement(SECOND, 1800, RouterPreference::High),
    );
    assert_eq!(
        told(&mut uplinks),
        Some(SECOND.link_local()),
        "for want of another"
    );
    let asked = frames(&uplinks.due(now + Duration::from_secs(4)));
    let solicitation = sextant_responders::ra::solicit(OWN, OWN.link_local());
    assert!(asked.contains(&Bytes::from(solicitation)));
    hears(
        &mut uplinks,
        &advertisement(FIRST, 1800, RouterPreference::Low),
    );
    answered(&mut uplinks, now + Duration::from_secs(5), &[FIRST]);
    assert_eq!(told(&mut uplinks), Some(FIRST.link_local()));
    for n in 0..100 {
        let router = MacAddr([2, 0, 0, 0, 1, n]);
        hears(
            &mut uplinks,
            &advertisement(router, 1800, RouterPreference::High),
        );
        answered(
            &mut uplinks,
            now + Duration::from_secs(6 + u64::from(n)),
            &[FIRST],
        );
        assert_eq!(
            uplinks.links[&NETWORK].default_router(),
            Some(FIRST.link_local())
        );
    }
    let router = MacAddr([2, 0, 0, 0, 1, 99]);
    answered(
        &mut uplinks,
        now + Duration::from_secs(110),
        &[FIRST, router],
    );
    assert_eq!(
        uplinks.links[&NETWORK].default_router(),
        Some(router.link_local()),
        "it does answer"
    );
}

#[test]
fn nobody_outside_has_our_mac_or_our_address() {
    let now = Instant::now();
    let mut uplinks = started(&Facts::default(), now);
    let own: Ipv6Addr = "2001:db8:e::5".parse().unwrap();
    let mut from_us = advertisement(FIRST, 1800, RouterPreference::High);
    from_us[6..12].copy_from_slice(&OWN.0);
    for refused in [
        advertisement(OWN, 1800, RouterPreference::High),
        from_us,
        neighbor::announce(OWN, FIRST.link_local().into()),
        neighbor::announce(SECOND, OWN.link_local().into()),
        neighbor::announce(SECOND, own.into()),
    ] {
        assert!(self::refused(&mut uplinks, &refused) > 0, "{refused:x?}");
        assert_eq!(uplinks.links[&NETWORK].default_router(), None);
    }
    assert_eq!(
        refused(
            &mut uplinks,
            &advertisement(FIRST, 1800, RouterPreference::High)
        ),
        0
    );
}

#[test]
fn another_says_goodbye_for_a_router_that_answers_and_is_not_believed() {
    let now = Instant::now();
    let mut uplinks = started(&Facts::default(), now);
    hears(
        &mut uplinks,
        &advertisement(FIRST, 1800, RouterPreference::Medium),
    );
    answered(&mut uplinks, now + Duration::from_secs(1), &[FIRST]);
    for lifetime in [0, 1] {
        let forged = Advertisement {
            mac: SECOND,
            ..said(FIRST, lifetime, RouterPreference::Medium)
        };
        assert_eq!(
            refused(&mut uplinks, &advertise(&forged, Destination::AllNodes)),
            1
        );
        let best = uplinks.links[&NETWORK].default_router();
        assert_eq!(best, Some(FIRST.link_local()));
    }
    hears(
        &mut uplinks,
        &advertisement(FIRST, 0, RouterPreference::Medium),
    );
    assert_eq!(
        uplinks.links[&NETWORK].default_router(),
        None,
        "its own word"
    );
}

#[test]
fn a_network_that_is_left_is_said_to_be() {
    let now = Instant::now();
    let mut facts = Facts::default();
    facts.learn_outside(&chassis(), NETWORK, Some(Arc::default()));
    let mut uplinks = started(&facts, now);
    uplinks.update(BTreeMap::new(), &chassis(), &facts, now);
    assert_eq!(uplinks.news(Instant::now()), [(NETWORK, None)]);
    assert_eq!(uplinks.deadline(), None);
}

#[test]
fn a_neighbour_for_whom_there_are_packets_is_resolved_and_so_are_only_so_many() {
    let now = Instant::now();
    let mut uplinks = started(&Facts::default(), now);
    uplinks.due(now);
    let host = |n: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0xe, 0, 0, 0, 1, n));
    let seek: Vec<_> = (0..300)
        .map(|n| Learned::Sought(NETWORK, host(n)))
        .collect();
    uplinks.learn(&seek, &Metrics::new().unwrap());
    let later = Instant::now();
    assert_eq!(uplinks.due(later).len(), 256);
    let answer = neighbor::announce(FIRST, host(3));
    hears(&mut uplinks, &answer);
    let news = uplinks.news(Instant::now());
    let (_, outside) = news.last().unwrap();
    assert_eq!(
        outside.as_ref().unwrap().neighbors,
        [(host(3), FIRST)].into()
    );
}

#[test]
fn routers_are_asked_for_again_once_the_last_has_gone() {
    let now = Instant::now();
    let mut uplinks = started(&Facts::default(), now);
    let asks = |messages: Vec<Message>| {
        let solicitation = sextant_responders::ra::solicit(OWN, OWN.link_local());
        frames(&messages).contains(&Bytes::from(solicitation))
    };
    assert!(asks(uplinks.due(now)));
    hears(
        &mut uplinks,
        &advertisement(FIRST, 30, RouterPreference::Medium),
    );
    answered(&mut uplinks, now + Duration::from_secs(1), &[FIRST]);
    assert!(!asks(uplinks.due(now + Duration::from_secs(10))));
    assert!(asks(uplinks.due(now + Duration::from_secs(40))));
}

#[test]
fn of_routers_that_are_not_listed_nothing_is_kept() {
    let now = Instant::now();
    let mut uplinks = started(&Facts::default(), now);
    for n in 0..200 {
        let router = MacAddr([2, 0, 0, 0, 1, n]);
        let lifetime = if n % 2 == 0 { 1800 } else { 0 };
        let heard = advertisement(router, lifetime, RouterPreference::Medium);
        hears(&mut uplinks, &heard);
    }
    assert_eq!(uplinks.links[&NETWORK].remembered_macs(), 0);
    let best = MacAddr([2, 0, 0, 0, 1, 0]);
    let news = uplinks.news(Instant::now());
    let known = news.last().unwrap().1.as_ref().unwrap();
    assert_eq!(known.default_router, Some(best.link_local()));
    assert_eq!(known.neighbors[&best.link_local().into()], best);
}

#[test]
fn who_makes_up_routers_is_told_of_at_a_pace_and_of_the_last_in_the_end() {
    let now = Instant::now();
    let mut uplinks = started(&Facts::default(), now);
    let told = (0..200).filter(|n| {
        let lifetime = if n % 2 == 0 { 1800 } else { 0 };
        hears(
            &mut uplinks,
            &advertisement(SECOND, lifetime, RouterPreference::High),
        );
        !uplinks.news(now).is_empty()
    });
    assert!((2..=20).contains(&told.count()));
    let after = Instant::now();
    uplinks.due(after);
    assert!(uplinks.news(after).is_empty());
    let again = after + Duration::from_millis(250);
    assert_eq!(uplinks.deadline(), Some(again));
    uplinks.due(again);
    let news = uplinks.news(again);
    let (_, outside) = news.last().expect("what was held back");
    assert_eq!(outside.as_ref().unwrap().default_router, None);
}
