//! Unsolicited Router Advertisements to the guests of one hypervisor (RFC 4861 §6.2.4, §6.2.5).
//!
//! Each router's port has a schedule of its own on each hypervisor. What it sends goes through the switch's table of
//! multicast members, so only to guests here. A router's port that goes away says so, and what it no longer says is
//! withdrawn.

use crate::clock;
use crate::metrics::Metrics;
use bytes::Bytes;
use rust_openflow::{Action, Message, NO_BUFFER, PacketOut, ports};
use sextant_flows::pipeline::{NETWORK, Stage};
use sextant_model::{AdvertisedLink as Link, Advertisement, NetworkKey, PortId, RaSettings};
use sextant_responders::ra::{Destination, Farewell};
use sextant_responders::ra_schedule::{MIN_DELAY_BETWEEN_RAS, Schedule};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often a prefix that went away is deprecated: hosts may miss an advertisement (RFC 9096 §3.5, and
/// MAX_INITIAL_RTR_ADVERTISEMENTS of RFC 4861 §10).
const WITHDRAWALS: u8 = 3;
/// How often a router's port says that it goes away (MAX_FINAL_RTR_ADVERTISEMENTS of RFC 4861 §10).
const LAST_WORDS: u8 = 3;

/// The links of one hypervisor and when each is advertised next.
#[derive(Debug, Default)]
pub(super) struct Advertising {
    speakers: BTreeMap<PortId, Speaker>,
    leaving: BTreeMap<PortId, Leaving>,
    /// The last words of those that are back, until the switch has their flows.
    returning: BTreeMap<PortId, Farewell>,
    /// When the first of them speaks: asked with each message and each snapshot, however many routers there are.
    next: Option<Instant>,
}

/// A router's port on one hypervisor.
#[derive(Debug)]
struct Speaker {
    link: Link,
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
    /// Of a hypervisor whose guests were told this: what there is no more is withdrawn once it is known what there is.
    pub(super) fn following(told: BTreeMap<PortId, Link>, now: Instant) -> Self {
        let left = |(port, link): (PortId, Link)| {
            let said = Farewell::none(&link.advertisement);
            (port, Leaving::new(link.network, &said, now))
        };
        Self {
            leaving: told.into_iter().map(left).collect(),
            ..Self::default()
        }
    }

    /// Takes in which links there are, once the switch has the flows that carry what they say.
    pub(super) fn update(
        &mut self,
        links: BTreeMap<PortId, Link>,
        settings: RaSettings,
        now: Instant,
    ) {
        for (port, link) in links {
            match self.speakers.get_mut(&port) {
                Some(speaker) => speaker.change(link, now),
                None => {
                    let mut speaker = Speaker::new(link, settings, now);
                    if let Some(last_word) = self.returning.remove(&port) {
                        speaker.withdraw(&last_word);
                    }
                    self.speakers.insert(port, speaker);
                }
            }
        }
        self.look_ahead();
    }

    /// Has those leave that are not among the links, while the switch still has their flows. Returns the first of their last
    /// words.
    pub(super) fn part_from(
        &mut self,
        links: &BTreeMap<PortId, Link>,
        now: Instant,
        metrics: &Metrics,
    ) -> Vec<Message> {
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
        let last_words = self.last_words(now, metrics);
        self.look_ahead();
        last_words
    }

    fn last_words(&mut self, now: Instant, metrics: &Metrics) -> Vec<Message> {
        let mut messages = vec![];
        let speakers = &self.speakers;
        self.leaving.retain(|_, leaving| {
            if leaving.due <= now {
                metrics
                    .router_advertisements
                    .with_label_values(&["final"])
                    .inc();
                let others = others(speakers, leaving.network, None);
                let said = leaving.last_word.sparing(others);
                messages.push(say(leaving.network, &said));
                leaving.left -= 1;
                leaving.due = now + MIN_DELAY_BETWEEN_RAS;
            }
            leaving.left > 0
        });
        messages
    }

    fn look_ahead(&mut self) {
        let speakers = self.speakers.values();
        let speak = speakers.map(|speaker| speaker.schedule.deadline());
        let leave = self.leaving.values().map(|leaving| leaving.due);
        self.next = speak.chain(leave).min();
    }

    /// When [`Advertising::due`] has something to send.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// The advertisements that are due.
    pub(super) fn due(&mut self, now: Instant, metrics: &Metrics) -> Vec<Message> {
        if self.next.is_none_or(|next| next > now) {
            return vec![];
        }
        let due = self.speakers.iter();
        let due = due.filter(|(_, speaker)| speaker.schedule.deadline() <= now);
        let due: Vec<PortId> = due.map(|(port, _)| *port).collect();
        let mut messages: Vec<Message> = vec![];
        for port in due {
            metrics
                .router_advertisements
                .with_label_values(&["periodic"])
                .inc();
            messages.extend(self.say(port, now));
        }
        messages.extend(self.last_words(now, metrics));
        self.look_ahead();
        messages
    }

    fn say(&mut self, port: PortId, now: Instant) -> Option<Message> {
        let speaker = self.speakers.get_mut(&port)?;
        speaker.schedule.sent(now, rand::random());
        let network = speaker.link.network;
        let Some(farewell) = speaker.say() else {
            let said = Farewell::none(&speaker.link.advertisement);
            return Some(say(network, &said));
        };
        let said = farewell.sparing(others(&self.speakers, network, Some(port)));
        Some(say(network, &said))
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
    fn new(network: NetworkKey, said: &Farewell, now: Instant) -> Self {
        Self {
            network,
            last_word: said.last_word(clock::now()),
            left: LAST_WORDS,
            due: now,
        }
    }
}

impl Speaker {
    fn new(link: Link, settings: RaSettings, now: Instant) -> Self {
        let seconds = |seconds| Duration::from_secs(u64::from(seconds));
        let (min, max) = (
            seconds(settings.min_interval),
            seconds(settings.max_interval),
        );
        Self {
            link,
            schedule: Schedule::new(min, max, now, rand::random()),
            withdrawing: None,
        }
    }

    /// What it has to say changed: it says so soon, and withdraws what it no longer says.
    fn change(&mut self, link: Link, now: Instant) {
        if self.link == link {
            return;
        }
        let before = self.current();
        self.link = link;
        self.withdraw(&before);
        self.schedule.changed(now, rand::random());
    }

    /// Has it withdraw what was said before and is not part of what it says.
    fn withdraw(&mut self, before: &Farewell) {
        let said = &*self.link.advertisement;
        let all = before.to(said, clock::now());
        self.withdrawing = all.is_beyond(said).then_some((all, WITHDRAWALS));
    }

    /// What it says, with what it withdraws.
    fn current(&self) -> Farewell {
        let withdrawing = self.withdrawing.as_ref().map(|(all, _)| all.clone());
        withdrawing.unwrap_or_else(|| Farewell::none(&self.link.advertisement))
    }

    /// What it says instead, once more.
    fn say(&mut self) -> Option<Farewell> {
        let (all, left) = self.withdrawing.take()?;
        self.withdrawing = (left > 1).then(|| (all.clone(), left - 1));
        Some(all)
    }
}

/// Sends an advertisement to the guests of a network here.
fn say(network: NetworkKey, said: &Farewell) -> Message {
    let frame = said.advertise(clock::now(), Destination::AllNodes);
    to_members(network, Bytes::from(frame))
}

/// Sends a frame to the guests of a network here.
pub(super) fn to_members(network: NetworkKey, frame: Bytes) -> Message {
    Message::PacketOut(PacketOut {
        buffer_id: NO_BUFFER,
        in_port: ports::CONTROLLER,
        actions: vec![
            Action::set(NETWORK, network.0),
            Action::resubmit(Stage::Switch.table()),
        ],
        data: frame,
    })
}

#[cfg(test)]
mod tests;
