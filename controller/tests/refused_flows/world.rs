//! A controller without its listeners for people and hypervisors, and a cloud that makes it use all that it has.

use crate::fake::{DATAPATH, SOON};
use crate::served::Served;
use serde_json::{Value, json};
use sextant_controller::state::Event;
use sextant_flows::Flows;
use sextant_model::{Chassis, ChassisId, Encap, EncapKind, IpVersion, Plugged, Transport};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

pub(crate) struct World {
    pub(crate) served: Served,
    /// The ports on h1, by name.
    pub(crate) ports: BTreeMap<&'static str, String>,
    /// The security group of red's guests.
    pub(crate) group: String,
}

impl World {
    pub(crate) async fn start(name: &str) -> Self {
        let world = Self {
            served: Served::start(name).await,
            ports: BTreeMap::new(),
            group: String::new(),
        };
        world
            .hypervisor("h1", DATAPATH, "2001:db8::1,192.0.2.1")
            .await;
        world
            .hypervisor("h2", DATAPATH + 1, "2001:db8::2,192.0.2.2")
            .await;
        world
    }

    async fn hypervisor(&self, name: &str, datapath: u64, endpoints: &str) {
        let kind = EncapKind::Vxlan;
        let tunnel_ports = [(IpVersion::V6, 1000), (IpVersion::V4, 1001)]
            .map(|(family, ofport)| (Transport { kind, family }, ofport));
        let chassis = Chassis {
            bridge_mappings: [("physnet1".to_owned(), "br-ex".to_owned())].into(),
            gateway_priority: u16::from(name == "h1"),
            datapath_id: Some(datapath),
            tunnel_ports: tunnel_ports.into(),
            patch_ports: [("physnet1".to_owned(), 1002)].into(),
            observed: true,
            ..Chassis::new(
                ChassisId::new(name),
                Encap {
                    endpoints: endpoints.parse().unwrap(),
                    kind,
                },
            )
        };
        let read = Event::HypervisorRead {
            chassis,
            interfaces: BTreeMap::new(),
        };
        self.served.events.send(read).await.unwrap();
    }

    /// Two networks of both families that a router joins, with a gateway and routes of several next hops; guests of both
    /// on h1 and one on h2, under rules about everybody, a prefix and a group; one under no rules.
    pub(crate) async fn furnish(&mut self) {
        let router = self.make_router().await;
        self.make_group().await;
        for (number, name, mtu) in [(1, "red", 1400), (2, "blue", 1300)] {
            let network = json!({"name": name, "mtu": mtu});
            let network = self.make("network", network).await;
            self.make_subnets(&network, number, &router).await;
            self.make_guests(&network, number).await;
        }
        let routes = ["2001:db8:1::5", "2001:db8:1::6"]
            .map(|nexthop| json!({"destination": "2001:db8:99::/64", "nexthop": nexthop}));
        self.served
            .ask(
                "PUT",
                &format!("routers/{router}"),
                json!({"router": {"routes": routes}}),
            )
            .await;
    }

    /// A router with a gateway to the outside.
    async fn make_router(&self) -> String {
        let outside = self
            .make(
                "network",
                json!({"name": "outside", "router:external": true,
                "provider:network_type": "flat", "provider:physical_network": "physnet1"}),
            )
            .await;
        self.make(
            "subnet",
            json!({"network_id": outside, "ip_version": 4, "cidr": "203.0.113.0/24"}),
        )
        .await;
        self.make(
            "subnet",
            json!({"network_id": outside, "ip_version": 6, "cidr": "2001:db8:f::/64"}),
        )
        .await;
        let gateway = json!({"network_id": outside});
        self.make(
            "router",
            json!({"name": "r", "external_gateway_info": gateway}),
        )
        .await
    }

    /// The rules of red's guests.
    async fn make_group(&mut self) {
        let group = self.make("security_group", json!({"name": "web"})).await;
        self.group = group.clone();
        for rule in [
            json!({"direction": "ingress", "ethertype": "IPv6", "protocol": "tcp",
                "port_range_min": 80, "port_range_max": 81}),
            json!({"direction": "ingress", "ethertype": "IPv6", "remote_group_id": group}),
            json!({"direction": "ingress", "ethertype": "IPv4", "protocol": "icmp",
                "remote_ip_prefix": "10.0.0.0/8"}),
        ] {
            let mut rule = rule;
            rule["security_group_id"] = json!(group);
            self.make("security_group_rule", rule).await;
        }
    }

    /// A subnet of each family, on the router.
    async fn make_subnets(&self, network: &str, number: u8, router: &str) {
        for (version, cidr) in [
            (6, format!("2001:db8:{number}::/64")),
            (4, format!("10.{number}.0.0/24")),
        ] {
            let mut subnet = json!({"network_id": network, "ip_version": version, "cidr": cidr});
            if version == 6 {
                subnet["ipv6_ra_mode"] = json!("slaac");
                subnet["ipv6_address_mode"] = json!("slaac");
            }
            let subnet = self.make("subnet", subnet).await;
            let path = format!("routers/{router}/add_router_interface");
            self.served
                .ask("PUT", &path, json!({"subnet_id": subnet}))
                .await;
        }
    }

    async fn make_guests(&mut self, network: &str, number: u8) {
        let group = &self.group;
        let guests: &[(&'static str, &str, u16, Value)] = if number == 1 {
            &[
                ("red1", "h1", 1, json!({"security_groups": [group]})),
                ("red2", "h2", 1, json!({"security_groups": [group]})),
            ]
        } else {
            &[(
                "blue1",
                "h1",
                2,
                json!({"security_groups": [], "port_security_enabled": false}),
            )]
        };
        for (guest, host, ofport, more) in guests {
            let mut port = more.clone();
            port["network_id"] = json!(network);
            let id = self.make("port", port).await;
            self.plug(&id, host, *ofport).await;
            if *host == "h1" {
                self.ports.insert(guest, id);
            }
        }
    }

    pub(crate) async fn plug(&self, port: &str, host: &str, ofport: u16) {
        let plugged = Plugged {
            chassis: ChassisId::new(host),
            ofport: Some(ofport),
        };
        let event = Event::Plugged(port.parse().unwrap(), plugged);
        self.served.events.send(event).await.unwrap();
    }

    pub(crate) async fn make(&self, kind: &str, wanted: Value) -> String {
        let path = format!("{}s", kind.replace('_', "-"));
        let made = self
            .served
            .ask("POST", &path, json!({ kind: wanted }))
            .await;
        made[kind]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{made}"))
            .to_owned()
    }

    /// The ports on h1 that are active.
    pub(crate) async fn active(&self) -> Vec<&'static str> {
        let mut active = Vec::new();
        for (name, id) in &self.ports {
            let shown = self
                .served
                .ask("GET", &format!("ports/{id}"), Value::Null)
                .await;
            if shown["port"]["status"] == "ACTIVE" {
                active.push(*name);
            }
        }
        active
    }

    /// What is shown of the hypervisor h1.
    pub(crate) async fn agent(&self) -> Value {
        let shown = self.served.ask("GET", "agents?host=h1", Value::Null).await;
        shown["agents"][0]["configurations"].clone()
    }

    /// All flows that h1 should have.
    pub(crate) fn wanted(&self) -> Flows {
        let latest = self.served.snapshots.latest();
        Flows::compute(&latest.intent, &latest.facts, &ChassisId::new("h1"))
    }

    /// Flows that are left out, as the metrics have it: by what is missing.
    pub(crate) fn refused(&self) -> BTreeMap<String, u64> {
        let text = self.served.metrics.render().unwrap();
        let lines = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("sextant_flows_refused{chassis=\"h1\",missing=\"")?;
            let (missing, count) = rest.split_once("\"} ")?;
            Some((missing.to_owned(), count.parse().unwrap()))
        });
        lines.collect()
    }
}

/// Waits until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            // Whoever only yields keeps the others from working.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}
