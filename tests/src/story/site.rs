//! A cloud with an external network, and the API requests of tests about it. Of its three hypervisors two have a bridge
//! of the physical network, and the first is preferred for gateways.

use super::world::SOON;
use super::{Failure, Outcome, Plugged, World, ensure, link_local};
use crate::{
    LabError, LabOptions, Namespace, Network, Port, PortSpec, Router, SubnetSpec, Upstream,
    wait_for,
};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// 200 packets a second.
pub const QUICK: Duration = Duration::from_millis(5);
/// How long ping waits after the last request, where no answer may be lost.
const UNHURRIED: Duration = Duration::from_millis(100);
const PHYSICAL: &str = "physnet1";
/// What of `external_ids:sextant-gateway-priority` the hypervisors have, in order; the third has no bridge.
const PRIORITIES: [&str; 3] = ["30", "20", "10"];

/// A cloud with an outside.
#[derive(Debug)]
pub struct Site {
    /// The physical network.
    pub upstream: Upstream,
    /// The lab and its controller, all hypervisors joined.
    pub world: World,
    /// A security group that lets everything in.
    open: String,
}

/// A router of the cloud and its port outside.
#[derive(Debug)]
pub struct Gateway {
    /// The router.
    pub router: Router,
    /// The port.
    pub port: Port,
}

impl Gateway {
    /// The router's link-local address outside.
    #[must_use]
    pub fn link_local(&self) -> Ipv6Addr {
        link_local(&self.port.mac)
    }
}

impl Site {
    /// Tells a story of a site whose controller has this configuration. If it does not come true, the logs are shown.
    ///
    /// # Errors
    /// Why it does not come true.
    pub fn tell<T>(
        config: &str,
        story: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut site = Self::start(config)?;
        story(&mut site).inspect_err(|failure| eprintln!("{failure}\n{}", site.world.lab.logs()))
    }

    fn start(config: &str) -> Result<Self, Failure> {
        let options = LabOptions {
            hypervisors: 3,
            ..LabOptions::default()
        };
        let mut world = World::start_in(options, config)?;
        let upstream = Upstream::start(&world.lab, PHYSICAL)?;
        for (host, priority) in world.lab.hypervisors().iter().zip(PRIORITIES) {
            let priority = format!("external_ids:sextant-gateway-priority={priority}");
            host.vsctl(&["set", "open_vswitch", ".", &priority])?;
        }
        let attached = &world.lab.hypervisors()[..2];
        attached.iter().try_for_each(|host| upstream.attach(host))?;
        world.join()?;
        for host in &world.lab.hypervisors()[..2] {
            let patch = format!("sextant-int-{PHYSICAL}");
            host.vsctl(&[
                "--timeout=30",
                "wait-until",
                "interface",
                &patch,
                "ofport>0",
            ])?;
        }
        let open = open_group(&world)?;
        Ok(Self {
            upstream,
            world,
            open,
        })
    }

    /// An external network: in this VLAN, or without tags.
    ///
    /// # Errors
    /// The API refuses.
    pub fn external(&self, vlan: Option<u16>) -> Result<Network, LabError> {
        let attributes = json!({
            "provider:network_type": vlan.map_or("flat", |_| "vlan"),
            "provider:physical_network": PHYSICAL,
            "provider:segmentation_id": vlan,
            "router:external": true,
        });
        let api = self.world.lab.api();
        api.create_network_with("outside", attributes)
    }

    /// A router with its gateway on an external network.
    ///
    /// # Errors
    /// The API refuses.
    pub fn gateway(&self, external: &Network) -> Result<Gateway, Failure> {
        let api = self.world.lab.api();
        let router = api.create_router("r1")?;
        let wanted = json!({"router": {"external_gateway_info": {"network_id": external.id}}});
        let (status, body) = api.put(&format!("/v2.0/routers/{}", router.id), &wanted)?;
        ensure(status == 200, || format!("{status} {body}"))?;
        let (_, ports) = api.get(&format!(
            "/v2.0/ports?device_id={}&device_owner=network:router_gateway",
            router.id
        ))?;
        let id = ports["ports"][0]["id"].as_str().unwrap_or_default();
        let port = api.show_port(id)?;
        Ok(Gateway { router, port })
    }

    /// A network of guests with these subnets, IPv6 by SLAAC, all on the router.
    ///
    /// # Errors
    /// The API refuses.
    pub fn segment(&self, gateway: &Gateway, cidrs: &[&str]) -> Result<Network, Failure> {
        let api = self.world.lab.api();
        let network = api.create_network("inside")?;
        for cidr in cidrs {
            let spec = SubnetSpec {
                cidr,
                mode: cidr.contains(':').then_some("slaac"),
                ..SubnetSpec::default()
            };
            let subnet = api.create_subnet(&network, &spec)?;
            api.add_interface(&gateway.router, &subnet)?;
        }
        Ok(network)
    }

    /// Guests, each by its name and hypervisor, that let everybody talk to them, with their IPv6 addresses and routes.
    ///
    /// # Errors
    /// The API refuses, or they do not have them within 30 seconds.
    pub fn guests<const N: usize>(
        &self,
        network: &Network,
        wanted: [(&str, usize); N],
    ) -> Result<[Plugged; N], Failure> {
        let plugged = wanted.map(|(name, host)| self.plug(network, name, host));
        let plugged = plugged.into_iter().collect::<Result<Vec<_>, _>>()?;
        for Plugged { guest, port } in &plugged {
            self.world.wait_status(port, "ACTIVE")?;
            guest.wait_address(ipv6(port), SOON)?;
            guest.wait_default_route(SOON)?;
        }
        plugged
            .try_into()
            .map_err(|plugged: Vec<Plugged>| Failure::Observed(format!("{} guests", plugged.len())))
    }

    /// A guest that lets everybody talk to it, with whatever addresses there are.
    ///
    /// # Errors
    /// The API refuses, or the guest cannot be made.
    pub fn plug(&self, network: &Network, name: &str, host: usize) -> Result<Plugged, LabError> {
        let spec = PortSpec {
            name,
            more: json!({"security_groups": [self.open]})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        };
        let lab = &self.world.lab;
        let port = lab.api().create_port(network, &spec)?;
        let guest = lab.hypervisor(host).add_guest(&port.guest(name))?;
        Ok(Plugged { guest, port })
    }

    /// Waits until the physical network last heard a MAC from this hypervisor.
    ///
    /// # Errors
    /// It does not within 30 seconds.
    pub fn wait_heard(&self, mac: &str, host: usize) -> Result<(), LabError> {
        let wanted = format!("to-h{host}");
        wait_for(&format!("{mac} {wanted}"), SOON, || {
            let seen = self.upstream.heard_on(mac);
            match seen.map_err(|error| error.to_string())? {
                Some(port) if port == wanted => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
    }
}

/// A group with a rule for each family.
fn open_group(world: &World) -> Result<String, Failure> {
    let group = created(world, "security_group", json!({"name": "open"}))?;
    for ethertype in ["IPv4", "IPv6"] {
        let rule = json!({"security_group_id": group["id"], "direction": "ingress", "ethertype": ethertype});
        created(world, "security_group_rule", rule)?;
    }
    Ok(group["id"].as_str().unwrap_or_default().to_owned())
}

fn created(world: &World, kind: &str, wanted: Value) -> Result<Value, Failure> {
    let path = format!("/v2.0/{}s", kind.replace('_', "-"));
    let (status, body) = world.lab.api().post(&path, &json!({ kind: wanted }))?;
    ensure(status == 201, || format!("{path}: {status} {body}"))?;
    Ok(body[kind].clone())
}

/// The IPv4 address of a port.
#[must_use]
pub fn ipv4(port: &Port) -> Ipv4Addr {
    let mut addresses = port.addresses.iter();
    let found = addresses.find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    });
    found.unwrap_or(Ipv4Addr::UNSPECIFIED)
}

/// The IPv6 address of a port that is not link-local.
#[must_use]
pub fn ipv6(port: &Port) -> Ipv6Addr {
    let mut addresses = port.addresses.iter();
    let found = addresses.find_map(|address| match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    });
    found.unwrap_or(Ipv6Addr::UNSPECIFIED)
}

/// Waits for an answer, and then every request is answered.
///
/// # Errors
/// There is no answer within 30 seconds, or a request is lost.
pub fn reaches(from: &Namespace, to: Ipv6Addr) -> Outcome {
    let what = format!("{} to reach {to}", from.name());
    wait_for(&what, SOON, || {
        let report = from
            .ping(to, 1, UNHURRIED)
            .map_err(|error| error.to_string())?;
        match report.is_complete() {
            true => Ok(()),
            false => Err(report.to_string()),
        }
    })?;
    let report = from.ping(to, 5, UNHURRIED)?;
    ensure(report.is_complete(), || format!("{what}: {report}"))
}

/// No request is answered.
///
/// # Errors
/// One is.
pub fn does_not_reach(from: &Namespace, to: Ipv6Addr) -> Outcome {
    let report = from.ping(to, 2, UNHURRIED)?;
    ensure(report.received == 0, || {
        format!("{} reaches {to}: {report}", from.name())
    })
}

/// Carries a megabyte over TCP, with iperf3 and its options.
///
/// # Errors
/// It does not within 30 seconds.
pub fn connects(
    client: &Namespace,
    server: &Namespace,
    address: IpAddr,
    options: &[&str],
) -> Outcome {
    let address = address.to_string();
    let words = ["iperf3", "--server", "--one-off", "--bind", &address];
    let mut listener = server.spawn(&[&words[..], &["--forceflush"]].concat())?;
    listener.wait_line("a server", SOON, |line| {
        line.contains("Server listening").then_some(())
    })?;
    let words = ["timeout", "30", "iperf3", "-c", &address, "-n", "1M"];
    client.run(&[&words[..], options].concat())?;
    listener.wait(SOON)?;
    Ok(())
}
