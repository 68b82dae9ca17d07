//! Ports.

mod binding;
mod details;
mod dhcp_options;
pub(crate) mod host_binding;
mod index;
mod security;
mod vif;

use crate::api::contract::attributes::{
    Patch, answer_only, attributes, fixed, read_only, required, writable,
};
use crate::api::contract::dns;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::index::Ids;
use crate::api::contract::kind::Kind;
use crate::api::contract::placement::addresses::{self, ListedIp, WantedAddresses};
use crate::api::contract::placement::{self, place};
use crate::api::contract::resource::Resource;
use crate::api::contract::router;
use crate::api::contract::tags;
use crate::api::contract::ties::Ties;
use crate::api::contract::values;
use crate::api::contract::view::ResourceView;
use dhcp_options::PatchedOption;
use sextant_model::{
    AddressPair, Claim, Intent, MacAddr, Meta, Network, NetworkId, Port, PortId, RbacObject,
    SecurityGroupId, Span,
};
use std::collections::BTreeSet;

#[rustfmt::skip]
attributes! {
    /// What a request says about a port.
    PortPatch of Port:
    required("network_id").index(index::on_network) => required network_id: NetworkId = values::id(NetworkId), |port| port.network_id;
    writable("mac_address").index(index::with_mac) => given mac_address: Option<MacAddr> = values::or_null(values::mac), |port| port.mac_address;
    writable("fixed_ips").filter(has_addresses).index(index::with_fixed_ips) => given fixed_ips: Option<Vec<ListedIp>> = values::or_null(addresses::listed), |port| &port.fixed_ips;
    writable("admin_state_up") => stored admin_state_up: bool = values::boolean;
    read_only("status"), |port, view| binding::status(port, view);
    writable("device_id").index(index::of_device) => given device_id: String = values::text_or_null, |port| &port.device_id;
    writable("device_owner") => given device_owner: String = values::text_or_null, |port| &port.device_owner;
    writable("port_security_enabled") => stored port_security_enabled: bool = values::boolean;
    writable("security_groups").index(index::under_group).refers_to(named_groups) => given security_groups: BTreeSet<SecurityGroupId> = security::groups, |port| &port.security_groups;
    writable("allowed_address_pairs").no_filter() => given allowed_address_pairs: Vec<AddressPair> = values::list(details::pair), |port| details::shown_pairs(port);
    writable("extra_dhcp_opts").no_filter() => given extra_dhcp_opts: Vec<PatchedOption> = values::list(dhcp_options::option), |port| &port.extra_dhcp_opts;
    writable("dns_name") => stored dns_name: String = dns::name;
    writable("dns_domain") => stored dns_domain: String = dns::domain;
    read_only("dns_assignment").no_filter(), |port, view| dns::assignment(port, &view.intent.settings.dns_domain);
    writable("binding:host_id").index(index::on_host) => stored host_id: String = values::text_or_null, |port, view| binding::host(port, view);
    writable("binding:vnic_type") => stored vnic_type: String = values::one_of(&vif::VNIC_TYPES);
    writable("binding:profile").no_filter() => stored binding_profile: String = binding::profile, |port| binding::shown_profile(port);
    read_only("binding:vif_type"), |port, view| vif::vif_type(port, view);
    read_only("binding:vif_details").no_filter(), |port, view| vif::vif_details(port, view);
    fixed("qos_policy_id").no_filter() => given qos_policy_id: () = values::nothing, |_port| ();
    read_only("ip_allocation"), |_port| "immediate";
    fixed("tags").no_filter() => given tags: BTreeSet<String> = tags::tags, |port| &port.meta.tags;
    answer_only("qos_network_policy_id"), |_port| ();
    answer_only("resource_request"), |_port| ();
}

impl Resource for Port {
    type Patch = PortPatch;
    /// Tags may be given when a port is made (Neutron's `tag-ports-during-bulk-creation`).
    const OWN: &'static [&'static str] = &["tags"];
    const FIRST_REVISION: u64 = 1;

    fn ties(&self) -> Ties {
        Ties::Within(RbacObject::Network(self.network_id))
    }

    fn tied_to<'a>(
        intent: &'a Intent,
        object: RbacObject,
        span: Span<PortId>,
    ) -> Option<Ids<'a, PortId>> {
        match object {
            RbacObject::Network(network) => Some(Box::new(intent.port_ids_of(network, span))),
            RbacObject::SecurityGroup(_)
            | RbacObject::SubnetPool(_)
            | RbacObject::AddressScope(_) => None,
        }
    }

    fn ties_asked(patch: &PortPatch) -> Result<Ties, ApiError> {
        Ok(Ties::Within(RbacObject::Network(patch.network_id()?)))
    }

    fn create(draft: &mut Draft, meta: Meta, patch: &PortPatch) -> Result<PortId, ApiError> {
        let network_id = patch.network_id()?;
        patch.refuse_misfit_name(draft)?;
        let mut port = placement::blank(PortId(draft.uuid()), network_id, meta);
        patch.store(&mut port);
        port.meta.tags = patch.tags.clone().unwrap_or_default();
        tags::refuse_many(&port.meta.tags)?;
        details::change(&mut port, patch)?;
        let network = Network::get(&draft.intent, network_id)?;
        port.port_security_enabled = patch
            .port_security_enabled
            .unwrap_or(network.port_security_enabled);
        details::refuse_pairs_without_security(&port)?;
        security::assign(draft, &mut port, patch.security_groups.as_ref())?;
        let mac = patch.mac_address.flatten();
        port.mac_address = placement::claim_mac(draft, network_id, mac)?;
        let wanted = match patch.wanted_addresses() {
            Some(wanted) => wanted,
            None => WantedAddresses::anywhere(&draft.intent, network_id, &port.device_owner)?,
        };
        let id = port.id;
        place(draft, port, wanted)?;
        Ok(id)
    }

    fn update(&self, changed: Self, draft: &mut Draft, patch: &PortPatch) -> Result<(), ApiError> {
        let mut port = changed;
        patch.refuse_misfit_name(draft)?;
        // A port has one binding to a host.
        let host = &port.host_id;
        port.inactive_bindings.retain(|other| other.host != *host);
        details::change(&mut port, patch)?;
        details::refuse_pairs_without_security(&port)?;
        security::change(draft, &mut port, patch.security_groups.as_ref())?;
        let other_mac = patch
            .mac_address
            .filter(|mac| *mac != Some(self.mac_address));
        if let Some(mac) = other_mac {
            refuse_bound(self, draft, mac)?;
            draft.delete(Claim::Mac(self.network_id, self.mac_address));
            port.mac_address = placement::claim_mac(draft, self.network_id, mac)?;
        }
        match patch.wanted_addresses() {
            Some(wanted) if self.is_of_router() => router::readdress::port(draft, port, wanted),
            Some(wanted) => place(draft, port, wanted),
            None if port.mac_address != self.mac_address && self.router().is_none() => {
                let wanted = WantedAddresses::kept(&port, &draft.intent);
                place(draft, port, wanted)
            }
            None => {
                placement::store(draft, port);
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
        placement::remove(draft, self);
        Ok(())
    }
}

impl PortPatch {
    fn refuse_misfit_name(&self, draft: &Draft) -> Result<(), ApiError> {
        let name = self.dns_name.as_deref().unwrap_or_default();
        dns::refuse_misfit(name, &draft.intent.settings.dns_domain)
    }

    fn wanted_addresses(&self) -> Option<WantedAddresses> {
        let listed = self.fixed_ips.clone().flatten();
        listed.map(WantedAddresses::Listed)
    }
}

fn named_groups(patch: &PortPatch) -> Vec<RbacObject> {
    let groups = patch.security_groups.iter().flatten().copied();
    groups.map(RbacObject::SecurityGroup).collect()
}

fn has_addresses(port: &Port, filters: &[String], _: ResourceView<'_>) -> bool {
    addresses::meet(&port.fixed_ips, filters)
}

/// Refuses another MAC for a bound port, since its interface has the old one.
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
