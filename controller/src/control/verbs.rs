//! The verbs. Each is a file that implements [`Verb`], and a row of the table below.

pub mod events;
pub mod facts;
pub mod finding;
pub mod flows;
pub mod neighbors;
mod ports;
pub mod status;
pub mod trace;
pub mod why;

use super::client::{self, Ask};
use super::protocol::AnswerLine;
use super::{ClientError, OperatorView, Verb, VerbError};
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use sextant_model::ChassisId;
use std::convert::Infallible;

macro_rules! verbs {
    ($($(#[doc = $help:literal])* $name:ident($verb:ty);)*) => {
        /// A request, as it passes over the socket.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Request {
            $($(#[doc = $help])* $name($verb),)*
        }

        /// The verbs as commands.
        #[derive(Clone, Debug, Subcommand)]
        pub enum Verbs {
            $($(#[doc = $help])* $name(Ask<$verb>),)*
        }

        impl Request {
            /// Computes the answer, one line a row.
            pub(super) fn answer(
                &self,
                known: &OperatorView,
                take: &dyn Fn(Vec<u8>) -> Result<(), VerbError>,
            ) -> Result<(), VerbError> {
                match self {
                    $(Self::$name(verb) => {
                        verb.answer(known, &mut |row| take(AnswerLine::Row(row).encode()))
                    })*
                }
            }
        }

        impl Verbs {
            /// Asks a running Sextant, and prints its answer.
            ///
            /// # Errors
            /// [`ClientError`] says why there is no answer.
            pub fn run(self, json: bool, print: &mut dyn FnMut(&str)) -> Result<(), ClientError> {
                match self {
                    $(Self::$name(Ask { verb, socket }) => {
                        let request = Request::$name(verb.clone());
                        client::run(&verb, &request, socket, json, print)
                    })*
                }
            }
        }
    };
}

verbs! {
    /// Show the neighbors of routers on external networks, as a running Sextant knows them.
    Neighbors(neighbors::NeighborsVerb);
    /// Show what is known of hypervisors, ports' places, gateways, tunnels and addresses, and which flows switches
    /// refuse.
    Facts(facts::FactsVerb);
    /// Show the flows that hypervisors should have, as ovs-ofctl writes them, and the object that wants each.
    Flows(flows::FlowsVerb);
    /// Show the cloud on one screen, what is wrong first.
    Status(status::StatusVerb);
    /// Say why a port's guest has no address, or does not reach others, and what to do.
    Why(why::WhyVerb);
    /// Show what happened at a port lately.
    Events(events::EventsVerb);
    /// Show which flows a packet meets, table by table, and where it goes.
    Trace(trace::TraceVerb);
}

/// Parses a hypervisor's name. Only the running process knows which names exist.
#[allow(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn chassis_id(text: &str) -> Result<ChassisId, Infallible> {
    Ok(ChassisId::new(text))
}
