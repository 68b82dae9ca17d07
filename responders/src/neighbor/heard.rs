//! What a frame shows of a neighbour, if the message is valid (RFC 4861 §7.1).

use super::{NEIGHBOR_ADVERTISEMENT, NEIGHBOR_SOLICITATION, arp};
use crate::answer::Malformed;
use crate::frame::{ETHERNET_LEN, Icmpv6Message, Ipv6Packet, Refusal, ethernet};
use crate::ndp::{self, NdOptions, SOURCE_AT};
use crate::ra::{HeardAdvertisement, ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION};
use sextant_model::MacAddr;
use std::net::{IpAddr, Ipv6Addr};

/// The offset of the IPv6 destination in the frame.
const DESTINATION_AT: usize = ETHERNET_LEN + 24;

/// What a frame shows of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardNeighbor {
    /// The neighbor.
    pub address: IpAddr,
    /// Its MAC, if the frame contains it.
    pub mac: Option<MacAddr>,
    /// The receiver: the IPv6 destination, or the target of an ARP message.
    pub to: IpAddr,
    /// The kind of claim.
    pub claim: HeardClaim,
}

/// The kind of claim about a neighbour's MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeardClaim {
    /// A Neighbor Advertisement, or an ARP reply. A reply counts as solicited and overriding.
    Advertised {
        /// S: it answers a solicitation, so that the neighbor is reachable.
        solicited: bool,
        /// O: its MAC replaces a known one.
        overrides: bool,
        /// R: the neighbour is a router. ARP does not show this.
        router: Option<bool>,
    },
    /// The sender of a Router or Neighbor Solicitation, of a Router Advertisement or of an ARP request.
    Mentioned {
        /// Whether the sender is a router, if the message shows it.
        router: Option<bool>,
    },
}

impl HeardNeighbor {
    /// Reads an Ethernet frame without a VLAN tag. One frame may be handed to the caches of all gateway ports of a
    /// link.
    ///
    /// # Errors
    /// Ignored: neither Neighbor Discovery nor ARP, or it says nothing of a neighbor. Malformed: what RFC 4861 (§6.1,
    /// §7.1) has receivers discard.
    pub fn parse(frame: &[u8]) -> Result<Self, Refusal> {
        let (_, _, ethertype) = ethernet(frame)?;
        if ethertype == arp::ETHERTYPE {
            return arp::read(frame);
        }
        let packet = Ipv6Packet::parse(frame)?;
        let message = Icmpv6Message::parse(&packet)?;
        match message.kind {
            NEIGHBOR_ADVERTISEMENT => Ok(advertisement(&packet, &message)?),
            NEIGHBOR_SOLICITATION => neighbor_solicitation(&packet, &message),
            ROUTER_SOLICITATION => router_solicitation(&packet, &message),
            ROUTER_ADVERTISEMENT => {
                let heard = HeardAdvertisement::read(&packet, &message)?;
                Ok(mentioned(&packet, heard.mac, Some(true)))
            }
            _ => Err(Refusal::Ignored("no message about a neighbor")),
        }
    }
}

/// RFC 4861 §7.1.2.
fn advertisement(
    packet: &Ipv6Packet<'_>,
    message: &Icmpv6Message<'_>,
) -> Result<HeardNeighbor, Malformed> {
    let (fields, options) = ndp::validate::<20>(packet, message)?;
    let address = target(fields, message)?;
    let mac = link_layer(options, ndp::TARGET_LINK_LAYER)?;
    let solicited = fields[0] & 0x40 != 0;
    if solicited && packet.destination.is_multicast() {
        return Err(Malformed::new(message.offset, "solicited, and to a group"));
    }
    Ok(HeardNeighbor {
        address: address.into(),
        mac,
        to: packet.destination.into(),
        claim: HeardClaim::Advertised {
            solicited,
            overrides: fields[0] & 0x20 != 0,
            router: Some(fields[0] & 0x80 != 0),
        },
    })
}

/// RFC 4861 §7.1.1, §7.2.3.
fn neighbor_solicitation(
    packet: &Ipv6Packet<'_>,
    message: &Icmpv6Message<'_>,
) -> Result<HeardNeighbor, Refusal> {
    let (fields, options) = ndp::validate::<20>(packet, message)?;
    let target = target(fields, message)?;
    let mac = link_layer(options, ndp::SOURCE_LINK_LAYER)?;
    if packet.source.is_unspecified() && packet.destination != sextant_model::solicited_node(target)
    {
        let reason = "from no address, and not to the solicited-node group";
        return Err(Malformed::new(DESTINATION_AT, reason).into());
    }
    of_sender(packet, mac, None)
}

/// RFC 4861 §6.1.1, §6.2.6: a sender of Router Solicitations is not a router.
fn router_solicitation(
    packet: &Ipv6Packet<'_>,
    message: &Icmpv6Message<'_>,
) -> Result<HeardNeighbor, Refusal> {
    let (_reserved, options) = ndp::validate::<4>(packet, message)?;
    let mac = link_layer(options, ndp::SOURCE_LINK_LAYER)?;
    of_sender(packet, mac, Some(false))
}

/// A solicitation shows its sender only if it contains the sender's address and MAC.
fn of_sender(
    packet: &Ipv6Packet<'_>,
    mac: Option<MacAddr>,
    router: Option<bool>,
) -> Result<HeardNeighbor, Refusal> {
    match (packet.source.is_unspecified(), mac) {
        (_, _) if packet.source.is_multicast() => {
            Err(Malformed::new(SOURCE_AT, "multicast source").into())
        }
        (true, Some(_)) => {
            let reason = "source link-layer address of a sender without address";
            Err(Malformed::new(SOURCE_AT, reason).into())
        }
        (true, None) => Err(Refusal::Ignored("sender without address")),
        (false, None) => Err(Refusal::Ignored("sender does not say its MAC")),
        (false, Some(_)) => Ok(mentioned(packet, mac, router)),
    }
}

fn mentioned(packet: &Ipv6Packet<'_>, mac: Option<MacAddr>, router: Option<bool>) -> HeardNeighbor {
    HeardNeighbor {
        address: packet.source.into(),
        mac,
        to: packet.destination.into(),
        claim: HeardClaim::Mentioned { router },
    }
}

/// The target, behind flags or a reserved field of four octets.
fn target(fields: &[u8; 20], message: &Icmpv6Message<'_>) -> Result<Ipv6Addr, Malformed> {
    let [_, _, _, _, octets @ ..] = *fields;
    let target = Ipv6Addr::from(octets);
    match target.is_multicast() {
        true => Err(Malformed::new(message.offset + 4, "target is a group")),
        false => Ok(target),
    }
}

/// The MAC in the last option of this kind. All options are read, since a malformed one makes the message invalid.
fn link_layer(mut options: NdOptions<'_>, kind: u8) -> Result<Option<MacAddr>, Malformed> {
    let mut mac = None;
    loop {
        let offset = options.offset();
        match options.next().transpose()? {
            None => return Ok(mac),
            Some(option) if option.kind == kind => {
                mac = Some(
                    option
                        .mac()
                        .map_err(|reason| Malformed::new(offset, reason))?,
                );
            }
            Some(_) => {}
        }
    }
}
