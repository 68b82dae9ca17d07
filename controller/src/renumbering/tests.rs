use super::*;
use crate::snapshot::Publisher;
use crate::state;
use crate::store::{
    Boxed, CommitError, Measured, Precondition, Revision, Store, Watch, WatchEnded,
};
use sextant_model::{
    Change, Delegation, Facts, FixedIp, Intent, Key, MacAddr, Network, NetworkId, NetworkKey,
    Object, ObjectKey, Port, PortId, PrefixSource, ROUTER_GATEWAY_OWNER, ROUTER_INTERFACE_OWNER,
    Router, RouterId, RouterKey, Subnet,
};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

const SUBNET: SubnetId = SubnetId(Uuid::from_u128(1));
const ROUTER: RouterId = RouterId(Uuid::from_u128(2));
const INTERFACE: PortId = PortId(Uuid::from_u128(3));
const GATEWAY: PortId = PortId(Uuid::from_u128(4));
const INSIDE: NetworkId = NetworkId(Uuid::from_u128(5));
const OUTSIDE: NetworkId = NetworkId(Uuid::from_u128(6));
const PREFIX: &str = "2001:db8:1::/64";

fn subnet(cidr: &str) -> Object {
    Object::Subnet(Arc::new(Subnet {
        prefix_source: PrefixSource::Delegated,
        ..Subnet::new(SUBNET, INSIDE, cidr.parse().unwrap())
    }))
}

fn port(id: PortId, network_id: NetworkId, owner: &str) -> Object {
    let fixed = FixedIp {
        subnet_id: SUBNET,
        ip_address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Object::Port(Arc::new(Port {
        fixed_ips: Vec::from_iter((network_id == INSIDE).then_some(fixed)),
        device_id: ROUTER.to_string(),
        device_owner: owner.to_owned(),
        port_security_enabled: false,
        ..Port::new(id, network_id, MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]))
    }))
}

fn network() -> Object {
    Object::Network(Arc::new(Network::new(INSIDE, NetworkKey(1))))
}

/// A subnet with this prefix, on a router with a way out.
fn intent(cidr: &str) -> Intent {
    let router = Object::Router(Arc::new(Router::new(ROUTER, RouterKey(1))));
    let mut intent = Intent::default();
    let objects = [
        network(),
        router,
        subnet(cidr),
        port(INTERFACE, INSIDE, ROUTER_INTERFACE_OWNER),
        port(GATEWAY, OUTSIDE, ROUTER_GATEWAY_OWNER),
    ];
    objects
        .into_iter()
        .for_each(|object| intent.apply(&Change::Put(object)));
    intent
}

fn facts(valid_until: i64) -> Facts {
    let mut facts = Facts::default();
    let delegation = Delegation {
        network: OUTSIDE,
        prefix: PREFIX.parse().unwrap(),
        server: vec![],
        renew_at: 0,
        rebind_at: 0,
        preferred_until: 0,
        valid_until,
    };
    facts.delegate(SUBNET, Some(Arc::new(delegation)));
    facts
}

fn forgotten() -> Vec<(SubnetId, Arc<Delegation>)> {
    vec![(SUBNET, facts(100).delegations()[&SUBNET].clone())]
}

fn wanting(prefix: &str) -> BTreeMap<SubnetId, Ipv6Net> {
    [(SUBNET, prefix.parse().unwrap())].into()
}

#[test]
fn a_subnet_has_its_prefix_until_the_delegation_ends() {
    for (cidr, now, wanted) in [
        ("::/64", 99, Some(PREFIX)),
        (PREFIX, 99, None),
        ("2001:db8:2::/64", 99, Some(PREFIX)),
        (PREFIX, 100, Some("::/64")),
        ("::/64", 100, None),
    ] {
        let plan = RenumberingPlan::of(&intent(cidr), &facts(100), now);
        let lasts = now < 100;
        let expected = RenumberingPlan {
            renumber: wanted.map(wanting).unwrap_or_default(),
            forget: vec![],
            next_end: lasts.then_some(100),
            delegated: usize::from(lasts),
            waiting: usize::from(!lasts),
        };
        assert_eq!(plan, expected, "{cidr} at {now}");
    }
}

#[test]
fn without_a_router_that_asks_there_is_no_prefix_and_the_delegation_is_forgotten() {
    for gone in [
        Key::Object(ObjectKey::Port(INTERFACE)),
        Key::Object(ObjectKey::Port(GATEWAY)),
        Key::Object(ObjectKey::Router(ROUTER)),
    ] {
        let mut intent = intent(PREFIX);
        let before = intent.clone();
        assert!(before.delegates_as(&intent));
        intent.apply(&Change::Delete(gone.clone()));
        assert!(!before.delegates_as(&intent), "{gone:?}");
        let expected = RenumberingPlan {
            renumber: wanting("::/64"),
            forget: forgotten(),
            ..RenumberingPlan::default()
        };
        assert_eq!(
            RenumberingPlan::of(&intent, &facts(100), 1),
            expected,
            "{gone:?}"
        );
    }
}

#[test]
fn a_prefix_of_another_external_network_is_not_the_subnets() {
    const ELSEWHERE: NetworkId = NetworkId(Uuid::from_u128(9));
    let mut intent = intent(PREFIX);
    let before = intent.clone();
    let gateway = port(GATEWAY, ELSEWHERE, ROUTER_GATEWAY_OWNER);
    intent.apply(&Change::Put(gateway));
    assert!(!before.delegates_as(&intent));
    let expected = RenumberingPlan {
        renumber: wanting("::/64"),
        forget: forgotten(),
        waiting: 1,
        ..RenumberingPlan::default()
    };
    assert_eq!(RenumberingPlan::of(&intent, &facts(100), 1), expected);
}

#[test]
fn the_delegation_of_a_subnet_that_is_gone_is_forgotten() {
    let mut intent = intent(PREFIX);
    intent.apply(&Change::delete(ObjectKey::Subnet(SUBNET)));
    let expected = RenumberingPlan {
        forget: forgotten(),
        ..RenumberingPlan::default()
    };
    assert_eq!(RenumberingPlan::of(&intent, &facts(100), 1), expected);
}

#[test]
fn ports_of_guests_are_nothing_to_look_at() {
    let before = intent(PREFIX);
    let mut after = before.clone();
    let guest = port(PortId(Uuid::from_u128(9)), INSIDE, "compute:nova");
    after.apply(&Change::Put(guest));
    assert!(before.delegates_as(&after));
}

/// A store that is unavailable at first. What is committed can be read at once.
struct Reluctant {
    publisher: Publisher,
    refusals: AtomicUsize,
}

impl Store for Reluctant {
    fn commit(
        &self,
        changes: Vec<Change>,
        _: Vec<Precondition>,
    ) -> Boxed<'_, Result<Revision, CommitError>> {
        let refuses = |left: usize| left.checked_sub(1);
        let (order, refusals) = (Ordering::Relaxed, &self.refusals);
        if refusals.fetch_update(order, order, refuses).is_ok() {
            let unavailable = CommitError::Unavailable("not yet".to_owned());
            return Box::pin(async { Err(unavailable) });
        }
        let mut snapshot = Snapshot::clone(&self.publisher.latest());
        changes
            .iter()
            .for_each(|change| snapshot.intent.apply(change));
        snapshot.revision = Revision(snapshot.revision.0 + 1);
        let revision = snapshot.revision;
        self.publisher.publish(snapshot);
        Box::pin(async move { Ok(revision) })
    }

    fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>> {
        Box::pin(async { Err(WatchEnded("nobody watches".to_owned())) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_lost_is_tried_again_after_a_while() {
    let first = Snapshot {
        intent: intent("::/64"),
        facts: facts(i64::MAX),
        ..Snapshot::default()
    };
    let (publisher, mut snapshots) = Snapshots::new(first);
    let refusals = AtomicUsize::new(2);
    let store = Arc::new(Reluctant {
        publisher,
        refusals,
    });
    let metrics = Metrics::new().unwrap();
    let store = Arc::new(Measured::new(store, metrics.clone()));
    let api = Api::new(store, snapshots.clone(), metrics.clone());
    let (events, _observed) = state::events();
    let begun = Instant::now();
    tokio::spawn(run(api, snapshots.clone(), events, metrics.clone()));

    let latest = snapshots.changed().await.unwrap();
    let prefix: Ipv6Net = PREFIX.parse().unwrap();
    assert_eq!(latest.intent.subnets[&SUBNET].cidr, prefix.into());
    assert_eq!(begun.elapsed(), RETRY * 2);
    let lost = metrics.store_commits.with_label_values(&["unavailable"]);
    assert_eq!(lost.get(), 2);
}
