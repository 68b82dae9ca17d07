//! Next hops on external networks: their MACs, and whether they answer.
//!
//! [`NeighborCache`] is Neighbor Unreachability Detection (RFC 4861 §7.2, §7.3 and appendix C) for the next hops of one
//! gateway port. It asks by Neighbor Discovery for IPv6 and by ARP (RFC 826) for IPv4. [`HeardNeighbor`] is what a frame shows of
//! a neighbour. [`solicit()`] asks for one. [`announce()`] says that an address is here now. `answer` answers others.
//!
//! The packets to next hops pass switches and are not seen here. So no upper layer confirms that a next hop answers,
//! and no packet triggers a question: every next hop that is wanted counts as in use. So there is no state DELAY, which
//! waits for such a confirmation. A next hop is asked again when its ReachableTime is over, not when the next packet is
//! for it. Nothing is sent to a next hop that is not wanted, so it has no entry.

mod announce;
mod answer;
mod arp;
mod cache;
mod heard;
mod solicit;
mod state;
mod target;
mod timing;

pub use announce::{announce, gratuitous_arp, unsolicited_advertisement};
pub(crate) use answer::answer;
pub use answer::wanted;
pub use cache::NeighborCache;
pub use heard::{HeardClaim, HeardNeighbor};
pub use solicit::{Solicited, solicit};
pub use state::{Change, Neighbor, NeighborState};
pub use target::{Ends, Target};
pub use timing::Timing;

const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const BROADCAST: sextant_model::MacAddr = sextant_model::MacAddr([0xff; 6]);
