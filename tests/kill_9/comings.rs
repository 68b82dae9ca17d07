//! A client that lets an auto-address subnet come to a network with ports, and go, again and
//! again: a write that changes every port of the network.

use serde_json::{Value, json};
use sextant_lab::{Api, LabError, Network, PortSpec};

const PORTS: usize = 10;

/// The network, and whether it has its subnet.
pub(crate) struct Comings {
    network: Network,
    /// The subnet that was acknowledged to be there.
    subnet: Option<String>,
    /// The last write was not answered.
    unanswered: bool,
}

impl Comings {
    pub(crate) fn new(api: &Api) -> Result<Self, LabError> {
        let network = api.create_network("comings")?;
        for _ in 0..PORTS {
            api.create_port(&network, &PortSpec::default())?;
        }
        Ok(Self {
            network,
            subnet: None,
            unanswered: false,
        })
    }

    /// Writes until a request gets no answer.
    pub(crate) fn write_until_killed(&mut self, api: &Api) {
        while let Ok((status, body)) = self.write(api) {
            assert!((200..300).contains(&status), "{status} {body}");
            self.subnet = body["subnet"]["id"].as_str().map(str::to_owned);
        }
        self.unanswered = true;
    }

    fn write(&self, api: &Api) -> Result<(u16, Value), LabError> {
        if let Some(id) = &self.subnet {
            return api.delete(&format!("/v2.0/subnets/{id}"));
        }
        let subnet = json!({
            "network_id": self.network.id,
            "ip_version": 6,
            "cidr": "2001:db8:2::/64",
            "ipv6_ra_mode": "slaac",
            "ipv6_address_mode": "slaac",
        });
        api.post("/v2.0/subnets", &json!({ "subnet": subnet }))
    }

    /// The subnet is there with an address on every port, or it is not, and no port has one.
    pub(crate) fn compare(&mut self, api: &Api) -> Result<(), LabError> {
        let network = format!("network_id={}", self.network.id);
        let (_, subnets) = api.get(&format!("/v2.0/subnets?{network}"))?;
        let (_, ports) = api.get(&format!("/v2.0/ports?{network}"))?;
        let found = subnets["subnets"][0]["id"].as_str().map(str::to_owned);
        let ports = ports["ports"].as_array().into_iter().flatten();
        let addressed: Vec<usize> = ports
            .filter_map(|port| port["fixed_ips"].as_array())
            .map(Vec::len)
            .collect();
        let expected = usize::from(found.is_some());
        assert_eq!(
            addressed, [expected; PORTS],
            "a subnet that half came or half went"
        );
        if !std::mem::take(&mut self.unanswered) {
            assert_eq!(found, self.subnet, "a subnet's coming or going is lost");
        }
        self.subnet = found;
        Ok(())
    }
}
