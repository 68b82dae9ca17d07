//! A file that an older version wrote is opened by this one, whole, and by the older one no more.
//!
//! `stored/format-1.redb` was written by Sextant at commit 3bc851d, driven through its API: a network with subnets of
//! three modes, a pool, guests' ports (one of them plugged in on a hypervisor, one without port security), and a router
//! with two interfaces.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use sextant_controller::store::{Embedded, FORMAT, Revision, Store};
use sextant_model::{
    Change, Chassis, ChassisId, Claim, Counted, DEFAULT_SECURITY_GROUP, EVERY_PROJECT, Encap,
    EncapKind, Endpoints, Fact, Intent, Key, Machine, Mark, Object, ObjectKey, RbacAction,
    RbacObject,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// A copy of the file, gone with its test.
struct OldFile(PathBuf);

impl OldFile {
    fn copy(name: &str) -> Self {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored/format-1.redb");
        let name = format!("sextant-{name}-{}.redb", std::process::id());
        let copy = std::env::temp_dir().join(name);
        std::fs::copy(original, &copy).unwrap();
        Self(copy)
    }

    /// Changes all networks and subnet pools, as an older version could.
    fn change(&self, change: impl Fn(&str, &mut serde_json::Value)) {
        let (_, _, rows) = self.raw();
        let database = Database::create(&self.0).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut table = transaction.open_table(OBJECTS).unwrap();
        for (key, mut row) in rows {
            for kind in ["Network", "SubnetPool"] {
                if let Some(object) = row.get_mut(kind) {
                    change(kind, object);
                }
            }
            let text = row.to_string();
            table.insert(key.as_bytes(), text.as_bytes()).unwrap();
        }
        drop(table);
        transaction.commit().unwrap();
    }

    /// Format, revision and rows, read without the store.
    fn raw(&self) -> (u64, u64, BTreeMap<String, serde_json::Value>) {
        let database = Database::create(&self.0).unwrap();
        let transaction = database.begin_read().unwrap();
        let numbers = transaction.open_table(NUMBERS).unwrap();
        let number = |name| numbers.get(name).unwrap().unwrap().value();
        let rows = transaction.open_table(OBJECTS).unwrap();
        let rows = rows.iter().unwrap().map(|row| {
            let (key, value) = row.unwrap();
            let key = String::from_utf8(key.value().to_vec()).unwrap();
            (key, serde_json::from_slice(value.value()).unwrap())
        });
        (number("format"), number("revision"), rows.collect())
    }
}

impl Drop for OldFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_file_of_format_1_is_read_whole_and_becomes_one_of_this_format() {
    let file = OldFile::copy("format-1");
    let (format, revision, rows) = file.raw();
    assert_eq!(format, 1);
    let store = Embedded::open(&file.0).unwrap();
    let stored = store.watch().await.unwrap().next().await.unwrap();
    assert_eq!(stored.revision, Revision(revision));

    let intent = intent(&stored.changes);
    let names: Vec<&str> = intent
        .subnets
        .values()
        .map(|subnet| subnet.meta.name.as_str())
        .collect();
    for name in ["slaac", "stateful", "four"] {
        assert!(names.contains(&name), "{name} is among {names:?}");
    }
    let [one, open] = ["one", "open"].map(|name| {
        let mut ports = intent.ports.values();
        ports.find(|port| port.meta.name == name).unwrap()
    });
    assert_eq!(one.fixed_ips.len(), 3);
    assert_eq!(one.meta.tags.len(), 2);
    assert!(!open.port_security_enabled);
    let router = intent.routers.values().next().unwrap();
    assert_eq!(intent.interfaces_of(router.id).count(), 2);
    let is_location = |change: &Change| matches!(change, Change::Put(Object::Location(port, host)) if *port == one.id && host.as_str() == "h1");
    assert!(stored.changes.iter().any(is_location));
    let endpoints = stored.changes.iter().find_map(|change| {
        if let Change::Put(Object::Chassis(chassis)) = change {
            return Some(chassis.encap.endpoints);
        }
        None
    });
    assert!(
        matches!(endpoints, Some(Endpoints::Ipv6(_))),
        "a hypervisor had one address"
    );

    drop(store);
    let (format, same, migrated) = file.raw();
    assert_eq!((format, same), (FORMAT, revision));
    assert!(
        rows.keys().all(|key| migrated.contains_key(key)),
        "nothing is lost"
    );
    let added = migrated.keys().filter(|key| !rows.contains_key(*key));
    let is_of_groups = |key: &&String| key.contains("SecurityGroup");
    let (groups, others): (Vec<_>, Vec<_>) = added.partition(is_of_groups);
    // A group, four rules, and the claim that there is one.
    assert_eq!(
        (groups.len(), others.len()),
        (6, 0),
        "{groups:?} {others:?}"
    );
}

fn intent(changes: &[Change]) -> Intent {
    let mut intent = Intent::default();
    changes.iter().for_each(|change| intent.apply(change));
    intent
}

async fn migrated(file: &OldFile) -> Intent {
    let store = Embedded::open(&file.0).unwrap();
    let stored = store.watch().await.unwrap().next().await.unwrap();
    intent(&stored.changes)
}

#[tokio::test]
async fn guests_ports_of_format_1_come_under_their_projects_default_group() {
    let intent = migrated(&OldFile::copy("format-1-groups")).await;
    let [(id, group)] = intent.security_groups.iter().collect::<Vec<_>>()[..] else {
        panic!("{:?}", intent.security_groups);
    };
    assert_eq!(group.meta.name, DEFAULT_SECURITY_GROUP);
    let project = group.meta.project_id.clone();
    assert_eq!(intent.default_group_of(&project), Some(*id));
    assert!(intent.is_claimed(&Claim::DefaultSecurityGroup(project.clone())));
    assert_eq!(intent.rules_of(*id).count(), 4);
    assert_eq!(intent.count_of(&project, Counted::SecurityGroupRule), 4);
    for port in intent.ports.values() {
        let guarded = port.port_security_enabled && !port.is_of_network();
        let groups: Vec<_> = port.security_groups.iter().collect();
        assert_eq!(
            groups,
            guarded.then_some(id).into_iter().collect::<Vec<_>>()
        );
    }
    assert!(intent.ports_under(*id).next().is_some());
}

#[tokio::test]
async fn what_was_shared_or_external_in_format_1_stays_so_by_policy() {
    let file = OldFile::copy("format-1-shared");
    file.change(|kind, object| {
        object["shared"] = true.into();
        if kind == "Network" {
            object["external"] = true.into();
        }
    });
    let intent = migrated(&file).await;
    let actions = |object| -> Vec<RbacAction> {
        let policies = intent.policies_for(object);
        let mut actions: Vec<_> = policies
            .map(|policy| {
                assert_eq!(policy.target, EVERY_PROJECT);
                policy.action
            })
            .collect();
        actions.sort();
        actions
    };
    let both = [RbacAction::AccessAsShared, RbacAction::AccessAsExternal];
    for (id, network) in &intent.networks {
        assert!(network.shared && network.external);
        assert_eq!(actions(RbacObject::Network(*id)), both);
    }
    for id in intent.subnet_pools.keys() {
        assert_eq!(actions(RbacObject::SubnetPool(*id)), both[..1]);
    }
    let shared = 2 * intent.networks.len() + intent.subnet_pools.len();
    assert_eq!(intent.rbac_policies.len(), shared);
    assert!(!intent.networks.is_empty() && !intent.subnet_pools.is_empty());
}

#[tokio::test]
async fn what_was_brought_to_this_format_is_opened_again_and_written_to() {
    let file = OldFile::copy("format-1-again");
    let mut before = None;
    for _ in 0..2 {
        let store = Embedded::open(&file.0).unwrap();
        let stored = store.watch().await.unwrap().next().await.unwrap();
        let again = stored.changes.last().unwrap().clone();
        let expected = before.map_or(stored.revision, |before: Revision| Revision(before.0 + 1));
        assert_eq!(stored.revision, expected);
        store.commit(vec![again], vec![]).await.unwrap();
        before = Some(stored.revision);
    }
}

#[test]
fn a_key_is_stored_without_its_kind() {
    let keys: [(Key, &str); 4] = [
        (ObjectKey::ServerIdentity.into(), r#""ServerIdentity""#),
        (Claim::DefaultNetwork.into(), r#""DefaultNetwork""#),
        (
            Mark::CountOf("p".to_owned(), Counted::Port).into(),
            r#"{"CountOf":["p","port"]}"#,
        ),
        (
            Fact::Chassis(ChassisId::new("h1")).into(),
            r#"{"Chassis":"h1"}"#,
        ),
    ];
    for (key, text) in keys {
        assert_eq!(serde_json::to_string(&key).unwrap(), text);
        assert_eq!(serde_json::from_str::<Key>(text).unwrap(), key);
    }
}

#[test]
fn what_an_earlier_version_stored_does_not_say_how_guests_are_plugged_in() {
    let encap = Encap {
        endpoints: "2001:db8::1".parse().unwrap(),
        kind: EncapKind::Vxlan,
    };
    let mut chassis = Chassis::new(ChassisId::new("h1"), encap);
    let mut stored = serde_json::to_value(&chassis).unwrap();
    stored.as_object_mut().unwrap().remove("machine").unwrap();
    assert_eq!(serde_json::from_value::<Chassis>(stored).unwrap(), chassis);
    chassis.machine = Some(Machine {
        name: Some("one.example".to_owned()),
        datapath_type: "netdev".to_owned(),
        vhostuser_directory: Some("/run".to_owned()),
    });
    let stored = serde_json::to_value(chassis.stored()).unwrap();
    assert_eq!(serde_json::from_value::<Chassis>(stored).unwrap(), chassis);
}
