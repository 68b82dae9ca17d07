//! A port that moves is followed by everybody.

use crate::support::frames::{self, address};
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;

#[test]
fn the_old_hypervisor_stops_and_the_others_send_to_the_new_one() {
    let mut cloud = Cloud::with_hypervisors(3);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    for (guest, hypervisor) in [("a1", "h1"), ("a2", "h2"), ("a3", "h3")] {
        cloud.guest(guest, "red", hypervisor);
    }
    let (a1, a2) = (cloud.get_port("a1"), cloud.get_port("a2"));
    let ping = frames::ping(&a1, address(&a2), a2.mac_address);
    let way = |cloud: &Cloud| {
        let journey = Fabric::new(cloud).send("a1", &ping);
        (journey.only().hypervisor.clone(), journey.tunnels)
    };
    let tunnel = |to: &str| vec![("h1".to_owned(), to.to_owned(), 1)];
    assert_eq!(way(&cloud), ("h2".to_owned(), tunnel("h2")));

    let old_home = show::change(&mut cloud.clone(), "h2", |cloud| cloud.plug("a2", "h3"));
    assert_snapshot!("what_the_old_hypervisor_loses", old_home);
    cloud.plug("a2", "h3");
    assert_eq!(way(&cloud), ("h3".to_owned(), tunnel("h3")));
    let stray = Fabric::new(&cloud).receive("h2", &ping, "2001:db8:77::1".parse().unwrap(), 1);
    assert!(stray.is_lost());

    cloud.plug("a2", "h1");
    assert_eq!(way(&cloud), ("h1".to_owned(), vec![]));
    cloud.unplug("a2");
    assert!(Fabric::new(&cloud).send("a1", &ping).is_lost());
}
