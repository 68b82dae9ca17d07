//! The `tag:` prefixes of an option's name: which clients the option of a port is for.
//!
//! Neutron's users write `tag:!ipxe,bootfile-name` beside `tag:ipxe,bootfile-name`, and dnsmasq's configuration says
//! which client has which tag. Here the tags are fixed. `ipxe` (or `ipxe6`) is a client whose user class is iPXE.
//! `arch-N` is a client of processor architecture N, as IANA numbers them (RFC 4578 §2.1, RFC 5970 §3.3). `arch-0` is a
//! BIOS, `arch-7` 64-bit UEFI, `arch-11` 64-bit ARM UEFI, `arch-16` 64-bit UEFI that boots over HTTP. `!` negates a
//! tag.

use std::fmt;

/// A property of a client that a tag may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTrait {
    /// iPXE, by its user class.
    Ipxe,
    /// A processor architecture.
    Architecture(u16),
}

/// One condition on a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhcpTag {
    /// The client must have this property.
    Is(ClientTrait),
    /// The client must not have this property.
    IsNot(ClientTrait),
}

/// The text is not a known tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no tag: they are ipxe and arch-N, N from 0 to 65535, with or without ! before")]
pub struct UnknownTag(pub String);

impl DhcpTag {
    /// Splits the `tag:T,` prefixes from an option's name.
    ///
    /// # Errors
    /// One of them is not known.
    pub fn split(name: &str) -> Result<(Vec<Self>, &str), UnknownTag> {
        let (mut tags, mut rest) = (Vec::new(), name);
        while let Some((tag, tail)) = rest.strip_prefix("tag:").and_then(|t| t.split_once(',')) {
            tags.push(Self::parse(tag)?);
            rest = tail;
        }
        Ok((tags, rest))
    }

    fn parse(text: &str) -> Result<Self, UnknownTag> {
        match text.strip_prefix('!') {
            Some(text) => client_trait(text).map(Self::IsNot),
            None => client_trait(text).map(Self::Is),
        }
        .ok_or_else(|| UnknownTag(text.to_owned()))
    }

    /// Whether the condition holds for a client with these properties.
    pub fn holds(self, is: impl Fn(ClientTrait) -> bool) -> bool {
        match self {
            Self::Is(wanted) => is(wanted),
            Self::IsNot(unwanted) => !is(unwanted),
        }
    }
}

fn client_trait(text: &str) -> Option<ClientTrait> {
    match text {
        "ipxe" | "ipxe6" => Some(ClientTrait::Ipxe),
        _ => text
            .strip_prefix("arch-")
            .filter(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
            .and_then(|number| number.parse().ok())
            .map(ClientTrait::Architecture),
    }
}

impl fmt::Display for DhcpTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (not, of) = match self {
            Self::Is(of) => ("", of),
            Self::IsNot(of) => ("!", of),
        };
        match of {
            ClientTrait::Ipxe => write!(f, "{not}ipxe"),
            ClientTrait::Architecture(number) => write!(f, "{not}arch-{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClientTrait::{Architecture, Ipxe};

    #[test]
    fn tags_are_split_off_a_name() {
        assert_eq!(DhcpTag::split("59"), Ok((vec![], "59")));
        assert_eq!(
            DhcpTag::split("tag:!ipxe6,tag:arch-7,option6:59"),
            Ok((
                vec![DhcpTag::IsNot(Ipxe), DhcpTag::Is(Architecture(7))],
                "option6:59"
            ))
        );
        for unknown in ["efi", "arch-", "arch-70000", "arch-+1", "!!ipxe"] {
            assert_eq!(
                DhcpTag::split(&format!("tag:{unknown},59")),
                Err(UnknownTag(unknown.to_owned()))
            );
        }
    }

    #[test]
    fn a_tag_holds_for_the_clients_that_it_names() {
        let is = |client| client == Architecture(7);
        for (tag, holds) in [("arch-7", true), ("!arch-7", false), ("!ipxe", true)] {
            let (tags, _) = DhcpTag::split(&format!("tag:{tag},59"))
                .map_err(drop)
                .unwrap_or_default();
            assert_eq!(tags[0].holds(is), holds, "{tag}");
            assert_eq!(tags[0].to_string(), tag);
        }
    }
}
