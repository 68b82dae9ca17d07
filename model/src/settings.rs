//! What the configuration says about how the cloud works.

use crate::{DefaultQuotas, RaSettings};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// How hosts outside learn where guests are (`[external.PHYSNET] publish`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publish {
    /// Routers outside have routes by the routers' gateway addresses.
    #[default]
    Routes,
    /// Hosts outside take guests for neighbours: a router answers for them (RFC 4389).
    NdProxy,
}

/// The text names no way to publish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no way to publish guests' addresses: use routes or nd-proxy")]
pub struct UnknownPublish(pub String);

impl FromStr for Publish {
    type Err = UnknownPublish;

    fn from_str(text: &str) -> Result<Self, UnknownPublish> {
        match text {
            "routes" => Ok(Self::Routes),
            "nd-proxy" => Ok(Self::NdProxy),
            other => Err(UnknownPublish(other.to_owned())),
        }
    }
}

/// How routers use the external networks of a physical network (`[external.PHYSNET]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalSettings {
    /// The link-local address of the next hop, if no subnet has one. It comes before routers that are heard.
    pub ipv6_gateway: Option<Ipv6Addr>,
    /// How hosts outside learn where guests are.
    pub publish: Publish,
    /// Whether IPv6 leaves by the guest's own hypervisor, if that has a bridge of the physical network.
    pub distributed: bool,
}

/// What the configuration says about how the cloud works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The domain that guests search (`dns_domain`).
    pub dns_domain: String,
    /// Router advertisements.
    pub ra: RaSettings,
    /// Whether IPv6 subnets of the default pool have delegated prefixes (`ipv6_pd_enabled`).
    pub ipv6_pd_enabled: bool,
    /// Whether a new IPv4 or stateful IPv6 subnet gives existing ports an address. A SLAAC subnet always does.
    pub address_existing_ports: bool,
    /// MTU of the network that carries the tunnels, in octets.
    pub underlay_mtu: u16,
    /// Valid and preferred lifetime of addresses leased by DHCPv6, in seconds.
    pub lease_lifetime: u32,
    /// Packets that a guest may send to the controller, per second.
    pub punt_rate: u32,
    /// Packets that a guest may send to the controller at once, before [`Settings::punt_rate`] applies.
    pub punt_burst: u32,
    /// The quotas of projects that set none of their own.
    pub quotas: DefaultQuotas,
    /// How external networks are used, by physical network. One that is not named gets the defaults.
    pub external: BTreeMap<String, ExternalSettings>,
}

impl Default for Settings {
    /// The defaults of Neutron's agents.
    fn default() -> Self {
        Self {
            dns_domain: "openstacklocal".to_owned(),
            ra: RaSettings::default(),
            ipv6_pd_enabled: false,
            address_existing_ports: false,
            underlay_mtu: 1500,
            lease_lifetime: 86_400,
            punt_rate: 100,
            punt_burst: 200,
            quotas: DefaultQuotas::default(),
            external: BTreeMap::new(),
        }
    }
}
