//! A guest as the tests play it: what it sends, and what it reads in the answers.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "each test file uses a part of it, and a test may panic"
)]

pub mod delegation;
pub mod ipv4;
pub mod link;
pub mod neighborhood;
pub mod property;
pub mod refused;

use sextant_model::{
    AdvertisedOptions, AdvertisedPrefix, AdvertisedRoute, Advertisement, Dhcpv6Option,
    Dhcpv6Options, Dhcpv6Service, LeasedAddress, MacAddr, NetworkId, PortId, Pref64, Punt,
    RouterPreference,
};
use sextant_responders::dhcpv6::codec::{
    Dhcpv6Message, Dhcpv6MessageType, RawDhcpv6Options, put_option,
};
use sextant_responders::dhcpv6::option::{self, DecodedDhcpv6Option, Ia, IaKind};
use sextant_responders::dhcpv6::{ALL_SERVERS, CLIENT_PORT, SERVER_PORT, domain};
use sextant_responders::frame::{FrameBuilder, Ipv6Addresses, Ipv6Packet, UdpDatagram};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// In seconds since 1970.
pub const NOW: i64 = 1_800_000_000;
pub const GUEST_MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 2]);
pub const ROUTER_MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0xff, 0, 1]);
pub const SERVER_DUID: [u8; 18] = [0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
pub const CLIENT_DUID: [u8; 10] = [0, 3, 0, 1, 0xfa, 0x16, 0x3e, 0, 0, 2];
pub const TRANSACTION: [u8; 3] = [0xab, 0xcd, 0xef];

pub fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

pub fn guest_address() -> Ipv6Addr {
    GUEST_MAC.link_local()
}

/// A slaac network with two prefixes, MTU and DNS.
pub fn advertisement() -> Advertisement {
    let prefix = |prefix: &str, autonomous| AdvertisedPrefix {
        prefix: prefix.parse().unwrap(),
        on_link: true,
        autonomous,
        valid: 86_400,
        preferred: 14_400,
        delegation_preferred: false,
        ends: None,
    };
    Advertisement {
        mac: ROUTER_MAC,
        source: ROUTER_MAC.link_local(),
        hop_limit: 64,
        managed: false,
        other: true,
        lifetime: 300,
        mtu: Some(1430),
        prefixes: vec![
            prefix("2001:db8:1::/64", true),
            prefix("2001:db8:2::/64", false),
        ],
        dns_servers: vec![address("2001:db8::53"), address("2001:db8::54")],
        dns_lifetime: 300,
        options: AdvertisedOptions::default(),
    }
}

/// The same with every other option that there is.
pub fn talkative_advertisement() -> Advertisement {
    let route = |prefix: &str, preference| AdvertisedRoute {
        prefix: prefix.parse().unwrap(),
        preference,
        lifetime: 600,
    };
    let options = AdvertisedOptions {
        preference: RouterPreference::High,
        reachable_time: 30_000,
        retransmission_timer: 1000,
        search_domains: vec![
            "example.org".parse().unwrap(),
            "corp.example.net".parse().unwrap(),
        ],
        routes: vec![
            route("2001:db8:5::/48", RouterPreference::Low),
            route("2001:db8:6::1/128", RouterPreference::High),
        ],
        pref64: vec![Pref64 {
            prefix: "64:ff9b::/96".parse().unwrap(),
            lifetime: 1800,
        }],
        captive_portal: Some("https://portal.example/api".into()),
    };
    Advertisement {
        options,
        ..advertisement()
    }
}

pub fn solicitation_punt() -> Punt {
    Punt::RouterSolicitation {
        port: PortId::MIN,
        advertisements: vec![Arc::new(advertisement())],
    }
}

/// A Router Solicitation with these octets after the checksum.
pub fn solicitation(source: Ipv6Addr, body: &[u8]) -> Vec<u8> {
    let addresses = Ipv6Addresses {
        source_mac: GUEST_MAC,
        destination_mac: MacAddr([0x33, 0x33, 0, 0, 0, 2]),
        source,
        destination: address("ff02::2"),
    };
    let mut frame = FrameBuilder::icmpv6(addresses, 133, body.len());
    frame.bytes().extend(body);
    frame.finish()
}

/// As Linux sends it: with a source link-layer address.
pub fn usual_solicitation() -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0, 1, 1];
    body.extend(GUEST_MAC.0);
    solicitation(guest_address(), &body)
}

/// A stateful port with two addresses, DNS and a domain.
pub fn service() -> Dhcpv6Service {
    let lease = |text| LeasedAddress {
        address: address(text),
        preferred: 86_400,
        valid: 86_400,
    };
    Dhcpv6Service {
        port: PortId::MIN,
        server_mac: ROUTER_MAC,
        server_address: ROUTER_MAC.link_local(),
        server_duid: SERVER_DUID.into(),
        addresses: vec![lease("2001:db8:1::cd"), lease("2001:db8:2::cd")],
        on_link: vec![
            "2001:db8:1::/64".parse().unwrap(),
            "2001:db8:2::/64".parse().unwrap(),
        ],
        dns_servers: vec![address("2001:db8::53")],
        domains: vec!["example.org".into(), "corp.example.net".into()],
        options: Dhcpv6Options::default(),
    }
}

/// The same with every other option that a port can be given.
pub fn talkative_service() -> Dhcpv6Service {
    let given = [
        ("sntp-server", "2001:db8::123"),
        ("information-refresh-time", "3600"),
        ("ntp-server", "2001:db8::123,ff05::101,ntp.example.org"),
        ("bootfile-url", "tftp://[2001:db8::1]/boot.efi"),
        ("bootfile-param", "quiet,root=/dev/vda"),
        ("sol-max-rt", "3600"),
        ("inf-max-rt", "7200"),
    ];
    let options = Dhcpv6Options {
        preference: 255,
        fqdn: Some("vm-1.example.org".parse().unwrap()),
        extra: given
            .iter()
            .map(|(name, value)| Dhcpv6Option::parse(name, value).unwrap())
            .collect(),
    };
    Dhcpv6Service {
        options,
        ..service()
    }
}

/// The codes of all options that a service can have.
pub const EVERY_OPTION: [u16; 10] = [23, 24, 31, 32, 39, 56, 59, 60, 82, 83];

/// A stateless port: options, no addresses.
pub fn stateless_service() -> Dhcpv6Service {
    Dhcpv6Service {
        addresses: Vec::new(),
        ..service()
    }
}

pub fn dhcpv6(service: Dhcpv6Service) -> Punt {
    Punt::Dhcpv6(Arc::new(service))
}

/// A DHCPv6 message that a guest puts together.
#[derive(Clone)]
pub struct Query {
    pub bytes: Vec<u8>,
    pub addresses: Ipv6Addresses,
    pub port: u16,
}

impl Query {
    /// Only the header.
    pub fn bare(kind: Dhcpv6MessageType) -> Self {
        let [a, b, c] = TRANSACTION;
        Self {
            bytes: vec![kind as u8, a, b, c],
            addresses: Ipv6Addresses {
                source_mac: GUEST_MAC,
                destination_mac: MacAddr([0x33, 0x33, 0, 1, 0, 2]),
                source: guest_address(),
                destination: ALL_SERVERS,
            },
            port: SERVER_PORT,
        }
    }

    /// With the client identifier.
    pub fn new(kind: Dhcpv6MessageType) -> Self {
        Self::bare(kind).with(option::CLIENT_ID, &CLIENT_DUID)
    }

    /// With both identifiers.
    pub fn to_server(kind: Dhcpv6MessageType) -> Self {
        Self::new(kind).with(option::SERVER_ID, &SERVER_DUID)
    }

    pub fn with(mut self, code: u16, value: &[u8]) -> Self {
        put_option(&mut self.bytes, code, |out| out.extend(value));
        self
    }

    /// With an identity association of these addresses or prefixes, whose lifetimes the client makes up.
    pub fn ia(mut self, kind: IaKind, iaid: u32, contents: &[&str]) -> Self {
        put_option(&mut self.bytes, kind as u16, |out| {
            out.extend(iaid.to_be_bytes());
            if kind != IaKind::Temporary {
                out.extend([0xff; 8]);
            }
            for text in contents {
                put_option(out, option::IA_ADDRESS, |out| {
                    out.extend(address(text).octets());
                    out.extend([0xff; 8]);
                });
            }
        });
        self
    }

    pub fn ia_na(self, iaid: u32, contents: &[&str]) -> Self {
        self.ia(IaKind::NonTemporary, iaid, contents)
    }

    pub fn asking(self, codes: &[u16]) -> Self {
        let value: Vec<u8> = codes.iter().flat_map(|code| code.to_be_bytes()).collect();
        self.with(option::OPTION_REQUEST, &value)
    }

    pub fn frame(&self) -> Vec<u8> {
        let mut frame = FrameBuilder::udp(self.addresses, CLIENT_PORT, self.port, self.bytes.len());
        frame.bytes().extend(&self.bytes);
        frame.finish()
    }
}

/// The DHCPv6 message of a frame, one option a line; checks on the way that it is for the guest, from the server.
pub fn tell(frame: &[u8]) -> String {
    let packet = Ipv6Packet::parse(frame).unwrap();
    assert_eq!(
        (packet.source_mac, packet.destination_mac),
        (ROUTER_MAC, GUEST_MAC)
    );
    assert_eq!(
        (packet.source, packet.destination),
        (ROUTER_MAC.link_local(), guest_address())
    );
    let datagram = UdpDatagram::parse(&packet).expect("checksum and length are right");
    assert_eq!(
        (datagram.source_port, datagram.destination_port),
        (SERVER_PORT, CLIENT_PORT)
    );
    let message = Dhcpv6Message::parse(datagram.body, datagram.offset).unwrap();
    assert_eq!(message.transaction, TRANSACTION);
    let mut lines = vec![message.kind.name().to_owned()];
    tell_options(message.options, "", &mut lines);
    lines.join("\n")
}

fn tell_options(options: RawDhcpv6Options<'_>, indent: &str, lines: &mut Vec<String>) {
    for option in options {
        let option = DecodedDhcpv6Option::decode(option.unwrap()).unwrap();
        lines.push(format!("{indent}{}", describe(option)));
        let deeper = format!("{indent}  ");
        match option {
            DecodedDhcpv6Option::Ia(ia) => tell_options(ia.options, &deeper, lines),
            DecodedDhcpv6Option::IaAddress(ia) => tell_options(ia.options, &deeper, lines),
            _ => {}
        }
    }
}

fn describe(option: DecodedDhcpv6Option<'_>) -> String {
    match option {
        DecodedDhcpv6Option::ClientId(duid) if duid == CLIENT_DUID => "client identifier".into(),
        DecodedDhcpv6Option::ServerId(duid) if duid == SERVER_DUID => "server identifier".into(),
        DecodedDhcpv6Option::Ia(Ia {
            kind, iaid, t1, t2, ..
        }) => format!("{kind:?} iaid={iaid} t1={t1} t2={t2}"),
        DecodedDhcpv6Option::IaAddress(ia) => {
            format!(
                "{} preferred={} valid={}",
                ia.address, ia.preferred, ia.valid
            )
        }
        DecodedDhcpv6Option::StatusCode { code, message } => {
            format!("status {code} {:?}", String::from_utf8_lossy(message))
        }
        DecodedDhcpv6Option::DnsServers(servers) => {
            format!("DNS servers {:?}", servers.iter().collect::<Vec<_>>())
        }
        DecodedDhcpv6Option::DomainList(names) => format!("domains {:?}", domains(names)),
        other => format!("{other:?}"),
    }
}

pub fn domains(mut wire: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while !wire.is_empty() {
        let (name, rest) = domain::take(wire).unwrap();
        names.push(name);
        wire = rest;
    }
    names
}
