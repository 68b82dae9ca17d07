//! The walk itself, where no flow of a feature shows it.

use crate::support::Cloud;
use crate::support::show::flows_of;
use rust_openflow::{Field, Subfield, TableId};
use sextant_flows::trace::{Drop, Packet, Tracer, UnsettledField, Visit};

#[test]
fn wide_registers_are_the_narrow_ones_side_by_side() {
    let packet = Packet::default()
        .with(
            Field::xxreg(2),
            0x1111_2222_3333_4444_5555_6666_7777_8888u128,
        )
        .with(Field::reg(9), 0xaaaa_bbbbu32);
    assert_eq!(packet.get(Field::reg(8)), 0x1111_2222);
    assert_eq!(packet.get(Field::xreg(4)), 0x1111_2222_aaaa_bbbb);
    assert_eq!(
        packet.get(Field::xxreg(2)),
        0x1111_2222_aaaa_bbbb_5555_6666_7777_8888
    );
    assert_eq!(Subfield::whole(Field::xxreg(2)).bits, 128);
}

#[test]
fn what_no_flow_matches_is_dropped_where_it_is() {
    let flows = flows_of(&Cloud::with_hypervisors(1), "h1");
    let trace = Tracer::new(&flows).trace(Packet::new(77)).unwrap();
    assert_eq!(
        trace.visits,
        [Visit {
            table: TableId(0),
            flow: None,
            packet: Packet::new(77),
        }]
    );
    assert_eq!(trace.drops, [Drop::Missed { table: TableId(0) }]);
    assert!(trace.outputs.is_empty());
}

#[test]
fn a_packet_shows_as_a_match() {
    let packet = Packet::new(3).with(Field::ETH_TYPE, 0x86ddu16);
    assert_eq!(format!("{packet:?}"), "ipv6,in_port=3");
}

#[test]
fn a_match_makes_a_packet_if_it_leaves_nothing_open() {
    let packet = |text: &str| Packet::of(&text.parse().unwrap());
    assert_eq!(
        format!("{:?}", packet("icmp6,in_port=3").unwrap()),
        "icmp6,in_port=3"
    );
    let tagged = packet("ipv6,dl_vlan=7,dl_vlan_pcp=1").unwrap();
    assert_eq!(tagged.get(Field::VLAN_TCI), 0x3007);
    let open = packet("ipv6,ipv6_dst=2001:db8::/64").unwrap_err();
    assert_eq!(open, UnsettledField(Field::IPV6_DST));
}
