//! Unsolicited Router Advertisements to the guests of one hypervisor (RFC 4861 §6.2.4, §6.2.5).
//!
//! Each router's port has a schedule of its own on each hypervisor. Its advertisements go only to guests there. A
//! router's port that goes away sends final advertisements. A port that stops advertising something withdraws it.

use super::{FrameKind, OutgoingFrame, Time, Way};
use crate::ra::{Destination, Farewell};
use crate::ra_schedule::{MIN_DELAY_BETWEEN_RAS, Schedule};
use sextant_model::{AdvertisedLink, Advertisement, NetworkKey, PortId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// How often a withdrawn prefix is advertised as deprecated, since hosts may miss an advertisement (RFC 9096 §3.5, and
/// MAX_INITIAL_RTR_ADVERTISEMENTS of RFC 4861 §10).
const WITHDRAWALS: u8 = 3;
/// How often a port that goes sends a final advertisement (MAX_FINAL_RTR_ADVERTISEMENTS of RFC 4861 §10).
const LAST_WORDS: u8 = 3;

/// The links of one hypervisor, each with the time of its next advertisement.
#[derive(Debug, Default)]
pub struct Advertising {
    speakers: BTreeMap<PortId, Speaker>,
    leaving: BTreeMap<PortId, Leaving>,
    /// The farewells of ports that are back, until the switch has their flows.
    returning: BTreeMap<PortId, Farewell>,
    /// When the first of them advertises. It is stored, since each message and snapshot asks for it, however many
    /// routers there are.
    next: Option<Instant>,
    frames: VecDeque<OutgoingFrame>,
}

/// A router's port on one hypervisor.
#[derive(Debug)]
struct Speaker {
    link: AdvertisedLink,
    schedule: Schedule,
    /// Its advertisements while something is withdrawn, and how many of them are left.
    withdrawing: Option<(Farewell, u8)>,
}

/// A router's port that went away and still has final advertisements to send.
#[derive(Debug)]
struct Leaving {
    network: NetworkKey,
    last_word: Farewell,
    left: u8,
    due: Instant,
}

impl Advertising {
    /// The links of a hypervisor whose guests already know these. Those that are gone are withdrawn once the current
    /// links are known.
    #[must_use]
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

    /// Takes the links that will be here, while the switch still has the flows of all. Ports that are not among them
    /// send final advertisements at once.
    pub fn handle_planned(&mut self, links: &BTreeMap<PortId, AdvertisedLink>, now: Time) {
        let speakers = std::mem::take(&mut self.speakers).into_iter();
        let (stay, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            speakers.partition(|(port, _)| links.contains_key(port));
        self.speakers = stay;
        for (port, speaker) in gone {
            let leaving = Leaving::new(speaker.link.network, &speaker.current(), now);
            self.leaving.insert(port, leaving);
        }
        // Ports that are back stop saying that they go. They speak again once the switch has their flows.
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

    /// Takes the links that are here, once the switch has the flows that carry their advertisements.
    pub fn handle_links(
        &mut self,
        links: BTreeMap<PortId, AdvertisedLink>,
        now: Time,
        random: &mut dyn FnMut() -> u64,
    ) {
        for (port, link) in links {
            if let Some(speaker) = self.speakers.get_mut(&port) {
                speaker.change(link, now, random);
                continue;
            }
            let mut speaker = Speaker::new(link, now, random);
            // What it advertised before it went, and does not advertise any more, stays withdrawn.
            if let Some(last_word) = self.returning.remove(&port) {
                speaker.withdraw(&last_word, now);
            }
            self.speakers.insert(port, speaker);
        }
        self.look_ahead();
    }

    /// Sends the advertisements that are due.
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
    #[must_use]
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

/// What other routers' ports on a network advertise.
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
    fn new(link: AdvertisedLink, now: Time, random: &mut dyn FnMut() -> u64) -> Self {
        let schedule = Schedule::new(link.interval, now.instant, random() as u32);
        Self {
            link,
            schedule,
            withdrawing: None,
        }
    }

    /// Its advertisement changed. It is sent soon, and what it lacks is withdrawn.
    fn change(&mut self, link: AdvertisedLink, now: Time, random: &mut dyn FnMut() -> u64) {
        if self.link == link {
            return;
        }
        let before = self.current();
        self.link = link;
        self.withdraw(&before, now);
        let random = random() as u32;
        self.schedule
            .handle_change(self.link.interval, now.instant, random);
    }

    /// Withdraws what was advertised before and is not advertised any more.
    fn withdraw(&mut self, before: &Farewell, now: Time) {
        let said = &*self.link.advertisement;
        let all = before.to(said, now.unix);
        self.withdrawing = all.is_beyond(said).then_some((all, WITHDRAWALS));
    }

    /// Its advertisement, with what it withdraws.
    fn current(&self) -> Farewell {
        let withdrawing = self.withdrawing.as_ref().map(|(all, _)| all.clone());
        withdrawing.unwrap_or_else(|| Farewell::none(&self.link.advertisement))
    }

    /// Its next withdrawing advertisement.
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
