//! A namespace's IPv6 state as `ip -j` prints it, parsed into plain values.

use crate::error::LabError;
use crate::namespace::Namespace;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::net::Ipv6Addr;

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Address {
    /// The address.
    #[serde(rename = "local")]
    pub address: Ipv6Addr,
    /// Its prefix length.
    #[serde(rename = "prefixlen")]
    pub prefix_length: u8,
    /// Duplicate address detection has not finished.
    #[serde(default)]
    pub tentative: bool,
    /// Duplicate address detection found another owner.
    #[serde(default, rename = "dadfailed")]
    pub dad_failed: bool,
    /// Made by the kernel from a Router Advertisement, or given with a lifetime.
    #[serde(default)]
    pub dynamic: bool,
    /// The preferred lifetime has ended.
    #[serde(default)]
    pub deprecated: bool,
    /// Seconds left; 4294967295 is for ever.
    #[serde(rename = "valid_life_time")]
    pub valid_lifetime: u32,
    /// Seconds left until deprecated; 4294967295 is for ever.
    #[serde(rename = "preferred_life_time")]
    pub preferred_lifetime: u32,
}

impl Address {
    /// Whether duplicate address detection has passed.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.tentative && !self.dad_failed
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_length)?;
        let flags = [
            (self.tentative, "tentative"),
            (self.dad_failed, "dadfailed"),
            (self.dynamic, "dynamic"),
            (self.deprecated, "deprecated"),
        ];
        flags
            .iter()
            .filter(|(set, _)| *set)
            .try_for_each(|(_, name)| write!(f, " {name}"))
    }
}

/// A default route.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Route {
    /// The next hop, a router's link-local address when learned from an advertisement.
    pub gateway: Option<Ipv6Addr>,
    /// Who made it: `ra` when the kernel learned it.
    #[serde(default)]
    pub protocol: String,
    /// Its metric.
    #[serde(default)]
    pub metric: u32,
    /// Seconds left; none when it does not expire.
    pub expires: Option<u32>,
    /// Router preference (RFC 4191).
    #[serde(default, rename = "pref")]
    pub preference: String,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gateway {
            Some(gateway) => write!(f, "default via {gateway} ({})", self.protocol),
            None => write!(f, "default on link ({})", self.protocol),
        }
    }
}

/// An entry of the neighbor cache.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Neighbor {
    /// The neighbor's address.
    #[serde(rename = "dst")]
    pub address: Ipv6Addr,
    /// Its MAC when resolved.
    #[serde(rename = "lladdr")]
    pub mac: Option<String>,
    /// Whether it said that it is a router (the key is there, with the value null).
    #[serde(default, deserialize_with = "present")]
    pub router: bool,
    /// `REACHABLE`, `STALE`, `FAILED` …
    #[serde(default)]
    pub state: Vec<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Value::deserialize(deserializer).map(|value| value != Value::Bool(false))
}

pub(crate) fn addresses(namespace: &Namespace, device: &str) -> Result<Vec<Address>, LabError> {
    let links = namespace.ip_json(&["-6", "addr", "show", "dev", device])?;
    let entries = links
        .iter()
        .filter_map(|link| link["addr_info"].as_array())
        .flatten();
    entries
        // Older versions of ip print an empty object for each filtered entry.
        .filter(|entry| entry.get("local").is_some())
        .map(|entry| read("an address", entry))
        .collect()
}

pub(crate) fn default_routes(namespace: &Namespace) -> Result<Vec<Route>, LabError> {
    let routes = namespace.ip_json(&["-6", "route", "show", "default"])?;
    routes.iter().map(|entry| read("a route", entry)).collect()
}

pub(crate) fn neighbors(namespace: &Namespace, device: &str) -> Result<Vec<Neighbor>, LabError> {
    let entries = namespace.ip_json(&["-6", "neigh", "show", "dev", device])?;
    entries
        .iter()
        .map(|entry| read("a neighbor", entry))
        .collect()
}

fn read<T: for<'de> Deserialize<'de>>(what: &str, entry: &Value) -> Result<T, LabError> {
    T::deserialize(entry).map_err(|error| LabError::unexpected(what, format!("{entry}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flags_and_lifetimes_are_read() {
        let entry = json!({"family":"inet6","local":"2001:db8::1","prefixlen":64,"scope":"global",
            "dynamic":true,"tentative":true,"mngtmpaddr":true,
            "valid_life_time":86400,"preferred_life_time":14400});
        let address: Address = read("an address", &entry).unwrap();
        assert!(address.dynamic && address.tentative && !address.is_usable());
        assert_eq!(address.preferred_lifetime, 14400);
        assert_eq!(address.to_string(), "2001:db8::1/64 tentative dynamic");
    }

    #[test]
    fn a_router_is_told_by_the_presence_of_the_key() {
        let router = json!({"dst":"fe80::1","lladdr":"fa:16:3e:00:00:01","router":null,
            "state":["REACHABLE"]});
        let host = json!({"dst":"fe80::2","state":["FAILED"]});
        assert!(read::<Neighbor>("a neighbor", &router).unwrap().router);
        assert!(!read::<Neighbor>("a neighbor", &host).unwrap().router);
    }
}
