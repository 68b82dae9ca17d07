//! Networks.

use super::attributes::{Attribute, Body, fixed, free, shown};
use super::draft::Draft;
use super::error::ApiError;
use super::policy::Ties;
use super::query::Conditions;
use super::resource::{Resource, View};
use super::{rbac, values};
use rand::RngExt;
use serde_json::{Map, Value, json};
use sextant_model::{
    Facts, Intent, Key, Meta, Network, NetworkId, NetworkKey, NetworkType, Object, Port,
    RbacAction, RbacObject,
};
use std::sync::Arc;

/// The largest number of a network: 24 bits (RFC 7348 §5).
const LAST_KEY: u32 = (1 << 24) - 1;

impl Resource for Network {
    const NAME: &'static str = "network";
    const COLLECTION: &'static str = "networks";
    const ATTRIBUTES: &'static [Attribute] = &[
        free("admin_state_up"),
        free("shared"),
        free("router:external"),
        free("mtu"),
        free("port_security_enabled"),
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

    fn find(intent: &Intent, id: &str) -> Option<Arc<Self>> {
        intent.networks.get(&id.parse::<NetworkId>().ok()?).cloned()
    }

    fn candidates(intent: &Intent, conditions: &Conditions) -> Vec<Arc<Self>> {
        match conditions.get("id") {
            Some(ids) => ids.iter().filter_map(|id| Self::find(intent, id)).collect(),
            None => intent.networks.values().cloned().collect(),
        }
    }

    fn ties(&self) -> Ties {
        Ties::Object(RbacObject::Network(self.id))
    }

    fn render(&self, view: View<'_>) -> Map<String, Value> {
        let subnets = view
            .intent
            .subnets_of(self.id)
            .map(|subnet| subnet.id.to_string());
        let object = RbacObject::Network(self.id);
        let shown = json!({
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
            "ipv4_address_scope": null,
            "ipv6_address_scope": null,
            "l2_adjacency": true,
            "qos_policy_id": null,
        });
        super::fields(shown)
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
            mtu: None,
            port_security_enabled: true,
            network_type: segment.kind,
            physical_network: None,
            segmentation_id: None,
            key: NetworkKey(0),
        };
        network.change(body)?;
        network.key = segment.key(draft)?;
        network.segmentation_id = Some(network.key.0);
        refuse_large_mtu(&network, draft)?;
        let id = network.id;
        draft.touch_ports_of(id);
        store(draft, network)?;
        Ok(id)
    }

    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let mut network = self.clone();
        super::change_names(&mut network.meta, body)?;
        network.change(body)?;
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
        Ok(())
    }
}

/// How a network is to travel.
struct Segment {
    kind: NetworkType,
    id: Option<u32>,
}

impl Segment {
    fn read(body: &Body, facts: &Facts) -> Result<Self, ApiError> {
        let name = body
            .read("provider:network_type", values::or_null(values::text(32)))?
            .flatten();
        let physical = body
            .read(
                "provider:physical_network",
                values::or_null(values::text(64)),
            )?
            .flatten();
        let id = body
            .read("provider:segmentation_id", values::or_null(values::integer))?
            .flatten();
        let kind = match name.as_deref() {
            None | Some("vxlan") => NetworkType::Vxlan,
            Some("gre") => NetworkType::Gre,
            Some("geneve") => NetworkType::Geneve,
            Some(other) => return Err(unsupported(other, physical.as_deref(), facts)),
        };
        if physical.is_some() {
            let name = type_name(kind).to_uppercase();
            let message = format!("provider:physical_network specified for {name} network");
            return Err(ApiError::invalid_input(message));
        }
        Ok(Self {
            kind,
            id: id.map(valid_key).transpose()?,
        })
    }

    /// Claims the number asked for, or a free one at random.
    fn key(&self, draft: &mut Draft) -> Result<NetworkKey, ApiError> {
        if let Some(id) = self.id {
            return match draft.claim(Key::NetworkKey(NetworkKey(id))) {
                true => Ok(NetworkKey(id)),
                false => Err(ApiError::conflict(
                    "TunnelIdInUse",
                    format!("Unable to create the network. The tunnel ID {id} is in use."),
                )),
            };
        }
        let start = draft.dice.random_range(1..=LAST_KEY);
        let numbers = (start..=LAST_KEY).chain(1..start).map(NetworkKey);
        for key in numbers {
            if draft.claim(Key::NetworkKey(key)) {
                return Ok(key);
            }
        }
        Err(ApiError::conflict(
            "NoNetworkAvailable",
            "Unable to create the network. No tenant network is available for allocation.",
        ))
    }
}

fn valid_key(id: i64) -> Result<u32, ApiError> {
    let number = u32::try_from(id)
        .ok()
        .filter(|number| (1..=LAST_KEY).contains(number));
    number.ok_or_else(|| {
        ApiError::invalid_input(format!(
            "segmentation_id out of range (1 through {LAST_KEY})"
        ))
    })
}

/// Provider networks name a physical network, which some hypervisor must be attached to.
fn unsupported(kind: &str, physical: Option<&str>, facts: &Facts) -> ApiError {
    let label = match kind {
        "flat" => "flat",
        "vlan" => "VLAN",
        _ => return ApiError::invalid_input(format!("network_type value '{kind}' not supported")),
    };
    let is_known = |name: &str| {
        facts
            .chassis()
            .values()
            .any(|chassis| chassis.bridge_mappings.contains_key(name))
    };
    let message = match physical {
        None => format!("physical_network required for {label} provider network"),
        Some(name) if is_known(name) => format!("network_type value '{kind}' not supported"),
        Some(name) => format!("physical_network '{name}' unknown for {label} provider network"),
    };
    ApiError::invalid_input(message)
}

fn type_name(kind: NetworkType) -> &'static str {
    match kind {
        NetworkType::Vxlan => "vxlan",
        NetworkType::Gre => "gre",
        NetworkType::Geneve => "geneve",
        NetworkType::Flat => "flat",
        NetworkType::Vlan => "vlan",
    }
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

/// Stores a network again because something that belongs to it changed: whoever rests on it must look again.
pub(super) fn revise(draft: &mut Draft, network: &Network) {
    let mut meta = network.meta.clone();
    draft.revise(&mut meta);
    network.put_with_meta(draft, meta);
}

/// The router ports on a network.
pub(super) fn router_ports(
    intent: &Intent,
    network: NetworkId,
) -> impl Iterator<Item = &Arc<Port>> {
    intent
        .ports_of(network)
        .filter(|port| port.router().is_some())
}
