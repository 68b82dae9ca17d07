//! The DHCPv6 clients of a hypervisor, which get prefixes delegated to routers' subnets. There is one for each such
//! subnet whose router has its gateway there.
//!
//! The owner stores what a server grants. So another hypervisor goes on with it when the gateway moves, and this one
//! goes on after a restart.

use super::{HostEvent, OutgoingFrame, Time, Way};
use crate::Learned;
use crate::host::FrameKind;
use crate::prefix_client::{
    Client, Effect, HeardServer, Lease, PrefixClientState, Sender, duid, sent,
};
use sextant_model::{ChassisId, Delegation, Facts, Intent, NetworkId, Speaker, SubnetId, Uplink};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// How many seconds two clocks may drift before one counts as having been set.
const CLOCK_TOLERANCE: u64 = 30;

/// The clients of one hypervisor.
#[derive(Debug)]
pub struct PrefixClients {
    chassis: ChassisId,
    clients: BTreeMap<SubnetId, PlacedClient>,
    /// Clients that give back prefixes that are not wanted there any more.
    leaving: Vec<(SubnetId, PlacedClient)>,
    /// The pair of clock readings that converts leases to the owner's times.
    base: Time,
    /// Whether something has happened that facts may lack.
    changed: bool,
    frames: VecDeque<OutgoingFrame>,
    events: VecDeque<HostEvent>,
}

/// A client and its place.
#[derive(Debug)]
struct PlacedClient {
    client: Client,
    duid: Vec<u8>,
    place: ClientPlace,
}

/// Where a client sends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClientPlace {
    network: NetworkId,
    way: Way,
    sender: Sender,
}

impl PrefixClients {
    /// A hypervisor without clients yet.
    #[must_use]
    pub fn new(chassis: ChassisId, now: Time) -> Self {
        Self {
            chassis,
            clients: BTreeMap::new(),
            leaving: vec![],
            base: now,
            changed: false,
            frames: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Takes the subnets that ask for prefixes here, with their places. A prefix that nobody on its network wants any
    /// more is given back. A prefix that another hypervisor asks for is left to it.
    pub fn handle_uplinks(
        &mut self,
        uplinks: &BTreeMap<NetworkId, Uplink>,
        (intent, facts): (&Intent, &Facts),
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        self.changed = true;
        let places = places(uplinks);
        // First the clients that go: one that is given back must not be taken for a lease to go on with.
        self.part_from_others(&places, intent, now, random);
        for (subnet, place) in places {
            match self.clients.get_mut(&subnet) {
                Some(client) => client.go_to(subnet, place, now, random()),
                None => self.begin(subnet, place, facts, now, random()),
            }
        }
        self.forget_released();
    }

    fn part_from_others(
        &mut self,
        places: &BTreeMap<SubnetId, ClientPlace>,
        intent: &Intent,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        let clients = std::mem::take(&mut self.clients).into_iter();
        let (stay, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            clients.partition(|(subnet, client)| {
                let place = places.get(subnet);
                place.is_some_and(|place| place.network == client.place.network)
            });
        self.clients = stay;
        for (subnet, mut gone) in gone {
            // On the same network another hypervisor asks from now on, and takes the lease over.
            if network_of(subnet, intent) != Some(gone.place.network) {
                gone.client.release(now, random());
                self.leaving.push((subnet, gone));
            }
        }
    }

    /// A client goes on with the stored lease, unless that is from another network or is just being given back.
    fn begin(
        &mut self,
        subnet: SubnetId,
        place: ClientPlace,
        facts: &Facts,
        now: Instant,
        random: u64,
    ) {
        let before = self.leaving.len();
        self.leaving.retain(|(leaving, client)| {
            *leaving != subnet || client.place.network != place.network
        });
        let is_given_back = self.leaving.len() < before;
        let known = facts.delegations().get(&subnet);
        let known = known.filter(|known| known.network == place.network && !is_given_back);
        let known = known.map(|known| lease(known, self.base));
        let client = PlacedClient {
            client: Client::new(subnet, place.sender, known, now, random),
            duid: duid(subnet),
            place,
        };
        self.clients.insert(subnet, client);
    }

    /// Takes a fact that a packet showed, if a DHCPv6 server sent the packet.
    pub fn handle_learned(
        &mut self,
        learned: &Learned,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        let Learned::PrefixClientMessage(network, heard) = learned else {
            return;
        };
        let leaving = self.leaving.iter_mut();
        let leaving = leaving.map(|(subnet, client)| (&*subnet, client));
        for (subnet, client) in self.clients.iter_mut().chain(leaving) {
            if client.place.network != *network || client.duid != heard.client() {
                continue;
            }
            self.changed = true;
            let effect = client.client.handle_message(heard, now, random());
            let event = client.event(*subnet, effect, heard);
            self.events.push_back(event);
        }
        self.forget_released();
    }

    /// Sends what is due, and ends leases.
    pub fn handle_timeout(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        self.changed = true;
        let leaving = self.leaving.iter_mut().map(|(_, client)| client);
        for client in self.clients.values_mut().chain(leaving) {
            client.client.handle_timeout(now, random());
            self.frames.extend(client.poll_frame());
        }
        self.forget_released();
    }

    /// Compares the leases with the owner's facts. What these lack comes out as events. A prefix that is being given
    /// back may be asked for again, here or by another hypervisor. Then giving it back stops.
    pub fn handle_snapshot(&mut self, intent: &Intent, facts: &Facts, now: Time) {
        self.changed = false;
        if self.clock_was_set(now) {
            self.base = now;
        }
        self.leaving
            .retain(|(subnet, client)| network_of(*subnet, intent) != Some(client.place.network));
        for (subnet, client) in &self.clients {
            let known = facts.delegations().get(subnet).map(Arc::as_ref);
            if !client.is_as(known, self.base)
                && self.asks_for(*subnet, &client.place, intent, facts)
            {
                let delegation = client.delegation(self.base).map(Arc::new);
                let event = HostEvent::Delegated(*subnet, delegation);
                self.events.push_back(event);
            }
        }
    }

    /// Whether this hypervisor is the one to ask. Two that report about one subnet would contradict each other forever.
    fn asks_for(
        &self,
        subnet: SubnetId,
        place: &ClientPlace,
        intent: &Intent,
        facts: &Facts,
    ) -> bool {
        let subnet = intent.subnets.get(&subnet);
        let router = subnet.and_then(|subnet| intent.delegating_router(subnet));
        let gateway = router.and_then(|router| facts.gateways().get(&router.id));
        gateway
            .is_some_and(|(chassis, network)| *chassis == self.chassis && *network == place.network)
    }

    /// Whether something has happened since the last comparison that facts may lack. Where the clock was set, leases end at
    /// other times of day.
    #[must_use]
    pub fn has_changed(&self, now: Time) -> bool {
        self.changed || !self.clients.is_empty() && self.clock_was_set(now)
    }

    fn clock_was_set(&self, now: Time) -> bool {
        now.set_since(self.base) > CLOCK_TOLERANCE
    }

    /// Whether it gives back prefixes.
    #[must_use]
    pub fn is_giving_back(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// The next frame to send.
    pub fn poll_frame(&mut self) -> Option<OutgoingFrame> {
        self.frames.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        self.events.pop_front()
    }

    /// When something is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.all()
            .filter_map(|client| client.client.poll_timeout())
            .min()
    }

    /// The state of each client.
    pub fn states(&self) -> impl Iterator<Item = PrefixClientState> {
        self.all().map(|client| client.client.state())
    }

    fn forget_released(&mut self) {
        self.leaving.retain(|(_, client)| !client.client.is_done());
    }

    fn all(&self) -> impl Iterator<Item = &PlacedClient> {
        let leaving = self.leaving.iter().map(|(_, client)| client);
        self.clients.values().chain(leaving)
    }
}

impl PlacedClient {
    /// Another sender on the same network is another next hop for the server's route. The server learns of it by
    /// Rebind.
    fn go_to(&mut self, subnet: SubnetId, place: ClientPlace, now: Instant, random: u64) {
        let before = std::mem::replace(&mut self.place, place);
        if before.sender == place.sender {
            return;
        }
        self.client.set_sender(place.sender);
        if let Some(lease) = self.client.lease() {
            let known = Some(lease.clone());
            self.client = Client::new(subnet, place.sender, known, now, random);
        }
    }

    /// Whether the stored delegation equals its lease. Every snapshot asks this, so nothing is copied.
    fn is_as(&self, known: Option<&Delegation>, base: Time) -> bool {
        let (Some(lease), Some(known)) = (self.client.lease(), known) else {
            return self.client.lease().is_none() && known.is_none();
        };
        known.network == self.place.network
            && known.prefix == lease.prefix
            && known.server == lease.server
            && known.renew_at == base.unix_at(lease.renew_at)
            && known.rebind_at == base.unix_at(lease.rebind_at)
            && known.preferred_until == base.unix_at(lease.preferred_until)
            && known.valid_until == base.unix_at(lease.valid_until)
    }

    /// Its lease as the owner stores it, in seconds since 1970.
    fn delegation(&self, base: Time) -> Option<Delegation> {
        let lease = self.client.lease()?;
        Some(Delegation {
            network: self.place.network,
            prefix: lease.prefix,
            server: lease.server.clone(),
            renew_at: base.unix_at(lease.renew_at),
            rebind_at: base.unix_at(lease.rebind_at),
            preferred_until: base.unix_at(lease.preferred_until),
            valid_until: base.unix_at(lease.valid_until),
        })
    }

    fn event(&self, subnet: SubnetId, effect: Effect, heard: &HeardServer) -> HostEvent {
        HostEvent::ServerAnswered {
            subnet,
            effect,
            message: heard.message(),
            prefix: self.client.lease().map(|lease| lease.prefix),
        }
    }

    fn poll_frame(&mut self) -> Option<OutgoingFrame> {
        let octets = self.client.poll_frame()?;
        Some(OutgoingFrame {
            way: self.place.way,
            kind: FrameKind::Dhcpv6(sent(&octets)),
            octets,
        })
    }
}

/// The subnets that ask for prefixes, with their places.
fn places(uplinks: &BTreeMap<NetworkId, Uplink>) -> BTreeMap<SubnetId, ClientPlace> {
    let mut places = BTreeMap::new();
    for (network, uplink) in uplinks {
        for speaker in uplink.speakers.values() {
            let place = place(*network, uplink, speaker);
            places.extend(speaker.delegated.iter().map(|subnet| (*subnet, place)));
        }
    }
    places
}

fn place(network: NetworkId, uplink: &Uplink, speaker: &Speaker) -> ClientPlace {
    let (port, vlan_tci) = (uplink.port, uplink.vlan_tci);
    let (mac, address) = (speaker.mac, speaker.mac.link_local());
    ClientPlace {
        network,
        way: Way::Uplink { port, vlan_tci },
        sender: Sender { mac, address },
    }
}

/// The external network where the prefix of a subnet is asked for.
fn network_of(subnet: SubnetId, intent: &Intent) -> Option<NetworkId> {
    let subnet = intent.subnets.get(&subnet)?;
    intent.delegating_network(subnet)
}

/// The stored delegation as a lease.
fn lease(delegation: &Delegation, base: Time) -> Lease {
    Lease {
        prefix: delegation.prefix,
        server: delegation.server.clone(),
        renew_at: base.instant_at(delegation.renew_at),
        rebind_at: base.instant_at(delegation.rebind_at),
        preferred_until: base.instant_at(delegation.preferred_until),
        valid_until: base.instant_at(delegation.valid_until),
    }
}
