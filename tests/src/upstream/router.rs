//! A router on a physical network, in a namespace of its own: an ordinary Linux with static routes. It advertises
//! itself where it is configured to.

use super::{FORWARDS, Upstream, radvd};
use crate::capture::Capture;
use crate::dhcp::{DhcpClient, DhcpLease, dibbler};
use crate::error::LabError;
use crate::guest::DEVICE;
use crate::leftovers;
use crate::namespace::Namespace;
use crate::process::Process;
use std::net::IpAddr;
use std::time::Duration;

/// How long radvd may take to say goodbye.
const STOPPING: Duration = Duration::from_secs(10);

/// A router of a physical network. The lab removes it.
#[derive(Debug)]
pub struct OutsideRouter {
    namespace: Namespace,
}

impl OutsideRouter {
    pub(super) fn start(
        upstream: &Upstream,
        name: &str,
        vlan: Option<u16>,
    ) -> Result<Self, LabError> {
        let namespace = Namespace::create(upstream.namespace.lab(), name)?;
        namespace.sysctl(FORWARDS)?;
        let port = format!("to-{name}");
        upstream.namespace.ip_batch(&format!(
            "link add name {port} type veth peer name {DEVICE} netns {}\n\
             link set dev {port} up",
            namespace.name()
        ))?;
        namespace.ip(&["link", "set", "dev", DEVICE, "up"])?;
        let switch = &upstream.namespace;
        upstream
            .datapath
            .wire((&namespace, DEVICE), (switch, &port))?;
        upstream.add_port(&port, vlan)?;
        Ok(Self { namespace })
    }

    /// Its namespace. Its interface to the physical network is `eth0`.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Gives it an address with its prefix length, such as `fe80::1/64`.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn address(&self, address: &str) -> Result<(), LabError> {
        self.give(address, DEVICE)
    }

    /// An address behind it, for what is far away.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn far(&self, address: IpAddr) -> Result<(), LabError> {
        self.give(&address.to_string(), "lo")
    }

    fn give(&self, address: &str, device: &str) -> Result<(), LabError> {
        let words = ["addr", "replace", address, "dev", device];
        let nodad = address.contains(':').then_some("nodad");
        let words: Vec<&str> = words.into_iter().chain(nodad).collect();
        self.namespace.ip(&words).map(drop)
    }

    /// Routes a prefix by way of a neighbour. `None`: the prefix is on the link.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn route(&self, prefix: &str, by: Option<IpAddr>) -> Result<(), LabError> {
        let by = by.map(|by| by.to_string());
        let mut words = vec!["route", "replace", prefix];
        words.extend(by.iter().flat_map(|by| ["via", by.as_str()]));
        words.extend(["dev", DEVICE]);
        self.namespace.ip(&words).map(drop)
    }

    /// The MAC of its interface.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when there is none.
    pub fn mac(&self) -> Result<String, LabError> {
        let links = self.namespace.ip_json(&["link", "show", "dev", DEVICE])?;
        let mac = links.first().and_then(|link| link["address"].as_str());
        mac.map(str::to_owned)
            .ok_or_else(|| LabError::unexpected("a MAC", format!("{links:?}")))
    }

    /// Gives its interface another MAC, as when another machine takes its place.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn set_mac(&self, mac: &str) -> Result<(), LabError> {
        let words = ["link", "set", "dev", DEVICE, "address", mac];
        self.namespace.ip(&words).map(drop)
    }

    /// Advertises itself as a default router of this preference (RFC 4191 §2.1) and of no prefix.
    ///
    /// # Errors
    /// radvd does not start.
    pub fn advertise(&self, preference: &str) -> Result<Advertiser, LabError> {
        let configuration = format!(
            "interface {DEVICE} {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; \
             AdvDefaultLifetime 60; AdvDefaultPreference {preference}; }};\n"
        );
        let home = leftovers::home(self.namespace.lab());
        let name = self.namespace.name();
        radvd::start(&self.namespace, &home, name, &configuration).map(Advertiser)
    }

    /// Asks for a prefix with dibbler-client, as Neutron does for a subnet of this id. Dropped or ended, it releases it.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with its log.
    pub fn dibbler_for(
        &self,
        subnet_id: &str,
        timeout: Duration,
    ) -> Result<(DhcpClient, DhcpLease), LabError> {
        dibbler::run_for_prefix(&self.namespace, subnet_id, timeout)
    }

    /// The next hop of its route to exactly this prefix, if there is one.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn route_to(&self, prefix: &str) -> Result<Option<IpAddr>, LabError> {
        let routes = self
            .namespace
            .ip_json(&["-6", "route", "show", "exact", prefix])?;
        let next_hop = routes.first().and_then(|route| route["gateway"].as_str());
        Ok(next_hop.and_then(|next_hop| next_hop.parse().ok()))
    }

    /// Captures what passes its interface; `filter` as in pcap-filter(7), empty for everything.
    ///
    /// # Errors
    /// As [`Capture::start`].
    pub fn capture(&self, filter: &str) -> Result<Capture, LabError> {
        Capture::start(&self.namespace, DEVICE, filter)
    }
}

/// A running radvd. Dropped, it falls silent.
#[derive(Debug)]
pub struct Advertiser(Process);

impl Advertiser {
    /// Ends it in good order: its last advertisement has the lifetime 0 (RFC 4861 §6.2.5).
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not end.
    pub fn cease(mut self) -> Result<(), LabError> {
        self.0.terminate(STOPPING).map(drop)
    }
}
