//! Where a server or a manager is, as Open vSwitch's tools write it (ovsdb(7), "Connection Methods").

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// The port that IANA gave to OVSDB.
pub const DEFAULT_PORT: u16 = 6640;

/// A remote to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Remote {
    /// `tcp:HOST[:PORT]`; an IPv6 address is in brackets.
    Tcp {
        /// An address or a name.
        host: String,
        /// The port, 6640 if none was given.
        port: u16,
    },
    /// `ssl:HOST[:PORT]`: TLS, which is left to the opener that [`reconnect_with`](crate::reconnect_with) is given.
    Ssl {
        /// An address or a name.
        host: String,
        /// The port, 6640 if none was given.
        port: u16,
    },
    /// `unix:PATH`.
    Unix {
        /// The socket.
        path: PathBuf,
    },
}

/// The text is not a remote that this side can connect to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a remote: {reason}")]
#[non_exhaustive]
pub struct RemoteError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        let parsed = match text.split_once(':') {
            Some(("unix", "")) => Err("the path is missing"),
            Some(("unix", path)) => Ok(Self::Unix { path: path.into() }),
            Some(("tcp", address)) => {
                endpoint(address).map(|(host, port)| Self::Tcp { host, port })
            }
            Some(("ssl", address)) => {
                endpoint(address).map(|(host, port)| Self::Ssl { host, port })
            }
            _ => Err("it has to begin with tcp:, ssl: or unix:"),
        };
        parsed.map_err(|reason| RemoteError {
            text: text.into(),
            reason,
        })
    }
}

fn endpoint(address: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("a bracket is missing")?,
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    let bracketed = address.starts_with('[');
    if bracketed && host.parse::<Ipv6Addr>().is_err() {
        return Err("there is no IPv6 address in the brackets");
    }
    if host.is_empty() {
        return Err("the host is missing");
    }
    let port = match port.strip_prefix(':') {
        Some(port) => port
            .parse()
            .map_err(|_| "the port is not a number up to 65535")?,
        None if port.is_empty() => DEFAULT_PORT,
        None => return Err("something other than a port follows the address"),
    };
    Ok((host.into(), port))
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write_endpoint(f, "tcp", host, *port),
            Self::Ssl { host, port } => write_endpoint(f, "ssl", host, *port),
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

fn write_endpoint(f: &mut fmt::Formatter<'_>, kind: &str, host: &str, port: u16) -> fmt::Result {
    match host.parse() {
        Ok(IpAddr::V6(address)) => write!(f, "{kind}:[{address}]:{port}"),
        Ok(IpAddr::V4(_)) | Err(_) => write!(f, "{kind}:{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_read_and_print_alike() {
        for text in [
            "tcp:[2001:db8::1]:6641",
            "tcp:192.0.2.1:1",
            "ssl:[2001:db8::1]:6641",
            "ssl:db.example:6640",
            "tcp:db.example:6640",
            "unix:/run/openvswitch/db.sock",
        ] {
            assert_eq!(text.parse::<Remote>().unwrap().to_string(), text);
        }
        assert_eq!(
            "tcp:[::1]".parse::<Remote>().unwrap().to_string(),
            "tcp:[::1]:6640"
        );
        assert_eq!(
            "tcp:db.example".parse::<Remote>().unwrap().to_string(),
            "tcp:db.example:6640"
        );
    }

    #[test]
    fn what_is_no_remote_says_why() {
        for (text, reason) in [
            ("ptcp:6640", "it has to begin with tcp:, ssl: or unix:"),
            ("unix:", "the path is missing"),
            ("tcp::6640", "the host is missing"),
            ("tcp:[::1:6640", "a bracket is missing"),
            (
                "tcp:[::1]6640",
                "something other than a port follows the address",
            ),
            (
                "tcp:[host]:6640",
                "there is no IPv6 address in the brackets",
            ),
            ("tcp:host:70000", "the port is not a number up to 65535"),
            ("tcp:2001:db8::1", "the port is not a number up to 65535"),
        ] {
            assert_eq!(text.parse::<Remote>().unwrap_err().reason, reason, "{text}");
        }
    }
}
