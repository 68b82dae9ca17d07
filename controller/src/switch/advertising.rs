//! Unsolicited Router Advertisements to the guests of one hypervisor (RFC 4861 §6.2.4, §6.2.5).
//!
//! Each router's port has a schedule of its own on each hypervisor. What it sends goes through the switch's table of
//! multicast members, so only to guests here. A router's port that goes away says so.

use crate::metrics::Metrics;
use bytes::Bytes;
use rust_openflow::{Action, Message, NO_BUFFER, PacketOut, ports};
use sextant_flows::Link;
use sextant_flows::pipeline::{NETWORK, Stage};
use sextant_model::{Advertisement, NetworkKey, PortId, RaSettings};
use sextant_responders::ra::{self, Destination};
use sextant_responders::ra_schedule::Schedule;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often a prefix that went away is deprecated: hosts may miss an advertisement (RFC 9096 §3.2, and
/// MAX_INITIAL_RTR_ADVERTISEMENTS of RFC 4861 §10).
const WITHDRAWALS: u8 = 3;

/// The links of one hypervisor and when each is advertised next.
#[derive(Debug, Default)]
pub(super) struct Advertising {
    speakers: BTreeMap<PortId, Speaker>,
    /// When the first of them speaks: asked with each message and each snapshot, however many routers there are.
    next: Option<Instant>,
}

/// A router's port on one hypervisor.
#[derive(Debug)]
struct Speaker {
    link: Link,
    schedule: Schedule,
    /// What it says instead while something that went away is withdrawn, and how often yet.
    withdrawing: Option<(Advertisement, u8)>,
}

impl Advertising {
    /// Takes in which links there are. Returns the last words of those that are gone.
    pub(super) fn update(
        &mut self,
        links: BTreeMap<PortId, Link>,
        settings: RaSettings,
        now: Instant,
        metrics: &Metrics,
    ) -> Vec<Message> {
        let mut last_words = vec![];
        self.speakers.retain(|port, speaker| {
            let stays = links.contains_key(port);
            if !stays {
                metrics
                    .router_advertisements
                    .with_label_values(&["final"])
                    .inc();
                let last = ra::last_word(&speaker.link.advertisement);
                last_words.push(to_members(speaker.link.network, &last));
            }
            stays
        });
        for (port, link) in links {
            match self.speakers.get_mut(&port) {
                Some(speaker) => speaker.change(link, now),
                None => drop(
                    self.speakers
                        .insert(port, Speaker::new(link, settings, now)),
                ),
            }
        }
        self.look_ahead();
        last_words
    }

    fn look_ahead(&mut self) {
        let speakers = self.speakers.values();
        self.next = speakers.map(|speaker| speaker.schedule.deadline()).min();
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
        let due = self
            .speakers
            .values_mut()
            .filter(|speaker| speaker.schedule.deadline() <= now);
        let send = |speaker: &mut Speaker| {
            speaker.schedule.sent(now, rand::random());
            metrics
                .router_advertisements
                .with_label_values(&["periodic"])
                .inc();
            to_members(speaker.link.network, &speaker.say())
        };
        let messages = due.map(send).collect();
        self.look_ahead();
        messages
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
        let before = self
            .withdrawing
            .as_ref()
            .map_or(&*self.link.advertisement, |(all, _)| all);
        let all = ra::withdraw(before, &link.advertisement);
        self.withdrawing = (all != *link.advertisement).then_some((all, WITHDRAWALS));
        self.link = link;
        self.schedule.changed(now, rand::random());
    }

    fn say(&mut self) -> Advertisement {
        match self.withdrawing.take() {
            Some((all, left)) => {
                self.withdrawing = (left > 1).then(|| (all.clone(), left - 1));
                all
            }
            None => Advertisement::clone(&self.link.advertisement),
        }
    }
}

/// Sends an advertisement to the guests of a network here.
fn to_members(network: NetworkKey, advertisement: &Advertisement) -> Message {
    let frame = ra::advertise(advertisement, Destination::AllNodes);
    Message::PacketOut(PacketOut {
        buffer_id: NO_BUFFER,
        in_port: ports::CONTROLLER,
        actions: vec![
            Action::set(NETWORK, network.0),
            Action::resubmit(Stage::Switch.table()),
        ],
        data: Bytes::from(frame),
    })
}
