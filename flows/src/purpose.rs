//! Which part of an object a flow serves, where an object has parts: a rule of a security group, a subnet, a route.
//!
//! Nothing of it is needed to compute flows. It is found out again from the flow when somebody asks.

use crate::contribution::PipelineObject;
use crate::features::{ethertype, routing, security};
use crate::flow::Flow;
use crate::pipeline::{Stage, route};
use crate::trace::Packet;
use crate::view::View;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rust_openflow::{Field, Match};
use sextant_model::{NetworkId, Port, Router, RouterId, SecurityGroupRuleId, SubnetId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A part of an object that a flow serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowPurpose {
    /// It lets pass what this rule of a security group allows.
    Rule(SecurityGroupRuleId),
    /// It leads from a router to a subnet of one of its networks.
    Subnet {
        /// The router.
        router: RouterId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// It is a route by way of neighbours.
    Route {
        /// The router.
        router: RouterId,
        /// Where it leads.
        destination: IpNet,
        /// The neighbours.
        hops: Vec<IpAddr>,
    },
    /// It leads from a router to everywhere else, by the router's external network.
    Outside {
        /// The router.
        router: RouterId,
        /// The external network.
        network: NetworkId,
    },
}

/// The parts of an object that a flow serves. Empty where the object has no parts, or the flow serves all of it. With a
/// packet that the flow matches, only the parts because of which it does.
#[must_use]
pub fn purposes(
    view: &View<'_>,
    object: &PipelineObject,
    flow: &Flow,
    packet: Option<&Packet>,
) -> Vec<FlowPurpose> {
    match object {
        PipelineObject::Policy(groups) => {
            let rules = security::rules_behind(view, groups, flow, packet);
            rules.into_iter().map(FlowPurpose::Rule).collect()
        }
        PipelineObject::Router(id) => {
            let router = view.intent.routers.get(id);
            let routed = router.and_then(|router| of_route(view, router, flow));
            routed.into_iter().collect()
        }
        PipelineObject::Base
        | PipelineObject::Peer(_)
        | PipelineObject::Network(_)
        | PipelineObject::Members(..)
        | PipelineObject::Port(_)
        | PipelineObject::Expected(_)
        | PipelineObject::SharedMac(..)
        | PipelineObject::Member(_) => vec![],
    }
}

/// The priority of a route tells which kind it is.
fn of_route(view: &View<'_>, router: &Router, flow: &Flow) -> Option<FlowPurpose> {
    if ![Stage::Route, Stage::Path].contains(&flow.stage) {
        return None;
    }
    let destination = destination(&flow.matches)?;
    let own = routing::priority(destination);
    match flow.priority {
        route::DEFAULT_ROUTE => router.external_gateway.map(|gateway| FlowPurpose::Outside {
            router: router.id,
            network: gateway.network_id,
        }),
        priority if priority == own => Some(FlowPurpose::Route {
            router: router.id,
            destination,
            hops: hops(router, destination),
        }),
        priority if priority == own + 1 => Some(FlowPurpose::Subnet {
            router: router.id,
            subnet: subnet(view, router, destination)?,
        }),
        _ => None,
    }
}

fn hops(router: &Router, destination: IpNet) -> Vec<IpAddr> {
    let routes = router.routes.iter();
    let there = routes.filter(|route| route.destination.trunc() == destination);
    there.map(|route| route.nexthop).collect()
}

/// The subnet of a prefix, on the router's networks inside and outside.
fn subnet(view: &View<'_>, router: &Router, prefix: IpNet) -> Option<SubnetId> {
    let inside = view.intent.interfaces_of(router.id);
    let mut ports = inside.chain(view.intent.gateway_of(router.id));
    ports.find_map(|port| subnet_at(view, port, prefix))
}

fn subnet_at(view: &View<'_>, port: &Port, prefix: IpNet) -> Option<SubnetId> {
    let mut ids = port.fixed_ips.iter().map(|fixed| fixed.subnet_id);
    ids.find(|id| {
        let subnet = view.intent.subnets.get(id);
        subnet.is_some_and(|subnet| subnet.cidr.trunc() == prefix)
    })
}

/// The prefix that a flow matches packets to.
fn destination(matches: &Match) -> Option<IpNet> {
    const IPV6: u128 = ethertype::IPV6 as u128;
    const IPV4: u128 = ethertype::IPV4 as u128;
    match matches.value(Field::ETH_TYPE)? {
        IPV6 => {
            let (value, length) = prefix_in(matches, Field::IPV6_DST);
            let prefix = Ipv6Net::new(Ipv6Addr::from_bits(value), length);
            prefix.ok().map(IpNet::V6)
        }
        IPV4 => {
            let (value, length) = prefix_in(matches, Field::IPV4_DST);
            let address = Ipv4Addr::from_bits(u32::try_from(value).ok()?);
            let prefix = Ipv4Net::new(address, length);
            prefix.ok().map(IpNet::V4)
        }
        _ => None,
    }
}

/// Address and length of the prefix that is matched. A field that is not matched may have any value.
fn prefix_in(matches: &Match, field: Field) -> (u128, u8) {
    let found = matches.get(field);
    found.map_or((0, 0), |found| {
        let length = found.mask.count_ones();
        (found.value, u8::try_from(length).unwrap_or(u8::MAX))
    })
}
