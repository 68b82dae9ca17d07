//! Networks.

mod default;
mod segment;

use crate::api::contract::attributes::{Attribute, Body, fixed, free, shown};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::port::dns;
use crate::api::contract::rbac;
use crate::api::contract::resource::{Resource, View};
use crate::api::contract::shown::Shown;
use crate::api::contract::values;
use crate::api::rights::Ties;
use imbl::OrdMap;
use segment::{Segment, type_name};
use serde_json::json;
use sextant_model::{
    AddressScopeId, Facts, Intent, Key, Meta, Network, NetworkId, NetworkKey, Object, Port,
    PrefixSource, RbacAction, RbacObject,
};
use std::sync::Arc;

impl Resource for Network {
    const NAME: &'static str = "network";
    const COLLECTION: &'static str = "networks";
    const ATTRIBUTES: &'static [Attribute] = &[
        free("admin_state_up"),
        free("shared"),
        free("router:external"),
        free("mtu"),
        free("port_security_enabled"),
        free("is_default"),
        free("dns_domain"),
        fixed("provider:network_type"),
        fixed("provider:physical_network"),
        fixed("provider:segmentation_id"),
        fixed("availability_zone_hints").no_filter(),
        shown("status"),
        shown("subnets").no_filter(),
    ];
    type Id = NetworkId;

    fn id(&self) -> NetworkId {
        self.id
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn put_with_meta(&self, draft: &mut Draft, meta: Meta) {
        draft.put(Object::Network(Arc::new(Self {
            meta,
            ..self.clone()
        })));
    }

    fn missing(id: &str) -> ApiError {
        ApiError::not_found(
            "NetworkNotFound",
            format!("Network {id} could not be found."),
        )
    }

    fn table(intent: &Intent) -> &OrdMap<Self::Id, Arc<Self>> {
        &intent.networks
    }

    fn ties(&self) -> Ties {
        Ties::Object(RbacObject::Network(self.id))
    }

    fn render(&self, view: View<'_>, shown: &mut Shown<'_>) {
        let object = RbacObject::Network(self.id);
        let subnets = view
            .intent
            .subnets_of(self.id)
            .map(|subnet| subnet.id.to_string());
        shown.all(json!({
            "admin_state_up": self.admin_state_up,
            "status": "ACTIVE",
            "subnets": subnets.collect::<Vec<_>>(),
            "shared": view.caller.is_granted(view.intent, object, RbacAction::AccessAsShared),
            "router:external": self.external,
            "mtu": view.facts.network_mtu(self, &view.intent.settings),
            "port_security_enabled": self.port_security_enabled,
            "provider:network_type": type_name(self.network_type),
            "provider:physical_network": self.physical_network,
            "provider:segmentation_id": self.segmentation_id,
            "availability_zone_hints": [],
            "availability_zones": [],
            "ipv4_address_scope": scope(view.intent, self.id, 4),
            "ipv6_address_scope": scope(view.intent, self.id, 6),
            "l2_adjacency": true,
            "qos_policy_id": null,
            "dns_domain": self.dns_domain,
        }));
        // Neutron knows no default but among external networks.
        if self.external {
            shown.put("is_default", self.is_default);
        }
    }

    fn create(draft: &mut Draft, project: String, body: &Body) -> Result<NetworkId, ApiError> {
        let name = body
            .read("name", values::text(values::LONG))?
            .unwrap_or_default();
        let description = body
            .read("description", values::text(values::LONG))?
            .unwrap_or_default();
        body.read("availability_zone_hints", values::nothing)?;
        let segment = Segment::read(body, &draft.base.facts)?;
        let mut network = Self {
            id: NetworkId(draft.uuid()),
            meta: draft.meta(name, description, project, 1),
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
        network.change(body)?;
        default::choose(draft, &mut network, false, body)?;
        segment.claim(draft, &mut network)?;
        refuse_large_mtu(&network, draft)?;
        let id = network.id;
        draft.touch_ports_of(id);
        store(draft, network)?;
        Ok(id)
    }

    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let mut network = self.clone();
        crate::api::contract::attributes::change_names(&mut network.meta, body)?;
        network.change(body)?;
        default::choose(draft, &mut network, self.is_default, body)?;
        if network.mtu != self.mtu {
            let subnets = draft.intent.subnets_of(self.id);
            let mut versions = subnets.map(|subnet| {
                if subnet.cidr.network().is_ipv4() {
                    4
                } else {
                    6
                }
            });
            versions.try_for_each(|version| refuse_small_mtu(&network, version))?;
        }
        refuse_large_mtu(&network, draft)?;
        draft.revise(&mut network.meta);
        store(draft, network)
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
            .map(|subnet| Key::Subnet(subnet.id))
            .collect();
        let own = [
            Key::Network(self.id),
            Key::NetworkKey(self.key),
            Key::PortsOf(self.id),
        ];
        subnets
            .into_iter()
            .chain(own)
            .chain(segment::claimed(self))
            .chain(self.is_default.then_some(Key::DefaultNetwork))
            .for_each(|key| draft.delete(key));
        Ok(())
    }
}

/// Stores a network that is new or has changed, with the access policies that its attributes stand for.
fn store(draft: &mut Draft, network: Network) -> Result<(), ApiError> {
    let (id, shared, external) = (network.id, network.shared, network.external);
    let project = network.meta.project_id.clone();
    draft.put(Object::Network(Arc::new(network)));
    rbac::share(draft, RbacObject::Network(id), &project, shared)?;
    rbac::expose(draft, id, &project, external)
}

trait Changeable {
    /// Takes over what may be set at any time.
    fn change(&mut self, body: &Body) -> Result<(), ApiError>;
}

impl Changeable for Network {
    fn change(&mut self, body: &Body) -> Result<(), ApiError> {
        for (name, attribute) in [
            ("admin_state_up", &mut self.admin_state_up),
            ("shared", &mut self.shared),
            ("router:external", &mut self.external),
            ("port_security_enabled", &mut self.port_security_enabled),
        ] {
            if let Some(given) = body.read(name, values::boolean)? {
                *attribute = given;
            }
        }
        if let Some(mtu) = body.read("mtu", values::between(0, i64::from(u16::MAX)))? {
            // Zero asks for what the encapsulation leaves.
            self.mtu = u16::try_from(mtu).ok().filter(|mtu| *mtu > 0);
        }
        if let Some(domain) = body.read("dns_domain", dns::domain)? {
            self.dns_domain = domain;
        }
        Ok(())
    }
}

/// What a network carries must fit: the least MTU of IPv6 (RFC 8200 §5) and of IPv4 (RFC 791 §3.2).
pub(crate) fn refuse_small_mtu(network: &Network, ip_version: u8) -> Result<(), ApiError> {
    const OF_IPV6: u16 = 1280;
    const OF_IPV4: u16 = 68;
    let (id, mtu) = (network.id, network.mtu.unwrap_or(u16::MAX));
    let least = match ip_version {
        6 if mtu >= OF_IPV4 => OF_IPV6,
        _ => OF_IPV4,
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
pub(crate) fn scope(intent: &Intent, id: NetworkId, ip_version: u8) -> Option<AddressScopeId> {
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

/// Stores a network again because something that belongs to it changed: whoever rests on it must look again.
pub(crate) fn revise(draft: &mut Draft, network: &Network) {
    let mut meta = network.meta.clone();
    draft.revise(&mut meta);
    network.put_with_meta(draft, meta);
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
