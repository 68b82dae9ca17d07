//! A physical network: a switch that hypervisors attach to with a bridge `br-ex` of their own, and an ordinary Linux
//! router on it, untagged and in VLANs.
//!
//! The switch is an Open vSwitch with the lab's datapath: hypervisors are on trunks, the router has an access port a VLAN.

mod delegating;
mod radvd;
mod router;

pub use delegating::{DelegatedLease, DelegatingServer, Lifetimes, PrefixPool};
pub use router::{Advertiser, OutsideRouter};

use crate::capture::Capture;
use crate::datapath::Datapath;
use crate::error::LabError;
use crate::hypervisor::Hypervisor;
use crate::lab::Lab;
use crate::leftovers;
use crate::namespace::Namespace;
use crate::ovs::OpenVSwitch;
use crate::process::Process;
use crate::tools::Tools;
use std::fmt::Write;
use std::net::Ipv6Addr;

/// The switch.
const SWITCH: &str = "lan";
/// The hypervisors' interface to it, a port of `br-ex`.
const DEVICE: &str = "phys0";

/// What a router of the lab is set to: its addresses are given, and it forwards.
const FORWARDS: &[(&str, &str)] = &[
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv4/conf/all/forwarding", "1"),
];

/// A prefix that the router advertises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// In this VLAN; untagged if none.
    pub vlan: Option<u16>,
    /// The prefix, a /64; the router has its `::1`.
    pub prefix: Ipv6Addr,
}

/// A physical network with its router. The lab removes it.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    datapath: Datapath,
    ovs: OpenVSwitch,
    namespace: Namespace,
}

impl Upstream {
    /// Starts the switch.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn start(lab: &Lab, physical_network: &str) -> Result<Self, LabError> {
        Tools::check(&["ethtool", "radvd"])?;
        let namespace = Namespace::create(lab.name(), physical_network)?;
        namespace.sysctl(FORWARDS)?;
        let home = lab.home().join(physical_network);
        let ovs = OpenVSwitch::start(&namespace, &home, &leftovers::records(lab.name()))?;
        ovs.vsctl(&[
            "add-br",
            SWITCH,
            "--",
            "set",
            "bridge",
            SWITCH,
            &lab.datapath().setting(),
            "fail_mode=standalone",
        ])?;
        let name = physical_network.to_owned();
        Ok(Self {
            name,
            datapath: lab.datapath(),
            ovs,
            namespace,
        })
    }

    /// Links a hypervisor to the switch, with the lines that an operator types.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn attach(&self, host: &Hypervisor) -> Result<(), LabError> {
        let port = port_to(host);
        self.namespace.ip_batch(&format!(
            "link add name {port} type veth peer name {DEVICE} netns {}\n\
             link set dev {port} up",
            host.namespace().name()
        ))?;
        self.ovs.vsctl(&["add-port", SWITCH, &port])?;
        host.namespace().ip(&["link", "set", "dev", DEVICE, "up"])?;
        let mapping = format!("external_ids:sextant-bridge-mappings={}:br-ex", self.name);
        host.vsctl(&[
            "add-br",
            "br-ex",
            "--",
            "set",
            "bridge",
            "br-ex",
            &host.datapath().setting(),
            "--",
            "add-port",
            "br-ex",
            DEVICE,
            "--",
            "set",
            "open_vswitch",
            ".",
            &mapping,
        ])
        .map(drop)
    }

    /// Advertises prefixes with radvd, until the value is dropped.
    ///
    /// # Errors
    /// [`LabError::Command`], or the log of a radvd that does not start.
    pub fn advertise(&self, lab: &Lab, prefixes: &[Advertised]) -> Result<Process, LabError> {
        let mut configuration = String::new();
        for advertised in prefixes {
            let device = self.device(advertised.vlan)?;
            let gateway = Ipv6Addr::from_bits(advertised.prefix.to_bits() | 1);
            self.namespace.ip(&[
                "addr",
                "replace",
                &format!("{gateway}/64"),
                "dev",
                &device,
                "nodad",
            ])?;
            let prefix = advertised.prefix;
            let _ = writeln!(
                configuration,
                "interface {device} {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; \
                 prefix {prefix}/64 {{ }}; }};"
            );
        }
        radvd::start(&self.namespace, lab.home(), &self.name, &configuration)
    }

    /// The router's namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Starts another router, in a namespace of its own: in this VLAN, or without tags.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn router(&self, name: &str, vlan: Option<u16>) -> Result<OutsideRouter, LabError> {
        OutsideRouter::start(self, name, vlan)
    }

    /// Captures what a hypervisor sends to the switch; `filter` as in pcap-filter(7).
    ///
    /// # Errors
    /// As [`Capture::start`].
    pub fn capture_from(&self, host: &Hypervisor, filter: &str) -> Result<Capture, LabError> {
        let filter = format!("inbound and ({filter})");
        Capture::start(&self.namespace, &port_to(host), &filter)
    }

    /// The interface on which the switch last heard a MAC: `to-h1`; none if it has not for minutes.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn heard_on(&self, mac: &str) -> Result<Option<String>, LabError> {
        let learned = self.ovs.appctl(&["fdb/show", SWITCH])?.stdout;
        let entries = learned.lines().map(|line| line.split_whitespace());
        let mut ports = entries.filter_map(|mut entry| {
            let port = entry.next()?;
            entry.nth(1).filter(|heard| *heard == mac).map(|_| port)
        });
        let Some(port) = ports.next() else {
            return Ok(None);
        };
        let named = format!("ofport={port}");
        let words = ["--bare", "--columns=name", "find", "interface", &named];
        let name = self.ovs.vsctl(&words)?.stdout;
        Ok(Some(name.trim().to_owned()))
    }

    /// A new interface of the router: on an access port of this VLAN, or on one without tags.
    fn device(&self, vlan: Option<u16>) -> Result<String, LabError> {
        let number = vlan.unwrap_or(0);
        let (device, port) = (format!("router{number}"), format!("access{number}"));
        self.namespace.ip_batch(&format!(
            "link add name {device} type veth peer name {port}\n\
             link set dev {port} up\n\
             link set dev {device} up"
        ))?;
        self.datapath
            .wire((&self.namespace, &device), (&self.namespace, &port))?;
        self.add_port(&port, vlan)?;
        Ok(device)
    }

    /// An access port of this VLAN, or one without tags.
    fn add_port(&self, port: &str, vlan: Option<u16>) -> Result<(), LabError> {
        let tag = vlan.map(|vlan| format!("tag={vlan}"));
        let words = ["add-port", SWITCH, port];
        let words: Vec<&str> = words.into_iter().chain(tag.as_deref()).collect();
        self.ovs.vsctl(&words).map(drop)
    }
}

/// The switch's interface to a hypervisor.
fn port_to(host: &Hypervisor) -> String {
    format!("to-{}", host.name())
}
