//! The rules: Neutron's default policies (`neutron/conf/policies/`), by their names.
//!
//! An attribute without a rule here is free for everybody who may do the rest. It needs a rule only if it needs more
//! than the resource does.

use super::relations::{
    ADMIN, EXTERNAL, MEMBER, NO_NETWORK_DEVICE, ONE_PROJECT, PARENT_MANAGER, PARENT_MEMBER,
    PARENT_READER, PROJECT, READER, SERVICE, SHARED, Who,
};

/// One rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Neutron's name for it.
    pub(super) name: &'static str,
    pub(super) operation: Operation,
    /// The attribute that it protects. `None`: the resource itself.
    pub(super) attribute: Option<&'static str>,
    /// The part of the attribute's value that it protects.
    pub(super) within: Option<&'static str>,
    pub(super) who: Who,
    /// The attribute is false or empty by default, and giving the default needs no permission.
    pub(super) has_default: bool,
}

/// The operation of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Get,
    Update,
    Delete,
    /// An action that only one kind of resource has.
    Act,
}

const MEMBERS: Who = ADMIN.or(MEMBER);
const READERS: Who = ADMIN.or(READER);
const SERVICES: Who = ADMIN.or(SERVICE);
/// Members of the project that owns the network, and services.
const NET_MEMBERS: Who = SERVICES.or(PARENT_MEMBER);
/// Members of the project that owns the network or the group.
const PARENT_MEMBERS: Who = ADMIN.or(PARENT_MEMBER);

#[rustfmt::skip]
const RULES: &[(&str, &[Rule])] = &[
    ("network", &[
        rule("create_network", MEMBERS),
        rule("get_network", READERS.or(SERVICE).or(SHARED).or(EXTERNAL)),
        rule("update_network", MEMBERS),
        rule("delete_network", MEMBERS),
        rule("create_network:shared", ADMIN).has_default(),
        rule("update_network:shared", ADMIN),
        rule("create_network:router:external", ADMIN).has_default(),
        rule("update_network:router:external", ADMIN),
        rule("create_network:is_default", ADMIN).has_default(),
        rule("update_network:is_default", ADMIN),
        rule("create_network:port_security_enabled", MEMBERS),
        rule("update_network:port_security_enabled", MEMBERS),
        rule("create_network:provider:network_type", ADMIN),
        rule("get_network:provider:network_type", ADMIN),
        rule("update_network:provider:network_type", ADMIN),
        rule("create_network:provider:physical_network", ADMIN),
        rule("get_network:provider:physical_network", ADMIN),
        rule("update_network:provider:physical_network", ADMIN),
        rule("create_network:provider:segmentation_id", ADMIN),
        rule("get_network:provider:segmentation_id", ADMIN),
        rule("update_network:provider:segmentation_id", ADMIN),
        rule("create_network:tags", MEMBERS).has_default(),
        rule("update_network:tags", MEMBERS),
        rule("delete_network:tags", MEMBERS),
    ]),
    ("subnet", &[
        rule("create_subnet", PARENT_MEMBERS),
        rule("get_subnet", READERS.or(PARENT_READER).or(SERVICE).or(SHARED).or(EXTERNAL)),
        rule("update_subnet", PARENT_MEMBERS.or(MEMBER)),
        rule("delete_subnet", PARENT_MEMBERS.or(MEMBER)),
        // Neutron has a rule for `service_types`, too, but does not enforce it.
        rule("create_subnet:segment_id", ADMIN).has_default(),
        rule("get_subnet:segment_id", ADMIN),
        rule("update_subnet:segment_id", ADMIN),
        rule("create_subnet:tags", PARENT_MEMBERS.or(MEMBER)).has_default(),
        rule("update_subnet:tags", PARENT_MEMBERS.or(MEMBER)),
        rule("delete_subnet:tags", PARENT_MEMBERS.or(MEMBER)),
    ]),
    ("port", &[
        rule("create_port", NET_MEMBERS.or(SHARED)),
        rule("get_port", READERS.or(PARENT_READER).or(SERVICE)),
        rule("update_port", MEMBERS.or(SERVICE)),
        rule("delete_port", NET_MEMBERS.or(MEMBER)),
        rule("create_port:mac_address", NET_MEMBERS),
        rule("update_port:mac_address", SERVICES.or(PARENT_MANAGER)),
        rule("create_port:fixed_ips", NET_MEMBERS.or(SHARED)),
        rule("update_port:fixed_ips", NET_MEMBERS),
        within("create_port:fixed_ips:ip_address", NET_MEMBERS),
        within("update_port:fixed_ips:ip_address", NET_MEMBERS),
        within("create_port:fixed_ips:subnet_id", NET_MEMBERS.or(SHARED)),
        within("update_port:fixed_ips:subnet_id", NET_MEMBERS.or(SHARED)),
        rule("create_port:device_id", MEMBERS.or(SERVICE)).has_default(),
        rule("update_port:device_id", MEMBERS.or(SERVICE)),
        rule("create_port:device_owner", NET_MEMBERS.or(NO_NETWORK_DEVICE)).has_default(),
        rule("update_port:device_owner", NET_MEMBERS.or(NO_NETWORK_DEVICE)),
        rule("create_port:binding:host_id", SERVICES),
        rule("get_port:binding:host_id", SERVICES),
        rule("update_port:binding:host_id", SERVICES),
        // Neutron's default allows services only, as Nova is. Here admins may plug ports as well.
        rule("create_port:binding:profile", SERVICES),
        rule("get_port:binding:profile", SERVICES),
        rule("update_port:binding:profile", SERVICES),
        rule("create_port:binding:vnic_type", MEMBERS.or(SERVICE)),
        rule("update_port:binding:vnic_type", MEMBERS.or(SERVICE)),
        rule("get_port:binding:vif_type", SERVICES),
        rule("get_port:binding:vif_details", SERVICES),
        rule("create_port:allowed_address_pairs", NET_MEMBERS),
        rule("update_port:allowed_address_pairs", NET_MEMBERS),
        within("create_port:allowed_address_pairs:mac_address", NET_MEMBERS),
        within("update_port:allowed_address_pairs:mac_address", NET_MEMBERS),
        within("create_port:allowed_address_pairs:ip_address", NET_MEMBERS),
        within("update_port:allowed_address_pairs:ip_address", NET_MEMBERS),
        rule("create_port:port_security_enabled", NET_MEMBERS),
        rule("update_port:port_security_enabled", NET_MEMBERS),
        rule("get_port:resource_request", ADMIN),
        rule("create_port:tags", MEMBERS.or(SERVICE)).has_default(),
        rule("update_port:tags", MEMBERS.or(SERVICE)),
        rule("delete_port:tags", NET_MEMBERS.or(MEMBER)),
    ]),
    // As for the profile of the active one: Neutron's default allows services only.
    ("port_binding", &[
        rule("create_port_binding", SERVICES),
        rule("get_port_binding", SERVICES),
        rule("update_port_binding", SERVICES),
        rule("delete_port_binding", SERVICES),
        rule("activate", SERVICES),
    ]),
    ("router", &[
        rule("create_router", MEMBERS),
        rule("get_router", READERS),
        rule("update_router", MEMBERS),
        rule("delete_router", MEMBERS),
        rule("get_router:distributed", ADMIN),
        rule("get_router:ha", ADMIN),
        rule("create_router:external_gateway_info", MEMBERS).has_default(),
        rule("update_router:external_gateway_info", MEMBERS),
        within("create_router:external_gateway_info:network_id", MEMBERS),
        within("update_router:external_gateway_info:network_id", MEMBERS),
        within("create_router:external_gateway_info:enable_snat", ADMIN),
        within("update_router:external_gateway_info:enable_snat", ADMIN),
        within("create_router:external_gateway_info:external_fixed_ips", ADMIN),
        within("update_router:external_gateway_info:external_fixed_ips", ADMIN),
        rule("add_router_interface", MEMBERS),
        rule("remove_router_interface", MEMBERS),
        rule("add_extraroutes", MEMBERS),
        rule("remove_extraroutes", MEMBERS),
        rule("create_router:tags", MEMBERS).has_default(),
        rule("update_router:tags", MEMBERS),
        rule("delete_router:tags", MEMBERS),
    ]),
    ("subnetpool", &[
        rule("create_subnetpool", MEMBERS),
        rule("get_subnetpool", READERS.or(SHARED)),
        rule("update_subnetpool", MEMBERS),
        rule("delete_subnetpool", MEMBERS),
        rule("create_subnetpool:shared", ADMIN).has_default(),
        rule("create_subnetpool:is_default", ADMIN).has_default(),
        rule("update_subnetpool:is_default", ADMIN),
        rule("add_prefixes", MEMBERS),
        rule("remove_prefixes", MEMBERS),
        rule("create_subnetpool:tags", MEMBERS).has_default(),
        rule("update_subnetpool:tags", MEMBERS),
        rule("delete_subnetpool:tags", MEMBERS),
    ]),
    ("address_scope", &[
        rule("create_address_scope", MEMBERS),
        rule("get_address_scope", READERS.or(SHARED)),
        rule("update_address_scope", MEMBERS),
        rule("delete_address_scope", MEMBERS),
        rule("create_address_scope:shared", ADMIN).has_default(),
        rule("update_address_scope:shared", ADMIN),
        rule("create_address_scope:tags", MEMBERS).has_default(),
        rule("update_address_scope:tags", MEMBERS),
        rule("delete_address_scope:tags", MEMBERS),
    ]),
    ("security_group", &[
        rule("create_security_group", MEMBERS),
        rule("get_security_group", READERS.or(SHARED)),
        rule("update_security_group", MEMBERS),
        rule("delete_security_group", MEMBERS),
        rule("create_security_group:tags", MEMBERS).has_default(),
        rule("update_security_group:tags", MEMBERS),
        rule("delete_security_group:tags", MEMBERS),
    ]),
    ("security_group_rule", &[
        rule("create_security_group_rule", PARENT_MEMBERS),
        rule("get_security_group_rule", READERS.or(PARENT_READER)),
        rule("update_security_group_rule", PARENT_MEMBERS),
        rule("delete_security_group_rule", PARENT_MEMBERS),
    ]),
    ("rbac_policy", &[
        rule("create_rbac_policy", MEMBERS),
        rule("get_rbac_policy", READERS),
        rule("update_rbac_policy", MEMBERS),
        rule("delete_rbac_policy", MEMBERS),
        rule("create_rbac_policy:target_tenant", ADMIN.or(ONE_PROJECT)),
        rule("update_rbac_policy:target_tenant", ADMIN.or(ONE_PROJECT)),
    ]),
    ("quota", &[
        rule("get_quota", ADMIN.or(PROJECT)),
        rule("update_quota", ADMIN),
        rule("delete_quota", ADMIN),
    ]),
    ("agent", &[
        rule("get_agent", ADMIN),
        rule("delete_agent", ADMIN),
        rule("get_l3-agents", ADMIN),
        rule("get_dhcp-agents", ADMIN),
    ]),
    ("network_ip_availability", &[
        rule("get_network_ip_availability", ADMIN),
    ]),
];

/// A rule by its name: `create_port`, `create_port:mac_address`, `add_router_interface`.
const fn rule(name: &'static str, who: Who) -> Rule {
    let (verb, rest) = name.split_at(find(name, b'_'));
    let colon = find(rest, b':');
    let attribute = match colon == rest.len() {
        true => None,
        false => Some(rest.split_at(colon + 1).1),
    };
    Rule {
        name,
        operation: operation(verb),
        attribute,
        within: None,
        who,
        has_default: false,
    }
}

/// A rule about a part of an attribute's value: `create_port:fixed_ips:ip_address`.
const fn within(name: &'static str, who: Who) -> Rule {
    let rule = rule(name, who);
    let Some(attribute) = rule.attribute else {
        panic!("a rule within no attribute");
    };
    let colon = find(attribute, b':');
    Rule {
        attribute: Some(attribute.split_at(colon).0),
        within: Some(attribute.split_at(colon + 1).1),
        ..rule
    }
}

impl Rule {
    const fn has_default(self) -> Self {
        Self {
            has_default: true,
            ..self
        }
    }
}

const fn operation(verb: &str) -> Operation {
    match verb.as_bytes() {
        b"create" => Operation::Create,
        b"get" => Operation::Get,
        b"update" => Operation::Update,
        b"delete" => Operation::Delete,
        _ => Operation::Act,
    }
}

/// Where a character is first, or where the text ends.
const fn find(text: &str, wanted: u8) -> usize {
    let mut at = 0;
    while at < text.len() && text.as_bytes()[at] != wanted {
        at += 1;
    }
    at
}

/// A rule for an attribute that the table has none for. It counts only if an operator sets it, so `who` is never asked.
pub(super) const fn unset(
    name: &'static str,
    operation: Operation,
    attribute: &'static str,
) -> Rule {
    Rule {
        name,
        operation,
        attribute: Some(attribute),
        within: None,
        who: ADMIN,
        has_default: false,
    }
}

/// The rule of this name, if there is one.
pub(super) fn rule_named(name: &str) -> Option<&'static Rule> {
    let mut rules = RULES.iter().flat_map(|(_, rules)| *rules);
    rules.find(|rule| rule.name == name)
}

/// The rules of a resource. A resource without rules does not compile.
pub(super) const fn rules_of(resource: &str) -> &'static [Rule] {
    let mut at = 0;
    while at < RULES.len() {
        if is_same(RULES[at].0, resource) {
            return RULES[at].1;
        }
        at += 1;
    }
    panic!("a resource without rules")
}

/// The rule of an operation on a resource. An operation without a rule does not compile.
pub(super) const fn rule_of(resource: &str, operation: Operation) -> Rule {
    let rules = rules_of(resource);
    let mut at = 0;
    while at < rules.len() {
        if rules[at].operation as u8 == operation as u8 && rules[at].attribute.is_none() {
            return rules[at];
        }
        at += 1;
    }
    panic!("an operation without a rule")
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    if one.len() != other.len() {
        return false;
    }
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::contract::resource::Resource;
    use std::collections::BTreeSet;

    /// Attributes that rules protect, but no resource has.
    fn unknown<R: Resource>() -> Vec<&'static str> {
        let has = |name: &str| R::attributes().any(|attribute| attribute.name == name);
        let rules = rules_of(R::NAME).iter();
        let unknown = rules.filter(|rule| rule.attribute.is_some_and(|name| !has(name)));
        unknown.map(|rule| rule.name).collect()
    }

    #[test]
    fn what_rules_protect_is_there() {
        use sextant_model as model;
        let unknown = [
            unknown::<model::Network>(),
            unknown::<model::Subnet>(),
            unknown::<model::Port>(),
            unknown::<model::Router>(),
            unknown::<model::SubnetPool>(),
            unknown::<model::AddressScope>(),
            unknown::<model::SecurityGroup>(),
            unknown::<model::SecurityGroupRule>(),
            unknown::<model::RbacPolicy>(),
        ];
        assert_eq!(unknown.concat(), [""; 0]);
    }

    #[test]
    fn a_name_says_what_its_rule_is_about() {
        let names = |rule: Rule| (rule.operation, rule.attribute, rule.within);
        assert_eq!(
            names(rule("update_network:provider:network_type", ADMIN)),
            (Operation::Update, Some("provider:network_type"), None)
        );
        assert_eq!(
            names(within("create_port:fixed_ips:ip_address", ADMIN)),
            (Operation::Create, Some("fixed_ips"), Some("ip_address"))
        );
        assert_eq!(
            names(rule("add_router_interface", ADMIN)),
            (Operation::Act, None, None)
        );
    }

    #[test]
    fn each_rule_is_there_once_and_has_the_name_of_its_resource() {
        let mut seen = BTreeSet::new();
        for (resource, rules) in RULES {
            for rule in *rules {
                assert!(seen.insert(rule.name), "{}", rule.name);
                let of_resource = rule.name.contains(&format!("_{resource}"));
                let act = rule.operation == Operation::Act || rule.name.ends_with("-agents");
                assert!(of_resource || act, "{}", rule.name);
            }
        }
    }
}
