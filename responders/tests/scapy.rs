//! Against scapy (Debian's package): what it makes is answered, and what is answered it reads as meant and would have
//! made the same, octet by octet, but for options that it does not know (PREF64, captive portal), which it carries along.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::*;
use insta::assert_snapshot;
use sextant_responders::ra::{self, Destination};
use sextant_responders::respond;
use std::io::Write;
use std::process::{Command, Stdio};

/// What `scapy_oracle.py` prints.
fn scapy(mode: &str, frames: &[Vec<u8>]) -> String {
    let mut child = Command::new("/usr/bin/python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/scapy_oracle.py"
        ))
        .arg(mode)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 starts (Debian package: python3-scapy)");
    let mut input = child.stdin.take().unwrap();
    for frame in frames {
        let line: String = frame.iter().map(|octet| format!("{octet:02x}")).collect();
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn octets(line: &str) -> Vec<u8> {
    (0..line.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn what_scapy_asks_is_answered_and_read_by_it_as_meant() {
    let asked: Vec<_> = scapy("craft", &[]).lines().map(octets).collect();
    let punts = [
        solicitation_punt(),
        dhcpv6(service()),
        ipv4::dhcpv4(ipv4::service()),
    ];
    assert_eq!(asked.len(), punts.len());
    let answers: Vec<_> = punts
        .iter()
        .zip(&asked)
        .flat_map(|(punt, frame)| respond(punt, frame).frames)
        .collect();
    assert_snapshot!(scapy("read", &answers), @r#"
    Ethernet dst=fa:16:3e:00:00:02 src=fa:16:3e:ff:00:01 type=34525
    IPv6 version=6 tc=0 fl=0 nh=58 hlim=255 src=fe80::f816:3eff:feff:1 dst=fe80::f816:3eff:fe00:2
    ICMPv6 Neighbor Discovery - Router Advertisement type=134 code=0 chlim=64 M=0 O=1 H=0 prf=0 P=0 res=0 routerlifetime=300 reachabletime=0 retranstimer=0
    ICMPv6 Neighbor Discovery Option - Source Link-Layer Address type=1 lladdr=fa:16:3e:ff:00:01
    ICMPv6 Neighbor Discovery Option - MTU type=5 res=0 mtu=1430
    ICMPv6 Neighbor Discovery Option - Prefix Information type=3 prefixlen=64 L=1 A=1 R=0 res1=0 validlifetime=86400 preferredlifetime=14400 res2=0 prefix=2001:db8:1::
    ICMPv6 Neighbor Discovery Option - Prefix Information type=3 prefixlen=64 L=1 A=0 R=0 res1=0 validlifetime=86400 preferredlifetime=14400 res2=0 prefix=2001:db8:2::
    ICMPv6 Neighbor Discovery Option - Recursive DNS Server Option type=25 res=0 lifetime=300 dns=[2001:db8::53, 2001:db8::54]
    made again the same

    Ethernet dst=fa:16:3e:00:00:02 src=fa:16:3e:ff:00:01 type=34525
    IPv6 version=6 tc=0 fl=0 nh=17 hlim=64 src=fe80::f816:3eff:feff:1 dst=fe80::f816:3eff:fe00:2
    UDP sport=547 dport=546
    DHCPv6 Advertise Message msgtype=2 trid=11259375
    DHCP6 Client Identifier Option optcode=1 duid=(DUID - Based on Link-layer Address type=3 hwtype=1 lladdr=fa:16:3e:00:00:02)
    DHCP6 Server Identifier Option optcode=2 duid=(DUID - Based on UUID type=4 uuid=01020304-0506-0708-090a-0b0c0d0e0f10)
    DHCP6 Identity Association for Non-temporary Addresses Option optcode=3 iaid=7 T1=43200 T2=69120 ianaopts=[(DHCP6 IA Address Option (IA_TA or IA_NA suboption) optcode=5 addr=2001:db8:1::cd preflft=86400 validlft=86400 iaaddropts=[]), (DHCP6 IA Address Option (IA_TA or IA_NA suboption) optcode=5 addr=2001:db8:2::cd preflft=86400 validlft=86400 iaaddropts=[])]
    DHCP6 Option - DNS Recursive Name Server optcode=23 dnsservers=[2001:db8::53]
    DHCP6 Option - Domain Search List option optcode=24 dnsdomains=[example.org., corp.example.net.]
    made again the same

    Ethernet dst=fa:16:3e:00:00:02 src=fa:16:3e:ff:00:01 type=2048
    IP version=4 ihl=5 tos=0 id=0 flags=DF frag=0 ttl=64 proto=17 src=192.0.2.1 dst=192.0.2.11 options=[]
    UDP sport=67 dport=68
    BOOTP op=2 htype=1 hlen=6 hops=0 xid=2882400001 secs=0 flags= ciaddr=0.0.0.0 yiaddr=192.0.2.11 siaddr=0.0.0.0 giaddr=0.0.0.0 chaddr=\xfa\x16>\x00\x00\x02 sname= file= options=c\x82Sc
    DHCP options options=[message-type:2, server_id:192.0.2.1, lease_time:86400, renewal_time:43200, rebinding_time:75600, subnet_mask:255.255.255.0, broadcast_address:192.0.2.255, interface-mtu:1430, classless_static_routes:[203.0.113.0/25:192.0.2.7, 0.0.0.0/0:192.0.2.1], router:192.0.2.1, name_server:192.0.2.53:198.51.100.53, domain:example.org, end]
    made again the same
    "#);
}

#[test]
fn the_rarer_options_are_read_as_meant() {
    let advertisement = ra::advertise(&talkative_advertisement(), Destination::AllNodes);
    assert_snapshot!(scapy("read", &[advertisement]), @r#"
    Ethernet dst=33:33:00:00:00:01 src=fa:16:3e:ff:00:01 type=34525
    IPv6 version=6 tc=0 fl=0 nh=58 hlim=255 src=fe80::f816:3eff:feff:1 dst=ff02::1
    ICMPv6 Neighbor Discovery - Router Advertisement type=134 code=0 chlim=64 M=0 O=1 H=0 prf=1 P=0 res=0 routerlifetime=300 reachabletime=30000 retranstimer=1000
    ICMPv6 Neighbor Discovery Option - Source Link-Layer Address type=1 lladdr=fa:16:3e:ff:00:01
    ICMPv6 Neighbor Discovery Option - MTU type=5 res=0 mtu=1430
    ICMPv6 Neighbor Discovery Option - Prefix Information type=3 prefixlen=64 L=1 A=1 R=0 res1=0 validlifetime=86400 preferredlifetime=14400 res2=0 prefix=2001:db8:1::
    ICMPv6 Neighbor Discovery Option - Prefix Information type=3 prefixlen=64 L=1 A=0 R=0 res1=0 validlifetime=86400 preferredlifetime=14400 res2=0 prefix=2001:db8:2::
    ICMPv6 Neighbor Discovery Option - Route Information Option type=24 plen=48 res1=0 prf=3 res2=0 rtlifetime=600 prefix=2001:db8:5::
    ICMPv6 Neighbor Discovery Option - Route Information Option type=24 plen=128 res1=0 prf=1 res2=0 rtlifetime=600 prefix=2001:db8:6::1
    ICMPv6 Neighbor Discovery Option - Recursive DNS Server Option type=25 res=0 lifetime=300 dns=[2001:db8::53, 2001:db8::54]
    ICMPv6 Neighbor Discovery Option - DNS Search List Option type=31 res=0 lifetime=300 searchlist=[example.org., corp.example.net.]
    Raw load=&\x02\x07\x08\x00d\xff\x9b\x00\x00\x00\x00\x00\x00\x00\x00%\x04https://portal.example/api
    made again the same
    "#);
}
