//! What holds whatever is heard, and whenever; and that a client comes to a prefix if a server gives it one.

use crate::guest::SERVER_DUID;
use crate::guest::delegation::*;
use crate::guest::link::START;
use crate::guest::property::honest;
use ipnet::Ipv6Net;
use proptest::prelude::*;
use sextant_responders::dhcpv6::codec::Dhcpv6MessageType;
use sextant_responders::dhcpv6::option;
use sextant_responders::prefix_client::{Client, Effect, HeardServer, Lease, PrefixClientState};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

/// What happens to a client.
#[derive(Clone, Debug)]
enum Step {
    /// So many milliseconds pass.
    Pass(u64),
    /// Time passes until the client wants it.
    Wait,
    /// A server answers.
    Answer(Box<Answer>),
    Release,
}

/// An answer as a server, or a madman, gives it.
#[derive(Clone, Debug)]
struct Answer {
    kind: Dhcpv6MessageType,
    times: (u32, u32),
    prefixes: Vec<(Ipv6Net, u32, u32)>,
    status: Option<u16>,
    whole_status: Option<u16>,
    extras: Vec<(u16, Vec<u8>)>,
}

impl Answer {
    fn said(&self, asked: &Asked) -> Said {
        let ours = association(1, self.times, &self.prefixes, self.status);
        let mut said = Said::to(self.kind, asked).with(option::IA_PD, &ours);
        if let Some(status) = self.whole_status {
            said = said.status(status);
        }
        let extras = self.extras.iter();
        extras.fold(said, |said, (code, value)| said.with(*code, value))
    }
}

/// Seconds, often few, or special ones.
fn seconds() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..4, 0_u32..5000, Just(u32::MAX), Just(u32::MAX - 1)]
}

fn prefix() -> impl Strategy<Value = Ipv6Net> {
    let bits = prop_oneof![
        (0_u128..3).prop_map(|subnet| 0x2001_0db8 << 96 | subnet << 64),
        any::<u128>()
    ];
    (bits, prop_oneof![Just(64_u8), 0_u8..=128])
        .prop_map(|(bits, length)| Ipv6Net::new(Ipv6Addr::from(bits), length).unwrap())
}

fn answer() -> impl Strategy<Value = Answer> {
    let kind = prop_oneof![Just(ADVERTISE), Just(REPLY), Just(REPLY)];
    let extra = prop_oneof![
        Just((option::PREFERENCE, vec![255])),
        seconds().prop_map(|time| (option::SOL_MAX_RT, time.to_be_bytes().to_vec())),
    ];
    let status = || prop::option::weighted(0.2, 0_u16..8);
    let prefixes = prop::collection::vec((prefix(), seconds(), seconds()), 0..3);
    (
        kind,
        (seconds(), seconds()),
        prefixes,
        status(),
        status(),
        prop::option::of(extra),
    )
        .prop_map(
            |(kind, times, prefixes, status, whole_status, extra)| Answer {
                kind,
                times,
                prefixes,
                status,
                whole_status,
                extras: extra.into_iter().collect(),
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop_oneof![0_u64..3000, 0_u64..10_000_000].prop_map(Step::Pass),
        5 => Just(Step::Wait),
        8 => answer().prop_map(|answer| Step::Answer(Box::new(answer))),
        1 => Just(Step::Release),
    ]
}

fn known() -> impl Strategy<Value = Option<Lease>> {
    let at =
        |seconds: u32| (seconds < u32::MAX).then(|| *START + Duration::from_secs(seconds.into()));
    prop::option::of(
        [seconds(), seconds(), seconds(), seconds()].prop_map(move |mut times| {
            times.sort_unstable();
            let [renew_at, rebind_at, preferred_until, valid_until] = times.map(at);
            Lease {
                prefix: net(USUAL.0),
                server: SERVER_DUID.to_vec(),
                renew_at,
                rebind_at,
                preferred_until,
                valid_until,
            }
        }),
    )
}

/// Whether there is no lease, or one that ends within a day. One that is for ever may be of a server that is gone.
fn ends(known: Option<&Lease>) -> bool {
    let day = Duration::from_secs(86_400);
    known.is_none_or(|lease| lease.valid_until.is_some_and(|until| until - *START < day))
}

/// What a step says of the lease is what it did to it.
fn effect_is_true(before: Option<&Lease>, effect: Effect, after: Option<&Lease>) {
    let prefix = |lease: Option<&Lease>| lease.map(|lease| lease.prefix);
    let is_same = prefix(before) == prefix(after);
    match effect {
        Effect::Taken | Effect::Refused(_) | Effect::NotForUs => assert_eq!(before, after),
        Effect::Granted => assert!(after.is_some() && !is_same),
        Effect::Extended => assert!(after.is_some() && is_same),
        Effect::Lost => assert!(before.is_some() && after.is_none()),
    }
}

fn play(known: Option<Lease>, steps: &[(Step, u64)]) {
    let mut now = *START;
    let mut client = Client::new(subnet(), sender(), known, now, 1);
    let mut asked: Option<Asked> = None;
    let mut released = false;
    for (step, random) in steps {
        match step {
            Step::Pass(milliseconds) => now += Duration::from_millis(*milliseconds),
            Step::Wait => now = client.poll_timeout().map_or(now, |next| next.max(now)),
            Step::Release => {
                client.release(now, *random);
                released = true;
            }
            Step::Answer(answer) => {
                if let Some(asked) = &asked {
                    let before = client.lease().cloned();
                    let effect = client.handle_message(&answer.said(asked).heard(), now, *random);
                    effect_is_true(before.as_ref(), effect, client.lease());
                }
            }
        }
        let was_done = client.is_done();
        let frames = polled(&mut client, now, *random);
        assert!(frames.len() <= usize::from(!was_done));
        if let Some(frame) = frames.first() {
            let asks = Asked::read(frame);
            assert_eq!(released, asks.kind == Dhcpv6MessageType::Release);
            asked = Some(asks);
        }
        assert_eq!(released, client.state() == PrefixClientState::Releasing);
        holds(&client, now);
        assert!(polled(&mut client, now, *random).is_empty(), "all was said");
    }
}

/// A server that keeps its word, but forgets.
struct Server {
    duid: Vec<u8>,
    times: (u32, u32),
    given: Given,
    bound: bool,
}

impl Server {
    fn answer(&mut self, asked: &Asked) -> Option<Said> {
        if asked
            .server
            .as_ref()
            .is_some_and(|server| *server != self.duid)
        {
            return None;
        }
        let said = |kind| Said::from(&self.duid, kind, asked);
        match asked.kind {
            Dhcpv6MessageType::Solicit => Some(said(ADVERTISE).giving(self.times, &[self.given])),
            Dhcpv6MessageType::Renew | Dhcpv6MessageType::Rebind if !self.bound => {
                Some(said(REPLY).refusing(3))
            }
            Dhcpv6MessageType::Release => {
                self.bound = false;
                Some(said(REPLY).status(0))
            }
            _ => {
                self.bound = true;
                Some(said(REPLY).giving(self.times, &[self.given]))
            }
        }
    }
}

/// A client and servers on a link that loses what `lost` says, one after the other.
struct Link<'a> {
    client: Client,
    servers: [Server; 2],
    now: Instant,
    lost: &'a [bool],
    random: u64,
}

impl Link<'_> {
    fn is_lost(&mut self) -> bool {
        let Some((lost, rest)) = self.lost.split_first() else {
            return false;
        };
        self.lost = rest;
        *lost
    }

    /// Time passes to the next event.
    fn go_on(&mut self) {
        self.now = self
            .client
            .poll_timeout()
            .expect("there is something to do");
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        for _ in 0..4 {
            let Some(frame) = polled(&mut self.client, self.now, self.random).pop() else {
                break;
            };
            let asked = Asked::read(&frame);
            for server in 0..2 {
                let answer = self.servers[server]
                    .answer(&asked)
                    .filter(|_| !self.is_lost());
                if let Some(said) = answer {
                    self.client
                        .handle_message(&said.heard(), self.now, self.random);
                }
            }
        }
        holds(&self.client, self.now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(
        known in known(),
        steps in prop::collection::vec((step(), any::<u64>()), 0..40),
    ) {
        play(known, &steps);
    }

    #[test]
    fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _refused = HeardServer::parse(&bytes);
        hears_anything(&bytes);
    }

    #[test]
    fn an_answer_with_octets_changed(
        answer in answer(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        recompute: bool,
    ) {
        let mut asking = Asking::new();
        let mut frame = answer.said(&asking.next()).frame();
        for (at, octet) in &changes {
            let at = at.index(frame.len());
            frame[at] = *octet;
        }
        hears_anything(&if recompute { honest(frame) } else { frame });
    }

    #[test]
    fn however_much_is_lost_a_client_comes_to_a_prefix_and_keeps_it(
        known in known().prop_filter("it ends", |known| ends(known.as_ref())),
        lost in prop::collection::vec(prop::bool::weighted(0.8), 0..60),
        forgets: bool,
        t1 in 1_u32..60,
        random: u64,
    ) {
        let server = |duid: u8, given| Server {
            duid: vec![duid; 10],
            times: (t1, t1 * 2),
            given,
            bound: false,
        };
        let servers = [server(1, (USUAL.0, t1 * 3, t1 * 4)), server(2, (OTHER.0, t1 * 3, t1 * 4))];
        let client = Client::new(subnet(), sender(), known, *START, random);
        let mut link = Link { client, servers, now: *START, lost: &lost, random };
        // No more than one message in a second, or so, is sent in vain; then all is heard.
        for _ in 0..300 {
            link.go_on();
            if link.lost.is_empty() && link.client.state() == PrefixClientState::Bound {
                break;
            }
        }
        prop_assert_eq!(link.client.state(), PrefixClientState::Bound);
        let prefix = link.client.lease().unwrap().prefix;
        for step in 0..20 {
            if forgets && step == 10 {
                link.servers.iter_mut().for_each(|server| server.bound = false);
            }
            if link.client.poll_timeout().is_none() {
                break;
            }
            link.go_on();
            prop_assert_eq!(link.client.lease().map(|lease| lease.prefix), Some(prefix));
        }
        link.client.release(link.now, random);
        let release = polled(&mut link.client, link.now, random).pop().map(|frame| Asked::read(&frame));
        prop_assert_eq!(release.unwrap().prefix, Some(prefix));
    }
}
