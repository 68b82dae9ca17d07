//! The cloud of the story: two hypervisors, three networks in the three IPv6 modes, one router, six guests.

use super::Failure;
use crate::{
    Controller, ControllerOptions, DhcpClient, DhcpLease, Guest, Hypervisor, Lab, LabError,
    LabOptions, Network, Port, PortSpec, Prometheus, Router, Subnet, SubnetSpec, wait_for,
};
use serde_json::json;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// How long anything that takes a moment may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// The DNS server that guests get.
pub const DNS: &str = "2001:db8:53::53";

/// A network with its one subnet and its router's port.
#[derive(Debug)]
pub struct Segment {
    /// The network.
    pub network: Network,
    /// The subnet.
    pub subnet: Subnet,
    /// The router's port on it.
    pub gateway: Port,
}

impl Segment {
    /// The router's address on it.
    pub fn gateway_address(&self) -> Ipv6Addr {
        first_ipv6(&self.gateway)
    }

    /// The router's link-local address.
    pub fn gateway_link_local(&self) -> Ipv6Addr {
        link_local(&self.gateway.mac)
    }

    /// The number on the wire.
    pub fn vni(&self) -> u64 {
        self.network.body["provider:segmentation_id"]
            .as_u64()
            .unwrap_or_default()
    }
}

/// What the API was asked for.
#[derive(Debug)]
pub struct Cloud {
    /// slaac/slaac.
    pub slaac: Segment,
    /// dhcpv6-stateful/dhcpv6-stateful.
    pub stateful: Segment,
    /// dhcpv6-stateless/dhcpv6-stateless.
    pub stateless: Segment,
    /// The router of all three.
    pub router: Router,
}

/// A guest and its port.
#[derive(Debug)]
pub struct Plugged {
    /// The guest.
    pub guest: Guest,
    /// Its port, as created.
    pub port: Port,
}

impl Plugged {
    /// The address that the API shows.
    pub fn address(&self) -> Ipv6Addr {
        first_ipv6(&self.port)
    }
}

/// The guests, named for their network and hypervisor.
#[derive(Debug)]
pub struct Guests {
    /// SLAAC, on h1.
    pub slaac1: Plugged,
    /// SLAAC, on h1 too.
    pub slaac1b: Plugged,
    /// SLAAC, on h2.
    pub slaac2: Plugged,
    /// Stateful, on h1.
    pub stateful1: Plugged,
    /// Stateful, on h2.
    pub stateful2: Plugged,
    /// Stateless, on h2.
    pub stateless2: Plugged,
}

impl Guests {
    /// All of them.
    pub fn all(&self) -> [&Plugged; 6] {
        [
            &self.slaac1,
            &self.slaac1b,
            &self.slaac2,
            &self.stateful1,
            &self.stateful2,
            &self.stateless2,
        ]
    }
}

/// The stateful guests' clients, which go on running, and what each client got.
#[derive(Debug)]
pub struct Leases {
    /// `dhclient -6` of the stateful guest on h1.
    pub dhclient: (DhcpClient, DhcpLease),
    /// `dhcpcd` of the stateful guest on h2.
    pub dhcpcd: (DhcpClient, DhcpLease),
    /// `dhclient -6 -S` of the stateless guest.
    pub information: (DhcpClient, DhcpLease),
}

/// Everything of the story, made as far as a point needs it.
#[derive(Debug)]
pub struct World {
    leases: Option<Leases>,
    guests: Option<Guests>,
    cloud: Option<Cloud>,
    joined: bool,
    /// What scrapes the controller, once it was started.
    pub prometheus: Option<Prometheus>,
    /// The controller.
    pub controller: Controller,
    /// The lab.
    pub lab: Lab,
}

impl World {
    /// Leaves all of it running when this process ends.
    ///
    /// # Errors
    /// As [`Lab::keep`].
    pub fn keep(self) -> Result<(), LabError> {
        let Self {
            leases,
            guests,
            prometheus,
            controller,
            lab,
            ..
        } = self;
        std::mem::forget((leases, guests, prometheus));
        lab.keep(Some(controller))
    }

    /// The guests that were plugged in, if it came to that.
    pub fn plugged(&self) -> Option<&Guests> {
        self.guests.as_ref()
    }

    /// Waits until the controller's metrics have this line.
    ///
    /// # Errors
    /// That takes too long.
    pub fn wait_metric(&self, line: &str) -> Result<(), Failure> {
        wait_for(&format!("the metric {line}"), SOON, || {
            let page = self.lab.metrics().map_err(|error| error.to_string())?;
            match page.lines().any(|found| found == line) {
                true => Ok(()),
                false => Err(page),
            }
        })?;
        Ok(())
    }

    /// A lab whose controller is configured only with its listeners.
    ///
    /// # Errors
    /// The lab or the controller did not start.
    pub fn start() -> Result<Self, Failure> {
        Self::start_in(LabOptions::default(), "")
    }

    /// The same with a configuration file of this text.
    ///
    /// # Errors
    /// As [`World::start`].
    pub fn start_configured(config: &str) -> Result<Self, Failure> {
        Self::start_in(LabOptions::default(), config)
    }

    /// The same in a lab of more hypervisors, or with another underlay; without a configuration file if the text is
    /// empty.
    ///
    /// # Errors
    /// As [`World::start`].
    pub fn start_in(options: LabOptions, config: &str) -> Result<Self, Failure> {
        let lab = Lab::start(options)?;
        let mut args = vec![];
        if !config.is_empty() {
            args = vec!["--config".to_owned(), configure(&lab, config)?];
        }
        let controller = lab.start_controller(ControllerOptions {
            args,
            ..ControllerOptions::default()
        })?;
        Ok(Self::of(lab, controller))
    }

    /// Writes another configuration file over the first, and waits until the controller has read it (SIGHUP).
    ///
    /// # Errors
    /// It does not within 30 seconds, or was started without a configuration file.
    pub fn reconfigure(&mut self, config: &str) -> Result<(), Failure> {
        configure(&self.lab, config)?;
        self.controller.hang_up()?;
        self.controller
            .wait_line("SIGHUP to have its effect", SOON, |line| {
                line.contains("the configuration was read again")
                    .then_some(())
            })?;
        Ok(())
    }

    fn of(lab: Lab, controller: Controller) -> Self {
        Self {
            leases: None,
            guests: None,
            cloud: None,
            joined: false,
            prometheus: None,
            controller,
            lab,
        }
    }

    /// All hypervisors have joined, and their switches are programmed.
    ///
    /// # Errors
    /// They do not within 30 seconds.
    pub fn join(&mut self) -> Result<(), Failure> {
        if !self.joined {
            for host in self.lab.hypervisors() {
                host.join("vxlan")?;
            }
            for host in self.lab.hypervisors() {
                host.wait_bridge("br-int")?;
                wait_tunnel_port(host, "vxlan")?;
                wait_for("base flows", SOON, || {
                    let count = host
                        .dump_flows("br-int")
                        .map_err(|error| error.to_string())?
                        .len();
                    if count > 10 {
                        Ok(())
                    } else {
                        Err(format!("{count} flows"))
                    }
                })?;
            }
            self.joined = true;
        }
        Ok(())
    }

    /// Networks, subnets and router exist.
    ///
    /// # Errors
    /// The API refuses.
    pub fn cloud(&mut self) -> Result<&Cloud, Failure> {
        if self.cloud.is_none() {
            let router = self.lab.api().create_router("router1")?;
            let [slaac, stateful, stateless] = [
                ("slaac", "2001:db8:a::/64", "slaac"),
                ("stateful", "2001:db8:b::/64", "dhcpv6-stateful"),
                ("stateless", "2001:db8:c::/64", "dhcpv6-stateless"),
            ]
            .map(|(name, cidr, mode)| self.segment(&router, name, cidr, mode));
            self.cloud = Some(Cloud {
                slaac: slaac?,
                stateful: stateful?,
                stateless: stateless?,
                router,
            });
        }
        self.cloud
            .as_ref()
            .ok_or_else(|| Failure::Observed("there is no cloud".to_owned()))
    }

    fn segment(
        &self,
        router: &Router,
        name: &str,
        cidr: &str,
        mode: &str,
    ) -> Result<Segment, LabError> {
        let api = self.lab.api();
        let network = api.create_network(name)?;
        let subnet = api.create_subnet(
            &network,
            &SubnetSpec {
                dns: &[DNS],
                ..SubnetSpec::with_mode(cidr, mode)
            },
        )?;
        let gateway = api.add_interface(router, &subnet)?;
        Ok(Segment {
            network,
            subnet,
            gateway,
        })
    }

    /// All guests are plugged in and active.
    ///
    /// # Errors
    /// Something of it does not come about within 30 seconds.
    pub fn guests(&mut self) -> Result<&Guests, Failure> {
        if self.guests.is_none() {
            self.join()?;
            self.cloud()?;
            let Some(cloud) = &self.cloud else {
                return Err(Failure::Observed("there is no cloud".to_owned()));
            };
            let guests = Guests {
                slaac1: self.plug(&cloud.slaac, "a1", 1)?,
                slaac1b: self.plug(&cloud.slaac, "a2", 1)?,
                slaac2: self.plug(&cloud.slaac, "a3", 2)?,
                stateful1: self.plug(&cloud.stateful, "b1", 1)?,
                stateful2: self.plug(&cloud.stateful, "b2", 2)?,
                stateless2: self.plug(&cloud.stateless, "c1", 2)?,
            };
            self.guests = Some(guests);
        }
        self.guests
            .as_ref()
            .ok_or_else(|| Failure::Observed("there are no guests".to_owned()))
    }

    /// The DHCPv6 clients have what they asked for, and every guest has its addresses and its default route.
    ///
    /// # Errors
    /// Something of it does not come about within 30 seconds.
    pub fn leases(&mut self) -> Result<&Leases, Failure> {
        if self.leases.is_none() {
            let guests = self.guests()?;
            let leases = Leases {
                dhclient: guests.stateful1.guest.dhclient(SOON)?,
                dhcpcd: guests.stateful2.guest.dhcpcd(SOON)?,
                information: guests.stateless2.guest.dhclient_info(SOON)?,
            };
            for plugged in guests.all() {
                plugged.guest.wait_address(plugged.address(), SOON)?;
                plugged.guest.wait_default_route(SOON)?;
            }
            self.leases = Some(leases);
        }
        self.leases
            .as_ref()
            .ok_or_else(|| Failure::Observed("there are no leases".to_owned()))
    }

    /// Creates a port and plugs its guest in.
    ///
    /// # Errors
    /// The API refuses, or the port does not turn active within 30 seconds.
    pub fn plug(&self, segment: &Segment, name: &str, host: usize) -> Result<Plugged, LabError> {
        let spec = PortSpec {
            name,
            more: json!({"device_owner": "compute:nova"})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        };
        let port = self.lab.api().create_port(&segment.network, &spec)?;
        let guest = self.lab.hypervisor(host).add_guest(&port.guest(name))?;
        self.wait_status(&port, "ACTIVE")?;
        Ok(Plugged { guest, port })
    }

    /// Creates one more port on the SLAAC network and plugs its guest in.
    ///
    /// # Errors
    /// As [`World::plug`].
    pub fn plug_into_slaac(&mut self, name: &str, host: usize) -> Result<Plugged, Failure> {
        self.cloud()?;
        match &self.cloud {
            Some(cloud) => Ok(self.plug(&cloud.slaac, name, host)?),
            None => Err(Failure::Observed("there is no cloud".to_owned())),
        }
    }

    /// Waits for a port's status.
    ///
    /// # Errors
    /// It is another after 30 seconds.
    pub fn wait_status(&self, port: &Port, status: &str) -> Result<(), LabError> {
        wait_for(&format!("port {} {status}", port.id), SOON, || {
            let shown = self
                .lab
                .api()
                .show_port(&port.id)
                .map_err(|error| error.to_string())?;
            if shown.status() == status {
                Ok(())
            } else {
                Err(shown.status().to_owned())
            }
        })
    }

    /// The guests and the cloud, where a point has made sure of them.
    ///
    /// # Errors
    /// As [`World::guests`].
    pub fn ready(&mut self) -> Result<(&Lab, &Cloud, &Guests), Failure> {
        self.guests()?;
        match (&self.cloud, &self.guests) {
            (Some(cloud), Some(guests)) => Ok((&self.lab, cloud, guests)),
            _ => Err(Failure::Observed("there are no guests".to_owned())),
        }
    }

    /// The same, with every guest addressed.
    ///
    /// # Errors
    /// As [`World::leases`].
    pub fn addressed(&mut self) -> Result<(&Lab, &Cloud, &Guests), Failure> {
        self.leases()?;
        self.ready()
    }

    /// Everything apart, for a point that stops and starts the controller.
    ///
    /// # Errors
    /// As [`World::guests`].
    pub fn parts(&mut self) -> Result<(&Lab, &mut Controller, &mut Cloud, &mut Guests), Failure> {
        self.guests()?;
        match (&mut self.cloud, &mut self.guests) {
            (Some(cloud), Some(guests)) => Ok((&self.lab, &mut self.controller, cloud, guests)),
            _ => Err(Failure::Observed("there are no guests".to_owned())),
        }
    }
}

/// Waits until a hypervisor's tunnel port of this type has an OpenFlow port.
///
/// # Errors
/// It has none after 30 seconds.
pub(super) fn wait_tunnel_port(host: &Hypervisor, kind: &str) -> Result<(), LabError> {
    host.vsctl(&[
        "--timeout=30",
        "wait-until",
        "interface",
        &format!("sextant-{kind}6"),
        "ofport>0",
    ])
    .map(drop)
}

fn first_ipv6(port: &Port) -> Ipv6Addr {
    let address = port.addresses.iter().find_map(|address| match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    });
    address.unwrap_or(Ipv6Addr::UNSPECIFIED)
}

/// The link-local address of a MAC (RFC 4862 §5.3).
pub fn link_local(mac: &str) -> Ipv6Addr {
    eui64("fe80::", mac)
}

/// The SLAAC address of a MAC under a prefix (RFC 4291 appendix A).
#[must_use]
pub fn eui64(prefix: &str, mac: &str) -> Ipv6Addr {
    let mut octets = prefix
        .parse::<Ipv6Addr>()
        .map_or([0; 16], |prefix| prefix.octets());
    let mac: Vec<u8> = mac
        .split(':')
        .filter_map(|part| u8::from_str_radix(part, 16).ok())
        .collect();
    if let [a, b, c, d, e, f] = mac[..] {
        octets[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    }
    octets.into()
}

/// Writes the controller's configuration file. Returns where it is.
fn configure(lab: &Lab, config: &str) -> Result<String, LabError> {
    let file = lab.home().join("sextant.toml");
    let written = std::fs::write(&file, config);
    written.map_err(LabError::io(format!("write {}", file.display())))?;
    Ok(file.display().to_string())
}
