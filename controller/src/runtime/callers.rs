//! How the API identifies callers, by the configuration.

use crate::api::{Api, Identity};
use crate::config::{Auth, Config};
use crate::keystone::Keystone;
use crate::metrics::Metrics;
use crate::outgoing::TrustError;
use tokio::runtime::Handle;

/// How callers are identified when the process starts.
pub(super) fn identity(config: &Config, metrics: &Metrics) -> Result<Identity, TrustError> {
    Ok(match config.auth {
        Auth::None => Identity::Everyone,
        Auth::Headers => Identity::Headers {
            trusted_proxies: config.trusted_proxies.clone(),
        },
        Auth::Keystone => {
            let settings = config.keystone.settings();
            Identity::Keystone(Keystone::new(settings, metrics.clone())?)
        }
    })
}

/// Identifies callers by the configuration that was read again. Tokens that are known stay so.
pub(super) fn identify_again(api: &Api, config: &Config) {
    match again(api, config) {
        Ok(identity) => api.identify_by(identity),
        Err(error) => tracing::warn!(%error, "callers are identified as before"),
    }
}

/// Has the log tell whether Keystone can be asked. Its connections belong to the threads of the API.
pub(super) fn try_out(api: &Api, threads: &Handle) {
    if let Identity::Keystone(keystone) = &*api.identity() {
        let keystone = keystone.clone();
        threads.spawn(async move { keystone.try_out().await });
    }
}

fn again(api: &Api, config: &Config) -> Result<Identity, TrustError> {
    if config.auth == Auth::Keystone
        && let Identity::Keystone(before) = &*api.identity()
    {
        let settings = config.keystone.settings();
        return before.again(settings).map(Identity::Keystone);
    }
    identity(config, api.metrics())
}
