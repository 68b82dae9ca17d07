//! How a cluster is reached.

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// How a cluster is reached, and where in it the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdSettings {
    /// The URLs of the members, as `http://[2001:db8::1]:2379`. One that does not answer is left for the next.
    pub endpoints: Vec<String>,
    /// What all keys begin with.
    pub prefix: String,
    /// The authorities of the members' certificates, with `https`: a PEM file.
    pub ca: PathBuf,
    /// The client's certificate. Empty: none.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
    /// The user. Empty: none.
    pub user: String,
    /// The user's password.
    pub password: Password,
}

/// A password, which no log shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(pub String);

impl<'de> Deserialize<'de> for Password {
    /// What is wrong is said without the value.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from);
        text.map(Self)
            .map_err(|_| D::Error::custom("a password is a text in quotes"))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "hidden" })
    }
}

/// The scheme of endpoints with TLS.
const WITH_TLS: &str = "https://";

/// Checks one URL of an endpoint.
///
/// # Errors
/// What an endpoint looks like.
pub fn check_endpoint(url: &str) -> Result<(), &'static str> {
    const RULE: &str = "each is http://HOST:PORT or https://HOST:PORT, all of one kind";
    let rest = url
        .strip_prefix(WITH_TLS)
        .or_else(|| url.strip_prefix("http://"));
    let Some((host, port)) = rest.and_then(|rest| rest.rsplit_once(':')) else {
        return Err(RULE);
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || host.contains('/') || host.contains(':') && !is_bracketed {
        return Err(RULE);
    }
    port.parse::<u16>().map(|_| ()).map_err(|_| RULE)
}

impl EtcdSettings {
    /// Whether the members are reached by TLS.
    pub(super) fn uses_tls(&self) -> bool {
        self.endpoints.iter().any(|url| url.starts_with(WITH_TLS))
    }

    /// Reads the files.
    pub(super) fn options(&self) -> Result<ConnectOptions, (PathBuf, io::Error)> {
        // Without a leader a member refuses at once, and another may have one.
        let mut options = ConnectOptions::new().with_require_leader(true);
        if !self.user.is_empty() {
            options = options
                .with_user(self.user.clone(), self.password.0.clone())
                .with_auto_token_refresh(true);
        }
        if self.uses_tls() {
            options = options.with_tls(self.tls()?);
        }
        Ok(options)
    }

    fn tls(&self) -> Result<TlsOptions, (PathBuf, io::Error)> {
        let authorities = Certificate::from_pem(read(&self.ca)?);
        let tls = TlsOptions::new().ca_certificate(authorities);
        if self.certificate.as_os_str().is_empty() {
            return Ok(tls);
        }
        let identity = Identity::from_pem(read(&self.certificate)?, read(&self.private_key)?);
        Ok(tls.identity(identity))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, (PathBuf, io::Error)> {
    std::fs::read(path).map_err(|error| (path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_with_a_port() {
        for good in [
            "http://h1:2379",
            "https://[2001:db8::1]:2379",
            "http://192.0.2.1:1",
        ] {
            assert_eq!(check_endpoint(good), Ok(()), "{good}");
        }
        for bad in [
            "h1:2379",
            "http://h1",
            "http://:2379",
            "http://2001:db8::1:2379",
            "http://h1:2379/",
            "ftp://h1:1",
        ] {
            assert!(check_endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_in_no_log() {
        assert_eq!(format!("{:?}", Password("secret".to_owned())), "hidden");
    }
}
