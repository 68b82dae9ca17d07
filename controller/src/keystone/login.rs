//! A token for requests of Sextant's own to another service, and where that service is.

use super::client::{KeystoneClient, KeystoneFailure};
use super::own::{Asking, OwnToken};
use super::settings::KeystoneSettings;
use crate::metrics::Metrics;
use crate::outgoing::TrustError;
use axum::http::HeaderValue;
use std::time::Duration;
use tokio::time::timeout;

/// Gets tokens for requests to another service.
pub(crate) struct ServiceLogin {
    client: KeystoneClient,
    own: OwnToken,
    patience: Duration,
}

/// A token for requests to another service.
pub(crate) struct ServiceToken(Asking);

impl ServiceToken {
    /// The value of `X-Auth-Token`.
    pub(crate) fn text(&self) -> &HeaderValue {
        &self.0.text
    }

    /// The URL of a service of this type, by interface, in a region or, if that is empty, in any.
    pub(crate) fn endpoint(&self, kind: &str, interface: &str, region: &str) -> Option<&str> {
        self.0.catalog.endpoint(kind, interface, region)
    }
}

impl ServiceLogin {
    /// Asks Keystone with these settings, which the configuration has in `section`.
    pub(crate) fn new(
        settings: &KeystoneSettings,
        section: &'static str,
        metrics: Metrics,
    ) -> Result<Self, TrustError> {
        Ok(Self {
            client: KeystoneClient::new(settings, metrics)?,
            own: OwnToken::new(settings, section),
            patience: settings.timeout,
        })
    }

    /// A token other than the one that the service does not take any more.
    pub(crate) async fn token(
        &self,
        refused: Option<&ServiceToken>,
    ) -> Result<ServiceToken, KeystoneFailure> {
        let got = self.own.get(&self.client, refused.map(|token| &token.0));
        let got = timeout(self.patience, got).await;
        let got = got.unwrap_or_else(|_| Err(KeystoneFailure::late(self.patience)));
        got.map(ServiceToken)
    }
}
