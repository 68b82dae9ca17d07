//! `[controllers]`: how this one is one of several.

use super::check::{Checked, refused, unless};
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

    pub(super) fn check(&self) -> [Checked; 3] {
        let mut letters = self.name.chars();
        let plain = letters.all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        let name = unless(self.name.len() > 64 || !plain, || {
            let rule = "at most 64 letters, digits, points, underscores and hyphens";
            refused("controllers.name", &self.name, rule)
        });
        let [probe, settle] = [
            ("controllers.probe_interval", self.probe_interval),
            ("controllers.settle_after", self.settle_after),
        ]
        .map(|(key, seconds)| {
            unless(!(1..=3600).contains(&seconds), || {
                refused(key, seconds, "1 to 3600 seconds")
            })
        });
        [name, probe, settle]
    }
}

/// The machine's name (gethostname(2)).
fn machine() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}
