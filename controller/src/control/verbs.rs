//! What can be asked. A verb is a file beside, which implements [`Verb`], and a row of the table below.

pub mod facts;
pub mod flows;
pub mod neighbors;
pub mod trace;

use super::client::{self, Ask};
use super::protocol::AnswerLine;
use super::{ClientError, Known, Verb, VerbError};
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
            /// Computes the answer, a line a row.
            pub(super) fn answer(
                &self,
                known: &Known,
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
            /// Asks a Sextant that runs, and prints what it answers.
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
    /// Show what is known of hypervisors, ports' places, gateways, tunnels and addresses, and what switches refuse.
    Facts(facts::FactsVerb);
    /// Show the flows that hypervisors should have, as ovs-ofctl writes them, and the object that wants each.
    Flows(flows::FlowsVerb);
    /// Show which flows take a packet, table by table, and what becomes of it.
    Trace(trace::TraceVerb);
}

/// A hypervisor's name; which there are, the process knows.
#[allow(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn chassis_id(text: &str) -> Result<ChassisId, Infallible> {
    Ok(ChassisId::new(text))
}
