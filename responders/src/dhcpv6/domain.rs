//! Domain names in DHCPv6: labels of RFC 1035 §3.1, never compressed (RFC 9915 §10).

use sextant_model::{DomainName, InvalidDomainName};

/// The most octets of a label (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;
/// The most octets of a name, with its lengths and the root (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

/// Appends a text as a name in wire format.
///
/// # Errors
/// What is wrong with it; then nothing is appended.
pub fn put_text(out: &mut Vec<u8>, name: &str) -> Result<(), InvalidDomainName> {
    DomainName::check(name)?;
    put_labels(out, name.strip_suffix('.').unwrap_or(name));
    Ok(())
}

/// Appends a name in wire format.
pub fn put(out: &mut Vec<u8>, name: &DomainName) {
    put_labels(out, name.as_str());
}

fn put_labels(out: &mut Vec<u8>, name: &str) {
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
}

/// Reads a name from the front. Returns its text without the final dot, and the rest.
///
/// # Errors
/// Why it is not a name. A compression pointer is an error, too.
pub fn take(bytes: &[u8]) -> Result<(String, &[u8]), &'static str> {
    let mut name = String::new();
    let mut rest = bytes;
    loop {
        let (length, tail) = rest.split_first().ok_or("domain name cut short")?;
        if *length == 0 {
            return Ok((name, tail));
        }
        if usize::from(*length) > MAX_LABEL {
            return Err("compressed domain name");
        }
        let (label, tail) = tail
            .split_at_checked(usize::from(*length))
            .ok_or("domain name cut short")?;
        if bytes.len() - tail.len() >= MAX_NAME {
            return Err("domain name longer than 255 octets");
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(std::str::from_utf8(label).map_err(|_| "domain name is not text")?);
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wire(name: &str) -> Result<Vec<u8>, InvalidDomainName> {
        let mut out = Vec::new();
        put_text(&mut out, name).map(|()| out)
    }

    #[test]
    fn a_name_is_labels_and_the_root() {
        assert_eq!(wire("example.org").unwrap(), b"\x07example\x03org\0");
        assert_eq!(wire("example.org."), wire("example.org"));
        assert_eq!(wire("a..b"), Err(InvalidDomainName::EmptyLabel));
    }

    #[test]
    fn a_compressed_name_is_refused() {
        assert_eq!(take(b"\x03org\xc0\x00"), Err("compressed domain name"));
        assert_eq!(take(b"\x03or"), Err("domain name cut short"));
        assert_eq!(take(b"\x03org"), Err("domain name cut short"));
        assert_eq!(
            take(&b"\x01a".repeat(128)),
            Err("domain name longer than 255 octets")
        );
    }

    proptest! {
        #[test]
        fn taken_as_it_was_put(name in "[a-z0-9_-]{1,63}(\\.[a-z0-9_-]{1,20}){0,6}", rest: Vec<u8>) {
            let mut bytes = wire(&name).unwrap();
            bytes.extend(&rest);
            prop_assert_eq!(take(&bytes), Ok((name, &rest[..])));
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes: Vec<u8>) {
            if let Ok((_, rest)) = take(&bytes) {
                prop_assert!(bytes.ends_with(rest));
            }
        }
    }
}
