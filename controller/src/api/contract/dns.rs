//! Names of guests (`dns_name`, `dns_assignment`): what a guest is called, in DHCP and by whoever fills a DNS from here.

use crate::api::contract::python;
use crate::api::contract::values::{self, Invalid};
use serde_json::{Value, json};
use sextant_model::{Port, in_domain};
use std::net::IpAddr;

/// The longest name, in characters (RFC 1035 §2.3.4).
const LONGEST: usize = 255;
/// The longest label, in characters.
const LONGEST_LABEL: usize = 63;

/// A host's name, in lower case, partly or, with a dot at its end, fully qualified (RFC 1123 §2.1); null for none.
pub(crate) fn name(value: &Value) -> Result<String, Invalid> {
    let name = values::or_null(values::text(LONGEST))(value)?
        .unwrap_or_default()
        .to_lowercase();
    let labels = name.strip_suffix('.').unwrap_or(&name);
    if name.is_empty() || labels.split('.').all(is_label) {
        return Ok(name);
    }
    let text = python::text(value);
    Err(Invalid::Reason(format!(
        "'{text}' not a valid PQDN or FQDN: labels have 1 to {LONGEST_LABEL} letters, digits and hyphens, no hyphen first or last"
    )))
}

/// A domain, fully qualified, so with a dot at its end; null for none.
pub(crate) fn domain(value: &Value) -> Result<String, Invalid> {
    let domain = values::or_null(values::text(LONGEST))(value)?.unwrap_or_default();
    let Some(labels) = domain.strip_suffix('.') else {
        return match domain.is_empty() {
            true => Ok(domain),
            false => Err(Invalid::Reason(format!("'{domain}' is not a FQDN"))),
        };
    };
    if labels.split('.').all(is_label) {
        return Ok(domain);
    }
    Err(Invalid::Reason(format!(
        "'{domain}' not a valid FQDN: labels have 1 to {LONGEST_LABEL} letters, digits and hyphens, no hyphen first or last"
    )))
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
