//! The page for operators.

use serde::{Deserialize, Deserializer};
use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// `[web]`: the page for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// Where it is served. Empty: nowhere.
    pub listen: WebListen,
}

/// The address of the page, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebListen(pub Option<SocketAddr>);

impl Default for WebConfig {
    fn default() -> Self {
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, 9699));
        Self {
            listen: WebListen(Some(address)),
        }
    }
}

impl FromStr for WebListen {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address)))
    }
}

impl<'de> Deserialize<'de> for WebListen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|_| {
            serde::de::Error::custom(format!(
                "{text:?} is not ADDRESS:PORT, nor empty for no page"
            ))
        })
    }
}
