//! What a running Sextant knows that concerns a hypervisor, as its control socket says.

use crate::control::Request;
use crate::control::verbs::facts::{FactKind, FactRow, FactsVerb};
use crate::control::verbs::hypervisors::{HypervisorRow, HypervisorsVerb};
use crate::control::verbs::ports::{PortRow, PortsVerb};
use crate::doctor::process::rows;
use crate::hypervisor::outside::OutsideView;
use sextant_model::{ChassisId, PortId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What a running Sextant knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// All hypervisors.
    pub(super) hypervisors: Vec<HypervisorRow>,
    /// The datapath of each, as Open vSwitch writes it.
    pub(super) datapaths: BTreeMap<ChassisId, String>,
    /// What the switches of each lack.
    pub(super) lacks: BTreeMap<ChassisId, BTreeSet<String>>,
    /// All ports, if that matters here.
    pub(super) ports: BTreeSet<PortId>,
}

impl Known {
    /// Asks, if somebody answers.
    pub(super) async fn ask(view: &OutsideView, socket: Option<&PathBuf>) -> Option<Self> {
        let socket = socket?;
        let request = Request::Hypervisors(HypervisorsVerb::default());
        let mut known = Self {
            hypervisors: rows(socket, request).await.ok()?,
            ..Self::default()
        };
        let request = Request::Facts(FactsVerb {
            kinds: vec![FactKind::Hypervisors, FactKind::Refused],
            chassis: None,
        });
        for row in rows::<FactRow>(socket, request).await.ok()? {
            known.take(row);
        }
        if view
            .interfaces
            .iter()
            .any(|interface| interface.port.is_some())
        {
            let request = Request::Ports(PortsVerb::default());
            let ports = rows::<PortRow>(socket, request).await.ok()?;
            known.ports = ports.into_iter().map(|row| row.port_id).collect();
        }
        Some(known)
    }

    fn take(&mut self, row: FactRow) {
        if let FactRow::Hypervisor {
            chassis,
            datapath: Some(datapath),
            ..
        } = row
        {
            self.datapaths.insert(chassis, datapath);
        } else if let FactRow::Refused {
            chassis, missing, ..
        } = row
        {
            self.lacks.entry(chassis).or_default().insert(missing);
        }
    }
}
