//! The verbs. Each is a file that implements [`Verb`], and a row of the table below.

pub mod backup;
pub mod capture;
mod connections;
pub mod drops;
pub mod events;
pub mod explain;
pub mod facts;
pub mod finding;
pub mod flows;
pub mod hypervisors;
pub mod metrics;
mod named_port;
pub mod neighbors;
pub mod networks;
pub mod plan;
pub mod ports;
pub mod prefixes;
pub mod probe;
pub mod routers;
pub mod search;
pub mod served;
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
use std::time::Duration;

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
            /// Whether the answer leaves everything as it is.
            #[must_use]
            pub fn only_reads(&self) -> bool {
                match self {
                    $(Self::$name(verb) => verb.only_reads(),)*
                }
            }

            /// How long the answer is meant to take at most, where it goes on until somebody ends it.
            pub(super) fn lasts(&self) -> Option<Duration> {
                match self {
                    $(Self::$name(verb) => verb.lasts(),)*
                }
            }

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
                    $(Self::$name(ask) => client::run(ask, Request::$name, json, print),)*
                }
            }
        }
    };
}

verbs! {
    /// Show the cloud on one screen, what is wrong first.
    Status(status::StatusVerb);
    /// Say why a port's guest has no address, or does not reach others, and what to do.
    Why(why::WhyVerb);
    /// Show what happened at a port lately.
    Events(events::EventsVerb);
    /// Show how many packets no flow of each table took, by hypervisor.
    Drops(drops::DropsVerb);
    /// Say whether frames get from one hypervisor to another and back, and how long they may be. No guest takes part.
    Probe(probe::ProbeVerb);
    /// Capture the frames that a port's guest sends and gets, as pcapng: for tcpdump and Wireshark.
    Capture(capture::CaptureVerb);
    /// Find what an id, a name, an address or a MAC means.
    Search(search::SearchVerb);
    /// Show each hypervisor on a line, with what is wrong of it.
    Hypervisors(hypervisors::HypervisorsVerb);
    /// Show each network on a line, with its subnets and how much of it there is.
    Networks(networks::NetworksVerb);
    /// Show each router on a line, with its networks and its way out.
    Routers(routers::RoutersVerb);
    /// Show each port on a line, with where it is and whether its flows are there.
    Ports(ports::PortsVerb);
    /// Show each subnet of prefix delegation on a line, with its prefix and how long it lasts.
    Prefixes(prefixes::PrefixesVerb);
    /// Show the neighbors of routers on external networks, as a running Sextant knows them.
    Neighbors(neighbors::NeighborsVerb);
    /// Show what is known of hypervisors, ports' places, gateways, tunnels and addresses, and which flows switches
    /// refuse.
    Facts(facts::FactsVerb);
    /// Show the metrics, as Prometheus reads them.
    Metrics(metrics::MetricsVerb);
    /// Show the flows that hypervisors should have, as ovs-ofctl writes them, and the object that wants each.
    Flows(flows::FlowsVerb);
    /// Say which object a flow serves, what it does, and how many packets it took.
    Explain(explain::ExplainVerb);
    /// Show how the flows of switches differ from those that they should have: what Sextant would change.
    Plan(plan::PlanVerb);
    /// Show which flows a packet meets, table by table, and where it goes.
    Trace(trace::TraceVerb);
    /// Write everything that is stored to a file, while Sextant runs, and read it back. `sextant store copy --from FILE` restores it.
    Backup(backup::BackupVerb);
}

/// Parses a hypervisor's name. Only the running process knows which names exist.
#[allow(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn chassis_id(text: &str) -> Result<ChassisId, Infallible> {
    Ok(ChassisId::new(text))
}
