//! Random changes to a small cloud: a handful of names, so that changes meet.

use super::names::*;
use crate::support::Cloud;
use crate::support::cloud::{id, network_id, port_id};
use sextant_model::{
    ChassisId, EncapKind, Endpoints, HostRoute, Ipv6Mode, Key, NetworkType, Object, ObjectKey,
    Reassembly, RouterId, ServerIdentity,
};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// One change. Where it names something that does not exist, it is none.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Network(u8),
    DeleteNetwork(u8),
    NetworkUp(u8, bool),
    NetworkMtu(u8, Option<u16>),
    NetworkOutside(u8, bool),
    /// What a network's tags say of advertisements, a bit each.
    NetworkTags(u8, u8),
    /// Whether a tag says for how long a subnet's prefix is preferred.
    SubnetTag(u8, u8, bool),
    /// Whether a subnet has a host route by way of its routers.
    SubnetRoute(u8, u8, bool),
    Attach(u8),
    Subnet(u8, u8, Option<Ipv6Mode>),
    /// An IPv4 subnet of the network.
    Subnet4(u8),
    SubnetDhcp(u8, u8, bool),
    DeleteSubnet(u8, u8),
    Router(u8),
    RouterUp(u8, bool),
    DeleteRouter(u8),
    /// The router's routes, a bit each.
    RouterRoutes(u8, u8),
    Interface(u8, u8),
    InterfaceUp(u8, u8, bool),
    DeleteInterface(u8, u8),
    Guest(u8, u8),
    GuestUp(u8, bool),
    GuestSecured(u8, bool),
    GuestPair(u8, u8),
    GuestRenamed(u8, u8),
    /// The guest says that it has an address out of a pair.
    Announce(u8, u8, u8),
    DeleteGuest(u8),
    /// The guest's groups: a bit each, and none is the open one.
    GuestGroups(u8, u8),
    Group(u8, bool),
    DeleteGroup(u8),
    /// Rule of a group: direction, what, and the other end.
    Rule(u8, u8, bool, What, Whom),
    DeleteRule(u8, u8),
    Plug(u8, u8),
    PlugUnnumbered(u8, u8),
    Unplug(u8),
    /// A guest is expected on a hypervisor, by an OpenFlow port, or not any more.
    Expect(u8, u8, Option<u16>),
    /// Somebody begins to capture a guest's frames, or ends it.
    Capture(u8, bool),
    Join(u8, Families, EncapKind),
    Leave(u8),
    /// Whether a long packet ends its switch.
    Flawed(u8, bool),
    LifetimeOfRouters(u16),
    /// A router's external network.
    Gateway(u8, u8),
    NoGateway(u8),
    GatewayUp(u8, bool),
    /// Whether an IPv6 subnet has a gateway.
    SubnetGateway(u8, u8, bool),
    Gone(u8, bool),
    /// Whether a hypervisor has a port for metadata.
    Metadata(u8, bool),
    /// What a hypervisor knows of a network's outside, a bit each.
    Learn(u8, u8, u8),
    /// How external networks are used, a bit each.
    External(u8),
    ServerIdentity(u8),
    /// Whether an IPv6 subnet's prefix is delegated.
    SubnetDelegated(u8, u8, bool),
    /// A prefix was delegated to a subnet: its own or another, until when.
    Delegated(u8, u8, bool, i64),
    NotDelegated(u8, u8),
    /// An IPv6 subnet is from a pool.
    SubnetFromPool(u8, u8, u8),
    /// The address scope of a pool, if it has one.
    PoolScope(u8, Option<u8>),
}

/// Of which families a hypervisor has an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) enum Families {
    Ipv6,
    Ipv4,
    Both,
}

/// What a rule allows.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Anything,
    Udp,
    Udp5000To5003,
    Udp5001,
    Ipv4,
}

/// Whom a rule allows it with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whom {
    Anybody,
    Network(u8),
    Group(u8),
}

pub(super) const GROUPS: u8 = 3;
pub(super) const NETWORKS: u8 = 3;
pub(super) const ROUTERS: u8 = 2;
pub(super) const GUESTS: u8 = 7;
pub(super) const HYPERVISORS: u8 = 3;
/// Routes that a router can have: of one next hop and of several, on connected networks and not, for a prefix that may be
/// connected itself, and of two families.
const ROUTES: [(&str, &str); 8] = [
    ("2001:db8:ff::/48", "2001:db8:0:0::9"),
    ("2001:db8:ff::/48", "2001:db8:1:0::9"),
    ("2001:db8:ff::/48", "2001:db8:1:1::9"),
    ("2001:db8:fe::/48", "2001:db8:0:1::9"),
    ("10.99.0.0/16", "10.0.0.9"),
    ("10.99.0.0/16", "10.1.0.9"),
    ("10.98.0.0/16", "10.2.0.9"),
    ("10.97.0.0/16", "2001:db8:0:0::9"),
];
/// Tags of networks that say something of advertisements; the last says nothing.
const TAGS: [&str; 4] = [
    "sextant:ra:routes=all",
    "sextant:ra:hop_limit=32",
    "sextant:ra:max_interval=60",
    "sextant:ra:nothing",
];
/// The number of a network's IPv4 subnet.
const IPV4_SUBNET: u8 = 2;
/// The physical network.
pub(super) const PHYSICAL: &str = "phys";

fn put_server_identity(cloud: &mut Cloud, n: u8) {
    cloud.put(Object::ServerIdentity(ServerIdentity {
        uuid: id(&format!("server{n}")),
    }));
}

fn set_lifetime(cloud: &mut Cloud, lifetime: u16) {
    let mut settings = (*cloud.intent.settings).clone();
    settings.ra.lifetime = lifetime;
    cloud.intent.settings = Arc::new(settings);
}

/// A cloud that has something of everything, so that short sequences find something to change.
pub(super) fn start() -> Cloud {
    let mut cloud = Cloud::new();
    let steps = [
        Step::Join(0, Families::Ipv6, EncapKind::Vxlan),
        Step::Join(1, Families::Ipv6, EncapKind::Vxlan),
        Step::Network(0),
        Step::Subnet(0, 0, Some(Ipv6Mode::Slaac)),
        Step::Subnet4(0),
        Step::Network(1),
        Step::Subnet(1, 0, Some(Ipv6Mode::Dhcpv6Stateful)),
        Step::Subnet4(1),
        Step::Router(0),
        Step::Interface(0, 0),
        Step::Interface(0, 1),
        Step::Guest(0, 0),
        Step::Plug(0, 0),
        Step::Guest(1, 0),
        Step::Plug(1, 1),
        Step::GuestPair(1, 1),
        Step::Guest(2, 1),
        Step::Plug(2, 1),
        Step::Group(0, true),
        Step::Group(1, true),
        Step::Rule(0, 0, true, What::Anything, Whom::Anybody),
        Step::Rule(0, 1, false, What::Udp, Whom::Group(0)),
        Step::GuestGroups(0, 1),
        Step::GuestGroups(1, 1),
        Step::Attach(0),
        Step::Attach(1),
        Step::Network(2),
        Step::NetworkOutside(2, true),
        Step::Gateway(0, 2),
        Step::Learn(0, 2, 3),
        Step::Learn(1, 2, 5),
        Step::SubnetDelegated(0, 0, true),
        Step::Delegated(0, 0, true, 1),
        Step::PoolScope(0, Some(0)),
        Step::PoolScope(1, Some(0)),
        Step::Subnet(2, 0, None),
        Step::SubnetFromPool(2, 0, 0),
        Step::SubnetFromPool(1, 0, 1),
        Step::External(2),
    ];
    steps.iter().for_each(|step| step.apply(&mut cloud));
    cloud
}

impl Step {
    pub(super) fn apply(&self, cloud: &mut Cloud) {
        match *self {
            Self::Network(_)
            | Self::DeleteNetwork(_)
            | Self::NetworkUp(..)
            | Self::NetworkMtu(..)
            | Self::NetworkOutside(..)
            | Self::Subnet(..)
            | Self::Subnet4(_)
            | Self::SubnetDhcp(..)
            | Self::DeleteSubnet(..) => self.apply_to_networks(cloud),
            Self::NetworkTags(..)
            | Self::SubnetTag(..)
            | Self::SubnetRoute(..)
            | Self::LifetimeOfRouters(_) => self.apply_to_advertisements(cloud),
            Self::Router(_)
            | Self::RouterUp(..)
            | Self::DeleteRouter(_)
            | Self::RouterRoutes(..)
            | Self::Interface(..)
            | Self::InterfaceUp(..)
            | Self::DeleteInterface(..) => self.apply_to_routers(cloud),
            Self::GuestGroups(..)
            | Self::Group(..)
            | Self::DeleteGroup(_)
            | Self::Rule(..)
            | Self::DeleteRule(..) => self.apply_to_groups(cloud),
            Self::Guest(..)
            | Self::GuestUp(..)
            | Self::GuestSecured(..)
            | Self::GuestPair(..)
            | Self::GuestRenamed(..)
            | Self::Announce(..)
            | Self::DeleteGuest(_) => self.apply_to_guests(cloud),
            Self::Plug(..)
            | Self::PlugUnnumbered(..)
            | Self::Unplug(_)
            | Self::Expect(..)
            | Self::Capture(..)
            | Self::Join(..)
            | Self::Attach(_)
            | Self::Flawed(..)
            | Self::Metadata(..)
            | Self::Leave(_) => self.apply_to_hypervisors(cloud),
            Self::ServerIdentity(n) => put_server_identity(cloud, n),
            Self::Gateway(..)
            | Self::NoGateway(_)
            | Self::GatewayUp(..)
            | Self::SubnetGateway(..)
            | Self::Gone(..)
            | Self::Learn(..)
            | Self::External(_)
            | Self::SubnetFromPool(..)
            | Self::PoolScope(..) => self.apply_to_gateways(cloud),
            Self::SubnetDelegated(..) | Self::Delegated(..) | Self::NotDelegated(..) => {
                self.apply_to_delegations(cloud);
            }
        }
        cloud.facts.place_gateways(&cloud.intent);
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "and where the hypervisor has not joined"
    )]
    fn apply_to_hypervisors(&self, cloud: &mut Cloud) {
        match *self {
            Self::Plug(g, h) => cloud.plug(&guest(g), &hypervisor(h)),
            Self::PlugUnnumbered(g, h) => cloud.plug_as(&guest(g), &hypervisor(h), None),
            Self::Unplug(g) => cloud.unplug(&guest(g)),
            Self::Expect(g, h, ofport) => {
                let (port, chassis) = (port_id(&guest(g)), ChassisId::new(&hypervisor(h)));
                cloud.facts.expect(port, &chassis, ofport);
            }
            Self::Capture(g, captured) => cloud.facts.capture(port_id(&guest(g)), captured),
            Self::Join(h, families, kind) => {
                cloud.hypervisor_at(&hypervisor(h), endpoints(h, families), kind);
            }
            Self::Attach(h) if joined(cloud, h) => cloud.attach(&hypervisor(h), PHYSICAL),
            Self::Flawed(h, flawed) if joined(cloud, h) => {
                let reassembly = match flawed {
                    true => Reassembly::Flawed,
                    false => Reassembly::Userspace,
                };
                cloud.reassemble(&hypervisor(h), reassembly);
            }
            Self::Metadata(h, serves) if joined(cloud, h) => {
                cloud.serve_metadata(&hypervisor(h), serves);
            }
            Self::Leave(h) => cloud.facts.remove_chassis(&ChassisId::new(&hypervisor(h))),
            _ => {}
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "and where there is nothing to change"
    )]
    fn apply_to_networks(&self, cloud: &mut Cloud) {
        match *self {
            Self::Network(n) if !has_network(cloud, n) => cloud.network(&network(n)),
            Self::DeleteNetwork(n) => {
                cloud.delete(&Key::Object(ObjectKey::Network(network_id(&network(n)))))
            }
            Self::NetworkUp(n, up) if has_network(cloud, n) => {
                cloud.change_network(&network(n), |network| network.admin_state_up = up);
            }
            Self::NetworkMtu(n, mtu) if has_network(cloud, n) => {
                cloud.change_network(&network(n), |network| network.mtu = mtu);
            }
            Self::NetworkOutside(n, outside) if has_network(cloud, n) => {
                if outside {
                    cloud.put_outside(&network(n), PHYSICAL, Some(100 + u32::from(n)));
                } else {
                    cloud.change_network(&network(n), |network| {
                        network.network_type = NetworkType::Vxlan;
                    });
                }
            }
            Self::Subnet(n, s, mode) => {
                let cidr = format!("2001:db8:{n}:{s}::/64");
                cloud.subnet(&subnet(n, s), &network(n), &cidr, mode);
            }
            Self::Subnet4(n) => {
                let name = subnet(n, IPV4_SUBNET);
                cloud.subnet(&name, &network(n), &format!("10.{n}.0.0/16"), None);
            }
            Self::SubnetDhcp(n, s, on) if cloud.intent.subnets.contains_key(&subnet_id(n, s)) => {
                cloud.change_subnet(&subnet(n, s), |subnet| subnet.enable_dhcp = on);
            }
            Self::DeleteSubnet(n, s) => {
                cloud.delete(&Key::Object(ObjectKey::Subnet(subnet_id(n, s))))
            }
            _ => {}
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "and where there is nothing to change"
    )]
    fn apply_to_advertisements(&self, cloud: &mut Cloud) {
        match *self {
            Self::LifetimeOfRouters(lifetime) => set_lifetime(cloud, lifetime),
            Self::NetworkTags(n, bits) if has_network(cloud, n) => {
                let tags = TAGS.iter().zip(0..).filter(|(_, bit)| bits >> bit & 1 == 1);
                let tags = tags.map(|(tag, _)| (*tag).to_owned()).collect();
                cloud.change_network(&network(n), |network| network.meta.tags = tags);
            }
            Self::SubnetTag(n, s, on) if cloud.intent.subnets.contains_key(&subnet_id(n, s)) => {
                let tag = on.then(|| "sextant:ra:preferred_lifetime=60".to_owned());
                cloud.change_subnet(&subnet(n, s), |subnet| {
                    subnet.meta.tags = tag.into_iter().collect();
                });
            }
            Self::SubnetRoute(n, s, on) if cloud.intent.subnets.contains_key(&subnet_id(n, s)) => {
                let routers = cloud.intent.router_ports_of(network_id(&network(n)));
                let nexthop = routers.map(|port| port.mac_address.link_local()).next();
                let route = nexthop.filter(|_| on).map(|nexthop| HostRoute {
                    destination: "2001:db8:fd::/48".parse().unwrap(),
                    nexthop: nexthop.into(),
                });
                cloud.change_subnet(&subnet(n, s), |subnet| {
                    subnet.host_routes = route.into_iter().collect();
                });
            }
            _ => {}
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "and where there is nothing to change"
    )]
    fn apply_to_routers(&self, cloud: &mut Cloud) {
        let router_id = |r| RouterId(id(&router(r)));
        let exists = |cloud: &Cloud, port: &str| cloud.intent.ports.contains_key(&port_id(port));
        match *self {
            Self::Router(r) if !cloud.intent.routers.contains_key(&router_id(r)) => {
                cloud.router(&router(r));
            }
            Self::RouterUp(r, up) if cloud.intent.routers.contains_key(&router_id(r)) => {
                cloud.change_router(&router(r), |router| router.admin_state_up = up);
            }
            Self::RouterRoutes(r, bits) if cloud.intent.routers.contains_key(&router_id(r)) => {
                let chosen = (0..ROUTES.len()).filter(|n| bits & 1 << n != 0);
                let routes: Vec<_> = chosen.map(|n| ROUTES[n]).collect();
                cloud.route(&router(r), &routes);
            }
            Self::DeleteRouter(r) => cloud.delete(&Key::Object(ObjectKey::Router(router_id(r)))),
            Self::Interface(r, n) => cloud.interface(&interface(r, n), &router(r), &network(n)),
            Self::InterfaceUp(r, n, up) if exists(cloud, &interface(r, n)) => {
                cloud.change_port(&interface(r, n), |port| port.admin_state_up = up);
            }
            Self::DeleteInterface(r, n) => cloud.delete_port(&interface(r, n)),
            _ => {}
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "and where there is nothing to change"
    )]
    fn apply_to_guests(&self, cloud: &mut Cloud) {
        let exists = |cloud: &Cloud, g| cloud.intent.ports.contains_key(&port_id(&guest(g)));
        match *self {
            Self::Guest(g, n) => cloud.port(&guest(g), &network(n)),
            Self::DeleteGuest(g) => cloud.delete_port(&guest(g)),
            Self::GuestUp(g, up) if exists(cloud, g) => {
                cloud.change_port(&guest(g), |port| port.admin_state_up = up);
            }
            Self::GuestSecured(g, on) if exists(cloud, g) => {
                cloud.change_port(&guest(g), |port| port.port_security_enabled = on);
            }
            Self::GuestPair(g, pair) if exists(cloud, g) => {
                let mac = (pair % 2 == 1).then_some("00:00:5e:00:02:01");
                cloud.allow(&guest(g), mac, &format!("2001:db8:f{pair}::/48"));
            }
            Self::Announce(g, pair, last) if exists(cloud, g) => {
                let virtual_mac = "00:00:5e:00:02:01".parse().unwrap();
                let own = cloud.get_port(&guest(g)).mac_address;
                let mac = if pair % 2 == 1 { virtual_mac } else { own };
                let address = Ipv6Addr::new(
                    0x2001,
                    0xdb8,
                    0xf0 | u16::from(pair),
                    0,
                    0,
                    0,
                    0,
                    last.into(),
                );
                let port = port_id(&guest(g));
                let binding = cloud.facts.binding(port).cloned();
                if let Some(binding) = binding {
                    let announced = (port, address.into(), mac);
                    cloud.facts.hold(&cloud.intent, &binding.chassis, announced);
                }
            }
            Self::GuestRenamed(g, name) if exists(cloud, g) => {
                cloud.change_port(&guest(g), |port| port.meta.name = format!("name {name}"));
            }
            _ => {}
        }
    }
}

fn endpoints(h: u8, families: Families) -> Endpoints {
    let ipv6 = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, h.into());
    let ipv4 = Ipv4Addr::new(192, 0, 2, h);
    match families {
        Families::Ipv6 => Endpoints::Ipv6(ipv6),
        Families::Ipv4 => Endpoints::Ipv4(ipv4),
        Families::Both => Endpoints::Both(ipv6, ipv4),
    }
}
