//! Status codes (RFC 9915 §21.13).

/// A status that this server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// Success.
    Success = 0,
    /// The server has no addresses to assign to the IA.
    NoAddrsAvail = 2,
    /// Client record (binding) unavailable.
    NoBinding = 3,
    /// The prefix of the address is not appropriate for the link to which the client is attached.
    NotOnLink = 4,
    /// The server has no prefixes to assign to the IA_PD.
    NoPrefixAvail = 6,
}

impl Status {
    /// The words for a person, as a client may log them.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Success => "",
            Self::NoAddrsAvail => "no address for this association",
            Self::NoBinding => "nothing leased to this association",
            Self::NotOnLink => "an address is not of this link",
            Self::NoPrefixAvail => "no prefix for this association",
        }
    }
}
