//! A port's bindings to hosts, as Nova makes them for a live migration (`binding-extended`).

use crate::api::Cloud;
use crate::bindings::{chassis, joins, machine};
use crate::{id, made};
use serde_json::{Value, json};

/// A guest's port, bound to h1. h1 and h2 are there.
async fn bound(cloud: &Cloud) -> Value {
    for host in ["h1", "h2"] {
        joins(cloud, chassis(host, machine(host, "system"))).await;
    }
    let network = made(cloud, "network", json!({})).await;
    let port = json!({"network_id": network["id"], "binding:host_id": "h1", "device_id": "guest",
        "device_owner": "compute:nova", "binding:profile": {"a": 1}});
    made(cloud, "port", port).await
}

fn path(port: &Value, host: &str) -> String {
    format!("ports/{}/bindings/{host}", id(port))
}

async fn bind(cloud: &Cloud, port: &Value, binding: Value) -> Value {
    let path = format!("ports/{}/bindings", id(port));
    let answer = cloud.post(&path, json!({"binding": binding})).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer.body["binding"].clone()
}

async fn hosts(cloud: &Cloud, port: &Value, query: &str) -> Vec<(String, String)> {
    let path = format!("ports/{}/bindings{query}", id(port));
    let listed = cloud.get(&path).await.ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = listed["bindings"].as_array().unwrap().iter();
    rows.map(|row| (text(&row["host"]), text(&row["status"])))
        .collect()
}

fn pair(host: &str, status: &str) -> (String, String) {
    (host.to_owned(), status.to_owned())
}

#[tokio::test]
async fn a_binding_is_made_activated_and_removed() {
    let cloud = Cloud::new();
    let port = bound(&cloud).await;
    let made = bind(&cloud, &port, json!({"host": "h2", "profile": {"b": 2}})).await;
    let details = json!({"bridge_name": "br-int", "connectivity": "l2", "port_filter": true,
        "ovs_hybrid_plug": false, "datapath_type": "system"});
    assert_eq!(
        made,
        json!({"host": "h2", "status": "INACTIVE", "vif_type": "ovs", "vif_details": details,
            "vnic_type": "normal", "profile": {"b": 2}})
    );
    assert_eq!(
        hosts(&cloud, &port, "").await,
        [pair("h1", "ACTIVE"), pair("h2", "INACTIVE")]
    );
    assert_eq!(
        hosts(&cloud, &port, "?status=INACTIVE").await,
        [pair("h2", "INACTIVE")]
    );
    let shown = cloud.get(&path(&port, "h1")).await.ok();
    assert_eq!(shown["binding"]["profile"], json!({"a": 1}));
    let shown = cloud.get(&format!("ports/{}", id(&port))).await.ok();
    assert_eq!(
        shown["port"]["binding:host_id"], "h1",
        "only the active one is shown"
    );

    let change = json!({"binding": {"profile": {"b": 3}}});
    let changed = cloud.put(&path(&port, "h2"), change).await.ok();
    assert_eq!(changed["binding"]["profile"], json!({"b": 3}));

    let activate = format!("{}/activate", path(&port, "h2"));
    let active = cloud.put(&activate, json!({})).await.ok();
    assert_eq!(
        (&active["host"], &active["status"]),
        (&json!("h2"), &json!("ACTIVE"))
    );
    let shown = cloud.get(&format!("ports/{}", id(&port))).await.ok();
    assert_eq!(shown["port"]["binding:host_id"], "h2");
    assert_eq!(shown["port"]["binding:profile"], json!({"b": 3}));
    assert_eq!(
        hosts(&cloud, &port, "").await,
        [pair("h2", "ACTIVE"), pair("h1", "INACTIVE")]
    );
    assert_eq!(cloud.delete(&path(&port, "h1")).await.status, 204);
    assert_eq!(hosts(&cloud, &port, "").await, [pair("h2", "ACTIVE")]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let cloud = Cloud::new();
    let port = bound(&cloud).await;
    bind(&cloud, &port, json!({"host": "h2"})).await;
    let bindings = format!("ports/{}/bindings", id(&port));
    for (binding, status, kind) in [
        (json!({"host": "h1"}), 409, "PortBindingAlreadyExists"),
        (json!({"host": "h2"}), 409, "PortBindingAlreadyExists"),
        (json!({"host": "unknown"}), 409, "PortBindingError"),
        (json!({}), 400, "HTTPBadRequest"),
        (json!({"host": ""}), 400, "HTTPBadRequest"),
        (json!({"host": 7}), 400, "HTTPBadRequest"),
        (
            json!({"host": "h3", "vnic_type": "none"}),
            400,
            "HTTPBadRequest",
        ),
        (
            json!({"host": "h3", "status": "ACTIVE"}),
            400,
            "HTTPBadRequest",
        ),
    ] {
        let answer = cloud.post(&bindings, json!({"binding": binding})).await;
        let (got, error, message) = answer.error();
        assert_eq!(
            (got, error.as_str()),
            (status, kind),
            "{binding}: {message}"
        );
    }
    for host in ["h1", "h2"] {
        let nowhere = json!({"binding": {"host": ""}});
        let (status, kind, _) = cloud.put(&path(&port, host), nowhere).await.error();
        assert_eq!((status, kind.as_str()), (400, "InvalidInput"), "{host}");
    }
    for host in ["h1/activate", "h3/activate"] {
        let (status, kind, _) = cloud.put(&path(&port, host), json!({})).await.error();
        let expected = match host {
            "h1/activate" => (409, "PortBindingAlreadyActive"),
            _ => (404, "PortBindingNotFound"),
        };
        assert_eq!((status, kind.as_str()), expected);
    }
    let (status, kind, _) = cloud.get(&path(&port, "h3")).await.error();
    assert_eq!((status, kind.as_str()), (404, "PortBindingNotFound"));
    let (status, kind, _) = cloud.delete(&path(&port, "h3")).await.error();
    assert_eq!((status, kind.as_str()), (404, "PortBindingNotFound"));
    assert_eq!(
        hosts(&cloud, &port, "").await,
        [pair("h1", "ACTIVE"), pair("h2", "INACTIVE")]
    );
}

#[tokio::test]
async fn only_guests_of_nova_and_shared_file_systems_have_several() {
    let cloud = Cloud::new();
    bound(&cloud).await;
    let network = made(&cloud, "network", json!({})).await;
    for (owner, status) in [("", 400), ("network:dhcp", 400), ("manila:share", 201)] {
        let port = json!({"network_id": network["id"], "device_owner": owner});
        let port = made(&cloud, "port", port).await;
        let bindings = format!("ports/{}/bindings", id(&port));
        let wish = json!({"binding": {"host": "h2"}});
        let answer = cloud.post(&bindings, wish).await;
        assert_eq!(answer.status, status, "{owner}: {:?}", answer.body);
    }
}

#[tokio::test]
async fn a_port_that_is_bound_to_the_other_host_has_one_binding_to_it() {
    let cloud = Cloud::new();
    let port = bound(&cloud).await;
    bind(&cloud, &port, json!({"host": "h2"})).await;
    let there = json!({"port": {"binding:host_id": "h2"}});
    cloud.put(&format!("ports/{}", id(&port)), there).await.ok();
    assert_eq!(hosts(&cloud, &port, "").await, [pair("h2", "ACTIVE")]);
}

#[tokio::test]
async fn a_port_has_a_bounded_number_of_them() {
    let cloud = Cloud::new();
    let port = bound(&cloud).await;
    let bindings = format!("ports/{}/bindings", id(&port));
    let mut made = 0;
    for number in 0..20 {
        let host = format!("more{number}");
        joins(&cloud, chassis(&host, machine(&host, "system"))).await;
        let answer = cloud
            .post(&bindings, json!({"binding": {"host": host}}))
            .await;
        made += usize::from(answer.status == 201);
    }
    assert_eq!(made, 10);
}
