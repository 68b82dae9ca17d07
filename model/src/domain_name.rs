//! Domain names that can be sent.

use std::fmt;
use std::str::FromStr;

/// The most octets of a label (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;
/// The most octets of a name on the wire, with its lengths and the root (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

/// A domain name whose labels have a wire format (RFC 1035 §3.1). Labels have letters, digits, hyphens and underscores.
/// It is stored without the final dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

/// The text is not a domain name that can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDomainName {
    /// Two dots in a row, or no text.
    #[error("a label of the domain name is empty")]
    EmptyLabel,
    /// More than 63 octets.
    #[error("a label of the domain name is longer than 63 octets")]
    LongLabel,
    /// More than 255 octets on the wire.
    #[error("the domain name is longer than 255 octets")]
    LongName,
    /// A character other than letters, digits, hyphens and underscores.
    #[error("the domain name has a character that is neither letter, digit, hyphen nor underscore")]
    Character,
}

impl DomainName {
    /// The name, without the final dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name within a domain: `host` within `example.org` is `host.example.org`. `None` if that is too long.
    #[must_use]
    pub fn within(&self, domain: &Self) -> Option<Self> {
        format!("{self}.{domain}").parse().ok()
    }

    /// Checks that a text is a name that can be sent. A final dot is allowed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(text: &str) -> Result<(), InvalidDomainName> {
        let name = text.strip_suffix('.').unwrap_or(text);
        name.split('.').try_for_each(check_label)?;
        // Each label's length octet replaces a dot. The first label's and the root's are extra.
        if name.len() + 2 > MAX_NAME {
            return Err(InvalidDomainName::LongName);
        }
        Ok(())
    }
}

fn check_label(label: &str) -> Result<(), InvalidDomainName> {
    match label.len() {
        0 => Err(InvalidDomainName::EmptyLabel),
        1..=MAX_LABEL if label.bytes().all(is_allowed) => Ok(()),
        1..=MAX_LABEL => Err(InvalidDomainName::Character),
        _ => Err(InvalidDomainName::LongLabel),
    }
}

fn is_allowed(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_'
}

impl FromStr for DomainName {
    type Err = InvalidDomainName;

    fn from_str(text: &str) -> Result<Self, InvalidDomainName> {
        Self::check(text)?;
        Ok(Self(text.strip_suffix('.').unwrap_or(text).to_owned()))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let longest =
            ["a", "b", "c"].map(|label| label.repeat(63)).join(".") + "." + &"d".repeat(61);
        let check = DomainName::check;
        assert_eq!(check(""), Err(InvalidDomainName::EmptyLabel));
        assert_eq!(check("."), Err(InvalidDomainName::EmptyLabel));
        assert_eq!(check("a..b"), Err(InvalidDomainName::EmptyLabel));
        assert_eq!(check(&"a".repeat(64)), Err(InvalidDomainName::LongLabel));
        assert_eq!(
            check("b\u{fc}cher.example"),
            Err(InvalidDomainName::Character)
        );
        assert_eq!(check("a b"), Err(InvalidDomainName::Character));
        assert_eq!(check(&longest), Ok(()));
        assert_eq!(
            check(&format!("{longest}d")),
            Err(InvalidDomainName::LongName)
        );
    }

    #[test]
    fn the_final_dot_is_understood() {
        let name: DomainName = "example.org.".parse().unwrap();
        assert_eq!(name.as_str(), "example.org");
    }
}
