//! Options besides leases: the service's configuration for a client.
//!
//! A client gets only what its Option Request names (RFC 9915 §18.3, §21.7), and its name if it sends one. An option
//! given to the port overrides the service's. An option for clients like this one overrides one for all clients.

use super::codec::{Dhcpv6MessageType, put_option};
use super::domain;
use super::option::{self, Dhcpv6Fqdn};
use super::query::Dhcpv6Query;
use sextant_model::{Dhcpv6Option, Dhcpv6Service, Dhcpv6Value, DomainName, TimeServer};
use std::net::Ipv6Addr;

/// NTP sub-options (RFC 5908 §4).
const NTP_ADDRESS: u16 = 1;
const NTP_MULTICAST: u16 = 2;
const NTP_NAME: u16 = 3;

/// Appends the options.
pub(super) fn put(out: &mut Vec<u8>, service: &Dhcpv6Service, query: &Dhcpv6Query<'_>) {
    let extra = &service.options.extra;
    if is_wanted(extra, query, option::DNS_SERVERS) && !service.dns_servers.is_empty() {
        put_option(out, option::DNS_SERVERS, |out| {
            put_addresses(out, &service.dns_servers)
        });
    }
    if is_wanted(extra, query, option::DOMAIN_LIST) && !service.domains.is_empty() {
        put_option(out, option::DOMAIN_LIST, |out| {
            put_domains(out, &service.domains)
        });
    }
    if let Some(name) = &service.options.fqdn
        && (query.fqdn.is_some() || query.requested.contains(option::CLIENT_FQDN))
    {
        put_fqdn(out, name, query.fqdn);
    }
    for option in extra {
        let chosen = given(extra, query, option.code);
        if query.requested.contains(option.code)
            && chosen.is_some_and(|chosen| std::ptr::eq(chosen, option))
            && may_carry(query.kind, option.code)
        {
            put_option(out, option.code, |out| put_value(out, &option.value));
        }
    }
}

/// Whether the client gets the service's value of this option.
fn is_wanted(extra: &[Dhcpv6Option], query: &Dhcpv6Query<'_>, code: u16) -> bool {
    query.requested.contains(code) && given(extra, query, code).is_none()
}

/// The port's option of a code. Of those for this client, the one with the most tags wins, then the first.
fn given<'a>(
    extra: &'a [Dhcpv6Option],
    query: &Dhcpv6Query<'_>,
    code: u16,
) -> Option<&'a Dhcpv6Option> {
    let of_code = extra.iter().filter(|option| option.code == code);
    let candidates = of_code.filter(|option| {
        let mut tags = option.tags.iter();
        tags.all(|tag| tag.holds(|client| query.is(client)))
    });
    candidates.rev().max_by_key(|option| option.tags.len())
}

/// Information Refresh Time is for clients without leases only (RFC 9915 §21.23).
fn may_carry(kind: Dhcpv6MessageType, code: u16) -> bool {
    code != option::INFORMATION_REFRESH_TIME || kind == Dhcpv6MessageType::InformationRequest
}

/// Names without a wire format are left out. The API does not accept such names.
fn put_domains(out: &mut Vec<u8>, domains: &[String]) {
    for name in domains {
        let _unsendable = domain::put_text(out, name);
    }
}

/// The guest's name as the server knows it. The server updates no DNS for its clients, and says so. If the client asked
/// for an update, the answer has the override flag (RFC 4704 §6).
fn put_fqdn(out: &mut Vec<u8>, name: &DomainName, asked: Option<Dhcpv6Fqdn<'_>>) {
    let overridden = asked.is_some_and(|asked| asked.flags & Dhcpv6Fqdn::SERVER_UPDATES != 0);
    let flags = Dhcpv6Fqdn::NO_UPDATES
        | if overridden {
            Dhcpv6Fqdn::OVERRIDDEN
        } else {
            0
        };
    put_option(out, option::CLIENT_FQDN, |out| {
        out.push(flags);
        domain::put(out, name);
    });
}

fn put_value(out: &mut Vec<u8>, value: &Dhcpv6Value) {
    match value {
        Dhcpv6Value::Addresses(addresses) => put_addresses(out, addresses),
        Dhcpv6Value::Names(names) => names.iter().for_each(|name| domain::put(out, name)),
        Dhcpv6Value::TimeServers(servers) => {
            servers
                .iter()
                .for_each(|server| put_time_server(out, server));
        }
        Dhcpv6Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Dhcpv6Value::Texts(texts) => texts.iter().for_each(|text| put_text(out, text)),
        Dhcpv6Value::Seconds(seconds) => out.extend(seconds.to_be_bytes()),
        Dhcpv6Value::Octets(octets) => out.extend_from_slice(octets),
    }
}

fn put_addresses(out: &mut Vec<u8>, addresses: &[Ipv6Addr]) {
    for address in addresses {
        out.extend(address.octets());
    }
}

fn put_time_server(out: &mut Vec<u8>, server: &TimeServer) {
    match server {
        TimeServer::Unicast(address) => {
            put_option(out, NTP_ADDRESS, |out| out.extend(address.octets()));
        }
        TimeServer::Multicast(address) => {
            put_option(out, NTP_MULTICAST, |out| out.extend(address.octets()));
        }
        TimeServer::Name(name) => put_option(out, NTP_NAME, |out| domain::put(out, name)),
    }
}

/// A text after its length. A text too long for the length field is left out.
fn put_text(out: &mut Vec<u8>, text: &str) {
    if let Ok(length) = u16::try_from(text.len()) {
        out.extend(length.to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}
