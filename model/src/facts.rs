//! What was observed.

use crate::gateways::Gateways;
use crate::{
    Chassis, ChassisId, Encap, EncapKind, Endpoints, Intent, Network, NetworkId, Outside, PortId,
    RouterId, SecurityGroupId, Settings,
};
use imbl::{OrdMap, OrdSet};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// An interface that carries a port's id, as observed on a hypervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugged {
    /// The hypervisor.
    pub chassis: ChassisId,
    /// Its OpenFlow port; none while the switch has not given it one, or where it is known from before a restart only.
    pub ofport: Option<u16>,
}

/// A port that exists and is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The port's network.
    pub network: NetworkId,
    /// The hypervisor.
    pub chassis: ChassisId,
    /// Its OpenFlow port there.
    pub ofport: Option<u16>,
}

/// What was observed of hypervisors and interfaces: one immutable version of it.
///
/// Bindings and their indexes follow from what is plugged in and from which ports exist; the methods keep them so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    chassis: OrdMap<ChassisId, Arc<Chassis>>,
    plugged: OrdMap<PortId, Plugged>,
    bindings: OrdMap<PortId, Binding>,
    members: OrdSet<(NetworkId, ChassisId, PortId)>,
    located: OrdSet<(ChassisId, NetworkId, PortId)>,
    under: OrdSet<(ChassisId, SecurityGroupId, PortId)>,
    groups: OrdMap<PortId, (ChassisId, BTreeSet<SecurityGroupId>)>,
    active: OrdSet<PortId>,
    unconfirmed: OrdSet<(ChassisId, PortId)>,
    overhead: Option<u16>,
    gateways: Gateways,
    missing_tunnels: usize,
}

impl Facts {
    /// All hypervisors, by id.
    pub fn chassis(&self) -> &OrdMap<ChassisId, Arc<Chassis>> {
        &self.chassis
    }

    /// All interfaces that carry a port's id, whether or not there is such a port.
    pub fn plugged(&self) -> &OrdMap<PortId, Plugged> {
        &self.plugged
    }

    /// All ports that exist and are plugged in.
    pub fn bindings(&self) -> &OrdMap<PortId, Binding> {
        &self.bindings
    }

    /// Ports whose flows their switch has confirmed.
    pub fn active(&self) -> &OrdSet<PortId> {
        &self.active
    }

    /// The hypervisor whose `br-int` has this datapath id.
    pub fn chassis_of_datapath(&self, datapath_id: u64) -> Option<&Arc<Chassis>> {
        self.chassis
            .values()
            .find(|chassis| chassis.datapath_id == Some(datapath_id))
    }

    /// Takes in what is known of a hypervisor.
    pub fn put_chassis(&mut self, chassis: Chassis) {
        self.chassis.insert(chassis.id.clone(), Arc::new(chassis));
        self.measure_tunnels();
    }

    /// Forgets a hypervisor. Ports plugged in there stay so until that is said of them.
    pub fn remove_chassis(&mut self, id: &ChassisId) {
        self.chassis.remove(id);
        self.measure_tunnels();
    }

    fn measure_tunnels(&mut self) {
        self.overhead = self
            .chassis
            .values()
            .map(|chassis| chassis.encap.overhead())
            .max();
        let (mut ipv6, mut ipv4) = (0, 0);
        for chassis in self.chassis.values() {
            match chassis.encap.endpoints {
                Endpoints::Ipv6(_) => ipv6 += 1,
                Endpoints::Ipv4(_) => ipv4 += 1,
                Endpoints::Both(..) => {}
            }
        }
        self.missing_tunnels = ipv6 * ipv4;
    }

    /// How many pairs of hypervisors have no tunnel between them, for want of a family of addresses that both have.
    pub fn missing_tunnels(&self) -> usize {
        self.missing_tunnels
    }

    /// The other hypervisors to which one has no tunnel, for that reason, by id.
    pub fn without_tunnel<'a>(
        &'a self,
        chassis: &'a Chassis,
    ) -> impl Iterator<Item = &'a ChassisId> + 'a {
        let own = chassis.encap.endpoints;
        let reached_by_all = matches!(own, Endpoints::Both(..));
        let others = self.chassis.values().filter(move |_| !reached_by_all);
        others
            .filter(move |other| other.id != chassis.id)
            .filter(move |other| own.towards(other.encap.endpoints).is_none())
            .map(|other| &other.id)
    }

    /// The hypervisor that has each router's external gateway, and the external network, by router.
    pub fn gateways(&self) -> &OrdMap<RouterId, (ChassisId, NetworkId)> {
        self.gateways.placed()
    }

    /// The routers that have their external gateway on a hypervisor, each with its external network, by network.
    pub fn gateways_on(&self, chassis: &ChassisId) -> impl Iterator<Item = (NetworkId, RouterId)> {
        self.gateways.on(chassis)
    }

    /// The routers that have their gateway to an external network on a hypervisor, by id.
    pub fn gateways_of(
        &self,
        network: NetworkId,
        chassis: &ChassisId,
    ) -> impl Iterator<Item = RouterId> {
        self.gateways.of(network, chassis)
    }

    /// Hypervisors that have not been heard of for so long that others take their gateways.
    pub fn gone(&self) -> &OrdSet<ChassisId> {
        self.gateways.gone()
    }

    /// What each hypervisor has learned of the outside of external networks.
    pub fn outside(&self) -> &OrdMap<(ChassisId, NetworkId), Arc<Outside>> {
        self.gateways.outside()
    }

    /// Puts a router's external gateway where it should be, after the router changed.
    pub fn place_gateway(&mut self, intent: &Intent, router: RouterId) {
        self.gateways.place(intent, &self.chassis, router);
    }

    /// Puts every router's external gateway where it should be, after hypervisors or external networks changed.
    pub fn place_gateways(&mut self, intent: &Intent) {
        for router in intent.routers.keys() {
            self.place_gateway(intent, *router);
        }
    }

    /// Puts every router's external gateway where it should be, after nothing but this one hypervisor changed, joined or left.
    pub fn place_gateways_after(&mut self, intent: &Intent, chassis: &ChassisId) {
        self.gateways.reconsider(intent, &self.chassis, chassis);
    }

    /// A hypervisor is gone, or back; gateways move. Returns whether that is news.
    pub fn mark_gone(&mut self, intent: &Intent, chassis: &ChassisId, gone: bool) -> bool {
        let news = self.gateways.mark(chassis, gone);
        if news {
            self.place_gateways_after(intent, chassis);
        }
        news
    }

    /// A hypervisor has learned this of the outside of an external network; none: nothing any more.
    pub fn learn_outside(
        &mut self,
        chassis: &ChassisId,
        network: NetworkId,
        outside: Option<Arc<Outside>>,
    ) {
        self.gateways.learn(chassis, network, outside);
    }

    /// An interface with this port's id appeared or changed. The latest to appear is where the port is.
    pub fn plug(&mut self, intent: &Intent, port: PortId, plugged: Plugged) {
        self.plugged.insert(port, plugged);
        self.rebind(intent, port);
    }

    /// The interface of a port is gone from a hypervisor; nothing changes if the port has since moved elsewhere.
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

    /// Brings a port's binding in line with intent, after the port or its interface changed.
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
        self.regroup(intent, port, wanted.as_ref());
        if self.bindings.get(&port) == wanted.as_ref() {
            return;
        }
        self.active.remove(&port);
        if let Some(old) = self.bindings.remove(&port) {
            self.unconfirmed.remove(&(old.chassis.clone(), port));
            self.members
                .remove(&(old.network, old.chassis.clone(), port));
            self.located.remove(&(old.chassis, old.network, port));
        }
        if let Some(new) = wanted {
            if new.ofport.is_some() {
                self.unconfirmed.insert((new.chassis.clone(), port));
            }
            self.members
                .insert((new.network, new.chassis.clone(), port));
            self.located
                .insert((new.chassis.clone(), new.network, port));
            self.bindings.insert(port, new);
        }
    }

    /// Brings the index of ports by group in line: where a port is, and the groups that it is under.
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
                self.under.remove(&(chassis.clone(), group, id));
            }
        }
        if let Some((chassis, groups)) = wanted {
            for group in &groups {
                self.under.insert((chassis.clone(), *group, id));
            }
            self.groups.insert(id, (chassis, groups));
        }
    }

    /// A switch has confirmed the flows of a port that is bound to it.
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

    /// The ports on a hypervisor that have an OpenFlow port there and are not active yet, by id.
    pub fn unconfirmed_on(&self, chassis: &ChassisId) -> impl Iterator<Item = PortId> {
        let range = (chassis.clone(), PortId::MIN)..=(chassis.clone(), PortId::MAX);
        self.unconfirmed.range(range).map(|(_, port)| *port)
    }

    /// Where a port is and where frames for it are sent.
    pub fn binding(&self, port: PortId) -> Option<&Binding> {
        self.bindings.get(&port)
    }

    /// The ports of a network that are on a hypervisor, by id.
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
        let range = (chassis.clone(), group, PortId::MIN)..=(chassis.clone(), group, PortId::MAX);
        self.under.range(range).map(|(_, _, port)| *port)
    }

    /// Every port on a hypervisor with each group that it is under, by group.
    pub fn groups_on(
        &self,
        chassis: &ChassisId,
    ) -> impl Iterator<Item = (SecurityGroupId, PortId)> {
        let range = (chassis.clone(), SecurityGroupId::MIN, PortId::MIN)
            ..=(chassis.clone(), SecurityGroupId::MAX, PortId::MAX);
        self.under
            .range(range)
            .map(|(_, group, port)| (*group, *port))
    }

    /// The hypervisors that have ports of a network, by id. Costs one look-up a hypervisor, however many ports it has.
    pub fn chassis_with(&self, network: NetworkId) -> impl Iterator<Item = &ChassisId> {
        let mut next = self
            .members
            .range((network, ChassisId::new(""), PortId::MIN)..)
            .next();
        std::iter::from_fn(move || {
            let (_, chassis, _) = next.filter(|member| member.0 == network)?;
            next = self
                .members
                .range((network, chassis.clone(), PortId::MAX)..)
                .find(|member| member.1 != *chassis || member.0 != network);
            Some(chassis)
        })
    }

    /// The networks that have ports on a hypervisor, by id. Costs one look-up a network.
    pub fn networks_on<'a>(
        &'a self,
        chassis: &'a ChassisId,
    ) -> impl Iterator<Item = NetworkId> + 'a {
        let mut next = self
            .located
            .range((chassis.clone(), NetworkId::MIN, PortId::MIN)..)
            .next();
        std::iter::from_fn(move || {
            let (_, network, _) = *next.as_ref().filter(|located| located.0 == *chassis)?;
            next = self
                .located
                .range((chassis.clone(), *network, PortId::MAX)..)
                .find(|located| located.1 != *network || located.0 != *chassis);
            Some(*network)
        })
    }

    /// What the worst encapsulation of any hypervisor adds to an IP packet of a guest, in octets; before there is any
    /// hypervisor, VXLAN over IPv6 is assumed.
    pub fn tunnel_overhead(&self) -> u16 {
        const ASSUMED: Encap = Encap {
            endpoints: Endpoints::Ipv6(Ipv6Addr::UNSPECIFIED),
            kind: EncapKind::Vxlan,
        };
        self.overhead.unwrap_or(ASSUMED.overhead())
    }

    /// The MTU of a network in octets: what was asked for, else what [`Facts::tunnel_overhead`] leaves of the
    /// underlay's MTU.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, MacAddr, Meta, Object, Port};
    use std::collections::BTreeMap;
    use uuid::Uuid;

    fn port(id: u128, network: u128) -> Port {
        Port {
            id: PortId(Uuid::from_u128(id)),
            network_id: NetworkId(Uuid::from_u128(network)),
            meta: Meta::default(),
            mac_address: MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]),
            fixed_ips: vec![],
            admin_state_up: true,
            device_id: String::new(),
            device_owner: String::new(),
            port_security_enabled: true,
            allowed_address_pairs: vec![],
            extra_dhcp_opts: vec![],
            host_id: String::new(),
            vnic_type: "normal".to_owned(),
            security_groups: Default::default(),
            dns_name: String::new(),
            binding_profile: String::new(),
        }
    }

    fn at(chassis: &str) -> Plugged {
        Plugged {
            chassis: ChassisId::new(chassis),
            ofport: Some(1),
        }
    }

    #[test]
    fn a_port_is_bound_once_it_exists_and_is_plugged_in_whichever_comes_first() {
        let (mut intent, mut facts) = (Intent::default(), Facts::default());
        let port = port(1, 7);
        facts.plug(&intent, port.id, at("h1"));
        assert_eq!(facts.binding(port.id), None);
        intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
        facts.rebind(&intent, port.id);
        assert_eq!(facts.binding(port.id).unwrap().network, port.network_id);

        facts.plug(&intent, port.id, at("h2"));
        facts.unplug(&intent, port.id, &ChassisId::new("h1"));
        assert_eq!(
            facts.binding(port.id).unwrap().chassis,
            ChassisId::new("h2")
        );
        facts.unplug(&intent, port.id, &ChassisId::new("h2"));
        assert_eq!(facts, Facts::default());
    }

    #[test]
    fn a_port_is_unconfirmed_while_it_has_an_openflow_port_that_nobody_confirmed() {
        let (mut intent, mut facts) = (Intent::default(), Facts::default());
        let port = port(1, 7);
        let (h1, h2) = (ChassisId::new("h1"), ChassisId::new("h2"));
        let on = |facts: &Facts, chassis| facts.unconfirmed_on(chassis).count();
        intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
        let without = Plugged {
            ofport: None,
            ..at("h1")
        };
        facts.plug(&intent, port.id, without);
        assert_eq!([on(&facts, &h1), on(&facts, &h2)], [0, 0]);
        facts.plug(&intent, port.id, at("h1"));
        assert_eq!([on(&facts, &h1), on(&facts, &h2)], [1, 0]);
        facts.confirm(port.id, &h1);
        assert_eq!([on(&facts, &h1), on(&facts, &h2)], [0, 0]);
        facts.plug(&intent, port.id, at("h2"));
        assert_eq!([on(&facts, &h1), on(&facts, &h2)], [0, 1]);
        facts.unplug(&intent, port.id, &h2);
        assert_eq!(facts, Facts::default());
    }

    #[test]
    fn ports_are_found_by_the_groups_that_they_are_under_and_where_they_are() {
        let (mut intent, mut facts) = (Intent::default(), Facts::default());
        let [one, two] = [1, 2].map(|id| SecurityGroupId(Uuid::from_u128(id)));
        let mut port = port(1, 7);
        let put = |intent: &mut Intent, facts: &mut Facts, port: &Port| {
            intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
            facts.rebind(intent, port.id);
        };
        facts.plug(&intent, port.id, at("h1"));
        port.security_groups = [one].into();
        put(&mut intent, &mut facts, &port);
        facts.confirm(port.id, &ChassisId::new("h1"));
        port.security_groups = [two].into();
        put(&mut intent, &mut facts, &port);
        let under = |facts: &Facts, group, at: &str| {
            facts.local_ports_under(group, &ChassisId::new(at)).count()
        };
        assert_eq!([under(&facts, one, "h1"), under(&facts, two, "h1")], [0, 1]);
        assert!(facts.active().contains(&port.id), "it stays confirmed");

        facts.plug(&intent, port.id, at("h2"));
        assert_eq!([under(&facts, two, "h1"), under(&facts, two, "h2")], [0, 1]);
        facts.unplug(&intent, port.id, &ChassisId::new("h2"));
        assert_eq!(facts, Facts::default());
    }

    #[test]
    fn indexes_name_each_hypervisor_and_network_once() {
        let (mut intent, mut facts) = (Intent::default(), Facts::default());
        for (id, network, chassis) in [
            (1, 7, "h1"),
            (2, 7, "h1"),
            (3, 7, "h2"),
            (4, 8, "h1"),
            (5, 9, "h3"),
        ] {
            let port = port(id, network);
            intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
            facts.plug(&intent, port.id, at(chassis));
        }
        let network = |n| NetworkId(Uuid::from_u128(n));
        let on = |n| {
            facts
                .chassis_with(network(n))
                .map(ChassisId::as_str)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            [on(7), on(8), on(9), on(10)],
            [vec!["h1", "h2"], vec!["h1"], vec!["h3"], vec![]]
        );
        assert_eq!(
            facts.networks_on(&ChassisId::new("h1")).collect::<Vec<_>>(),
            [network(7), network(8)]
        );
        assert_eq!(
            facts.local_ports(network(7), &ChassisId::new("h1")).count(),
            2
        );
    }

    #[test]
    fn the_worst_encapsulation_decides_the_mtu() {
        let mut facts = Facts::default();
        let network = crate::Network {
            id: NetworkId(Uuid::nil()),
            meta: Meta::default(),
            admin_state_up: true,
            shared: false,
            external: false,
            mtu: None,
            port_security_enabled: true,
            network_type: crate::NetworkType::Vxlan,
            physical_network: None,
            segmentation_id: Some(1),
            key: crate::NetworkKey(1),
        };
        let settings = Settings::default();
        assert_eq!(facts.network_mtu(&network, &settings), 1430);
        for (id, ip, kind, mtu) in [
            ("h1", "192.0.2.1", EncapKind::Gre, 1458),
            ("h2", "2001:db8::2", EncapKind::Gre, 1438),
            ("h3", "192.0.2.3,2001:db8::3", EncapKind::Geneve, 1430),
        ] {
            facts.put_chassis(Chassis {
                id: ChassisId::new(id),
                encap: Encap {
                    endpoints: ip.parse().unwrap(),
                    kind,
                },
                bridge_mappings: BTreeMap::new(),
                gateway_priority: 0,
                datapath_id: None,
                tunnel_ports: BTreeMap::new(),
                patch_ports: BTreeMap::new(),
                observed: true,
            });
            assert_eq!(facts.network_mtu(&network, &settings), mtu);
        }
        assert_eq!(facts.missing_tunnels(), 1);
        let apart = |id: &str| {
            let chassis = &facts.chassis()[&ChassisId::new(id)];
            let apart: Vec<&str> = facts
                .without_tunnel(chassis)
                .map(ChassisId::as_str)
                .collect();
            apart.join(",")
        };
        assert_eq!([apart("h1"), apart("h2"), apart("h3")], ["h2", "h1", ""]);
    }
}
