//! The indexes of ports.

use super::addresses;
use crate::api::contract::index::{Ids, parsed, texts, unordered};
use crate::api::contract::view::ResourceView;
use sextant_model::{ChassisId, IndexedValue, Port, PortId, Span};

type Found<'a> = Option<Vec<Ids<'a, PortId>>>;

pub(super) fn on_network<'a>(
    view: ResourceView<'a>,
    networks: &[String],
    span: Span<PortId>,
) -> Found<'a> {
    parsed(networks, |network| view.intent.port_ids_of(network, span))
}

pub(super) fn under_group<'a>(
    view: ResourceView<'a>,
    groups: &[String],
    span: Span<PortId>,
) -> Found<'a> {
    parsed(groups, |group| view.intent.port_ids_under(group, span))
}

pub(super) fn of_device<'a>(
    view: ResourceView<'a>,
    devices: &[String],
    span: Span<PortId>,
) -> Found<'a> {
    texts::<Port>(view, devices, span, |device| IndexedValue::Device(device))
}

pub(super) fn with_mac<'a>(
    view: ResourceView<'a>,
    macs: &[String],
    span: Span<PortId>,
) -> Found<'a> {
    parsed(macs, |mac| {
        let ids = view.intent.ids_with(IndexedValue::Mac(mac), span);
        ids.into_iter().flatten()
    })
}

/// By addresses, else by subnets.
pub(super) fn with_fixed_ips<'a>(
    view: ResourceView<'a>,
    filters: &[String],
    span: Span<PortId>,
) -> Found<'a> {
    let given = addresses::values_of("ip_address", filters);
    if !given.is_empty() && !given.iter().any(|address| addresses::may_wait(address)) {
        return parsed(&given, |address| view.intent.holder_ids_of(address, span));
    }
    let subnets = addresses::values_of("subnet_id", filters);
    if subnets.is_empty() {
        return None;
    }
    parsed(&subnets, |subnet| {
        let ids = view.intent.ids_with(IndexedValue::Subnet(subnet), span);
        ids.into_iter().flatten()
    })
}

/// Ports are shown on the host that was asked for, else where their interface or their router's gateway is.
pub(super) fn on_host<'a>(
    view: ResourceView<'a>,
    hosts: &[String],
    span: Span<PortId>,
) -> Found<'a> {
    let mut found = texts::<Port>(view, hosts, span, |host| IndexedValue::Host(host))?;
    for host in hosts {
        let host = ChassisId::new(host);
        let gateways = view.facts.gateways_on(&host);
        let gateways = gateways.flat_map(|(_, router)| view.intent.gateway_ids_of(router, span));
        found.push(unordered(view.facts.ports_on(&host).chain(gateways), span));
    }
    Some(found)
}
