//! IPv4 or IPv6.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A version of the Internet Protocol. It is stored as its number. A rule stores it as its ethertype (`as_ethertype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// There is no such version, or Sextant does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no IP version {0}: use 4 or 6")]
pub struct UnknownIpVersion(pub u8);

impl IpVersion {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The version of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The version of a prefix.
    #[must_use]
    pub fn of_prefix(prefix: IpNet) -> Self {
        Self::of(prefix.addr())
    }

    /// 4 or 6.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// `IPv4` or `IPv6`, as a rule's ethertype in Neutron.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

impl fmt::Display for IpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<u8> for IpVersion {
    type Error = UnknownIpVersion;

    fn try_from(number: u8) -> Result<Self, UnknownIpVersion> {
        match number {
            4 => Ok(Self::V4),
            6 => Ok(Self::V6),
            other => Err(UnknownIpVersion(other)),
        }
    }
}

impl From<IpVersion> for u8 {
    fn from(version: IpVersion) -> Self {
        version.number()
    }
}

/// Stores a version as `IPv4` or `IPv6`.
pub(crate) mod as_ethertype {
    use super::IpVersion;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        version: &IpVersion,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(version.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<IpVersion, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "IPv4" => Ok(IpVersion::V4),
            "IPv6" => Ok(IpVersion::V6),
            other => Err(D::Error::custom(format!("'{other}' is no ethertype"))),
        }
    }
}
