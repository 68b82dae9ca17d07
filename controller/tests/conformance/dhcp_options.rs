//! `extra_dhcp_opts`: taken as Neutron takes them, whether they can be sent or not.

use crate::api::Cloud;
use serde_json::{Value, json};

async fn network(cloud: &Cloud) -> Value {
    cloud.post("networks", json!({"network": {}})).await.ok()["network"]["id"].clone()
}

fn option(name: &str, value: &str, version: u8) -> Value {
    json!({"opt_name": name, "opt_value": value, "ip_version": version})
}

#[tokio::test]
async fn whatever_is_a_name_and_a_text_is_taken_and_shown() {
    let cloud = Cloud::new();
    let network = network(&cloud).await;
    let given = json!([
        option("tftp-server", "2015::badd", 4),
        option("server-ip-address", "123.123.123.456", 4),
        option("no-such-option", "x", 6),
        option("router", "", 4),
        option("dns-server", "192.0.2.1", 6),
    ]);
    let port = json!({"port": {"network_id": network, "extra_dhcp_opts": given}});
    let port = cloud.post("ports", port).await.ok();
    assert_eq!(port["port"]["extra_dhcp_opts"], given);

    let at = format!("ports/{}", port["port"]["id"].as_str().unwrap());
    let change = json!([
        option("tftp-server", "192.0.2.9", 4),
        {"opt_name": "router", "opt_value": null},
        {"opt_name": "mtu", "opt_value": "none at all"},
    ]);
    let changed = cloud
        .put(&at, json!({"port": {"extra_dhcp_opts": change}}))
        .await
        .ok();
    let expected = json!([
        option("tftp-server", "192.0.2.9", 4),
        option("server-ip-address", "123.123.123.456", 4),
        option("no-such-option", "x", 6),
        option("dns-server", "192.0.2.1", 6),
        option("mtu", "none at all", 4),
    ]);
    assert_eq!(
        changed["port"]["extra_dhcp_opts"], expected,
        "what is not named stays, and where it is"
    );
}

#[tokio::test]
async fn what_is_no_option_is_refused() {
    let cloud = Cloud::new();
    let network = network(&cloud).await;
    for wrong in [
        json!({"opt_name": "", "opt_value": "x"}),
        json!({"opt_name": "  ", "opt_value": "x"}),
        json!({"opt_name": "x", "opt_value": ""}),
        json!({"opt_name": "x"}),
        json!({"opt_value": "x"}),
        json!({"opt_name": "x\ny", "opt_value": "x"}),
        json!({"opt_name": "x", "opt_value": "x\ny"}),
        json!({"opt_name": "x", "opt_value": 5}),
        json!({"opt_name": "n".repeat(65), "opt_value": "x"}),
        json!({"opt_name": "x", "opt_value": "v".repeat(256)}),
        json!({"opt_name": "x", "opt_value": "y", "ip_version": 5}),
        json!({"opt_name": "x", "opt_value": "y", "more": 1}),
        json!("x"),
    ] {
        let port = json!({"port": {"network_id": network, "extra_dhcp_opts": [wrong]}});
        assert_eq!(cloud.post("ports", port).await.error().0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn many_requests_give_a_port_no_more_options_than_one_may() {
    let cloud = Cloud::new();
    let network = network(&cloud).await;
    let named = |names: std::ops::Range<usize>| -> Value {
        let options = names.map(|n| option(&format!("option-{n}"), "x", 6));
        options.collect()
    };
    let port = json!({"port": {"network_id": network, "extra_dhcp_opts": named(0..64)}});
    let port = cloud.post("ports", port).await.ok();
    let at = format!("ports/{}", port["port"]["id"].as_str().unwrap());
    let change = |options| json!({"port": {"extra_dhcp_opts": options}});

    let (status, kind, message) = cloud.put(&at, change(named(63..65))).await.error();
    assert_eq!((status, kind.as_str()), (400, "HTTPBadRequest"));
    assert_eq!(
        message,
        "Invalid input for extra_dhcp_opts. Reason: 65 items are more than 64, the most that a port can have."
    );
    let kept = cloud.get(&at).await.ok();
    assert_eq!(kept["port"]["extra_dhcp_opts"], named(0..64));

    let exchange = json!([{"opt_name": "option-0", "opt_value": null, "ip_version": 6}, option("new", "x", 6)]);
    let exchanged = cloud.put(&at, change(exchange)).await.ok();
    let left = exchanged["port"]["extra_dhcp_opts"].as_array().unwrap();
    assert_eq!(left.len(), 64);
    assert!(left.contains(&option("new", "x", 6)));
}
