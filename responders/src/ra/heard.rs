//! What another router advertises, as far as a router that sends packets to it needs (RFC 4861 §6.1.2, §6.3.4).

use super::ROUTER_ADVERTISEMENT;
use crate::answer::Malformed;
use crate::frame::{Icmpv6Message, Ipv6Packet, Refusal};
use crate::ndp::{self, NdOption, SOURCE_AT};
use sextant_model::{MacAddr, RouterPreference, is_link_local};
use std::net::Ipv6Addr;
use std::time::Duration;

/// No IPv6 link has a lower MTU, in octets (RFC 8200 §5).
const MINIMUM_MTU: u32 = 1280;

/// A valid Router Advertisement of another router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardAdvertisement {
    /// The router's link-local address.
    pub source: Ipv6Addr,
    /// For how long it is a default router, in whole seconds. Zero: it is not a default router.
    pub lifetime: Duration,
    /// Its preference among default routers (RFC 4191 §2.2).
    pub preference: RouterPreference,
    /// Its MAC, if the advertisement contains it.
    pub mac: Option<MacAddr>,
    /// MTU of the link in octets, if it advertises a valid one.
    pub mtu: Option<u32>,
    /// For how long neighbours are reachable after a confirmation, if it advertises that.
    pub reachable_time: Option<Duration>,
    /// The time between Neighbor Solicitations, if it advertises that.
    pub retransmission_timer: Option<Duration>,
}

impl HeardAdvertisement {
    /// Reads the Ethernet frame of an advertisement, without a VLAN tag.
    ///
    /// # Errors
    /// Ignored: another message. Malformed: what RFC 4861 §6.1.2 has receivers discard.
    pub fn parse(frame: &[u8]) -> Result<Self, Refusal> {
        let packet = Ipv6Packet::parse(frame)?;
        let message = Icmpv6Message::parse(&packet)?;
        if message.kind != ROUTER_ADVERTISEMENT {
            return Err(Refusal::Ignored("not a router advertisement"));
        }
        Ok(Self::read(&packet, &message)?)
    }

    pub(crate) fn read(
        packet: &Ipv6Packet<'_>,
        message: &Icmpv6Message<'_>,
    ) -> Result<Self, Malformed> {
        let (fields, mut options) = ndp::validate::<12>(packet, message)?;
        if !is_link_local(packet.source) {
            return Err(Malformed {
                offset: SOURCE_AT,
                reason: "source is not link-local",
            });
        }
        let mut heard = Self::of_fields(packet.source, fields);
        loop {
            let offset = options.offset();
            let Some(option) = options.next() else {
                return Ok(heard);
            };
            heard
                .take(option?)
                .map_err(|reason| Malformed { offset, reason })?;
        }
    }

    fn of_fields(source: Ipv6Addr, fields: &[u8; 12]) -> Self {
        let [_hop_limit, flags, high, low, timers @ ..] = *fields;
        let [a, b, c, d, e, f, g, h] = timers;
        let lifetime = u16::from_be_bytes([high, low]);
        let preference = match lifetime {
            0 => RouterPreference::Medium,
            _ => preference(flags),
        };
        Self {
            source,
            lifetime: Duration::from_secs(lifetime.into()),
            preference,
            mac: None,
            mtu: None,
            reachable_time: milliseconds([a, b, c, d]),
            retransmission_timer: milliseconds([e, f, g, h]),
        }
    }

    fn take(&mut self, option: NdOption<'_>) -> Result<(), &'static str> {
        match option.kind {
            ndp::SOURCE_LINK_LAYER => self.mac = Some(option.mac()?),
            ndp::MTU => {
                let [_, _, mtu @ ..] = <[u8; 6]>::try_from(option.value)
                    .map_err(|_| "MTU option is not 8 octets long")?;
                self.mtu = Some(u32::from_be_bytes(mtu)).filter(|mtu| *mtu >= MINIMUM_MTU);
            }
            _ => {}
        }
        Ok(())
    }
}

/// RFC 4191 §2.2: the reserved value counts as medium. So does any value if the lifetime is zero.
fn preference(flags: u8) -> RouterPreference {
    match flags >> 3 & 0b11 {
        0b01 => RouterPreference::High,
        0b11 => RouterPreference::Low,
        _ => RouterPreference::Medium,
    }
}

/// Zero: not specified by this router.
fn milliseconds(field: [u8; 4]) -> Option<Duration> {
    let milliseconds = u32::from_be_bytes(field);
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds.into()))
}
