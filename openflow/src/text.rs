//! The syntax of `ovs-ofctl`, as its version 3.1 prints it: logs, tests and `ovs-ofctl dump-flows` read the same.
//!
//! [`crate::multipart::FlowStats`] prints as `ovs-ofctl -O OpenFlow13 --no-stats dump-flows` does (with `{:#}`, statistics and all);
//! [`crate::FlowMod`] in a form that `ovs-ofctl add-flow` takes, and always with its table; [`crate::GroupMod`] and [`crate::MeterMod`] as
//! `add-group` and `add-meter` take them; and every message, with [`crate::Message::print`], as `ovs-ofctl ofp-print` does. What has no name in OpenFlow 1.3's text,
//! such as an unknown action, prints as its bytes. A [`crate::Match`] is read as well (`FromStr`).

mod actions;
mod flows;
mod groups;
mod matches;
mod messages;
mod packets;
mod parse;
mod ports;
mod raw;
mod replies;
mod values;

pub use messages::Printed;
pub use parse::ParseMatchError;
pub(crate) use ports::Bits;
