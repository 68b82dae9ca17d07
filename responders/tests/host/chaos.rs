//! A link where one router is honest, and somebody else says whatever comes to mind, at any time.

use crate::uplinks::{FIRST, NETWORK, OWN, UplinkStory, advertisement, answers, chassis, said};
use proptest::prelude::*;
use sextant_model::{Advertisement, KnownNeighbor, MacAddr, Outside, Punt, RouterPreference};
use sextant_responders::ra::{Destination, advertise};
use sextant_responders::{neighbor, respond};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

const HONEST: MacAddr = FIRST;
/// Who may be made up: few, so that claims meet, and the honest one and ourselves among them.
const MACS: u8 = 6;

/// What somebody says that is not true.
#[derive(Clone, Copy, Debug)]
enum Forged {
    /// A router advertises: its address, the MAC that it names, its lifetime.
    Router(u8, u8, u16),
    /// Somebody announces that this address is at this MAC.
    Announced(u8, u8),
    /// Somebody answers to us for the honest router, or for ourselves, unasked: MAC, and whether it says that it is a router.
    Answered(bool, u8, bool),
    /// Somebody asks from this address and MAC.
    Asks(u8, u8),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Forged(Forged),
    /// The honest router advertises itself.
    Advertised,
    /// So many milliseconds pass, step by step as something is due.
    Passes(u64),
    /// Sextant is started anew, with what the owner of state knows.
    Restart,
}

fn mac(n: u8) -> MacAddr {
    match n {
        0 => HONEST,
        1 => OWN,
        n => MacAddr([2, 0, 0, 0, 9, n]),
    }
}

impl Forged {
    fn frame(self) -> Vec<u8> {
        match self {
            Self::Router(of, at, lifetime) => {
                let said = Advertisement {
                    mac: mac(at),
                    ..said(mac(of), lifetime, RouterPreference::High)
                };
                advertise(&said, Destination::AllNodes)
            }
            Self::Announced(of, at) => neighbor::announce(mac(at), mac(of).link_local().into()),
            Self::Answered(us, at, router) => {
                let of = u8::from(us);
                let asked =
                    neighbor::Ends::new(OWN.link_local().into(), mac(of).link_local().into());
                let target = neighbor::Target {
                    ends: asked.unwrap(),
                    source_mac: OWN,
                };
                let question = neighbor::solicit(&target, neighbor::Solicited::Anyone);
                let known = KnownNeighbor {
                    address: mac(of).link_local(),
                    mac: mac(at),
                    router,
                    overrides: true,
                    vlan_tci: 0,
                };
                respond(&Punt::NeighborSolicitation(known), &question)
                    .frames
                    .remove(0)
            }
            Self::Asks(of, at) => {
                let target = neighbor::Target {
                    ends: neighbor::Ends::new(mac(of).link_local().into(), OWN.link_local().into())
                        .unwrap(),
                    source_mac: mac(at),
                };
                neighbor::solicit(&target, neighbor::Solicited::Anyone)
            }
        }
    }

    /// Whether it is what nobody can tell from the honest router's own word.
    fn is_its_own_word(self) -> bool {
        matches!(self, Self::Router(0, 0, _))
    }
}

fn forged() -> impl Strategy<Value = Forged> {
    let who = || 0..MACS;
    prop_oneof![
        (who(), who(), prop_oneof![Just(0), Just(1), Just(9000)])
            .prop_map(|(of, at, lifetime)| Forged::Router(of, at, lifetime)),
        (who(), who()).prop_map(|(of, at)| Forged::Announced(of, at)),
        (any::<bool>(), who(), any::<bool>())
            .prop_map(|(us, at, router)| Forged::Answered(us, at, router)),
        (who(), who()).prop_map(|(of, at)| Forged::Asks(of, at)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => forged()
            .prop_filter("nobody can tell", |forged| !forged.is_its_own_word())
            .prop_map(Step::Forged),
        1 => Just(Step::Advertised),
        6 => (1_u64..4000).prop_map(Step::Passes),
        1 => Just(Step::Restart),
    ]
}

/// The honest router is heard, and answers.
fn begun() -> UplinkStory {
    let mut story = UplinkStory::new();
    story.hear(&advertisement(HONEST, 9000, RouterPreference::Low));
    story.pass(0);
    story
}

impl UplinkStory {
    /// What is due is done as time passes; the honest router answers whoever asks for it.
    fn pass(&mut self, milliseconds: u64) {
        let until = self.now + Duration::from_millis(milliseconds);
        loop {
            let sent = self.due();
            for answer in answers(&sent, HONEST) {
                self.hear(&answer);
            }
            let next = self.uplinks.poll_timeout();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
        }
        self.now = until;
    }

    /// Sextant begins anew with what the owner knows: all that was learned.
    fn restart(mut self) -> Self {
        let known = self.uplinks.neighbors().flat_map(|(_, known)| known);
        let known = Outside {
            default_router: self.default_router(),
            neighbors: known
                .filter_map(|known| Some((known.address(), known.mac()?)))
                .collect(),
        };
        let known = Some(Arc::new(known));
        self.facts.learn_outside(&chassis(), NETWORK, known);
        let mut story = Self::at(self.now, self.facts);
        story.pass(0);
        story
    }

    /// Whom packets are sent to, and where.
    fn next_hop(&self) -> (Option<Ipv6Addr>, Option<MacAddr>) {
        let router = self.default_router();
        let known = self.uplinks.neighbors().flat_map(|(_, known)| known);
        let mut known = known.filter(|known| Some(known.address()) == router.map(IpAddr::from));
        (router, known.next().and_then(|known| known.mac()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_out_goes_to_the_router_that_answers(steps in prop::collection::vec(step(), 0..120)) {
        let mut story = begun();
        prop_assert_eq!(story.next_hop(), (Some(HONEST.link_local()), Some(HONEST)));
        for step in steps {
            match step {
                Step::Forged(forged) => story.hear(&forged.frame()),
                Step::Advertised => story.hear(&advertisement(HONEST, 9000, RouterPreference::Low)),
                Step::Passes(milliseconds) => story.pass(milliseconds),
                Step::Restart => story = story.restart(),
            }
            let expected = (Some(HONEST.link_local()), Some(HONEST));
            prop_assert_eq!(story.next_hop(), expected, "after {:?}", step);
        }
    }
}
