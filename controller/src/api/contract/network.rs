//! Networks.

mod default;
mod segment;

use crate::api::contract::attributes::{
    Patch, answer_only, attributes, fixed, read_only, writable,
};
use crate::api::contract::dns;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::index::{self, Ids};
use crate::api::contract::rbac;
use crate::api::contract::resource::Resource;
use crate::api::contract::shown::Slot;
use crate::api::contract::tags;
use crate::api::contract::ties::Ties;
use crate::api::contract::values::{self, Invalid};
use crate::api::contract::view::ResourceView;
use segment::Segment;
use serde_json::Value;
use sextant_model::{
    AddressScopeId, Claim, Facts, IndexedValue, Intent, IpVersion, Key, Mark, Meta, Network,
    NetworkId, NetworkKey, Object, ObjectKey, Port, PrefixSource, RbacAction, RbacObject, Span,
    SubnetId,
};
use std::collections::BTreeSet;
use std::sync::Arc;

#[rustfmt::skip]
attributes! {
    /// What a request says about a network.
    NetworkPatch of Network:
    writable("admin_state_up") => stored admin_state_up: bool = values::boolean;
    writable("shared").index(rbac::shared::<Network>) => stored shared: bool = values::boolean, |network, view| is_shared(network, view);
    writable("router:external").index(external) => stored external: bool = values::boolean;
    writable("mtu") => stored mtu: Option<u16> = mtu, |network, view| view.facts.network_mtu(network, &view.intent.settings);
    writable("port_security_enabled") => stored port_security_enabled: bool = values::boolean;
    writable("is_default").show(show_default) => given is_default: bool = values::boolean;
    writable("dns_domain") => stored dns_domain: String = dns::domain;
    fixed("provider:network_type") => given network_type: Option<String> = values::or_null(values::text(32)), |network| network.network_type.as_str();
    fixed("provider:physical_network") => given physical_network: Option<String> = values::or_null(values::text(64)), |network| &network.physical_network;
    fixed("provider:segmentation_id") => given segmentation_id: Option<i64> = values::or_null(values::integer), |network| network.segmentation_id;
    fixed("availability_zone_hints").no_filter() => given availability_zone_hints: () = values::nothing, |_network| NONE;
    read_only("status"), |_network| "ACTIVE";
    read_only("subnets").no_filter(), |network, view| subnets(network, view);
    answer_only("availability_zones"), |_network| NONE;
    answer_only("ipv4_address_scope"), |network, view| scope(view.intent, network.id, IpVersion::V4);
    answer_only("ipv6_address_scope"), |network, view| scope(view.intent, network.id, IpVersion::V6);
    answer_only("l2_adjacency"), |_network| true;
    answer_only("qos_policy_id"), |_network| ();
}

impl Resource for Network {
    type Patch = NetworkPatch;
    const FIRST_REVISION: u64 = 1;

    fn ties(&self) -> Ties {
        Ties::Object(RbacObject::Network(self.id))
    }

    fn tied_to<'a>(
        _: &'a Intent,
        object: RbacObject,
        span: Span<NetworkId>,
    ) -> Option<Ids<'a, NetworkId>> {
        match object {
            RbacObject::Network(id) => Some(index::one(id, span)),
            RbacObject::SecurityGroup(_)
            | RbacObject::SubnetPool(_)
            | RbacObject::AddressScope(_) => None,
        }
    }

    fn create(draft: &mut Draft, meta: Meta, patch: &NetworkPatch) -> Result<NetworkId, ApiError> {
        let segment = Segment::asked(patch, &draft.base.facts)?;
        let mut network = Self {
            id: NetworkId(draft.uuid()),
            meta,
            admin_state_up: true,
            shared: false,
            external: false,
            is_default: false,
            mtu: None,
            port_security_enabled: true,
            dns_domain: String::new(),
            network_type: segment.kind(),
            physical_network: None,
            segmentation_id: None,
            key: NetworkKey(0),
        };
        patch.store(&mut network);
        default::choose(draft, &mut network, patch.is_default)?;
        segment.claim(draft, &mut network)?;
        refuse_large_mtu(&network, draft)?;
        let id = network.id;
        draft.touch_ports_of(id);
        store(draft, network)?;
        Ok(id)
    }

    fn update(
        &self,
        mut changed: Self,
        draft: &mut Draft,
        patch: &NetworkPatch,
    ) -> Result<(), ApiError> {
        default::choose(draft, &mut changed, patch.is_default)?;
        if changed.mtu != self.mtu {
            let subnets = draft.intent.subnets_of(self.id);
            let mut versions = subnets.map(|subnet| IpVersion::of_prefix(subnet.cidr));
            versions.try_for_each(|version| refuse_small_mtu(&changed, version))?;
        }
        refuse_large_mtu(&changed, draft)?;
        store(draft, changed)
    }

    fn check_tags(&self, intent: &Intent, tags: &BTreeSet<String>) -> Result<(), ApiError> {
        let configured = &intent.settings.ra;
        let settings = configured.on_network(tags).map_err(tags::refused)?;
        let mut subnets = intent.subnets_of(self.id);
        subnets.try_for_each(|subnet| {
            let own = settings.on_subnet(&subnet.meta.tags);
            own.map(drop).map_err(tags::refused)
        })
    }

    /// Removes it with its subnets, when no port is left.
    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        let ports: Vec<String> = draft
            .intent
            .ports_of(self.id)
            .map(|port| port.id.to_string())
            .collect();
        if !ports.is_empty() {
            return Err(in_use(self.id, &ports));
        }
        let subnets: Vec<Key> = draft
            .intent
            .subnets_of(self.id)
            .map(|subnet| Key::Object(ObjectKey::Subnet(subnet.id)))
            .collect();
        let own = [
            Key::Object(ObjectKey::Network(self.id)),
            Key::Claim(Claim::NetworkKey(self.key)),
            Key::Mark(Mark::PortsOf(self.id)),
        ];
        subnets
            .into_iter()
            .chain(own)
            .chain(segment::claimed(self))
            .chain(self.is_default.then_some(Key::Claim(Claim::DefaultNetwork)))
            .for_each(|key| draft.delete(key));
        Ok(())
    }
}

const NONE: [(); 0] = [];

/// Zero asks for the MTU that the encapsulation leaves.
fn mtu(value: &Value) -> Result<Option<u16>, Invalid> {
    let mtu = values::between(0, i64::from(u16::MAX))(value)?;
    Ok(u16::try_from(mtu).ok().filter(|mtu| *mtu > 0))
}

/// Whether the caller may use it by an access policy.
fn is_shared(network: &Network, view: ResourceView<'_>) -> bool {
    let object = RbacObject::Network(network.id);
    view.caller
        .is_granted(view.intent, object, RbacAction::AccessAsShared)
}

fn external<'a>(
    view: ResourceView<'a>,
    values: &[String],
    span: Span<NetworkId>,
) -> Option<Vec<Ids<'a, NetworkId>>> {
    let found = view.intent.ids_with(IndexedValue::External, span)?;
    rbac::is_true(values).then(|| vec![Box::new(found) as Ids<'a, NetworkId>])
}

/// In Neutron only external networks may be the default.
fn show_default(network: &Network, _: ResourceView<'_>, slot: Slot<'_, '_>) {
    if network.external {
        slot.put(network.is_default);
    }
}

fn subnets(network: &Network, view: ResourceView<'_>) -> Vec<SubnetId> {
    let subnets = view.intent.subnets_of(network.id);
    subnets.map(|subnet| subnet.id).collect()
}

/// Stores a network that is new or has changed, with the access policies that its attributes stand for.
fn store(draft: &mut Draft, network: Network) -> Result<(), ApiError> {
    let (id, shared, external) = (network.id, network.shared, network.external);
    let project = network.meta.project_id.clone();
    draft.put(Object::Network(Arc::new(network)));
    rbac::share(draft, RbacObject::Network(id), &project, shared)?;
    rbac::expose(draft, id, &project, external)
}

/// Refuses an MTU below the least of a subnet's IP version: RFC 8200 §5 for IPv6, RFC 791 §3.2 for IPv4.
pub(crate) fn refuse_small_mtu(network: &Network, ip_version: IpVersion) -> Result<(), ApiError> {
    const OF_IPV6: u16 = 1280;
    const OF_IPV4: u16 = 68;
    let (id, mtu) = (network.id, network.mtu.unwrap_or(u16::MAX));
    let least = match ip_version {
        IpVersion::V6 if mtu >= OF_IPV4 => OF_IPV6,
        IpVersion::V4 | IpVersion::V6 => OF_IPV4,
    };
    if mtu >= least {
        return Ok(());
    }
    Err(ApiError::conflict(
        "NetworkMTUSubnetConflict",
        format!("MTU of {id} is not valid, subnet requires a minimum of {least}"),
    ))
}

fn refuse_large_mtu(network: &Network, draft: &Draft) -> Result<(), ApiError> {
    let facts: &Facts = &draft.base.facts;
    let most = facts.network_mtu(
        &Network {
            mtu: None,
            ..network.clone()
        },
        &draft.intent.settings,
    );
    if network.mtu.is_some_and(|mtu| mtu > most) {
        return Err(ApiError::invalid_input(format!(
            "Requested MTU is too big, maximum is {most}"
        )));
    }
    Ok(())
}

fn in_use(id: NetworkId, ports: &[String]) -> ApiError {
    let ports = ports.join(",");
    ApiError::conflict(
        "NetworkInUse",
        format!(
            "Unable to complete operation on network {id}. There are one or more ports still in use on the network, \
             id for these ports is: {ports}."
        ),
    )
}

/// The address scope of a network's subnets of one IP version, which all share it.
pub(crate) fn scope(
    intent: &Intent,
    id: NetworkId,
    ip_version: IpVersion,
) -> Option<AddressScopeId> {
    let mut pools = intent
        .subnets_of(id)
        .filter_map(|subnet| match subnet.prefix_source {
            PrefixSource::Pool(pool) => intent.subnet_pools.get(&pool),
            PrefixSource::Given | PrefixSource::Delegated => None,
        });
    pools
        .find(|pool| pool.ip_version() == ip_version)?
        .address_scope_id
}

/// The router ports on a network.
pub(crate) fn router_ports(
    intent: &Intent,
    network: NetworkId,
) -> impl Iterator<Item = &Arc<Port>> {
    intent
        .ports_of(network)
        .filter(|port| port.router().is_some())
}
