//! Subnets.

mod auto_address;
mod latecomers;
mod prefix;
pub(crate) mod renumber;
mod rules;

use crate::api::contract::attributes::{Attribute, Body, fixed, free, required, shown};
use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::ipam;
use crate::api::contract::network;
use crate::api::contract::resource::{Resource, View};
use crate::api::contract::shown::Shown;
use crate::api::contract::values::{self, Invalid};
use crate::api::requests::query::{Conditions, is};
use crate::api::rights::Ties;
use imbl::OrdMap;
use serde_json::{Value, json};
use sextant_model::{
    AllocationPool, HostRoute, Intent, Ipv6Mode, Key, Meta, Network, NetworkId, Object,
    PrefixSource, RbacAction, RbacObject, Subnet, SubnetId,
};
use std::net::IpAddr;
use std::sync::Arc;

impl Resource for Subnet {
    const NAME: &'static str = "subnet";
    const COLLECTION: &'static str = "subnets";
    const ATTRIBUTES: &'static [Attribute] = &[
        required("ip_version"),
        required("network_id"),
        fixed("cidr"),
        fixed("subnetpool_id"),
        fixed("use_default_subnetpool").no_filter(),
        fixed("prefixlen").no_filter(),
        free("gateway_ip"),
        free("allocation_pools").no_filter(),
        free("enable_dhcp"),
        fixed("ipv6_ra_mode"),
        fixed("ipv6_address_mode"),
        free("dns_nameservers").no_filter(),
        free("host_routes").no_filter(),
        free("service_types").no_filter(),
        fixed("segment_id"),
        shown("router:external"),
        shown("shared"),
    ];
    const FILTERS: &'static [&'static str] = &["shared"];
    type Id = SubnetId;

    fn id(&self) -> SubnetId {
        self.id
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn put_with_meta(&self, draft: &mut Draft, meta: Meta) {
        draft.put(Object::Subnet(Arc::new(Self {
            meta,
            ..self.clone()
        })));
    }

    fn missing(id: &str) -> ApiError {
        ApiError::not_found("SubnetNotFound", format!("Subnet {id} could not be found."))
    }

    fn table(intent: &Intent) -> &OrdMap<Self::Id, Arc<Self>> {
        &intent.subnets
    }

    fn indexed(intent: &Intent, conditions: &Conditions) -> Option<Vec<Arc<Self>>> {
        let networks = conditions.get("network_id")?.iter();
        let networks = networks.filter_map(|id| id.parse().ok());
        let subnets = networks.flat_map(|id| intent.subnets_of(id).cloned());
        Some(subnets.collect())
    }

    fn ties(&self) -> Ties {
        Ties::Within(RbacObject::Network(self.network_id))
    }

    fn ties_asked(body: &Body) -> Result<Ties, ApiError> {
        let network = body.require("network_id", values::uuid)?;
        Ok(Ties::Within(RbacObject::Network(NetworkId(network))))
    }

    fn permits(
        caller: &Caller,
        intent: &Intent,
        body: &Body,
        was: Option<&Self>,
    ) -> Result<(), ApiError> {
        match was {
            None => prefix::refuse_unseen_default(caller, intent, body),
            Some(_) => Ok(()),
        }
    }

    /// Whether its network is shared with the caller, which nobody is shown of a subnet.
    fn meets(&self, _: &str, values: &[String], view: View<'_>) -> bool {
        let network = RbacObject::Network(self.network_id);
        let shared = view
            .caller
            .is_granted(view.intent, network, RbacAction::AccessAsShared);
        values.iter().any(|wanted| is(&shared.into(), wanted))
    }

    fn render(&self, view: View<'_>, shown: &mut Shown<'_>) {
        let network = view.intent.networks.get(&self.network_id);
        let pools = self
            .allocation_pools
            .iter()
            .map(|pool| json!({"start": pool.start, "end": pool.end}));
        shown.all(json!({
            "network_id": self.network_id.to_string(),
            "ip_version": rules::ip_version(self),
            "cidr": self.cidr.to_string(),
            "subnetpool_id": subnetpool_id(self.prefix_source),
            "gateway_ip": self.gateway_ip,
            "allocation_pools": pools.collect::<Vec<_>>(),
            "enable_dhcp": self.enable_dhcp,
            "ipv6_ra_mode": self.ipv6_ra_mode.map(Ipv6Mode::as_str),
            "ipv6_address_mode": self.ipv6_address_mode.map(Ipv6Mode::as_str),
            "dns_nameservers": self.dns_nameservers,
            "host_routes": self.host_routes,
            "service_types": self.service_types,
            "segment_id": null,
            "router:external": network.is_some_and(|network| network.external),
        }));
    }

    fn create(draft: &mut Draft, project: String, body: &Body) -> Result<SubnetId, ApiError> {
        let network_id = NetworkId(body.require("network_id", values::uuid)?);
        let asked = Asked::read(body)?;
        let name = body
            .read("name", values::text(values::LONG))?
            .unwrap_or_default();
        let description = body
            .read("description", values::text(values::LONG))?
            .unwrap_or_default();
        let ip_version = body.require("ip_version", values::ip_version)?;
        let prefix = prefix::take(draft, body, network_id, &project)?;
        let meta = draft.meta(name, description, project, 0);
        let subnet = asked.new_subnet(SubnetId(draft.uuid()), network_id, meta, body, &prefix)?;
        rules::check_new(&subnet, ip_version, asked.pools.is_some())?;
        let network = Network::get(&draft.intent, &network_id.to_string())?;
        network::refuse_small_mtu(&network, ip_version)?;
        rules::refuse_overlap(&subnet, draft.intent.subnets_of(network_id))?;

        let id = subnet.id;
        network::revise(draft, &network);
        let subnet = Arc::new(subnet);
        auto_address::give(draft, &subnet)?;
        latecomers::give(draft, &network, &subnet);
        draft.put(Object::Subnet(subnet));
        Ok(id)
    }

    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let asked = Asked::read(body)?;
        let mut subnet = self.clone();
        crate::api::contract::attributes::change_names(&mut subnet.meta, body)?;
        asked.change(&mut subnet);
        rules::check_changed(&subnet, self, asked.pools.is_some(), &draft.intent)?;
        if subnet.gateway_ip != self.gateway_ip {
            draft.relies_on(Key::PortsOf(self.network_id));
        }
        draft.revise(&mut subnet.meta);
        draft.put(Object::Subnet(Arc::new(subnet)));
        Ok(())
    }

    /// Removes it when no port has an address of it but those that were given by themselves, which go with it.
    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        let network = Network::get(&draft.intent, &self.network_id.to_string())?;
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
        draft.relies_on(Key::PortsOf(self.network_id));
        network::revise(draft, &network);
        draft.delete(Key::Subnet(self.id));
        Ok(())
    }
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

/// What a request asks of a subnet and may ask of it again later.
struct Asked {
    gateway: Option<Option<IpAddr>>,
    pools: Option<Vec<AllocationPool>>,
    enable_dhcp: Option<bool>,
    dns_nameservers: Option<Vec<IpAddr>>,
    host_routes: Option<Vec<HostRoute>>,
    service_types: Option<Vec<String>>,
}

impl Asked {
    fn read(body: &Body) -> Result<Self, ApiError> {
        Ok(Self {
            gateway: body.read("gateway_ip", values::or_null(values::address))?,
            pools: body.read("allocation_pools", |value| values::list(value, pool))?,
            enable_dhcp: body.read("enable_dhcp", values::boolean)?,
            dns_nameservers: body
                .read("dns_nameservers", |value| values::list(value, nameserver))?,
            host_routes: body.read("host_routes", host_routes)?,
            service_types: body.read("service_types", |value| values::list(value, service_type))?,
        })
    }

    fn new_subnet(
        &self,
        id: SubnetId,
        network_id: NetworkId,
        meta: Meta,
        body: &Body,
        prefix: &prefix::Prefix,
    ) -> Result<Subnet, ApiError> {
        let ipv6_ra_mode = body.read("ipv6_ra_mode", values::mode)?;
        let ipv6_address_mode = body.read("ipv6_address_mode", values::mode)?;
        body.read("segment_id", values::nothing)?;
        let cidr = prefix.cidr;
        let gateway_ip = self.gateway.unwrap_or(Some(prefix.gateway));
        let mut subnet = Subnet {
            id,
            network_id,
            meta,
            cidr,
            gateway_ip,
            allocation_pools: ipam::default_pools(cidr, gateway_ip),
            enable_dhcp: true,
            ipv6_ra_mode,
            ipv6_address_mode,
            dns_nameservers: Vec::new(),
            host_routes: Vec::new(),
            prefix_source: prefix.source,
            service_types: Vec::new(),
        };
        self.change(&mut subnet);
        Ok(subnet)
    }

    fn change(&self, subnet: &mut Subnet) {
        subnet.gateway_ip = self.gateway.unwrap_or(subnet.gateway_ip);
        subnet.enable_dhcp = self.enable_dhcp.unwrap_or(subnet.enable_dhcp);
        if let Some(pools) = &self.pools {
            subnet.allocation_pools.clone_from(pools);
        }
        if let Some(servers) = &self.dns_nameservers {
            subnet.dns_nameservers.clone_from(servers);
        }
        if let Some(routes) = &self.host_routes {
            subnet.host_routes.clone_from(routes);
        }
        if let Some(types) = &self.service_types {
            subnet.service_types.clone_from(types);
        }
    }
}

fn pool(value: &Value) -> Result<AllocationPool, Invalid> {
    let pool = values::object(value, &["start", "end"], "IP pool")?;
    let end = |name| values::address(pool.get(name).unwrap_or(&Value::Null));
    Ok(AllocationPool {
        start: end("start")?,
        end: end("end")?,
    })
}

fn nameserver(value: &Value) -> Result<IpAddr, Invalid> {
    values::address(value).map_err(|invalid| match invalid {
        Invalid::Reason(reason) => {
            let server = crate::api::contract::python::text(value);
            Invalid::Reason(format!("'{server}' is not a valid nameserver. {reason}"))
        }
        other @ (Invalid::Input(_) | Invalid::Own(_)) => other,
    })
}

/// An owner of ports, or how those of many begin.
fn service_type(value: &Value) -> Result<String, Invalid> {
    const OWNERS: [&str; 2] = ["network:", "neutron:"];
    // Neutron takes each letter of this for the beginning of an owner, and so `test:anything`, which its users rely on.
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

/// Routes, each once; of a subnet or of a router.
pub(crate) fn host_routes(value: &Value) -> Result<Vec<HostRoute>, Invalid> {
    let routes = values::list(value, host_route)?;
    let twice = |(n, route): &(usize, &HostRoute)| routes[..*n].contains(route);
    match routes.iter().enumerate().find(twice) {
        Some((n, _)) => Err(Invalid::Reason(format!(
            "Duplicate hostroute '{}'",
            crate::api::contract::python::repr(&value[n])
        ))),
        None => Ok(routes),
    }
}

fn host_route(value: &Value) -> Result<HostRoute, Invalid> {
    let route = values::object(value, &["destination", "nexthop"], "hostroute")?;
    let destination =
        crate::api::contract::python::text(route.get("destination").unwrap_or(&Value::Null));
    let invalid = || Invalid::Reason(format!("'{destination}' is not a valid IP subnet"));
    Ok(HostRoute {
        destination: values::prefix(&destination).ok_or_else(invalid)?,
        nexthop: values::address(route.get("nexthop").unwrap_or(&Value::Null))?,
    })
}
