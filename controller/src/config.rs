//! Configuration of the process: a TOML file, overridden by environment variables and command-line options.
//!
//! Every key has a default. Everything about the cloud goes through the API instead.

mod check;
mod conntrack;
mod control;
mod controllers;
mod external;
mod hypervisors;
mod keys;
mod keystone;
mod listeners;
mod malformed;
mod metadata;
mod nova;
mod quotas;
mod ra;
mod store;
#[cfg(test)]
mod tests;
mod web;

pub use conntrack::Conntrack;
pub use control::Control;
pub use controllers::Controllers;
pub use external::{External, Gateway};
pub use hypervisors::{HypervisorTls, NameRule};
pub use keys::{KEYS, KeyReference, literal};
pub use keystone::KeystoneConfig;
pub use listeners::listen_address;
pub use malformed::MalformedFile;
pub use metadata::MetadataConfig;
pub use nova::NovaConfig;
pub use quotas::Quotas;
pub use ra::Ra;
pub use store::{StoreConfig, StoreKind};
pub use web::{WebConfig, WebListen};

use crate::api::{self, PolicyError};
use crate::logging;
use crate::outgoing::TrustError;
use crate::tls::{TlsError, TlsFiles};
use ipnet::IpNet;
use serde::Deserialize;
use sextant_model::{RaFault, Settings};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// All keys, with the names that the file has.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder for all data: `/var/lib/sextant` for root and for its owner, else `./sextant-data`.
    pub data_dir: PathBuf,
    /// What is logged, in the syntax of [`logging::filter`].
    pub log: String,
    /// Address of the Neutron API.
    #[serde(deserialize_with = "listeners::address")]
    pub api_listen: SocketAddr,
    /// Address for switches.
    #[serde(deserialize_with = "listeners::address")]
    pub openflow_listen: SocketAddr,
    /// Address for hypervisors' ovsdb-servers.
    #[serde(deserialize_with = "listeners::address")]
    pub ovsdb_listen: SocketAddr,
    /// Address for Prometheus, which reads `/metrics`.
    #[serde(deserialize_with = "listeners::address")]
    pub metrics_listen: SocketAddr,
    /// Whether the metrics have series of each hypervisor, or their sums only.
    pub metrics_per_hypervisor: bool,
    /// Who may use the API.
    pub auth: Auth,
    /// The networks of the proxies whose headers name the caller, with [`Auth::Headers`].
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// The operator's rules of who may do what, as oslo.policy's file has them. Empty: Neutron's default rules.
    pub policy_file: PathBuf,
    /// The file that has a line for each write that the API is asked for. Empty: none.
    pub audit_file: PathBuf,
    /// How tokens are validated, with [`Auth::Keystone`].
    pub keystone: KeystoneConfig,
    /// Whether and where Nova is told what happens to its guests' ports.
    pub nova: NovaConfig,
    /// Allows listeners without TLS on addresses other than loopback.
    pub allow_plaintext: bool,
    /// The search domain that DHCP hands out. Empty: none.
    pub dns_domain: String,
    /// Whether IPv6 subnets that ask for the default pool get a delegated prefix.
    pub ipv6_pd_enabled: bool,
    /// Whether a new IPv4 or stateful IPv6 subnet gives the network's ports an address.
    pub address_existing_ports: bool,
    /// What routers advertise.
    pub ra: Ra,
    /// The network that carries the tunnels.
    pub tunnel: Tunnel,
    /// The control socket.
    pub control: Control,
    /// The page for operators.
    pub web: WebConfig,
    /// The connection tracker of hypervisors.
    pub conntrack: Conntrack,
    /// How guests reach Nova's metadata service.
    pub metadata: MetadataConfig,
    /// What guests may send to the controller.
    pub punt: PuntLimits,
    /// Where routers' gateways are.
    pub gateway: Gateway,
    /// How routers use external networks, by physical network.
    pub external: BTreeMap<String, External>,
    /// Where intent is stored.
    pub store: StoreConfig,
    /// How this controller is one of several.
    pub controllers: Controllers,
    /// TLS of the API and of the metrics.
    pub tls: TlsFiles,
    /// TLS of switches and hypervisors' databases.
    pub hypervisor_tls: HypervisorTls,
    /// The quotas of projects that set none of their own.
    pub quotas: Quotas,
}

/// Who may use the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Everyone is admin, as with Neutron's `noauth`.
    None,
    /// A trusted proxy names the caller.
    Headers,
    /// Keystone says whose a token is.
    Keystone,
}

/// `[tunnel]`: the network that carries the tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tunnel {
    /// Its MTU in octets, 1280 to 65535.
    pub underlay_mtu: u16,
    /// Whether hypervisors watch each other with BFD.
    pub bfd: bool,
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
    /// The file is not TOML, or has an invalid key or value.
    #[error("{path}: {error}")]
    MalformedFile {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: MalformedFile,
    },
    /// TLS cannot be used.
    #[error("{section}.{error}")]
    Tls {
        /// The section.
        section: &'static str,
        /// Which file, and why.
        error: TlsError,
    },
    /// The file of rules cannot be used.
    #[error("policy_file = {0}")]
    Policy(#[from] PolicyError),
    /// The authorities of Keystone's certificate cannot be used.
    #[error("keystone.cafile = {0}")]
    Authorities(TrustError),
    /// The authorities of Nova's certificate cannot be used.
    #[error("nova.cafile = {0}")]
    NovaAuthorities(TrustError),
    /// The log filter is invalid.
    #[error("log = {value:?} (SEXTANT_LOG, --log): {error}")]
    Log {
        /// The filter.
        value: String,
        /// What is wrong with it.
        error: logging::FilterError,
    },
    /// A setting of Router Advertisements breaks a rule.
    #[error("ra.{0}")]
    Ra(RaFault),
    /// A value is out of bounds.
    #[error("{key} = {value}: {rule}")]
    Refused {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// The bounds.
        rule: &'static str,
    },
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv6Addr::LOCALHOST, port).into()
}

impl Default for Config {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            data_dir: default_data_dir(),
            log: logging::DEFAULT.to_owned(),
            api_listen: loopback(9696),
            openflow_listen: loopback(6653),
            ovsdb_listen: loopback(6640),
            metrics_listen: loopback(9697),
            metrics_per_hypervisor: true,
            auth: Auth::None,
            trusted_proxies: api::loopback(),
            policy_file: PathBuf::new(),
            audit_file: PathBuf::new(),
            keystone: KeystoneConfig::default(),
            nova: NovaConfig::default(),
            allow_plaintext: false,
            dns_domain: settings.dns_domain,
            ipv6_pd_enabled: settings.ipv6_pd_enabled,
            address_existing_ports: settings.address_existing_ports,
            ra: Ra::default(),
            tunnel: Tunnel::default(),
            control: Control::default(),
            web: WebConfig::default(),
            conntrack: Conntrack::default(),
            metadata: MetadataConfig::default(),
            punt: PuntLimits::default(),
            gateway: Gateway::default(),
            external: BTreeMap::new(),
            store: StoreConfig::default(),
            controllers: Controllers::default(),
            tls: TlsFiles::default(),
            hypervisor_tls: HypervisorTls::default(),
            quotas: Quotas::default(),
        }
    }
}

/// Prefixes. A single address is a prefix of itself.
fn networks<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let networks = texts.iter().map(|text| {
        let network = text.parse::<IpNet>();
        network
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| {
                serde::de::Error::custom(format!("{text:?} is neither an address nor a prefix"))
            })
    });
    networks.collect()
}

impl Default for Tunnel {
    fn default() -> Self {
        Self {
            underlay_mtu: Settings::default().underlay_mtu,
            bfd: false,
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

/// Root's data is in a system folder, and that of the folder's owner; other users' in their current folder.
fn default_data_dir() -> PathBuf {
    if is_ours(DATA) {
        DATA.into()
    } else {
        "sextant-data".into()
    }
}

/// Root's data, or that of the user to whom this folder was given.
const DATA: &str = "/var/lib/sextant";

/// Whether a system folder is the process's to use: its user is root, or owns the folder.
fn is_ours(folder: &str) -> bool {
    let [own, other] = ["/proc/self", folder].map(|path| {
        let file = std::fs::metadata(path);
        file.map(|file| file.uid()).ok()
    });
    own == Some(0) || own.is_some() && own == other
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.into(),
        error,
    })
}

impl Config {
    /// Reads a file. What it does not say is as by default; call [`Config::check`] once all overrides are in.
    ///
    /// # Errors
    /// The file cannot be read, or has a key or a value that it should not have.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = text_of(path)?;
        toml::from_str(&text).map_err(|error| ConfigError::MalformedFile {
            path: path.into(),
            error: MalformedFile::of(&text, error),
        })
    }

    /// Everything that is wrong with a file: its keys, and if all can be read, how their values fit together.
    pub fn faults_of(path: &Path) -> Vec<ConfigError> {
        let text = match text_of(path) {
            Ok(text) => text,
            Err(error) => return vec![error],
        };
        let malformed = malformed::faults(&text).into_iter();
        let faults: Vec<_> = malformed
            .map(|error| ConfigError::MalformedFile {
                path: path.to_owned(),
                error,
            })
            .collect();
        match toml::from_str::<Self>(&text) {
            Ok(config) if faults.is_empty() => config.faults(),
            Err(error) if faults.is_empty() => vec![ConfigError::MalformedFile {
                path: path.to_owned(),
                error: MalformedFile::of(&text, error),
            }],
            Ok(_) | Err(_) => faults,
        }
    }

    /// Checks what `sextant metadata` needs.
    ///
    /// # Errors
    /// [`ConfigError`] with the first that is wrong.
    pub fn check_metadata(&self) -> Result<(), ConfigError> {
        self.check_log()?;
        self.metadata.check_service(self.allow_plaintext)
    }

    /// The settings that the cloud depends on.
    pub fn settings(&self) -> Settings {
        Settings {
            dns_domain: self.dns_domain.clone(),
            ipv6_pd_enabled: self.ipv6_pd_enabled,
            address_existing_ports: self.address_existing_ports,
            ra: self.ra.0.clone(),
            underlay_mtu: self.tunnel.underlay_mtu,
            punt_rate: self.punt.rate,
            punt_burst: self.punt.burst,
            quotas: self.quotas.limits(),
            external: self
                .external
                .iter()
                .map(|(network, external)| (network.clone(), external.settings()))
                .collect(),
            ..Settings::default()
        }
    }
}
