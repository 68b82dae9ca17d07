use super::*;
use ipnet::IpNet;
use sextant_controller::snapshot::Snapshot;
use sextant_model::{Delegation, Settings, SubnetId};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn wish(network: &Value, more: Value) -> Value {
    let mut subnet = json!({"network_id": network["id"], "ip_version": 6});
    let fields = subnet.as_object_mut().unwrap();
    fields.extend(slaac().as_object().unwrap().clone());
    fields.extend(more.as_object().unwrap().clone());
    subnet
}

#[tokio::test]
async fn subnets_wait_for_their_prefixes_side_by_side_and_ports_with_them() {
    let cloud = Cloud::new();
    let inside = network(&cloud, json!({})).await;
    let port = made(&cloud, "port", json!({"network_id": inside["id"]})).await;
    let router = made(&cloud, "router", json!({})).await;
    let delegated = json!({"subnetpool_id": "prefix_delegation"});
    for _ in 0..2 {
        let subnet = made(&cloud, "subnet", wish(&inside, delegated.clone())).await;
        assert_eq!([&subnet["cidr"], &subnet["gateway_ip"]], ["::/64", "::"]);
        attach(&cloud, &router, &subnet).await;
    }
    let port = shown(&cloud, "port", &port).await;
    let waiting = addresses(&port["fixed_ips"]);
    assert_eq!(waiting.len(), 2);
    assert!(
        waiting.iter().all(|ip| ip.starts_with("::f816:3eff:fe")),
        "{waiting:?}"
    );
    let model = cloud.snapshots.latest().intent.ports[&api::port_id(&port["id"])].clone();
    assert_eq!(model.ipv6_addresses().count(), 0);

    let interfaces = cloud
        .get("ports?device_owner=network:router_interface")
        .await
        .ok();
    assert_eq!(interfaces["ports"].as_array().unwrap().len(), 1);
    assert_eq!(
        addresses(&interfaces["ports"][0]["fixed_ips"]),
        ["::", "::"]
    );
}

#[tokio::test]
async fn the_default_pool_is_delegation_only_where_that_is_switched_on() {
    let by_default = json!({"use_default_subnetpool": true});
    let off = Cloud::new();
    let inside = network(&off, json!({})).await;
    let refused = off
        .post(
            "subnets",
            json!({"subnet": wish(&inside, by_default.clone())}),
        )
        .await;
    assert_eq!(
        refused.error().2,
        "Bad subnets request: No default subnetpool found for IPv6."
    );

    let on = Cloud::with(Settings {
        ipv6_pd_enabled: true,
        ..Settings::default()
    });
    let inside = network(&on, json!({})).await;
    let subnet = made(&on, "subnet", wish(&inside, by_default)).await;
    assert_eq!(subnet["subnetpool_id"], "prefix_delegation");
    let pools = json!({"subnetpool_id": "prefix_delegation", "allocation_pools": [{"start": "::5", "end": "::6"}]});
    let refused = on
        .post("subnets", json!({"subnet": wish(&inside, pools)}))
        .await;
    assert_eq!(
        refused.error().2,
        "Bad subnets request: allocation_pools allowed only for specific subnet requests.."
    );
}

/// How long something may take that happens by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// A router with a way out, on a subnet that waits for its prefix, and guests there; the keeper of prefixes is at work.
struct Delegating {
    cloud: Cloud,
    inside: Value,
    outside: Value,
    router: Value,
    subnet: Value,
}

impl Delegating {
    async fn new() -> Self {
        let cloud = Cloud::new();
        cloud.keep_delegations();
        let inside = network(&cloud, json!({})).await;
        let outside = external(&cloud).await;
        subnet(&cloud, &outside, "2001:db8:ee::/64", json!({})).await;
        let router = with_way_out(&cloud, &outside).await;
        let delegated = json!({"subnetpool_id": "prefix_delegation"});
        let subnet = made(&cloud, "subnet", wish(&inside, delegated)).await;
        attach(&cloud, &router, &subnet).await;
        Self {
            cloud,
            inside,
            outside,
            router,
            subnet,
        }
    }

    fn subnet_id(&self) -> SubnetId {
        id(&self.subnet).parse().unwrap()
    }

    async fn guest(&self) -> Value {
        let wish = json!({"network_id": self.inside["id"]});
        made(&self.cloud, "port", wish).await
    }

    /// A server delegates this prefix, until then.
    async fn delegate_until(&self, prefix: &str, valid_until: i64) {
        let (subnet, prefix) = (self.subnet_id(), prefix.parse().unwrap());
        let delegation = Delegation {
            network: id(&self.outside).parse().unwrap(),
            prefix,
            server: vec![0, 3],
            renew_at: i64::MAX,
            rebind_at: i64::MAX,
            preferred_until: valid_until,
            valid_until,
        };
        self.cloud
            .observe(move |facts, _| facts.delegate(subnet, Some(Arc::new(delegation))))
            .await;
    }

    async fn delegate(&self, prefix: &str) {
        self.delegate_until(prefix, i64::MAX).await;
    }

    async fn has_prefix(&self, prefix: &str) -> Arc<Snapshot> {
        let (id, prefix): (_, IpNet) = (self.subnet_id(), prefix.parse().unwrap());
        let has = |snapshot: &Snapshot| snapshot.intent.subnets[&id].cidr == prefix;
        self.cloud.once(has).await
    }

    async fn shown_subnet(&self) -> Value {
        shown(&self.cloud, "subnet", &self.subnet).await
    }

    /// Takes the subnet from the router.
    async fn detach(&self) {
        let path = format!("routers/{}/remove_router_interface", id(&self.router));
        let named = json!({"subnet_id": self.subnet["id"]});
        self.cloud.put(&path, named).await.ok();
    }

    /// The addresses that routers have of the subnet.
    async fn of_routers(&self) -> Vec<String> {
        let path = "ports?device_owner=network:router_interface";
        let ports = self.cloud.get(path).await.ok();
        let ports = ports["ports"].as_array().unwrap();
        let mut all: Vec<String> = ports
            .iter()
            .flat_map(|port| addresses(&port["fixed_ips"]))
            .collect();
        all.sort();
        all
    }

    /// Waits until so many changes of a kind are counted: that is after everybody can read the last one.
    async fn counted(&self, change: &str, times: u64) {
        let changes = &self.cloud.metrics.delegation_changes;
        let changes = changes.with_label_values(&[change]);
        let counted = async {
            while changes.get() < times {
                tokio::task::yield_now().await;
            }
        };
        let counted = tokio::time::timeout(PATIENCE, counted).await;
        assert!(counted.is_ok(), "{change}: {}", changes.get());
        assert_eq!(changes.get(), times, "{change}");
    }

    /// Waits until so many subnets wait, and so many have their prefix.
    async fn gauged(&self, wanted: [i64; 2]) {
        let subnets = &self.cloud.metrics.delegated_subnets;
        let gauges = ["waiting", "delegated"].map(|state| subnets.with_label_values(&[state]));
        let gauged = async {
            while gauges.each_ref().map(|gauge| gauge.get()) != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, gauged).await.unwrap();
    }
}

async fn with_way_out(cloud: &Cloud, outside: &Value) -> Value {
    let way_out = json!({"network_id": outside["id"]});
    made(cloud, "router", json!({"external_gateway_info": way_out})).await
}

/// The addresses of a subnet that are claimed are those that ports have, and all are of its prefix.
fn claims_are_exact(snapshot: &Snapshot, subnet: SubnetId) {
    let intent = &snapshot.intent;
    let subnet = &intent.subnets[&subnet];
    let mut held: Vec<IpAddr> = intent
        .ports_of(subnet.network_id)
        .flat_map(|port| &port.fixed_ips)
        .filter(|fixed| fixed.subnet_id == subnet.id)
        .map(|fixed| fixed.ip_address)
        .collect();
    held.sort();
    let claimed: Vec<IpAddr> = intent.claimed_addresses(subnet.id).collect();
    assert_eq!(claimed, held);
    assert!(
        held.iter().all(|address| subnet.cidr.contains(address)),
        "{held:?}"
    );
}

#[tokio::test]
async fn a_prefix_that_is_delegated_becomes_the_subnets_with_all_that_hangs_on_it() {
    let story = Delegating::new().await;
    let guest = story.guest().await;
    story.gauged([1, 0]).await;
    let before = story.shown_subnet().await;
    story.delegate("2001:db8:2222:6900::/56").await;
    let snapshot = story.has_prefix("2001:db8:2222:6900::/64").await;
    claims_are_exact(&snapshot, story.subnet_id());

    let subnet = story.shown_subnet().await;
    assert_eq!(subnet["gateway_ip"], "2001:db8:2222:6900::1");
    let pool = json!([{"start": "2001:db8:2222:6900::2", "end": "2001:db8:2222:6900:ffff:ffff:ffff:ffff"}]);
    assert_eq!(subnet["allocation_pools"], pool);
    let revision = |subnet: &Value| subnet["revision_number"].as_u64().unwrap();
    assert_eq!(revision(&subnet), revision(&before) + 1);
    assert_eq!(story.of_routers().await, ["2001:db8:2222:6900::1"]);

    let moved = shown(&story.cloud, "port", &guest).await;
    let [was, is] = [&guest, &moved].map(|port| addresses(&port["fixed_ips"])[0].clone());
    assert_eq!(is, was.replace("::", "2001:db8:2222:6900:"));
    assert!(revision(&moved) > revision(&guest));
    story.gauged([0, 1]).await;
    story.counted("delegated", 1).await;

    story.delegate("2001:db8:3333:1::/64").await;
    let snapshot = story.has_prefix("2001:db8:3333:1::/64").await;
    claims_are_exact(&snapshot, story.subnet_id());
    assert_eq!(story.of_routers().await, ["2001:db8:3333:1::1"]);
    story.counted("renumbered", 1).await;
}

#[tokio::test]
async fn a_subnet_loses_its_prefix_with_the_router_that_asks_for_it() {
    for by_the_gateway in [false, true] {
        let story = Delegating::new().await;
        story.guest().await;
        story.delegate("2001:db8:1::/64").await;
        story.has_prefix("2001:db8:1::/64").await;
        if by_the_gateway {
            let none = json!({"external_gateway_info": null});
            change(&story.cloud, &story.router, none).await;
        } else {
            story.detach().await;
        }
        story.has_prefix("::/64").await;
        let forgotten = |snapshot: &Snapshot| snapshot.facts.delegations().is_empty();
        let snapshot = story.cloud.once(forgotten).await;
        claims_are_exact(&snapshot, story.subnet_id());
        let subnet = story.shown_subnet().await;
        assert_eq!(subnet["gateway_ip"], "::1");
        let pool = json!([{"start": "::2", "end": "::ffff:ffff:ffff:ffff"}]);
        assert_eq!(subnet["allocation_pools"], pool);
        let left: &[&str] = if by_the_gateway { &["::1"] } else { &[] };
        assert_eq!(story.of_routers().await, left);
    }
}

#[tokio::test]
async fn a_subnet_loses_its_prefix_when_the_delegation_ends() {
    let story = Delegating::new().await;
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let soon = i64::try_from(soon.as_secs()).unwrap() + 2;
    story.delegate_until("2001:db8:1::/64", soon).await;
    story.has_prefix("2001:db8:1::/64").await;
    story.has_prefix("::/64").await;
    assert_eq!(story.of_routers().await, ["::1"]);
    story.counted("reverted", 1).await;
}

#[tokio::test]
async fn a_prefix_that_overlaps_is_refused_until_it_does_not() {
    let story = Delegating::new().await;
    let other = network(&story.cloud, json!({})).await;
    let taken = subnet(
        &story.cloud,
        &other,
        "2001:db8:5::/48",
        json!({"gateway_ip": "2001:db8:5::1"}),
    )
    .await;
    attach(&story.cloud, &story.router, &taken).await;
    story.delegate("2001:db8:1::/64").await;
    story.has_prefix("2001:db8:1::/64").await;

    for (overlapping, refused) in [("2001:db8:5:5::/64", 1), ("2001:db8:ee::/64", 2)] {
        story.delegate(overlapping).await;
        story.counted("refused", refused).await;
        story.has_prefix("::/64").await;
    }
    story.delegate("2001:db8:5:5::/64").await;
    story.counted("refused", 3).await;
    let path = format!("routers/{}/remove_router_interface", id(&story.router));
    let named = json!({"subnet_id": taken["id"]});
    story.cloud.put(&path, named).await.ok();
    story.has_prefix("2001:db8:5:5::/64").await;
    let path = format!("routers/{}/add_router_interface", id(&story.router));
    let again = story
        .cloud
        .put(&path, json!({"subnet_id": taken["id"]}))
        .await;
    assert_eq!(again.status, 400, "it overlaps from the other side as well");
}

#[tokio::test]
async fn routers_share_a_delegated_subnet_and_none_gets_anothers_address() {
    let story = Delegating::new().await;
    let second = made(&story.cloud, "router", json!({})).await;
    let port = story.guest().await;
    let named = json!({"port_id": port["id"]});
    let path = format!("routers/{}/add_router_interface", id(&second));
    story.cloud.put(&path, named).await.ok();
    story.delegate("2001:db8:1::/64").await;
    let snapshot = story.has_prefix("2001:db8:1::/64").await;
    claims_are_exact(&snapshot, story.subnet_id());
    let of_routers = story.of_routers().await;
    let port = &snapshot.intent.ports[&api::port_id(&port["id"])];
    let own = port.mac_address.eui64("2001:db8:1::".parse().unwrap());
    assert_eq!(of_routers, [&own.to_string(), "2001:db8:1::1"]);
}

#[tokio::test]
async fn a_renumbered_subnet_can_be_changed_given_to_another_router_and_deleted() {
    let story = Delegating::new().await;
    story.guest().await;
    story.delegate("2001:db8:1::/64").await;
    story.has_prefix("2001:db8:1::/64").await;
    let path = format!("subnets/{}", id(&story.subnet));
    let set = |gateway: &str| json!({"subnet": {"gateway_ip": gateway}});
    let used = story.cloud.put(&path, set("2001:db8:1::")).await.error();
    assert_eq!(used.1, "GatewayIpInUse");
    let in_use = story.cloud.delete(&path).await.error();
    assert_eq!(in_use.1, "SubnetInUse");

    story.detach().await;
    story.has_prefix("::/64").await;
    story.cloud.put(&path, set("::")).await.ok();
    let other = with_way_out(&story.cloud, &story.outside).await;
    attach(&story.cloud, &other, &story.subnet).await;
    assert_eq!(story.of_routers().await, ["::"]);
    story.delegate("2001:db8:2::/64").await;
    story.has_prefix("2001:db8:2::/64").await;
    assert_eq!(story.of_routers().await, ["2001:db8:2::1"]);

    let named = json!({"subnet_id": story.subnet["id"]});
    let detach = format!("routers/{}/remove_router_interface", id(&other));
    story.cloud.put(&detach, named).await.ok();
    story.cloud.delete(&path).await.ok();
    let gone = |snapshot: &Snapshot| snapshot.facts.delegations().is_empty();
    let snapshot = story.cloud.once(gone).await;
    let left = snapshot.intent.claimed_addresses(story.subnet_id());
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_made_while_a_subnet_is_renumbered_have_addresses_of_its_new_prefix() {
    for round in 0..8 {
        let story = Arc::new(Delegating::new().await);
        story.guest().await;
        let mut making = tokio::task::JoinSet::new();
        for n in 0..32 {
            let story = story.clone();
            making.spawn(async move {
                if n == 2 * round {
                    story.delegate("2001:db8:1::/64").await;
                }
                story.guest().await;
            });
        }
        making.join_all().await;
        let snapshot = story.has_prefix("2001:db8:1::/64").await;
        claims_are_exact(&snapshot, story.subnet_id());
        let claimed = snapshot.intent.claimed_addresses(story.subnet_id());
        assert_eq!(claimed.count(), 1 + 1 + 32);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_interface_and_a_delegation_that_overlap_one_is_refused() {
    for _ in 0..16 {
        let story = Delegating::new().await;
        let other = network(&story.cloud, json!({})).await;
        let gateway = json!({"gateway_ip": "2001:db8:1::1"});
        let overlapping = subnet(&story.cloud, &other, "2001:db8:1::/48", gateway).await;
        let path = format!("routers/{}/add_router_interface", id(&story.router));
        let named = json!({"subnet_id": overlapping["id"]});
        let attach = story.cloud.put(&path, named);
        let (attached, ()) = tokio::join!(attach, story.delegate("2001:db8:1::/64"));
        if attached.status.is_success() {
            story.counted("refused", 1).await;
            story.has_prefix("::/64").await;
        } else {
            story.has_prefix("2001:db8:1::/64").await;
        }
    }
}
