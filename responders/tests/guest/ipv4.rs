//! The guest's IPv4: what it sends, and what it reads in the answers.

use super::{GUEST_MAC, ROUTER_MAC};
use sextant_model::{
    ClasslessRoute, Dhcpv4Lease, Dhcpv4Option, Dhcpv4Service, MacAddr, PortId, Punt,
};
use sextant_responders::dhcpv4::codec::{
    BOOT_REPLY, BOOT_REQUEST, BROADCAST, Dhcpv4Message, Dhcpv4MessageType, RawDhcpv4Options,
    put_option,
};
use sextant_responders::dhcpv4::option::{self, DecodedDhcpv4Option};
use sextant_responders::dhcpv4::{CLIENT_PORT, SERVER_PORT};
use sextant_responders::frame::{Ipv4Addresses, Ipv4FrameBuilder, Ipv4Packet, UdpDatagram};
use std::net::Ipv4Addr;
use std::sync::Arc;

pub const TRANSACTION: [u8; 4] = [0xab, 0xcd, 0xef, 0x01];
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const LEASED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
pub const SECOND: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 5);
pub const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
/// As dhclient asks: mask, router, DNS, name, domain, MTU, routes.
pub const USUAL_REQUEST: [u8; 8] = [1, 121, 3, 6, 12, 15, 26, 28];

/// A port with one address on a subnet with gateway, DNS and a host route.
pub fn service() -> Dhcpv4Service {
    let route = |destination: &str, next_hop: &str| ClasslessRoute {
        destination: destination.parse().unwrap(),
        next_hop: next_hop.parse().unwrap(),
    };
    let lease = Dhcpv4Lease {
        address: "192.0.2.11/24".parse().unwrap(),
        server: SERVER,
        router: Some(SERVER),
        routes: vec![
            route("203.0.113.0/25", "192.0.2.7"),
            route("0.0.0.0/0", "192.0.2.1"),
        ],
        dns_servers: vec![
            Ipv4Addr::new(192, 0, 2, 53),
            Ipv4Addr::new(198, 51, 100, 53),
        ],
        host_name: "host-192-0-2-11".parse().unwrap(),
    };
    Dhcpv4Service {
        port: PortId::MIN,
        mac: GUEST_MAC,
        server_mac: ROUTER_MAC,
        leases: vec![lease],
        lifetime: 86_400,
        mtu: 1430,
        domain: Some("example.org".parse().unwrap()),
        search: Vec::new(),
        extra: Vec::new(),
    }
}

/// The same with a second address, on a subnet without gateway.
pub fn two_leases() -> Dhcpv4Service {
    let mut service = service();
    service.leases.push(Dhcpv4Lease {
        address: "198.51.100.5/28".parse().unwrap(),
        server: Ipv4Addr::new(169, 254, 0, 67),
        router: None,
        routes: Vec::new(),
        dns_servers: Vec::new(),
        host_name: "host-198-51-100-5".parse().unwrap(),
    });
    service
}

pub fn given(options: &[(&str, &str)]) -> Dhcpv4Service {
    let extra = options
        .iter()
        .map(|(name, value)| Dhcpv4Option::parse(name, value).unwrap())
        .collect();
    Dhcpv4Service { extra, ..service() }
}

/// Every option that a port can be given by name, and for some clients something else.
pub fn talkative_service() -> Dhcpv4Service {
    given(&[
        ("server-ip-address", "192.0.2.2"),
        ("tftp-server", "tftp.example.org"),
        ("bootfile-name", "undionly.kpxe"),
        ("tag:arch-7,bootfile-name", "ipxe.efi"),
        ("tag:ipxe,bootfile-name", "http://192.0.2.2/boot.ipxe"),
        ("ntp-server", "192.0.2.123"),
        ("domain-search", "example.org,corp.example.net"),
        ("150", "192.0.2.2"),
        ("224", "01:02:03"),
    ])
}

pub fn dhcpv4(service: Dhcpv4Service) -> Punt {
    Punt::Dhcpv4(Arc::new(service))
}

/// A DHCPv4 message that a guest puts together.
#[derive(Clone)]
pub struct Query {
    pub op: u8,
    pub hardware_len: u8,
    pub flags: u16,
    pub client: Ipv4Addr,
    pub relay: Ipv4Addr,
    pub mac: MacAddr,
    pub server_name: [u8; 64],
    pub boot_file: [u8; 128],
    pub options: Vec<u8>,
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub port: u16,
}

impl Query {
    /// Without options.
    pub fn bare() -> Self {
        Self {
            op: BOOT_REQUEST,
            hardware_len: 6,
            flags: 0,
            client: NOBODY,
            relay: NOBODY,
            mac: GUEST_MAC,
            server_name: [0; 64],
            boot_file: [0; 128],
            options: Vec::new(),
            source: NOBODY,
            destination: Ipv4Addr::BROADCAST,
            port: SERVER_PORT,
        }
    }

    /// Of a type.
    pub fn new(kind: Dhcpv4MessageType) -> Self {
        Self::bare().with(option::MESSAGE_TYPE, &[kind as u8])
    }

    /// To one server.
    pub fn to_server(kind: Dhcpv4MessageType) -> Self {
        Self::new(kind).with(option::SERVER_ID, &SERVER.octets())
    }

    pub fn with(mut self, code: u8, value: &[u8]) -> Self {
        put_option(&mut self.options, code, |out| out.extend(value));
        self
    }

    pub fn requesting(self, address: Ipv4Addr) -> Self {
        self.with(option::REQUESTED_ADDRESS, &address.octets())
    }

    pub fn asking(self, codes: &[u8]) -> Self {
        self.with(option::PARAMETER_REQUEST, codes)
    }

    pub fn broadcast(mut self) -> Self {
        self.flags = BROADCAST;
        self
    }

    /// From a client that has its address.
    pub fn of(mut self, address: Ipv4Addr) -> Self {
        (self.client, self.source) = (address, address);
        self
    }

    pub fn body(&self) -> Vec<u8> {
        let [a, b, c, d, e, f] = self.mac.0;
        let message = Dhcpv4Message {
            op: self.op,
            hardware_type: 1,
            hardware_len: self.hardware_len,
            hops: 0,
            transaction: TRANSACTION,
            seconds: 0,
            flags: self.flags,
            client: self.client,
            yours: NOBODY,
            next_server: NOBODY,
            relay: self.relay,
            hardware_address: [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            server_name: &self.server_name,
            boot_file: &self.boot_file,
            options: Dhcpv4Message::parse(EMPTY, 0).unwrap().options,
        };
        let mut bytes = Vec::new();
        message.put_fields(&mut bytes);
        bytes.extend(&self.options);
        bytes.push(option::END);
        bytes
    }

    pub fn frame(&self) -> Vec<u8> {
        let addresses = Ipv4Addresses {
            source_mac: GUEST_MAC,
            destination_mac: MacAddr([0xff; 6]),
            source: self.source,
            destination: self.destination,
        };
        let mut frame = Ipv4FrameBuilder::udp(addresses, CLIENT_PORT, self.port, 300);
        frame.bytes().extend(self.body());
        frame.finish()
    }
}

/// A message without options.
const EMPTY: &[u8] = &{
    let mut bytes = [0; 240];
    bytes[236] = 99;
    bytes[237] = 130;
    bytes[238] = 83;
    bytes[239] = 99;
    bytes
};

/// The message of a frame, one field or option a line; checks on the way that it is from the server to the guest.
pub fn tell(frame: &[u8]) -> String {
    let packet = Ipv4Packet::parse(frame).unwrap();
    assert_eq!(packet.source_mac, ROUTER_MAC);
    let to = match packet.destination_mac.0 {
        [0xff, ..] => "all",
        _ if packet.destination_mac == GUEST_MAC => "the guest",
        _ => "nobody",
    };
    let datagram = UdpDatagram::parse_ipv4(&packet).expect("checksum and length are right");
    assert_eq!(
        (datagram.source_port, datagram.destination_port),
        (SERVER_PORT, CLIENT_PORT)
    );
    let message = Dhcpv4Message::parse(datagram.body, datagram.offset).unwrap();
    assert_eq!(
        (message.op, message.transaction, message.hops),
        (BOOT_REPLY, TRANSACTION, 0)
    );
    assert_eq!(message.hardware_address[..6], GUEST_MAC.0);
    assert!(datagram.body.len() >= 300, "as long as BOOTP");
    let mut lines = vec![format!(
        "{} to {} at {to}",
        packet.source, packet.destination
    )];
    for (name, address) in [
        ("client", message.client),
        ("yours", message.yours),
        ("next server", message.next_server),
    ] {
        if !address.is_unspecified() {
            lines.push(format!("{name} {address}"));
        }
    }
    if message.boot_file[0] != 0 {
        let file = String::from_utf8_lossy(message.boot_file);
        lines.push(format!("file {:?}", file.trim_end_matches('\0')));
    }
    lines.extend(told(message.options));
    lines.join("\n")
}

fn told(options: RawDhcpv4Options<'_>) -> impl Iterator<Item = String> {
    options.map(
        |raw| match DecodedDhcpv4Option::decode(raw.unwrap()).unwrap() {
            DecodedDhcpv4Option::MessageType(kind) => kind.name().to_owned(),
            DecodedDhcpv4Option::Routers(addresses) => {
                format!("Routers {:?}", addresses.iter().collect::<Vec<_>>())
            }
            DecodedDhcpv4Option::DnsServers(addresses) => {
                format!("DnsServers {:?}", addresses.iter().collect::<Vec<_>>())
            }
            DecodedDhcpv4Option::HostName(text) => {
                format!("HostName {:?}", String::from_utf8_lossy(text))
            }
            DecodedDhcpv4Option::DomainName(text) => {
                format!("DomainName {:?}", String::from_utf8_lossy(text))
            }
            DecodedDhcpv4Option::Message(text) => {
                format!("Message {:?}", String::from_utf8_lossy(text))
            }
            DecodedDhcpv4Option::BootFile(text) => {
                format!("BootFile {:?}", String::from_utf8_lossy(text))
            }
            other => format!("{other:?}"),
        },
    )
}
