//! The cloud's objects in as few words as a test wants to spend on them: created through the
//! API, returned with the ids and addresses that the API gave.

use crate::api::Api;
use crate::error::LabError;
use crate::guest::GuestSpec;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// A network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Everything that the API says about it.
    pub body: Value,
}

/// What a subnet is created with; the API's defaults for the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubnetSpec<'a> {
    /// The prefix, such as `2001:db8:1::/64`; its family gives `ip_version`. Empty leaves both out: `more` says where
    /// the prefix comes from.
    pub cidr: &'a str,
    /// `ipv6_ra_mode` and `ipv6_address_mode` both; none leaves them out.
    pub mode: Option<&'a str>,
    /// `dns_nameservers`.
    pub dns: &'a [&'a str],
    /// More attributes, merged into the request.
    pub more: Map<String, Value>,
}

impl<'a> SubnetSpec<'a> {
    /// A subnet whose two modes are the same.
    #[must_use]
    pub fn with_mode(cidr: &'a str, mode: &'a str) -> Self {
        Self {
            cidr,
            mode: Some(mode),
            ..Self::default()
        }
    }
}

/// A subnet.
#[derive(Clone, Debug, PartialEq)]
pub struct Subnet {
    /// Its id.
    pub id: String,
    /// The gateway's address.
    pub gateway: Option<IpAddr>,
    /// Everything that the API says about it.
    pub body: Value,
}

impl Subnet {
    fn read(body: Value) -> Result<Self, LabError> {
        let gateway = match body["gateway_ip"].is_null() {
            true => None,
            false => Some(parsed(&body, "gateway_ip")?),
        };
        Ok(Self {
            id: text(&body, "id")?,
            gateway,
            body,
        })
    }
}

/// What a port is created with; the API's defaults for the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortSpec<'a> {
    /// Its name.
    pub name: &'a str,
    /// More attributes, merged into the request.
    pub more: Map<String, Value>,
}

/// A port.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its id.
    pub id: String,
    /// Its MAC.
    pub mac: String,
    /// Its addresses, in the API's order.
    pub addresses: Vec<IpAddr>,
    /// Everything that the API says about it.
    pub body: Value,
}

impl Port {
    /// A guest on this port.
    #[must_use]
    pub fn guest(&self, name: &str) -> GuestSpec {
        GuestSpec {
            name: name.to_owned(),
            port_id: self.id.clone(),
            mac: self.mac.clone(),
        }
    }

    /// Its status: `ACTIVE`, `DOWN` …
    #[must_use]
    pub fn status(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    fn read(body: Value) -> Result<Self, LabError> {
        let fixed_ips = body["fixed_ips"].as_array().into_iter().flatten();
        Ok(Self {
            id: text(&body, "id")?,
            mac: text(&body, "mac_address")?,
            addresses: fixed_ips
                .map(|fixed| parsed(fixed, "ip_address"))
                .collect::<Result<_, _>>()?,
            body,
        })
    }
}

/// A router.
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    /// Its id.
    pub id: String,
    /// Everything that the API says about it.
    pub body: Value,
}

impl Api {
    /// Creates a network.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the API's answer when it refuses.
    pub fn create_network(&self, name: &str) -> Result<Network, LabError> {
        self.create_network_with(name, json!({}))
    }

    /// Creates a network with more attributes than a name.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the API's answer when it refuses.
    pub fn create_network_with(&self, name: &str, mut more: Value) -> Result<Network, LabError> {
        more["name"] = name.into();
        let body = self.create("network", more)?;
        Ok(Network {
            id: text(&body, "id")?,
            body,
        })
    }

    /// Creates a subnet.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the API's answer when it refuses.
    pub fn create_subnet(
        &self,
        network: &Network,
        spec: &SubnetSpec<'_>,
    ) -> Result<Subnet, LabError> {
        let mut wanted = json!({"network_id": network.id});
        if !spec.cidr.is_empty() {
            wanted["cidr"] = spec.cidr.into();
            wanted["ip_version"] = if spec.cidr.contains(':') { 6 } else { 4 }.into();
        }
        if let Some(mode) = spec.mode {
            wanted["ipv6_ra_mode"] = mode.into();
            wanted["ipv6_address_mode"] = mode.into();
        }
        if !spec.dns.is_empty() {
            wanted["dns_nameservers"] = spec.dns.into();
        }
        Subnet::read(self.create("subnet", merged(wanted, &spec.more))?)
    }

    /// A subnet as it is.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the API's answer when there is none.
    pub fn show_subnet(&self, id: &str) -> Result<Subnet, LabError> {
        let reply = self.get(&format!("/v2.0/subnets/{id}"))?;
        Subnet::read(expect("show subnet", 200, reply)?["subnet"].take())
    }

    /// Creates a port.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the API's answer when it refuses.
    pub fn create_port(&self, network: &Network, spec: &PortSpec<'_>) -> Result<Port, LabError> {
        let wanted = json!({"network_id": network.id, "name": spec.name});
        Port::read(self.create("port", merged(wanted, &spec.more))?)
    }

    /// A port as it is.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the API's answer when there is none.
    pub fn show_port(&self, id: &str) -> Result<Port, LabError> {
        let reply = self.get(&format!("/v2.0/ports/{id}"))?;
        Port::read(expect("show port", 200, reply)?["port"].take())
    }

    /// Creates a router.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the API's answer when it refuses.
    pub fn create_router(&self, name: &str) -> Result<Router, LabError> {
        let body = self.create("router", json!({"name": name}))?;
        Ok(Router {
            id: text(&body, "id")?,
            body,
        })
    }

    /// Attaches a subnet to a router, and returns the router's port.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the API's answer when it refuses.
    pub fn add_interface(&self, router: &Router, subnet: &Subnet) -> Result<Port, LabError> {
        let body = self.router_interface(router, subnet, "add_router_interface")?;
        self.show_port(&text(&body, "port_id")?)
    }

    /// Detaches a subnet from a router.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the API's answer when it refuses.
    pub fn remove_interface(&self, router: &Router, subnet: &Subnet) -> Result<(), LabError> {
        self.router_interface(router, subnet, "remove_router_interface")
            .map(drop)
    }

    fn router_interface(
        &self,
        router: &Router,
        subnet: &Subnet,
        action: &str,
    ) -> Result<Value, LabError> {
        let path = format!("/v2.0/routers/{}/{action}", router.id);
        let reply = self.put(&path, &json!({"subnet_id": subnet.id}))?;
        expect(action, 200, reply)
    }

    /// Deletes an object: `delete_object("ports", &port.id)`.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the API's answer when it refuses.
    pub fn delete_object(&self, collection: &str, id: &str) -> Result<(), LabError> {
        let reply = self.delete(&format!("/v2.0/{collection}/{id}"))?;
        expect(&format!("delete {collection}/{id}"), 204, reply).map(drop)
    }

    fn create(&self, kind: &str, wanted: Value) -> Result<Value, LabError> {
        let reply = self.post(&format!("/v2.0/{kind}s"), &json!({ kind: wanted }))?;
        Ok(expect(&format!("create {kind}"), 201, reply)?[kind].take())
    }
}

fn merged(mut wanted: Value, more: &Map<String, Value>) -> Value {
    for (name, value) in more {
        wanted[name] = value.clone();
    }
    wanted
}

fn expect(what: &str, wanted: u16, (status, body): (u16, Value)) -> Result<Value, LabError> {
    if status == wanted {
        Ok(body)
    } else {
        let what = format!("the answer to {what}");
        Err(LabError::unexpected(
            what,
            format!("status {status}, {body}"),
        ))
    }
}

fn text(body: &Value, name: &str) -> Result<String, LabError> {
    let value = body[name].as_str().map(str::to_owned);
    value.ok_or_else(|| LabError::unexpected(format!("`{name}` of an object"), body))
}

fn parsed<T: std::str::FromStr>(body: &Value, name: &str) -> Result<T, LabError> {
    let value = text(body, name)?.parse();
    value.map_err(|_| LabError::unexpected(format!("`{name}` of an object"), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_read_with_its_addresses() {
        let body = json!({"id": "p", "mac_address": "fa:16:3e:00:00:01", "status": "DOWN",
            "fixed_ips": [{"subnet_id": "s", "ip_address": "2001:db8::1"}]});
        let port = Port::read(body).unwrap();
        assert_eq!(port.addresses, ["2001:db8::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(
            (port.status(), port.guest("vm").port_id.as_str()),
            ("DOWN", "p")
        );
    }

    #[test]
    fn a_refusal_shows_the_answer() {
        let refused = (409, json!({"NeutronError": {"type": "Conflict"}}));
        let error = expect("create port", 201, refused).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the answer to create port is not as expected: status 409, {"NeutronError":{"type":"Conflict"}}"#
        );
    }
}
