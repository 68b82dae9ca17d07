//! The domains that guests search: those of their port and network, then the configured one.
//!
//! Full names of guests are within the configured domain, as in `dns_assignment`. The others are where a service that reads
//! names from here publishes them.

use crate::view::View;
use sextant_model::{DomainName, Network, Port};

/// All domains that the guest of a port searches, each once.
pub(crate) fn searched(view: &View<'_>, network: &Network, port: &Port) -> Vec<DomainName> {
    let mut domains = named(network, port);
    if let Ok(configured) = view.intent.settings.dns_domain.parse()
        && !domains.contains(&configured)
    {
        domains.push(configured);
    }
    domains
}

/// The domains that the port and its network name.
pub(crate) fn named(network: &Network, port: &Port) -> Vec<DomainName> {
    let mut domains: Vec<DomainName> = port.dns_domain.parse().into_iter().collect();
    domains.extend(of_network(network).filter(|domain| !domains.contains(domain)));
    domains
}

/// The domain that a network names.
pub(crate) fn of_network(network: &Network) -> Option<DomainName> {
    network.dns_domain.parse().ok()
}
