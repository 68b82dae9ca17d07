//! `[controllers]`: how this one is one of several.

use super::ConfigError;
use super::check::refused;
use crate::cluster::ClusterSettings;
use serde::Deserialize;
use sextant_model::ControllerName;
use std::time::Duration;

/// `[controllers]`: how this controller is one of several, with a store for several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Controllers {
    /// Its name. Empty: its machine's.
    pub name: String,
    /// Seconds of silence after which a hypervisor asks whether its owner lives.
    pub probe_interval: u16,
    /// Seconds for which controllers live before they take their share.
    pub settle_after: u16,
}

impl Default for Controllers {
    fn default() -> Self {
        Self {
            name: String::new(),
            probe_interval: 1,
            settle_after: 10,
        }
    }
}

impl Controllers {
    /// What they mean.
    pub fn settings(&self) -> ClusterSettings {
        let name = match self.name.as_str() {
            "" => machine(),
            name => name.to_owned(),
        };
        ClusterSettings {
            name: ControllerName::new(&name),
            probe_interval: Duration::from_secs(self.probe_interval.into()),
            settle_after: Duration::from_secs(self.settle_after.into()),
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let mut letters = self.name.chars();
        let plain = letters.all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        if self.name.len() > 64 || !plain {
            let rule = "at most 64 letters, digits, points, underscores and hyphens";
            return Err(refused("controllers.name", &self.name, rule));
        }
        for (key, seconds) in [
            ("controllers.probe_interval", self.probe_interval),
            ("controllers.settle_after", self.settle_after),
        ] {
            if !(1..=3600).contains(&seconds) {
                return Err(refused(key, seconds, "1 to 3600 seconds"));
            }
        }
        Ok(())
    }
}

/// The machine's name (gethostname(2)).
fn machine() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}
