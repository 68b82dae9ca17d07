//! The main job, end to end: each point of the story in a lab of its own, with real Open vSwitch, real guests, real
//! DHCPv6 clients and a real Prometheus.

#![allow(clippy::print_stdout, reason = "a failed point shows how far it came")]

use sextant_lab::story::{Narrator, POINTS, World};

fn holds(number: u8) {
    let point = POINTS
        .iter()
        .find(|point| point.number == number)
        .expect("there is such a point");
    let mut world = World::start().expect("the lab starts");
    let mut narrator = Narrator::new(|line| println!("{line}"));
    if let Err(failure) = narrator.tell(*point, &mut world) {
        panic!("{failure}\n{}", world.lab.logs());
    }
}

macro_rules! points {
    ($($number:literal $name:ident,)*) => {$(
        #[test]
        fn $name() {
            holds($number);
        }
    )*};
}

points! {
    1 hypervisors_join,
    2 the_api_answers_as_neutron_does,
    3 router_solicitations_are_answered_and_slaac_works,
    4 dhcpv6_clients_get_what_the_api_shows,
    5 guests_reach_each_other,
    6 neighbors_are_answered_without_the_controller,
    7 advertisements_go_out_unasked_and_a_last_one_says_goodbye,
    8 a_killed_controller_loses_and_touches_nothing,
    9 a_killed_switch_is_reprogrammed,
    10 every_panel_of_the_dashboard_has_samples,
    11 planted_faults_are_named,
}
