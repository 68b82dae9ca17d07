//! What was asked for.

mod apply;
mod lookup;
#[cfg(test)]
mod tests;

pub use lookup::{IndexedValue, Span};

use crate::counts::Counts;
use crate::{
    AddressScope, AddressScopeId, Claim, Counted, GroupNumber, Key, MacAddr, Mark, MemberAddress,
    Network, NetworkId, NovaPort, ObjectKey, Port, PortId, ProjectQuota, RbacObject, RbacPolicy,
    RbacPolicyId, Router, RouterId, SecurityGroup, SecurityGroupId, SecurityGroupRule,
    SecurityGroupRuleId, ServerIdentity, Settings, Subnet, SubnetId, SubnetPool, SubnetPoolId,
    Withdrawn,
};
use imbl::{OrdMap, OrdSet};
use lookup::ValueIndex;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// One immutable version of what was asked for, by the API and the configuration.
///
/// The indexes follow from the objects. Only [`Intent::apply`] changes either.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intent {
    /// Networks.
    pub networks: OrdMap<NetworkId, Arc<Network>>,
    /// Subnets.
    pub subnets: OrdMap<SubnetId, Arc<Subnet>>,
    /// Ports, of guests and of routers.
    pub ports: OrdMap<PortId, Arc<Port>>,
    /// Routers.
    pub routers: OrdMap<RouterId, Arc<Router>>,
    /// Pools of prefixes.
    pub subnet_pools: OrdMap<SubnetPoolId, Arc<SubnetPool>>,
    /// Scopes of unique addresses.
    pub address_scopes: OrdMap<AddressScopeId, Arc<AddressScope>>,
    /// Security groups.
    pub security_groups: OrdMap<SecurityGroupId, Arc<SecurityGroup>>,
    /// Their rules.
    pub security_group_rules: OrdMap<SecurityGroupRuleId, Arc<SecurityGroupRule>>,
    /// Who may use what others own.
    pub rbac_policies: OrdMap<RbacPolicyId, Arc<RbacPolicy>>,
    /// What projects may have that differ from the default.
    pub quotas: OrdMap<String, Arc<ProjectQuota>>,
    /// What routers' ports on a network do not advertise any more.
    pub withdrawn: OrdMap<(NetworkId, PortId), Arc<Withdrawn>>,
    /// What Nova was told of guests' ports.
    pub nova_ports: OrdMap<PortId, Arc<NovaPort>>,
    /// Who the DHCPv6 server is.
    pub server_identity: Option<ServerIdentity>,
    /// What the configuration says.
    pub settings: Arc<Settings>,
    subnets_of: OrdSet<(NetworkId, SubnetId)>,
    pub(crate) delegated: OrdSet<SubnetId>,
    ports_of: OrdSet<(NetworkId, PortId)>,
    pub(crate) router_ports_of: OrdSet<(NetworkId, PortId)>,
    interfaces_of: OrdSet<(RouterId, PortId)>,
    pub(crate) gateways_of: OrdSet<(RouterId, PortId)>,
    gateway_ports_of: OrdSet<(NetworkId, PortId)>,
    users_of: OrdSet<(NetworkId, MacAddr, PortId)>,
    holders_of: OrdSet<(IpAddr, PortId)>,
    default_groups: OrdMap<String, SecurityGroupId>,
    rules_of: OrdSet<(SecurityGroupId, SecurityGroupRuleId)>,
    rules_about: OrdSet<(SecurityGroupId, SecurityGroupRuleId)>,
    ports_under: OrdSet<(SecurityGroupId, PortId)>,
    groups_at: OrdSet<(MemberAddress, SecurityGroupId, PortId)>,
    group_numbers: OrdMap<SecurityGroupId, GroupNumber>,
    numbered_groups: OrdMap<GroupNumber, SecurityGroupId>,
    policies_for: OrdSet<(RbacObject, RbacPolicyId)>,
    found_by: ValueIndex,
    claims: OrdSet<Claim>,
    marks: OrdSet<Mark>,
    counts: Counts,
}

/// Members of security groups at one time. Two are equal if nobody has come or gone between, which costs nothing to find out.
#[derive(Clone, Debug)]
pub struct Membership(OrdSet<(MemberAddress, SecurityGroupId, PortId)>);

impl PartialEq for Membership {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Intent {
    /// An empty cloud with this configuration.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            ..Self::default()
        }
    }

    /// Whether the object or claim of a key exists. Intent knows no facts.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        match key {
            Key::Object(key) => self.has_object(key),
            Key::Claim(claim) => self.is_claimed(claim),
            Key::Mark(mark) => self.marks.contains(mark),
            Key::Fact(_) => false,
        }
    }

    fn has_object(&self, key: &ObjectKey) -> bool {
        match key {
            ObjectKey::Network(id) => self.networks.contains_key(id),
            ObjectKey::Subnet(id) => self.subnets.contains_key(id),
            ObjectKey::Port(id) => self.ports.contains_key(id),
            ObjectKey::Router(id) => self.routers.contains_key(id),
            ObjectKey::SubnetPool(id) => self.subnet_pools.contains_key(id),
            ObjectKey::AddressScope(id) => self.address_scopes.contains_key(id),
            ObjectKey::SecurityGroup(id) => self.security_groups.contains_key(id),
            ObjectKey::SecurityGroupRule(id) => self.security_group_rules.contains_key(id),
            ObjectKey::RbacPolicy(id) => self.rbac_policies.contains_key(id),
            ObjectKey::Quota(project) => self.quotas.contains_key(project),
            ObjectKey::ServerIdentity => self.server_identity.is_some(),
            ObjectKey::NovaPort(port) => self.nova_ports.contains_key(port),
            ObjectKey::Withdrawn(network, port) => self.withdrawn.contains_key(&(*network, *port)),
        }
    }

    /// What routers' ports on a network do not advertise any more.
    pub fn withdrawn_on(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Withdrawn>> {
        let range = (network, PortId::MIN)..=(network, PortId::MAX);
        self.withdrawn.range(range).map(|(_, gone)| gone)
    }

    /// Whether somebody has what this claim names.
    #[must_use]
    pub fn is_claimed(&self, claim: &Claim) -> bool {
        self.claims.contains(claim)
    }

    /// How many objects of a kind a project has.
    #[must_use]
    pub fn count_of(&self, project: &str, kind: Counted) -> u64 {
        self.counts.get(project, kind)
    }

    /// How many objects of each kind each project has, where it has any.
    pub fn counts(&self) -> impl Iterator<Item = (&str, Counted, u64)> {
        self.counts.iter()
    }

    /// How many objects of a kind a project may have. `None`: no limit.
    #[must_use]
    pub fn quota_of(&self, project: &str, kind: Counted) -> Option<u64> {
        let set = self.quotas.get(project);
        let set = set.and_then(|quota| quota.limits.get(&kind));
        set.copied()
            .unwrap_or_else(|| self.settings.quotas.limit(kind))
    }

    /// The addresses of a subnet that ports have, in order.
    pub fn claimed_addresses(&self, subnet: SubnetId) -> impl Iterator<Item = IpAddr> + '_ {
        let first = Claim::Address(subnet, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let last = Claim::Address(subnet, IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));
        self.claims.range(first..=last).filter_map(|key| {
            if let Claim::Address(_, address) = key {
                Some(*address)
            } else {
                None
            }
        })
    }

    /// The subnets of a network, by id.
    pub fn subnets_of(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Subnet>> {
        let range = (network, SubnetId::MIN)..=(network, SubnetId::MAX);
        self.subnets_of
            .range(range)
            .filter_map(|(_, subnet)| self.subnets.get(subnet))
    }

    /// All ports of a network, by id.
    pub fn ports_of(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Port>> {
        self.ports_of
            .range(ports_in(network))
            .filter_map(|(_, port)| self.ports.get(port))
    }

    /// The routers' ports on a network, by id.
    pub fn router_ports_of(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Port>> {
        self.router_ports_of
            .range(ports_in(network))
            .filter_map(|(_, port)| self.ports.get(port))
    }

    /// The routers' gateway ports on an external network, by id.
    pub fn gateway_ports_of(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Port>> {
        self.gateway_ports_of
            .range(ports_in(network))
            .filter_map(|(_, port)| self.ports.get(port))
    }

    /// The ports of a network that may use this MAC besides their own, by id.
    pub fn users_of(&self, network: NetworkId, mac: MacAddr) -> impl Iterator<Item = &Arc<Port>> {
        let range = (network, mac, PortId::MIN)..=(network, mac, PortId::MAX);
        self.users_of
            .range(range)
            .filter_map(|(_, _, port)| self.ports.get(port))
    }

    /// The ports of any network that were given an address, by id.
    pub fn holders_of(&self, address: IpAddr) -> impl Iterator<Item = &Arc<Port>> {
        let range = (address, PortId::MIN)..=(address, PortId::MAX);
        self.holders_of
            .range(range)
            .filter_map(|(_, port)| self.ports.get(port))
    }

    /// The ports of a router, by id.
    pub fn interfaces_of(&self, router: RouterId) -> impl Iterator<Item = &Arc<Port>> {
        let range = (router, PortId::MIN)..=(router, PortId::MAX);
        self.interfaces_of
            .range(range)
            .filter_map(|(_, port)| self.ports.get(port))
    }

    /// The port of a router on its external network.
    #[must_use]
    pub fn gateway_of(&self, router: RouterId) -> Option<&Arc<Port>> {
        let range = (router, PortId::MIN)..=(router, PortId::MAX);
        let mut ports = self.gateways_of.range(range);
        ports.find_map(|(_, port)| self.ports.get(port))
    }

    /// The security group that a project's ports get if they name none.
    #[must_use]
    pub fn default_group_of(&self, project: &str) -> Option<SecurityGroupId> {
        self.default_groups.get(project).copied()
    }

    /// The rules of a security group, by id.
    pub fn rules_of(
        &self,
        group: SecurityGroupId,
    ) -> impl Iterator<Item = &Arc<SecurityGroupRule>> {
        self.rules_of
            .range(rules_in(group))
            .filter_map(|(_, rule)| self.security_group_rules.get(rule))
    }

    /// The rules of any group whose other end is this group, by id.
    pub fn rules_about(
        &self,
        group: SecurityGroupId,
    ) -> impl Iterator<Item = &Arc<SecurityGroupRule>> {
        self.rules_about
            .range(rules_in(group))
            .filter_map(|(_, rule)| self.security_group_rules.get(rule))
    }

    /// The ports under a security group, by id.
    pub fn ports_under(&self, group: SecurityGroupId) -> impl Iterator<Item = &Arc<Port>> {
        let range = (group, PortId::MIN)..=(group, PortId::MAX);
        self.ports_under
            .range(range)
            .filter_map(|(_, port)| self.ports.get(port))
    }

    /// The groups with a port of this address, by id. A group with several such ports is repeated.
    pub fn groups_at(
        &self,
        address: &MemberAddress,
    ) -> impl Iterator<Item = SecurityGroupId> + use<'_> {
        let address = *address;
        let range = (address, SecurityGroupId::MIN, PortId::MIN)
            ..=(address, SecurityGroupId::MAX, PortId::MAX);
        self.groups_at.range(range).map(|(_, group, _)| *group)
    }

    /// Who is a member of which groups, to be compared with what it was or comes to be.
    #[must_use]
    pub fn membership(&self) -> Membership {
        Membership(self.groups_at.clone())
    }

    /// The number of a group in the pipeline.
    #[must_use]
    pub fn group_number(&self, group: SecurityGroupId) -> Option<GroupNumber> {
        self.group_numbers.get(&group).copied()
    }

    /// The policies that let others use an object, by id.
    pub fn policies_for(&self, object: RbacObject) -> impl Iterator<Item = &Arc<RbacPolicy>> {
        let range = (object, RbacPolicyId::MIN)..=(object, RbacPolicyId::MAX);
        self.policies_for
            .range(range)
            .filter_map(|(_, policy)| self.rbac_policies.get(policy))
    }
}

/// What a port adds to the members of its groups. A port without groups costs nothing.
fn memberships(
    port: &Port,
) -> impl Iterator<Item = (MemberAddress, SecurityGroupId, PortId)> + use<'_> {
    let groups = port.security_groups.iter();
    groups.flat_map(|group| {
        let addresses = port.member_addresses().into_iter();
        addresses.map(|address| (address, *group, port.id))
    })
}

fn rules_in(group: SecurityGroupId) -> RangeInclusive<(SecurityGroupId, SecurityGroupRuleId)> {
    (group, SecurityGroupRuleId::MIN)..=(group, SecurityGroupRuleId::MAX)
}

fn ports_in(network: NetworkId) -> RangeInclusive<(NetworkId, PortId)> {
    (network, PortId::MIN)..=(network, PortId::MAX)
}
