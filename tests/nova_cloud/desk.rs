//! Somebody who types commands of the unmodified `openstack` client, beside the cloud's controller.

use super::Outcome;
use serde_json::Value;
use sextant_lab::openstack::OpenStackClient;
use sextant_lab::{CONTROLLER, Namespace};
use std::error::Error;

/// A keyboard and a screen. Without a name before it, a command is `alice`'s.
pub(crate) struct Desk {
    openstack: OpenStackClient,
}

impl Desk {
    pub(crate) fn sit_down(namespace: &Namespace) -> Result<Self, Box<dyn Error>> {
        let openstack = OpenStackClient::start(Some(namespace), &[])?;
        Ok(Self { openstack })
    }

    /// What a command of somebody prints.
    fn types(&mut self, who: &str, command: &str) -> Result<String, Box<dyn Error>> {
        let project = if who == "admin" { "admin" } else { "red" };
        let printed = self.openstack.types(&format!(
            "openstack --os-identity-api-version 3 --os-region-name one --os-auth-url http://[{CONTROLLER}]:5000/v3 \
             --os-username {who} --os-password {who}-hunter2 --os-user-domain-name Default \
             --os-project-name {project} --os-project-domain-name Default {command}"
        ))?;
        match printed.status {
            0 => Ok(printed.out),
            _ => Err(format!("{command}: {printed:#?}").into()),
        }
    }

    /// A command of `alice` that succeeds.
    pub(crate) fn does(&mut self, command: &str) -> Outcome {
        self.types("alice", command).map(drop)
    }

    /// A command of `admin` that succeeds.
    pub(crate) fn orders(&mut self, command: &str) -> Outcome {
        self.types("admin", command).map(drop)
    }

    /// What a command of `alice` shows.
    pub(crate) fn reads(&mut self, command: &str) -> Result<Value, Box<dyn Error>> {
        let printed = self.types("alice", &format!("{command} -f json"))?;
        Ok(serde_json::from_str(&printed)?)
    }

    /// What a command of `admin` shows.
    pub(crate) fn inspects(&mut self, command: &str) -> Result<Value, Box<dyn Error>> {
        let printed = self.types("admin", &format!("{command} -f json"))?;
        Ok(serde_json::from_str(&printed)?)
    }
}
