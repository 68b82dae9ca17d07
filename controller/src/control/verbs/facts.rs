//! `sextant facts`: what a running Sextant knows of the cloud.

mod show;

use super::chassis_id;
use super::flows::known_chassis;
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use sextant_model::{
    Answering, Chassis, ChassisId, MacAddr, NetworkId, PortId, RouterId, SubnetId, TunnelState,
};
use std::net::IpAddr;

/// Options of `facts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FactsVerb {
    /// Only facts of these kinds. Default: all.
    #[arg(value_name = "KIND")]
    pub kinds: Vec<FactKind>,
    /// Only facts of this hypervisor (its system-id), with all of its tunnels. Without this option only tunnels that
    /// carry nothing are shown.
    #[arg(long, value_name = "NAME", value_parser = chassis_id)]
    pub chassis: Option<ChassisId>,
}

/// A kind of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// Hypervisors that have joined.
    Hypervisors,
    /// Where ports are plugged in.
    Bindings,
    /// Where routers have their external gateways.
    Gateways,
    /// Tunnels between hypervisors.
    Tunnels,
    /// Which port has an address from address pairs.
    Holders,
    /// Prefixes that were delegated to subnets.
    Delegations,
    /// Flows that switches refuse.
    Refused,
}

const KINDS: [FactKind; 7] = [
    FactKind::Hypervisors,
    FactKind::Bindings,
    FactKind::Gateways,
    FactKind::Tunnels,
    FactKind::Holders,
    FactKind::Delegations,
    FactKind::Refused,
];

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum FactRow {
    /// A hypervisor that has joined.
    Hypervisor {
        /// Its `system-id`.
        chassis: ChassisId,
        /// Its tunnel endpoints.
        endpoints: String,
        /// The tunnel protocol that peers have to use.
        encap: String,
        /// `here`, `gone` (others take its gateways), `elsewhere` (another controller owns it), or `stored` (known only from before a
        /// restart).
        state: String,
        /// The controller that owns it, where there are several.
        owner: Option<String>,
        /// Whether its database is connected.
        database: bool,
        /// Whether its switch is connected.
        switch: bool,
        /// The datapath of its `br-int`, as Open vSwitch writes it.
        datapath: Option<String>,
        /// [`Chassis::gateway_priority`].
        gateway_priority: u16,
        /// Physical networks that it has a bridge to.
        physical_networks: Vec<String>,
        /// How many ports are plugged in there.
        ports: usize,
        /// How many of these ports have confirmed flows.
        active: usize,
    },
    /// A port that is plugged in, or an interface for a port that does not exist.
    Binding {
        /// The port.
        port_id: PortId,
        /// Its network. `None`: no such port exists.
        network_id: Option<NetworkId>,
        /// Where it is.
        chassis: ChassisId,
        /// Its OpenFlow port there.
        ofport: Option<u16>,
        /// `active` (its switch has confirmed the flows), `waiting`, or `no such port`.
        state: String,
    },
    /// A router's external gateway.
    Gateway {
        /// The router.
        router_id: RouterId,
        /// The external network.
        network_id: NetworkId,
        /// Where it is.
        chassis: ChassisId,
    },
    /// A tunnel, as seen from one end.
    Tunnel {
        /// Who sends.
        chassis: ChassisId,
        /// To whom.
        peer: ChassisId,
        /// The endpoint that frames are sent to.
        remote: Option<IpAddr>,
        /// `up`, `down` or `awaited` by BFD, `not watched`, or `no common family`.
        state: String,
    },
    /// A port that has an address from address pairs.
    Holder {
        /// The network.
        network_id: NetworkId,
        /// The address.
        address: IpAddr,
        /// The port.
        port_id: PortId,
        /// The MAC.
        mac: MacAddr,
    },
    /// A prefix that was delegated.
    Delegation {
        /// The subnet that has it.
        subnet_id: SubnetId,
        /// The prefix.
        prefix: String,
        /// The external network where the server is.
        network_id: NetworkId,
        /// Until when, in seconds since 1970.
        valid_until: i64,
    },
    /// A flow that a switch refuses.
    Refused {
        /// The hypervisor.
        chassis: ChassisId,
        /// The flow's cookie.
        cookie: String,
        /// What the switch lacks.
        missing: String,
        /// The switch's error.
        error: String,
    },
    /// A hypervisor that misses such flows.
    Without {
        /// The hypervisor.
        chassis: ChassisId,
        /// How many of its ports miss a flow of their own.
        ports: usize,
        /// `the switch` or `the controller`.
        answers_solicitations: String,
    },
}

impl Verb for FactsVerb {
    type Row = FactRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, FactRow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        let chassis = known_chassis(&snapshot, self.chassis.as_ref())?;
        for kind in self.kinds() {
            match kind {
                FactKind::Hypervisors => hypervisors(known, &snapshot, &chassis, give)?,
                FactKind::Bindings => self.bindings(&snapshot, give)?,
                FactKind::Gateways => self.gateways(&snapshot, give)?,
                FactKind::Tunnels => self.tunnels(&snapshot, &chassis, give)?,
                FactKind::Holders => self.holders(&snapshot, give)?,
                FactKind::Delegations => delegations(&snapshot, give)?,
                FactKind::Refused => refused(&snapshot, &chassis, give)?,
            }
        }
        Ok(())
    }

    fn show(&self, rows: &[FactRow]) -> String {
        let of_one = self.chassis.is_some();
        let tables = self.kinds();
        let tables = tables.map(|kind| show::show_kind(kind, of_one, rows));
        tables.collect::<Vec<_>>().join("\n")
    }
}

impl FactsVerb {
    fn kinds(&self) -> impl Iterator<Item = FactKind> {
        KINDS
            .into_iter()
            .filter(|kind| self.kinds.is_empty() || self.kinds.contains(kind))
    }

    fn is_about(&self, chassis: &ChassisId) -> bool {
        self.chassis.as_ref().is_none_or(|asked| asked == chassis)
    }

    fn bindings(&self, snapshot: &Snapshot, give: Give<'_, FactRow>) -> Result<(), VerbError> {
        let facts = &snapshot.facts;
        for (port, plugged) in facts.plugged() {
            if !self.is_about(&plugged.chassis) {
                continue;
            }
            let network = facts.binding(*port).map(|binding| binding.network);
            let state = match network {
                None => "no such port",
                Some(_) if facts.active().contains(port) => "active",
                Some(_) => "waiting",
            };
            give(FactRow::Binding {
                port_id: *port,
                network_id: network,
                chassis: plugged.chassis.clone(),
                ofport: plugged.ofport,
                state: state.to_owned(),
            })?;
        }
        Ok(())
    }

    fn gateways(&self, snapshot: &Snapshot, give: Give<'_, FactRow>) -> Result<(), VerbError> {
        for (router, (chassis, network)) in snapshot.facts.gateways() {
            if self.is_about(chassis) {
                give(FactRow::Gateway {
                    router_id: *router,
                    network_id: *network,
                    chassis: chassis.clone(),
                })?;
            }
        }
        Ok(())
    }

    /// There is a tunnel for each pair of hypervisors, so all are shown only for one hypervisor.
    fn tunnels(
        &self,
        snapshot: &Snapshot,
        of: &[ChassisId],
        give: Give<'_, FactRow>,
    ) -> Result<(), VerbError> {
        let all = snapshot.facts.chassis();
        for chassis in of.iter().filter_map(|id| all.get(id)) {
            for peer in all.values().filter(|peer| peer.id != chassis.id) {
                let row = tunnel(snapshot, chassis, peer);
                if self.chassis.is_some() || carries_nothing(&row) {
                    give(row)?;
                }
            }
        }
        Ok(())
    }

    fn holders(&self, snapshot: &Snapshot, give: Give<'_, FactRow>) -> Result<(), VerbError> {
        for ((network, address), holder) in snapshot.facts.holders() {
            let binding = snapshot.facts.binding(holder.port);
            if binding.is_some_and(|binding| self.is_about(&binding.chassis)) {
                give(FactRow::Holder {
                    network_id: *network,
                    address: *address,
                    port_id: holder.port,
                    mac: holder.mac,
                })?;
            }
        }
        Ok(())
    }
}

fn hypervisors(
    known: &OperatorView,
    snapshot: &Snapshot,
    of: &[ChassisId],
    give: Give<'_, FactRow>,
) -> Result<(), VerbError> {
    let facts = &snapshot.facts;
    for chassis in of.iter().filter_map(|id| facts.chassis().get(id)) {
        let networks = facts.networks_on(&chassis.id);
        let ports: Vec<PortId> = networks
            .flat_map(|network| facts.local_ports(network, &chassis.id))
            .collect();
        let active = ports.iter().filter(|port| facts.active().contains(*port));
        let owner = facts.owners().get(&chassis.id);
        let state = match (facts.gone().contains(&chassis.id), chassis.observed) {
            (true, _) => "gone",
            (false, true) => "here",
            (false, false) if owner.is_some() => "elsewhere",
            (false, false) => "stored",
        };
        give(FactRow::Hypervisor {
            chassis: chassis.id.clone(),
            endpoints: chassis.encap.endpoints.to_string(),
            encap: chassis.encap.kind.to_string(),
            state: state.to_owned(),
            owner: owner.map(|owner| owner.controller.to_string()),
            database: known.databases.is_taken(&chassis.id),
            switch: known.switches.is_taken(&chassis.id),
            datapath: chassis.datapath_id.map(|id| format!("{id:016x}")),
            gateway_priority: chassis.gateway_priority,
            physical_networks: chassis.bridge_mappings.keys().cloned().collect(),
            active: active.count(),
            ports: ports.len(),
        })?;
    }
    Ok(())
}

fn tunnel(snapshot: &Snapshot, chassis: &Chassis, peer: &Chassis) -> FactRow {
    let pair = chassis.encap.endpoints.towards(peer.encap.endpoints);
    let watches = snapshot.facts.tunnel_watches().get(&chassis.id);
    let watch = watches.and_then(|watches| watches.get(&peer.id));
    let state = match (pair, watch.map(|watch| watch.state)) {
        (None, _) => NO_FAMILY,
        (Some(_), None) => "not watched",
        (Some(_), Some(TunnelState::Up)) => "up",
        (Some(_), Some(TunnelState::Awaited)) => "awaited",
        (Some(_), Some(TunnelState::Down)) => DOWN,
    };
    FactRow::Tunnel {
        chassis: chassis.id.clone(),
        peer: peer.id.clone(),
        remote: pair.map(|(_, remote)| remote),
        state: state.to_owned(),
    }
}

const NO_FAMILY: &str = "no common family";
const DOWN: &str = "down";

fn carries_nothing(row: &FactRow) -> bool {
    matches!(row, FactRow::Tunnel { state, .. } if state == NO_FAMILY || state == DOWN)
}

fn delegations(snapshot: &Snapshot, give: Give<'_, FactRow>) -> Result<(), VerbError> {
    for (subnet, delegation) in snapshot.facts.delegations() {
        give(FactRow::Delegation {
            subnet_id: *subnet,
            prefix: delegation.prefix.to_string(),
            network_id: delegation.network,
            valid_until: delegation.valid_until,
        })?;
    }
    Ok(())
}

fn refused(
    snapshot: &Snapshot,
    of: &[ChassisId],
    give: Give<'_, FactRow>,
) -> Result<(), VerbError> {
    for chassis in of {
        let Some(shortfall) = snapshot.facts.shortfall(chassis) else {
            continue;
        };
        for (cookie, refusal) in &shortfall.flows {
            give(FactRow::Refused {
                chassis: chassis.clone(),
                cookie: format!("{cookie:#x}"),
                missing: refusal.missing.as_str().to_owned(),
                error: refusal.error.clone(),
            })?;
        }
        let answers = match shortfall.answering {
            Answering::ByFlow => "the switch",
            Answering::ByPunt => "the controller",
        };
        give(FactRow::Without {
            chassis: chassis.clone(),
            ports: shortfall.ports.len(),
            answers_solicitations: answers.to_owned(),
        })?;
    }
    Ok(())
}
