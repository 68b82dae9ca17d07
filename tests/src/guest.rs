//! A guest: a namespace whose `eth0` is plugged into a hypervisor's `br-int` as a VIF driver
//! would do it. Its IPv6 is the ordinary Linux stack with nothing configured by hand.

use crate::capture::Capture;
use crate::command::Output;
use crate::dhcp::networkd::{self, Networkd};
use crate::dhcp::{self, DhcpClient, DhcpLease, Memory, Wanted, dibbler, ipv4, wide};
use crate::error::LabError;
use crate::guest_network::{self, Address, Neighbor, Route};
use crate::hypervisor::Hypervisor;
use crate::leftovers;
use crate::namespace::Namespace;
use crate::netlink::NetworkChanges;
use crate::ping::{BackgroundPing, PingReport};
use crate::process::Process;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

/// The name of every guest's interface.
pub(crate) const DEVICE: &str = "eth0";

/// An ordinary host's settings, whatever those of the machine that runs the lab are.
const HOST: &[(&str, &str)] = &[
    ("ipv6/conf/all/forwarding", "0"),
    ("ipv6/conf/default/accept_ra", "1"),
    ("ipv6/conf/default/autoconf", "1"),
    ("ipv6/conf/default/accept_dad", "1"),
    ("ipv6/conf/default/use_tempaddr", "0"),
    ("ipv6/conf/default/addr_gen_mode", "0"),
];

/// What a guest is plugged in as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestSpec {
    /// Its name, part of its namespace's.
    pub name: String,
    /// The port's id: `external_ids:iface-id`.
    pub port_id: String,
    /// The MAC of `eth0`: `external_ids:attached-mac`.
    pub mac: String,
}

/// A guest of a lab. Dropping the value leaves the guest running: the lab removes it.
#[derive(Debug)]
pub struct Guest {
    spec: GuestSpec,
    namespace: Namespace,
    home: PathBuf,
    tap: String,
}

impl Guest {
    /// Makes the namespace, adds the tap to `br-int`, and only then brings the guest's end up,
    /// so that its first Router Solicitation meets a port.
    pub(crate) fn plug(host: &Hypervisor, spec: &GuestSpec) -> Result<Self, LabError> {
        let guest = Self::plug_asleep(host, spec)?;
        guest.namespace.ip(&["link", "set", "dev", DEVICE, "up"])?;
        Ok(guest)
    }

    /// As [`Guest::plug`], but the guest does not run yet: it neither sends nor answers.
    pub(crate) fn plug_asleep(host: &Hypervisor, spec: &GuestSpec) -> Result<Self, LabError> {
        let lab = host.namespace().lab();
        let namespace = Namespace::create(lab, &spec.name)?;
        let home = leftovers::home(lab).join(&spec.name);
        std::fs::create_dir_all(&home).map_err(LabError::io(format!("make {}", home.display())))?;
        let guest = Self {
            spec: spec.clone(),
            namespace,
            home,
            tap: tap_name(&spec.port_id),
        };
        guest.make_interface(host)?;
        guest.add_port(host)?;
        Ok(guest)
    }

    /// Stops here at once, as a guest does that its hypervisor hands over.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn stop(&self) -> Result<(), LabError> {
        self.namespace
            .ip(&["link", "set", "dev", DEVICE, "down"])
            .map(drop)
    }

    /// Runs from now on, with an address that it had elsewhere, of a /64: it asks nobody for it.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn resume(&self, address: Ipv6Addr) -> Result<(), LabError> {
        self.namespace.ip_batch(&format!(
            "link set dev {DEVICE} up\naddress add {address}/64 dev {DEVICE} nodad"
        ))
    }

    fn make_interface(&self, host: &Hypervisor) -> Result<(), LabError> {
        self.namespace.sysctl(HOST)?;
        host.namespace().ip_batch(&format!(
            "link add name {tap} type veth peer name {DEVICE} netns {guest}\n\
             link set dev {tap} up",
            tap = self.tap,
            guest = self.namespace.name()
        ))?;
        let mac = &self.spec.mac;
        self.namespace
            .ip(&["link", "set", "dev", DEVICE, "address", mac])?;
        host.datapath()
            .wire((&self.namespace, DEVICE), (host.namespace(), &self.tap))
    }

    fn add_port(&self, host: &Hypervisor) -> Result<(), LabError> {
        host.wait_bridge("br-int")?;
        host.vsctl(&[
            "add-port",
            "br-int",
            &self.tap,
            "--",
            "set",
            "interface",
            &self.tap,
            &format!("external_ids:iface-id={}", self.spec.port_id),
            &format!("external_ids:attached-mac=\"{}\"", self.spec.mac),
            "external_ids:iface-status=active",
        ])
        .map(drop)
    }

    /// Unplugs and removes the guest, as when an instance is deleted.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn unplug(self, host: &Hypervisor) -> Result<(), LabError> {
        host.vsctl(&["--if-exists", "del-port", "br-int", &self.tap])?;
        host.namespace().ip(&["link", "del", "dev", &self.tap])?;
        Namespace::delete(self.namespace.name())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The port's id.
    #[must_use]
    pub fn port_id(&self) -> &str {
        &self.spec.port_id
    }

    /// The MAC of `eth0`.
    #[must_use]
    pub fn mac(&self) -> &str {
        &self.spec.mac
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The hypervisor's end of the interface, a port of `br-int`.
    #[must_use]
    pub fn tap(&self) -> &str {
        &self.tap
    }

    /// Runs a command in the guest.
    ///
    /// # Errors
    /// [`LabError::Command`] when it fails.
    pub fn run(&self, words: &[&str]) -> Result<Output, LabError> {
        self.namespace.run(words)
    }

    /// Starts a program in the guest; it is killed when the value is dropped.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn spawn(&self, words: &[&str]) -> Result<Process, LabError> {
        self.namespace.spawn(words)
    }

    pub(crate) fn home(&self) -> &std::path::Path {
        &self.home
    }

    /// The IPv6 addresses of `eth0`.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn addresses(&self) -> Result<Vec<Address>, LabError> {
        guest_network::addresses(&self.namespace, DEVICE)
    }

    /// The addresses that are not link-local.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn global_addresses(&self) -> Result<Vec<Address>, LabError> {
        let mut addresses = self.addresses()?;
        addresses.retain(|address| !address.address.is_unicast_link_local());
        Ok(addresses)
    }

    /// The IPv6 default routes.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn default_routes(&self) -> Result<Vec<Route>, LabError> {
        guest_network::default_routes(&self.namespace)
    }

    /// The IPv6 neighbor cache.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn neighbors(&self) -> Result<Vec<Neighbor>, LabError> {
        guest_network::neighbors(&self.namespace, DEVICE)
    }

    /// Empties the IPv6 neighbor cache.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn flush_neighbors(&self) -> Result<(), LabError> {
        self.namespace
            .ip(&["-6", "neigh", "flush", "dev", DEVICE])
            .map(drop)
    }

    /// The MTU of IPv6 on `eth0` in bytes, as the last Router Advertisement set it.
    ///
    /// # Errors
    /// [`LabError::Unexpected`].
    pub fn ipv6_mtu(&self) -> Result<u32, LabError> {
        let text = self
            .run(&["cat", &format!("/proc/sys/net/ipv6/conf/{DEVICE}/mtu")])?
            .stdout;
        let mtu = text.trim().parse();
        mtu.map_err(|_| LabError::unexpected("the IPv6 MTU", text))
    }

    /// Waits, driven by the kernel's notifications, until `look` has an answer (`Ok`). It is
    /// asked once at the start and again after every change of links, addresses, routes or
    /// neighbors; `Err` is what it saw instead.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what was last seen, or an error of `look` itself.
    pub fn wait_network<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut look: impl FnMut(&Self) -> Result<Result<T, String>, LabError>,
    ) -> Result<T, LabError> {
        NetworkChanges::subscribe(&self.namespace)?.until(what, timeout, || look(self))
    }

    /// Waits until `eth0` has this address and duplicate address detection has passed.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the addresses seen.
    pub fn wait_address(&self, address: Ipv6Addr, timeout: Duration) -> Result<Address, LabError> {
        self.wait_network(&format!("address {address}"), timeout, |guest| {
            Ok(pick(guest.addresses()?, |found| {
                found.address == address && found.is_usable()
            }))
        })
    }

    /// Waits for the link-local address to be usable.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the addresses seen.
    pub fn wait_link_local(&self, timeout: Duration) -> Result<Ipv6Addr, LabError> {
        self.wait_network("a link-local address", timeout, |guest| {
            Ok(pick(guest.addresses()?, |found| {
                found.address.is_unicast_link_local() && found.is_usable()
            }))
        })
        .map(|found| found.address)
    }

    /// Waits for a default route.
    ///
    /// # Errors
    /// [`LabError::Timeout`].
    pub fn wait_default_route(&self, timeout: Duration) -> Result<Route, LabError> {
        self.wait_network("a default route", timeout, |guest| {
            Ok(pick(guest.default_routes()?, |_| true))
        })
    }

    /// Sends `count` echo requests, one each `interval`, and waits for the answers. A
    /// link-local target is taken as one on `eth0`.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when ping says nothing that can be read. Lost answers are no
    /// error but in the report.
    pub fn ping(
        &self,
        target: Ipv6Addr,
        count: u32,
        interval: Duration,
    ) -> Result<PingReport, LabError> {
        self.namespace.ping(target, count, interval)
    }

    /// Pings in the background, one request each `interval`, until stopped.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn spawn_ping(
        &self,
        target: Ipv6Addr,
        interval: Duration,
    ) -> Result<BackgroundPing, LabError> {
        self.namespace.spawn_ping(target, interval)
    }

    /// Runs `dhclient -6` (address and options) until it is bound; it goes on renewing until
    /// the client is dropped.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn dhclient(&self, timeout: Duration) -> Result<(DhcpClient, DhcpLease), LabError> {
        dhcp::dhclient(self, &[], Memory::Empty, timeout)
    }

    /// Runs `dhclient -6 -S` (options alone, by Information-Request).
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn dhclient_info(&self, timeout: Duration) -> Result<(DhcpClient, DhcpLease), LabError> {
        dhcp::dhclient(self, &["-S"], Memory::Empty, timeout)
    }

    /// Runs `dhcpcd` for IPv6 until it has a lease or the options of an Information-Request.
    /// It hears Router Advertisements itself and takes them over from the kernel.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn dhcpcd(&self, timeout: Duration) -> Result<(DhcpClient, DhcpLease), LabError> {
        dhcp::dhcpcd(self, timeout)
    }

    /// Runs `dhclient -6` with the lease that its last run wrote down, which it asks the server
    /// to confirm (RFC 9915 §18.2.3).
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn dhclient_again(&self, timeout: Duration) -> Result<(DhcpClient, DhcpLease), LabError> {
        dhcp::dhclient(self, &[], Memory::Kept, timeout)
    }

    /// Ends the guest's running dhclient and releases its lease.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn dhclient_release(&self) -> Result<(), LabError> {
        dhcp::dhclient_release(self)
    }

    /// Runs dibbler-client until it is bound.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn dibbler(&self, timeout: Duration) -> Result<(DhcpClient, DhcpLease), LabError> {
        dibbler::run(self, Wanted::Address, timeout)
    }

    /// Runs dibbler-client for options alone, by Information-Request.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn dibbler_info(&self, timeout: Duration) -> Result<(DhcpClient, DhcpLease), LabError> {
        dibbler::run(self, Wanted::Options, timeout)
    }

    /// Runs WIDE's dhcp6c until it is bound.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn wide(&self, timeout: Duration) -> Result<(DhcpClient, DhcpLease), LabError> {
        wide::run(self, Wanted::Address, timeout)
    }

    /// Runs WIDE's dhcp6c for options alone, by Information-Request.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn wide_info(&self, timeout: Duration) -> Result<(DhcpClient, DhcpLease), LabError> {
        wide::run(self, Wanted::Options, timeout)
    }

    /// Runs `dhclient -4` until it is bound.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn dhclient4(&self, timeout: Duration) -> Result<(DhcpClient, DhcpLease), LabError> {
        ipv4::dhclient(self, timeout)
    }

    /// Ends the guest's running `dhclient -4` and releases its lease.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn dhclient4_release(&self) -> Result<(), LabError> {
        ipv4::dhclient_release(self)
    }

    /// Runs `dhcpcd -4` until it is bound.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn dhcpcd4(&self, timeout: Duration) -> Result<(DhcpClient, DhcpLease), LabError> {
        ipv4::dhcpcd(self, timeout)
    }

    /// Runs busybox's udhcpc with these options besides, until it is bound.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn udhcpc(
        &self,
        options: &[&str],
        timeout: Duration,
    ) -> Result<(DhcpClient, DhcpLease), LabError> {
        ipv4::udhcpc(self, options, timeout)
    }

    /// Starts systemd-networkd, which asks for what the network's advertisements say and for IPv4.
    ///
    /// # Errors
    /// It does not start.
    pub fn networkd(&self) -> Result<Networkd, LabError> {
        networkd::run(self)
    }

    /// Captures what passes `eth0`; `filter` as in pcap-filter(7), empty for everything.
    ///
    /// # Errors
    /// As [`Capture::start`].
    pub fn capture(&self, filter: &str) -> Result<Capture, LabError> {
        Capture::start(&self.namespace, DEVICE, filter)
    }
}

/// The first that fits; else all of them, for the message.
fn pick<T: std::fmt::Display>(found: Vec<T>, fits: impl Fn(&T) -> bool) -> Result<T, String> {
    let seen: Vec<String> = found.iter().map(T::to_string).collect();
    found
        .into_iter()
        .find(fits)
        .ok_or_else(|| match seen.is_empty() {
            true => "nothing".to_owned(),
            false => seen.join(", "),
        })
}

/// `tap` and the first eleven characters of the port's id, as VIF drivers name it.
fn tap_name(port_id: &str) -> String {
    format!("tap{}", port_id.chars().take(11).collect::<String>())
}
