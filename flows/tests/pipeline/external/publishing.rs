//! Guests whom the outside takes for its neighbours.

use super::{cloud, solicitation};
use crate::support::cloud::{id, network_id};
use crate::support::frames::address;
use crate::support::show::flows_of;
use crate::support::{Cloud, Fabric};
use proptest::prelude::*;
use rust_openflow::Field;
use sextant_flows::{Flows, WithheldReason};
use sextant_model::{
    ChassisId, Delegation, ExternalSettings, HostRoute, PrefixSource, Publish, SubnetId,
};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// Guests of `r` are published on `ext`, which has a subnet of the operator's pool.
fn publishing() -> Cloud {
    let mut cloud = cloud(Some(100));
    cloud.pool("pool", None, "operator");
    cloud.subnet("ext6", "ext", "2001:db8:e::/64", None);
    cloud.take_from("pool", "ext6");
    let settings = ExternalSettings {
        publish: Publish::NdProxy,
        ..ExternalSettings::default()
    };
    cloud.external("phys", settings);
    cloud
}

/// The same, where the guests' prefix is from that pool, too.
fn published() -> Cloud {
    let mut cloud = publishing();
    cloud.take_from("pool", "red6");
    cloud
}

/// Another tenant's network with a prefix of its choice, its router to `ext`, and a guest there on h1 with this address.
fn tenant(cloud: &mut Cloud, cidr: &str, taken: Ipv6Addr) {
    cloud.network("own");
    cloud.subnet("own6", "own", cidr, None);
    cloud.router("s");
    cloud.interface("j", "s", "own");
    cloud.guest("thief", "own", "h1");
    cloud.change_port("thief", |port| port.fixed_ips[0].ip_address = taken.into());
    cloud.gateway("s", "ext");
}

/// The name of the router whose MAC is told to those who ask outside.
fn answers(cloud: &Cloud, hypervisor: &str, target: Ipv6Addr) -> Option<&'static str> {
    let ask = solicitation(target);
    let journey = Fabric::new(cloud).come_in(hypervisor, "phys", &ask);
    let (_, _, answer) = journey.outside.first()?;
    assert_eq!(journey.outside.len(), 1, "{journey:?}");
    let told = answer.get(Field::ND_TLL);
    let has = |router: &&str| {
        let port = cloud.get_port(&format!("gw-{router}"));
        u128::from(port.mac_address.to_u64()) == told
    };
    ["r", "s"].into_iter().find(has)
}

/// Whom anybody answers for, on whatever hypervisor.
fn anybody(cloud: &Cloud, target: Ipv6Addr) -> Option<&'static str> {
    let all = ["h1", "h2"].map(|hypervisor| answers(cloud, hypervisor, target));
    all.into_iter().flatten().next()
}

/// Why what is not published is not, on whatever hypervisor, and how many addresses that is.
fn reasons(cloud: &Cloud) -> Vec<(WithheldReason, u32)> {
    let on = |hypervisor| flows_of(cloud, hypervisor).withheld().clone();
    let all = ["h1", "h2", "h3"].into_iter().flat_map(on);
    all.map(|(withheld, addresses)| (withheld.reason, addresses))
        .collect()
}

fn guest(cloud: &Cloud) -> Ipv6Addr {
    address(&cloud.get_port("a"))
}

#[test]
fn who_is_asked_for_outside_is_answered_for_at_the_gateway_alone() {
    let cloud = published();
    assert_eq!(answers(&cloud, "h2", guest(&cloud)), Some("r"));
    assert_eq!(answers(&cloud, "h1", guest(&cloud)), None);
    assert_eq!(reasons(&cloud), []);
}

#[test]
fn a_prefix_that_its_owner_chose_is_not_published() {
    let mut cloud = publishing();
    assert_eq!(anybody(&cloud, guest(&cloud)), None);
    assert_eq!(reasons(&cloud), [(WithheldReason::NotGivenOut, 3)]);

    cloud.pool("other", None, "operator");
    cloud.take_from("other", "red6");
    assert_eq!(anybody(&cloud, guest(&cloud)), None, "another pool");

    cloud.change_subnet("red6", |subnet| {
        subnet.prefix_source = PrefixSource::Delegated
    });
    assert_eq!(anybody(&cloud, guest(&cloud)), None, "not delegated yet");
}

#[test]
fn a_prefix_is_published_where_it_was_delegated() {
    let mut cloud = publishing();
    cloud.change_subnet("red6", |subnet| {
        subnet.prefix_source = PrefixSource::Delegated
    });
    for (network, prefix, expected) in [
        ("ext", "2001:db8:a::/64", Some("r")),
        ("ext", "2001:db8:a::/56", Some("r")),
        ("ext", "2001:db8:b::/64", None),
        ("elsewhere", "2001:db8:a::/64", None),
    ] {
        let delegation = Delegation {
            network: network_id(network),
            prefix: prefix.parse().unwrap(),
            server: vec![],
            renew_at: 0,
            rebind_at: 0,
            preferred_until: i64::MAX,
            valid_until: i64::MAX,
        };
        let subnet = SubnetId(id("red6"));
        cloud.facts.delegate(subnet, Some(Arc::new(delegation)));
        assert_eq!(
            anybody(&cloud, guest(&cloud)),
            expected,
            "{network} {prefix}"
        );
    }
}

#[test]
fn pools_of_one_scope_and_operator_are_as_one() {
    let mut cloud = publishing();
    cloud.pool("pool", Some("scope"), "operator");
    for (scope, project, expected) in [
        (Some("scope"), "operator", Some("r")),
        (Some("other"), "operator", None),
        (None, "operator", None),
        (Some("scope"), "tenant", None),
    ] {
        cloud.pool("second", scope, project);
        cloud.take_from("second", "red6");
        assert_eq!(
            anybody(&cloud, guest(&cloud)),
            expected,
            "{scope:?} {project}"
        );
    }
}

#[test]
fn who_takes_anothers_address_neither_has_it_published_nor_keeps_it_from_being() {
    let mut cloud = published();
    let victim = guest(&cloud);
    tenant(&mut cloud, "2001:db8:a::/64", victim);
    assert_eq!(anybody(&cloud, victim), Some("r"));
    assert_eq!(reasons(&cloud), [(WithheldReason::NotGivenOut, 1)]);
    cloud.allow("thief", None, &format!("{victim}/128"));
    assert_eq!(anybody(&cloud, victim), Some("r"));
    cloud.pool("mine", None, "tenant");
    cloud.take_from("mine", "own6");
    assert_eq!(anybody(&cloud, victim), Some("r"));
}

#[test]
fn nobody_has_an_address_published_that_is_of_the_external_network() {
    let mut cloud = publishing();
    let upstream = "2001:db8:e::1".parse().unwrap();
    tenant(&mut cloud, "2001:db8:e::/64", upstream);
    assert_eq!(anybody(&cloud, upstream), None);
    cloud.take_from("pool", "own6");
    assert_eq!(anybody(&cloud, upstream), None, "and be it given out");
    let of_external = (WithheldReason::OfExternalNetwork, 1);
    assert!(
        reasons(&cloud).contains(&of_external),
        "{:?}",
        reasons(&cloud)
    );
}

#[test]
fn an_address_that_two_have_by_right_is_nobodys() {
    let mut cloud = published();
    let shared = guest(&cloud);
    tenant(&mut cloud, "2001:db8:a::/64", shared);
    cloud.take_from("pool", "own6");
    assert_eq!(anybody(&cloud, shared), None);
    assert!(anybody(&cloud, address(&cloud.get_port("b"))).is_some());
    assert_eq!(
        reasons(&cloud),
        [
            (WithheldReason::HeldByOthers, 1),
            (WithheldReason::HeldByOthers, 1)
        ]
    );
    cloud.delete_port("thief");
    assert_eq!(anybody(&cloud, shared), Some("r"));
}

#[test]
fn of_several_routers_the_subnets_own_answers_and_none_that_is_not_on_the_subnet() {
    let mut cloud = published();
    cloud.router("s");
    cloud.interface("aa", "s", "red");
    cloud.gateway("s", "ext");
    let gateway = |cloud: &Cloud, interface: &str| {
        let port = cloud.get_port(interface);
        port.ipv6_addresses().map(|(_, address)| address).next()
    };
    for (interface, router) in [("i", "r"), ("aa", "s")] {
        let own = gateway(&cloud, interface).map(Into::into);
        cloud.change_subnet("red6", |subnet| subnet.gateway_ip = own);
        assert_eq!(anybody(&cloud, guest(&cloud)), Some(router));
    }
    cloud.change_subnet("red6", |subnet| {
        subnet.gateway_ip = None;
        subnet.meta.project_id = "tenant".to_owned();
    });
    for (router, project) in [("r", "stranger"), ("s", "tenant")] {
        cloud.change_router(router, |router| {
            router.meta.project_id = project.to_owned();
            let nexthop = "2001:db8:a::66".parse().unwrap();
            router.routes = vec![HostRoute {
                destination: "2001:db8:a::/65".parse().unwrap(),
                nexthop,
            }];
        });
    }
    assert_eq!(anybody(&cloud, guest(&cloud)), Some("s"));
    for name in ["i", "aa"] {
        cloud.change_port(name, |port| {
            port.fixed_ips.retain(|ip| ip.ip_address.is_ipv4())
        });
    }
    assert_eq!(anybody(&cloud, guest(&cloud)), None);
}

/// What may happen to two tenants' networks with one prefix.
#[derive(Clone, Copy, Debug)]
enum Step {
    Given(bool),
    FromPool(bool),
    Scope(bool),
    Taken(bool),
    Gone,
    GatewayUp(bool),
    Interface(bool),
    Plug(bool),
}

impl Step {
    fn apply(self, cloud: &mut Cloud) {
        let subnet = |first| if first { "red6" } else { "own6" };
        match self {
            Self::Given(first) => {
                cloud.change_subnet(subnet(first), |subnet| {
                    subnet.prefix_source = PrefixSource::Given;
                });
            }
            Self::FromPool(first) => cloud.take_from("second", subnet(first)),
            Self::Scope(same) => cloud.pool("second", same.then_some("scope"), "operator"),
            Self::Taken(same) => {
                let victim = guest(cloud);
                let free = "2001:db8:a::77".parse().unwrap();
                cloud.port("thief", "own");
                let address = if same { victim } else { free };
                cloud.change_port("thief", |port| {
                    port.fixed_ips[0].ip_address = address.into()
                });
            }
            Self::Gone => cloud.delete_port("thief"),
            Self::GatewayUp(up) => cloud.change_port("gw-s", |port| port.admin_state_up = up),
            Self::Interface(true) => cloud.interface("j", "s", "own"),
            Self::Interface(false) => cloud.delete_port("j"),
            Self::Plug(true) => cloud.plug("a", "h1"),
            Self::Plug(false) => cloud.unplug("a"),
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let bit = any::<bool>;
    prop_oneof![
        bit().prop_map(Step::Given),
        bit().prop_map(Step::FromPool),
        bit().prop_map(Step::Scope),
        bit().prop_map(Step::Taken),
        Just(Step::Gone),
        bit().prop_map(Step::GatewayUp),
        bit().prop_map(Step::Interface),
        bit().prop_map(Step::Plug),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_networks_with_one_prefix_step_by_step_and_at_once(steps in prop::collection::vec(step(), 1..24)) {
        let mut cloud = published();
        cloud.pool("pool", Some("scope"), "operator");
        cloud.pool("second", Some("scope"), "operator");
        let victim = guest(&cloud);
        tenant(&mut cloud, "2001:db8:a::/64", victim);
        let all = ["h1", "h2"].map(ChassisId::new);
        let mut flows = all.clone().map(|chassis| Flows::compute(&cloud.intent, &cloud.facts, &chassis));
        for step in steps {
            let old = cloud.clone();
            step.apply(&mut cloud);
            for (chassis, flows) in all.iter().zip(&mut flows) {
                flows.update(chassis, (&old.intent, &old.facts), (&cloud.intent, &cloud.facts));
                let wanted = Flows::compute(&cloud.intent, &cloud.facts, chassis);
                prop_assert_eq!(&*flows, &wanted, "after {:?}", step);
            }
        }
    }
}
