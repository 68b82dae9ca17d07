//! What changes of security groups, of their rules and of ports in them alter.
//!
//! A rule alters the policies here that contain it. Members are named one by one, as their ports change. All members of
//! a group are named only where rules here begin or cease to be about the group.

use super::Touched;
use super::changes::Changes;
use crate::contribution::{PipelineObject, members};
use crate::features::security::{group_of, uses};
use crate::view::View;
use sextant_model::{Port, PortId, SecurityGroup, SecurityGroupId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Groups that rules here may have begun or ceased to name.
type About = BTreeSet<SecurityGroupId>;

impl Touched<'_> {
    pub(super) fn security(&mut self, changes: &Changes<'_>) {
        let mut about = About::new();
        for rule in changes.rules.iter().flat_map(|rule| rule.sides()) {
            self.policies_with(rule.security_group_id);
            about.extend(group_of(rule.remote));
        }
        for group in &changes.groups {
            if group.old.map(stateful) != group.new.map(stateful) {
                self.group(group.key, &mut about);
            }
        }
        let ports = changes.ports.iter().map(|port| port.key);
        let moved = changes.bindings.iter().map(|binding| binding.key);
        for port in ports.chain(moved) {
            self.under_rules(port, &mut about);
        }
        // Members last: every group that any of the above begins or ceases to name is known only here.
        about.into_iter().for_each(|group| self.all_members(group));
    }

    /// A group that was made, deleted or made stateful alters what its rules and the rules about it allow.
    fn group(&mut self, group: SecurityGroupId, about: &mut About) {
        about.insert(group);
        self.policies_with(group);
        for view in self.views() {
            about.extend(remotes(&view, group));
            let local = view.facts.local_ports_under(group, view.chassis);
            self.objects.extend(local.map(PipelineObject::Port));
            for rule in view.intent.rules_about(group) {
                self.policies_with(rule.security_group_id);
            }
        }
    }

    /// The policies of ports here that a group is part of.
    fn policies_with(&mut self, group: SecurityGroupId) {
        for view in self.views() {
            let local = view.facts.local_ports_under(group, view.chassis);
            let ports = local.filter_map(|port| view.intent.ports.get(&port));
            self.objects.extend(ports.map(|port| policy(port)));
        }
    }

    /// A port here that changed, came or went. Its policy may be needed from this change on, or may be needed no more.
    fn under_rules(&mut self, port: PortId, about: &mut About) {
        if !self.is_here(port) {
            return;
        }
        for view in self.views() {
            let Some(port) = view.intent.ports.get(&port) else {
                continue;
            };
            self.objects.insert(policy(port));
            for group in &port.security_groups {
                if self.old.has_ports_under(*group) != self.new.has_ports_under(*group) {
                    about.extend(self.views().iter().flat_map(|view| remotes(view, *group)));
                }
            }
        }
    }

    /// Names all members of a group if rules here look at them differently, or if the group's number came or went.
    fn all_members(&mut self, group: SecurityGroupId) {
        let [old, new] = self
            .views()
            .map(|view| (view.intent.group_number(group), uses(&view, group)));
        if old != new {
            for view in self.views() {
                self.objects.extend(members(&view, group));
            }
        }
    }
}

fn stateful(group: &Arc<SecurityGroup>) -> bool {
    group.stateful
}

fn policy(port: &Port) -> PipelineObject {
    PipelineObject::Policy(port.security_groups.clone())
}

/// The groups that the rules of a group are about.
fn remotes(view: &View<'_>, group: SecurityGroupId) -> impl Iterator<Item = SecurityGroupId> {
    let rules = view.intent.rules_of(group);
    rules.filter_map(|rule| group_of(rule.remote))
}
