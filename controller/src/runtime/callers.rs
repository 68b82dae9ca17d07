//! How the API identifies callers, by the configuration.

use crate::api::{Api, Identity, PolicyError, PolicyFile};
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

/// Reads the operator's rules of who may do what, and has them decide.
pub(super) fn decide(api: &Api, config: &Config) -> Result<(), PolicyError> {
    let file = PolicyFile::read(&config.policy_file)?;
    warn_of_unknown(&file, config);
    api.decide_by(&file);
    Ok(())
}

/// The same once more. Rules that cannot be used leave those in force that were.
pub(super) fn decide_again(api: &Api, config: &Config) {
    if let Err(error) = decide(api, config) {
        tracing::warn!(%error, "rules stay as they were");
    }
}

fn warn_of_unknown(file: &PolicyFile, config: &Config) {
    /// How many names a line of the log has at most.
    const MOST: usize = 50;
    let unknown = file.unknown();
    if unknown.is_empty() {
        return;
    }
    let rules = unknown[..unknown.len().min(MOST)].join(", ");
    tracing::warn!(
        file = %config.policy_file.display(),
        count = unknown.len(),
        rules,
        "these rules count for nothing: Sextant has none of these names"
    );
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
