//! Domain names as DHCPv6 carries them: RFC 1035 §3.1 labels, never compressed (RFC 9915 §10).

/// Octets of a label (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;
/// Octets of a name, with its lengths and the root (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

/// The name has no wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Two dots in a row, or nothing at all.
    #[error("a label of the name is empty")]
    EmptyLabel,
    /// More than 63 octets.
    #[error("a label of the name is longer than 63 octets")]
    LongLabel,
    /// More than 255 octets in wire format.
    #[error("the name is longer than 255 octets")]
    LongName,
    /// Neither letter, digit, hyphen nor underscore.
    #[error("the name has a character that is neither letter, digit, hyphen nor underscore")]
    Character,
}

/// Whether a name can be sent; a final dot is allowed.
///
/// # Errors
/// What is wrong with it.
pub fn check(name: &str) -> Result<(), InvalidName> {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.split('.').try_for_each(check_label)?;
    // Each label's length octet stands where its dot was, the first one's and the root's are extra.
    if name.len() + 2 > MAX_NAME {
        return Err(InvalidName::LongName);
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), InvalidName> {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    match label.len() {
        0 => Err(InvalidName::EmptyLabel),
        1..=MAX_LABEL if label.bytes().all(allowed) => Ok(()),
        1..=MAX_LABEL => Err(InvalidName::Character),
        _ => Err(InvalidName::LongLabel),
    }
}

/// Appends a name in wire format.
///
/// # Errors
/// What is wrong with it; then nothing is appended.
pub fn put(out: &mut Vec<u8>, name: &str) -> Result<(), InvalidName> {
    check(name)?;
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        out.push(label.len() as u8);
        out.extend(label.bytes());
    }
    out.push(0);
    Ok(())
}

/// Takes one name off the front: its text without the final dot, and what follows it.
///
/// # Errors
/// Why it is none; a compression pointer is an error too.
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

    fn wire(name: &str) -> Result<Vec<u8>, InvalidName> {
        let mut out = Vec::new();
        put(&mut out, name).map(|()| out)
    }

    #[test]
    fn a_name_is_labels_and_the_root() {
        assert_eq!(wire("example.org").unwrap(), b"\x07example\x03org\0");
        assert_eq!(wire("example.org."), wire("example.org"));
    }

    #[test]
    fn what_has_no_wire_format_is_refused() {
        let long = "a".repeat(64);
        let longest = [
            "a".repeat(63),
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(61),
        ]
        .join(".");
        assert_eq!(wire(""), Err(InvalidName::EmptyLabel));
        assert_eq!(wire("."), Err(InvalidName::EmptyLabel));
        assert_eq!(wire("a..b"), Err(InvalidName::EmptyLabel));
        assert_eq!(wire(&long), Err(InvalidName::LongLabel));
        assert_eq!(wire("b\u{fc}cher.example"), Err(InvalidName::Character));
        assert_eq!(wire("a b"), Err(InvalidName::Character));
        assert_eq!(wire(&longest).unwrap().len(), 255);
        assert_eq!(wire(&format!("{longest}d")), Err(InvalidName::LongName));
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
