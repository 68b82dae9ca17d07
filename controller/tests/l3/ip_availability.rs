use super::*;

#[tokio::test]
async fn addresses_in_use_are_counted_by_network_and_subnet() {
    let cloud = Cloud::new();
    let inside = network(&cloud, json!({"name": "inside"})).await;
    network(&cloud, json!({"name": "empty"})).await;
    let six = subnet(&cloud, &inside, "2001:db8:1::/120", json!({})).await;
    subnet(&cloud, &inside, "10.0.0.0/24", json!({})).await;
    for _ in 0..3 {
        made(&cloud, "port", json!({"network_id": inside["id"]})).await;
    }
    let one = cloud
        .get(&format!("network-ip-availabilities/{}", id(&inside)))
        .await
        .ok();
    let one = &one["network_ip_availability"];
    assert_eq!(
        [&one["used_ips"], &one["total_ips"], &one["network_name"]],
        [&json!(6), &json!(255 + 253), &json!("inside")]
    );
    let many = cloud.get("network-ip-availabilities").await.ok();
    assert_eq!(
        many["network_ip_availabilities"].as_array().unwrap().len(),
        2
    );
    let six_only = cloud
        .get("network-ip-availabilities?ip_version=6")
        .await
        .ok();
    let rows = six_only["network_ip_availabilities"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        rows[0]["subnet_ip_availability"],
        json!([{"subnet_id": six["id"], "subnet_name": "", "ip_version": 6, "cidr": "2001:db8:1::/120",
                "total_ips": 255, "used_ips": 3}])
    );
    let named = cloud
        .get("network-ip-availabilities?network_name=empty")
        .await
        .ok();
    assert_eq!(named["network_ip_availabilities"][0]["total_ips"], 0);
    assert_eq!(
        cloud.get("network-ip-availabilities?x=1").await.error().0,
        400
    );
    let nowhere = "network-ip-availabilities/00000000-0000-0000-0000-000000000000";
    assert_eq!(cloud.get(nowhere).await.error().1, "NetworkNotFound");
}
