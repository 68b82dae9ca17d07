//! Configuration of the process: a TOML file, overridden by environment variables and command-line options.
//!
//! Every key has a default. Everything about the cloud goes through the API instead.

use serde::Deserialize;
use sextant_model::{RaSettings, Settings};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// All keys, with the names that the file has.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where data is kept: `/var/lib/sextant` as root, else `./sextant-data`.
    pub data_dir: PathBuf,
    /// Where the Neutron API listens.
    pub api_listen: SocketAddr,
    /// Where switches connect.
    pub openflow_listen: SocketAddr,
    /// Where hypervisors' ovsdb-servers connect.
    pub ovsdb_listen: SocketAddr,
    /// Where Prometheus scrapes, at `/metrics`.
    pub metrics_listen: SocketAddr,
    /// Who may use the API: `none` (everyone is admin).
    pub auth: Auth,
    /// Lets listeners be on addresses other than loopback without TLS.
    pub allow_plaintext: bool,
    /// The domain that DHCP tells guests to search; empty for none.
    pub dns_domain: String,
    /// Whether IPv6 subnets that ask for the default pool get a delegated prefix.
    pub ipv6_pd_enabled: bool,
    /// Whether a new IPv4 or stateful IPv6 subnet gives the network's ports an address.
    pub address_existing_ports: bool,
    /// Router advertisements.
    pub ra: Ra,
    /// The network that carries the tunnels.
    pub tunnel: Tunnel,
    /// What guests may send to the controller.
    pub punt: PuntLimits,
}

/// A key, its default and its meaning.
pub type KeyReference = (&'static str, &'static str, &'static str);

/// The sections of the file, and of each key its default and meaning, for the reference in `docs/`; a test keeps them
/// in step with [`Config`].
pub const KEYS: &[(&str, &[KeyReference])] = &[
    (
        "",
        &[
            (
                "data_dir",
                "/var/lib/sextant",
                "Where data is kept. The default is for root; anybody else's is `./sextant-data`.",
            ),
            ("api_listen", "[::1]:9696", "Where the Neutron API listens."),
            ("openflow_listen", "[::1]:6653", "Where switches connect."),
            (
                "ovsdb_listen",
                "[::1]:6640",
                "Where hypervisors' ovsdb-servers connect.",
            ),
            (
                "metrics_listen",
                "[::1]:9697",
                "Where Prometheus scrapes, at `/metrics`.",
            ),
            (
                "auth",
                "none",
                "Who may use the API: `none`, everyone is admin.",
            ),
            (
                "allow_plaintext",
                "false",
                "Lets listeners be on addresses other than loopback without TLS.",
            ),
            (
                "dns_domain",
                "openstacklocal",
                "The domain that DHCP tells guests to search; empty for none.",
            ),
            (
                "ipv6_pd_enabled",
                "false",
                "Whether IPv6 subnets that ask for the default pool get a prefix delegated by the upstream router.",
            ),
            (
                "address_existing_ports",
                "false",
                "Whether a new IPv4 or stateful IPv6 subnet gives the ports of its network an address, as a SLAAC subnet does.",
            ),
        ],
    ),
    (
        "ra",
        &[
            (
                "min_interval",
                "30",
                "Seconds between unsolicited Router Advertisements at least: 3 to three quarters of `max_interval`.",
            ),
            (
                "max_interval",
                "100",
                "Seconds between unsolicited Router Advertisements at most: 4 to 1800.",
            ),
            (
                "lifetime",
                "300",
                "Router lifetime in seconds: 0, or from `max_interval` to 9000.",
            ),
        ],
    ),
    (
        "tunnel",
        &[(
            "underlay_mtu",
            "1500",
            "MTU of the network that carries the tunnels, in octets, at least 1280.",
        )],
    ),
    (
        "punt",
        &[
            (
                "rate",
                "100",
                "Packets a second that each guest may send to the controller, at least 1.",
            ),
            (
                "burst",
                "200",
                "Packets that each guest may send to the controller at once, at least 1.",
            ),
        ],
    ),
];

/// Who may use the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Everyone is admin, as with Neutron's `noauth`.
    None,
}

/// `[ra]`: router advertisements, as radvd.conf(5) names them; seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ra {
    /// MinRtrAdvInterval: at least 3, at most three quarters of `max_interval`.
    pub min_interval: u16,
    /// MaxRtrAdvInterval: 4 to 1800.
    pub max_interval: u16,
    /// AdvDefaultLifetime: 0, or from `max_interval` to 9000.
    pub lifetime: u16,
}

/// `[tunnel]`: the network that carries the tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tunnel {
    /// Its MTU in octets, 1280 to 65535.
    pub underlay_mtu: u16,
}

/// `[punt]`: what each guest may send to the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PuntLimits {
    /// Packets a second, at least 1.
    pub rate: u32,
    /// Packets at once, at least 1.
    pub burst: u32,
}

/// What is wrong with a configuration, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not TOML, or has a key or a value that it should not have.
    #[error("{path}: {error}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// A value does not make sense.
    #[error("{key} = {value}: {rule}")]
    Refused {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would.
        rule: &'static str,
    },
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        let settings = Settings::default();
        Self {
            data_dir: default_data_dir(),
            api_listen: loopback(9696),
            openflow_listen: loopback(6653),
            ovsdb_listen: loopback(6640),
            metrics_listen: loopback(9697),
            auth: Auth::None,
            allow_plaintext: false,
            dns_domain: settings.dns_domain,
            ipv6_pd_enabled: settings.ipv6_pd_enabled,
            address_existing_ports: settings.address_existing_ports,
            ra: Ra::default(),
            tunnel: Tunnel::default(),
            punt: PuntLimits::default(),
        }
    }
}

impl Default for Ra {
    fn default() -> Self {
        let RaSettings {
            min_interval,
            max_interval,
            lifetime,
        } = Settings::default().ra;
        Self {
            min_interval,
            max_interval,
            lifetime,
        }
    }
}

impl Default for Tunnel {
    fn default() -> Self {
        Self {
            underlay_mtu: Settings::default().underlay_mtu,
        }
    }
}

impl Default for PuntLimits {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            rate: settings.punt_rate,
            burst: settings.punt_burst,
        }
    }
}

/// Root's data belongs to the machine, anybody else's to the folder that they stand in.
fn default_data_dir() -> PathBuf {
    let root = std::fs::metadata("/proc/self")
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if root {
        "/var/lib/sextant".into()
    } else {
        "sextant-data".into()
    }
}

impl Config {
    /// Reads a file. What it does not say is as by default; call [`Config::check`] once all overrides are in.
    ///
    /// # Errors
    /// The file cannot be read, or has a key or a value that it should not have.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: path.into(),
            error,
        })?;
        toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            path: path.into(),
            error: Box::new(error),
        })
    }

    /// Whether all values make sense together.
    ///
    /// # Errors
    /// [`ConfigError::Refused`] with the first that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_listeners()?;
        let Ra {
            min_interval,
            max_interval,
            lifetime,
        } = self.ra;
        let refused = |key, value: &dyn std::fmt::Display, rule| {
            Err(ConfigError::Refused {
                key,
                value: value.to_string(),
                rule,
            })
        };
        if !(4..=1800).contains(&max_interval) {
            return refused(
                "ra.max_interval",
                &max_interval,
                "4 to 1800 seconds (RFC 4861 section 6.2.1)",
            );
        }
        if min_interval < 3 || u32::from(min_interval) * 4 > u32::from(max_interval) * 3 {
            return refused(
                "ra.min_interval",
                &min_interval,
                "3 seconds to three quarters of ra.max_interval (RFC 4861 section 6.2.1)",
            );
        }
        if lifetime != 0 && !(max_interval..=9000).contains(&lifetime) {
            return refused(
                "ra.lifetime",
                &lifetime,
                "0, or from ra.max_interval to 9000 seconds (RFC 4861 section 6.2.1)",
            );
        }
        if self.tunnel.underlay_mtu < 1280 {
            return refused(
                "tunnel.underlay_mtu",
                &self.tunnel.underlay_mtu,
                "at least 1280 octets (RFC 8200 section 5)",
            );
        }
        if self.punt.rate == 0 || self.punt.burst == 0 {
            return refused(
                "punt",
                &self.punt.rate.min(self.punt.burst),
                "rate and burst are at least 1, or guests get no answers",
            );
        }
        Ok(())
    }

    fn check_listeners(&self) -> Result<(), ConfigError> {
        let listeners = [
            ("api_listen", self.api_listen),
            ("openflow_listen", self.openflow_listen),
            ("ovsdb_listen", self.ovsdb_listen),
            ("metrics_listen", self.metrics_listen),
        ];
        for (key, address) in listeners {
            if !self.allow_plaintext && !address.ip().is_loopback() {
                let rule = "not a loopback address: anyone on the network could read and change everything; allow it with allow_plaintext = true (--allow-plaintext)";
                return Err(ConfigError::Refused {
                    key,
                    value: address.to_string(),
                    rule,
                });
            }
        }
        Ok(())
    }

    /// What the cloud's behaviour depends on.
    pub fn settings(&self) -> Settings {
        let Ra {
            min_interval,
            max_interval,
            lifetime,
        } = self.ra;
        Settings {
            dns_domain: self.dns_domain.clone(),
            ipv6_pd_enabled: self.ipv6_pd_enabled,
            address_existing_ports: self.address_existing_ports,
            ra: RaSettings {
                min_interval,
                max_interval,
                lifetime,
            },
            underlay_mtu: self.tunnel.underlay_mtu,
            punt_rate: self.punt.rate,
            punt_burst: self.punt.burst,
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let config: Config = toml::from_str(text).unwrap();
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn nothing_need_be_said() {
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(config, Config::default());
        config.check().unwrap();
        assert_eq!(config.settings(), Settings::default());
    }

    #[test]
    fn the_reference_names_every_key_and_its_default() {
        let mut file = String::new();
        for (section, keys) in KEYS {
            if !section.is_empty() {
                file += &format!("[{section}]\n");
            }
            for (key, default, _) in *keys {
                let bare = default.parse::<u32>().is_ok() || default.parse::<bool>().is_ok();
                file += &if bare {
                    format!("{key} = {default}\n")
                } else {
                    format!("{key} = \"{default}\"\n")
                };
            }
        }
        let config: Config = toml::from_str(&file).unwrap();
        let data_dir = config.data_dir.clone();
        assert_eq!(
            config,
            Config {
                data_dir,
                ..Config::default()
            }
        );
        let Config {
            data_dir: _,
            api_listen: _,
            openflow_listen: _,
            ovsdb_listen: _,
            metrics_listen: _,
            auth: _,
            allow_plaintext: _,
            dns_domain: _,
            ipv6_pd_enabled: _,
            address_existing_ports: _,
            ra: _,
            tunnel: _,
            punt: _,
        } = config;
        assert_eq!(KEYS.iter().map(|(_, keys)| keys.len()).sum::<usize>(), 16);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        let error = toml::from_str::<Config>("dns_domain = 'a'\n[ra]\nmin_intervall = 3\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 3") && error.contains("min_intervall"),
            "{error}"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        assert!(
            refusal("api_listen = '[::]:9696'")
                .starts_with("api_listen = [::]:9696: not a loopback address")
        );
        assert!(refusal("[ra]\nmax_interval = 2").starts_with("ra.max_interval = 2"));
        assert!(refusal("[ra]\nmin_interval = 90").starts_with("ra.min_interval = 90"));
        assert!(refusal("[ra]\nlifetime = 50").starts_with("ra.lifetime = 50"));
        assert!(refusal("[tunnel]\nunderlay_mtu = 1000").starts_with("tunnel.underlay_mtu = 1000"));
        assert!(refusal("[punt]\nrate = 0").starts_with("punt = 0"));
    }
}
