//! What a session tells the owner of state, and the operator.

use super::HypervisorSession;
use crate::hypervisor::bfd::States;
use crate::hypervisor::census::{Census, Unread};
use crate::hypervisor::complaints::{Concern, DueComplaint};
use crate::hypervisor::news::news;
use crate::hypervisor::observe::Observation;
use crate::hypervisor::place::SpeakingRight;
use crate::hypervisor::zone_limit;
use crate::snapshot::Stopping;
use crate::state::Event;
use sextant_model::{ChassisId, Plugged, PortId};
use std::collections::BTreeSet;
use tokio::time::Instant;

impl HypervisorSession {
    /// Reads what BFD says of the ways to its peers.
    pub(super) fn read_states(&mut self) {
        let SpeakingRight::Seated(seat) = &self.place else {
            return;
        };
        if !self.context.bfd {
            return;
        }
        let new = || States::new(&self.context.metrics, seat);
        let states = self.states.get_or_insert_with(new);
        let snapshot = self.context.snapshots.latest();
        let is_known = |peer: &ChassisId| snapshot.facts.chassis().contains_key(peer);
        states.read(self.connection.replica(), is_known, Instant::now());
    }

    /// Tells the owner what is heard of its peers, if that is not what it was told last.
    pub(super) async fn tell_of_tunnels(&mut self, chassis: &ChassisId) -> Result<(), Stopping> {
        let watches = self.states.as_ref().map(States::watches);
        let watches = watches.unwrap_or_default();
        if watches == self.watches {
            return Ok(());
        }
        self.watches = watches.clone();
        self.send(Event::TunnelsHeard(chassis.clone(), watches))
            .await
    }

    /// Tells the owner what differs from what it was told last.
    pub(super) async fn tell(&mut self, now: Observation) -> Result<(), Stopping> {
        for event in news(self.seen.as_ref(), &now) {
            self.send(event).await?;
        }
        self.seen = Some(now);
        Ok(())
    }

    /// From now on what changes of guests is looked at by itself.
    pub(super) fn begin_census(&mut self) {
        self.census = Census::read(self.connection.replica());
        self.unread = Unread::nothing();
    }

    /// Tells the owner where these ports are, if that is not what it was told last.
    pub(super) async fn tell_of(&mut self, ports: BTreeSet<PortId>) -> Result<(), Stopping> {
        for port in ports {
            let Some(seen) = &mut self.seen else {
                return Ok(());
            };
            let (now, chassis) = (self.census.plugged(port), seen.chassis.id.clone());
            if seen.interfaces.get(&port) == now.as_ref() {
                continue;
            }
            let event = match now {
                Some(ofport) => {
                    seen.interfaces.insert(port, ofport);
                    Event::Plugged(port, Plugged { chassis, ofport })
                }
                None => {
                    seen.interfaces.remove(&port);
                    Event::Unplugged(port, chassis)
                }
            };
            self.send(event).await?;
        }
        Ok(())
    }

    pub(super) fn say_connected(&self, id: &ChassisId) {
        tracing::info!(address = %self.peer.address(), chassis = %id, "hypervisor connected");
        let limit = self.context.rules.now().zone_limit;
        if limit.is_some() && !zone_limit::is_supported(self.connection.replica()) {
            tracing::info!(chassis = %id, "its database takes no limit of connections; with Open vSwitch before 3.3 ovs-appctl dpctl/ct-set-limits sets one");
        }
    }

    /// Says what is to be acted on by an operator.
    pub(super) fn complain(&mut self, concern: Concern, text: &str) {
        let chassis = self.seen.as_ref().map(|seen| seen.chassis.id.as_str());
        let address = self.peer.address();
        let now = std::time::Instant::now();
        if let Some(DueComplaint { text, unsaid }) = self.complaints.raise(concern, text, now) {
            tracing::warn!(chassis, %address, complaint = text, unsaid, "hypervisor needs attention");
        }
    }

    /// It has no right to this name, by its certificate.
    pub(super) fn refuse_name(&mut self, id: &ChassisId) {
        self.place = SpeakingRight::Unknown;
        let names = self.peer.names().map(ToString::to_string);
        let names = names.unwrap_or_default();
        let refused = format!(
            "external_ids:system-id={id}: its certificate is that of {names} ([hypervisor_tls] names = \"certificate\")"
        );
        self.complain(Concern::TakingPart, &refused);
    }
}
