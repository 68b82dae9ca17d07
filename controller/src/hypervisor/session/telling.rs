//! What a session sends to the owner of state, and logs for the operator.

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
    /// Reads the state of the BFD sessions with its peers.
    pub(super) fn read_states(&mut self) {
        let SpeakingRight::Seated(seat) = &self.place else {
            return;
        };
        if !self.context.bfd {
            return;
        }
        let states = self
            .states
            .get_or_insert_with(|| States::new(&self.context.metrics, seat));
        let snapshot = self.context.snapshots.latest();
        states.read(
            self.connection.replica(),
            |peer| snapshot.facts.chassis().contains_key(peer),
            Instant::now(),
        );
    }

    /// Sends the state of the tunnels to its peers to the owner of state, if it has changed.
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

    /// Sends what has changed since the last observation to the owner of state.
    pub(super) async fn tell(&mut self, now: Observation) -> Result<(), Stopping> {
        for event in news(self.reported.as_ref(), &now) {
            self.send(event).await?;
        }
        self.reported = Some(now);
        Ok(())
    }

    /// Counts the guests' interfaces. From then on only those that change are looked at.
    pub(super) fn begin_census(&mut self) {
        self.census = Census::read(self.connection.replica());
        self.unread = Unread::nothing();
    }

    /// Sends where these ports are to the owner of state, if that has changed.
    pub(super) async fn tell_of(&mut self, ports: BTreeSet<PortId>) -> Result<(), Stopping> {
        for port in ports {
            let Some(reported) = &mut self.reported else {
                return Ok(());
            };
            let (now, chassis) = (self.census.plugged(port), reported.chassis.id.clone());
            if reported.interfaces.get(&port) == now.as_ref() {
                continue;
            }
            let event = match now {
                Some(ofport) => {
                    reported.interfaces.insert(port, ofport);
                    Event::Plugged(port, Plugged { chassis, ofport })
                }
                None => {
                    reported.interfaces.remove(&port);
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

    /// Logs what an operator must act on.
    pub(super) fn complain(&mut self, concern: Concern, text: &str) {
        let chassis = self
            .reported
            .as_ref()
            .map(|reported| reported.chassis.id.as_str());
        let address = self.peer.address();
        let now = std::time::Instant::now();
        if let Some(DueComplaint { text, unsaid }) = self.complaints.raise(concern, text, now) {
            tracing::warn!(chassis, %address, complaint = text, unsaid, "hypervisor needs attention");
        }
    }

    /// Refuses a name that the hypervisor's certificate does not allow.
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
