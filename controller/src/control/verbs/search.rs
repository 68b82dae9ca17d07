//! `sextant search`: everything that an id, a name, an address or a MAC may mean.

use super::named_port::ports_meant;
use crate::control::table::{given_or_dash, table};
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use clap::Args;
use serde::{Deserialize, Serialize};
use sextant_model::{Chassis, Meta, Port};
use std::sync::Arc;

/// Options of `search`.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchVerb {
    /// An id, or the beginning of one; a name, or a part of one; an address or a MAC.
    #[arg(value_name = "TEXT")]
    pub text: String,
}

/// Something that is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchRow {
    /// What it is: `port`, `network`, `subnet`, `router`, `security group` or `hypervisor`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What tells it from others.
    pub detail: String,
}

/// The most that are found. A text that means more is too short.
const MOST: usize = 50;

impl Verb for SearchVerb {
    type Row = SearchRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, SearchRow>) -> Result<(), VerbError> {
        let text = self.text.trim();
        if text.is_empty() {
            return Err(VerbError::Unfit("give a text to search for".to_owned()));
        }
        let snapshot = known.snapshots.latest();
        // What is meant exactly comes first, and costs a look-up. The rest is read through.
        let exact = ports_meant(&snapshot, text);
        let found = exact.iter().map(|port| of_port(port));
        let rest = hypervisors(&snapshot, text)
            .chain(objects(&snapshot, text))
            .chain(ports(&snapshot, text, &exact));
        found.chain(rest).take(MOST).try_for_each(give)
    }

    fn show(&self, rows: &[SearchRow]) -> String {
        if rows.is_empty() {
            return format!("nothing is meant by '{}'\n", self.text);
        }
        let cells = rows.iter().map(|row| {
            [
                row.kind.clone(),
                row.id.clone(),
                given_or_dash(&row.name),
                row.detail.clone(),
            ]
        });
        let more = match rows.len() {
            MOST => format!("# only the first {MOST}\n"),
            _ => String::new(),
        };
        format!("{}{more}", table(["KIND", "ID", "NAME", "DETAIL"], cells))
    }
}

fn hypervisors<'s>(snapshot: &'s Snapshot, text: &'s str) -> impl Iterator<Item = SearchRow> + 's {
    let all = snapshot.facts.chassis().values();
    all.filter(move |chassis| is_hypervisor(chassis, text))
        .map(|chassis| {
            let endpoints = chassis.encap.endpoints.addresses();
            let endpoints: Vec<String> = endpoints.map(|endpoint| endpoint.to_string()).collect();
            found("hypervisor", &chassis.id, "", endpoints.join(", "))
        })
}

fn is_hypervisor(chassis: &Chassis, text: &str) -> bool {
    let mut endpoints = chassis.encap.endpoints.addresses();
    let machine = chassis.machine.as_ref();
    let name = machine.and_then(|machine| machine.name.as_deref());
    chassis.id.as_str().contains(text)
        || name.is_some_and(|name| name.contains(text))
        || endpoints.any(|endpoint| endpoint.to_string() == text)
}

fn objects<'s>(snapshot: &'s Snapshot, text: &'s str) -> impl Iterator<Item = SearchRow> + 's {
    let intent = &snapshot.intent;
    let networks = intent.networks.values().filter_map(move |network| {
        let detail = network.network_type.as_str().to_owned();
        meant("network", network.id, &network.meta, text, detail)
    });
    let subnets = intent.subnets.values().filter_map(move |subnet| {
        let cidr = subnet.cidr.to_string();
        match cidr == text {
            true => Some(found("subnet", subnet.id, &subnet.meta.name, cidr)),
            false => meant("subnet", subnet.id, &subnet.meta, text, cidr),
        }
    });
    let routers = intent.routers.values().filter_map(move |router| {
        let interfaces = intent.interfaces_of(router.id).count();
        let detail = format!("{interfaces} interfaces");
        meant("router", router.id, &router.meta, text, detail)
    });
    let groups = intent.security_groups.values().filter_map(move |group| {
        let detail = format!("{} rules", intent.rules_of(group.id).count());
        meant("security group", group.id, &group.meta, text, detail)
    });
    networks.chain(subnets).chain(routers).chain(groups)
}

fn ports<'s>(
    snapshot: &'s Snapshot,
    text: &'s str,
    exact: &'s [Arc<Port>],
) -> impl Iterator<Item = SearchRow> + 's {
    let others = snapshot.intent.ports.values();
    others
        .filter(move |port| exact.iter().all(|known| known.id != port.id))
        .filter(move |port| {
            is_meant(port.id, &port.meta, text)
                || (text.len() > 7 && port.device_id.starts_with(text))
        })
        .map(|port| of_port(port))
}

fn of_port(port: &Port) -> SearchRow {
    let addresses = port.fixed_ips.iter().map(|ip| ip.ip_address.to_string());
    let addresses: Vec<String> = addresses.collect();
    let detail = format!("{} {}", port.mac_address, addresses.join(" "));
    found("port", port.id, &port.meta.name, detail)
}

fn meant(
    kind: &str,
    id: impl ToString,
    meta: &Meta,
    text: &str,
    detail: String,
) -> Option<SearchRow> {
    let id = id.to_string();
    is_meant(&id, meta, text).then(|| found(kind, &id, &meta.name, detail))
}

/// Whether a text is the beginning of an id, or a part of a name.
fn is_meant(id: impl ToString, meta: &Meta, text: &str) -> bool {
    meta.name.contains(text) || id.to_string().starts_with(text)
}

fn found(kind: &str, id: impl ToString, name: &str, detail: String) -> SearchRow {
    SearchRow {
        kind: kind.to_owned(),
        id: id.to_string(),
        name: name.to_owned(),
        detail,
    }
}
