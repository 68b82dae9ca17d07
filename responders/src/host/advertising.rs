//! Unsolicited Router Advertisements to the guests of one hypervisor (RFC 4861 §6.2.4, §6.2.5).
//!
//! Each router's port has a schedule of its own on each hypervisor. What it sends goes only to guests there. A router's port
//! that goes away says so, and withdraws what it no longer says.

use super::{FrameKind, OutgoingFrame, Time, Way};
use crate::ra::{Destination, Farewell};
use crate::ra_schedule::{MIN_DELAY_BETWEEN_RAS, Schedule};
use sextant_model::{AdvertisedLink, Advertisement, NetworkKey, PortId, RaSettings};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How often a prefix that went away is deprecated: hosts may miss an advertisement (RFC 9096 §3.5, and
/// MAX_INITIAL_RTR_ADVERTISEMENTS of RFC 4861 §10).
const WITHDRAWALS: u8 = 3;
/// How often a router's port says that it goes away (MAX_FINAL_RTR_ADVERTISEMENTS of RFC 4861 §10).
const LAST_WORDS: u8 = 3;

/// The links of one hypervisor and when each is advertised next.
#[derive(Debug, Default)]
pub struct Advertising {
    speakers: BTreeMap<PortId, Speaker>,
    leaving: BTreeMap<PortId, Leaving>,
    /// The last words of those that are back, until the switch has their flows.
    returning: BTreeMap<PortId, Farewell>,
    /// When the first of them speaks: asked with each message and each snapshot, however many routers there are.
    next: Option<Instant>,
    frames: VecDeque<OutgoingFrame>,
}

/// A router's port on one hypervisor.
#[derive(Debug)]
struct Speaker {
    link: AdvertisedLink,
    schedule: Schedule,
    /// What it says instead while something that went away is withdrawn, and how often yet.
    withdrawing: Option<(Farewell, u8)>,
}

/// A router's port that went away, and has not said so often enough.
#[derive(Debug)]
struct Leaving {
    network: NetworkKey,
    last_word: Farewell,
    left: u8,
    due: Instant,
}

impl Advertising {
    /// The links of a hypervisor whose guests know these from before. Those that are gone are withdrawn once it is known
    /// which there are.
    pub fn new(known: BTreeMap<PortId, AdvertisedLink>, now: Time) -> Self {
        let known = known.into_iter();
        let leaving = known.map(|(port, link)| {
            let said = Farewell::none(&link.advertisement);
            (port, Leaving::new(link.network, &said, now))
        });
        Self {
            leaving: leaving.collect(),
            ..Self::default()
        }
    }

    /// Takes in which links there will be, while the switch still has the flows of all. Those that are not among them say
    /// at once that they go.
    pub fn handle_planned(&mut self, links: &BTreeMap<PortId, AdvertisedLink>, now: Time) {
        let speakers = std::mem::take(&mut self.speakers).into_iter();
        let (stay, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            speakers.partition(|(port, _)| links.contains_key(port));
        self.speakers = stay;
        for (port, speaker) in gone {
            let leaving = Leaving::new(speaker.link.network, &speaker.current(), now);
            self.leaving.insert(port, leaving);
        }
        self.returning.retain(|port, _| links.contains_key(port));
        let leaving = std::mem::take(&mut self.leaving).into_iter();
        let (back, leaving): (BTreeMap<_, _>, BTreeMap<_, _>) =
            leaving.partition(|(port, _)| links.contains_key(port));
        self.leaving = leaving;
        let back = back.into_iter();
        self.returning
            .extend(back.map(|(port, left)| (port, left.last_word)));
        self.say_last_words(now);
        self.look_ahead();
    }

    /// Takes in which links there are, once the switch has the flows that carry what they say.
    pub fn handle_links(
        &mut self,
        links: BTreeMap<PortId, AdvertisedLink>,
        settings: RaSettings,
        now: Time,
        random: &mut dyn FnMut() -> u64,
    ) {
        for (port, link) in links {
            if let Some(speaker) = self.speakers.get_mut(&port) {
                speaker.change(link, now, random);
                continue;
            }
            let mut speaker = Speaker::new(link, settings, now, random);
            if let Some(last_word) = self.returning.remove(&port) {
                speaker.withdraw(&last_word, now);
            }
            self.speakers.insert(port, speaker);
        }
        self.look_ahead();
    }

    /// Time has passed: advertises what is due.
    pub fn handle_timeout(&mut self, now: Time, random: &mut dyn FnMut() -> u64) {
        if self.next.is_none_or(|next| next > now.instant) {
            return;
        }
        let due = self.speakers.iter();
        let due = due.filter(|(_, speaker)| speaker.schedule.is_due(now.instant));
        let due: Vec<PortId> = due.map(|(port, _)| *port).collect();
        for port in due {
            self.advertise(port, now, random() as u32);
        }
        self.say_last_words(now);
        self.look_ahead();
    }

    /// The next advertisement to send.
    pub fn poll_frame(&mut self) -> Option<OutgoingFrame> {
        self.frames.pop_front()
    }

    /// When the next advertisement is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    fn advertise(&mut self, port: PortId, now: Time, random: u32) {
        let Some(speaker) = self.speakers.get_mut(&port) else {
            return;
        };
        speaker.schedule.handle_timeout(now.instant, random);
        let network = speaker.link.network;
        let said = match speaker.take_withdrawal() {
            Some(farewell) => farewell.sparing(others(&self.speakers, network, Some(port))),
            None => Farewell::none(&speaker.link.advertisement),
        };
        let kind = FrameKind::PeriodicAdvertisement;
        self.frames.push_back(frame(network, kind, &said, now));
    }

    fn say_last_words(&mut self, now: Time) {
        let (speakers, frames) = (&self.speakers, &mut self.frames);
        self.leaving.retain(|_, leaving| {
            if leaving.due <= now.instant {
                let others = others(speakers, leaving.network, None);
                let said = leaving.last_word.sparing(others);
                let kind = FrameKind::FinalAdvertisement;
                frames.push_back(frame(leaving.network, kind, &said, now));
                leaving.left -= 1;
                leaving.due = now.instant + MIN_DELAY_BETWEEN_RAS;
            }
            leaving.left > 0
        });
    }

    fn look_ahead(&mut self) {
        let speakers = self.speakers.values();
        let speak = speakers.map(|speaker| speaker.schedule.poll_timeout());
        let leave = self.leaving.values().map(|leaving| leaving.due);
        self.next = speak.chain(leave).min();
    }
}

/// What routers' other ports on a network advertise.
fn others(
    speakers: &BTreeMap<PortId, Speaker>,
    network: NetworkKey,
    but: Option<PortId>,
) -> impl Iterator<Item = &Advertisement> + Clone {
    let others = speakers.iter();
    others
        .filter(move |(port, other)| other.link.network == network && Some(**port) != but)
        .map(|(_, other)| &*other.link.advertisement)
}

impl Leaving {
    fn new(network: NetworkKey, said: &Farewell, now: Time) -> Self {
        Self {
            network,
            last_word: said.last_word(now.unix),
            left: LAST_WORDS,
            due: now.instant,
        }
    }
}

impl Speaker {
    fn new(
        link: AdvertisedLink,
        settings: RaSettings,
        now: Time,
        random: &mut dyn FnMut() -> u64,
    ) -> Self {
        let min = Duration::from_secs(settings.min_interval.into());
        let max = Duration::from_secs(settings.max_interval.into());
        Self {
            link,
            schedule: Schedule::new(min, max, now.instant, random() as u32),
            withdrawing: None,
        }
    }

    /// What it has to say changed: it says so soon, and withdraws what it no longer says.
    fn change(&mut self, link: AdvertisedLink, now: Time, random: &mut dyn FnMut() -> u64) {
        if self.link == link {
            return;
        }
        let before = self.current();
        self.link = link;
        self.withdraw(&before, now);
        self.schedule.handle_change(now.instant, random() as u32);
    }

    /// Has it withdraw what was said before and is not part of what it says.
    fn withdraw(&mut self, before: &Farewell, now: Time) {
        let said = &*self.link.advertisement;
        let all = before.to(said, now.unix);
        self.withdrawing = all.is_beyond(said).then_some((all, WITHDRAWALS));
    }

    /// What it says, with what it withdraws.
    fn current(&self) -> Farewell {
        let withdrawing = self.withdrawing.as_ref().map(|(all, _)| all.clone());
        withdrawing.unwrap_or_else(|| Farewell::none(&self.link.advertisement))
    }

    /// What it says instead, once more.
    fn take_withdrawal(&mut self) -> Option<Farewell> {
        let (all, left) = self.withdrawing.take()?;
        self.withdrawing = (left > 1).then(|| (all.clone(), left - 1));
        Some(all)
    }
}

/// The frame of an advertisement to the guests of a network.
fn frame(network: NetworkKey, kind: FrameKind, said: &Farewell, now: Time) -> OutgoingFrame {
    OutgoingFrame {
        way: Way::Guests(network),
        kind,
        octets: said.advertise(now.unix, Destination::AllNodes),
    }
}
