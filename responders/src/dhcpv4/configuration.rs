//! Options besides the lease: the service's configuration for a client.
//!
//! A client gets the options in its parameter request list, or all options without such a list. It always gets the
//! subnet mask, the broadcast address and the MTU, as from Neutron. An option given to the port overrides the
//! service's. Options that do not fit the client's longest message are left out, the last first.

use super::codec::put_option;
use super::option::{self, Dhcpv4Fqdn};
use super::query::Dhcpv4Query;
use crate::dhcpv6::domain;
use sextant_model::{
    ClasslessRoute, Dhcpv4Lease, Dhcpv4Option, Dhcpv4Place, Dhcpv4Service, DomainName, put_route,
};
use std::net::Ipv4Addr;

/// RCODE1 and RCODE2 of a server (RFC 4702 §2.2).
const NO_CODE: u8 = 255;

/// Appends options while they fit.
pub(super) struct Dhcpv4OptionWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Where the last option has to end. Room for the end option is kept after it.
    end: usize,
}

impl<'a> Dhcpv4OptionWriter<'a> {
    /// Writes options that have to end before `end` octets of `out`.
    pub(super) fn new(out: &'a mut Vec<u8>, end: usize) -> Self {
        let end = end.saturating_sub(1);
        Self { out, end }
    }

    /// One option.
    pub(super) fn put(&mut self, code: u8, value: &[u8]) {
        self.write(code, |out| out.extend_from_slice(value));
    }

    fn write(&mut self, code: u8, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        put_option(self.out, code, write);
        if self.out.len() > self.end {
            self.out.truncate(start);
        }
    }

    /// Echoes the client's identifier unchanged (RFC 6842 §3).
    pub(super) fn client_id(&mut self, query: &Dhcpv4Query<'_>) {
        if let Some(id) = query.client_id {
            self.put(option::CLIENT_ID, id);
        }
    }

    /// The lease time, T1 and T2: half and seven eighths of it (RFC 2131 §4.4.5).
    pub(super) fn times(&mut self, lifetime: u32) {
        self.put(option::LEASE_TIME, &lifetime.to_be_bytes());
        if lifetime != u32::MAX {
            let t2 = lifetime - lifetime.div_ceil(8);
            self.put(option::RENEWAL_TIME, &(lifetime / 2).to_be_bytes());
            self.put(option::REBINDING_TIME, &t2.to_be_bytes());
        }
    }

    fn addresses(&mut self, code: u8, addresses: &[Ipv4Addr]) {
        self.write(code, |out| {
            addresses
                .iter()
                .for_each(|address| out.extend(address.octets()));
        });
    }

    fn routes(&mut self, code: u8, routes: &[ClasslessRoute]) {
        self.write(code, |out| {
            for route in routes {
                put_route(out, route.destination, route.next_hop);
            }
        });
    }

    /// Uncompressed, which RFC 3397 §2 allows, so that a list that is cut into parts needs no care.
    fn domains(&mut self, domains: &[DomainName]) {
        self.write(option::DOMAIN_SEARCH, |out| {
            domains.iter().for_each(|name| domain::put(out, name));
        });
    }

    /// The guest's name as the server knows it, in the client's format. The server updates no DNS for its clients, and
    /// says so. If the client asked for an update, the answer has the override flag (RFC 4702 §4).
    fn fqdn(&mut self, name: &DomainName, asked: Dhcpv4Fqdn<'_>) {
        let encoded = asked.flags & Dhcpv4Fqdn::ENCODED;
        let overridden = match asked.flags & Dhcpv4Fqdn::SERVER_UPDATES {
            0 => 0,
            _ => Dhcpv4Fqdn::OVERRIDDEN,
        };
        self.write(option::CLIENT_FQDN, |out| {
            out.extend([
                Dhcpv4Fqdn::NO_UPDATES | overridden | encoded,
                NO_CODE,
                NO_CODE,
            ]);
            match encoded {
                0 => out.extend_from_slice(name.as_str().as_bytes()),
                _ => domain::put(out, name),
            }
        });
    }
}

/// What to boot, in BOOTP's fields.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Boot<'a> {
    /// `siaddr`.
    pub(super) server: Option<Ipv4Addr>,
    /// `file`.
    pub(super) file: Option<&'a [u8]>,
}

/// BOOTP's fields for a client. The server is always in them, the file only if the client does not ask for it as an
/// option.
pub(super) fn boot<'a>(service: &'a Dhcpv4Service, query: &Dhcpv4Query<'_>) -> Boot<'a> {
    let server = given(service, query, Dhcpv4Place::NextServer);
    let file = if query.requested.names(option::BOOT_FILE) {
        None
    } else {
        given(service, query, Dhcpv4Place::Option(option::BOOT_FILE))
    };
    Boot {
        server: server
            .and_then(|option| option.value.first_chunk::<4>())
            .map(|octets| Ipv4Addr::from(*octets)),
        file: file.map(|option| option.value.as_slice()),
    }
}

/// Appends the options.
pub(super) fn put(
    options: &mut Dhcpv4OptionWriter<'_>,
    service: &Dhcpv4Service,
    query: &Dhcpv4Query<'_>,
    lease: &Dhcpv4Lease,
) {
    let address = lease.address;
    options.put(option::SUBNET_MASK, &address.netmask().octets());
    if is_ours(service, query, option::BROADCAST_ADDRESS) {
        options.put(option::BROADCAST_ADDRESS, &address.broadcast().octets());
    }
    if is_ours(service, query, option::MTU) {
        options.put(option::MTU, &service.mtu.to_be_bytes());
    }
    // A client that understands these routes ignores the routers' option, in any order of the two (RFC 3442).
    for code in [option::CLASSLESS_ROUTES, option::CLASSLESS_ROUTES_MICROSOFT] {
        if is_wanted(service, query, code) && !lease.routes.is_empty() {
            options.routes(code, &lease.routes);
        }
    }
    if let Some(router) = lease.router
        && is_wanted(service, query, option::ROUTERS)
    {
        options.put(option::ROUTERS, &router.octets());
    }
    if is_wanted(service, query, option::DNS_SERVERS) && !lease.dns_servers.is_empty() {
        options.addresses(option::DNS_SERVERS, &lease.dns_servers);
    }
    names(options, service, query, lease);
    for extra in &service.extra {
        extra_option(options, service, query, extra);
    }
}

/// Whether the service decides on this option, since the port was not given one.
fn is_ours(service: &Dhcpv4Service, query: &Dhcpv4Query<'_>, code: u8) -> bool {
    given(service, query, Dhcpv4Place::Option(code)).is_none()
}

/// Whether the client gets the service's value of this option.
fn is_wanted(service: &Dhcpv4Service, query: &Dhcpv4Query<'_>, code: u8) -> bool {
    is_ours(service, query, code) && query.requested.contains(code)
}

fn names(
    options: &mut Dhcpv4OptionWriter<'_>,
    service: &Dhcpv4Service,
    query: &Dhcpv4Query<'_>,
    lease: &Dhcpv4Lease,
) {
    if let Some(domain) = &service.domain
        && is_wanted(service, query, option::DOMAIN_NAME)
    {
        options.put(option::DOMAIN_NAME, domain.as_str().as_bytes());
    }
    if is_wanted(service, query, option::DOMAIN_SEARCH) && !service.search.is_empty() {
        options.domains(&service.search);
    }
    let host = &lease.host_name;
    if let Some(asked) = query.fqdn {
        let full = service
            .domain
            .as_ref()
            .and_then(|domain| host.within(domain));
        options.fqdn(full.as_ref().unwrap_or(host), asked);
    }
    if is_wanted(service, query, option::HOST_NAME) {
        options.put(option::HOST_NAME, host.as_str().as_bytes());
    }
}

/// An option of the port, if it is for this client and was requested.
fn extra_option(
    options: &mut Dhcpv4OptionWriter<'_>,
    service: &Dhcpv4Service,
    query: &Dhcpv4Query<'_>,
    extra: &Dhcpv4Option,
) {
    let Dhcpv4Place::Option(code) = extra.place else {
        return;
    };
    let anyway = matches!(code, option::MTU | option::BROADCAST_ADDRESS);
    let chosen = given(service, query, extra.place);
    if chosen.is_some_and(|chosen| std::ptr::eq(chosen, extra))
        && !extra.is_suppressing()
        && (anyway || query.requested.contains(code))
    {
        options.put(code, &extra.value);
    }
}

/// The port's option for a place. Of those for this client, the one with the most tags wins, then the first.
fn given<'a>(
    service: &'a Dhcpv4Service,
    query: &Dhcpv4Query<'_>,
    place: Dhcpv4Place,
) -> Option<&'a Dhcpv4Option> {
    let of_place = service.extra.iter().filter(|option| option.place == place);
    let candidates = of_place.filter(|option| {
        let mut tags = option.tags.iter();
        tags.all(|tag| tag.holds(|client| query.is(client)))
    });
    candidates.rev().max_by_key(|option| option.tags.len())
}
