//! Writes an advertisement (RFC 4861 §4.2): fixed fields, then options in order of importance.

use super::{ALL_NODES, Destination, GoneDns, ROUTER_ADVERTISEMENT};
use crate::dhcpv6::domain;
use crate::frame::{ETHERNET_LEN, FrameBuilder, Ipv6Addresses};
use crate::ndp;
use sextant_model::{
    AdvertisedPrefix, AdvertisedRoute, Advertisement, DomainName, Pref64, RouterPreference,
};
use std::net::Ipv6Addr;

/// Prefix information (RFC 4861 §4.6.2).
const PREFIX_INFORMATION: u8 = 3;
/// Route information (RFC 4191 §2.3).
const ROUTE_INFORMATION: u8 = 24;
/// Recursive DNS servers (RFC 8106 §5.1).
const RDNSS: u8 = 25;
/// DNS search list (RFC 8106 §5.2).
const DNSSL: u8 = 31;
/// Captive portal (RFC 8910 §2.3).
const CAPTIVE_PORTAL: u8 = 37;
/// NAT64 prefix (RFC 8781 §4).
const PREF64: u8 = 38;

/// The highest AdvDefaultLifetime in seconds (RFC 4861 §6.2.1).
const MAX_LIFETIME: u16 = 9000;
/// The most octets of an option, by its length field.
const MAX_OPTION: usize = 255 * 8;

/// The Ethernet frame that carries an advertisement.
///
/// It stays within the MTU that it advertises, or within 1280 octets if it advertises no MTU. Options that do not fit
/// are left out, the last first. Their order is prefixes, routes, DNS servers, search domains, PREF64, captive portal.
#[must_use]
pub fn advertise(advertisement: &Advertisement, to: Destination) -> Vec<u8> {
    advertise_with(advertisement, &GoneDns::default(), to)
}

/// The same, with lifetime 0 for DNS servers and search domains that are gone.
pub(super) fn advertise_with(
    advertisement: &Advertisement,
    gone: &GoneDns,
    to: Destination,
) -> Vec<u8> {
    let (destination_mac, destination) = match to {
        Destination::AllNodes => (ndp::multicast_mac(ALL_NODES), ALL_NODES),
        Destination::Unicast { mac, address } => (mac, address),
    };
    let addresses = Ipv6Addresses {
        source_mac: advertisement.mac,
        destination_mac,
        source: advertisement.source,
        destination,
    };
    let mut frame = FrameBuilder::icmpv6(addresses, ROUTER_ADVERTISEMENT, usual_len(advertisement));
    put_header(frame.bytes(), advertisement);
    let mut options = RaOptionWriter {
        end: link_end(advertisement),
        bytes: frame.bytes(),
    };
    options.put_all(advertisement, gone);
    frame.finish()
}

/// The octets after the checksum, so that the frame need not grow. Lifetime 0 for what is gone comes on top.
fn usual_len(advertisement: &Advertisement) -> usize {
    let options = &advertisement.options;
    let names = options.search_domains.iter().map(octets_of);
    let domains = match options.search_domains.is_empty() {
        true => 0,
        false => (8 + names.sum::<usize>()).next_multiple_of(8),
    };
    let portal = options.captive_portal.as_ref();
    let portal = portal.map_or(0, |uri| (2 + uri.len()).next_multiple_of(8));
    let rarer = options.routes.len() * 24 + portal + options.pref64.len() * 16;
    let servers = 8 + advertisement.dns_servers.len() * 16;
    12 + 8 + 8 + advertisement.prefixes.len() * 32 + servers + domains + rarer
}

/// The octets of a name on the wire: two more than its text has.
fn octets_of(name: &DomainName) -> usize {
    name.as_str().len() + 2
}

/// Where a frame ends that fills the link. No link has an MTU below 1280 octets (RFC 8200 §5).
fn link_end(advertisement: &Advertisement) -> usize {
    ETHERNET_LEN + usize::from(advertisement.mtu.unwrap_or(0).max(1280))
}

/// The fields after the checksum: hop limit to retransmission timer.
fn put_header(bytes: &mut Vec<u8>, advertisement: &Advertisement) {
    let lifetime = advertisement.lifetime.min(MAX_LIFETIME);
    let preference = match lifetime {
        // RFC 4191 §2.2: without a lifetime there is no preference.
        0 => RouterPreference::Medium,
        _ => advertisement.options.preference,
    };
    let flags = u8::from(advertisement.managed) << 7
        | u8::from(advertisement.other) << 6
        | preference_bits(preference);
    bytes.extend([advertisement.hop_limit, flags]);
    bytes.extend(lifetime.to_be_bytes());
    bytes.extend(advertisement.options.reachable_time.to_be_bytes());
    bytes.extend(advertisement.options.retransmission_timer.to_be_bytes());
}

/// Prf at its place, the fourth and fifth bits of an octet (RFC 4191 §2.1).
fn preference_bits(preference: RouterPreference) -> u8 {
    let bits = match preference {
        RouterPreference::High => 0b01,
        RouterPreference::Medium => 0b00,
        RouterPreference::Low => 0b11,
    };
    bits << 3
}

/// Appends options that have to end before `end`.
struct RaOptionWriter<'a> {
    bytes: &'a mut Vec<u8>,
    end: usize,
}

impl RaOptionWriter<'_> {
    fn put_all(&mut self, advertisement: &Advertisement, gone: &GoneDns) {
        let options = &advertisement.options;
        self.option(ndp::SOURCE_LINK_LAYER, |out| {
            out.extend(advertisement.mac.0)
        });
        if let Some(mtu) = advertisement.mtu {
            self.option(ndp::MTU, |out| {
                out.extend([0; 2]);
                out.extend(u32::from(mtu).to_be_bytes());
            });
        }
        for prefix in &advertisement.prefixes {
            self.option(PREFIX_INFORMATION, |out| put_prefix(out, prefix));
        }
        for route in &options.routes {
            self.option(ROUTE_INFORMATION, |out| put_route(out, route));
        }
        self.dns_servers(&advertisement.dns_servers, advertisement.dns_lifetime);
        self.search_domains(&options.search_domains, advertisement.dns_lifetime);
        self.dns_servers(&gone.servers, 0);
        self.search_domains(&gone.domains, 0);
        for pref64 in &options.pref64 {
            if let Some(code) = prefix_length_code(pref64) {
                self.option(PREF64, |out| put_pref64(out, pref64, code));
            }
        }
        if let Some(portal) = &options.captive_portal {
            self.option(CAPTIVE_PORTAL, |out| {
                out.extend_from_slice(portal.as_bytes())
            });
        }
    }

    /// An option whose content `write` appends, padded with zeros to units of 8 octets. It is left out if it does not
    /// fit.
    fn option(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend([kind, 0]);
        write(self.bytes);
        let units = (self.bytes.len() - start).div_ceil(8);
        self.bytes.resize(start + units * 8, 0);
        match u8::try_from(units) {
            Ok(units) if self.bytes.len() <= self.end => self.bytes[start + 1] = units,
            Ok(_) | Err(_) => self.bytes.truncate(start),
        }
    }

    /// As many servers as fit, in as many options as they need (RFC 8106 §5.1).
    fn dns_servers(&mut self, mut servers: &[Ipv6Addr], lifetime: u32) {
        while !servers.is_empty() {
            let fit = self.room().saturating_sub(8) / 16;
            let (now, later) = servers.split_at(servers.len().min(fit));
            if now.is_empty() {
                return;
            }
            self.option(RDNSS, |out| {
                out.extend([0; 2]);
                out.extend(lifetime.to_be_bytes());
                for server in now {
                    out.extend(server.octets());
                }
            });
            servers = later;
        }
    }

    /// The first domains that fit into one option (RFC 8106 §5.2).
    fn search_domains(&mut self, domains: &[DomainName], lifetime: u32) {
        let mut room = (self.room() & !7).saturating_sub(8);
        let fit = domains
            .iter()
            .take_while(|name| {
                let left = room.checked_sub(octets_of(name));
                left.map(|left| room = left).is_some()
            })
            .count();
        if fit == 0 {
            return;
        }
        self.option(DNSSL, |out| {
            out.extend([0; 2]);
            out.extend(lifetime.to_be_bytes());
            domains[..fit]
                .iter()
                .for_each(|name| domain::put(out, name));
        });
    }

    /// The octets that an option may have.
    fn room(&self) -> usize {
        self.end.saturating_sub(self.bytes.len()).min(MAX_OPTION)
    }
}

fn put_prefix(out: &mut Vec<u8>, prefix: &AdvertisedPrefix) {
    let flags = u8::from(prefix.on_link) << 7
        | u8::from(prefix.autonomous) << 6
        | u8::from(prefix.delegation_preferred) << 4;
    out.extend([prefix.prefix.prefix_len(), flags]);
    out.extend(prefix.valid.to_be_bytes());
    out.extend(prefix.preferred.min(prefix.valid).to_be_bytes());
    out.extend([0; 4]);
    out.extend(prefix.prefix.network().octets());
}

/// Only as much of the prefix as its length needs, in steps of 8 octets (RFC 4191 §2.3).
fn put_route(out: &mut Vec<u8>, route: &AdvertisedRoute) {
    let length = route.prefix.prefix_len();
    out.extend([length, preference_bits(route.preference)]);
    out.extend(route.lifetime.to_be_bytes());
    let octets = usize::from(length).div_ceil(64) * 8;
    out.extend_from_slice(&route.prefix.network().octets()[..octets]);
}

/// PLC (RFC 8781 §4). `None` for a length that no NAT64 prefix has (RFC 6052 §2.2).
fn prefix_length_code(pref64: &Pref64) -> Option<u16> {
    [96, 64, 56, 48, 40, 32]
        .iter()
        .zip(0..)
        .find(|(length, _)| **length == pref64.prefix.prefix_len())
        .map(|(_, code)| code)
}

/// The lifetime is in units of 8 seconds, rounded up.
fn put_pref64(out: &mut Vec<u8>, pref64: &Pref64, code: u16) {
    const MAX_SCALED: u16 = 0x1fff;
    let scaled = pref64.lifetime.div_ceil(8).min(MAX_SCALED);
    out.extend((scaled << 3 | code).to_be_bytes());
    out.extend_from_slice(&pref64.prefix.network().octets()[..12]);
}
