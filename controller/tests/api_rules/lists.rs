//! Lists: pages, filters, tags.

use crate::api::Cloud;
use crate::{id, made};
use axum::body::{Body, HttpBody, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use tower::ServiceExt;

/// As many as a project may have by default. Their list is 360 KB long.
const PORTS: usize = 450;

async fn with_many_ports() -> Cloud {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({"name": "n"})).await;
    let ports = vec![json!({"network_id": network["id"]}); PORTS / 3];
    for _ in 0..3 {
        cloud.post("ports", json!({ "ports": ports })).await.ok();
    }
    cloud
}

/// The body of the list of all ports.
async fn body_of_all(cloud: &Cloud) -> Body {
    let request = Request::get("/v2.0/ports").body(Body::empty()).unwrap();
    let Ok(response) = cloud.router().oneshot(request).await;
    response.into_body()
}

#[tokio::test]
async fn a_long_list_comes_in_portions() {
    let cloud = with_many_ports().await;
    let mut body = body_of_all(&cloud).await;
    assert_eq!(body.size_hint().exact(), None);
    let (mut text, mut longest, mut portions) = (Vec::new(), 0, 0);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let octets = frame.unwrap().into_data().unwrap();
        longest = longest.max(octets.len());
        portions += 1;
        text.extend_from_slice(&octets);
    }
    assert!(
        portions > 1 && longest < text.len(),
        "{portions}, {longest}"
    );
    let list: Value = serde_json::from_slice(&text).unwrap();
    let ports = list["ports"].as_array().unwrap();
    let ids: BTreeSet<&str> = ports.iter().map(id).collect();
    assert_eq!((ports.len(), ids.len()), (PORTS, PORTS));
    let sorted = cloud.get("ports?sort_key=id&fields=id").await.ok();
    let sorted: Vec<&str> = sorted["ports"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(sorted, ids.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_list_that_nobody_reads_holds_up_no_other() {
    let cloud = with_many_ports().await;
    let mut unread = Vec::new();
    for _ in 0..64 {
        unread.push(body_of_all(&cloud).await);
    }
    assert_eq!(
        cloud.get("ports").await.ok()["ports"]
            .as_array()
            .unwrap()
            .len(),
        PORTS
    );
    // What is read late is the list as it was.
    made(&cloud, "network", json!({"name": "later"})).await;
    let octets = to_bytes(unread.remove(0), usize::MAX).await.unwrap();
    let late: Value = serde_json::from_slice(&octets).unwrap();
    assert_eq!(late["ports"].as_array().unwrap().len(), PORTS);
}

#[tokio::test]
async fn sorted_pages_lead_through_the_whole_list() {
    let cloud = with_many_ports().await;
    for order in ["created_at", "id&sort_dir=desc", "mac_address"] {
        let mut next = Some(format!("ports?sort_key={order}&limit=100"));
        let mut seen = Vec::new();
        while let Some(page) = next {
            let page = cloud.get(&page).await.ok();
            let ports = page["ports"].as_array().unwrap();
            seen.extend(ports.iter().map(|port| id(port).to_owned()));
            let links = page["ports_links"].as_array().unwrap();
            let link = links.iter().find(|link| link["rel"] == "next");
            let link = link.map(|link| link["href"].as_str().unwrap());
            next = link.map(|link| link.split("/v2.0/").last().unwrap().to_owned());
        }
        let whole = cloud
            .get(&format!("ports?sort_key={order}&fields=id"))
            .await
            .ok();
        let whole: Vec<&str> = whole["ports"].as_array().unwrap().iter().map(id).collect();
        assert_eq!(seen, whole, "{order}");
    }
}

/// Where a link of a page leads.
fn linked(page: &Value, rel: &str) -> Option<String> {
    let links = page["networks_links"].as_array()?;
    let link = links.iter().find(|link| link["rel"] == rel)?["href"].as_str()?;
    let path = link.strip_prefix("http://127.0.0.1:9696/v2.0/");
    Some(path.unwrap().to_owned())
}

fn names(page: &Value) -> Vec<String> {
    let networks = page["networks"].as_array().unwrap().iter();
    networks
        .map(|network| network["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn pages_follow_each_other_in_both_directions() {
    let cloud = Cloud::new();
    let made = json!({"networks": [{"name": "d"}, {"name": "a"}, {"name": "c"}, {"name": "b"}, {"name": "e & f"}]});
    cloud.post("networks", made).await.ok();
    let mut page = cloud
        .get("networks?sort_key=name&sort_dir=asc&limit=2")
        .await
        .ok();
    let mut seen = vec![names(&page)];
    while let Some(next) = linked(&page, "next") {
        page = cloud.get(&next).await.ok();
        seen.push(names(&page));
    }
    assert_eq!(seen, [vec!["a", "b"], vec!["c", "d"], vec!["e & f"]]);
    let back = cloud.get(&linked(&page, "previous").unwrap()).await.ok();
    assert_eq!(names(&back), ["c", "d"]);
    assert_eq!(
        names(
            &cloud
                .get("networks?name=e%20%26%20f&fields=name")
                .await
                .ok()
        ),
        ["e & f"]
    );
    let down = cloud
        .get("networks?sort_key=name&sort_dir=desc&limit=1")
        .await
        .ok();
    assert_eq!(names(&down), ["e & f"]);
    for wrong in [
        "limit=x",
        "sort_key=bogus",
        "sort_key=name&sort_dir=up",
        "marker=nobody&limit=1",
    ] {
        assert!(
            cloud
                .get(&format!("networks?{wrong}"))
                .await
                .status
                .is_client_error(),
            "{wrong}"
        );
    }
}

/// Gives a port the tags `blue` and `new`, by all ways to change tags.
async fn tag(cloud: &Cloud, port: &Value) {
    let tagged = format!("ports/{}/tags", id(port));
    cloud
        .put(&tagged, json!({"tags": ["blue", "big"]}))
        .await
        .ok();
    cloud.put(&format!("{tagged}/new"), Value::Null).await.ok();
    let more = cloud.post(&tagged, json!({"tags": ["big", "odd"]})).await;
    assert_eq!(more.status, 201);
    assert_eq!(more.ok()["tags"], json!(["big", "blue", "new", "odd"]));
    for gone in ["big", "odd"] {
        cloud.delete(&format!("{tagged}/{gone}")).await.ok();
    }
    assert_eq!(
        cloud.get(&tagged).await.ok()["tags"],
        json!(["blue", "new"])
    );
    assert_eq!(
        cloud.delete(&format!("{tagged}/big")).await.error().1,
        "TagNotFound"
    );
    assert_eq!(
        cloud.put(&tagged, json!({"tags": ["a,b"]})).await.error().0,
        400
    );
}

#[tokio::test]
async fn lists_are_filtered_by_values_and_tags() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({"name": "n"})).await;
    let subnets = ["2001:db8:1::/64", "2001:db8:2::/64"];
    for cidr in subnets {
        made(&cloud, "subnet", json!({"network_id": network["id"], "ip_version": 6, "cidr": cidr, "enable_dhcp": false})).await;
    }
    let named = made(
        &cloud,
        "port",
        json!({"network_id": network["id"], "name": "p", "device_id": "server"}),
    )
    .await;
    made(&cloud, "port", json!({"network_id": network["id"]})).await;
    tag(&cloud, &named).await;
    let address = named["fixed_ips"][0]["ip_address"].as_str().unwrap();
    let network = id(&network);
    for (query, count) in [
        ("ports?name=p".to_owned(), 1),
        ("ports?name=p&name=".to_owned(), 2),
        ("ports?device_id=".to_owned(), 1),
        (format!("ports?network_id={network}&admin_state_up=True"), 2),
        (
            format!("ports?network_id={network}&admin_state_up=false"),
            0,
        ),
        (format!("ports?fixed_ips=ip_address%3D{address}"), 1),
        (
            "ports?fixed_ips=ip_address_substr%3D2001%3Adb8".to_owned(),
            2,
        ),
        ("ports?tags=blue,new".to_owned(), 1),
        ("ports?tags=blue,big".to_owned(), 0),
        ("ports?tags-any=blue,big".to_owned(), 1),
        ("ports?not-tags-any=blue".to_owned(), 1),
        (
            format!("subnets?network_id={network}&cidr=2001:db8:2::/64"),
            1,
        ),
        ("subnets?ip_version=4".to_owned(), 0),
        ("subnets?enable_dhcp=false&ip_version=6".to_owned(), 2),
        (format!("networks?id={network}&id=other"), 1),
    ] {
        let page = cloud.get(&query).await.ok();
        let items = page
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .as_array()
            .unwrap();
        assert_eq!(items.len(), count, "{query}");
    }
}
