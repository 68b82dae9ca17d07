//! The kinds of resources, a row each.

use crate::api::contract::error::ApiError;
use crate::api::contract::kind::Kind;
use imbl::OrdMap;
use sextant_model::{
    AddressScope, AddressScopeId, Intent, Meta, Network, NetworkId, Object, Port, PortId,
    RbacPolicy, RbacPolicyId, Router, RouterId, SecurityGroup, SecurityGroupId, SecurityGroupRule,
    SecurityGroupRuleId, Subnet, SubnetId, SubnetPool, SubnetPoolId,
};
use std::sync::Arc;

macro_rules! kinds {
    ($($kind:ident, $id:ident, $table:ident, $one:literal, $many:literal, $path:literal, $missing:literal, $message:literal;)*) => {
        $(
            impl Kind for $kind {
                const NAME: &'static str = $one;
                const COLLECTION: &'static str = $many;
                const PATH: &'static str = $path;
                type Id = $id;

                fn id(&self) -> $id {
                    self.id
                }

                fn meta(&self) -> &Meta {
                    &self.meta
                }

                fn meta_mut(&mut self) -> &mut Meta {
                    &mut self.meta
                }

                fn table(intent: &Intent) -> &OrdMap<$id, Arc<Self>> {
                    &intent.$table
                }

                fn into_object(self) -> Object {
                    Object::$kind(Arc::new(self))
                }

                fn missing(id: &str) -> ApiError {
                    ApiError::not_found($missing, format!($message, id))
                }
            }
        )*
    };
}

// The type and its id; where the intent has them; the names of one, of many, and in paths; the error when there is none.
#[rustfmt::skip]
kinds! {
    Network, NetworkId, networks, "network", "networks", "networks", "NetworkNotFound", "Network {} could not be found.";
    Subnet, SubnetId, subnets, "subnet", "subnets", "subnets", "SubnetNotFound", "Subnet {} could not be found.";
    SubnetPool, SubnetPoolId, subnet_pools, "subnetpool", "subnetpools", "subnetpools", "SubnetPoolNotFound", "Subnet pool {} could not be found.";
    AddressScope, AddressScopeId, address_scopes, "address_scope", "address_scopes", "address-scopes", "AddressScopeNotFound", "Address scope {} could not be found.";
    Port, PortId, ports, "port", "ports", "ports", "PortNotFound", "Port {} could not be found.";
    Router, RouterId, routers, "router", "routers", "routers", "RouterNotFound", "Router {} could not be found";
    SecurityGroup, SecurityGroupId, security_groups, "security_group", "security_groups", "security-groups", "SecurityGroupNotFound", "Security group {} does not exist";
    SecurityGroupRule, SecurityGroupRuleId, security_group_rules, "security_group_rule", "security_group_rules", "security-group-rules", "SecurityGroupRuleNotFound", "Security group rule {} does not exist";
    RbacPolicy, RbacPolicyId, rbac_policies, "rbac_policy", "rbac_policies", "rbac-policies", "RbacPolicyNotFound", "RBAC policy of type unknown with ID {} not found";
}
