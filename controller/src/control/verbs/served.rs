//! What a flow serves, with the names that people gave: objects, and the rules, subnets and routes that are parts of them.

use super::flows::Owners;
use rust_openflow::Cookie;
use serde::{Deserialize, Serialize};
use sextant_flows::trace::Packet;
use sextant_flows::{Flow, FlowPurpose, PipelineObject, View, purposes};
use sextant_model::{
    Direction, Intent, IpVersion, MemberAddress, Meta, NetworkId, PortId, RemoteEnd, RouterId,
    SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId, SubnetId,
};

/// Something that a flow serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedObject {
    /// What it is: `port`, `network`, `router`, `subnet`, `route`, `security group rule`, …
    pub kind: String,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Its name, if somebody gave it one.
    pub name: Option<String>,
    /// What people call it, with the names of what it belongs to.
    pub words: String,
}

/// What a flow serves. With a packet that the flow matches, only the rules because of which it does.
pub(super) fn served(
    view: &View<'_>,
    owners: &Owners<'_>,
    (cookie, flow): (Cookie, &Flow),
    packet: Option<&Packet>,
) -> Vec<ServedObject> {
    let objects = owners.get(&cookie).into_iter().flatten();
    let served = objects.flat_map(|object| {
        let purposes = purposes(view, object, flow, packet);
        match purposes.is_empty() {
            true => vec![of_object(view.intent, object)],
            false => purposes
                .iter()
                .filter_map(|purpose| of_purpose(view.intent, purpose))
                .collect(),
        }
    });
    served.collect()
}

/// What people call an object that has an id: by its name, or else by its id.
pub(super) fn called(kind: &str, id: impl ToString, meta: Option<&Meta>) -> String {
    match meta.filter(|meta| !meta.name.is_empty()) {
        Some(meta) => format!("{kind} '{}'", meta.name),
        None => format!("{kind} {}", id.to_string()),
    }
}

pub(super) fn port(intent: &Intent, id: PortId) -> String {
    let meta = intent.ports.get(&id).map(|port| &port.meta);
    called("port", id, meta)
}

pub(super) fn network(intent: &Intent, id: NetworkId) -> String {
    let meta = intent.networks.get(&id).map(|network| &network.meta);
    called("network", id, meta)
}

pub(super) fn router(intent: &Intent, id: RouterId) -> String {
    let meta = intent.routers.get(&id).map(|router| &router.meta);
    called("router", id, meta)
}

/// Several security groups.
pub(super) fn groups<'g>(
    intent: &Intent,
    ids: impl IntoIterator<Item = &'g SecurityGroupId>,
) -> String {
    let names: Vec<String> = ids.into_iter().map(|id| group(intent, *id)).collect();
    names.join(" and ")
}

fn group(intent: &Intent, id: SecurityGroupId) -> String {
    let meta = intent.security_groups.get(&id).map(|group| &group.meta);
    called("security group", id, meta)
}

impl ServedObject {
    fn new(kind: &str, id: impl ToString, meta: Option<&Meta>, words: String) -> Self {
        let name = meta.map(|meta| meta.name.clone());
        Self {
            kind: kind.to_owned(),
            id: Some(id.to_string()),
            name: name.filter(|name| !name.is_empty()),
            words,
        }
    }

    fn without_id(kind: &str, words: String) -> Self {
        Self {
            kind: kind.to_owned(),
            id: None,
            name: None,
            words,
        }
    }

    /// Its words, with its id.
    pub(super) fn identified(&self) -> String {
        match &self.id {
            Some(id) if !self.words.contains(id.as_str()) => format!("{} ({id})", self.words),
            Some(_) | None => self.words.clone(),
        }
    }
}

fn of_object(intent: &Intent, object: &PipelineObject) -> ServedObject {
    match object {
        PipelineObject::Base => ServedObject::without_id("hypervisor", object.to_string()),
        PipelineObject::Peer(_) => ServedObject::without_id("tunnel", object.to_string()),
        PipelineObject::Network(id) => of_network(intent, *id, network(intent, *id)),
        PipelineObject::Members(id, _) => {
            of_network(intent, *id, format!("members of {}", network(intent, *id)))
        }
        PipelineObject::SharedMac(id, mac) => of_network(
            intent,
            *id,
            format!("MAC {mac} of {}", network(intent, *id)),
        ),
        PipelineObject::Port(id) => of_port(intent, *id),
        PipelineObject::Expected(id) => {
            let words = format!("the guest of {}, which is expected", port(intent, *id));
            ServedObject {
                words,
                ..of_port(intent, *id)
            }
        }
        PipelineObject::Router(id) => {
            let meta = intent.routers.get(id).map(|router| &router.meta);
            ServedObject::new("router", id, meta, router(intent, *id))
        }
        PipelineObject::Policy(ids) => {
            let words = format!("ports under {}", groups(intent, ids));
            ServedObject::without_id("security groups", words)
        }
        PipelineObject::Member(address) => {
            let words = format!("{} as a member of security groups", member(address));
            ServedObject::without_id("member", words)
        }
    }
}

fn member(address: &MemberAddress) -> String {
    match address {
        MemberAddress::Given(prefix) => prefix.to_string(),
        MemberAddress::OnLink(_, address) => address.to_string(),
    }
}

fn of_network(intent: &Intent, id: NetworkId, words: String) -> ServedObject {
    let meta = intent.networks.get(&id).map(|network| &network.meta);
    ServedObject::new("network", id, meta, words)
}

/// A port of a router is called by its router.
fn of_port(intent: &Intent, id: PortId) -> ServedObject {
    let Some(found) = intent.ports.get(&id) else {
        return ServedObject::new("port", id, None, port(intent, id));
    };
    let on = network(intent, found.network_id);
    let words = match (found.router(), found.gateway_of()) {
        (Some(of), _) => format!("{} on {on}", router(intent, of)),
        (None, Some(of)) => format!("gateway of {} on {on}", router(intent, of)),
        (None, None) => format!("{} of {on}", port(intent, id)),
    };
    ServedObject::new("port", id, Some(&found.meta), words)
}

/// `None`: it has gone since.
fn of_purpose(intent: &Intent, purpose: &FlowPurpose) -> Option<ServedObject> {
    Some(match purpose {
        FlowPurpose::Rule(id) => of_rule(intent, *id)?,
        FlowPurpose::Subnet { router: of, subnet } => of_subnet(intent, *of, *subnet)?,
        FlowPurpose::Route {
            router: of,
            destination,
            hops,
        } => {
            let hops: Vec<String> = hops.iter().map(ToString::to_string).collect();
            let of = router(intent, *of);
            let words = format!("route of {of} to {destination} by {}", hops.join(", "));
            ServedObject::without_id("route", words)
        }
        FlowPurpose::Outside {
            router: of,
            network: by,
        } => {
            let (of, by) = (router(intent, *of), network(intent, *by));
            ServedObject::without_id("route", format!("default route of {of} by {by}"))
        }
    })
}

fn of_subnet(intent: &Intent, of: RouterId, id: SubnetId) -> Option<ServedObject> {
    let subnet = intent.subnets.get(&id)?;
    let words = format!(
        "{}, {} {} of {}",
        router(intent, of),
        called("subnet", id, Some(&subnet.meta)),
        subnet.cidr,
        network(intent, subnet.network_id)
    );
    Some(ServedObject::new("subnet", id, Some(&subnet.meta), words))
}

fn of_rule(intent: &Intent, id: SecurityGroupRuleId) -> Option<ServedObject> {
    let rule = intent.security_group_rules.get(&id)?;
    let of = group(intent, rule.security_group_id);
    let words = format!("rule of {of}: {}", rule_in_words(intent, rule));
    Some(ServedObject::new("security group rule", id, None, words))
}

/// `ingress IPv6 tcp 22 from 2001:db8::/32`.
fn rule_in_words(intent: &Intent, rule: &SecurityGroupRule) -> String {
    let (direction, side) = match rule.direction {
        Direction::Ingress => ("ingress", "from"),
        Direction::Egress => ("egress", "to"),
    };
    let family = match rule.ethertype {
        IpVersion::V4 => "IPv4",
        IpVersion::V6 => "IPv6",
    };
    let other = match rule.remote {
        RemoteEnd::Anybody => "anybody".to_owned(),
        RemoteEnd::Prefix(prefix) => prefix.to_string(),
        RemoteEnd::Group(id) => format!("members of {}", group(intent, id)),
    };
    format!("{direction} {family} {} {side} {other}", packets(rule))
}

/// The protocol of a rule, with its ports, or with its ICMP type and code.
fn packets(rule: &SecurityGroupRule) -> String {
    let Some(protocol) = rule.only_protocol() else {
        return "of any protocol".to_owned();
    };
    let (min, max) = (rule.port_range_min, rule.port_range_max);
    let range = match (min, max) {
        (Some(kind), code) if is_icmp(protocol.number) => {
            let code = code.map_or_else(String::new, |code| format!(" code {code}"));
            format!(" type {kind}{code}")
        }
        (Some(first), Some(last)) if first != last => format!(" {first}-{last}"),
        (Some(only), _) | (None, Some(only)) => format!(" {only}"),
        (None, None) => String::new(),
    };
    format!("{}{range}", protocol.name)
}

/// ICMP and ICMPv6 by number (IANA): the range of their rules is a type and a code.
fn is_icmp(protocol: u8) -> bool {
    [1, 58].contains(&protocol)
}
