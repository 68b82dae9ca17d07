//! `sextant probe`: whether frames get from one hypervisor to another, without any guest's help.

use super::finding::{Finding, FindingState};
use super::named_port::port_named;
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::flow_counters::NoCounters;
use crate::probes::{Prober, SHORTEST, Volley};
use crate::snapshot::Snapshot;
use clap::Args;
use serde::{Deserialize, Serialize};
use sextant_flows::View;
use sextant_model::{ChassisId, Intent};
use std::time::Duration;

/// Options of `probe`.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeVerb {
    /// Where from: a port (its id, its name, one of its addresses, its MAC), or a hypervisor (its system-id).
    #[arg(value_name = "FROM")]
    pub from: String,
    /// Where to: another port or hypervisor.
    #[arg(value_name = "TO")]
    pub to: String,
    /// How many frames each way.
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    #[serde(default = "ten")]
    pub count: u16,
}

fn ten() -> u16 {
    10
}

/// One way between two hypervisors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbedWay {
    /// Who sends.
    pub from: ChassisId,
    /// To whom.
    pub to: ChassisId,
    /// How many frames were sent.
    pub sent: u16,
    /// How many arrived.
    pub arrived: usize,
    /// The middle of the times that they took, through Sextant and both switches, in milliseconds.
    pub median_ms: Option<f64>,
    /// The longest IP packet of guests, in octets, that guests are told to send.
    pub mtu: u16,
    /// The longest that gets through, up to `mtu`.
    pub longest: Option<u16>,
    /// What it comes to.
    pub finding: Finding,
}

impl Verb for ProbeVerb {
    type Row = ProbedWay;

    fn answer(&self, known: &OperatorView, give: Give<'_, ProbedWay>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        let from = self.chassis(&snapshot, &self.from)?;
        let to = self.chassis(&snapshot, &self.to)?;
        if from == to {
            return Err(VerbError::Unfit(format!(
                "both are on hypervisor {from}, so there is no tunnel between them"
            )));
        }
        let asked = AskedProbe::Exact(self.count);
        give(probe(known, &snapshot, &from, &to, asked))?;
        give(probe(known, &snapshot, &to, &from, asked))
    }

    fn show(&self, rows: &[ProbedWay]) -> String {
        rows.iter().map(ProbedWay::text).collect()
    }
}

impl ProbeVerb {
    /// The hypervisor that is meant, or where the port is that is meant.
    fn chassis(&self, snapshot: &Snapshot, text: &str) -> Result<ChassisId, VerbError> {
        let id = ChassisId::new(text);
        if snapshot.facts.chassis().contains_key(&id) {
            return Ok(id);
        }
        let port = port_named(snapshot, text)?;
        let binding = snapshot.facts.binding(port.id);
        let binding = binding.ok_or_else(|| {
            VerbError::Unfit(format!(
                "port {} is plugged in nowhere: sextant why {}",
                port.id, port.id
            ))
        })?;
        Ok(binding.chassis.clone())
    }
}

/// How thoroughly to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control::verbs) enum AskedProbe {
    /// So many short frames; and how long they may be, which takes seconds where the longest do not pass.
    Exact(u16),
    /// Three short frames, and three of full length.
    Quick,
}

/// Probes one way.
pub(in crate::control::verbs) fn probe(
    known: &OperatorView,
    snapshot: &Snapshot,
    from: &ChassisId,
    to: &ChassisId,
    asked: AskedProbe,
) -> ProbedWay {
    let view = View::new(&snapshot.intent, &snapshot.facts, from);
    let mtu = mtu(&snapshot.intent, snapshot);
    // What arrives comes up to the controller that owns the receiver.
    if !known.counters.knows(to) {
        return ProbedWay::unprobed(from, to, mtu, unasked(to, NoCounters::NotConnected));
    }
    let Some(prober) = Prober::new(&known.probes, &known.counters, &view, to) else {
        return ProbedWay::unprobed(from, to, mtu, no_tunnel(from, to));
    };
    // Callers are threads beside the runtime, which has the clock.
    let runtime = tokio::runtime::Handle::current();
    let probed = runtime.block_on(async {
        let count = match asked {
            AskedProbe::Exact(count) => count,
            AskedProbe::Quick => 3,
        };
        let volley = prober.volley(count, SHORTEST).await?;
        let longest = match asked {
            _ if volley.took.is_empty() => None,
            AskedProbe::Exact(_) => prober.longest(mtu).await?,
            AskedProbe::Quick => prober.passes(mtu).await?.then_some(mtu),
        };
        Ok((volley, longest))
    });
    match probed {
        Ok((volley, longest)) => ProbedWay::of(from, to, &volley, mtu, longest),
        Err(error) => ProbedWay::unprobed(from, to, mtu, unasked(from, error)),
    }
}

/// What guests are told to send at most, where nothing else is asked for.
fn mtu(intent: &Intent, snapshot: &Snapshot) -> u16 {
    let overhead = snapshot.facts.tunnel_overhead();
    intent.settings.underlay_mtu.saturating_sub(overhead)
}

const CHECK: &str = "tunnel";

fn no_tunnel(from: &ChassisId, to: &ChassisId) -> Finding {
    Finding::bad(
        CHECK,
        format!("{from} has no tunnel to {to}."),
        "external_ids:sextant-encap-ip on both: one address of the same version; sextant facts hypervisors",
    )
}

fn unasked(chassis: &ChassisId, error: NoCounters) -> Finding {
    Finding::unclear(
        CHECK,
        format!("{chassis} takes no part in probes here: {error}."),
        "sextant hypervisors",
    )
}

/// What the frames of one way say.
fn judge(
    from: &ChassisId,
    to: &ChassisId,
    volley: &Volley,
    mtu: u16,
    longest: Option<u16>,
) -> Finding {
    let (sent, lost) = (volley.sent, volley.lost());
    if let Some(astray) = &volley.astray {
        return Finding::bad(
            CHECK,
            format!(
                "What {from} sends to {to} arrives at {astray}: both have the same tunnel endpoint."
            ),
            format!("external_ids:sextant-encap-ip on {to} and {astray}: each its own address"),
        );
    }
    if volley.took.is_empty() {
        return Finding::bad(
            CHECK,
            format!("None of {sent} frames from {from} arrives at {to}."),
            format!(
                "on {from}: ping the endpoint of {to}; is it the address of {to} itself (sextant facts hypervisors), and does a firewall let the tunnel's UDP port or GRE pass?"
            ),
        );
    }
    match longest {
        Some(longest) if longest < mtu => Finding::bad(
            CHECK,
            format!(
                "From {from} to {to}, packets of guests pass up to {longest} octets, but guests are told {mtu}: the underlay's MTU is smaller than tunnel.underlay_mtu says."
            ),
            format!(
                "raise the MTU of the underlay by {} octets, or lower tunnel.underlay_mtu as much",
                mtu - longest
            ),
        ),
        None => Finding::bad(
            CHECK,
            format!(
                "From {from} to {to} short packets pass, but none of {mtu} octets, which guests are told: the underlay's MTU is smaller than tunnel.underlay_mtu says."
            ),
            format!(
                "sextant probe {from} {to} says how long they may be: raise the underlay's MTU, or lower tunnel.underlay_mtu"
            ),
        ),
        Some(_) if lost > 0 => Finding::hint(
            CHECK,
            format!("{lost} of {sent} frames from {from} to {to} are lost."),
            format!("ethtool -S and ip -s link of the underlay's interfaces of {from} and {to}"),
        ),
        Some(_) => Finding::good(
            CHECK,
            format!("All {sent} frames from {from} arrive at {to}, also of {mtu} octets."),
        ),
    }
}

impl ProbedWay {
    fn of(
        from: &ChassisId,
        to: &ChassisId,
        volley: &Volley,
        mtu: u16,
        longest: Option<u16>,
    ) -> Self {
        let median = volley.took.get(volley.took.len() / 2);
        Self {
            from: from.clone(),
            to: to.clone(),
            sent: volley.sent,
            arrived: volley.took.len(),
            median_ms: median.map(Duration::as_secs_f64).map(|took| took * 1000.0),
            mtu,
            longest,
            finding: judge(from, to, volley, mtu, longest),
        }
    }

    fn unprobed(from: &ChassisId, to: &ChassisId, mtu: u16, finding: Finding) -> Self {
        Self {
            finding,
            ..Self::of(from, to, &Volley::default(), mtu, None)
        }
    }

    fn text(&self) -> String {
        let took = self
            .median_ms
            .map_or_else(String::new, |took| format!(" ({took:.1} ms)"));
        let advice = self.finding.advice.as_ref();
        let advice = advice.map_or_else(String::new, |advice| format!("   Do: {advice}\n"));
        let state = match self.finding.state {
            FindingState::Good => took,
            FindingState::Note | FindingState::Unclear | FindingState::Bad => String::new(),
        };
        let line = self.finding.show();
        format!("{}{state}\n{advice}", line.trim_end())
    }
}
