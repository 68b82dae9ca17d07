//! What the API does between networks: ways out of routers and routes, delegated prefixes, address scopes, who gets an
//! address of which subnet; and what it tells of hypervisors.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "l3/address_scopes.rs"]
mod address_scopes;
#[path = "l3/agents.rs"]
mod agents;
mod api;
#[path = "l3/delegation.rs"]
mod delegation;
#[path = "l3/extra_routes.rs"]
mod extra_routes;
#[path = "l3/gateways.rs"]
mod gateways;
#[path = "l3/ip_availability.rs"]
mod ip_availability;
#[path = "l3/latecomers.rs"]
mod latecomers;
#[path = "l3/ports.rs"]
mod ports;
#[path = "l3/withdrawn.rs"]
mod withdrawn;

use api::Cloud;
use serde_json::{Value, json};

/// Makes a resource.
async fn made(cloud: &Cloud, kind: &str, attributes: Value) -> Value {
    let answer = cloud
        .post(&format!("{kind}s"), json!({kind: attributes}))
        .await
        .ok();
    answer[kind].clone()
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

/// A network with these attributes.
async fn network(cloud: &Cloud, attributes: Value) -> Value {
    made(cloud, "network", attributes).await
}

async fn external(cloud: &Cloud) -> Value {
    network(cloud, json!({"router:external": true})).await
}

/// A subnet of a network, with more attributes.
async fn subnet(cloud: &Cloud, network: &Value, cidr: &str, more: Value) -> Value {
    let ip_version = if cidr.contains(':') { 6 } else { 4 };
    let mut subnet = json!({"network_id": network["id"], "ip_version": ip_version, "cidr": cidr});
    let more = more.as_object().unwrap().clone();
    subnet.as_object_mut().unwrap().extend(more);
    made(cloud, "subnet", subnet).await
}

fn slaac() -> Value {
    json!({"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"})
}

/// Changes a router, and shows it.
async fn change(cloud: &Cloud, router: &Value, attributes: Value) -> Value {
    let path = format!("routers/{}", id(router));
    let answer = cloud.put(&path, json!({"router": attributes})).await.ok();
    answer["router"].clone()
}

/// Makes a subnet known to a router, with its gateway address.
async fn attach(cloud: &Cloud, router: &Value, subnet: &Value) {
    let path = format!("routers/{}/add_router_interface", id(router));
    let named = json!({"subnet_id": subnet["id"]});
    cloud.put(&path, named).await.ok();
}

/// The addresses in a list of `fixed_ips`.
fn addresses(fixed_ips: &Value) -> Vec<String> {
    let all = fixed_ips.as_array().unwrap().iter();
    all.map(|fixed| fixed["ip_address"].as_str().unwrap().to_owned())
        .collect()
}

async fn shown(cloud: &Cloud, kind: &str, object: &Value) -> Value {
    let answer = cloud.get(&format!("{kind}s/{}", id(object))).await.ok();
    answer[kind].clone()
}
