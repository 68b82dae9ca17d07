//! What is sent, read back by Wireshark's dissectors: nothing malformed, nothing worth a warning, every value as meant.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::*;
use insta::assert_snapshot;
use sextant_model::Problem;
use sextant_responders::dhcpv4::codec::Dhcpv4MessageType::{Discover, Inform, Request};
use sextant_responders::dhcpv6::codec::Dhcpv6MessageType;
use sextant_responders::dhcpv6::option::{self, IaKind};
use sextant_responders::neighbor::{self, Solicited};
use sextant_responders::ra::{self, Destination};
use sextant_responders::{dhcpv4, respond};
use std::io::Write;
use std::process::{Command, Stdio};

/// A capture file of these Ethernet frames (pcap, microseconds, little-endian).
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let word = |number: u32| number.to_le_bytes();
    let mut file = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x0004_0000, 1]
        .map(word)
        .concat();
    for (second, frame) in (0..).zip(frames) {
        let length = frame.len() as u32;
        file.extend([second, 0, length, length].map(word).concat());
        file.extend(frame);
    }
    file
}

/// One line a frame, as tshark prints it with these arguments.
fn tshark(frames: &[Vec<u8>], arguments: &[&str]) -> Vec<String> {
    let mut child = Command::new("tshark")
        .args(["-r", "-", "-n", "-o", "udp.check_checksum:TRUE"])
        .args(["-o", "ip.check_checksum:TRUE"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tshark starts (Debian package: tshark)");
    let mut input = child.stdin.take().unwrap();
    let file = capture(frames);
    let writer = std::thread::spawn(move || input.write_all(&file));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The values of these fields in each frame.
fn fields(frames: &[Vec<u8>], names: &[&str]) -> Vec<String> {
    let mut arguments = vec!["-T", "fields", "-E", "separator=|"];
    arguments.extend(names.iter().flat_map(|name| ["-e", name]));
    tshark(frames, &arguments)
}

fn answers() -> Vec<Vec<u8>> {
    let ask = |query: Query| {
        let query = query
            .asking(&EVERY_OPTION)
            .with(option::CLIENT_FQDN, b"\x01\x02vm");
        respond(&dhcpv6(talkative_service()), &query.frame())
    };
    let queries = [
        Query::new(Dhcpv6MessageType::Solicit).ia_na(0, &[]),
        Query::new(Dhcpv6MessageType::Solicit)
            .ia_na(1, &[])
            .with(option::RAPID_COMMIT, &[]),
        Query::to_server(Dhcpv6MessageType::Request)
            .ia_na(1, &["2001:db8:1::cd"])
            .ia_na(2, &[])
            .ia(IaKind::Temporary, 3, &[])
            .ia(IaKind::Prefixes, 4, &[]),
        Query::to_server(Dhcpv6MessageType::Request).ia_na(1, &["2001:db8:bad::1"]),
        Query::new(Dhcpv6MessageType::Confirm).ia_na(1, &["2001:db8:1::cd"]),
        Query::to_server(Dhcpv6MessageType::Renew).ia_na(1, &["2001:db8:1::dead"]),
        Query::new(Dhcpv6MessageType::Rebind).ia_na(1, &["2001:db8:1::cd"]),
        Query::to_server(Dhcpv6MessageType::Release).ia_na(1, &["2001:db8:1::cd"]),
        Query::to_server(Dhcpv6MessageType::Decline).ia_na(1, &["2001:db8:1::dead"]),
        Query::new(Dhcpv6MessageType::InformationRequest),
    ];
    let mut frames: Vec<_> = queries
        .into_iter()
        .flat_map(|query| ask(query).frames)
        .collect();
    frames.push(ra::advertise(&advertisement(), Destination::AllNodes));
    frames.push(ra::advertise(
        &ra::last_word(&advertisement(), NOW),
        Destination::AllNodes,
    ));
    frames.push(ra::advertise(
        &talkative_advertisement(),
        Destination::AllNodes,
    ));
    frames.extend(respond(&solicitation_punt(), &usual_solicitation()).frames);
    frames.extend(dhcpv4_answers());
    frames
}

/// An Offer with everything, an Ack, a Nak and the answer to an Inform.
fn dhcpv4_answers() -> Vec<Vec<u8>> {
    use ipv4::{LEASED, Query, SECOND};
    let ask = |query: Query| {
        let named = query.with(dhcpv4::option::CLIENT_FQDN, b"\x05\0\0\x02vm");
        let identified = named.with(dhcpv4::option::CLIENT_ID, &[1, 0xfa, 0x16, 0x3e, 0, 0, 2]);
        respond(
            &ipv4::dhcpv4(ipv4::talkative_service()),
            &identified.frame(),
        )
        .frames
    };
    let asked = [1, 3, 6, 12, 15, 26, 42, 66, 67, 119, 121, 150, 224, 249];
    [
        Query::new(Discover).asking(&asked),
        Query::to_server(Request).requesting(LEASED).broadcast(),
        Query::new(Request).requesting(SECOND),
        Query::new(Inform).of(LEASED).asking(&asked),
    ]
    .into_iter()
    .flat_map(ask)
    .collect()
}

#[test]
fn nothing_that_is_sent_is_malformed_or_worth_a_warning() {
    let frames = answers();
    assert_eq!(frames.len(), 18);
    let complaints = "_ws.malformed or _ws.expert.severity >= \"Warning\"";
    let told = tshark(&frames, &["-Y", complaints, "-V"]);
    assert!(told.is_empty(), "{}", told.join("\n"));
    let mut broken = frames.clone();
    broken[0][70] ^= 0xff;
    assert!(
        !tshark(&broken, &["-Y", complaints]).is_empty(),
        "the filter finds complaints"
    );
}

#[test]
fn checksums_are_good() {
    let status = fields(
        &answers(),
        &["udp.checksum.status", "icmpv6.checksum.status"],
    );
    assert!(
        status.iter().all(|status| status == "1|" || status == "|1"),
        "{status:?}"
    );
}

#[test]
fn an_advertisement_is_read_as_meant() {
    let names = [
        "ipv6.src",
        "ipv6.dst",
        "ipv6.hlim",
        "icmpv6.nd.ra.flag",
        "icmpv6.nd.ra.router_lifetime",
        "icmpv6.opt.linkaddr",
        "icmpv6.opt.mtu",
        "icmpv6.opt.prefix",
        "icmpv6.opt.prefix.flag",
        "icmpv6.opt.prefix.valid_lifetime",
        "icmpv6.opt.prefix.preferred_lifetime",
        "icmpv6.opt.rdnss",
        "icmpv6.opt.rdnss.lifetime",
    ];
    let frame = ra::advertise(&advertisement(), Destination::AllNodes);
    assert_eq!(
        fields(&[frame], &names),
        [
            "fe80::f816:3eff:feff:1|ff02::1|255|0x40|300|fa:16:3e:ff:00:01|1430|2001:db8:1::,2001:db8:2::|\
          0xc0,0x80|86400,86400|14400,14400|2001:db8::53,2001:db8::54|300"
        ]
    );
}

#[test]
fn a_dhcpv6_answer_is_read_as_meant() {
    let names = [
        "dhcpv6.msgtype",
        "dhcpv6.xid",
        "dhcpv6.iaid",
        "dhcpv6.iaid.t1",
        "dhcpv6.iaid.t2",
        "dhcpv6.iaaddr.ip",
        "dhcpv6.iaaddr.pref_lifetime",
        "dhcpv6.iaaddr.valid_lifetime",
        "dhcpv6.dns_server",
        "dhcpv6.search_list_entry",
    ];
    assert_eq!(
        fields(&answers()[..1], &names),
        [
            "2|0xabcdef|00000000|43200|69120|2001:db8:1::cd,2001:db8:2::cd|86400,86400|86400,86400|\
          2001:db8::53|example.org.,corp.example.net."
        ]
    );
}

#[test]
fn the_rarer_options_of_an_advertisement_are_read_as_meant() {
    let names = [
        "icmpv6.nd.ra.flag.prf",
        "icmpv6.nd.ra.reachable_time",
        "icmpv6.nd.ra.retrans_timer",
        "icmpv6.opt.prefix",
        "icmpv6.opt.route_info.flag.route_preference",
        "icmpv6.opt.route_lifetime",
        "icmpv6.opt.dnssl",
        "icmpv6.opt.dnssl.lifetime",
        "icmpv6.opt.pref64.prefix",
        "icmpv6.opt.pref64.scaled_lifetime",
        "icmpv6.opt.captive_portal",
    ];
    let frame = ra::advertise(&talkative_advertisement(), Destination::AllNodes);
    assert_eq!(
        fields(&[frame], &names),
        [
            "1|30000|1000|2001:db8:1::,2001:db8:2::,2001:db8:5::,2001:db8:6::1|3,1|600,600|example.org,corp.example.net|300|\
          64:ff9b::|225|https://portal.example/api"
        ]
    );
}

#[test]
fn the_rarer_options_of_dhcpv6_are_read_as_meant() {
    let names = [
        "dhcpv6.sntp_server",
        "dhcpv6.clientfqdn.server.n",
        "dhcpv6.clientfqdn.server.o",
        "dhcpv6.clientfqdn.server.s",
        "dhcpv6.client_domain",
        "dhcpv6.ntpserver.addr",
        "dhcpv6.ntpserver.mc_addr",
        "dhcpv6.ntpserver.fqdn",
    ];
    let query = Query::new(Dhcpv6MessageType::InformationRequest)
        .asking(&EVERY_OPTION)
        .with(option::CLIENT_FQDN, b"\x01\x02vm");
    let frames = respond(&dhcpv6(talkative_service()), &query.frame()).frames;
    assert_eq!(
        fields(&frames, &names),
        ["2001:db8::123|1|1|0|vm-1.example.org.|2001:db8::123|ff05::101|ntp.example.org."]
    );
    let text = tshark(&frames, &["-V"]).join("\n");
    for said in [
        "Lifetime: 3600",
        "Boot File URL",
        "Boot File Parameters",
        "SOL_MAX_RT",
        "INF_MAX_RT",
    ] {
        assert!(text.contains(said), "{said} in\n{text}");
    }
}

#[test]
fn a_dhcpv4_answer_is_read_as_meant() {
    let names = [
        "ip.src",
        "ip.dst",
        "dhcp.id",
        "dhcp.ip.your",
        "dhcp.ip.server",
        "dhcp.hw.mac_addr",
        "dhcp.option.dhcp",
        "dhcp.option.dhcp_server_id",
        "dhcp.option.ip_address_lease_time",
        "dhcp.option.renewal_time_value",
        "dhcp.option.rebinding_time_value",
        "dhcp.option.subnet_mask",
        "dhcp.option.broadcast_address",
        "dhcp.option.interface_mtu",
        "dhcp.option.router",
        "dhcp.option.domain_name_server",
        "dhcp.option.domain_name",
        "dhcp.option.hostname",
        "dhcp.option.ntp_server",
        "dhcp.option.tftp_server_name",
        "dhcp.option.bootfile_name",
        "dhcp.fqdn.name",
    ];
    assert_eq!(
        fields(&dhcpv4_answers()[..1], &names),
        [
            "192.0.2.1|192.0.2.11|0xabcdef01|192.0.2.11|192.0.2.2|fa:16:3e:00:00:02,fa:16:3e:00:00:02|2|192.0.2.1|86400|43200|75600|\
          255.255.255.0|192.0.2.255|1430|192.0.2.1|192.0.2.53,198.51.100.53|example.org|host-192-0-2-11|192.0.2.123|\
          tftp.example.org|undionly.kpxe|host-192-0-2-11.example.org"
        ]
    );
}

#[test]
fn an_error_is_read_as_meant() {
    use refused::{PROBLEMS, ROUTER, ROUTER4, behind, datagram, datagram4, error};
    let of = |problem| {
        let v6 = respond(&error(problem, ROUTER), &datagram(1300)).frames;
        let v4 = respond(&error(problem, ROUTER4), &datagram4(1300)).frames;
        [v6, v4].concat()
    };
    let mut frames: Vec<_> = PROBLEMS.into_iter().flat_map(of).collect();
    let unknown_option = behind(&[(60, &[0, 0x80, 4, 1, 2, 3, 4])]);
    frames.extend(respond(&error(Problem::OwnAddress, ROUTER), &unknown_option).frames);
    let names = [
        "icmpv6.type",
        "icmpv6.code",
        "icmpv6.mtu",
        "icmpv6.pointer",
        "icmpv6.checksum.status",
        "icmp.type",
        "icmp.code",
        "icmp.mtu",
        "icmp.checksum.status",
        "ip.checksum.status",
        "udp.dstport",
    ];
    assert_eq!(
        fields(&frames, &names),
        [
            "3|0|||1||||||33434",
            "|||||11|0||1|1,1|33434",
            "1|0|||1||||||33434",
            "|||||3|0||1|1,1|33434",
            "1|3|||1||||||33434",
            "|||||3|1||1|1,1|33434",
            "2|0|1400||1||||||33434",
            "|||||3|4|1400|1|1,1|33434",
            "1|4|||1||||||33434",
            "|||||3|3||1|1,1|33434",
            "4|2||42|1||||||33434",
        ]
    );
    let malformed = tshark(&frames, &["-Y", "_ws.malformed"]);
    assert!(malformed.is_empty(), "{malformed:?}");
}

/// What a client that asks for a prefix sends from the first Solicit to the Release.
fn delegation_messages() -> Vec<Vec<u8>> {
    use delegation::{ADVERTISE, Asked, Asking, MIDDLE, REPLY, Said, TIMES, USUAL};
    let mut asking = Asking::new();
    let mut frames = Vec::new();
    while frames.len() < 5 {
        asking.now = asking.now.max(asking.client.poll_timeout().unwrap());
        let Some(frame) = guest::delegation::polled(&mut asking.client, asking.now, MIDDLE).pop()
        else {
            continue;
        };
        let asked = Asked::read(&frame);
        frames.push(frame);
        match asked.kind {
            Dhcpv6MessageType::Solicit => {
                let offer = Said::to(ADVERTISE, &asked).giving(TIMES, &[USUAL]);
                asking.hear(&offer.with(option::PREFERENCE, &[255]));
            }
            Dhcpv6MessageType::Request => {
                asking.hear(&Said::to(REPLY, &asked).giving(TIMES, &[USUAL]));
            }
            Dhcpv6MessageType::Renew => {
                asking.now = asking.client.lease().unwrap().rebind_at.unwrap()
            }
            _ => asking.client.release(asking.now, MIDDLE),
        }
    }
    frames
}

#[test]
fn a_client_that_asks_for_a_prefix_is_read_as_meant() {
    let ends = [
        "eth.src",
        "eth.dst",
        "ipv6.src",
        "ipv6.dst",
        "udp.srcport",
        "udp.dstport",
        "udp.checksum.status",
    ];
    let messages = delegation_messages();
    for told in fields(&messages, &ends) {
        let wanted =
            "fa:16:3e:ff:00:01|33:33:00:01:00:02|fe80::f816:3eff:feff:1|ff02::1:2|546|547|1";
        assert_eq!(told, wanted);
    }
    let names = [
        "dhcpv6.msgtype",
        "dhcpv6.elapsed_time",
        "dhcpv6.requested_option_code",
        "dhcpv6.iaid",
        "dhcpv6.iaid.t1",
        "dhcpv6.iaid.t2",
        "dhcpv6.iaprefix.pref_len",
        "dhcpv6.iaprefix.pref_addr",
        "dhcpv6.duid.bytes",
    ];
    assert_snapshot!(fields(&messages, &names).join("\n"), @r"
    1|0|82|00000001|0|0|64|::|0002000022b82a15d0e9fccc4143a255b0b35642843b
    3|0|82|00000001|0|0|64|2001:db8:1::|0002000022b82a15d0e9fccc4143a255b0b35642843b,00040102030405060708090a0b0c0d0e0f10
    5|0|82|00000001|0|0|64|2001:db8:1::|0002000022b82a15d0e9fccc4143a255b0b35642843b,00040102030405060708090a0b0c0d0e0f10
    6|0|82|00000001|0|0|64|2001:db8:1::|0002000022b82a15d0e9fccc4143a255b0b35642843b
    8|0||00000001|0|0|64|2001:db8:1::|0002000022b82a15d0e9fccc4143a255b0b35642843b,00040102030405060708090a0b0c0d0e0f10
    ");
    let complaints = "_ws.malformed or _ws.expert.severity >= \"Warning\"";
    let told = tshark(&messages, &["-Y", complaints, "-V"]);
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// What goes out on a link outside: questions to all and to one, announcements, and Router Solicitations.
fn on_a_link() -> Vec<Vec<u8>> {
    use link::{GATEWAY4, NEXT_HOP4, OLD, gateway, ip, target, target4};
    assert_eq!(target4().ends.next_hop(), ip(NEXT_HOP4));
    let nobody = std::net::Ipv6Addr::UNSPECIFIED;
    vec![
        neighbor::solicit(&target(), Solicited::Anyone),
        neighbor::solicit(&target(), Solicited::Station(OLD)),
        neighbor::announce(ROUTER_MAC, ip(gateway())),
        neighbor::announce(ROUTER_MAC, ip(address("2001:db8::9"))),
        ra::solicit(ROUTER_MAC, gateway()),
        ra::solicit(ROUTER_MAC, nobody),
        neighbor::solicit(&target4(), Solicited::Anyone),
        neighbor::solicit(&target4(), Solicited::Station(OLD)),
        neighbor::announce(ROUTER_MAC, ip(GATEWAY4)),
    ]
}

#[test]
fn what_goes_out_on_a_link_is_read_as_meant() {
    let names = [
        "eth.src",
        "eth.dst",
        "ipv6.src",
        "ipv6.dst",
        "ipv6.hlim",
        "icmpv6.type",
        "icmpv6.checksum.status",
        "icmpv6.nd.ns.target_address",
        "icmpv6.nd.na.target_address",
        "icmpv6.nd.na.flag",
        "icmpv6.opt.type",
        "icmpv6.opt.linkaddr",
    ];
    let (v6, arp) = (&on_a_link()[..6], &on_a_link()[6..]);
    assert_eq!(
        fields(v6, &names),
        [
            "fa:16:3e:ff:00:01|33:33:ff:00:00:01|fe80::f816:3eff:feff:1|ff02::1:ff00:1|255|135|1|fe80::1|||1|fa:16:3e:ff:00:01",
            "fa:16:3e:ff:00:01|02:00:00:00:00:01|fe80::f816:3eff:feff:1|fe80::1|255|135|1|fe80::1|||1|fa:16:3e:ff:00:01",
            "fa:16:3e:ff:00:01|33:33:00:00:00:01|fe80::f816:3eff:feff:1|ff02::1|255|136|1||fe80::f816:3eff:feff:1|0xa0000000|2|\
          fa:16:3e:ff:00:01",
            "fa:16:3e:ff:00:01|33:33:00:00:00:01|2001:db8::9|ff02::1|255|136|1||2001:db8::9|0xa0000000|2|fa:16:3e:ff:00:01",
            "fa:16:3e:ff:00:01|33:33:00:00:00:02|fe80::f816:3eff:feff:1|ff02::2|255|133|1||||1|fa:16:3e:ff:00:01",
            "fa:16:3e:ff:00:01|33:33:00:00:00:02|::|ff02::2|255|133|1|||||",
        ]
    );
    let names = [
        "eth.src",
        "eth.dst",
        "arp.opcode",
        "arp.src.hw_mac",
        "arp.src.proto_ipv4",
        "arp.dst.hw_mac",
        "arp.dst.proto_ipv4",
        "arp.isannouncement",
    ];
    assert_eq!(
        fields(arp, &names),
        [
            "fa:16:3e:ff:00:01|ff:ff:ff:ff:ff:ff|1|fa:16:3e:ff:00:01|203.0.113.9|00:00:00:00:00:00|203.0.113.1|",
            "fa:16:3e:ff:00:01|02:00:00:00:00:01|1|fa:16:3e:ff:00:01|203.0.113.9|00:00:00:00:00:00|203.0.113.1|",
            "fa:16:3e:ff:00:01|ff:ff:ff:ff:ff:ff|1|fa:16:3e:ff:00:01|203.0.113.9|00:00:00:00:00:00|203.0.113.9|1",
        ]
    );
    let complaints = "_ws.malformed or _ws.expert.severity >= \"Warning\"";
    let told = tshark(&on_a_link(), &["-Y", complaints, "-V"]);
    assert!(told.is_empty(), "{}", told.join("\n"));
}
