//! Next hops on the networks outside: which MAC they have, and whether they answer.
//!
//! [`NeighborCache`] is Neighbor Unreachability Detection (RFC 4861 §7.2, §7.3 and appendix C) for the next hops of one
//! gateway port, IPv6 by Neighbor Discovery and IPv4 by ARP (RFC 826). [`Heard`] is what a frame says of a neighbor,
//! [`solicit()`] asks for one, [`announce()`] says that an address is here now. `answer` is for those who ask us.
//!
//! The packets to the next hops flow through switches and are not seen here. So there is no upper layer to confirm that
//! a next hop answers, and no packet to wait for: every next hop that is wanted counts as in use. That is why the state
//! DELAY is absent, which waits for such a confirmation, and why a next hop is asked again when its ReachableTime is
//! over, and not when the next packet is for it. And nothing is sent to a next hop that no one wants, so an entry that
//! is not wanted is none.

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
pub use heard::{Heard, HeardClaim};
pub use solicit::{Solicited, solicit};
pub use state::{Change, Neighbor, State};
pub use target::{Ends, Target};
pub use timing::Timing;

const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const BROADCAST: sextant_model::MacAddr = sextant_model::MacAddr([0xff; 6]);
