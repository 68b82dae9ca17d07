//! What was asked for.

use crate::counts::Counts;
use crate::{
    AddressScope, AddressScopeId, Change, Counted, DEFAULT_SECURITY_GROUP, GroupNumber, Key,
    MacAddr, MemberAddress, Network, NetworkId, Object, Port, PortId, PrefixSource, ProjectQuota,
    RbacObject, RbacPolicy, RbacPolicyId, RemoteEnd, Router, RouterId, SecurityGroup,
    SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId, ServerIdentity, Settings, Subnet,
    SubnetId, SubnetPool, SubnetPoolId,
};
use imbl::{OrdMap, OrdSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// What was asked for, by the API and by the configuration: one immutable version of it.
///
/// The indexes follow from the objects; [`Intent::apply`] is the only way to change either.
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
    claims: OrdSet<Key>,
    counts: Counts,
}

impl Intent {
    /// Nothing asked for but the configuration.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            ..Self::default()
        }
    }

    /// Takes in one change of the store. Changes of what is observed are none of intent's business.
    pub fn apply(&mut self, change: &Change) {
        self.recount(change);
        match change {
            Change::Put(object) => self.put(object),
            Change::Delete(key) => self.delete(key),
        }
    }

    /// What comes to a project or leaves it is counted; what only changes is not.
    fn recount(&mut self, change: &Change) {
        let before = self.counted_object(&change.key());
        let was = before.as_ref().and_then(Object::counted);
        let is = match change {
            Change::Put(object) => object.counted(),
            Change::Delete(_) => None,
        };
        if was == is {
            return;
        }
        if let Some((project, kind)) = was {
            self.counts.take(project, kind);
        }
        if let Some((project, kind)) = is {
            self.counts.add(project, kind);
        }
    }

    /// The object under a key, of those that are counted.
    fn counted_object(&self, key: &Key) -> Option<Object> {
        match key {
            Key::Network(id) => self.networks.get(id).cloned().map(Object::Network),
            Key::Subnet(id) => self.subnets.get(id).cloned().map(Object::Subnet),
            Key::Port(id) => self.ports.get(id).cloned().map(Object::Port),
            Key::Router(id) => self.routers.get(id).cloned().map(Object::Router),
            Key::SubnetPool(id) => self.subnet_pools.get(id).cloned().map(Object::SubnetPool),
            Key::SecurityGroup(id) => {
                let group = self.security_groups.get(id).cloned();
                group.map(Object::SecurityGroup)
            }
            Key::SecurityGroupRule(id) => {
                let rule = self.security_group_rules.get(id).cloned();
                rule.map(Object::SecurityGroupRule)
            }
            Key::RbacPolicy(id) => self.rbac_policies.get(id).cloned().map(Object::RbacPolicy),
            Key::AddressScope(_)
            | Key::Quota(_)
            | Key::ServerIdentity
            | Key::Address(..)
            | Key::Mac(..)
            | Key::NetworkKey(_)
            | Key::RouterKey(_)
            | Key::DefaultSubnetPool(_)
            | Key::DefaultNetwork
            | Key::DefaultSecurityGroup(_)
            | Key::CountOf(..)
            | Key::NearQuota(..)
            | Key::PortsOf(_)
            | Key::UsesOf(_)
            | Key::Segment(..)
            | Key::Chassis(_)
            | Key::Location(_)
            | Key::Outside(..)
            | Key::Delegation(_) => None,
        }
    }

    fn put(&mut self, object: &Object) {
        match object {
            Object::Network(network) => {
                self.networks.insert(network.id, network.clone());
            }
            Object::Subnet(subnet) => {
                self.delete(&Key::Subnet(subnet.id));
                self.subnets_of.insert((subnet.network_id, subnet.id));
                if subnet.prefix_source == PrefixSource::Delegated {
                    self.delegated.insert(subnet.id);
                }
                self.subnets.insert(subnet.id, subnet.clone());
            }
            Object::Port(port) => self.put_port(port),
            Object::Router(router) => {
                self.routers.insert(router.id, router.clone());
            }
            Object::SubnetPool(pool) => {
                self.subnet_pools.insert(pool.id, pool.clone());
            }
            Object::AddressScope(scope) => {
                self.address_scopes.insert(scope.id, scope.clone());
            }
            Object::SecurityGroup(group) => self.put_group(group),
            Object::SecurityGroupRule(rule) => self.put_rule(rule),
            Object::RbacPolicy(policy) => {
                self.delete(&Key::RbacPolicy(policy.id));
                self.policies_for.insert((policy.object, policy.id));
                self.rbac_policies.insert(policy.id, policy.clone());
            }
            Object::Quota(quota) => {
                self.quotas.insert(quota.project_id.clone(), quota.clone());
            }
            Object::ServerIdentity(identity) => self.server_identity = Some(*identity),
            Object::Claim(key) => {
                self.claims.insert(key.clone());
            }
            Object::Chassis(_)
            | Object::Location(..)
            | Object::Outside(..)
            | Object::Delegation(..) => {}
        }
    }

    fn put_port(&mut self, port: &Arc<Port>) {
        self.delete(&Key::Port(port.id));
        self.ports_of.insert((port.network_id, port.id));
        if let Some(router) = port.router() {
            self.router_ports_of.insert((port.network_id, port.id));
            self.interfaces_of.insert((router, port.id));
        }
        if let Some(router) = port.gateway_of() {
            self.gateways_of.insert((router, port.id));
            self.gateway_ports_of.insert((port.network_id, port.id));
        }
        for group in &port.security_groups {
            self.ports_under.insert((*group, port.id));
        }
        for member in memberships(port) {
            self.groups_at.insert(member);
        }
        for mac in port.other_macs() {
            self.users_of.insert((port.network_id, mac, port.id));
        }
        for (_, address) in port.addresses() {
            self.holders_of.insert((address, port.id));
        }
        self.ports.insert(port.id, port.clone());
    }

    /// A group keeps its number for as long as it exists.
    fn number_group(&mut self, group: SecurityGroupId) {
        if self.group_numbers.contains_key(&group) {
            return;
        }
        let mut number = GroupNumber::of(group);
        while self.numbered_groups.contains_key(&number) {
            number = number.next();
        }
        self.group_numbers.insert(group, number);
        self.numbered_groups.insert(number, group);
    }

    fn put_group(&mut self, group: &Arc<SecurityGroup>) {
        self.number_group(group.id);
        if group.meta.name == DEFAULT_SECURITY_GROUP {
            let project = group.meta.project_id.clone();
            self.default_groups.insert(project, group.id);
        }
        self.security_groups.insert(group.id, group.clone());
    }

    fn put_rule(&mut self, rule: &Arc<SecurityGroupRule>) {
        self.delete(&Key::SecurityGroupRule(rule.id));
        self.rules_of.insert((rule.security_group_id, rule.id));
        if let RemoteEnd::Group(group) = rule.remote {
            self.rules_about.insert((group, rule.id));
        }
        self.security_group_rules.insert(rule.id, rule.clone());
    }

    fn delete(&mut self, key: &Key) {
        match key {
            Key::Network(id) => {
                self.networks.remove(id);
            }
            Key::Subnet(id) => {
                if let Some(subnet) = self.subnets.remove(id) {
                    self.subnets_of.remove(&(subnet.network_id, *id));
                    self.delegated.remove(id);
                }
            }
            Key::Port(id) => {
                if let Some(port) = self.ports.remove(id) {
                    self.forget_port(&port);
                }
            }
            Key::Router(id) => {
                self.routers.remove(id);
            }
            Key::SubnetPool(id) => {
                self.subnet_pools.remove(id);
            }
            Key::AddressScope(id) => {
                self.address_scopes.remove(id);
            }
            Key::SecurityGroup(id) => {
                if let Some(number) = self.group_numbers.remove(id) {
                    self.numbered_groups.remove(&number);
                }
                if let Some(group) = self.security_groups.remove(id)
                    && self.default_group_of(&group.meta.project_id) == Some(*id)
                {
                    self.default_groups.remove(&group.meta.project_id);
                }
            }
            Key::SecurityGroupRule(id) => self.delete_rule(id),
            Key::RbacPolicy(id) => {
                if let Some(policy) = self.rbac_policies.remove(id) {
                    self.policies_for.remove(&(policy.object, *id));
                }
            }
            Key::Quota(project) => {
                self.quotas.remove(project);
            }
            Key::ServerIdentity => self.server_identity = None,
            Key::Address(..)
            | Key::Mac(..)
            | Key::NetworkKey(_)
            | Key::Segment(..)
            | Key::RouterKey(_)
            | Key::DefaultSubnetPool(_)
            | Key::DefaultNetwork
            | Key::DefaultSecurityGroup(_)
            | Key::CountOf(..)
            | Key::NearQuota(..)
            | Key::UsesOf(_)
            | Key::PortsOf(_) => {
                self.claims.remove(key);
            }
            Key::Chassis(_) | Key::Location(_) | Key::Outside(..) | Key::Delegation(_) => {}
        }
    }

    fn delete_rule(&mut self, id: &SecurityGroupRuleId) {
        if let Some(rule) = self.security_group_rules.remove(id) {
            self.rules_of.remove(&(rule.security_group_id, *id));
            if let RemoteEnd::Group(group) = rule.remote {
                self.rules_about.remove(&(group, *id));
            }
        }
    }

    fn forget_port(&mut self, port: &Port) {
        self.ports_of.remove(&(port.network_id, port.id));
        if let Some(router) = port.router() {
            self.router_ports_of.remove(&(port.network_id, port.id));
            self.interfaces_of.remove(&(router, port.id));
        }
        if let Some(router) = port.gateway_of() {
            self.gateways_of.remove(&(router, port.id));
            self.gateway_ports_of.remove(&(port.network_id, port.id));
        }
        for group in &port.security_groups {
            self.ports_under.remove(&(*group, port.id));
        }
        for member in memberships(port) {
            self.groups_at.remove(&member);
        }
        for mac in port.other_macs() {
            self.users_of.remove(&(port.network_id, mac, port.id));
        }
        for (_, address) in port.addresses() {
            self.holders_of.remove(&(address, port.id));
        }
    }

    /// Whether somebody has what this claim's key names.
    pub fn is_claimed(&self, key: &Key) -> bool {
        self.claims.contains(key)
    }

    /// How many objects of a kind a project has.
    pub fn count_of(&self, project: &str, kind: Counted) -> u64 {
        self.counts.get(project, kind)
    }

    /// How many objects of a kind a project may have; none: as many as it likes.
    pub fn quota_of(&self, project: &str, kind: Counted) -> Option<u64> {
        let set = self.quotas.get(project);
        let set = set.and_then(|quota| quota.limits.get(&kind));
        set.copied()
            .unwrap_or_else(|| self.settings.quotas.limit(kind))
    }

    /// The addresses of a subnet that are some port's, in order.
    pub fn claimed_addresses(&self, subnet: SubnetId) -> impl Iterator<Item = IpAddr> + '_ {
        let first = Key::Address(subnet, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let last = Key::Address(subnet, IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));
        self.claims.range(first..=last).filter_map(|key| {
            if let Key::Address(_, address) = key {
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

    /// The ports by which routers have a network for their external one, by id.
    pub fn gateway_ports_of(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Port>> {
        self.gateway_ports_of
            .range(ports_in(network))
            .filter_map(|(_, port)| self.ports.get(port))
    }

    /// The ports of a network that may use a MAC which is not their own, by id.
    pub fn users_of(&self, network: NetworkId, mac: MacAddr) -> impl Iterator<Item = &Arc<Port>> {
        let range = (network, mac, PortId::MIN)..=(network, mac, PortId::MAX);
        self.users_of
            .range(range)
            .filter_map(|(_, _, port)| self.ports.get(port))
    }

    /// The ports of whatever network that were given an address, by id.
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
    pub fn gateway_of(&self, router: RouterId) -> Option<&Arc<Port>> {
        let range = (router, PortId::MIN)..=(router, PortId::MAX);
        let mut ports = self.gateways_of.range(range);
        ports.find_map(|(_, port)| self.ports.get(port))
    }

    /// The security group that a project's ports are put under when nothing else is said.
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

    /// The rules, of whatever group, at whose other end are the ports of this group, by id.
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

    /// The groups that have a port with this address, by id; one that has several is named as often.
    pub fn groups_at(
        &self,
        address: &MemberAddress,
    ) -> impl Iterator<Item = SecurityGroupId> + use<'_> {
        let address = *address;
        let range = (address, SecurityGroupId::MIN, PortId::MIN)
            ..=(address, SecurityGroupId::MAX, PortId::MAX);
        self.groups_at.range(range).map(|(_, group, _)| *group)
    }

    /// The number of a group in the pipeline.
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

/// What a port adds to the members of its groups. One under no group costs nothing.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddressPair, Meta, ROUTER_INTERFACE_OWNER};
    use uuid::Uuid;

    fn port(owner: &str, device: RouterId) -> Port {
        Port {
            device_id: device.to_string(),
            device_owner: owner.to_owned(),
            ..Port::new(
                PortId(Uuid::from_u128(1)),
                NetworkId(Uuid::from_u128(2)),
                MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]),
            )
        }
    }

    #[test]
    fn claims_are_known_until_they_are_given_up() {
        let (subnet, other) = (SubnetId(Uuid::from_u128(5)), SubnetId(Uuid::from_u128(6)));
        let claim = |subnet, ip: &str| Key::Address(subnet, ip.parse().unwrap());
        let mut intent = Intent::default();
        for key in [
            claim(subnet, "2001:db8::2"),
            claim(subnet, "2001:db8::1"),
            claim(other, "2001:db8::1"),
        ] {
            intent.apply(&Change::Put(Object::Claim(key)));
        }
        let addresses: Vec<String> = intent
            .claimed_addresses(subnet)
            .map(|address| address.to_string())
            .collect();
        assert_eq!(addresses, ["2001:db8::1", "2001:db8::2"]);

        intent.apply(&Change::Delete(claim(subnet, "2001:db8::1")));
        assert!(!intent.is_claimed(&claim(subnet, "2001:db8::1")));
        assert!(intent.is_claimed(&claim(other, "2001:db8::1")));
    }

    #[test]
    fn indexes_follow_a_port_that_changes_hands() {
        let router = RouterId(Uuid::from_u128(9));
        let of_router = port(ROUTER_INTERFACE_OWNER, router);
        let mut intent = Intent::default();
        intent.apply(&Change::Put(Object::Port(Arc::new(of_router.clone()))));
        assert_eq!(intent.interfaces_of(router).count(), 1);
        assert_eq!(intent.router_ports_of(of_router.network_id).count(), 1);

        intent.apply(&Change::Put(Object::Port(Arc::new(port(
            "compute:nova",
            router,
        )))));
        assert_eq!(intent.interfaces_of(router).count(), 0);
        assert_eq!(intent.ports_of(of_router.network_id).count(), 1);

        intent.apply(&Change::Delete(Key::Port(of_router.id)));
        assert_eq!(intent, Intent::default());
    }

    #[test]
    fn the_default_group_of_a_project_is_the_one_of_that_name() {
        let group = |n, name: &str| SecurityGroup {
            id: SecurityGroupId(Uuid::from_u128(n)),
            meta: Meta {
                name: name.to_owned(),
                project_id: "p".to_owned(),
                ..Meta::default()
            },
            stateful: true,
        };
        let put = |group| Change::Put(Object::SecurityGroup(Arc::new(group)));
        let (default, other) = (group(1, DEFAULT_SECURITY_GROUP), group(2, "web"));
        let mut intent = Intent::default();
        intent.apply(&put(default.clone()));
        intent.apply(&put(other.clone()));
        assert_eq!(intent.default_group_of("p"), Some(default.id));
        assert_eq!(intent.default_group_of("q"), None);

        intent.apply(&Change::Delete(Key::SecurityGroup(other.id)));
        assert_eq!(intent.default_group_of("p"), Some(default.id));
        intent.apply(&Change::Delete(Key::SecurityGroup(default.id)));
        assert_eq!(intent, Intent::default());
    }

    #[test]
    fn what_a_project_has_is_counted_until_it_is_gone() {
        let mut intent = Intent::default();
        let mut port = port("compute:nova", RouterId(Uuid::nil()));
        port.meta.project_id = "a".to_owned();
        let put = |port: &Port| Change::Put(Object::Port(Arc::new(port.clone())));
        for change in [put(&port), put(&port)] {
            intent.apply(&change);
        }
        assert_eq!(intent.count_of("a", Counted::Port), 1);
        assert_eq!(intent.count_of("a", Counted::Network), 0);
        port.meta.project_id = "b".to_owned();
        intent.apply(&put(&port));
        assert_eq!(
            ["a", "b"].map(|project| intent.count_of(project, Counted::Port)),
            [0, 1]
        );

        intent.apply(&Change::Delete(Key::Port(port.id)));
        assert_eq!(intent, Intent::default());
    }

    #[test]
    fn users_of_a_mac_are_those_that_may_use_it_besides_their_own() {
        let mut port = port("compute:nova", RouterId(Uuid::nil()));
        let (own, shared) = (port.mac_address, MacAddr([0, 0, 0x5e, 0, 2, 1]));
        port.allowed_address_pairs = [own, shared]
            .map(|mac| AddressPair {
                mac_address: Some(mac),
                ip_address: "2001:db8::/64".parse().unwrap(),
            })
            .into();
        let mut intent = Intent::default();
        intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
        let users = |intent: &Intent, mac| intent.users_of(port.network_id, mac).count();
        assert_eq!((users(&intent, own), users(&intent, shared)), (0, 1));

        intent.apply(&Change::Delete(Key::Port(port.id)));
        assert_eq!(intent, Intent::default());
    }

    #[test]
    fn groups_have_numbers_of_their_own_and_keep_them() {
        let group = |id: u128| {
            Object::SecurityGroup(Arc::new(SecurityGroup {
                id: SecurityGroupId(Uuid::from_u128(id)),
                meta: Meta::default(),
                stateful: true,
            }))
        };
        let (first, second) = (SecurityGroupId(Uuid::from_u128(4)), 4 << 64);
        let second_id = SecurityGroupId(Uuid::from_u128(second));
        assert_eq!(GroupNumber::of(first), GroupNumber::of(second_id));

        let mut intent = Intent::default();
        intent.apply(&Change::Put(group(4)));
        intent.apply(&Change::Put(group(second)));
        intent.apply(&Change::Put(group(second)));
        let number = |intent: &Intent, id| intent.group_number(id);
        assert_eq!(number(&intent, first), Some(GroupNumber(4)));
        assert_eq!(number(&intent, second_id), Some(GroupNumber(5)));

        intent.apply(&Change::Delete(Key::SecurityGroup(first)));
        assert_eq!(number(&intent, second_id), Some(GroupNumber(5)));
        intent.apply(&Change::Delete(Key::SecurityGroup(second_id)));
        assert_eq!(intent, Intent::default());
    }

    #[test]
    fn groups_are_found_by_every_address_of_their_ports() {
        let mut port = port("compute:nova", RouterId(Uuid::nil()));
        let group = SecurityGroupId(Uuid::from_u128(7));
        port.security_groups = [group].into();
        port.allowed_address_pairs = vec![AddressPair {
            mac_address: None,
            ip_address: "2001:db8:5::7/64".parse().unwrap(),
        }];
        let mut intent = Intent::default();
        intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
        let pair = MemberAddress::Given("2001:db8:5::/64".parse().unwrap());
        let on_link = MemberAddress::OnLink(port.network_id, port.mac_address.link_local());
        for address in [pair, on_link] {
            assert_eq!(intent.groups_at(&address).collect::<Vec<_>>(), [group]);
        }
        intent.apply(&Change::Delete(Key::Port(port.id)));
        assert_eq!(intent, Intent::default());
    }
}
