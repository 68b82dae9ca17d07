//! What comes before a session can begin: whose switch it is that connected, and whether it may speak for it.

use super::SwitchContext;
use super::line::SwitchLine;
use super::session::{HIGH_WATER, SwitchSessionError};
use crate::admission::Words;
use crate::config::NameRule;
use crate::seat::{Claimant, Seat};
use crate::stream::Incoming;
use rust_openflow::{Connection, ConnectionError, Options};
use sextant_model::{ChassisId, Facts};
use std::net::SocketAddr;
use std::sync::Arc;

/// A switch that is known and may speak.
pub(super) struct Arrived {
    pub(super) line: SwitchLine,
    /// Its hypervisor's.
    pub(super) seat: Arc<Seat<ChassisId>>,
    /// Who it said it is.
    pub(super) claimant: Claimant,
}

pub(super) async fn arrive(
    stream: Incoming,
    peer: SocketAddr,
    words: &Words,
    context: &SwitchContext,
) -> Result<Arrived, SwitchSessionError> {
    let stream = stream.open().await.map_err(ConnectionError::from)?;
    let names = stream.certificate().map(|certificate| certificate.names);
    let claimant = Claimant::new(peer.ip(), names);
    let options = Options {
        high_water: HIGH_WATER,
        ..Options::default()
    };
    let connection = Connection::handshake(stream, options).await?;
    let datapath_id = connection.features().datapath_id;
    let mut line = SwitchLine::new(connection, peer, context.metrics.clone());
    let chassis = identify(&mut line, datapath_id, &claimant, context).await?;
    line.is_of(&chassis);
    let seat = sit(&mut line, &chassis, claimant.clone(), words, context).await?;
    tracing::info!(%peer, %chassis, datapath_id = format_args!("{datapath_id:016x}"), "switch connected");
    Ok(Arrived {
        line,
        seat: Arc::new(seat),
        claimant,
    })
}

/// Waits until it is known whose switch this is, and everything about that hypervisor.
async fn identify(
    line: &mut SwitchLine,
    datapath_id: u64,
    claimant: &Claimant,
    context: &SwitchContext,
) -> Result<ChassisId, SwitchSessionError> {
    let mut snapshots = context.snapshots.clone();
    let mut snapshot = snapshots.latest();
    let mut databases = context.databases.changes();
    let mut rules = context.rules.clone();
    let mut told = false;
    loop {
        let found = owner(&snapshot.facts, datapath_id, claimant, context);
        // That one's database may come back from where this switch is, or connect here as well.
        let awaits_database = matches!(found, DatapathOwner::Another(_) | DatapathOwner::Unread);
        match found {
            DatapathOwner::Known(chassis) => return Ok(chassis),
            DatapathOwner::Another(chassis) if !told => {
                told = true;
                let peer = claimant.address();
                let certificate = claimant.names().map(ToString::to_string);
                tracing::warn!(%peer, certificate, %chassis, datapath_id = format_args!("{datapath_id:016x}"), "a switch has the datapath id of this hypervisor, and neither its certificate nor its address: it waits");
            }
            DatapathOwner::Another(_) | DatapathOwner::Unread | DatapathOwner::Unknown => {}
        }
        tokio::select! {
            changed = snapshots.hypervisors_changed() => snapshot = changed?,
            () = databases.next(), if awaits_database => {}
            () = rules.changed() => {}
            received = line.next() => drop(received?),
        }
    }
}

/// Whose a switch is.
enum DatapathOwner {
    /// No hypervisor shows its datapath id.
    Unknown,
    /// One does, whose database is not connected, and which another controller may own.
    Unread,
    /// One does, which has nothing to do with it.
    Another(ChassisId),
    /// This one's.
    Known(ChassisId),
}

/// A switch is of the hypervisor whose own database shows its datapath id: over a certificate of the same holder where there
/// are any, and where several show one datapath id, from the same address.
fn owner(
    facts: &Facts,
    datapath_id: u64,
    claimant: &Claimant,
    context: &SwitchContext,
) -> DatapathOwner {
    let shown = facts.chassis_of_datapath(datapath_id);
    let rule = context.rules.now().names;
    // Where another controller owns it, its database is connected here too.
    let observed = shown.filter(|chassis| {
        chassis.observed || context.tenures.are_shared() && context.databases.is_taken(&chassis.id)
    });
    let shown: Vec<&ChassisId> = observed.map(|chassis| &chassis.id).collect();
    let [first, rest @ ..] = &shown[..] else {
        let is_known = facts.chassis_of_datapath(datapath_id).next().is_some();
        return match is_known && context.tenures.are_shared() {
            true => DatapathOwner::Unread,
            false => DatapathOwner::Unknown,
        };
    };
    let is_only = rest.is_empty();
    let its = shown.iter().find(|chassis| {
        let database = context.databases.known(chassis);
        match (claimant.names(), database) {
            (None, None) => is_only,
            (None, Some(database)) => is_only || database.address() == claimant.address(),
            (names, None) => rule.allows(names, chassis.as_str()),
            (names, Some(database)) => {
                rule.allows(names, chassis.as_str())
                    && is_one_holder(rule, chassis, claimant, &database)
            }
        }
    });
    match its {
        Some(chassis) => DatapathOwner::Known((**chassis).clone()),
        None => DatapathOwner::Another((*first).clone()),
    }
}

/// Whether whoever holds the hypervisor's database may also have its switch.
fn is_one_holder(
    rule: NameRule,
    chassis: &ChassisId,
    switch: &Claimant,
    database: &Claimant,
) -> bool {
    match rule {
        NameRule::Certificate => {
            let names = database.names();
            names.is_some_and(|names| names.has(chassis.as_str()))
        }
        // Many may have been given one name, with ` id:` to tell them apart.
        NameRule::Any => database.names() == switch.names() || database.is_same_machine(switch),
    }
}

/// Waits until this session may speak for the hypervisor's switch: until no other is connected from elsewhere.
async fn sit(
    line: &mut SwitchLine,
    chassis: &ChassisId,
    claimant: Claimant,
    words: &Words,
    context: &SwitchContext,
) -> Result<Seat<ChassisId>, SwitchSessionError> {
    let peer = claimant.address();
    loop {
        let taken = match context.seats.take(chassis, claimant.clone()) {
            Ok(seat) => return Ok(seat),
            Err(taken) => taken,
        };
        if let Some(unsaid) = words.admit() {
            tracing::warn!(%peer, %chassis, unsaid, "a second switch with the datapath id of this hypervisor waits: {taken}");
        }
        let vacancy = context.seats.vacancy(chassis, claimant.clone());
        tokio::pin!(vacancy);
        loop {
            tokio::select! {
                () = &mut vacancy => break,
                received = line.next() => drop(received?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::rules::{HypervisorRules, Rules};
    use crate::snapshot::Snapshot;
    use crate::snapshot::Snapshots;
    use crate::tls::Names;
    use sextant_model::{Chassis, Encap, EncapKind};
    use std::net::{IpAddr, Ipv6Addr};

    fn facts(all: &[(&str, u64)]) -> Facts {
        let mut facts = Facts::default();
        for (name, datapath_id) in all {
            facts.put_chassis(Chassis {
                datapath_id: Some(*datapath_id),
                observed: true,
                ..Chassis::new(
                    ChassisId::new(name),
                    Encap {
                        endpoints: "2001:db8::1".parse().unwrap(),
                        kind: EncapKind::Vxlan,
                    },
                )
            });
        }
        facts
    }

    fn context(names: NameRule) -> SwitchContext {
        let (_, snapshots) = Snapshots::new(Snapshot::default());
        let (events, _) = crate::state::events();
        let rules = Rules::fixed(HypervisorRules {
            names,
            ..HypervisorRules::default()
        });
        SwitchContext {
            rules,
            ..SwitchContext::new(snapshots, events, Metrics::new().unwrap())
        }
    }

    fn at(last: u16) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into()
    }

    fn named(last: u16, name: &str) -> Claimant {
        Claimant::new(at(last), Some(Names::of([name])))
    }

    /// Whose the switch of datapath 7 is taken for.
    fn taken_for(facts: &Facts, claimant: &Claimant, context: &SwitchContext) -> Option<String> {
        match owner(facts, 7, claimant, context) {
            DatapathOwner::Known(chassis) => Some(chassis.to_string()),
            DatapathOwner::Another(_) | DatapathOwner::Unread | DatapathOwner::Unknown => None,
        }
    }

    #[test]
    fn a_certificate_of_another_name_opens_nobodys_datapath() {
        let (facts, context) = (facts(&[("h1", 7)]), context(NameRule::Certificate));
        let taken_for = |claimant| taken_for(&facts, &claimant, &context);
        assert_eq!(taken_for(named(1, "h1")), Some("h1".to_owned()));
        assert_eq!(taken_for(named(1, "h2")), None);
        assert_eq!(taken_for(at(1).into()), Some("h1".to_owned()), "plaintext");
    }

    #[test]
    fn where_any_name_goes_the_database_has_the_same_certificate() {
        let (facts, context) = (facts(&[("h1", 7)]), context(NameRule::Any));
        let _database = context.databases.take(&ChassisId::new("h1"), named(1, "a"));
        let taken_for = |claimant| taken_for(&facts, &claimant, &context);
        assert_eq!(taken_for(named(2, "a")), Some("h1".to_owned()));
        assert_eq!(taken_for(named(1, "b")), None);
    }

    #[test]
    fn a_switch_and_its_database_may_have_certificates_of_which_one_is_renewed() {
        let facts = facts(&[("h1", 7)]);
        let of = |last: u16, names: [&str; 2]| Claimant::new(at(last), Some(Names::of(names)));
        for rule in [NameRule::Certificate, NameRule::Any] {
            let context = context(rule);
            let database = of(1, ["h1", "h1 id:1"]);
            let _database = context.databases.take(&ChassisId::new("h1"), database);
            let taken_for = |claimant| taken_for(&facts, &claimant, &context);
            let its = Some("h1".to_owned());
            assert_eq!(taken_for(of(1, ["h1", "h1 id:2"])), its, "{rule:?}");
            let elsewhere = taken_for(of(2, ["h1", "h1 id:3"]));
            assert_eq!(elsewhere.is_some(), rule == NameRule::Certificate);
            assert_eq!(taken_for(of(1, ["h2", "h2 id:2"])), None, "{rule:?}");
        }
    }

    #[test]
    fn of_two_that_show_one_datapath_id_each_has_its_own_switch() {
        let facts = facts(&[("h1", 7), ("h2", 7), ("h3", 8)]);
        let context = context(NameRule::Certificate);
        for (name, address) in [("h1", at(1)), ("h2", at(2))] {
            drop(context.databases.take(&ChassisId::new(name), address));
        }
        let taken_for = |claimant: Claimant| taken_for(&facts, &claimant, &context);
        assert_eq!(taken_for(at(1).into()), Some("h1".to_owned()));
        assert_eq!(taken_for(at(2).into()), Some("h2".to_owned()));
        assert_eq!(taken_for(at(3).into()), None);
    }
}
