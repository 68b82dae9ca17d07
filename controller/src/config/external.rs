//! External networks and the hypervisors that have routers' gateways to them.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use sextant_model::{ExternalSettings, Publish, is_link_local};
use std::net::Ipv6Addr;
use std::time::Duration;

/// `[external.PHYSNET]`: how routers use the external networks of a physical network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct External {
    /// The link-local address of the next hop, if no subnet has one. It comes before routers that are heard.
    #[serde(deserialize_with = "link_local")]
    pub ipv6_gateway: Option<Ipv6Addr>,
    /// How hosts outside learn where guests are.
    #[serde(deserialize_with = "publish")]
    pub publish: Publish,
    /// Whether IPv6 leaves by the guest's own hypervisor, if that has a bridge of the physical network.
    pub distributed: bool,
}

impl External {
    pub(super) fn settings(&self) -> ExternalSettings {
        ExternalSettings {
            ipv6_gateway: self.ipv6_gateway,
            publish: self.publish,
            distributed: self.distributed,
        }
    }
}

/// `[gateway]`: when routers' gateways move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Seconds without an OpenFlow connection after which a hypervisor's gateways move to others, 1 to 3600.
    pub gone_after: u64,
}

impl Default for Gateway {
    fn default() -> Self {
        Self { gone_after: 5 }
    }
}

impl Gateway {
    /// [`Gateway::gone_after`] as a duration.
    pub fn gone_after(self) -> Duration {
        Duration::from_secs(self.gone_after)
    }

    pub(super) fn makes_sense(self) -> bool {
        (1..=3600).contains(&self.gone_after)
    }
}

/// A link-local address. The empty text is none.
fn link_local<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Ipv6Addr>, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.parse().ok().filter(|address| is_link_local(*address));
    address.map(Some).ok_or_else(|| {
        D::Error::custom(format!(
            "{text:?} is no link-local IPv6 address (fe80::/10, without a zone)"
        ))
    })
}

fn publish<'de, D: Deserializer<'de>>(from: D) -> Result<Publish, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use sextant_model::{ExternalSettings, Publish};

    fn error(text: &str) -> String {
        toml::from_str::<Config>(text).unwrap_err().to_string()
    }

    #[test]
    fn each_physical_network_has_a_table_of_its_own() {
        let text = "[external.physnet1]\nipv6_gateway = 'fe80::1'\npublish = 'nd-proxy'\n\
                    [external.'physnet.2']\ndistributed = true\n";
        let config: Config = toml::from_str(text).unwrap();
        config.check().unwrap();
        let expected = [
            (
                "physnet.2",
                ExternalSettings {
                    distributed: true,
                    ..ExternalSettings::default()
                },
            ),
            (
                "physnet1",
                ExternalSettings {
                    ipv6_gateway: Some("fe80::1".parse().unwrap()),
                    publish: Publish::NdProxy,
                    distributed: false,
                },
            ),
        ];
        let expected = expected.map(|(network, settings)| (network.to_owned(), settings));
        assert_eq!(config.settings().external, expected.into());
    }

    #[test]
    fn the_next_hop_is_a_link_local_address() {
        for wrong in ["2001:db8::1", "192.0.2.1", "fe80::1%eth0", "gateway", "::"] {
            let error = error(&format!("[external.physnet1]\nipv6_gateway = '{wrong}'"));
            let place = error.contains("line 2");
            assert!(
                place && error.contains("is no link-local IPv6 address"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_not_known_of_external_networks_is_refused_by_name() {
        let error = error("[external.physnet1]\npublish = 'bgp'");
        assert!(error.contains("use routes or nd-proxy"), "{error}");
        for unknown in [
            "[external.physnet1]\nipv4_gateway = '192.0.2.1'",
            "[gateway]\ngone_afer = 3",
        ] {
            let error = self::error(unknown);
            assert!(error.contains("unknown field"), "{error}");
        }
    }
}
