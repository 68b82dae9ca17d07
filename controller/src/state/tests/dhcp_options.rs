use super::*;
use sextant_model::DhcpOption;

fn option(name: &str, value: &str, ip_version: u8) -> DhcpOption {
    DhcpOption {
        opt_name: name.to_owned(),
        opt_value: value.to_owned(),
        ip_version: ip_version.try_into().unwrap(),
    }
}

fn with(options: Vec<DhcpOption>) -> Change {
    Change::Put(Object::Port(Arc::new(Port {
        extra_dhcp_opts: options,
        ..port()
    })))
}

#[test]
fn what_cannot_be_sent_is_counted_as_long_as_a_port_has_it() {
    let mut story = story();
    let gauge = story.owner.metrics.dhcp_options_left_out.clone();
    let counted = || ["4", "6"].map(|version| gauge.with_label_values(&[version]).get());
    let fine = [option("mtu", "1300", 4), option("router", "", 4)];
    let lost = [
        option("tftp-server", "", 4),
        option("dns-server", "2001:db8::1", 4),
        option("dns-server", "192.0.2.1", 6),
    ];
    story.stored(with(fine.to_vec()));
    assert_eq!(counted(), [0, 0]);
    for _ in 0..2 {
        story.stored(with([&fine[..], &lost[..]].concat()));
        assert_eq!(counted(), [2, 1]);
    }
    story.stored(with(lost[2..].to_vec()));
    assert_eq!(counted(), [0, 1]);
    story.stored(Change::delete(ObjectKey::Port(PORT)));
    assert_eq!(counted(), [0, 0]);
}
