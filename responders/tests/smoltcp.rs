//! Against smoltcp: what it makes is answered, and what is answered it reads as meant. (Of several prefixes it keeps one,
//! and options that it does not know it skips; it has no DHCPv6.)

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::*;
use proptest::prelude::*;
use sextant_model::Advertisement;
use sextant_responders::frame::{FrameBuilder, Ipv4Packet, Ipv6Addresses, Ipv6Packet, UdpDatagram};
use sextant_responders::ra::{self, Destination};
use sextant_responders::respond;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Duration;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Packet as SmolIpv4, Ipv6Packet as SmolIpv6,
    NdiscPrefixInfoFlags, NdiscPrefixInformation, NdiscRepr, NdiscRouterFlags, UdpPacket, UdpRepr,
};
use std::net::Ipv6Addr;

/// The Neighbor Discovery message of a frame, as smoltcp reads it, checksum included.
fn discovery<R>(frame: &[u8], read: impl FnOnce(NdiscRepr<'_>) -> R) -> R {
    let ethernet = EthernetFrame::new_checked(frame).unwrap();
    assert_eq!(ethernet.ethertype(), EthernetProtocol::Ipv6);
    let packet = SmolIpv6::new_checked(ethernet.payload()).unwrap();
    assert_eq!(
        (packet.hop_limit(), packet.next_header()),
        (255, IpProtocol::Icmpv6)
    );
    let message = Icmpv6Packet::new_checked(packet.payload()).unwrap();
    let checked = ChecksumCapabilities::default();
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    match Icmpv6Repr::parse(&source, &destination, &message, &checked).unwrap() {
        Icmpv6Repr::Ndisc(repr) => read(repr),
        other => panic!("{other:?}"),
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

proptest! {
    #[test]
    fn an_advertisement_is_read_as_meant(
        hop_limit: u8,
        managed: bool,
        other: bool,
        lifetime in 0_u16..=9000,
        timers: (u32, u32),
        mtu in prop::option::of(1280_u16..),
        subnet: u64,
        length in 0_u8..=64,
        on_link: bool,
        autonomous: bool,
        valid: u32,
        preferred: u32,
    ) {
        let mut said = Advertisement { hop_limit, managed, other, lifetime, mtu, ..talkative_advertisement() };
        (said.options.reachable_time, said.options.retransmission_timer) = timers;
        said.options.preference = sextant_model::RouterPreference::Medium;
        said.prefixes.truncate(1);
        let prefix = ipnet::Ipv6Net::new(Ipv6Addr::from_bits(u128::from(subnet) << 64), length).unwrap().trunc();
        let first = &mut said.prefixes[0];
        (first.prefix, first.on_link, first.autonomous) = (prefix, on_link, autonomous);
        (first.valid, first.preferred) = (valid, preferred);
        let mut flags = NdiscRouterFlags::empty();
        flags.set(NdiscRouterFlags::MANAGED, managed);
        flags.set(NdiscRouterFlags::OTHER, other);
        let mut prefix_flags = NdiscPrefixInfoFlags::empty();
        prefix_flags.set(NdiscPrefixInfoFlags::ON_LINK, on_link);
        prefix_flags.set(NdiscPrefixInfoFlags::ADDRCONF, autonomous);
        discovery(&ra::advertise(&said, Destination::AllNodes), |read| {
            let expected = NdiscRepr::RouterAdvert {
                hop_limit,
                flags,
                router_lifetime: seconds(lifetime.into()),
                reachable_time: Duration::from_millis(timers.0.into()),
                retrans_time: Duration::from_millis(timers.1.into()),
                lladdr: Some(EthernetAddress(ROUTER_MAC.0).into()),
                mtu: mtu.map(u32::from),
                prefix_info: Some(NdiscPrefixInformation {
                    prefix_len: length,
                    flags: prefix_flags,
                    valid_lifetime: seconds(valid),
                    preferred_lifetime: seconds(preferred.min(valid)),
                    prefix: prefix.network(),
                }),
            };
            prop_assert_eq!(read, expected);
            Ok(())
        })?;
    }
}

/// A message that smoltcp makes, in a frame of ours.
fn frame_of(repr: &Icmpv6Repr<'_>, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(
        &source,
        &destination,
        &mut Icmpv6Packet::new_unchecked(&mut bytes),
        &ChecksumCapabilities::default(),
    );
    let addresses = Ipv6Addresses {
        source_mac: GUEST_MAC,
        destination_mac: ROUTER_MAC,
        source,
        destination,
    };
    let mut frame = FrameBuilder::icmpv6(addresses, bytes[0], bytes.len());
    frame.bytes().extend(&bytes[4..]);
    let frame = frame.finish();
    assert_eq!(frame[54..], bytes, "our checksum is smoltcp's");
    frame
}

#[test]
fn a_solicitation_that_smoltcp_makes_is_answered_and_ours_is_read_by_it() {
    let lladdr = Some(EthernetAddress(GUEST_MAC.0).into());
    let solicit = Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit { lladdr });
    let frame = frame_of(&solicit, guest_address(), address("ff02::2"));
    assert_eq!(frame[14..], usual_solicitation()[14..]);
    let answer = respond(&solicitation_punt(), &frame);
    assert_eq!(answer.frames.len(), 1);
    discovery(&usual_solicitation(), |read| {
        assert_eq!(read, NdiscRepr::RouterSolicit { lladdr });
    });
}

/// A DHCPv4 message that a client of smoltcp would send.
fn discover(message_type: DhcpMessageType, request: &[u8]) -> DhcpRepr<'_> {
    DhcpRepr {
        message_type,
        transaction_id: u32::from_be_bytes(ipv4::TRANSACTION),
        secs: 0,
        client_hardware_address: EthernetAddress(GUEST_MAC.0),
        client_ip: ipv4::NOBODY,
        your_ip: ipv4::NOBODY,
        server_ip: ipv4::NOBODY,
        router: None,
        subnet_mask: None,
        relay_agent_ip: ipv4::NOBODY,
        broadcast: false,
        requested_ip: None,
        client_identifier: Some(EthernetAddress(GUEST_MAC.0)),
        server_identifier: None,
        parameter_request_list: Some(request),
        dns_servers: None,
        max_size: Some(1500),
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    }
}

/// The frame of a message that smoltcp makes, every header its own.
fn dhcpv4_frame(repr: &DhcpRepr<'_>) -> Vec<u8> {
    let checked = ChecksumCapabilities::default();
    let (source, destination) = (ipv4::NOBODY, std::net::Ipv4Addr::BROADCAST);
    let mut frame = ipv4::Query::bare().frame();
    frame.resize(42 + repr.buffer_len(), 0);
    let length = frame.len() - 14;
    let mut packet = SmolIpv4::new_unchecked(&mut frame[14..]);
    packet.set_total_len(length as u16);
    packet.fill_checksum();
    UdpRepr {
        src_port: 68,
        dst_port: 67,
    }
    .emit(
        &mut UdpPacket::new_unchecked(packet.payload_mut()),
        &source.into(),
        &destination.into(),
        repr.buffer_len(),
        |payload| repr.emit(&mut DhcpPacket::new_unchecked(payload)).unwrap(),
        &checked,
    );
    frame
}

#[test]
fn a_lease_is_read_as_meant_by_a_client_of_smoltcp() {
    let request = [1, 3, 6];
    let frame = dhcpv4_frame(&discover(DhcpMessageType::Discover, &request));
    let frames = respond(&ipv4::dhcpv4(ipv4::service()), &frame).frames;
    let ethernet = EthernetFrame::new_checked(&frames[0][..]).unwrap();
    assert_eq!(ethernet.ethertype(), EthernetProtocol::Ipv4);
    let packet = SmolIpv4::new_checked(ethernet.payload()).unwrap();
    assert!(packet.verify_checksum());
    let datagram = UdpPacket::new_checked(packet.payload()).unwrap();
    assert!(datagram.verify_checksum(&packet.src_addr().into(), &packet.dst_addr().into()));
    assert_eq!((datagram.src_port(), datagram.dst_port()), (67, 68));
    let message = DhcpPacket::new_checked(datagram.payload()).unwrap();
    let read = DhcpRepr::parse(&message).unwrap();
    let lease = &ipv4::service().leases[0];
    assert_eq!(
        read,
        DhcpRepr {
            message_type: DhcpMessageType::Offer,
            your_ip: ipv4::LEASED,
            router: Some(ipv4::SERVER),
            subnet_mask: Some(lease.address.netmask()),
            server_identifier: Some(ipv4::SERVER),
            parameter_request_list: None,
            dns_servers: Some(lease.dns_servers.iter().copied().collect()),
            max_size: None,
            lease_duration: Some(86_400),
            renew_duration: Some(43_200),
            rebind_duration: Some(75_600),
            ..discover(DhcpMessageType::Discover, &request)
        }
    );
    let ours = Ipv4Packet::parse(&frame).unwrap();
    assert!(UdpDatagram::parse_ipv4(&ours).is_ok());
    assert!(Ipv6Packet::parse(&frame).is_err());
}
