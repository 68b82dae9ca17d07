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

/// The links of one hypervisor and when each is advertised next.
#[derive(Debug, Default)]
pub(super) struct Advertising {
    links: BTreeMap<PortId, (Link, Schedule)>,
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
        self.links.retain(|port, (link, _)| {
            let stays = links.contains_key(port);
            if !stays {
                metrics
                    .router_advertisements
                    .with_label_values(&["final"])
                    .inc();
                last_words.push(to_members(
                    link.network,
                    &ra::last_word(&link.advertisement),
                ));
            }
            stays
        });
        for (port, link) in links {
            self.put(port, link, settings, now);
        }
        last_words
    }

    fn put(&mut self, port: PortId, link: Link, settings: RaSettings, now: Instant) {
        match self.links.get_mut(&port) {
            Some((known, _)) if *known == link => {}
            Some((known, schedule)) => {
                *known = link;
                schedule.changed(now, rand::random());
            }
            None => {
                let seconds = |seconds| Duration::from_secs(u64::from(seconds));
                let schedule = Schedule::new(
                    seconds(settings.min_interval),
                    seconds(settings.max_interval),
                    now,
                    rand::random(),
                );
                self.links.insert(port, (link, schedule));
            }
        }
    }

    /// When [`Advertising::due`] has something to send.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.links
            .values()
            .map(|(_, schedule)| schedule.deadline())
            .min()
    }

    /// The advertisements that are due.
    pub(super) fn due(&mut self, now: Instant, metrics: &Metrics) -> Vec<Message> {
        let due = self
            .links
            .values_mut()
            .filter(|(_, schedule)| schedule.deadline() <= now);
        let send = |(link, schedule): &mut (Link, Schedule)| {
            schedule.sent(now, rand::random());
            metrics
                .router_advertisements
                .with_label_values(&["periodic"])
                .inc();
            to_members(link.network, &link.advertisement)
        };
        due.map(send).collect()
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
