//! What every hypervisor has.

use crate::support::{Cloud, show};
use insta::assert_snapshot;
use sextant_flows::document;

#[test]
fn an_empty_cloud_has_the_flows_that_are_always_there() {
    assert_snapshot!(show::everything(&Cloud::with_hypervisors(1), "h1"));
}

#[test]
fn every_stage_register_and_priority_is_in_the_generated_page() {
    assert_snapshot!(document::pipeline());
}

#[test]
fn each_other_hypervisor_is_one_flow_an_endpoint() {
    let mut cloud = Cloud::with_hypervisors(1);
    assert_snapshot!(show::change(&mut cloud, "h1", |cloud| {
        cloud.hypervisor(
            "h2",
            "2001:db8:77::2".parse().unwrap(),
            sextant_model::EncapKind::Vxlan,
        );
        cloud.hypervisor(
            "h3",
            "192.0.2.3".parse().unwrap(),
            sextant_model::EncapKind::Gre,
        );
    }));
}
