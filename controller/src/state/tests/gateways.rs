use super::*;
use sextant_model::{
    ExternalGateway, Fact, Key, Network, NetworkKey, NetworkType, ObjectKey, Outside, Router,
    RouterId, RouterKey,
};

const EXTERNAL: NetworkId = NetworkId(Uuid::from_u128(9));
const ROUTER: RouterId = RouterId(Uuid::from_u128(3));
const LLA: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// A router with its gateway on an external network of `physnet1`.
fn outward() -> TestedOwner {
    let mut story = story();
    story.stored(Change::Put(Object::Network(Arc::new(Network {
        external: true,
        network_type: NetworkType::Flat,
        physical_network: Some("physnet1".to_owned()),
        segmentation_id: None,
        ..Network::new(EXTERNAL, NetworkKey(1))
    }))));
    story.stored(Change::Put(router(true)));
    story
}

fn router(gateway: bool) -> Object {
    Object::Router(Arc::new(Router {
        external_gateway: gateway.then_some(ExternalGateway {
            network_id: EXTERNAL,
            enable_snat: true,
        }),
        ..Router::new(ROUTER, RouterKey(7))
    }))
}

/// A hypervisor with a bridge of `physnet1`, and the patch port there.
fn mapped(name: &str, gateway_priority: u16) -> Chassis {
    Chassis {
        bridge_mappings: [("physnet1".to_owned(), "br-ex".to_owned())].into(),
        patch_ports: [("physnet1".to_owned(), 9)].into(),
        gateway_priority,
        ..chassis(name)
    }
}

fn joined(chassis: Chassis) -> Event {
    Event::HypervisorRead {
        chassis,
        interfaces: BTreeMap::new(),
    }
}

fn gone(name: &str, gone: bool) -> Event {
    Event::Gone(ChassisId::new(name), gone)
}

fn heard(name: &str, default_router: Option<std::net::Ipv6Addr>) -> Event {
    let outside = default_router.map(|address| Outside {
        default_router: Some(address),
        neighbors: [(address.into(), MacAddr([2, 0, 0, 0, 0, 1]))].into(),
    });
    Event::Outside(ChassisId::new(name), EXTERNAL, outside)
}

impl TestedOwner {
    fn gateway(&self) -> Option<&str> {
        let gateways = self.owner.snapshot.facts.gateways();
        gateways.get(&ROUTER).map(|(chassis, _)| chassis.as_str())
    }

    fn default_router(&self, name: &str) -> Option<std::net::Ipv6Addr> {
        let outside = self.owner.snapshot.facts.outside();
        outside
            .get(&(ChassisId::new(name), EXTERNAL))?
            .default_router
    }

    fn has_told(&mut self) -> Vec<Change> {
        crate::state::tests::told(&mut self.owner)
    }

    /// The series of the gateways' metrics, after a batch.
    fn counted(&mut self) -> Vec<String> {
        self.owner.publish();
        let text = self.owner.metrics.render().unwrap();
        text.lines()
            .filter(|line| line.starts_with("sextant_gateway") && !line.contains("nowhere"))
            .map(str::to_owned)
            .collect()
    }
}

#[test]
fn a_gateway_follows_the_router_and_the_hypervisors() {
    let mut story = outward();
    assert_eq!(story.gateway(), None);
    story.observed([joined(chassis("h0")), joined(mapped("h1", 1))]);
    assert_eq!(story.gateway(), Some("h1"));
    story.observed([Event::HypervisorChanged(mapped("h2", 2))]);
    assert_eq!(story.gateway(), Some("h2"));
    story.observed([Event::HypervisorChanged(Chassis {
        patch_ports: BTreeMap::new(),
        ..mapped("h2", 2)
    })]);
    assert_eq!(story.gateway(), Some("h1"));
    story.stored(Change::Put(router(false)));
    assert_eq!(story.gateway(), None);
    story.stored(Change::Put(router(true)));
    assert_eq!(story.gateway(), Some("h1"));
    story.observed([Event::HypervisorLeft(ChassisId::new("h1"))]);
    assert_eq!(story.gateway(), None);
}

#[test]
fn a_gateway_follows_its_external_network_to_another_physical_one() {
    let mut story = outward();
    story.stored(Change::Put(Object::Port(Arc::new(Port {
        network_id: EXTERNAL,
        device_id: ROUTER.0.to_string(),
        device_owner: sextant_model::ROUTER_GATEWAY_OWNER.to_owned(),
        ..port()
    }))));
    story.observed([joined(mapped("h1", 0))]);
    assert_eq!(story.gateway(), Some("h1"));
    let mut network = Network::clone(&story.owner.snapshot.intent.networks[&EXTERNAL]);
    network.physical_network = Some("physnet2".to_owned());
    story.stored(Change::Put(Object::Network(Arc::new(network))));
    assert_eq!(story.gateway(), None);
}

#[test]
fn a_hypervisor_that_is_gone_has_its_gateways_again_once_it_is_back() {
    let mut story = outward();
    story.observed([joined(mapped("h1", 0)), joined(mapped("h2", 5))]);
    story.observed([gone("h2", true)]);
    assert_eq!(story.gateway(), Some("h1"));
    story.observed([gone("h2", false)]);
    assert_eq!(story.gateway(), Some("h2"));
}

#[test]
fn a_hypervisor_that_left_is_not_gone_when_it_joins_again() {
    let mut story = outward();
    story.observed([joined(mapped("h1", 0)), joined(mapped("h2", 5))]);
    let left = Event::HypervisorLeft(ChassisId::new("h2"));
    story.observed([gone("h2", true), left, gone("h2", true)]);
    assert!(story.owner.snapshot.facts.gone().is_empty());
    story.observed([joined(mapped("h2", 5))]);
    assert_eq!(story.gateway(), Some("h2"));
}

#[test]
fn gateways_are_counted_where_they_are_and_as_they_move() {
    let mut story = outward();
    story.observed([joined(mapped("h1", 0)), joined(mapped("h2", 5))]);
    let counted = |moves: u32, on: &[(&str, u32)]| -> Vec<String> {
        let moves = format!("sextant_gateway_moves_total {moves}");
        let on = on
            .iter()
            .map(|(name, gateways)| format!("sextant_gateways{{chassis=\"{name}\"}} {gateways}"));
        [moves].into_iter().chain(on).collect()
    };
    assert_eq!(story.counted(), counted(0, &[("h1", 0), ("h2", 1)]));
    story.observed([gone("h2", true)]);
    assert_eq!(story.counted(), counted(1, &[("h1", 1), ("h2", 0)]));
    story.observed([Event::HypervisorLeft(ChassisId::new("h1"))]);
    assert_eq!(story.counted(), counted(2, &[("h2", 1)]));
    story.stored(Change::delete(ObjectKey::Router(ROUTER)));
    assert_eq!(story.counted(), counted(2, &[("h2", 0)]));
}

#[test]
fn what_is_learned_of_the_outside_is_stored_once() {
    let mut story = outward();
    story.observed([heard("h1", Some(LLA))]);
    assert_eq!(story.default_router("h1"), None);
    story.observed([joined(mapped("h1", 0))]);
    story.has_told();
    story.observed([heard("h1", Some(LLA)), heard("h1", Some(LLA))]);
    assert_eq!(story.default_router("h1"), Some(LLA));
    let told = story.has_told();
    assert!(
        matches!(&told[..], [Change::Put(Object::Outside(id, EXTERNAL, outside))]
            if id.as_str() == "h1" && outside.default_router == Some(LLA)),
        "{told:?}"
    );
    story.observed([heard("h1", None), heard("h1", None)]);
    assert_eq!(story.default_router("h1"), None);
    let nothing = Change::Delete(Key::Fact(Fact::Outside(ChassisId::new("h1"), EXTERNAL)));
    assert_eq!(story.has_told(), [nothing]);
}

#[test]
fn what_was_learned_before_a_restart_holds_until_the_hypervisor_says_otherwise() {
    let mut before = outward();
    before.observed([joined(mapped("h1", 0)), heard("h1", Some(LLA))]);
    let stored = before.has_told();
    let mut story = outward();
    stored.into_iter().for_each(|change| story.stored(change));
    assert_eq!(
        (story.gateway(), story.default_router("h1")),
        (Some("h1"), Some(LLA))
    );
    story.observed([joined(mapped("h1", 0))]);
    assert_eq!(story.default_router("h1"), Some(LLA));
    let late = Key::Fact(Fact::Outside(ChassisId::new("h1"), EXTERNAL));
    story.stored(Change::Delete(late));
    assert_eq!(story.default_router("h1"), Some(LLA));
    story.observed([heard("h1", None)]);
    assert_eq!(story.default_router("h1"), None);
}

#[test]
fn what_a_hypervisor_learned_goes_when_it_leaves() {
    let mut story = outward();
    story.observed([
        joined(mapped("h1", 0)),
        heard("h1", Some(LLA)),
        Event::HypervisorLeft(ChassisId::new("h1")),
    ]);
    assert_eq!(story.default_router("h1"), None);
    story.echo();
    assert_eq!((story.gateway(), story.default_router("h1")), (None, None));
}

#[test]
fn a_gateway_that_nobody_can_have_is_counted_until_somebody_can() {
    let mut story = outward();
    let nowhere = |story: &mut TestedOwner| {
        story.owner.publish();
        story.owner.metrics.gateways_nowhere.get()
    };
    assert_eq!(nowhere(&mut story), 1);
    story.observed([joined(chassis("h1"))]);
    assert_eq!(nowhere(&mut story), 1, "it has no bridge");
    story.observed([joined(mapped("h2", 0))]);
    assert_eq!(nowhere(&mut story), 0);
    story.observed([Event::Gone(ChassisId::new("h2"), true)]);
    assert_eq!(nowhere(&mut story), 1);
    story.observed([Event::Gone(ChassisId::new("h2"), false)]);
    assert_eq!(nowhere(&mut story), 0);
    story.observed([Event::HypervisorLeft(ChassisId::new("h2"))]);
    assert_eq!(nowhere(&mut story), 1);
    story.stored(Change::Put(router(false)));
    assert_eq!(nowhere(&mut story), 0, "nobody asks for it");
}
