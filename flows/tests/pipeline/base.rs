//! What every hypervisor has.

use crate::support::{Cloud, show};
use insta::assert_snapshot;
use sextant_flows::document;
use sextant_model::EncapKind;

#[test]
fn an_empty_cloud_has_the_flows_that_are_always_there() {
    assert_snapshot!(show::everything(&Cloud::with_hypervisors(1), "h1"));
}

#[test]
fn every_stage_register_and_priority_is_in_the_generated_page() {
    assert_snapshot!(document::pipeline());
}

#[test]
fn each_hypervisor_that_may_send_here_is_one_flow_an_endpoint() {
    let mut cloud = Cloud::with_hypervisors(1);
    cloud.network("red");
    cloud.network("blue");
    cloud.guest("a1", "red", "h1");
    assert_snapshot!(show::change(&mut cloud, "h1", |cloud| {
        let kind = EncapKind::Vxlan;
        cloud.hypervisor("h2", "2001:db8:77::2".parse().unwrap(), kind);
        cloud.hypervisor("h3", "192.0.2.3".parse().unwrap(), EncapKind::Gre);
        cloud.hypervisor("h4", "2001:db8:77::4".parse().unwrap(), kind);
        cloud.guest("a2", "red", "h2");
        cloud.guest("a3", "red", "h3");
        cloud.guest("b4", "blue", "h4");
    }));
}
