use super::*;
use sextant_model::{Chassis, ChassisId, DefaultQuotas, Encap, EncapKind, Facts, Intent, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

async fn gateway_port(cloud: &Cloud, router: &Value) -> Option<Value> {
    let query = format!(
        "ports?device_owner=network:router_gateway&device_id={}",
        id(router)
    );
    let mut ports = cloud.get(&query).await.ok();
    ports["ports"].as_array_mut().unwrap().pop()
}

/// An external network that hypervisors can reach.
async fn physical(cloud: &Cloud) -> Value {
    let flat = json!({
        "router:external": true,
        "provider:network_type": "flat",
        "provider:physical_network": "physnet1",
    });
    // A physical network is known by who is attached to it.
    cloud.observe(|facts, _| facts.put_chassis(edge())).await;
    let network = network(cloud, flat).await;
    let gone = |facts: &mut Facts, intent: &Intent| {
        facts.remove_chassis(&edge().id);
        facts.place_gateways(intent);
    };
    cloud.observe(gone).await;
    network
}

/// A hypervisor with a bridge of every physical network that tests have.
fn edge() -> Chassis {
    Chassis {
        bridge_mappings: [("physnet1".to_owned(), "br-ex".to_owned())].into(),
        patch_ports: [("physnet1".to_owned(), 1)].into(),
        observed: true,
        ..Chassis::new(
            ChassisId::new("edge"),
            Encap {
                endpoints: "2001:db8::1".parse().unwrap(),
                kind: EncapKind::Vxlan,
            },
        )
    }
}

fn through(network: &Value) -> Value {
    json!({"external_gateway_info": {"network_id": network["id"]}})
}

/// How a gateway's port is shown while its hypervisor is gone, or is not.
async fn shown_while(cloud: &Cloud, path: &str, gone: bool) -> [Value; 3] {
    cloud
        .observe(move |facts, intent| {
            facts.put_chassis(edge());
            facts.place_gateways(intent);
            facts.mark_gone(intent, &ChassisId::new("edge"), gone);
        })
        .await;
    let shown = cloud.get(path).await.ok()["port"].clone();
    ["status", "binding:host_id", "binding:vif_type"].map(|name| shown[name].clone())
}

#[tokio::test]
async fn a_gateway_is_a_port_without_a_project_that_lives_and_dies_with_the_routers_wish() {
    let cloud = Cloud::new();
    let outside = physical(&cloud).await;
    subnet(&cloud, &outside, "2001:db8:e::/64", json!({})).await;
    subnet(&cloud, &outside, "198.51.100.0/24", json!({})).await;
    let mut wish = through(&outside);
    wish["name"] = "r".into();
    let router = made(&cloud, "router", wish).await;
    let info = &router["external_gateway_info"];
    assert_eq!(info["enable_snat"], true);
    assert_eq!(addresses(&info["external_fixed_ips"]).len(), 2);

    let port = gateway_port(&cloud, &router).await.unwrap();
    assert_eq!(port["fixed_ips"], info["external_fixed_ips"]);
    assert_eq!(
        [
            &port["project_id"],
            &port["port_security_enabled"],
            &port["status"]
        ],
        [&json!(""), &json!(false), &json!("DOWN")],
        "no hypervisor can have it"
    );
    let path = format!("ports/{}", id(&port));
    assert_eq!(
        shown_while(&cloud, &path, false).await,
        ["ACTIVE", "edge", "ovs"]
    );
    assert_eq!(
        shown_while(&cloud, &path, true).await,
        ["DOWN", "edge", "ovs"]
    );
    assert_eq!(
        cloud.delete(&path).await.error(),
        (
            409,
            "ServicePortInUse".to_owned(),
            format!(
                "Port {} cannot be deleted directly via the port API: has device owner network:router_gateway.",
                id(&port)
            )
        )
    );
    for wish in [json!({"fixed_ips": []}), json!({"device_owner": ""})] {
        assert_eq!(cloud.put(&path, json!({"port": wish})).await.error().0, 400);
    }

    let none = change(&cloud, &router, json!({"external_gateway_info": null})).await;
    assert_eq!(none["external_gateway_info"], Value::Null);
    assert_eq!(gateway_port(&cloud, &router).await, None);
    change(&cloud, &router, through(&outside)).await;
    cloud.delete(&format!("routers/{}", id(&router))).await.ok();
    assert_eq!(gateway_port(&cloud, &router).await, None);
    cloud
        .delete(&format!("networks/{}", id(&outside)))
        .await
        .ok();
}

#[tokio::test]
async fn a_gateway_keeps_its_addresses_until_others_are_asked_for() {
    let cloud = Cloud::new();
    let outside = external(&cloud).await;
    let six = subnet(&cloud, &outside, "2001:db8:e::/64", json!({})).await;
    let router = made(&cloud, "router", through(&outside)).await;
    let first = router["external_gateway_info"]["external_fixed_ips"].clone();
    let again = change(&cloud, &router, through(&outside)).await;
    assert_eq!(again["external_gateway_info"]["external_fixed_ips"], first);

    let mut named = through(&outside);
    named["external_gateway_info"]["external_fixed_ips"] =
        json!([{"subnet_id": six["id"], "ip_address": "2001:db8:e::99"}]);
    named["external_gateway_info"]["enable_snat"] = false.into();
    let moved = change(&cloud, &router, named).await;
    let info = &moved["external_gateway_info"];
    assert_eq!(addresses(&info["external_fixed_ips"]), ["2001:db8:e::99"]);
    assert_eq!(info["enable_snat"], false);

    let elsewhere = external(&cloud).await;
    let other = change(&cloud, &router, through(&elsewhere)).await;
    assert_eq!(
        other["external_gateway_info"]["external_fixed_ips"],
        json!([])
    );
    let taken =
        json!({"network_id": outside["id"], "fixed_ips": [{"ip_address": "2001:db8:e::99"}]});
    made(&cloud, "port", taken).await;
}

#[tokio::test]
async fn what_cannot_be_a_way_out_is_refused() {
    let cloud = Cloud::new();
    let outside = external(&cloud).await;
    subnet(
        &cloud,
        &outside,
        "2001:db8:e::/64",
        json!({"gateway_ip": "2001:db8:e::1"}),
    )
    .await;
    let inside = network(&cloud, json!({})).await;
    let clash = subnet(&cloud, &inside, "2001:db8:e::/56", json!({})).await;
    let router = made(&cloud, "router", json!({})).await;
    let path = format!("routers/{}", id(&router));
    let with = |more: Value| {
        let mut wish = through(&outside);
        let more = more.as_object().unwrap().clone();
        let info = wish["external_gateway_info"].as_object_mut().unwrap();
        info.extend(more);
        json!({"router": wish})
    };
    for (wish, reason) in [
        (
            json!({"external_fixed_ips": [{"ip_address": "2001:db8:e::1"}]}),
            "Bad router request: External IP 2001:db8:e::1 is the same as the gateway IP.",
        ),
        (
            json!({"external_fixed_ips": [{"ip_address": "2001:db8:f::5"}]}),
            "IP address 2001:db8:f::5 is not a valid IP for any of the subnets on the specified network.",
        ),
        (
            json!({"colour": "blue"}),
            "Invalid input for external_gateway_info. Reason: Validation of dictionary's keys failed. Expected keys: \
             ['network_id', 'enable_snat', 'external_fixed_ips'] Provided keys: ['colour', 'network_id'].",
        ),
    ] {
        let (status, _, message) = cloud.put(&path, with(wish)).await.error();
        assert_eq!((status, message.as_str()), (400, reason));
    }
    for nonsense in [
        json!(7),
        json!("x"),
        json!([1]),
        json!({"enable_snat": true}),
    ] {
        let wish = json!({"router": {"external_gateway_info": nonsense}});
        assert_eq!(cloud.put(&path, wish).await.error().0, 400);
    }
    attach(&cloud, &router, &clash).await;
    let (status, _, message) = cloud.put(&path, with(json!({}))).await.error();
    assert_eq!(status, 400);
    assert!(message.contains("overlaps with cidr"), "{message}");
    assert_eq!(
        shown(&cloud, "router", &router).await["external_gateway_info"],
        Value::Null
    );
}

#[tokio::test]
async fn a_network_with_gateways_stays_external() {
    let cloud = Cloud::new();
    let outside = external(&cloud).await;
    let router = made(&cloud, "router", through(&outside)).await;
    let path = format!("networks/{}", id(&outside));
    let inward = json!({"network": {"router:external": false}});
    let (status, kind, _) = cloud.put(&path, inward.clone()).await.error();
    assert_eq!((status, kind.as_str()), (409, "ExternalNetworkInUse"));
    change(&cloud, &router, json!({"external_gateway_info": {}})).await;
    cloud.put(&path, inward).await.ok();
}

#[tokio::test]
async fn gateways_form_their_own_addresses_where_hosts_do_and_get_one_of_each_kind_as_subnets_come()
{
    let cloud = Cloud::new();
    let outside = external(&cloud).await;
    let router = made(&cloud, "router", through(&outside)).await;
    let info = |router: Value| addresses(&router["external_gateway_info"]["external_fixed_ips"]);
    assert_eq!(info(router.clone()), [""; 0]);

    let mut after = Vec::new();
    for (cidr, modes) in [
        ("198.51.100.0/24", json!({})),
        ("2001:db8:e::/64", json!({})),
        ("2001:db8:f::/64", json!({})),
        ("203.0.113.0/24", json!({})),
        ("2001:db8:a::/64", slaac()),
    ] {
        subnet(&cloud, &outside, cidr, modes).await;
        after.push(info(shown(&cloud, "router", &router).await).len());
    }
    assert_eq!(after, [1, 2, 2, 2, 3]);
    let all = info(shown(&cloud, "router", &router).await);
    assert!(
        all.iter()
            .any(|ip| ip.starts_with("2001:db8:a:0:f816:3eff:fe")),
        "{all:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_gateways_made_at_once_each_has_addresses_of_its_own() {
    const ROUTERS: usize = 24;
    let cloud = Arc::new(Cloud::with(Settings {
        quotas: DefaultQuotas::new(|_| None),
        ..Settings::default()
    }));
    let outside = external(&cloud).await;
    let pools = json!({"allocation_pools": [{"start": "2001:db8:e::10", "end": "2001:db8:e::27"}]});
    subnet(&cloud, &outside, "2001:db8:e::/64", pools).await;
    let mut routers = Vec::new();
    for _ in 0..ROUTERS {
        routers.push(made(&cloud, "router", json!({})).await);
    }
    let running: Vec<_> = routers
        .into_iter()
        .map(|router| {
            let (cloud, wish) = (cloud.clone(), through(&outside));
            tokio::spawn(async move { change(&cloud, &router, wish).await })
        })
        .collect();
    let mut taken = BTreeSet::new();
    for router in running {
        let router = router.await.unwrap();
        taken.extend(addresses(
            &router["external_gateway_info"]["external_fixed_ips"],
        ));
    }
    assert_eq!(taken.len(), ROUTERS);
    let router = made(&cloud, "router", json!({})).await;
    let full = cloud
        .put(
            &format!("routers/{}", id(&router)),
            json!({"router": through(&outside)}),
        )
        .await;
    assert_eq!(full.error().1, "IpAddressGenerationFailure");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_networks_wanted_at_once_a_router_has_one_and_one_port() {
    let cloud = Arc::new(Cloud::new());
    let networks = [external(&cloud).await, external(&cloud).await];
    let router = made(&cloud, "router", json!({})).await;
    let running: Vec<_> = (0..16)
        .map(|n| {
            let (cloud, router, wish) = (cloud.clone(), router.clone(), through(&networks[n % 2]));
            tokio::spawn(async move { change(&cloud, &router, wish).await })
        })
        .collect();
    for change in running {
        change.await.unwrap();
    }
    let router = shown(&cloud, "router", &router).await;
    let ports = cloud.get("ports").await.ok();
    let ports = ports["ports"].as_array().unwrap();
    assert_eq!(ports.len(), 1);
    assert_eq!(
        ports[0]["network_id"],
        router["external_gateway_info"]["network_id"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_made_while_a_subnet_comes_has_an_address_of_it() {
    let cloud = Arc::new(Cloud::new());
    for _ in 0..8 {
        let outside = external(&cloud).await;
        let (making, wish) = (cloud.clone(), through(&outside));
        let router = tokio::spawn(async move { made(&making, "router", wish).await });
        subnet(&cloud, &outside, "2001:db8:e::/64", json!({})).await;
        let router = shown(&cloud, "router", &router.await.unwrap()).await;
        let info = &router["external_gateway_info"];
        assert_eq!(addresses(&info["external_fixed_ips"]).len(), 1);
    }
}

#[tokio::test]
async fn a_routers_agents_are_who_has_its_gateway_and_who_could() {
    let cloud = Cloud::new();
    let outside = physical(&cloud).await;
    subnet(&cloud, &outside, "2001:db8:e::/64", json!({})).await;
    let router = made(&cloud, "router", through(&outside)).await;
    let (with, without) = (id(&router), made(&cloud, "router", json!({})).await);
    cloud
        .observe(|facts, intent| {
            let named = |name| Chassis {
                id: ChassisId::new(name),
                ..edge()
            };
            let inner = Chassis {
                bridge_mappings: BTreeMap::new(),
                ..named("inner")
            };
            let all = [named("one"), named("two"), inner];
            all.into_iter()
                .for_each(|chassis| facts.put_chassis(chassis));
            facts.place_gateways(intent);
        })
        .await;
    let agents = async |router: &str| {
        let agents = cloud.get(&format!("routers/{router}/l3-agents")).await.ok();
        let agents = agents["agents"].as_array().unwrap().clone();
        let said = agents.iter().map(|agent| {
            let word = |name: &str| agent[name].as_str().unwrap().to_owned();
            (word("ha_state"), word("host"))
        });
        said.collect::<BTreeSet<_>>()
    };
    let hosting = agents(with).await;
    let states: Vec<&str> = hosting.iter().map(|(state, _)| state.as_str()).collect();
    assert_eq!(states, ["active", "standby"], "{hosting:?}");
    assert!(hosting.iter().all(|(_, host)| host != "inner"));
    assert!(agents(id(&without)).await.is_empty());
    let path = format!("networks/{}/dhcp-agents", id(&outside));
    assert_eq!(cloud.get(&path).await.ok(), json!({"agents": []}));
}
