//! Identifies callers: everyone is admin, a trusted proxy names the caller in headers, or Keystone says whose a token is.
//!
//! A proxy that validates tokens sets `X-Project-Id`, `X-User-Id` and `X-Roles`, such as keystonemiddleware's
//! `auth_token`. Headers count only from configured addresses, since anyone can write them. As in Neutron, the list of
//! versions is open to all.

mod tokens;

use crate::api::contract::caller::{Caller, CallerCredentials, Roles};
use crate::api::contract::error::ApiError;
use crate::api::requests::audit::CallerName;
use crate::http::Peer;
use crate::keystone::{Keystone, Unidentified};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// The project of a caller who names none, as in Neutron without authentication.
const NO_PROJECT: &str = "fake_project_id";

/// How the API identifies callers.
#[derive(Clone, Debug, Default)]
pub enum Identity {
    /// Everyone is admin, as with Neutron's `noauth`.
    #[default]
    Everyone,
    /// Headers name the caller, if they come from one of these addresses.
    Headers {
        /// The proxies that set the headers, and remove them from what comes from outside.
        trusted_proxies: Vec<IpNet>,
    },
    /// Keystone says whose a token is. Headers that name a caller do not count.
    Keystone(Keystone),
}

/// A caller, and the name for the audit log.
pub(crate) struct Identified {
    pub(crate) caller: Caller,
    pub(crate) name: CallerName,
}

impl Identity {
    /// Who makes a request.
    pub(crate) async fn identify(
        &self,
        peer: Option<Peer>,
        request: &mut Request,
    ) -> Result<Identified, Unidentified> {
        if let Self::Keystone(keystone) = self {
            return tokens::caller(keystone, peer, request).await;
        }
        let headers = request.headers();
        if let Some(name) = repeated(headers) {
            tracing::debug!(name, "a request contains a header about its caller twice");
            return Err(Unidentified::Nobody);
        }
        let caller = self.caller(peer, headers).ok_or(Unidentified::Nobody)?;
        let name = CallerName::named(headers).with_roles(&caller.credentials.roles);
        let name = match self {
            Self::Headers { .. } => name.through_proxy(headers),
            Self::Everyone | Self::Keystone(_) => name,
        };
        Ok(Identified { caller, name })
    }

    /// Whether headers may name the caller.
    pub(crate) fn reads_headers(&self) -> bool {
        match self {
            Self::Everyone | Self::Headers { .. } => true,
            Self::Keystone(_) => false,
        }
    }

    /// What `WWW-Authenticate` says to nobody.
    pub(crate) fn challenge(&self) -> HeaderValue {
        match self {
            Self::Everyone | Self::Headers { .. } => HeaderValue::from_static("Keystone"),
            Self::Keystone(keystone) => keystone.challenge().clone(),
        }
    }

    /// The caller. `None` if no trusted header names one.
    fn caller(&self, peer: Option<Peer>, headers: &HeaderMap) -> Option<Caller> {
        match self {
            Self::Everyone => Some(everyone(headers)),
            Self::Headers { trusted_proxies } => {
                let from = peer?.address.ip().to_canonical();
                trusted_proxies
                    .iter()
                    .any(|proxy| proxy.contains(&from))
                    .then(|| named(headers))?
            }
            Self::Keystone(_) => None,
        }
    }
}

/// The caller where everyone is admin.
fn everyone(headers: &HeaderMap) -> Caller {
    let project = text(headers, "x-project-id").unwrap_or(NO_PROJECT);
    let credentials = CallerCredentials {
        user: text(headers, "x-user-id").map(str::to_owned),
        roles: vec!["admin".to_owned(), "service".to_owned()],
        is_of_system: false,
        is_admin_project: true,
    };
    Caller {
        credentials: Arc::new(credentials),
        ..Caller::new(Some(project.to_owned()), Roles::ALL)
    }
}

/// The caller in keystonemiddleware's headers. `None` if they name nobody.
fn named(headers: &HeaderMap) -> Option<Caller> {
    let confirmed = text(headers, "x-identity-status").is_none_or(|status| status == "Confirmed");
    if !confirmed || text(headers, "x-user-id").is_none() {
        return None;
    }
    let names = headers.get("x-roles").map_or_else(Vec::new, role_names);
    let mut roles = Roles::named(names.iter().map(String::as_str));
    // In Keystone one project may be reserved for administration. Then an admin of another project is no admin of the
    // cloud.
    let elsewhere =
        text(headers, "x-is-admin-project").is_some_and(|word| word.eq_ignore_ascii_case("false"));
    if elsewhere {
        roles = roles.without(Roles::ADMIN);
    }
    let project = text(headers, "x-project-id").map(str::to_owned);
    let credentials = CallerCredentials {
        user: text(headers, "x-user-id").map(str::to_owned),
        roles: without_admin(&names, !elsewhere),
        is_of_system: text(headers, "openstack-system-scope") == Some("all"),
        is_admin_project: !elsewhere,
    };
    Some(Caller {
        credentials: Arc::new(credentials),
        ..Caller::new(project, roles)
    })
}

/// The names of roles without `admin`, unless that counts.
fn without_admin(names: &[String], counts: bool) -> Vec<String> {
    let mut names = names.to_vec();
    names.retain(|name| counts || !name.eq_ignore_ascii_case("admin"));
    names
}

/// The roles in a header. Its octets are Latin-1, as in Neutron (PEP 3333). An unknown name does not spoil the others.
fn role_names(header: &HeaderValue) -> Vec<String> {
    let names: String = header.as_bytes().iter().copied().map(char::from).collect();
    let names = names.split(',').map(|name| name.trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// The addresses of a loopback interface.
pub fn loopback() -> Vec<IpNet> {
    let addresses: [(IpAddr, u8); 2] = [
        (Ipv4Addr::new(127, 0, 0, 0).into(), 8),
        (Ipv6Addr::LOCALHOST.into(), 128),
    ];
    let prefixes = addresses.map(|(address, length)| IpNet::new(address, length));
    prefixes.into_iter().flatten().collect()
}

/// Headers about the caller, those that have other names today included, and about a service that calls on the caller's
/// behalf. If one comes twice, the first may be forged, and which one is right cannot be guessed.
pub(super) const IDENTITY: [&str; 32] = [
    "x-identity-status",
    "x-user-id",
    "x-user-name",
    "x-user-domain-id",
    "x-user-domain-name",
    "x-project-id",
    "x-project-name",
    "x-project-domain-id",
    "x-project-domain-name",
    "x-domain-id",
    "x-domain-name",
    "x-roles",
    "x-tenant-id",
    "x-tenant-name",
    "x-tenant",
    "x-user",
    "x-role",
    "x-is-admin-project",
    "openstack-system-scope",
    "x-service-catalog",
    "x-service-identity-status",
    "x-service-user-id",
    "x-service-user-name",
    "x-service-user-domain-id",
    "x-service-user-domain-name",
    "x-service-project-id",
    "x-service-project-name",
    "x-service-project-domain-id",
    "x-service-project-domain-name",
    "x-service-domain-id",
    "x-service-domain-name",
    "x-service-roles",
];

/// The name of a header about the caller that comes twice.
fn repeated(headers: &HeaderMap) -> Option<&'static str> {
    IDENTITY
        .into_iter()
        .find(|name| headers.get_all(*name).iter().nth(1).is_some())
}

/// The error for a caller without a project, whose request has to name one.
pub(crate) fn project_needed() -> ApiError {
    ApiError::malformed("Running without keystone AuthN requires that tenant_id is specified")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    Some(value).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                axum::http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(pair).collect()
    }

    fn peer(address: &str) -> Option<Peer> {
        let address = address.parse().unwrap();
        Some(Peer {
            address,
            encrypted: false,
        })
    }

    fn behind_proxy() -> Identity {
        Identity::Headers {
            trusted_proxies: loopback(),
        }
    }

    #[test]
    fn headers_are_believed_from_trusted_addresses_only() {
        let given = headers(&[
            ("x-user-id", "u"),
            ("x-project-id", "p"),
            ("x-roles", "Member, x"),
        ]);
        for trusted in ["[::1]:5", "127.3.2.1:5", "[::ffff:127.0.0.1]:5"] {
            let caller = behind_proxy().caller(peer(trusted), &given).unwrap();
            assert!(caller.is_of("p"), "{trusted}");
            assert!(caller.roles.has(Roles::MEMBER) && caller.roles.has(Roles::READER));
            assert!(!caller.roles.has(Roles::MANAGER) && !caller.is_admin());
        }
        assert_eq!(behind_proxy().caller(peer("192.0.2.1:5"), &given), None);
        assert_eq!(behind_proxy().caller(None, &given), None);
    }

    #[test]
    fn nobody_is_who_is_not_named_or_not_confirmed() {
        let refused = [
            headers(&[("x-project-id", "p"), ("x-roles", "admin")]),
            headers(&[("x-user-id", "u"), ("x-identity-status", "Invalid")]),
        ];
        for headers in refused {
            assert_eq!(behind_proxy().caller(peer("[::1]:5"), &headers), None);
        }
    }

    #[test]
    fn an_admin_of_a_project_set_apart_for_nothing_is_a_manager() {
        let given = headers(&[
            ("x-user-id", "u"),
            ("x-roles", "admin"),
            ("x-is-admin-project", "False"),
        ]);
        let caller = behind_proxy().caller(peer("[::1]:5"), &given).unwrap();
        assert!(!caller.is_admin() && caller.roles.has(Roles::MANAGER));
    }

    #[test]
    fn everyone_is_admin_of_the_project_that_they_name() {
        let caller = Identity::Everyone.caller(None, &headers(&[("x-project-id", "p")]));
        assert!(caller.unwrap().is_of("p"));
        let caller = Identity::Everyone.caller(None, &headers(&[])).unwrap();
        assert!(caller.is_of(NO_PROJECT) && caller.is_admin());
    }
}
