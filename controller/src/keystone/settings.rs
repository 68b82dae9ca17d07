//! How Keystone is reached, and what counts as a service.

use crate::outgoing::{TrustError, authorities};
use crate::store::Password;
use std::path::PathBuf;
use std::time::Duration;

/// How Keystone is reached, and what counts as a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeystoneSettings {
    /// Where it is, with or without `/v3`.
    pub auth_url: String,
    /// What callers without a token are told to ask. Empty: `auth_url`.
    pub www_authenticate_uri: String,
    /// Who asks.
    pub credentials: Credentials,
    /// The authorities of its certificate. Empty: the system's.
    pub cafile: PathBuf,
    /// How long a caller waits at most.
    pub timeout: Duration,
    /// How long a valid token is believed without asking again. Zero: not at all.
    pub token_cache_time: Duration,
    /// The roles of services.
    pub service_token_roles: Vec<String>,
    /// Whether a service's token without any of them is refused.
    pub service_token_roles_required: bool,
}

/// Who asks Keystone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A user, for a project.
    User {
        /// The user's name.
        username: String,
        /// The user's password.
        password: Password,
        /// The name of the user's domain.
        user_domain_name: String,
        /// The project's name.
        project_name: String,
        /// The name of the project's domain.
        project_domain_name: String,
    },
    /// An application credential.
    Application {
        /// Its id.
        id: String,
        /// Its secret.
        secret: Password,
    },
}

impl KeystoneSettings {
    /// Where its Identity API v3 is.
    pub(super) fn base(&self) -> String {
        let url = self.auth_url.trim_end_matches('/');
        match url.ends_with("/v3") {
            true => url.to_owned(),
            false => format!("{url}/v3"),
        }
    }

    /// Whether what Keystone said with other settings counts as well, and for as long.
    pub(super) fn believes_as(&self, other: &Self) -> bool {
        self.auth_url == other.auth_url
            && self.cafile == other.cafile
            && self.token_cache_time == other.token_cache_time
    }

    /// The challenge to a caller without a valid token.
    pub(super) fn challenge(&self) -> String {
        let uri = match self.www_authenticate_uri.as_str() {
            "" => &self.auth_url,
            uri => uri,
        };
        format!("Keystone uri=\"{uri}\"")
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn check(&self) -> Result<(), TrustError> {
        authorities(&self.cafile).map(drop)
    }
}
