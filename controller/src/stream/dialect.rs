//! Reports peers that speak TLS to a listener without TLS, or the other way round. To each side the other's octets are
//! noise, and an error about noise helps nobody.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::{self, InvalidMessage};

/// The first octet of a TLS connection: a handshake record (RFC 8446 §5.1). OpenFlow, JSON and HTTP never begin like
/// this.
const TLS_HANDSHAKE: u8 = 22;
/// How long an address is not reported again, and for how many addresses this is remembered.
const SILENCE: Duration = Duration::from_secs(3600);
const MOST: usize = 4096;

/// The two sides speak different protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misunderstood {
    /// The listener uses TLS, the peer does not.
    #[error("the peer speaks plaintext, and this listener TLS")]
    Plaintext,
    /// The peer begins with a TLS handshake.
    #[error("the peer speaks TLS, and this listener plaintext")]
    Tls,
}

impl Misunderstood {
    /// Finds this cause in an error's chain.
    pub fn at_the_root_of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            let io = error.downcast_ref::<io::Error>();
            let inner = io.and_then(io::Error::get_ref);
            if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<Self>()) {
                return Some(*found);
            }
            next = error.source();
        }
        None
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Plaintext => {
                "let it connect by ssl: or https:, or take the listener's TLS out of the configuration"
            }
            Self::Tls => {
                "let it connect by tcp: or http:, or give the listener TLS ([tls], [hypervisor_tls])"
            }
        }
    }
}

impl From<Misunderstood> for io::Error {
    fn from(misunderstood: Misunderstood) -> Self {
        Self::new(io::ErrorKind::InvalidData, misunderstood)
    }
}

/// Finds the name of the hypervisor at an address.
pub type WhoIs = Arc<dyn Fn(IpAddr) -> Option<String> + Send + Sync>;

/// Reports for one listener: once an hour for each address.
#[derive(Clone, Default)]
pub struct Dialects {
    listener: &'static str,
    who_is: Option<WhoIs>,
    said: Arc<Mutex<BTreeMap<IpAddr, Instant>>>,
}

impl fmt::Debug for Dialects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialects").field(&self.listener).finish()
    }
}

impl Dialects {
    /// The reports of the listener with this name. `who_is` names hypervisors.
    pub fn new(listener: &'static str, who_is: Option<WhoIs>) -> Self {
        Self {
            listener,
            who_is,
            ..Self::default()
        }
    }

    /// Checks the first octets that a peer sent to a listener without TLS.
    ///
    /// # Errors
    /// They are the beginning of TLS.
    pub(super) fn hear(&self, octets: &[u8], peer: SocketAddr) -> io::Result<()> {
        if octets.first() != Some(&TLS_HANDSHAKE) {
            return Ok(());
        }
        self.say(Misunderstood::Tls, peer);
        Err(Misunderstood::Tls.into())
    }

    /// Why a handshake failed: because the peer did none, or for the reason in `error`.
    pub(crate) fn explain(&self, error: io::Error, peer: SocketAddr) -> io::Error {
        let cause = error.get_ref();
        let cause = cause.and_then(|cause| cause.downcast_ref::<rustls::Error>());
        let noise = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
        if cause != Some(&noise) {
            return error;
        }
        self.say(Misunderstood::Plaintext, peer);
        Misunderstood::Plaintext.into()
    }

    fn say(&self, what: Misunderstood, peer: SocketAddr) {
        if !self.is_news(peer.ip().to_canonical()) {
            return;
        }
        let chassis = self.who_is.as_ref();
        let chassis = chassis.and_then(|who_is| who_is(peer.ip().to_canonical()));
        let (listener, advice) = (self.listener, what.advice());
        tracing::warn!(listener, %peer, chassis, advice, "{what}");
    }

    fn is_news(&self, address: IpAddr) -> bool {
        let now = Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|_, at| now.duration_since(*at) < SILENCE);
        if said.contains_key(&address) || said.len() >= MOST {
            return false;
        }
        said.insert(address, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_of_once() {
        let dialects = Dialects::default();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let news = [1, 2, 1, 2].map(|last| dialects.is_news(address(last)));
        assert_eq!(news, [true, true, false, false]);
    }

    #[test]
    fn the_root_of_an_error_is_found_through_others() {
        #[derive(Debug, thiserror::Error)]
        #[error("lost: {0}")]
        struct Lost(#[from] io::Error);
        let lost = Lost(Misunderstood::Tls.into());
        let found = Misunderstood::at_the_root_of(&lost);
        assert_eq!(found, Some(Misunderstood::Tls));
        let lost = Lost(io::Error::other("cable"));
        assert_eq!(Misunderstood::at_the_root_of(&lost), None);
    }
}
