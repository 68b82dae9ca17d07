//! Copies of the frames of a captured port.

use crate::support::Cloud;
use crate::support::cloud::port_id;
use crate::support::show::flows_of;
use sextant_flows::pipeline::Stage;
use sextant_flows::{Flow, Flows};
use sextant_model::{FrameDirection, Punt};

fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    for (guest, hypervisor) in [("a1", "h1"), ("a2", "h1"), ("a3", "h2")] {
        cloud.guest(guest, "red", hypervisor);
    }
    cloud
}

/// The captures' flows, each with its direction.
fn captures(flows: &Flows) -> Vec<(FrameDirection, Flow)> {
    let flows = flows.iter();
    flows
        .filter_map(|(_, flow)| {
            if let Some(Punt::Captured(port, direction)) = flow.punt {
                assert_eq!(port, port_id("a1"));
                Some((direction, flow))
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn only_a_captured_port_has_copies_sent_up_and_only_where_it_is() {
    let mut cloud = cloud();
    let before = flows_of(&cloud, "h1");
    assert!(captures(&before).is_empty());
    cloud.facts.capture(port_id("a1"), true);
    let flows = flows_of(&cloud, "h1");
    let text = captures(&flows)
        .into_iter()
        .map(|(_, flow)| flow.to_flow_mod(0).to_string());
    let mut text: Vec<String> = text.collect();
    text.sort_unstable();
    insta::assert_snapshot!(text.join("\n"));
    assert!(captures(&flows_of(&cloud, "h2")).is_empty());
    let more: Vec<u32> = flows
        .meters()
        .difference(&before.meters())
        .copied()
        .collect();
    assert_eq!(more, [1 << 20 | 11]);
    cloud.facts.capture(port_id("a1"), false);
    assert_eq!(flows_of(&cloud, "h1"), before);
}

/// Whatever a captured flow does besides, it does as the flow below it.
#[test]
fn a_frame_goes_on_as_if_nobody_captured_it() {
    let mut cloud = cloud();
    cloud.facts.capture(port_id("a1"), true);
    let flows = flows_of(&cloud, "h1");
    for (direction, copied) in captures(&flows) {
        let text = copied.to_flow_mod(0).to_string();
        let (_, after) = text.split_once("controller(").unwrap();
        let (_, after) = after.split_once(')').unwrap();
        let after = after.trim_start_matches(',');
        let below = flows.iter().filter(|(_, flow)| {
            flow.punt.is_none()
                && flow.stage == copied.stage
                && match direction {
                    FrameDirection::FromGuest => flow.matches == copied.matches,
                    FrameDirection::ToGuest => flow.stage == Stage::Deliver,
                }
        });
        let below: Vec<String> = below
            .map(|(_, flow)| flow.to_flow_mod(0).to_string())
            .collect();
        if after.is_empty() {
            assert!(below.is_empty(), "nobody takes what is dropped: {text}");
            continue;
        }
        assert_eq!(below.len(), 1, "{text}");
        assert!(
            below[0].ends_with(&format!("actions={after}")),
            "{text}\n{}",
            below[0]
        );
    }
}
