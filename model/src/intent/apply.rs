//! Applies changes of the store, and keeps the indexes.

use super::{Intent, memberships};
use crate::{
    Change, DEFAULT_SECURITY_GROUP, GroupNumber, Key, Object, ObjectKey, Port, PrefixSource,
    RemoteEnd, SecurityGroup, SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId,
};
use std::sync::Arc;

impl Intent {
    /// Applies one change of the store. Changes of facts have no effect.
    pub fn apply(&mut self, change: &Change) {
        // Looked at first, while the object is as it was.
        let was = self.object(&change.key());
        let is = match change {
            Change::Put(object) => Some(object),
            Change::Delete(_) => None,
        };
        self.recount(was.as_ref(), is);
        self.found_by.replace(was.as_ref(), is);
        match change {
            Change::Put(object) => self.put(object),
            Change::Delete(key) => self.delete(key),
        }
    }

    /// Counts what comes to a project or leaves it. An object that only changes is not counted again.
    fn recount(&mut self, was: Option<&Object>, is: Option<&Object>) {
        let was = was.and_then(Object::counted);
        let is = is.and_then(Object::counted);
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

    /// The object under a key, if the API lists objects of its kind.
    fn object(&self, key: &Key) -> Option<Object> {
        let Key::Object(key) = key else {
            return None;
        };
        match key {
            ObjectKey::Network(id) => self.networks.get(id).cloned().map(Object::Network),
            ObjectKey::Subnet(id) => self.subnets.get(id).cloned().map(Object::Subnet),
            ObjectKey::Port(id) => self.ports.get(id).cloned().map(Object::Port),
            ObjectKey::Router(id) => self.routers.get(id).cloned().map(Object::Router),
            ObjectKey::SubnetPool(id) => self.subnet_pools.get(id).cloned().map(Object::SubnetPool),
            ObjectKey::AddressScope(id) => {
                let scope = self.address_scopes.get(id).cloned();
                scope.map(Object::AddressScope)
            }
            ObjectKey::SecurityGroup(id) => {
                let group = self.security_groups.get(id).cloned();
                group.map(Object::SecurityGroup)
            }
            ObjectKey::SecurityGroupRule(id) => {
                let rule = self.security_group_rules.get(id).cloned();
                rule.map(Object::SecurityGroupRule)
            }
            ObjectKey::RbacPolicy(id) => {
                self.rbac_policies.get(id).cloned().map(Object::RbacPolicy)
            }
            ObjectKey::Quota(_)
            | ObjectKey::ServerIdentity
            | ObjectKey::Withdrawn(..)
            | ObjectKey::NovaPort(_) => None,
        }
    }

    fn put(&mut self, object: &Object) {
        match object {
            Object::Network(network) => {
                self.networks.insert(network.id, network.clone());
            }
            Object::Subnet(subnet) => {
                self.delete_object(&ObjectKey::Subnet(subnet.id));
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
                self.delete_object(&ObjectKey::RbacPolicy(policy.id));
                self.policies_for.insert((policy.object, policy.id));
                self.rbac_policies.insert(policy.id, policy.clone());
            }
            Object::Quota(quota) => {
                self.quotas.insert(quota.project_id.clone(), quota.clone());
            }
            Object::ServerIdentity(identity) => self.server_identity = Some(*identity),
            Object::Withdrawn(gone) => {
                self.withdrawn
                    .insert((gone.network, gone.port), gone.clone());
            }
            Object::NovaPort(known) => {
                self.nova_ports.insert(known.port, known.clone());
            }
            Object::Claim(key) => self.put_claim(key),
            Object::Chassis(_)
            | Object::Location(..)
            | Object::Outside(..)
            | Object::Delegation(..)
            | Object::Ownership(..)
            | Object::Active(..)
            | Object::Holder(..)
            | Object::Gone(_) => {}
        }
    }

    fn put_port(&mut self, port: &Arc<Port>) {
        self.delete_object(&ObjectKey::Port(port.id));
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

    /// Gives a group a number, which it keeps for as long as it exists.
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
        self.delete_object(&ObjectKey::SecurityGroupRule(rule.id));
        self.rules_of.insert((rule.security_group_id, rule.id));
        if let RemoteEnd::Group(group) = rule.remote {
            self.rules_about.insert((group, rule.id));
        }
        self.security_group_rules.insert(rule.id, rule.clone());
    }

    fn put_claim(&mut self, key: &Key) {
        match key {
            Key::Claim(claim) => {
                self.claims.insert(claim.clone());
            }
            Key::Mark(mark) => {
                self.marks.insert(mark.clone());
            }
            Key::Object(_) | Key::Fact(_) => {}
        }
    }

    fn delete(&mut self, key: &Key) {
        match key {
            Key::Object(key) => self.delete_object(key),
            Key::Claim(claim) => {
                self.claims.remove(claim);
            }
            Key::Mark(mark) => {
                self.marks.remove(mark);
            }
            Key::Fact(_) => {}
        }
    }

    fn delete_object(&mut self, key: &ObjectKey) {
        match key {
            ObjectKey::Network(id) => {
                self.networks.remove(id);
            }
            ObjectKey::Subnet(id) => {
                if let Some(subnet) = self.subnets.remove(id) {
                    self.subnets_of.remove(&(subnet.network_id, *id));
                    self.delegated.remove(id);
                }
            }
            ObjectKey::Port(id) => {
                if let Some(port) = self.ports.remove(id) {
                    self.forget_port(&port);
                }
            }
            ObjectKey::Router(id) => {
                self.routers.remove(id);
            }
            ObjectKey::SubnetPool(id) => {
                self.subnet_pools.remove(id);
            }
            ObjectKey::AddressScope(id) => {
                self.address_scopes.remove(id);
            }
            ObjectKey::SecurityGroup(id) => {
                if let Some(number) = self.group_numbers.remove(id) {
                    self.numbered_groups.remove(&number);
                }
                if let Some(group) = self.security_groups.remove(id)
                    && self.default_group_of(&group.meta.project_id) == Some(*id)
                {
                    self.default_groups.remove(&group.meta.project_id);
                }
            }
            ObjectKey::SecurityGroupRule(id) => self.delete_rule(id),
            ObjectKey::RbacPolicy(id) => {
                if let Some(policy) = self.rbac_policies.remove(id) {
                    self.policies_for.remove(&(policy.object, *id));
                }
            }
            ObjectKey::Quota(project) => {
                self.quotas.remove(project);
            }
            ObjectKey::ServerIdentity => self.server_identity = None,
            ObjectKey::NovaPort(port) => {
                self.nova_ports.remove(port);
            }
            ObjectKey::Withdrawn(network, port) => {
                self.withdrawn.remove(&(*network, *port));
            }
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
}
