//! A cloud in few words. Everything has a name, and its id is made of it.

// Benchmarks take this file in by its path as well.
#[path = "cloud/outside.rs"]
mod outside;

use ipnet::IpNet;
use sextant_model::{
    AddressPair, AddressScopeId, Change, Chassis, ChassisId, Direction, Encap, EncapKind,
    Endpoints, Facts, FixedIp, HostRoute, Intent, IpVersion, Ipv6Mode, Key, MacAddr, Meta, Network,
    NetworkId, NetworkKey, NetworkType, Object, ObjectKey, Plugged, Port, PortId, PrefixSource,
    ROUTER_INTERFACE_OWNER, Reassembly, RemoteEnd, Router, RouterId, RouterKey, RuleProtocol,
    SecurityGroup, SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId, ServerIdentity,
    Settings, Subnet, SubnetId, SubnetPool, SubnetPoolId, Transport,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use uuid::Uuid;

/// Intent and facts, with names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cloud {
    pub(crate) intent: Intent,
    pub(crate) facts: Facts,
    made: u32,
}

/// The id of a name of at most 16 octets.
pub(crate) fn id(name: &str) -> Uuid {
    let mut octets = [0; 16];
    octets[..name.len()].copy_from_slice(name.as_bytes());
    Uuid::from_bytes(octets)
}

/// The name of an id.
pub(crate) fn name_of(id: Uuid) -> String {
    let octets = id.into_bytes();
    let used = octets.iter().filter(|octet| **octet != 0).count();
    String::from_utf8_lossy(&octets[..used]).into_owned()
}

pub(crate) fn network_id(name: &str) -> NetworkId {
    NetworkId(id(name))
}

pub(crate) fn port_id(name: &str) -> PortId {
    PortId(id(name))
}

pub(crate) fn group_id(name: &str) -> SecurityGroupId {
    SecurityGroupId(id(name))
}

pub(crate) fn pool_id(name: &str) -> SubnetPoolId {
    SubnetPoolId(id(name))
}

pub(crate) fn rule_id(name: &str) -> SecurityGroupRuleId {
    SecurityGroupRuleId(id(name))
}

/// The group that guests are under which are given no other: whoever is there may reach them, and be reached.
pub(crate) const OPEN: &str = "open";

/// A rule that allows everything of IPv6, to be narrowed.
pub(crate) fn anything(direction: Direction) -> SecurityGroupRule {
    SecurityGroupRule {
        id: rule_id("rule"),
        security_group_id: group_id("group"),
        meta: Meta::default(),
        direction,
        ethertype: IpVersion::V6,
        protocol: None,
        port_range_min: None,
        port_range_max: None,
        remote: RemoteEnd::Anybody,
    }
}

/// The same, for a protocol and a range of its ports.
pub(crate) fn service(
    direction: Direction,
    protocol: u8,
    ports: Option<(u16, u16)>,
) -> SecurityGroupRule {
    SecurityGroupRule {
        protocol: Some(RuleProtocol {
            name: protocol.to_string(),
            number: protocol,
        }),
        port_range_min: ports.map(|(first, _)| first),
        port_range_max: ports.map(|(_, last)| last),
        ..anything(direction)
    }
}

/// The OpenFlow number of a hypervisor's first patch port.
pub(crate) const PATCH_PORT: u16 = 5;
/// The OpenFlow port of a metadata service.
pub(crate) const METADATA_PORT: u16 = 9;

/// Every protocol over every family.
pub(crate) fn transports() -> impl Iterator<Item = Transport> {
    let over = |family| EncapKind::ALL.map(|kind| Transport { kind, family });
    [IpVersion::V6, IpVersion::V4].into_iter().flat_map(over)
}

/// The OpenFlow number of the tunnel port of a protocol and family, on every hypervisor.
pub(crate) fn tunnel_port(transport: Transport) -> u16 {
    let kind = match transport.kind {
        EncapKind::Vxlan => 1,
        EncapKind::Gre => 2,
        EncapKind::Geneve => 3,
    };
    match transport.family {
        IpVersion::V6 => kind,
        IpVersion::V4 => 60_000 + kind,
    }
}

impl Cloud {
    /// An empty cloud whose DHCPv6 server is known.
    pub(crate) fn new() -> Self {
        let mut cloud = Self {
            intent: Intent::new(Settings::default()),
            ..Self::default()
        };
        cloud.put(Object::ServerIdentity(ServerIdentity {
            uuid: id("server"),
        }));
        cloud.group(OPEN);
        for (rule, direction, ethertype) in [
            ("open-in4", Direction::Ingress, IpVersion::V4),
            ("open-in6", Direction::Ingress, IpVersion::V6),
            ("open-out4", Direction::Egress, IpVersion::V4),
            ("open-out6", Direction::Egress, IpVersion::V6),
        ] {
            let rule_of = SecurityGroupRule {
                ethertype,
                ..anything(direction)
            };
            cloud.rule(rule, OPEN, rule_of);
        }
        cloud
    }

    /// A stateful security group without rules.
    pub(crate) fn group(&mut self, name: &str) {
        self.put_group(name, true);
    }

    pub(crate) fn put_group(&mut self, name: &str, stateful: bool) {
        self.put(Object::SecurityGroup(Arc::new(SecurityGroup {
            id: group_id(name),
            meta: Meta::default(),
            stateful,
        })));
    }

    /// Adds a rule to a group.
    pub(crate) fn rule(&mut self, name: &str, group: &str, rule: SecurityGroupRule) {
        self.put(Object::SecurityGroupRule(Arc::new(SecurityGroupRule {
            id: rule_id(name),
            security_group_id: group_id(group),
            ..rule
        })));
    }

    pub(crate) fn delete_rule(&mut self, name: &str) {
        self.delete(&Key::Object(ObjectKey::SecurityGroupRule(rule_id(name))));
    }

    /// Puts a port under just these groups.
    pub(crate) fn put_under(&mut self, port: &str, groups: &[&str]) {
        let groups = groups.iter().map(|group| group_id(group)).collect();
        self.change_port(port, |port| port.security_groups = groups);
    }

    /// Hypervisors `h1`, `h2`, … with VXLAN endpoints `2001:db8:77::1`, ….
    pub(crate) fn with_hypervisors(count: u16) -> Self {
        let mut cloud = Self::new();
        for number in 1..=count {
            let endpoint = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, number);
            cloud.hypervisor(&format!("h{number}"), endpoint.into(), EncapKind::Vxlan);
        }
        cloud
    }

    /// A hypervisor joins, or changes its endpoint.
    pub(crate) fn hypervisor(&mut self, name: &str, ip: IpAddr, kind: EncapKind) {
        self.hypervisor_at(name, ip.into(), kind);
    }

    /// The same, at one address or two.
    pub(crate) fn hypervisor_at(&mut self, name: &str, endpoints: Endpoints, kind: EncapKind) {
        let own = [IpVersion::V6, IpVersion::V4].map(|family| endpoints.of(family).map(|_| family));
        let ports = transports()
            .filter(|transport| own.contains(&Some(transport.family)))
            .map(|transport| (transport, tunnel_port(transport)));
        self.facts.put_chassis(Chassis {
            tunnel_ports: ports.collect(),
            observed: true,
            ..Chassis::new(ChassisId::new(name), Encap { endpoints, kind })
        });
        self.facts.place_gateways(&self.intent);
    }

    /// A hypervisor's Open vSwitch puts fragments together this way.
    pub(crate) fn reassemble(&mut self, hypervisor: &str, reassembly: Reassembly) {
        let known = &self.facts.chassis()[&ChassisId::new(hypervisor)];
        let chassis = Chassis {
            reassembly,
            ..(**known).clone()
        };
        self.facts.put_chassis(chassis);
    }

    /// A hypervisor has a port for metadata, or none.
    pub(crate) fn serve_metadata(&mut self, hypervisor: &str, serves: bool) {
        let known = &self.facts.chassis()[&ChassisId::new(hypervisor)];
        let chassis = Chassis {
            metadata_port: serves.then_some(METADATA_PORT),
            ..(**known).clone()
        };
        self.facts.put_chassis(chassis);
    }

    /// A hypervisor's `br-int` has a patch port to the bridge of a physical network.
    pub(crate) fn attach(&mut self, hypervisor: &str, physical: &str) {
        let mut chassis = (*self.facts.chassis()[&ChassisId::new(hypervisor)]).clone();
        let port = PATCH_PORT + u16::try_from(chassis.patch_ports.len()).unwrap();
        let bridge = format!("br-{physical}");
        chassis.bridge_mappings.insert(physical.to_owned(), bridge);
        chassis.patch_ports.insert(physical.to_owned(), port);
        self.facts.put_chassis(chassis);
        self.facts.place_gateways(&self.intent);
    }

    /// A network of a physical network, in a VLAN or untagged.
    pub(crate) fn provider_network(&mut self, name: &str, physical: &str, vlan: Option<u32>) {
        self.network(name);
        self.put_outside(name, physical, vlan);
    }

    /// Makes a network one of a physical network.
    pub(crate) fn put_outside(&mut self, name: &str, physical: &str, vlan: Option<u32>) {
        self.change_network(name, |network| {
            network.network_type = match vlan {
                Some(_) => NetworkType::Vlan,
                None => NetworkType::Flat,
            };
            network.physical_network = Some(physical.to_owned());
            network.segmentation_id = vlan;
        });
    }

    pub(crate) fn network(&mut self, name: &str) {
        self.made += 1;
        self.put(Object::Network(Arc::new(Network {
            segmentation_id: Some(self.made),
            ..Network::new(network_id(name), NetworkKey(self.made))
        })));
    }

    /// A subnet of a network, with the same mode for advertisements and addresses.
    pub(crate) fn subnet(&mut self, name: &str, network: &str, cidr: &str, mode: Option<Ipv6Mode>) {
        self.put(Object::Subnet(Arc::new(Subnet {
            ipv6_ra_mode: mode,
            ipv6_address_mode: mode,
            ..Subnet::new(
                SubnetId(id(name)),
                network_id(network),
                cidr.parse().unwrap(),
            )
        })));
    }

    /// A subnet pool of IPv6, in an address scope or in none, of a project.
    pub(crate) fn pool(&mut self, name: &str, scope: Option<&str>, project: &str) {
        self.put(Object::SubnetPool(Arc::new(SubnetPool {
            id: pool_id(name),
            meta: Meta {
                project_id: project.to_owned(),
                ..Meta::default()
            },
            prefixes: vec!["2001:db8::/32".parse().unwrap()],
            default_prefixlen: 64,
            min_prefixlen: 48,
            max_prefixlen: 64,
            default_quota: None,
            shared: true,
            is_default: false,
            address_scope_id: scope.map(|scope| AddressScopeId(id(scope))),
        })));
    }

    /// A subnet's prefix is from a pool.
    pub(crate) fn take_from(&mut self, pool: &str, subnet: &str) {
        let source = PrefixSource::Pool(pool_id(pool));
        self.change_subnet(subnet, |subnet| subnet.prefix_source = source);
    }

    pub(crate) fn router(&mut self, name: &str) {
        self.made += 1;
        self.put(Object::Router(Arc::new(Router {
            routes: Vec::new(),
            ..Router::new(RouterId(id(name)), RouterKey(self.made))
        })));
    }

    /// Gives a router just these routes: destination and next hop.
    pub(crate) fn route(&mut self, router: &str, routes: &[(&str, &str)]) {
        let route = |(destination, nexthop): &(&str, &str)| HostRoute {
            destination: destination.parse().unwrap(),
            nexthop: nexthop.parse().unwrap(),
        };
        let routes = routes.iter().map(route).collect();
        self.change_router(router, |router| router.routes = routes);
    }

    /// A router's port on a network, with an address of its own in each of its subnets.
    pub(crate) fn interface(&mut self, name: &str, router: &str, network: &str) {
        let mut port = self.new_port(name, network);
        port.device_id = id(router).to_string();
        port.device_owner = ROUTER_INTERFACE_OWNER.to_owned();
        let host = u128::from(self.made);
        port.fixed_ips = self.addresses(network, |prefix| {
            Ipv6Addr::from_bits(prefix.to_bits() | host)
        });
        self.put(Object::Port(Arc::new(port)));
    }

    /// A guest's port, not plugged in, with its EUI-64 address in each IPv6 subnet of the network and one in each IPv4
    /// subnet.
    pub(crate) fn port(&mut self, name: &str, network: &str) {
        let mut port = self.new_port(name, network);
        let mac = port.mac_address;
        port.security_groups = [group_id(OPEN)].into();
        port.fixed_ips = self.addresses(network, |prefix| mac.eui64(prefix));
        self.put(Object::Port(Arc::new(port)));
    }

    /// The same, plugged in.
    pub(crate) fn guest(&mut self, name: &str, network: &str, hypervisor: &str) {
        self.port(name, network);
        self.plug(name, hypervisor);
    }

    /// A port's interface appears on a hypervisor and is given the lowest free number from 11 on.
    pub(crate) fn plug(&mut self, port: &str, hypervisor: &str) {
        let here = |plugged: &&Plugged| plugged.chassis.as_str() == hypervisor;
        let all = self.facts.plugged().values().filter(here);
        let used: Vec<_> = all.filter_map(|plugged| plugged.ofport).collect();
        let free = (11..).find(|number| !used.contains(number));
        self.plug_as(port, hypervisor, free);
    }

    pub(crate) fn plug_as(&mut self, port: &str, hypervisor: &str, ofport: Option<u16>) {
        let chassis = ChassisId::new(hypervisor);
        let plugged = Plugged { chassis, ofport };
        self.facts.plug(&self.intent, port_id(port), plugged);
    }

    pub(crate) fn unplug(&mut self, port: &str) {
        let port = port_id(port);
        if let Some(plugged) = self.facts.plugged().get(&port).cloned() {
            self.facts.unplug(&self.intent, port, &plugged.chassis);
        }
    }

    pub(crate) fn change_port(&mut self, name: &str, change: impl FnOnce(&mut Port)) {
        let mut port = self.get_port(name);
        change(&mut port);
        self.put(Object::Port(Arc::new(port)));
    }

    pub(crate) fn change_network(&mut self, name: &str, change: impl FnOnce(&mut Network)) {
        let mut network = (*self.intent.networks[&network_id(name)]).clone();
        change(&mut network);
        self.put(Object::Network(Arc::new(network)));
    }

    pub(crate) fn change_subnet(&mut self, name: &str, change: impl FnOnce(&mut Subnet)) {
        let mut subnet = (*self.intent.subnets[&SubnetId(id(name))]).clone();
        change(&mut subnet);
        self.put(Object::Subnet(Arc::new(subnet)));
    }

    pub(crate) fn change_router(&mut self, name: &str, change: impl FnOnce(&mut Router)) {
        let mut router = (*self.intent.routers[&RouterId(id(name))]).clone();
        change(&mut router);
        self.put(Object::Router(Arc::new(router)));
    }

    /// Lets a port send from more than its own.
    pub(crate) fn allow(&mut self, port: &str, mac: Option<&str>, prefix: &str) {
        let pair = AddressPair {
            mac_address: mac.map(|mac| mac.parse().unwrap()),
            ip_address: prefix.parse().unwrap(),
        };
        self.change_port(port, |port| port.allowed_address_pairs.push(pair));
    }

    pub(crate) fn get_port(&self, name: &str) -> Port {
        (*self.intent.ports[&port_id(name)]).clone()
    }

    pub(crate) fn delete_port(&mut self, name: &str) {
        self.delete(&Key::Object(ObjectKey::Port(port_id(name))));
    }

    /// One change of the store.
    pub(crate) fn put(&mut self, object: Object) {
        self.apply(&Change::Put(object));
    }

    pub(crate) fn delete(&mut self, key: &Key) {
        self.apply(&Change::Delete(key.clone()));
    }

    fn apply(&mut self, change: &Change) {
        self.intent.apply(change);
        if let Key::Object(ObjectKey::Port(port)) = change.key() {
            self.facts.rebind(&self.intent, port);
        }
        self.facts.place_gateways(&self.intent);
    }

    fn new_port(&mut self, name: &str, network: &str) -> Port {
        self.made += 1;
        let [.., a, b, c] = self.made.to_be_bytes();
        Port {
            device_owner: "compute:nova".to_owned(),
            ..Port::new(
                port_id(name),
                network_id(network),
                MacAddr([0xfa, 0x16, 0x3e, a, b, c]),
            )
        }
    }

    /// An address in each subnet: of IPv6 as picked, of IPv4 the one with the number of what was made last.
    fn addresses(&self, network: &str, pick: impl Fn(Ipv6Addr) -> Ipv6Addr) -> Vec<FixedIp> {
        let address = |subnet: &Arc<Subnet>| {
            let ip_address = match subnet.cidr {
                IpNet::V6(_) => pick(subnet.ipv6_prefix()?.network()).into(),
                IpNet::V4(prefix) => {
                    Ipv4Addr::from_bits(prefix.network().to_bits() | self.made).into()
                }
            };
            Some(FixedIp {
                subnet_id: subnet.id,
                ip_address,
            })
        };
        let subnets = self.intent.subnets_of(network_id(network));
        subnets.filter_map(address).collect()
    }
}
