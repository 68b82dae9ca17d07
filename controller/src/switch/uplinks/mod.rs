//! What a hypervisor's session does on external networks: it hears who routes there, keeps next hops resolved, and says
//! which addresses are here.
//!
//! What it learns is told to the owner of state, whose next snapshot has the flows; here is only what the protocols need
//! to remember.

mod link;
#[cfg(test)]
mod tests;

pub(super) use link::tagged;

use super::Context;
use crate::metrics::Metrics;
use crate::snapshot::Stopping;
use crate::state::Event;
use link::{Disbelief, Link};
use rust_openflow::Message;
use sextant_model::{ChassisId, Facts, NetworkId, Outside, Uplink};
use sextant_responders::Learned;
use sextant_responders::neighbor::State;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// What there is to tell of a network; none: nothing any more.
type News = (NetworkId, Option<Outside>);

/// The external networks that routers use by a bridge of one hypervisor.
#[derive(Debug, Default)]
pub(super) struct Uplinks {
    links: BTreeMap<NetworkId, Link>,
    left: Vec<NetworkId>,
    /// Something may be known that was not told yet.
    touched: bool,
}

impl Uplinks {
    /// Takes in which uplinks there are. What is known of a new one from before, or by another hypervisor, counts until it
    /// turns out wrong.
    pub(super) fn update(
        &mut self,
        uplinks: BTreeMap<NetworkId, Uplink>,
        chassis: &ChassisId,
        facts: &Facts,
        now: Instant,
    ) {
        self.touched = true;
        let told = facts.outside().keys();
        let told = told.filter(|(of, _)| of == chassis);
        let unused = told.filter(|(_, network)| !uplinks.contains_key(network));
        self.left.extend(unused.map(|(_, network)| *network));
        self.links
            .retain(|network, _| uplinks.contains_key(network));
        for (network, uplink) in uplinks {
            let link = self.links.entry(network);
            link.or_insert_with(|| remembered(chassis, network, facts, now))
                .update(uplink, now);
        }
    }

    /// The flows for what the uplinks say are there: new speakers announce themselves.
    pub(super) fn announce(&mut self, now: Instant) {
        self.links.values_mut().for_each(|link| link.announce(now));
    }

    /// Takes in what packets told. Of what is told of guests, nothing is kept.
    pub(super) fn learn(&mut self, learned: &[Learned], metrics: &Metrics) {
        let inside = |learned: &Learned| matches!(learned, Learned::Announced { .. });
        if learned.iter().all(inside) {
            return;
        }
        let now = Instant::now();
        for learned in learned {
            if let Err(refused) = self.take(learned, now) {
                let labels = ["heard", refused.as_str()];
                metrics.packet_ins_refused.with_label_values(&labels).inc();
            }
        }
        self.touched = true;
    }

    fn take(&mut self, learned: &Learned, now: Instant) -> Result<(), Disbelief> {
        match learned {
            Learned::Router {
                network,
                from,
                advertisement,
            } => match self.links.get_mut(network) {
                Some(link) => link.hear_router(*from, advertisement, now),
                None => Ok(()),
            },
            Learned::Neighbor(network, heard) => match self.links.get_mut(network) {
                Some(link) => link.hear_neighbor(heard, now),
                None => Ok(()),
            },
            Learned::Sought(network, address) => {
                if let Some(link) = self.links.get_mut(network) {
                    link.seek(*address, now);
                }
                Ok(())
            }
            Learned::Delegation(..) => Ok(()),
            Learned::Declined { .. } | Learned::Released { .. } | Learned::Announced { .. } => {
                Ok(())
            }
        }
    }

    /// Forgets who has which MAC, and asks anew.
    pub(super) fn flush(&mut self, now: Instant) {
        self.links.values_mut().for_each(|link| link.flush(now));
        self.touched = true;
    }

    /// What is due to be sent.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Message> {
        let mut messages = vec![];
        if self.deadline().is_none_or(|due| now < due) {
            return messages;
        }
        self.touched = true;
        for link in self.links.values_mut() {
            link.due(now, &mut messages);
        }
        messages
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.links.values().filter_map(Link::deadline).min()
    }

    /// Tells the owner of state, and whoever looks, what was learned.
    ///
    /// # Errors
    /// The process is stopping.
    pub(super) async fn tell(
        &mut self,
        chassis: &ChassisId,
        context: &Context,
    ) -> Result<(), Stopping> {
        if !std::mem::take(&mut self.touched) {
            return Ok(());
        }
        self.show(chassis, context);
        for (network, outside) in self.news(Instant::now()) {
            let event = Event::Outside(chassis.clone(), network, outside);
            let sent = context.events.send(event).await;
            sent.map_err(|_| Stopping)?;
        }
        Ok(())
    }

    fn show(&self, chassis: &ChassisId, context: &Context) {
        context.neighbors.remove(chassis);
        let mut states: BTreeMap<&str, i64> = State::ALL.map(|state| (state.as_str(), 0)).into();
        for (network, link) in &self.links {
            let neighbors = link.neighbors();
            for neighbor in &neighbors {
                *states.entry(neighbor.state).or_default() += 1;
            }
            context.neighbors.set(chassis, *network, neighbors);
        }
        for (state, count) in states {
            let labels = [chassis.as_str(), state];
            let gauge = context.metrics.next_hops.with_label_values(&labels);
            gauge.set(count);
        }
    }

    /// What has not been told yet.
    fn news(&mut self, now: Instant) -> Vec<News> {
        let left = std::mem::take(&mut self.left);
        let left = left.into_iter().map(|network| (network, None));
        let news = self.links.iter_mut().filter_map(|(network, link)| {
            let outside = link.news(now)?;
            Some((*network, Some(outside)))
        });
        left.chain(news).collect()
    }
}

/// A hypervisor whose session has ended knows nothing that could be looked at.
pub(super) fn hide(chassis: &ChassisId, context: &Context) {
    context.neighbors.remove(chassis);
    for state in State::ALL {
        let labels = [chassis.as_str(), state.as_str()];
        // There may have been none.
        let _ = context.metrics.next_hops.remove_label_values(&labels);
    }
}

/// A link with what this hypervisor knew of it last, or else another knows.
fn remembered(chassis: &ChassisId, network: NetworkId, facts: &Facts, now: Instant) -> Link {
    let own = facts.outside().get(&(chassis.clone(), network));
    let others = || {
        let all = facts.outside().iter();
        let of_network = all.filter(|((_, of), _)| *of == network);
        of_network
            .map(|(_, outside)| outside)
            .max_by_key(|outside| (outside.default_router, outside.neighbors.len()))
    };
    let known: Option<&Arc<Outside>> = own.or_else(others);
    Link::new(known.map(|known| Outside::clone(known)), own.is_some(), now)
}
