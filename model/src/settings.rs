//! What the process's configuration says about the cloud's behaviour.

/// How router advertisements are sent (`[ra]`), all in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaSettings {
    /// MinRtrAdvInterval (RFC 4861 §6.2.1).
    pub min_interval: u16,
    /// MaxRtrAdvInterval.
    pub max_interval: u16,
    /// AdvDefaultLifetime, at most 9000.
    pub lifetime: u16,
}

/// What the configuration says about the cloud's behaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The domain that guests search (`dns_domain`).
    pub dns_domain: String,
    /// Router advertisements.
    pub ra: RaSettings,
    /// Whether IPv6 subnets of the default pool have delegated prefixes (`ipv6_pd_enabled`).
    pub ipv6_pd_enabled: bool,
    /// Whether a new subnet gives ports that are there an address also where Neutron does not: unless hosts form their own.
    pub address_existing_ports: bool,
    /// MTU of the network that carries the tunnels, in octets.
    pub underlay_mtu: u16,
    /// Valid and preferred lifetime of addresses leased by DHCPv6, in seconds.
    pub lease_lifetime: u32,
    /// Packets that a guest may send up, per second.
    pub punt_rate: u32,
    /// Packets that a guest may send up at once before [`Settings::punt_rate`] holds.
    pub punt_burst: u32,
}

impl Default for Settings {
    /// As the reference implementation configures its agents.
    fn default() -> Self {
        Self {
            dns_domain: "openstacklocal".to_owned(),
            ra: RaSettings {
                min_interval: 30,
                max_interval: 100,
                lifetime: 300,
            },
            ipv6_pd_enabled: false,
            address_existing_ports: false,
            underlay_mtu: 1500,
            lease_lifetime: 86_400,
            punt_rate: 100,
            punt_burst: 200,
        }
    }
}
