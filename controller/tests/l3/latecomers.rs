use super::*;
use sextant_model::Settings;

async fn addresses_after(cloud: &Cloud, port: &Value) -> usize {
    addresses(&shown(cloud, "port", port).await["fixed_ips"]).len()
}

#[tokio::test]
async fn ports_get_an_address_of_a_new_subnet_only_where_hosts_form_their_own() {
    let cloud = Cloud::new();
    let inside = network(&cloud, json!({})).await;
    let port = made(&cloud, "port", json!({"network_id": inside["id"]})).await;
    subnet(&cloud, &inside, "10.0.0.0/24", json!({})).await;
    assert_eq!(addresses_after(&cloud, &port).await, 0);
    subnet(&cloud, &inside, "2001:db8::/64", slaac()).await;
    assert_eq!(addresses_after(&cloud, &port).await, 1);
}

#[tokio::test]
async fn switched_on_ports_get_one_of_each_kind_as_far_as_there_are_any() {
    let cloud = Cloud::with(Settings {
        address_existing_ports: true,
        ..Settings::default()
    });
    let stateful =
        json!({"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"});
    let inside = network(&cloud, json!({})).await;
    let port = made(&cloud, "port", json!({"network_id": inside["id"]})).await;
    let mut after = Vec::new();
    for (cidr, modes) in [
        ("10.0.0.0/24", json!({})),
        ("2001:db8::/64", stateful.clone()),
        ("10.0.1.0/24", json!({})),
        ("2001:db8:0:1::/64", stateful),
        ("2001:db8:0:2::/64", slaac()),
    ] {
        subnet(&cloud, &inside, cidr, modes).await;
        after.push(addresses_after(&cloud, &port).await);
    }
    assert_eq!(after, [1, 2, 2, 2, 3]);

    let crowded = network(&cloud, json!({})).await;
    let mut ports = Vec::new();
    for _ in 0..3 {
        ports.push(made(&cloud, "port", json!({"network_id": crowded["id"]})).await);
    }
    let small = json!({"allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.6"}]});
    subnet(&cloud, &crowded, "10.0.0.0/24", small).await;
    let mut addressed = 0;
    for port in &ports {
        addressed += addresses_after(&cloud, port).await;
    }
    assert_eq!(addressed, 2);
}
