//! Subnets.

mod auto_address;
mod latecomers;
pub(crate) mod prefix;
pub(crate) mod renumber;
mod rules;

use crate::api::contract::attributes::{Patch, attributes, fixed, read_only, required, writable};
use crate::api::contract::conditions::is;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::host_routes::host_routes;
use crate::api::contract::index::{self, Ids};
use crate::api::contract::ipam;
use crate::api::contract::kind::Kind;
use crate::api::contract::network;
use crate::api::contract::python;
use crate::api::contract::rbac;
use crate::api::contract::resource::Resource;
use crate::api::contract::tags;
use crate::api::contract::ties::Ties;
use crate::api::contract::values::{self, Invalid};
use crate::api::contract::view::ResourceView;
use ipnet::IpNet;
use prefix::NamedPool;
use serde_json::Value;
use sextant_model::{
    AllocationPool, HostRoute, Intent, IpVersion, Ipv6Mode, Mark, Meta, Network, NetworkId, Object,
    ObjectKey, PrefixSource, RbacAction, RbacObject, Span, Subnet, SubnetId,
};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

#[rustfmt::skip]
attributes! {
    /// What a request says about a subnet.
    SubnetPatch of Subnet:
    required("ip_version") => required ip_version: IpVersion = values::ip_version, |subnet| rules::ip_version(subnet);
    required("network_id").index(on_network) => required network_id: NetworkId = values::id(NetworkId), |subnet| subnet.network_id;
    fixed("cidr") => given cidr: Option<IpNet> = values::or_null(values::cidr), |subnet| subnet.cidr;
    fixed("subnetpool_id").refers_to(named_pool) => given subnetpool_id: Option<NamedPool> = values::or_null(prefix::named_pool), |subnet| subnetpool_id(subnet.prefix_source);
    fixed("use_default_subnetpool").no_filter() => given use_default_subnetpool: bool = values::boolean;
    fixed("prefixlen").no_filter() => given prefixlen: Option<u8> = values::or_null(values::prefix_length);
    writable("gateway_ip") => stored gateway_ip: Option<IpAddr> = values::or_null(values::address);
    writable("allocation_pools").no_filter() => given allocation_pools: Option<Vec<AllocationPool>> = values::or_null(values::list(pool)), |subnet| &subnet.allocation_pools;
    writable("enable_dhcp") => stored enable_dhcp: bool = values::boolean;
    fixed("ipv6_ra_mode") => given ipv6_ra_mode: Ipv6Mode = values::mode, |subnet| subnet.ipv6_ra_mode;
    fixed("ipv6_address_mode") => given ipv6_address_mode: Ipv6Mode = values::mode, |subnet| subnet.ipv6_address_mode;
    writable("dns_nameservers").no_filter() => stored dns_nameservers: Vec<IpAddr> = values::list(nameserver);
    writable("host_routes").no_filter() => stored host_routes: Vec<HostRoute> = host_routes;
    writable("service_types").no_filter() => stored service_types: Vec<String> = values::list(service_type);
    fixed("segment_id") => given segment_id: () = values::nothing, |_subnet| ();
    read_only("router:external"), |subnet, view| is_external(subnet, view);
    read_only("shared").index(rbac::shared::<Subnet>).filter(is_shared_with_caller);
}

impl Resource for Subnet {
    type Patch = SubnetPatch;

    fn ties(&self) -> Ties {
        Ties::Within(RbacObject::Network(self.network_id))
    }

    fn tied_to<'a>(
        intent: &'a Intent,
        object: RbacObject,
        span: Span<SubnetId>,
    ) -> Option<Ids<'a, SubnetId>> {
        match object {
            RbacObject::Network(id) => Some(Box::new(intent.subnet_ids_of(id, span))),
            RbacObject::SecurityGroup(_)
            | RbacObject::SubnetPool(_)
            | RbacObject::AddressScope(_) => None,
        }
    }

    fn ties_asked(patch: &SubnetPatch) -> Result<Ties, ApiError> {
        Ok(Ties::Within(RbacObject::Network(patch.network_id()?)))
    }

    fn create(draft: &mut Draft, meta: Meta, patch: &SubnetPatch) -> Result<SubnetId, ApiError> {
        let network_id = patch.network_id()?;
        let ip_version = patch.ip_version()?;
        let prefix = prefix::take(draft, patch, &meta.project_id)?;
        let subnet = patch.new_subnet(SubnetId(draft.uuid()), network_id, meta, &prefix);
        rules::check_new(&subnet, ip_version, patch.allocation_pools.is_some())?;
        let network = Network::get(&draft.intent, network_id)?;
        network::refuse_small_mtu(&network, ip_version)?;
        rules::refuse_overlap(&subnet, draft.intent.subnets_of(network_id))?;

        let id = subnet.id;
        network.store_revised(draft);
        let subnet = Arc::new(subnet);
        auto_address::give(draft, &subnet)?;
        latecomers::give(draft, &network, &subnet);
        draft.put(Object::Subnet(subnet));
        Ok(id)
    }

    fn update(
        &self,
        mut changed: Self,
        draft: &mut Draft,
        patch: &SubnetPatch,
    ) -> Result<(), ApiError> {
        patch.change_pools(&mut changed);
        let pools_given = patch.allocation_pools.is_some();
        rules::check_changed(&changed, self, pools_given, &draft.intent)?;
        if changed.gateway_ip != self.gateway_ip {
            draft.relies_on(Mark::PortsOf(self.network_id));
        }
        draft.put(Object::Subnet(Arc::new(changed)));
        Ok(())
    }

    fn check_tags(&self, intent: &Intent, tags: &BTreeSet<String>) -> Result<(), ApiError> {
        let network = Network::get(intent, self.network_id)?;
        let configured = &intent.settings.ra;
        let of_network = configured.on_network(&network.meta.tags);
        let of_network = of_network.unwrap_or(Cow::Borrowed(configured));
        let own = of_network.on_subnet(tags);
        own.map(drop).map_err(tags::refused)
    }

    /// Removes it, if ports have only addresses of it that they got by themselves. These are removed with it.
    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        let network = Network::get(&draft.intent, self.network_id)?;
        let routed = network::router_ports(&draft.intent, self.network_id).any(|port| {
            port.fixed_ips
                .iter()
                .any(|fixed| fixed.subnet_id == self.id)
        });
        if self.is_auto_address() && !routed {
            auto_address::take_back(draft, self);
        }
        if draft.intent.claimed_addresses(self.id).next().is_some() {
            return Err(in_use(self.id));
        }
        draft.relies_on(Mark::PortsOf(self.network_id));
        network.store_revised(draft);
        draft.delete(ObjectKey::Subnet(self.id));
        Ok(())
    }
}

impl SubnetPatch {
    fn new_subnet(
        &self,
        id: SubnetId,
        network_id: NetworkId,
        meta: Meta,
        prefix: &prefix::Prefix,
    ) -> Subnet {
        let gateway_ip = self.gateway_ip.unwrap_or(Some(prefix.gateway));
        let mut subnet = Subnet {
            meta,
            gateway_ip,
            allocation_pools: ipam::default_pools(prefix.cidr, gateway_ip),
            ipv6_ra_mode: self.ipv6_ra_mode,
            ipv6_address_mode: self.ipv6_address_mode,
            prefix_source: prefix.source,
            ..Subnet::new(id, network_id, prefix.cidr)
        };
        self.store(&mut subnet);
        self.change_pools(&mut subnet);
        subnet
    }

    /// Null removes all pools.
    fn change_pools(&self, subnet: &mut Subnet) {
        if let Some(pools) = &self.allocation_pools {
            subnet.allocation_pools = pools.clone().unwrap_or_default();
        }
    }
}

fn named_pool(patch: &SubnetPatch) -> Vec<RbacObject> {
    match patch.subnetpool_id.flatten() {
        Some(NamedPool::Pool(id)) => vec![RbacObject::SubnetPool(id)],
        Some(NamedPool::Delegation) | None => Vec::new(),
    }
}

fn on_network<'a>(
    view: ResourceView<'a>,
    networks: &[String],
    span: Span<SubnetId>,
) -> Option<Vec<Ids<'a, SubnetId>>> {
    index::parsed(networks, |network| view.intent.subnet_ids_of(network, span))
}

fn is_external(subnet: &Subnet, view: ResourceView<'_>) -> bool {
    let network = view.intent.networks.get(&subnet.network_id);
    network.is_some_and(|network| network.external)
}

/// Whether its network is shared with the caller. Subnets do not show this.
fn is_shared_with_caller(subnet: &Subnet, values: &[String], view: ResourceView<'_>) -> bool {
    let network = RbacObject::Network(subnet.network_id);
    let shared = view
        .caller
        .is_granted(view.intent, network, RbacAction::AccessAsShared);
    values.iter().any(|wanted| is(&shared.into(), wanted))
}

fn subnetpool_id(source: PrefixSource) -> Option<String> {
    match source {
        PrefixSource::Given => None,
        PrefixSource::Delegated => Some("prefix_delegation".to_owned()),
        PrefixSource::Pool(id) => Some(id.to_string()),
    }
}

fn in_use(id: SubnetId) -> ApiError {
    ApiError::conflict(
        "SubnetInUse",
        format!(
            "Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet."
        ),
    )
}

fn pool(value: &Value) -> Result<AllocationPool, Invalid> {
    let pool = values::object(value, &["start", "end"], "IP pool")?;
    Ok(AllocationPool {
        start: values::address(values::field(pool, "start"))?,
        end: values::address(values::field(pool, "end"))?,
    })
}

fn nameserver(value: &Value) -> Result<IpAddr, Invalid> {
    values::address(value).map_err(|invalid| match invalid {
        Invalid::Reason(reason) => {
            let server = python::text(value);
            Invalid::Reason(format!("'{server}' is not a valid nameserver. {reason}"))
        }
        other @ (Invalid::Input(_) | Invalid::Own(_)) => other,
    })
}

/// An owner of ports, or the beginning of several owners' names.
fn service_type(value: &Value) -> Result<String, Invalid> {
    const OWNERS: [&str; 2] = ["network:", "neutron:"];
    // Neutron accepts each letter of this as the beginning of an owner, and so `test:anything`. Its users rely on that.
    const LETTERS: &str = "compute:";
    let text = values::text(values::LONG)(value)?;
    let known = OWNERS.iter().any(|owner| text.starts_with(owner));
    if known || text.starts_with(|first| LETTERS.contains(first)) {
        return Ok(text);
    }
    Err(Invalid::Reason(format!(
        "Subnet service type {text} does not correspond to a valid device owner"
    )))
}
