//! What the configuration asks of hypervisors and may change while they are connected.

use crate::config::{Config, NameRule};
use std::num::NonZeroU32;
use tokio::sync::watch;

/// What is asked of hypervisors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HypervisorRules {
    /// Which names those with a certificate may have.
    pub names: NameRule,
    /// How many connections a zone of their connection trackers may have. `None`: what they have is left alone.
    pub zone_limit: Option<NonZeroU32>,
    /// Whether they have a port for metadata.
    pub metadata: bool,
}

impl From<&Config> for HypervisorRules {
    fn from(config: &Config) -> Self {
        Self {
            names: config.hypervisor_tls.names,
            zone_limit: config.conntrack.zone_limit(),
            metadata: config.metadata.enabled,
        }
    }
}

/// The rules in force.
#[derive(Clone, Debug)]
pub struct Rules(watch::Receiver<HypervisorRules>);

/// Changes the rules.
#[derive(Debug)]
pub struct RulesChanger(watch::Sender<HypervisorRules>);

impl Rules {
    /// These, until they are changed.
    pub fn new(rules: HypervisorRules) -> (RulesChanger, Self) {
        let (sender, receiver) = watch::channel(rules);
        (RulesChanger(sender), Self(receiver))
    }

    /// These, for ever.
    pub fn fixed(rules: HypervisorRules) -> Self {
        Self::new(rules).1
    }

    /// What is in force.
    pub fn now(&self) -> HypervisorRules {
        *self.0.borrow()
    }

    /// Waits until others than at the last call are in force. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits until this no longer holds. Cancel-safe.
    pub async fn until(&self, mut holds: impl FnMut(HypervisorRules) -> bool) {
        if self
            .0
            .clone()
            .wait_for(|rules| !holds(*rules))
            .await
            .is_err()
        {
            std::future::pending().await
        }
    }
}

impl RulesChanger {
    /// Puts these in force.
    pub fn set(&self, rules: HypervisorRules) {
        self.0.send_if_modified(|before| {
            let differ = *before != rules;
            *before = rules;
            differ
        });
    }
}
