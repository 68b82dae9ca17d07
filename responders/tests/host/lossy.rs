//! Hosts on a link that loses, doubles, delays and reorders frames, and whose owner loses events as well. The clock jumps from
//! one event to the next, so hours take milliseconds. Each seed is another story, the same each time.

use crate::advertising::{link, prefix};
use crate::clock::{Seeded, start};
use crate::outside::{
    NEXT_HOP, NEXT_HOP4, OWN4, OutsideWorld, TIMES, neighbor_asked_for, prefix_for,
};
use crate::prefix_clients::{INSIDE, MAC, OUTSIDE, intent, port, reaching, uplinks};
use crate::uplinks::{FIRST, chassis};
use proptest::prelude::*;
use sextant_model::{
    Change, Facts, FixedIp, Intent, NetworkId, Object, ObjectKey, PortId, PrefixSource, Punt,
    ROUTER_INTERFACE_OWNER, Settings, Subnet, SubnetId, Uplink,
};
use sextant_responders::host::{FrameKind, Host, HostEvent, OutgoingFrame, RouterPorts, Time, Way};
use sextant_responders::neighbor::NeighborState;
use sextant_responders::prefix_client::{PrefixClientState, duid};
use sextant_responders::ra_schedule::MIN_DELAY_BETWEEN_RAS;
use sextant_responders::{Learned, respond};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SUBNETS: usize = 3;
/// RetransTimer (RFC 4861 §10): the least distance of two solicitations of one next hop.
const RETRANSMISSION: Duration = Duration::from_secs(1);
/// The shortest ReachableTime, by which a next hop that answers is asked again.
const SHORTEST_REACHABLE: u64 = 2500;

/// What a link does to frames, in percent of them, and by how many milliseconds it delays them at most.
#[derive(Clone, Copy, Debug)]
struct Weather {
    lost: u64,
    doubled: u64,
    delay: u64,
}

const FAIR: Weather = Weather {
    lost: 0,
    doubled: 0,
    delay: 0,
};

/// What happens beside the weather.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    ServerForgets,
    NextHopsMove,
    ClockIsSet(i64),
    HostRestarts,
    Flush,
}

/// A frame that is under way.
#[derive(Debug)]
enum Flying {
    Out(FrameKind, Vec<u8>),
    FromNeighbor(Vec<u8>),
    FromServer(Vec<u8>),
}

struct World {
    now: Time,
    /// By this pair of clocks times follow.
    base: Time,
    random: Seeded,
    weather: Weather,
    host: Host,
    intent: Intent,
    facts: Facts,
    outside: OutsideWorld,
    flying: BTreeMap<(Instant, u64), Flying>,
    serial: u64,
    /// What was sent since the books were opened, and when.
    sent: Vec<(Instant, OutgoingFrame)>,
    /// How many of a server's messages arrived since then.
    answered: usize,
}

fn subnets() -> impl Iterator<Item = SubnetId> {
    let id = |n| format!("00000000-0000-4000-8000-{n:012}");
    (1..=SUBNETS).map(move |n| id(n).parse().unwrap())
}

fn interface(subnet: SubnetId) -> PortId {
    PortId(subnet.0)
}

/// A router with several subnets that wait for their prefixes.
fn waiting() -> Intent {
    let mut intent = intent();
    for id in subnets() {
        let subnet = Subnet {
            prefix_source: PrefixSource::Delegated,
            ..Subnet::new(id, INSIDE, "::/64".parse().unwrap())
        };
        let mut port = port(interface(id), INSIDE, ROUTER_INTERFACE_OWNER);
        port.fixed_ips = vec![FixedIp {
            subnet_id: id,
            ip_address: std::net::Ipv6Addr::UNSPECIFIED.into(),
        }];
        intent.apply(&Change::Put(Object::Subnet(Arc::new(subnet))));
        intent.apply(&Change::Put(Object::Port(Arc::new(port))));
    }
    intent
}

fn speaking() -> BTreeMap<NetworkId, Uplink> {
    let mut uplinks = uplinks();
    let uplink = uplinks.get_mut(&OUTSIDE).unwrap();
    uplink.listens = true;
    uplink.next_hops = [NEXT_HOP.into(), NEXT_HOP4.into()].into();
    for speaker in uplink.speakers.values_mut() {
        let global = "2001:db8:e::5".parse().unwrap();
        speaker.addresses = vec![MAC.link_local().into(), global, OWN4.into()];
        speaker.delegated = subnets().collect();
    }
    uplinks
}

fn inside() -> RouterPorts {
    RouterPorts {
        links: [(PortId::MIN, link(&[prefix(1)]))].into(),
        places: BTreeMap::new(),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let (now, mut random) = (start(), Seeded::new(seed));
        let intent = waiting();
        let mut facts = Facts::default();
        facts.put_chassis(reaching(chassis()));
        facts.place_gateways(&intent);
        let weather = Weather {
            lost: random.next() % 70,
            doubled: random.next() % 50,
            delay: random.next() % 3000,
        };
        let mut world = Self {
            now,
            base: now,
            random,
            weather,
            host: Host::new(chassis(), RouterPorts::default(), now),
            intent,
            facts,
            outside: OutsideWorld::new(),
            flying: BTreeMap::new(),
            serial: 0,
            sent: vec![],
            answered: 0,
        };
        world.set(inside(), speaking());
        world
    }

    /// The switch has flows for these.
    fn set(&mut self, ports: RouterPorts, uplinks: BTreeMap<NetworkId, Uplink>) {
        let now = self.now;
        self.host.handle_planned(&ports, now);
        self.host
            .handle_links(ports.links, now, &mut self.random.draw());
        let known = (&self.intent, &self.facts);
        self.host
            .handle_uplinks(uplinks, known, now, &mut self.random.draw());
        self.host.handle_confirmed(now);
        self.settle();
    }

    fn disturb(&mut self, disturbance: Disturbance) {
        match disturbance {
            Disturbance::ServerForgets => self.outside.bindings.clear(),
            Disturbance::NextHopsMove => self.outside.renew_cards(),
            Disturbance::ClockIsSet(by) => self.base.unix += by,
            Disturbance::Flush => self.host.flush(self.now, &mut self.random.draw()),
            Disturbance::HostRestarts => {
                self.check_books();
                self.host = Host::new(chassis(), inside(), self.now);
                self.set(inside(), speaking());
            }
        }
        self.settle();
    }

    /// No router and no subnet needs the hypervisor any more.
    fn stop(&mut self) {
        self.open_books();
        for id in subnets() {
            self.intent
                .apply(&Change::delete(ObjectKey::Port(interface(id))));
        }
        self.set(RouterPorts::default(), BTreeMap::new());
    }

    /// Goes from event to event, as the host and the link have them.
    fn pass(&mut self, time: Duration) {
        let until = self.now.instant + time;
        loop {
            let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
            let timeout = self.host.poll_timeout();
            let next = arrival.into_iter().chain(timeout).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.turn_clock(next);
            if arrival.is_some_and(|at| at <= next) {
                let (_, frame) = self.flying.pop_first().unwrap();
                self.arrive(frame);
            } else {
                let random = &mut self.random.draw();
                self.host.handle_timeout(self.now, random);
            }
            self.settle();
            let timeout = self.host.poll_timeout();
            assert!(
                arrival.is_some() || timeout.is_none_or(|next| next > self.now.instant),
                "what is due is done"
            );
        }
        self.turn_clock(until);
    }

    fn turn_clock(&mut self, to: Instant) {
        let instant = to.max(self.now.instant);
        let unix = self.base.unix_at(Some(instant));
        self.now = Time { instant, unix };
    }

    fn arrive(&mut self, frame: Flying) {
        let (punt, frame) = match frame {
            Flying::Out(FrameKind::Dhcpv6(_), frame) => {
                let answer = self.outside.answer_client(&frame).frame();
                return self.fly(Flying::FromServer(answer));
            }
            Flying::Out(_, frame) => {
                for answer in self.outside.answer_frame(&frame) {
                    self.fly(Flying::FromNeighbor(answer));
                }
                return;
            }
            Flying::FromNeighbor(frame) => (Punt::Heard(OUTSIDE), frame),
            Flying::FromServer(frame) => {
                self.answered += 1;
                (Punt::PrefixClientMessage(OUTSIDE), frame)
            }
        };
        for learned in respond(&punt, &frame).learned {
            let random = &mut self.random.draw();
            self.host.handle_learned(&learned, self.now, random);
        }
    }

    /// The host's frames and events go where they go.
    fn settle(&mut self) {
        while let Some(frame) = self.host.poll_frame() {
            if matches!(frame.way, Way::Uplink { .. }) {
                self.fly(Flying::Out(frame.kind, frame.octets.clone()));
            }
            self.sent.push((self.now.instant, frame));
        }
        self.host
            .handle_snapshot(&self.intent, &self.facts, self.now);
        while let Some(event) = self.host.poll_event() {
            if self.is(self.weather.lost) {
                continue;
            }
            match event {
                HostEvent::Outside(network, outside) => {
                    let outside = outside.map(Arc::new);
                    self.facts.learn_outside(&chassis(), network, outside);
                }
                HostEvent::Delegated(subnet, known) => self.facts.delegate(subnet, known),
                HostEvent::Disbelieved(_)
                | HostEvent::Announced(_)
                | HostEvent::Appeared(_)
                | HostEvent::ServerAnswered { .. } => {}
            }
        }
    }

    fn fly(&mut self, frame: Flying) {
        if self.is(self.weather.lost) {
            return;
        }
        if self.is(self.weather.doubled) {
            self.begin_flight(match &frame {
                Flying::Out(kind, frame) => Flying::Out(*kind, frame.clone()),
                Flying::FromNeighbor(frame) => Flying::FromNeighbor(frame.clone()),
                Flying::FromServer(frame) => Flying::FromServer(frame.clone()),
            });
        }
        self.begin_flight(frame);
    }

    fn begin_flight(&mut self, frame: Flying) {
        let delay = self.random.next() % (self.weather.delay + 1);
        let at = self.now.instant + Duration::from_millis(delay);
        self.serial += 1;
        self.flying.insert((at, self.serial), frame);
    }

    fn is(&mut self, percent: u64) -> bool {
        self.random.next() % 100 < percent
    }

    fn open_books(&mut self) {
        self.sent.clear();
        self.answered = 0;
    }

    /// What was sent kept its distances. Then the books are opened anew.
    fn check_books(&mut self) {
        let mut asked = BTreeMap::new();
        let mut advertised = None;
        for (at, frame) in &self.sent {
            if let Some(neighbor) = neighbor_asked_for(&frame.octets) {
                let before = asked.insert(neighbor, *at);
                let distance = before.map(|before| *at - before);
                assert!(
                    distance.is_none_or(|distance| distance >= RETRANSMISSION),
                    "{neighbor} is asked for {distance:?} after it was"
                );
            }
            if frame.kind == FrameKind::PeriodicAdvertisement {
                let before = advertised.replace(*at);
                let distance = before.map(|before: Instant| *at - before);
                let longest = Settings::default().ra.max_interval;
                let bounds = MIN_DELAY_BETWEEN_RAS..=Duration::from_secs(longest.into());
                assert!(
                    distance.is_none_or(|distance| bounds.contains(&distance)),
                    "it advertises {distance:?} after it did"
                );
            }
        }
        self.open_books();
    }

    fn count(&self, is: impl Fn(&OutgoingFrame) -> bool) -> u64 {
        self.sent.iter().filter(|(_, frame)| is(frame)).count() as u64
    }

    /// All is known, here and to the owner, and it is true.
    fn is_as_it_should_be(&self) {
        let states: Vec<_> = self.host.prefix_clients().states().collect();
        assert_eq!(states, [PrefixClientState::Bound; SUBNETS]);
        for id in subnets() {
            let duid = duid(id);
            let known = self.facts.delegations().get(&id);
            let known = known.map(|known| known.prefix);
            assert_eq!(known, Some(prefix_for(&duid)));
            assert_eq!(self.outside.bindings.get(&duid).copied(), known);
        }
        let neighbors = self.host.uplinks().neighbors();
        let known: BTreeMap<IpAddr, _> = neighbors
            .flat_map(|(_, known)| known)
            .map(|known| (known.address(), (known.state(), known.mac().unwrap())))
            .collect();
        let stations = self.outside.stations.iter();
        let expected = stations.map(|(address, mac)| (*address, (NeighborState::Reachable, *mac)));
        assert_eq!(known, expected.collect());
        let outside = &self.facts.outside()[&(chassis(), OUTSIDE)];
        assert_eq!(outside.neighbors, self.outside.stations);
        assert_eq!(outside.default_router, Some(FIRST.link_local()));
    }
}

fn is_dhcpv6(frame: &OutgoingFrame) -> bool {
    matches!(frame.kind, FrameKind::Dhcpv6(_))
}

fn disturbance(random: u64) -> Disturbance {
    match random % 6 {
        0 => Disturbance::ServerForgets,
        1 => Disturbance::NextHopsMove,
        2 => Disturbance::ClockIsSet(7200),
        3 => Disturbance::ClockIsSet(-7200),
        4 => Disturbance::HostRestarts,
        _ => Disturbance::Flush,
    }
}

/// The weather is bad for some minutes, and other things happen. Returns for how long.
fn storm(world: &mut World) -> Duration {
    let mut lasted = Duration::ZERO;
    for _ in 0..world.random.next() % 6 + 1 {
        let time = Duration::from_millis(world.random.next() % 120_000);
        world.pass(time);
        let clients = SUBNETS as u64;
        // An answer may make a client send at once; without, it waits for about a second.
        let most = world.answered as u64 + clients * (time.as_millis() as u64 / 900 + 4);
        let sent = world.count(is_dhcpv6);
        assert!(
            sent <= most,
            "{sent} messages of {clients} clients in {time:?}"
        );
        world.check_books();
        lasted += time;
        let disturbance = disturbance(world.random.next());
        world.disturb(disturbance);
    }
    lasted
}

/// By then all that doubles its distances, because nobody answered, has been sent again, and leases have been renewed.
fn clear_up(world: &mut World, lasted: Duration) {
    world.weather = FAIR;
    world.pass(lasted * 3 + Duration::from_secs(2 * u64::from(TIMES.0)));
}

/// For some minutes what is known does not change, and only what keeps it known is sent.
fn stay_quiet(world: &mut World) {
    let quiet = Duration::from_secs(600);
    world.pass(quiet);
    let renewals = SUBNETS as u64 * (quiet.as_secs() / u64::from(TIMES.0) + 1);
    assert!(world.count(is_dhcpv6) <= renewals);
    let most = quiet.as_millis() as u64 / SHORTEST_REACHABLE + 1;
    let mut others = world.count(|frame| frame.kind == FrameKind::Solicitation);
    for station in world.outside.stations.keys() {
        let asked = world.count(|frame| neighbor_asked_for(&frame.octets) == Some(*station));
        assert!(asked <= most, "{station} is asked for {asked} times");
        others -= asked;
    }
    assert_eq!(others, 0, "a router is there, so none is looked for");
    world.check_books();
}

/// After a stop, prefixes are given back and guests learn of it: with so many messages at most.
fn say_goodbye(world: &mut World) {
    world.stop();
    world.pass(Duration::from_secs(300));
    let advertised = world.count(|frame| frame.kind == FrameKind::FinalAdvertisement);
    assert_eq!(
        advertised, 3,
        "MAX_FINAL_RTR_ADVERTISEMENTS of RFC 4861 §10"
    );
    let released = world.count(|frame| frame.kind == FrameKind::Dhcpv6("release"));
    assert!(
        released <= 4 * SUBNETS as u64,
        "REL_MAX_RC of RFC 9915 §7.6"
    );
    assert_eq!(world.sent.len() as u64, advertised + released);
    assert_eq!(world.host.poll_timeout(), None);
}

/// Packets that were under way show addresses that nobody needs, and time passes.
fn say_nothing(world: &mut World) {
    world.open_books();
    for station in world.outside.stations.clone().into_keys() {
        let learned = Learned::Sought(OUTSIDE, station);
        let random = &mut world.random.draw();
        world.host.handle_learned(&learned, world.now, random);
    }
    world.turn_clock(world.now.instant + Duration::from_secs(3600));
    world
        .host
        .handle_timeout(world.now, &mut world.random.draw());
    world.settle();
    assert_eq!(world.sent, []);
}

proptest! {
    // A smaller seed is no simpler story, so nothing is shrunk.
    #![proptest_config(ProptestConfig {
        cases: 32,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn once_frames_arrive_all_is_known_and_little_is_sent(seed: u64) {
        let mut world = World::new(seed);
        let lasted = storm(&mut world);
        clear_up(&mut world, lasted);
        world.is_as_it_should_be();
        world.check_books();
        stay_quiet(&mut world);
        world.is_as_it_should_be();
    }

    #[test]
    fn what_stops_says_goodbye_and_then_nothing(seed: u64) {
        let mut world = World::new(seed);
        storm(&mut world);
        say_goodbye(&mut world);
        say_nothing(&mut world);
    }
}
