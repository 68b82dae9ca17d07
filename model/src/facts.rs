//! What was observed of hypervisors, interfaces and external networks.

mod expected;
mod external;
mod holders;
mod hosts;
mod machines;
#[cfg(test)]
mod tests;
mod tunnels;

pub use holders::AddressHolder;
pub use tunnels::{TunnelState, TunnelWatch, TunnelWatches};

use crate::gateways::Gateways;
use crate::{
    Answering, Chassis, ChassisId, Delegation, Encap, EncapKind, Endpoints, Intent, Network,
    NetworkId, Ownership, PortId, SecurityGroupId, Settings, Shortfall, SubnetId,
};
use holders::Holders;
use hosts::NetworkHosts;
use imbl::{OrdMap, OrdSet};
use machines::Machines;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;
use tunnels::Tunnels;

/// An interface that carries a port's id, as observed on a hypervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugged {
    /// The hypervisor.
    pub chassis: ChassisId,
    /// Its OpenFlow port. `None` until the switch has given it one, or if it is only known from before a restart.
    pub ofport: Option<u16>,
}

/// An existing port that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The port's network.
    pub network: NetworkId,
    /// The hypervisor.
    pub chassis: ChassisId,
    /// Its OpenFlow port there.
    pub ofport: Option<u16>,
}

/// One immutable version of what was observed of hypervisors and interfaces.
///
/// Bindings and indexes follow from the interfaces and from the ports that exist. The methods keep them so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    chassis: OrdMap<ChassisId, Arc<Chassis>>,
    /// By the datapath ids that they show.
    datapaths: OrdSet<(u64, ChassisId)>,
    machines: Machines,
    plugged: OrdMap<PortId, Plugged>,
    bindings: OrdMap<PortId, Binding>,
    members: OrdSet<(NetworkId, ChassisId, PortId)>,
    hosts: NetworkHosts,
    located: OrdSet<(ChassisId, NetworkId, PortId)>,
    under: OrdSet<(SecurityGroupId, ChassisId, PortId)>,
    groups: OrdMap<PortId, (ChassisId, BTreeSet<SecurityGroupId>)>,
    active: OrdSet<PortId>,
    unconfirmed: OrdSet<(ChassisId, PortId)>,
    expected: OrdMap<(ChassisId, PortId), u16>,
    overhead: Option<u16>,
    /// How many hypervisors want to be sent each protocol.
    kinds: BTreeMap<EncapKind, usize>,
    gateways: Gateways,
    delegations: OrdMap<SubnetId, Arc<Delegation>>,
    tunnels: Tunnels,
    holders: Holders,
    /// Number of pairs of hypervisors that share no IP version.
    without_family: usize,
    shortfalls: OrdMap<ChassisId, Arc<Shortfall>>,
    owners: OrdMap<ChassisId, Ownership>,
    captured: OrdSet<PortId>,
}

impl Facts {
    /// All hypervisors, by id.
    #[must_use]
    pub fn chassis(&self) -> &OrdMap<ChassisId, Arc<Chassis>> {
        &self.chassis
    }

    /// All interfaces that carry a port's id, even if no such port exists.
    #[must_use]
    pub fn plugged(&self) -> &OrdMap<PortId, Plugged> {
        &self.plugged
    }

    /// All existing ports that are plugged in.
    #[must_use]
    pub fn bindings(&self) -> &OrdMap<PortId, Binding> {
        &self.bindings
    }

    /// Ports whose frames somebody captures through this controller.
    #[must_use]
    pub fn captured(&self) -> &OrdSet<PortId> {
        &self.captured
    }

    /// Somebody begins to capture a port's frames, or ends it.
    pub fn capture(&mut self, port: PortId, captured: bool) {
        match captured {
            true => drop(self.captured.insert(port)),
            false => drop(self.captured.remove(&port)),
        }
    }

    /// Ports whose flows their switch has confirmed.
    #[must_use]
    pub fn active(&self) -> &OrdSet<PortId> {
        &self.active
    }

    /// The hypervisors whose `br-int` has this datapath id, as their databases show it.
    pub fn chassis_of_datapath(&self, datapath_id: u64) -> impl Iterator<Item = &Arc<Chassis>> {
        let first = (datapath_id, ChassisId::new(""));
        let shown = self.datapaths.range(first..);
        let shown = shown.take_while(move |(shown, _)| *shown == datapath_id);
        shown.filter_map(|(_, id)| self.chassis.get(id))
    }

    /// Stores what is known of a hypervisor.
    pub fn put_chassis(&mut self, chassis: Chassis) {
        self.forget_shown(&chassis.id);
        self.machines.insert(&chassis);
        if let Some(datapath_id) = chassis.datapath_id {
            self.datapaths.insert((datapath_id, chassis.id.clone()));
        }
        self.chassis.insert(chassis.id.clone(), Arc::new(chassis));
        self.measure_tunnels();
    }

    fn forget_shown(&mut self, id: &ChassisId) {
        let Some(known) = self.chassis.get(id) else {
            return;
        };
        self.machines.remove(known);
        if let Some(datapath_id) = known.datapath_id {
            self.datapaths.remove(&(datapath_id, id.clone()));
        }
    }

    /// Removes a hypervisor. Its ports stay plugged in until [`Facts::unplug`] is called for them.
    pub fn remove_chassis(&mut self, id: &ChassisId) {
        self.forget_shown(id);
        self.chassis.remove(id);
        self.shortfalls.remove(id);
        self.measure_tunnels();
    }

    fn measure_tunnels(&mut self) {
        self.overhead = self
            .chassis
            .values()
            .map(|chassis| chassis.encap.overhead())
            .max();
        self.kinds.clear();
        for chassis in self.chassis.values() {
            *self.kinds.entry(chassis.encap.kind).or_default() += 1;
        }
        self.pair_families();
    }

    /// The protocols that hypervisors want to be sent, each with the number of them.
    #[must_use]
    pub fn encap_kinds(&self) -> &BTreeMap<EncapKind, usize> {
        &self.kinds
    }

    /// An interface with this port's id appeared or changed. A port is where its interface appeared last.
    pub fn plug(&mut self, intent: &Intent, port: PortId, plugged: Plugged) {
        self.plugged.insert(port, plugged);
        self.rebind(intent, port);
    }

    /// The interface of a port is gone from a hypervisor. Nothing changes if the port has moved to another since.
    pub fn unplug(&mut self, intent: &Intent, port: PortId, chassis: &ChassisId) {
        if self
            .plugged
            .get(&port)
            .is_some_and(|plugged| plugged.chassis == *chassis)
        {
            self.plugged.remove(&port);
            self.rebind(intent, port);
        }
    }

    /// Updates a port's binding, after the port or its interface changed.
    pub fn rebind(&mut self, intent: &Intent, port: PortId) {
        let wanted = self
            .plugged
            .get(&port)
            .zip(intent.ports.get(&port))
            .map(|(plugged, port)| Binding {
                network: port.network_id,
                chassis: plugged.chassis.clone(),
                ofport: plugged.ofport,
            });
        // Groups and pairs may change while the binding stays.
        self.regroup(intent, port, wanted.as_ref());
        if self.bindings.get(&port) == wanted.as_ref() {
            return self.let_go(intent, port);
        }
        // At another place, or by another OpenFlow port, it needs other flows, which are not confirmed yet.
        self.active.remove(&port);
        if let Some(old) = self.bindings.remove(&port) {
            self.unconfirmed.remove(&(old.chassis.clone(), port));
            self.members
                .remove(&(old.network, old.chassis.clone(), port));
            if self.local_ports(old.network, &old.chassis).next().is_none() {
                self.hosts.remove(old.network, &old.chassis);
            }
            self.located.remove(&(old.chassis, old.network, port));
        }
        if let Some(new) = wanted {
            if new.ofport.is_some() {
                self.unconfirmed.insert((new.chassis.clone(), port));
            }
            self.members
                .insert((new.network, new.chassis.clone(), port));
            self.hosts.insert(new.network, &new.chassis);
            self.located
                .insert((new.chassis.clone(), new.network, port));
            self.bindings.insert(port, new);
        }
        // Last: the addresses that it may keep depend on where it is.
        self.let_go(intent, port);
    }

    /// Updates the index of ports by group: where the port is, and its groups.
    fn regroup(&mut self, intent: &Intent, id: PortId, binding: Option<&Binding>) {
        let wanted = binding
            .zip(intent.ports.get(&id))
            .filter(|(_, port)| !port.security_groups.is_empty())
            .map(|(binding, port)| (binding.chassis.clone(), port.security_groups.clone()));
        if self.groups.get(&id) == wanted.as_ref() {
            return;
        }
        if let Some((chassis, groups)) = self.groups.remove(&id) {
            for group in groups {
                self.under.remove(&(group, chassis.clone(), id));
            }
        }
        if let Some((chassis, groups)) = wanted {
            for group in &groups {
                self.under.insert((*group, chassis.clone(), id));
            }
            self.groups.insert(id, (chassis, groups));
        }
    }

    /// A switch has confirmed the flows of a port bound to it.
    pub fn confirm(&mut self, port: PortId, chassis: &ChassisId) {
        if self
            .bindings
            .get(&port)
            .is_some_and(|binding| binding.chassis == *chassis)
        {
            self.unconfirmed.remove(&(chassis.clone(), port));
            self.active.insert(port);
        }
    }

    /// The flows of a port are not confirmed any more.
    pub fn deactivate(&mut self, port: PortId) {
        if self.active.remove(&port).is_none() {
            return;
        }
        let binding = self.bindings.get(&port);
        if let Some(binding) = binding.filter(|binding| binding.ofport.is_some()) {
            self.unconfirmed.insert((binding.chassis.clone(), port));
        }
    }

    /// Which of several controllers owns each hypervisor. Empty where there is one controller.
    #[must_use]
    pub fn owners(&self) -> &OrdMap<ChassisId, Ownership> {
        &self.owners
    }

    /// A controller owns a hypervisor now. `None`: none ever did, as far as is known.
    pub fn own(&mut self, chassis: &ChassisId, ownership: Option<Ownership>) {
        match ownership {
            Some(ownership) => drop(self.owners.insert(chassis.clone(), ownership)),
            None => drop(self.owners.remove(chassis)),
        }
    }

    /// The flows that a hypervisor's switch refuses. `None` if it accepts all.
    #[must_use]
    pub fn shortfall(&self, chassis: &ChassisId) -> Option<&Arc<Shortfall>> {
        self.shortfalls.get(chassis)
    }

    /// The flows that switches refuse, by hypervisor.
    #[must_use]
    pub fn shortfalls(&self) -> &OrdMap<ChassisId, Arc<Shortfall>> {
        &self.shortfalls
    }

    /// How Neighbor Solicitations are answered on a hypervisor.
    #[must_use]
    pub fn answering(&self, chassis: &ChassisId) -> Answering {
        let shortfall = self.shortfalls.get(chassis);
        shortfall.map_or(Answering::ByFlow, |shortfall| shortfall.answering)
    }

    /// A hypervisor's switch refuses these flows. Ports that miss flows of their own are not active, until they are
    /// confirmed.
    pub fn fall_short(&mut self, chassis: &ChassisId, shortfall: Arc<Shortfall>) {
        for port in &shortfall.ports {
            let binding = self.bindings.get(port);
            if binding.is_some_and(|binding| binding.chassis == *chassis)
                && self.active.remove(port).is_some()
            {
                self.unconfirmed.insert((chassis.clone(), *port));
            }
        }
        if shortfall.is_none() || !self.chassis.contains_key(chassis) {
            self.shortfalls.remove(chassis);
        } else {
            self.shortfalls.insert(chassis.clone(), shortfall);
        }
    }

    /// The ports that have an OpenFlow port and are not active yet, with their hypervisors.
    #[must_use]
    pub fn unconfirmed(&self) -> &OrdSet<(ChassisId, PortId)> {
        &self.unconfirmed
    }

    /// The ports on a hypervisor that have an OpenFlow port there and are not active yet, by id.
    pub fn unconfirmed_on(&self, chassis: &ChassisId) -> impl Iterator<Item = PortId> {
        let range = (chassis.clone(), PortId::MIN)..=(chassis.clone(), PortId::MAX);
        self.unconfirmed.range(range).map(|(_, port)| *port)
    }

    /// Where a port is and where frames for it are sent.
    #[must_use]
    pub fn binding(&self, port: PortId) -> Option<&Binding> {
        self.bindings.get(&port)
    }

    /// The ports of a network on a hypervisor, by id.
    pub fn local_ports(
        &self,
        network: NetworkId,
        chassis: &ChassisId,
    ) -> impl Iterator<Item = PortId> {
        let range =
            (network, chassis.clone(), PortId::MIN)..=(network, chassis.clone(), PortId::MAX);
        self.members.range(range).map(|(_, _, port)| *port)
    }

    /// The ports under a security group that are plugged in on a hypervisor, by id.
    pub fn local_ports_under(
        &self,
        group: SecurityGroupId,
        chassis: &ChassisId,
    ) -> impl Iterator<Item = PortId> {
        let range = (group, chassis.clone(), PortId::MIN)..=(group, chassis.clone(), PortId::MAX);
        self.under.range(range).map(|(_, _, port)| *port)
    }

    /// The hypervisors with ports under a security group, by id. Costs one look-up a hypervisor, however many ports it
    /// has.
    pub fn chassis_under(&self, group: SecurityGroupId) -> impl Iterator<Item = &ChassisId> {
        distinct(&self.under, group, ChassisId::new(""))
    }

    /// Every port on a hypervisor with each of its groups, by group.
    #[must_use]
    pub fn groups_on(&self, chassis: &ChassisId) -> BTreeSet<(SecurityGroupId, PortId)> {
        let mut all = BTreeSet::new();
        for port in self.ports_on(chassis) {
            let groups = self.groups.get(&port).into_iter();
            let groups = groups.flat_map(|(_, groups)| groups);
            all.extend(groups.map(|group| (*group, port)));
        }
        all
    }

    /// The hypervisors with ports of a network, by id. Costs one look-up a hypervisor, however many ports it has.
    pub fn chassis_with(&self, network: NetworkId) -> impl Iterator<Item = &ChassisId> {
        distinct(&self.members, network, ChassisId::new(""))
    }

    /// All ports that are bound on a hypervisor, by network.
    pub fn ports_on(&self, chassis: &ChassisId) -> impl Iterator<Item = PortId> {
        let range = (chassis.clone(), NetworkId::MIN, PortId::MIN)
            ..=(chassis.clone(), NetworkId::MAX, PortId::MAX);
        self.located.range(range).map(|(_, _, port)| *port)
    }

    /// The networks with ports on a hypervisor, by id. Costs one look-up a network.
    pub fn networks_on<'a>(
        &'a self,
        chassis: &'a ChassisId,
    ) -> impl Iterator<Item = NetworkId> + 'a {
        distinct(&self.located, chassis.clone(), NetworkId::MIN).copied()
    }

    /// The prefixes that were delegated, by subnet.
    #[must_use]
    pub fn delegations(&self) -> &OrdMap<SubnetId, Arc<Delegation>> {
        &self.delegations
    }

    /// A subnet was delegated this prefix. `None`: it has no delegated prefix any more.
    pub fn delegate(&mut self, subnet: SubnetId, delegation: Option<Arc<Delegation>>) {
        match delegation {
            Some(delegation) => drop(self.delegations.insert(subnet, delegation)),
            None => drop(self.delegations.remove(&subnet)),
        }
    }

    /// The most octets that any hypervisor's encapsulation adds to a guest's IP packet. Without any hypervisor, VXLAN
    /// over IPv6 is assumed.
    #[must_use]
    pub fn tunnel_overhead(&self) -> u16 {
        const ASSUMED: Encap = Encap {
            endpoints: Endpoints::Ipv6(Ipv6Addr::UNSPECIFIED),
            kind: EncapKind::Vxlan,
        };
        self.overhead.unwrap_or(ASSUMED.overhead())
    }

    /// The MTU of a network in octets: the one asked for, else the underlay's MTU less [`Facts::tunnel_overhead`].
    #[must_use]
    pub fn network_mtu(&self, network: &Network, settings: &Settings) -> u16 {
        match network.mtu {
            Some(mtu) => mtu,
            None if network.network_type.is_tunnelled() => {
                settings.underlay_mtu.saturating_sub(self.tunnel_overhead())
            }
            None => settings.underlay_mtu,
        }
    }
}

/// What stands second beside a first in an index, each once and in order, from the least on. One look-up jumps over all
/// ports to the next one.
fn distinct<A: Ord + Clone, B: Ord + Clone>(
    index: &OrdSet<(A, B, PortId)>,
    first: A,
    least: B,
) -> impl Iterator<Item = &B> {
    let mut next = index.range((first.clone(), least, PortId::MIN)..).next();
    std::iter::from_fn(move || {
        let (_, second, _) = next.filter(|entry| entry.0 == first)?;
        next = index
            .range((first.clone(), second.clone(), PortId::MAX)..)
            .find(|entry| entry.1 != *second || entry.0 != first);
        Some(second)
    })
}
