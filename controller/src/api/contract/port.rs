//! Ports.

pub(crate) mod addresses;
mod binding;
mod details;
mod dhcp_options;
pub(crate) mod dns;
mod security;

use crate::api::contract::attributes::{Attribute, Body, fixed, free, required, shown};
use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::quota;
use crate::api::contract::resource::{Resource, View};
use crate::api::contract::router;
use crate::api::contract::shown::Shown;
use crate::api::contract::values;
use crate::api::requests::query::Conditions;
use crate::api::rights::Ties;
use addresses::Wanted;
use imbl::OrdMap;
use rand::RngExt;
use sextant_model::{
    Counted, Intent, Key, MacAddr, Meta, Network, NetworkId, Object, Port, PortId, RbacObject,
    Router, RouterId,
};
use std::sync::Arc;

/// The first three octets of the addresses that Neutron makes (`base_mac`).
const OUI: [u8; 3] = [0xfa, 0x16, 0x3e];

impl Resource for Port {
    const NAME: &'static str = "port";
    const COLLECTION: &'static str = "ports";
    const ATTRIBUTES: &'static [Attribute] = &[
        required("network_id"),
        free("mac_address"),
        free("fixed_ips"),
        free("admin_state_up"),
        free("device_id"),
        free("device_owner"),
        free("port_security_enabled"),
        free("security_groups"),
        free("allowed_address_pairs").no_filter(),
        free("extra_dhcp_opts").no_filter(),
        free("dns_name"),
        shown("dns_assignment").no_filter(),
        free("binding:host_id"),
        free("binding:vnic_type"),
        free("binding:profile").no_filter(),
        shown("binding:vif_type"),
        shown("binding:vif_details").no_filter(),
        fixed("qos_policy_id").no_filter(),
        shown("status"),
        shown("ip_allocation"),
    ];
    const FILTERS: &'static [&'static str] = &["fixed_ips"];
    type Id = PortId;

    fn id(&self) -> PortId {
        self.id
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn put_with_meta(&self, draft: &mut Draft, meta: Meta) {
        store(
            draft,
            Self {
                meta,
                ..self.clone()
            },
        );
    }

    fn missing(id: &str) -> ApiError {
        ApiError::not_found("PortNotFound", format!("Port {id} could not be found."))
    }

    fn table(intent: &Intent) -> &OrdMap<Self::Id, Arc<Self>> {
        &intent.ports
    }

    fn indexed(intent: &Intent, conditions: &Conditions) -> Option<Vec<Arc<Self>>> {
        if let Some(networks) = conditions.get("network_id") {
            let networks = networks.iter().filter_map(|id| id.parse().ok());
            return Some(
                networks
                    .flat_map(|id| intent.ports_of(id).cloned())
                    .collect(),
            );
        }
        let groups = conditions.get("security_groups")?.iter();
        let groups = groups.filter_map(|id| id.parse().ok());
        Some(
            groups
                .flat_map(|id| intent.ports_under(id).cloned())
                .collect(),
        )
    }

    fn meets(&self, _: &str, values: &[String], _: View<'_>) -> bool {
        addresses::meet(&self.fixed_ips, values)
    }

    fn ties(&self) -> Ties {
        Ties::Within(RbacObject::Network(self.network_id))
    }

    fn ties_asked(body: &Body) -> Result<Ties, ApiError> {
        let network = body.require("network_id", values::uuid)?;
        Ok(Ties::Within(RbacObject::Network(NetworkId(network))))
    }

    /// Nobody makes a port of another project's router.
    fn permits(
        caller: &Caller,
        intent: &Intent,
        body: &Body,
        was: Option<&Self>,
    ) -> Result<(), ApiError> {
        let text = |name| body.read(name, values::text_or_null);
        let owner = text("device_owner")?.or_else(|| was.map(|port| port.device_owner.clone()));
        let device = text("device_id")?.or_else(|| was.map(|port| port.device_id.clone()));
        let (Some(owner), Some(device)) = (owner, device) else {
            return Ok(());
        };
        let router = Router::find(intent, &device).filter(|_| owner.starts_with("network:router_"));
        let foreign = router.is_some_and(|router| !caller.is_of(&router.meta.project_id));
        if foreign && !caller.is_admin() {
            return Err(ApiError::conflict(
                "DeviceIDNotOwnedByTenant",
                format!(
                    "The following device_id {device} is not owned by your tenant or matches another tenants router."
                ),
            ));
        }
        Ok(())
    }

    fn render(&self, view: View<'_>, shown: &mut Shown<'_>) {
        shown.put("network_id", self.network_id);
        shown.put("mac_address", self.mac_address);
        shown.put("fixed_ips", &self.fixed_ips);
        shown.put("admin_state_up", self.admin_state_up);
        shown.put_with("status", || binding::status(self, view));
        shown.put("device_id", &self.device_id);
        shown.put("device_owner", &self.device_owner);
        shown.put("port_security_enabled", self.port_security_enabled);
        shown.put("security_groups", &self.security_groups);
        shown.put_with("allowed_address_pairs", || details::shown_pairs(self));
        shown.put("extra_dhcp_opts", &self.extra_dhcp_opts);
        shown.put("dns_name", &self.dns_name);
        shown.put_with("dns_assignment", || {
            dns::assignment(self, &view.intent.settings.dns_domain)
        });
        shown.put("qos_policy_id", ());
        shown.put("qos_network_policy_id", ());
        shown.put("resource_request", ());
        shown.put("ip_allocation", "immediate");
        binding::show(self, view, shown);
    }

    fn create(draft: &mut Draft, project: String, body: &Body) -> Result<PortId, ApiError> {
        let network_id = NetworkId(body.require("network_id", values::uuid)?);
        let name = body
            .read("name", values::text(values::LONG))?
            .unwrap_or_default();
        let description = body
            .read("description", values::text(values::LONG))?
            .unwrap_or_default();
        let mac = body
            .read("mac_address", values::or_null(values::mac))?
            .flatten();
        let wanted = Wanted::read(body)?;
        let meta = draft.meta(name, description, project, 1);
        let mut port = blank(PortId(draft.uuid()), network_id, meta);
        details::change(&mut port, body)?;
        let network = Network::get(&draft.intent, &network_id.to_string())?;
        let security = body.read("port_security_enabled", values::boolean)?;
        port.port_security_enabled = security.unwrap_or(network.port_security_enabled);
        details::refuse_pairs_without_security(&port)?;
        security::assign(draft, &mut port, security::asked(body)?)?;
        port.mac_address = claim_mac(draft, network_id, mac)?;
        let wanted = match wanted {
            Some(wanted) => wanted,
            None => Wanted::anywhere(&draft.intent, network_id, &port.device_owner)?,
        };
        let id = port.id;
        place(draft, port, wanted)?;
        Ok(id)
    }

    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let mut port = self.clone();
        crate::api::contract::attributes::change_names(&mut port.meta, body)?;
        let wanted = Wanted::read(body)?;
        let mac = body.read("mac_address", values::or_null(values::mac))?;
        details::change(&mut port, body)?;
        details::refuse_pairs_without_security(&port)?;
        security::change(draft, &mut port, security::asked(body)?)?;
        if let Some(mac) = mac.filter(|mac| *mac != Some(self.mac_address)) {
            refuse_bound(self, draft, mac)?;
            draft.delete(Key::Mac(self.network_id, self.mac_address));
            port.mac_address = claim_mac(draft, self.network_id, mac)?;
        }
        draft.revise(&mut port.meta);
        match wanted {
            Some(wanted) if self.is_of_router() => router::readdress::port(draft, port, wanted),
            Some(wanted) => place(draft, port, wanted),
            None if port.mac_address != self.mac_address && self.router().is_none() => {
                let wanted = Wanted::kept(&port, &draft.intent);
                place(draft, port, wanted)
            }
            None => {
                store(draft, port);
                Ok(())
            }
        }
    }

    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        if self.is_of_router() {
            let (id, owner) = (self.id, &self.device_owner);
            return Err(ApiError::conflict(
                "ServicePortInUse",
                format!(
                    "Port {id} cannot be deleted directly via the port API: has device owner {owner}."
                ),
            ));
        }
        remove(draft, self);
        Ok(())
    }
}

/// A port of which nothing is said.
fn blank(id: PortId, network_id: NetworkId, meta: Meta) -> Port {
    let unassigned = MacAddr([0; 6]);
    Port {
        meta,
        ..Port::new(id, network_id, unassigned)
    }
}

/// Gives a port its addresses and stores it.
pub(crate) fn place(draft: &mut Draft, mut port: Port, wanted: Wanted) -> Result<(), ApiError> {
    draft.relies_on(Key::Network(port.network_id));
    port.fixed_ips = addresses::settle(draft, &port, wanted)?;
    store(draft, port);
    Ok(())
}

/// Stores a port that is new or has changed.
pub(crate) fn store(draft: &mut Draft, mut port: Port) {
    port.fixed_ips
        .sort_by_cached_key(|fixed| fixed.ip_address.to_string());
    draft.touch_ports_of(port.network_id);
    draft.put(Object::Port(Arc::new(port)));
}

/// Stores a port that has changed, and counts the change.
pub(crate) fn store_changed(draft: &mut Draft, mut port: Port) {
    draft.revise(&mut port.meta);
    store(draft, port);
}

/// A new port of a router, without an address yet.
pub(crate) fn router_port(
    draft: &mut Draft,
    network: NetworkId,
    (router, project): (RouterId, String),
    owner: &str,
) -> Result<Port, ApiError> {
    draft.relies_on(Key::Network(network));
    if !project.is_empty() {
        quota::note(draft, &project, Counted::Port, 1);
    }
    let meta = draft.meta(String::new(), String::new(), project, 1);
    Ok(Port {
        mac_address: claim_mac(draft, network, None)?,
        device_id: router.to_string(),
        device_owner: owner.to_owned(),
        port_security_enabled: false,
        ..blank(PortId(draft.uuid()), network, meta)
    })
}

/// Removes a port and what it has claimed.
pub(crate) fn remove(draft: &mut Draft, port: &Port) {
    port.fixed_ips
        .iter()
        .for_each(|fixed| addresses::release(draft, *fixed));
    draft.delete(Key::Mac(port.network_id, port.mac_address));
    draft.touch_ports_of(port.network_id);
    draft.delete(Key::Port(port.id));
}

/// Claims the MAC asked for, or one at random.
fn claim_mac(
    draft: &mut Draft,
    network: NetworkId,
    asked: Option<MacAddr>,
) -> Result<MacAddr, ApiError> {
    /// How often a random one is tried before the network is taken to be full.
    const TRIES: usize = 64;
    if let Some(mac) = asked {
        return match draft.claim(Key::Mac(network, mac)) {
            true => Ok(mac),
            false => Err(ApiError::conflict(
                "MacAddressInUse",
                format!(
                    "Unable to complete operation for network {network}. The mac address {mac} is in use."
                ),
            )),
        };
    }
    for _ in 0..TRIES {
        let [a, b, c]: [u8; 3] = draft.dice.random();
        let mac = MacAddr([OUI[0], OUI[1], OUI[2], a, b, c]);
        if draft.claim(Key::Mac(network, mac)) {
            return Ok(mac);
        }
    }
    Err(ApiError::unavailable(format!(
        "Unable to generate unique mac on network {network}."
    )))
}

/// The interface of a bound port has its MAC; it cannot change under it.
fn refuse_bound(port: &Port, draft: &Draft, mac: Option<MacAddr>) -> Result<(), ApiError> {
    if draft.base.facts.binding(port.id).is_none() {
        return Ok(());
    }
    let (id, old) = (port.id, port.mac_address);
    let new = mac.map_or_else(|| "None".to_owned(), |mac| mac.to_string());
    Err(ApiError::conflict(
        "PortBound",
        format!(
            "Unable to complete operation on port {id}, port is already bound, port type: ovs, old_mac {old}, new_mac {new}."
        ),
    ))
}
