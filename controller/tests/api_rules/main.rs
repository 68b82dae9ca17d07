//! What the API does where no recording says it: what follows from observations, lists, tags, conditions, odd input.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../api/mod.rs"]
mod api;
mod bindings;
mod host_bindings;
mod lists;
mod networks;
mod ports;
mod requests;
mod revisions;
mod routers;
mod security_group_rules;
mod security_groups;
mod subnets;

use api::Cloud;
use serde_json::{Value, json};

async fn made(cloud: &Cloud, kind: &str, attributes: Value) -> Value {
    let answer = cloud
        .post(
            &format!("{}s", kind.replace('_', "-")),
            json!({kind: attributes}),
        )
        .await
        .ok();
    answer[kind].clone()
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

async fn slaac(cloud: &Cloud, network: &Value, cidr: &str) -> Value {
    let modes = json!({"network_id": network["id"], "ip_version": 6, "cidr": cidr, "ipv6_ra_mode": "slaac",
                       "ipv6_address_mode": "slaac"});
    made(cloud, "subnet", modes).await
}
