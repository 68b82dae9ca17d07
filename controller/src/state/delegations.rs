//! Prefixes that servers have delegated to subnets.

use super::Owner;
use sextant_model::{Change, ChassisId, Delegation, Fact, Object, SubnetId};
use std::sync::Arc;

impl Owner {
    /// A hypervisor's router was delegated this, or nobody asks for it any more.
    pub(super) fn delegated(
        &mut self,
        of: Option<&ChassisId>,
        subnet: SubnetId,
        delegation: Option<Arc<Delegation>>,
    ) {
        let known = self.snapshot.facts.delegations().get(&subnet);
        if known == delegation.as_ref() {
            return;
        }
        let change = match &delegation {
            Some(delegation) => Change::Put(Object::Delegation(subnet, delegation.clone())),
            None => Change::delete(Fact::Delegation(subnet)),
        };
        self.remember(change, of);
        self.snapshot.facts.delegate(subnet, delegation);
    }

    pub(super) fn undelegated(&mut self, subnet: SubnetId, delegation: &Arc<Delegation>) {
        if self.snapshot.facts.delegations().get(&subnet) == Some(delegation) {
            self.delegated(None, subnet, None);
        }
    }
}
