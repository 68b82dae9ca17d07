//! The names in a certificate, and its expiry.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The separator that `ovs-pki` puts between a name and its unique part.
const OVS_PKI_ID: &str = " id:";

/// The names of a certificate's holder: its common name and its DNS names (RFC 5280 §4.1.2.6, §4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Arc<BTreeSet<String>>);

impl Names {
    /// These names.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(str::to_owned);
        Self(Arc::new(names.collect()))
    }

    /// Whether this is one of the names.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether both sets of names may be one holder's, who has renewed its certificate. `ovs-pki` gives each
    /// certificate a name of its own, too.
    pub fn are_of_one_holder(&self, others: &Self) -> bool {
        self == others || !self.0.is_disjoint(&others.0)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        match names.is_empty() {
            true => f.write_str("nobody"),
            false => f.write_str(&names.join(", ")),
        }
    }
}

/// The relevant parts of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The holder's names.
    pub names: Names,
    /// Its expiry, in seconds since 1970.
    pub not_after: i64,
}

impl Certificate {
    /// Reads a certificate. `None` if it is not one.
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let common = certificate.subject().iter_common_name();
        let common = common.filter_map(|name| name.as_str().ok());
        let common = common.flat_map(|name| [Some(name), without_id(name)]);
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let alternative = alternative
            .iter()
            .flat_map(|names| &names.value.general_names);
        let alternative = alternative.filter_map(dns_name);
        let alternative = alternative.flat_map(|name| [Some(name), without_id(name)]);
        Some(Self {
            names: Names::of(common.chain(alternative).flatten()),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }
}

fn dns_name<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    if let GeneralName::DNSName(name) = name {
        Some(name)
    } else {
        None
    }
}

/// The name that `ovs-pki req+sign NAME` was given.
fn without_id(name: &str) -> Option<&str> {
    name.split_once(OVS_PKI_ID).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    #[test]
    fn a_renewed_certificate_is_of_the_same_holder() {
        let of = |names: [&str; 2]| Names::of(names);
        let old = of(["h1", "h1 id:1"]);
        assert!(old.are_of_one_holder(&of(["h1", "h1 id:2"])));
        assert!(!old.are_of_one_holder(&of(["h2", "h2 id:1"])));
        assert!(!old.are_of_one_holder(&Names::of([])));
        assert!(Names::of([]).are_of_one_holder(&Names::of([])));
    }

    #[test]
    fn a_holder_has_its_common_name_and_its_dns_names() {
        let alternative = vec!["h1.example".to_owned(), "192.0.2.1".to_owned()];
        let mut parameters = CertificateParams::new(alternative).unwrap();
        parameters.not_after = date_time_ymd(2030, 1, 1);
        let name = &mut parameters.distinguished_name;
        name.push(DnType::CommonName, "h1 id:6f7c1a52");
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let read = Certificate::read(certificate.der()).unwrap();
        assert_eq!(
            read.names,
            Names::of(["h1", "h1 id:6f7c1a52", "h1.example"])
        );
        assert_eq!(read.not_after, 1_893_456_000);
        assert_eq!(Certificate::read(&CertificateDer::from(vec![1, 2])), None);
    }
}
