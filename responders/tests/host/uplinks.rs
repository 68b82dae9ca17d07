//! What routers do on an external network: whom they hear, resolve and believe.

use crate::clock::{Seeded, start};
use sextant_model::{
    AdvertisedOptions, Advertisement, Chassis, ChassisId, Encap, EncapKind, Facts, KnownNeighbor,
    MacAddr, NetworkId, Outside, PortId, Punt, RouterPreference, Speaker, SubnetId, Uplink,
};
use sextant_responders::host::{FrameKind, HostEvent, OutgoingFrame, Uplinks};
use sextant_responders::ra::{Destination, advertise, solicit};
use sextant_responders::{Learned, neighbor, respond};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const NETWORK: NetworkId = NetworkId::MAX;
pub(crate) const OWN: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);
pub(crate) const FIRST: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const SECOND: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

pub(crate) fn chassis() -> ChassisId {
    ChassisId::new("h1")
}

/// What is known of a hypervisor whose database was read.
pub(crate) fn observed() -> Facts {
    let encap = Encap {
        endpoints: "192.0.2.1".parse().unwrap(),
        kind: EncapKind::Vxlan,
    };
    let mut facts = Facts::default();
    facts.put_chassis(Chassis {
        observed: true,
        ..Chassis::new(chassis(), encap)
    });
    facts
}

pub(crate) fn uplink() -> Uplink {
    let speaker = Speaker {
        mac: OWN,
        addresses: vec![OWN.link_local().into(), "2001:db8:e::5".parse().unwrap()],
        delegated: Default::default(),
    };
    Uplink {
        port: 5,
        vlan_tci: 0x1064,
        speakers: [(PortId::MIN, speaker)].into(),
        next_hops: Default::default(),
        listens: true,
    }
}

/// A hypervisor on an external network, and an owner of facts.
pub(crate) struct UplinkStory {
    pub(crate) uplinks: Uplinks,
    pub(crate) facts: Facts,
    pub(crate) now: Instant,
    begun: Instant,
    random: Seeded,
}

impl UplinkStory {
    pub(crate) fn new() -> Self {
        Self::with(observed())
    }

    /// It begins when this is known.
    fn with(facts: Facts) -> Self {
        Self::at(start().instant, facts)
    }

    pub(crate) fn at(now: Instant, facts: Facts) -> Self {
        let mut story = Self {
            uplinks: Uplinks::new(chassis()),
            facts,
            now,
            begun: now,
            random: Seeded::new(1),
        };
        story.set([(NETWORK, uplink())].into());
        story
    }

    fn set(&mut self, uplinks: BTreeMap<NetworkId, Uplink>) {
        self.uplinks
            .handle_uplinks(uplinks, &self.facts, self.now, &mut self.random.draw());
    }

    pub(crate) fn hear(&mut self, frame: &[u8]) {
        self.learn(&respond(&Punt::Heard(NETWORK), frame).learned);
    }

    fn learn(&mut self, learned: &[Learned]) {
        for learned in learned {
            self.uplinks
                .handle_learned(learned, self.now, &mut self.random.draw());
        }
    }

    /// How much of what a frame shows is not believed.
    fn refusals(&mut self, frame: &[u8]) -> usize {
        self.hear(frame);
        let events = std::iter::from_fn(|| self.uplinks.poll_event());
        let refused = |event: &HostEvent| matches!(event, HostEvent::Disbelieved(_));
        events.filter(refused).count()
    }

    pub(crate) fn due(&mut self) -> Vec<OutgoingFrame> {
        self.uplinks
            .handle_timeout(self.now, &mut self.random.draw());
        std::iter::from_fn(|| self.uplinks.poll_frame()).collect()
    }

    /// What is due so many seconds after the beginning.
    fn due_at(&mut self, second: u64) -> Vec<OutgoingFrame> {
        self.now = self.begun + Duration::from_secs(second);
        self.due()
    }

    /// What is due then is sent, and routers at these MACs answer.
    fn answer_at(&mut self, second: u64, macs: &[MacAddr]) {
        let sent = self.due_at(second);
        for answer in macs.iter().flat_map(|mac| answers(&sent, *mac)) {
            self.hear(&answer);
        }
    }

    /// What the owner learns, and knows from then on.
    pub(crate) fn reports(&mut self) -> Vec<(NetworkId, Option<Outside>)> {
        self.uplinks.handle_facts(&self.facts, self.now);
        let mut reports = vec![];
        while let Some(event) = self.uplinks.poll_event() {
            if let HostEvent::Outside(network, outside) = event {
                let known = outside.clone().map(Arc::new);
                self.facts.learn_outside(&chassis(), network, known);
                reports.push((network, outside));
            }
        }
        reports
    }

    /// The default router in the latest report.
    fn reported(&mut self) -> Option<Ipv6Addr> {
        let reports = self.reports();
        let (_, outside) = reports.last().expect("there is a report");
        outside.as_ref().unwrap().default_router
    }

    pub(crate) fn default_router(&self) -> Option<Ipv6Addr> {
        self.uplinks.default_router(NETWORK)
    }
}

/// What a router at this MAC answers if these frames ask for it.
pub(crate) fn answers(asked: &[OutgoingFrame], mac: MacAddr) -> Vec<Vec<u8>> {
    let known = KnownNeighbor {
        address: mac.link_local(),
        mac,
        router: true,
        overrides: true,
        vlan_tci: 0,
    };
    let punt = Punt::NeighborSolicitation(known);
    let answers = asked
        .iter()
        .flat_map(|frame| respond(&punt, &frame.octets).frames);
    answers.collect()
}

pub(crate) fn advertisement(mac: MacAddr, lifetime: u16, preference: RouterPreference) -> Vec<u8> {
    advertise(&said(mac, lifetime, preference), Destination::AllNodes)
}

pub(crate) fn said(mac: MacAddr, lifetime: u16, preference: RouterPreference) -> Advertisement {
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

fn octets(frames: Vec<OutgoingFrame>) -> Vec<Vec<u8>> {
    frames.into_iter().map(|frame| frame.octets).collect()
}

/// Of which a router at the first MAC is the default router.
fn known() -> Outside {
    Outside {
        default_router: Some(FIRST.link_local()),
        neighbors: [(IpAddr::from(FIRST.link_local()), FIRST)].into(),
    }
}

fn asks_for_routers(frames: &[OutgoingFrame]) -> bool {
    let solicitation = solicit(OWN, OWN.link_local());
    frames.iter().any(|frame| frame.octets == solicitation)
}

#[test]
fn a_new_uplink_asks_for_routers_and_announces_itself_once_its_flows_are_there() {
    let mut story = UplinkStory::new();
    assert_eq!(octets(story.due()), [solicit(OWN, OWN.link_local())]);
    story.uplinks.handle_confirmed(story.now);
    let global: Ipv6Addr = "2001:db8:e::5".parse().unwrap();
    let announced = [OWN.link_local(), global].map(|of| neighbor::announce(OWN, of.into()));
    assert_eq!(octets(story.due()), announced);
    assert!(story.due().is_empty());
}

#[test]
fn a_router_that_asks_for_other_prefixes_is_not_announced_anew_and_one_with_another_address_is() {
    let mut story = UplinkStory::new();
    story.uplinks.handle_confirmed(story.now);
    (0..10).for_each(|second| drop(story.due_at(second)));
    let is_announced = |story: &mut UplinkStory, uplink: &Uplink| {
        story.set([(NETWORK, uplink.clone())].into());
        story.uplinks.handle_confirmed(story.now);
        let sent = story.due();
        let mut kinds = sent.iter().map(|frame| frame.kind);
        kinds.any(|kind| kind == FrameKind::Announcement)
    };
    let mut uplink = uplink();
    for speaker in uplink.speakers.values_mut() {
        speaker.delegated.insert(SubnetId::MIN);
    }
    assert!(!is_announced(&mut story, &uplink));
    for speaker in uplink.speakers.values_mut() {
        speaker.addresses.push("2001:db8:e::6".parse().unwrap());
    }
    assert!(is_announced(&mut story, &uplink));
}

#[test]
fn the_better_router_wins_until_it_goes() {
    let mut story = UplinkStory::new();
    story.hear(&advertisement(FIRST, 1800, RouterPreference::Low));
    assert_eq!(story.reported(), Some(FIRST.link_local()));
    story.hear(&advertisement(SECOND, 1800, RouterPreference::High));
    assert_eq!(story.reported(), Some(SECOND.link_local()));
    story.hear(&advertisement(SECOND, 0, RouterPreference::High));
    assert_eq!(story.reported(), Some(FIRST.link_local()));
    assert_eq!(story.reports(), [], "it is known");
    story.due_at(1801);
    assert_eq!(story.reported(), None);
}

#[test]
fn what_was_known_before_counts_until_a_router_is_heard() {
    let mut facts = observed();
    facts.learn_outside(&chassis(), NETWORK, Some(Arc::new(known())));
    let mut own = UplinkStory::with(facts);
    assert_eq!(own.reports(), [], "a restart is no news");

    let mut facts = observed();
    facts.learn_outside(&ChassisId::new("h2"), NETWORK, Some(Arc::new(known())));
    let mut taken_over = UplinkStory::with(facts);
    assert_eq!(taken_over.reports(), [(NETWORK, Some(known()))]);
    taken_over.hear(&advertisement(SECOND, 1800, RouterPreference::Medium));
    taken_over.due();
    assert!(taken_over.reports().iter().all(|(_, known)| {
        let known = known.as_ref().unwrap();
        known.default_router == Some(FIRST.link_local())
    }));
    taken_over.answer_at(5, &[SECOND]);
    assert_eq!(taken_over.reported(), Some(SECOND.link_local()));
}

#[test]
fn what_was_lost_on_its_way_to_the_owner_is_reported_again() {
    let mut story = UplinkStory::with(Facts::default());
    story.hear(&advertisement(FIRST, 1800, RouterPreference::Low));
    assert_eq!(story.reports(), [], "nothing would be kept");
    story.facts = observed();
    assert_eq!(story.reports(), [(NETWORK, Some(known()))]);
    story.facts.learn_outside(&chassis(), NETWORK, None);
    assert_eq!(story.reports(), [(NETWORK, Some(known()))]);
}

#[test]
fn a_router_that_has_not_answered_displaces_none_that_does_and_keeps_nobody_from_asking() {
    let mut story = UplinkStory::new();
    story.hear(&advertisement(SECOND, 1800, RouterPreference::High));
    let for_want_of_another = story.reported();
    assert_eq!(for_want_of_another, Some(SECOND.link_local()));
    assert!(asks_for_routers(&story.due_at(4)));
    story.hear(&advertisement(FIRST, 1800, RouterPreference::Low));
    story.answer_at(5, &[FIRST]);
    assert_eq!(story.reported(), Some(FIRST.link_local()));
    for n in 0..100 {
        let router = MacAddr([2, 0, 0, 0, 1, n]);
        story.hear(&advertisement(router, 1800, RouterPreference::High));
        story.answer_at(6 + u64::from(n), &[FIRST]);
        assert_eq!(story.default_router(), Some(FIRST.link_local()));
    }
    let router = MacAddr([2, 0, 0, 0, 1, 99]);
    story.answer_at(110, &[FIRST, router]);
    let answers = story.default_router();
    assert_eq!(answers, Some(router.link_local()));
}

#[test]
fn nobody_outside_has_our_mac_or_our_address() {
    let mut story = UplinkStory::new();
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
        assert!(story.refusals(&refused) > 0, "{refused:x?}");
        assert_eq!(story.default_router(), None);
    }
    let heard = advertisement(FIRST, 1800, RouterPreference::High);
    assert_eq!(story.refusals(&heard), 0);
}

#[test]
fn another_says_goodbye_for_a_router_that_answers_and_is_not_believed() {
    let mut story = UplinkStory::new();
    story.hear(&advertisement(FIRST, 1800, RouterPreference::Medium));
    story.answer_at(1, &[FIRST]);
    for lifetime in [0, 1] {
        let forged = Advertisement {
            mac: SECOND,
            ..said(FIRST, lifetime, RouterPreference::Medium)
        };
        let forged = advertise(&forged, Destination::AllNodes);
        assert_eq!(story.refusals(&forged), 1);
        assert_eq!(story.default_router(), Some(FIRST.link_local()));
    }
    story.hear(&advertisement(FIRST, 0, RouterPreference::Medium));
    assert_eq!(story.default_router(), None, "its own word");
}

#[test]
fn a_network_that_is_left_is_reported_as_such() {
    let mut facts = observed();
    facts.learn_outside(&chassis(), NETWORK, Some(Arc::default()));
    let mut story = UplinkStory::with(facts);
    story.set(BTreeMap::new());
    assert_eq!(story.reports(), [(NETWORK, None)]);
    assert_eq!(story.reports(), []);
    assert_eq!(story.uplinks.poll_timeout(), None);
}

#[test]
fn before_it_is_known_which_uplinks_there_are_none_is_left() {
    let mut facts = observed();
    facts.learn_outside(&chassis(), NETWORK, Some(Arc::default()));
    let mut uplinks = Uplinks::new(chassis());
    uplinks.handle_facts(&facts, start().instant);
    assert_eq!(uplinks.poll_event(), None);
}

#[test]
fn a_neighbour_for_whom_there_are_packets_is_resolved_and_so_are_only_so_many() {
    let mut story = UplinkStory::new();
    story.due();
    let host = |n: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0xe, 0, 0, 0, 1, n));
    let seek: Vec<_> = (0..300)
        .map(|n| Learned::Sought(NETWORK, host(n)))
        .collect();
    story.learn(&seek);
    assert_eq!(story.due().len(), 256);
    story.hear(&neighbor::announce(FIRST, host(3)));
    let reports = story.reports();
    let (_, outside) = reports.last().unwrap();
    let neighbors = &outside.as_ref().unwrap().neighbors;
    assert_eq!(*neighbors, [(host(3), FIRST)].into());
}

#[test]
fn routers_are_asked_for_again_once_the_last_has_gone() {
    let mut story = UplinkStory::new();
    assert!(asks_for_routers(&story.due()));
    story.hear(&advertisement(FIRST, 30, RouterPreference::Medium));
    story.answer_at(1, &[FIRST]);
    assert!(!asks_for_routers(&story.due_at(10)));
    assert!(asks_for_routers(&story.due_at(40)));
}

#[test]
fn of_routers_that_are_not_listed_nothing_is_kept() {
    let mut story = UplinkStory::new();
    for n in 0..200 {
        let router = MacAddr([2, 0, 0, 0, 1, n]);
        let lifetime = if n % 2 == 0 { 1800 } else { 0 };
        story.hear(&advertisement(router, lifetime, RouterPreference::Medium));
    }
    let best = MacAddr([2, 0, 0, 0, 1, 0]);
    let reports = story.reports();
    let known = reports.last().unwrap().1.as_ref().unwrap();
    assert_eq!(known.default_router, Some(best.link_local()));
    assert_eq!(known.neighbors[&best.link_local().into()], best);
    assert_eq!(known.neighbors.len(), 16);
}

#[test]
fn who_makes_up_routers_is_reported_at_a_pace_and_the_last_of_them_in_the_end() {
    let mut story = UplinkStory::new();
    let reported = (0..200).filter(|n| {
        let lifetime = if n % 2 == 0 { 1800 } else { 0 };
        story.hear(&advertisement(SECOND, lifetime, RouterPreference::High));
        !story.reports().is_empty()
    });
    assert!((2..=20).contains(&reported.count()));
    story.due();
    assert_eq!(story.reports(), []);
    let again = story.now + Duration::from_millis(250);
    assert_eq!(story.uplinks.poll_timeout(), Some(again));
    story.now = again;
    story.due();
    assert_eq!(story.reported(), None, "what was held back");
}
