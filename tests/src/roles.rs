//! Which controllers a switch has, and what each is to it.

use crate::error::LabError;
use crate::hypervisor::Hypervisor;
use serde_json::Value;
use std::net::Ipv6Addr;

/// A controller of a switch, as the hypervisor's database shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchController {
    /// Where it is: `tcp:[fd00:c::1]:6653`.
    pub target: String,
    /// `master`, `slave` or `other`; empty before the switch has said so.
    pub role: String,
    /// Whether the switch is connected to it.
    pub connected: bool,
}

impl SwitchController {
    /// Whether the switch takes changes from it, and from no other.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.role == "master"
    }

    /// Whether it is the one at this address.
    #[must_use]
    pub fn is_at(&self, address: Ipv6Addr) -> bool {
        self.target.contains(&format!("[{address}]"))
    }
}

impl Hypervisor {
    /// The controllers of its switch. The switch writes what it knows of them every five seconds.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn switch_controllers(&self) -> Result<Vec<SwitchController>, LabError> {
        let words = [
            "--format=json",
            "--columns=target,role,is_connected",
            "list",
            "controller",
        ];
        let text = self.vsctl(&words)?.stdout;
        let table: Value = serde_json::from_str(&text)
            .map_err(|error| LabError::unexpected("the table of controllers", error))?;
        let rows = table["data"].as_array().into_iter().flatten();
        Ok(rows.map(row).collect())
    }
}

/// A column without a value is an empty set.
fn row(row: &Value) -> SwitchController {
    let [target, role] = [0, 1].map(|column| row[column].as_str().unwrap_or_default());
    SwitchController {
        target: target.to_owned(),
        role: role.to_owned(),
        connected: row[2].as_bool().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_role_may_be_unknown() {
        let known = row(&json!(["tcp:[fd00:c::2:1]:6653", "master", true]));
        assert!(known.connected && known.role == "master");
        assert!(known.is_at("fd00:c::2:1".parse().unwrap()));
        let unknown = row(&json!(["tcp:[fd00:c::2:1]:6653", ["set", []], false]));
        assert_eq!((unknown.role.as_str(), unknown.connected), ("", false));
    }
}
