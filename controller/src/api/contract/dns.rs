//! Names of guests (`dns_name`, `dns_assignment`): what a guest is called, in DHCP and by whoever fills a DNS from here.

use crate::api::contract::error::ApiError;
use crate::api::contract::python;
use crate::api::contract::values::{self, Invalid};
use serde_json::{Value, json};
use sextant_model::{Port, in_domain};
use std::net::IpAddr;

/// The longest name, in characters (RFC 1035 §2.3.4).
const LONGEST: usize = 255;
/// The longest domain that has room for a name within it, in characters.
const LONGEST_DOMAIN: usize = LONGEST - 2;
/// The longest label, in characters.
const LONGEST_LABEL: usize = 63;
const LABELS: &str = "labels have 1 to 63 letters, digits and hyphens, no hyphen first or last, and the last is no number";

/// A host's name, in lower case, partly or, with a dot at its end, fully qualified (RFC 1123 §2.1); null for none.
pub(crate) fn name(value: &Value) -> Result<String, Invalid> {
    let name = values::or_null(values::text(LONGEST))(value)?
        .unwrap_or_default()
        .to_lowercase();
    let labels = name.strip_suffix('.').unwrap_or(&name);
    if name.is_empty() || are_labels(labels) {
        return Ok(name);
    }
    let text = python::text(value);
    Err(Invalid::Reason(format!(
        "'{text}' not a valid PQDN or FQDN: {LABELS}"
    )))
}

/// A domain, fully qualified, so with a dot at its end, in lower case; null for none.
pub(crate) fn domain(value: &Value) -> Result<String, Invalid> {
    let domain = values::or_null(values::text(LONGEST))(value)?
        .unwrap_or_default()
        .to_lowercase();
    let Some(labels) = domain.strip_suffix('.') else {
        return match domain.is_empty() {
            true => Ok(domain),
            false => Err(Invalid::Reason(format!("'{domain}' is not a FQDN"))),
        };
    };
    if domain.len() > LONGEST_DOMAIN {
        return Err(Invalid::Reason(format!(
            "'{domain}' leaves no room for a name within it: it has more than {LONGEST_DOMAIN} characters"
        )));
    }
    match are_labels(labels) {
        true => Ok(domain),
        false => Err(Invalid::Reason(format!(
            "'{domain}' not a valid FQDN: {LABELS}"
        ))),
    }
}

/// Refuses a name that has no place in the configured domain: a full one of another domain, or one that is too long with it.
pub(crate) fn refuse_misfit(name: &str, configured: &str) -> Result<(), ApiError> {
    let domain = configured.trim_end_matches('.').to_lowercase();
    let full = in_domain(name, &domain);
    let within = match domain.is_empty() {
        true => true,
        false => full.ends_with(&format!(".{domain}.")),
    };
    let why = if name.is_empty() {
        return Ok(());
    } else if !within {
        format!("'{name}' is a full name, but not within the domain '{domain}.' (dns_domain)")
    } else if full.len() > LONGEST {
        format!("'{full}', with dns_domain, has more than {LONGEST} characters")
    } else {
        return Ok(());
    };
    Err(Invalid::Reason(why).of("dns_name"))
}

/// Whether these are labels, of which the last is more than a number (RFC 1123 §2.1).
fn are_labels(labels: &str) -> bool {
    let last = labels.rsplit_once('.');
    labels.split('.').all(is_label) && !last.is_some_and(|(_, last)| is_number(last))
}

fn is_number(label: &str) -> bool {
    label.bytes().all(|letter| letter.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    (1..=LONGEST_LABEL).contains(&label.len())
        && label
            .bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// The name of each address: the guest's, or one that follows from the address.
pub(crate) fn assignment(port: &Port, domain: &str) -> Vec<Value> {
    let addresses = port.fixed_ips.iter().map(|fixed| fixed.ip_address);
    addresses
        .map(|address| {
            let hostname = hostname(port, address);
            let full_name = in_domain(&hostname, domain);
            json!({"ip_address": address, "hostname": hostname, "fqdn": full_name})
        })
        .collect()
}

fn hostname(port: &Port, address: IpAddr) -> String {
    match port.dns_name.as_str() {
        "" => format!("host-{}", address.to_string().replace(['.', ':'], "-")),
        name => name.to_owned(),
    }
}
