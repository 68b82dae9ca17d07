//! How Nova is reached.

use crate::keystone::KeystoneSettings;
use std::time::Duration;

/// How Nova is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NovaSettings {
    /// Who asks Keystone for a token, and where. Its authorities count for Nova as well.
    pub keystone: KeystoneSettings,
    /// The section of the configuration that has the credentials.
    pub section: &'static str,
    /// Where Nova is, with its version: `https://HOST:8774/v2.1`. Empty: where the catalogue says.
    pub endpoint: String,
    /// The region in the catalogue. Empty: any.
    pub region: String,
    /// The interface in the catalogue.
    pub interface: String,
    /// How long a request may take.
    pub timeout: Duration,
}
