//! Servers as commands show them.

use super::Outcome;
use super::cloud::{Cloud, LONG, text};
use serde_json::Value;
use sextant_lab::{CONTROLLER, wait_for};
use std::error::Error;

/// The ports of a server, as the network's API has them.
pub(crate) fn ports_of(cloud: &mut Cloud, server: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let listed = cloud
        .desk
        .reads(&format!("port list --server {server} --long"))?;
    Ok(listed.as_array().cloned().unwrap_or_default())
}

/// The addresses of a port of [`ports_of`].
pub(crate) fn addresses_of(port: &Value) -> Vec<String> {
    let fixed = port["Fixed IP Addresses"].as_array();
    let fixed = fixed.into_iter().flatten();
    fixed.map(|fixed| text(fixed, "ip_address")).collect()
}

/// The addresses that Nova shows, sorted.
pub(crate) fn shown_addresses(
    cloud: &mut Cloud,
    server: &str,
) -> Result<Vec<String>, Box<dyn Error>> {
    let shown = cloud.desk.reads(&format!("server show {server}"))?;
    let networks = shown["addresses"].as_object();
    let listed = networks.into_iter().flat_map(|networks| networks.values());
    let mut addresses: Vec<String> = listed
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    addresses.sort();
    Ok(addresses)
}

impl Cloud {
    /// Boots a server with these networks and waits until it is ACTIVE.
    pub(crate) fn boots(&mut self, name: &str, networks: &str, more: &str) -> Outcome {
        self.desk.does(&format!(
            "server create --flavor small --image guest {networks} {more} {name}"
        ))?;
        self.wait_status(name, "ACTIVE").map(drop)
    }

    /// A command of `admin` on a server of `alice`, such as `migrate --wait`.
    pub(crate) fn order_on(&mut self, name: &str, command: &str) -> Outcome {
        let id = self.id_of(name)?;
        self.desk.orders(&format!("server {command} {id}"))
    }

    /// Waits until a server has so many ports.
    pub(crate) fn wait_ports(&mut self, name: &str, count: usize) -> Outcome {
        wait_for(&format!("{name} to have {count} ports"), LONG, || {
            let ports = ports_of(self, name).map_err(|error| error.to_string())?;
            match ports.len() == count {
                true => Ok(()),
                false => Err(format!("{ports:?}")),
            }
        })?;
        Ok(())
    }

    /// A server as it is once it has this status, and nothing is being done with it.
    pub(crate) fn wait_status(
        &mut self,
        name: &str,
        status: &str,
    ) -> Result<Value, Box<dyn Error>> {
        let id = self.id_of(name)?;
        let shown = wait_for(&format!("{name} to be {status}"), LONG, || {
            let server = self.ask(&format!("servers/{id}"))?["server"].clone();
            let settled = server["OS-EXT-STS:task_state"].is_null();
            match (
                server["status"] == status && settled,
                server["status"] == "ERROR",
            ) {
                (true, _) => Ok(Ok(server)),
                (_, true) => Ok(Err(server)),
                _ => Err(server.to_string()),
            }
        })?;
        shown.map_err(|shown| format!("{shown:#}").into())
    }

    /// A server's id. No two servers of a test have the same name.
    pub(crate) fn id_of(&mut self, name: &str) -> Result<String, Box<dyn Error>> {
        if let Some(id) = self.ids.get(name) {
            return Ok(id.clone());
        }
        let id = text(&self.desk.reads(&format!("server show {name}"))?, "id");
        self.ids.insert(name.to_owned(), id.clone());
        Ok(id)
    }

    /// Asks Nova as `alice`, without the costs of a command: for what is asked again and again.
    fn ask(&self, path: &str) -> Result<Value, String> {
        let url = format!("http://[{CONTROLLER}]:8774/v2.1/{path}");
        let headers = [("X-Auth-Token", self.token.as_str())];
        let reply = self.lab.api().request("GET", &url, &headers, "");
        let reply = reply.map_err(|error| error.to_string())?;
        match reply.status {
            200 => Ok(reply.json()),
            _ => Err(format!("{reply:?}")),
        }
    }

    /// Waits until a guest has said this on its console. Returns the last such line.
    pub(crate) fn wait_said(&mut self, name: &str, words: &str) -> Result<String, Box<dyn Error>> {
        self.wait_console(name, &format!("guest: {words}"), |line, wanted| {
            line.starts_with(wanted)
        })
    }

    /// Waits until a guest has an address, on whichever interface.
    pub(crate) fn wait_has(&mut self, name: &str, address: &str) -> Result<String, Box<dyn Error>> {
        self.wait_console(name, &format!(" has {address}"), |line, wanted| {
            line.starts_with("guest: eth") && line.ends_with(wanted)
        })
    }

    /// What a guest has said so far.
    pub(crate) fn console(&mut self, name: &str) -> Result<String, Box<dyn Error>> {
        let instance = self.lab.home().join("instances").join(self.id_of(name)?);
        let console = std::fs::read(instance.join("console.log"))?;
        Ok(String::from_utf8_lossy(&console).into_owned())
    }

    fn wait_console(
        &mut self,
        name: &str,
        wanted: &str,
        fits: fn(&str, &str) -> bool,
    ) -> Result<String, Box<dyn Error>> {
        let said = wait_for(&format!("{name} to say {wanted:?}"), LONG, || {
            let console = self.console(name).map_err(|error| error.to_string())?;
            let mut lines = console.lines().rev().map(str::trim);
            match lines.find(|line| fits(line, wanted)) {
                Some(said) => Ok(said.to_owned()),
                None => Err(console),
            }
        })?;
        Ok(said)
    }
}
