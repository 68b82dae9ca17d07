//! Networks.

use crate::{Meta, NetworkId, NetworkKey};
use serde::{Deserialize, Serialize};

/// How frames of a network travel between hypervisors (`provider:network_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkType {
    /// In VXLAN, GRE or Geneve, as each hypervisor is configured. The API may call it any of these.
    Vxlan,
    /// Like `Vxlan`: the operator asked for this name.
    Gre,
    /// Like `Vxlan`: the operator asked for this name.
    Geneve,
    /// Untagged on a provider network.
    Flat,
    /// Tagged on a provider network.
    Vlan,
}

impl NetworkType {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Gre => "gre",
            Self::Geneve => "geneve",
            Self::Flat => "flat",
            Self::Vlan => "vlan",
        }
    }

    /// Whether frames travel in tunnels between hypervisors.
    #[must_use]
    pub fn is_tunnelled(self) -> bool {
        match self {
            Self::Vxlan | Self::Gre | Self::Geneve => true,
            Self::Flat | Self::Vlan => false,
        }
    }
}

/// One broadcast domain of the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Name, project, times, revision.
    pub meta: Meta,
    /// Administratively up. Nothing is forwarded on a network that is down.
    pub admin_state_up: bool,
    /// Visible to all projects.
    pub shared: bool,
    /// `router:external`.
    pub external: bool,
    /// Whether it is the default external network. There is at most one.
    #[serde(default)]
    pub is_default: bool,
    /// The MTU that was asked for, in octets. Without it, the MTU follows from the encapsulation
    /// ([`crate::Facts::network_mtu`]).
    pub mtu: Option<u16>,
    /// The default of `port_security_enabled` for new ports of the network.
    pub port_security_enabled: bool,
    /// The domain of its guests' names, for services that fill a DNS from here. Empty: no domain.
    #[serde(default)]
    pub dns_domain: String,
    /// How it travels.
    pub network_type: NetworkType,
    /// `provider:physical_network`.
    pub physical_network: Option<String>,
    /// `provider:segmentation_id`. `None` on a flat network.
    pub segmentation_id: Option<u32>,
    /// Its number on the wire and in the pipeline.
    pub key: NetworkKey,
}

impl Network {
    /// A tunnelled network that is up, with all else unset.
    #[must_use]
    pub fn new(id: NetworkId, key: NetworkKey) -> Self {
        Self {
            id,
            meta: Meta::default(),
            admin_state_up: true,
            shared: false,
            external: false,
            is_default: false,
            mtu: None,
            port_security_enabled: true,
            dns_domain: String::new(),
            network_type: NetworkType::Vxlan,
            physical_network: None,
            segmentation_id: Some(key.0),
            key,
        }
    }
}
