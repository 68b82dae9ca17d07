//! Bounds how many connections a zone of the connection tracker may have, so that no guest fills the table of all: each port has a
//! zone of its own.
//!
//! Open vSwitch takes the bound of all zones that have none of their own from the row of the bridge's datapath
//! (`Datapath:ct_zone_default_limit`, Open vSwitch 3.3; ovs-vswitchd.conf.db(5)). What Sextant has set is said beside it. A bound that
//! differs from that is somebody else's, also if it is gone: it stays, so that two managers never set it in turns.

use super::schema::OpenVswitch;
use super::wish::Wish;
use super::{OWNED, integration_bridge, is_owned};
use sextant_ovsdb_client::{
    Atom, Condition, Mutation, Replica, Row, Table, Transaction, Value, tables,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The key of `external_ids` that says which bound Sextant has set.
const SET: &str = "sextant-ct-zone-default-limit";
const LIMIT: &str = "ct_zone_default_limit";

tables! {
    /// What older databases lack.
    pub(super) const OPTIONAL;

    /// The root: the datapath of each type.
    Root = "Open_vSwitch" {
        datapaths: BTreeMap<String, Uuid>,
    }

    /// A datapath, which all bridges of its type share.
    Datapath = "Datapath" {
        ct_zone_default_limit: Option<i64>,
        ct_zones: BTreeMap<i64, Uuid>,
        external_ids: BTreeMap<String, String>,
    }
}

/// Whether this Open vSwitch takes a bound from its database.
pub(super) fn is_supported(replica: &Replica) -> bool {
    replica.has(Root::NAME, "datapaths")
        && replica.has(Datapath::NAME, LIMIT)
        && replica.has(Datapath::NAME, "external_ids")
}

/// Sets the bound that is wanted for the integration bridge's datapath, and takes back what was set for another.
pub(super) fn wanted(replica: &Replica, wish: &Wish, transaction: Transaction) -> Transaction {
    let Some((_, bridge)) = integration_bridge(replica) else {
        return transaction;
    };
    let used = match bridge.datapath_type() {
        "" => "system",
        named => named,
    };
    let transaction = release_all_but(replica, Some(used), transaction);
    let Some((root, datapaths)) = datapaths(replica) else {
        return transaction;
    };
    let limit = wish.zone_limit;
    let Some(uuid) = datapaths.get(used) else {
        return match limit {
            Some(limit) => create(root, used, limit.get(), transaction),
            None => transaction,
        };
    };
    match replica.get::<Datapath>(*uuid) {
        Some(datapath) => {
            let limit = limit.map(|limit| i64::from(limit.get()));
            settle(*uuid, datapath, limit, transaction)
        }
        None => transaction,
    }
}

/// Takes back what Sextant has set.
pub(super) fn release(replica: &Replica, transaction: Transaction) -> Transaction {
    release_all_but(replica, None, transaction)
}

/// The root's row and its datapaths; none where Open vSwitch takes no bound.
fn datapaths(replica: &Replica) -> Option<(Uuid, BTreeMap<&str, Uuid>)> {
    if !is_supported(replica) {
        return None;
    }
    let (uuid, root) = replica.all::<OpenVswitch>().next()?;
    Some((uuid, Root::of(root.row()).datapaths()))
}

/// Who has set a datapath's bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetBy {
    Nobody,
    Us,
    Others,
}

fn set_by(datapath: Datapath<'_>) -> SetBy {
    let ours = datapath.external_ids().get(SET);
    match (datapath.ct_zone_default_limit(), ours) {
        (None, None) => SetBy::Nobody,
        (Some(limit), Some(ours)) if ours == limit.to_string() => SetBy::Us,
        (Some(_) | None, _) => SetBy::Others,
    }
}

fn create(root: Uuid, kind: &str, limit: u32, transaction: Transaction) -> Transaction {
    let row = Row::new().with(LIMIT, i64::from(limit)).with(
        "external_ids",
        Value::map([(OWNED.0, OWNED.1), (SET, &limit.to_string())]),
    );
    let reference = Atom::NamedUuid("datapath".to_owned());
    transaction
        .insert(Datapath::NAME, Some("datapath"), row)
        .mutate(
            Root::NAME,
            [Condition::uuid(root)],
            // Has no effect if somebody else has made a row of this type meanwhile.
            [Mutation::insert(
                "datapaths",
                Value::map([(kind, reference)]),
            )],
        )
}

fn settle(
    uuid: Uuid,
    datapath: Datapath<'_>,
    limit: Option<i64>,
    transaction: Transaction,
) -> Transaction {
    let is_due = match set_by(datapath) {
        SetBy::Nobody => limit.is_some(),
        SetBy::Us => limit != datapath.ct_zone_default_limit(),
        SetBy::Others => false,
    };
    match is_due {
        true => set(uuid, datapath, limit, transaction),
        false => transaction,
    }
}

/// Sets the bound, unless somebody else does so meanwhile.
fn set(
    uuid: Uuid,
    datapath: Datapath<'_>,
    limit: Option<i64>,
    transaction: Transaction,
) -> Transaction {
    let seen = Value::set(datapath.ct_zone_default_limit());
    let unchanged = [Condition::uuid(uuid), Condition::equal(LIMIT, seen)];
    let before = datapath.external_ids().get(SET);
    let before = before.map(|before| Mutation::delete("external_ids", Value::map([(SET, before)])));
    let after = limit.map(|limit| {
        let pair = Value::map([(SET, limit.to_string().as_str())]);
        Mutation::insert("external_ids", pair)
    });
    // The condition has to hold for both, so what it is about changes last.
    transaction
        .mutate(
            Datapath::NAME,
            unchanged.clone(),
            before.into_iter().chain(after),
        )
        .update(
            Datapath::NAME,
            unchanged,
            Row::new().with(LIMIT, Value::set(limit)),
        )
}

fn release_all_but(
    replica: &Replica,
    kept: Option<&str>,
    mut transaction: Transaction,
) -> Transaction {
    let Some((root, datapaths)) = datapaths(replica) else {
        return transaction;
    };
    for (kind, uuid) in datapaths {
        let Some(datapath) = replica.get::<Datapath>(uuid) else {
            continue;
        };
        if Some(kind) == kept {
            continue;
        }
        transaction = release_one(root, kind, uuid, datapath, transaction);
    }
    transaction
}

/// Removes a row that Sextant made together with its bound, unless somebody else has put something there.
fn release_one(
    root: Uuid,
    kind: &str,
    uuid: Uuid,
    datapath: Datapath<'_>,
    transaction: Transaction,
) -> Transaction {
    let set_by = set_by(datapath);
    let ids = datapath.external_ids();
    let only_ours = ids.iter().all(|(key, _)| key == OWNED.0 || key == SET);
    if is_owned(datapath.row()) {
        let others =
            !only_ours || set_by == SetBy::Others && datapath.ct_zone_default_limit().is_some();
        if !others && datapath.ct_zones().is_empty() {
            let pair = Value::map([(kind, uuid)]);
            let gone = Mutation::delete("datapaths", pair);
            return transaction.mutate(Root::NAME, [Condition::uuid(root)], [gone]);
        }
    }
    let ours = [OWNED.0, SET]
        .into_iter()
        .filter_map(|key| Some((key, ids.get(key)?)));
    let ours: Vec<(&str, &str)> = ours.collect();
    if ours.is_empty() {
        return transaction;
    }
    let transaction = match set_by {
        SetBy::Us => set(uuid, datapath, None, transaction),
        SetBy::Nobody | SetBy::Others => transaction,
    };
    let gone = Mutation::delete("external_ids", Value::map(ours));
    transaction.mutate(Datapath::NAME, [Condition::uuid(uuid)], [gone])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_set_a_bound_follows_from_what_is_said_beside_it() {
        for (limit, said, expected) in [
            (None, None, SetBy::Nobody),
            (Some(500), Some("500"), SetBy::Us),
            (Some(500), None, SetBy::Others),
            (Some(400), Some("500"), SetBy::Others),
            (None, Some("500"), SetBy::Others),
        ] {
            let said = said.map(|said| (SET, said));
            let row = Row::new()
                .with(LIMIT, Value::set(limit))
                .with("external_ids", Value::map(said));
            assert_eq!(set_by(Datapath::of(&row)), expected, "{row:?}");
        }
    }
}
