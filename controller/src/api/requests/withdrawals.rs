//! Adds to a write what routers' ports do not advertise any more because of it.
//!
//! It is committed with its cause, so it is not lost with whoever was about to tell guests. Sessions with switches tell it when
//! they begin (`switch/session`), for as long as guests may use it.

use crate::api::contract::draft::Draft;
use rand::RngExt;
use sextant_flows::advertised;
use sextant_model::{Intent, Key, NetworkId, Object, ObjectKey, PortId, Withdrawn};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// For how many ports at most a write remembers it. A store takes only so many changes at once.
const MOST: usize = 16;

/// How many of what was remembered before a write looks at, to forget what is over.
const LOOK: usize = 4;

/// Adds what goes with this write.
pub(crate) fn note(draft: &mut Draft) {
    let mut gone = vec![];
    for port in concerned(draft).into_iter().take(MOST) {
        gone.extend(withdrawn(draft, port));
    }
    if gone.is_empty() {
        return;
    }
    forget(draft, &gone);
    for gone in gone {
        draft.put(Object::Withdrawn(Arc::new(gone)));
    }
}

/// The routers' ports of the base whose advertisement the write may change.
fn concerned(draft: &Draft) -> BTreeSet<PortId> {
    let base = &draft.base.intent;
    let mut ports = BTreeSet::new();
    for key in draft.keys() {
        match key {
            Key::Object(ObjectKey::Port(id)) => {
                let port = base.ports.get(&id);
                ports.extend(port.filter(|port| port.router().is_some()).map(|_| id));
            }
            Key::Object(ObjectKey::Subnet(id)) => {
                let subnet = base.subnets.get(&id);
                ports.extend(
                    subnet
                        .into_iter()
                        .flat_map(|subnet| on(base, subnet.network_id)),
                );
            }
            Key::Object(ObjectKey::Network(id)) => ports.extend(on(base, id)),
            Key::Object(ObjectKey::Router(id)) => {
                ports.extend(base.interfaces_of(id).map(|port| port.id));
            }
            Key::Object(_) | Key::Claim(_) | Key::Mark(_) | Key::Fact(_) => {}
        }
    }
    ports
}

fn on(intent: &Intent, network: NetworkId) -> impl Iterator<Item = PortId> {
    intent.router_ports_of(network).map(|port| port.id)
}

/// What a port does not advertise any more, beside what it did not before.
fn withdrawn(draft: &Draft, port: PortId) -> Option<Withdrawn> {
    let facts = &draft.base.facts;
    let network = draft.base.intent.ports.get(&port)?.network_id;
    let before = advertised(&draft.base.intent, facts, port)?;
    let after = advertised(&draft.intent, facts, port);
    let after = after.as_ref().map(|after| &*after.advertisement);
    let gone = Withdrawn::between((network, port), &before, after, draft.now)?;
    let earlier = draft.base.intent.withdrawn.get(&(network, port));
    Some(match earlier {
        Some(earlier) => gone.after(earlier, draft.now),
        None => gone,
    })
}

/// Forgets some of what is over, but for what this write replaces. Each write looks elsewhere.
fn forget(draft: &mut Draft, replaced: &[Withdrawn]) {
    let from = NetworkId(Uuid::from_u128(draft.dice.random()));
    let remembered = &draft.base.intent.withdrawn;
    let some = remembered.range((from, PortId::MIN)..).take(LOOK);
    let replaced = replaced.iter().map(|gone| (gone.network, gone.port));
    let replaced: BTreeSet<(NetworkId, PortId)> = replaced.collect();
    let over = some.filter(|(key, gone)| gone.is_over(draft.now) && !replaced.contains(*key));
    let over: Vec<(NetworkId, PortId)> = over.map(|(key, _)| *key).collect();
    for (network, port) in over {
        draft.delete(ObjectKey::Withdrawn(network, port));
    }
}
