//! A list that is found by indexes, in portions, is the list that a look at every resource finds.

use super::filters::Filters;
use super::parse::compare;
use super::*;
use crate::api::contract::caller::{Caller, Roles};
use crate::api::contract::view::Lengths;
use crate::api::rights::Exceptions;
use proptest::prelude::*;
use sextant_model::{
    Change, Chassis, ChassisId, Direction, Encap, EncapKind, ExternalGateway, Facts, FixedIp,
    Intent, IpVersion, MacAddr, Meta, Network, NetworkKey, NetworkType, Object, ObjectKey, Plugged,
    Port, PortId, ROUTER_GATEWAY_OWNER, ROUTER_INTERFACE_OWNER, RbacAction, RbacObject, RbacPolicy,
    RbacPolicyId, RemoteEnd, Router, RouterId, RouterKey, SecurityGroup, SecurityGroupRule,
    SecurityGroupRuleId, Subnet, SubnetId,
};
use std::cmp::Ordering;
use uuid::Uuid;

const TEXTS: [&str; 4] = ["", "a", "b", "c"];
const OWNERS: [&str; 4] = [
    "",
    "compute:nova",
    ROUTER_INTERFACE_OWNER,
    ROUTER_GATEWAY_OWNER,
];
/// The last two belong to a subnet that waits for its prefix.
const ADDRESSES: [&str; 4] = ["2001:db8::1", "2001:db8::2", "::1", "::2"];
const PORTS: u128 = 24;

/// What one object is made from.
type Seed = [u8; 12];

fn text(choice: u8) -> &'static str {
    TEXTS[usize::from(choice) % TEXTS.len()]
}

fn small<Id: From<Uuid>>(choice: u8) -> Id {
    Uuid::from_u128(u128::from(choice % 4)).into()
}

fn meta(seed: Seed) -> Meta {
    Meta {
        name: text(seed[0]).to_owned(),
        created_at: i64::from(seed[1] % 3),
        ..Meta::new(text(seed[2]), 5)
    }
}

fn port(n: u128, seed: Seed) -> Port {
    let fixed_ips = [(seed[3], seed[4]), (seed[5], seed[6])];
    let fixed_ips = fixed_ips.map(|(subnet, address)| FixedIp {
        subnet_id: small(subnet),
        ip_address: ADDRESSES[usize::from(address) % 4].parse().unwrap(),
    });
    let device = match seed[7] % 2 {
        0 => text(seed[8]).to_owned(),
        _ => small::<RouterId>(seed[8]).to_string(),
    };
    let mac = MacAddr([2, 0, 0, 0, 0, seed[9] % 3]);
    Port {
        meta: meta(seed),
        fixed_ips: fixed_ips[..usize::from(seed[3] % 3)].to_vec(),
        device_id: device,
        device_owner: OWNERS[usize::from(seed[10]) % 4].to_owned(),
        host_id: text(seed[11]).to_owned(),
        security_groups: [small(seed[5])].into(),
        ..Port::new(PortId(Uuid::from_u128(n % PORTS)), small(seed[6]), mac)
    }
}

fn object(n: u128, seed: Seed) -> Object {
    let id = Uuid::from_u128(n % PORTS);
    match seed[3] % 6 {
        0 => Object::Subnet(Arc::new(Subnet {
            meta: meta(seed),
            ..Subnet::new(
                SubnetId(id),
                small(seed[4]),
                "2001:db8::/64".parse().unwrap(),
            )
        })),
        1 => Object::SecurityGroup(Arc::new(SecurityGroup {
            id: small(seed[4]),
            meta: meta(seed),
            stateful: true,
        })),
        2 => Object::SecurityGroupRule(Arc::new(SecurityGroupRule {
            id: SecurityGroupRuleId(id),
            security_group_id: small(seed[4]),
            meta: meta(seed),
            direction: Direction::Ingress,
            ethertype: IpVersion::V6,
            protocol: None,
            port_range_min: None,
            port_range_max: None,
            remote: match seed[5] % 2 {
                0 => RemoteEnd::Anybody,
                _ => RemoteEnd::Group(small(seed[6])),
            },
        })),
        3 => Object::Router(Arc::new(Router {
            meta: meta(seed),
            external_gateway: Some(ExternalGateway {
                network_id: small(seed[4]),
                enable_snat: true,
            }),
            ..Router::new(small(seed[5]), RouterKey(1))
        })),
        4 => Object::Network(Arc::new(Network {
            meta: meta(seed),
            external: seed[6].is_multiple_of(2),
            network_type: NetworkType::Flat,
            physical_network: Some("physnet1".to_owned()),
            ..Network::new(small(seed[4]), NetworkKey(1))
        })),
        _ => Object::RbacPolicy(Arc::new(RbacPolicy {
            id: RbacPolicyId(id),
            meta: meta(seed),
            object: match seed[4] % 2 {
                0 => RbacObject::Network(small(seed[5])),
                _ => RbacObject::SecurityGroup(small(seed[5])),
            },
            action: RbacAction::AccessAsShared,
            target: ["*", text(seed[6])][usize::from(seed[7] % 2)].to_owned(),
        })),
    }
}

/// Objects come, change and go. Interfaces and gateways are on two hypervisors.
fn cloud(ports: &[Seed], others: &[Seed]) -> (Intent, Facts) {
    let mut intent = Intent::default();
    for (n, seed) in (0..).zip(others) {
        intent.apply(&Change::Put(object(n, *seed)));
    }
    for (n, seed) in (0..).zip(ports) {
        let port = port(n, *seed);
        let gone = (seed[0].is_multiple_of(8)).then(|| Change::delete(ObjectKey::Port(port.id)));
        intent.apply(&Change::Put(Object::Port(Arc::new(port))));
        gone.iter().for_each(|gone| intent.apply(gone));
    }
    let mut facts = Facts::default();
    let encap = Encap {
        kind: EncapKind::Vxlan,
        endpoints: std::net::IpAddr::from([192, 0, 2, 1]).into(),
    };
    for host in ["a", "b"] {
        facts.put_chassis(Chassis {
            bridge_mappings: [("physnet1".to_owned(), "br-ex".to_owned())].into(),
            patch_ports: [("physnet1".to_owned(), 9)].into(),
            ..Chassis::new(ChassisId::new(host), encap)
        });
    }
    for (n, seed) in (0..)
        .zip(ports)
        .filter(|(_, seed)| seed[1].is_multiple_of(2))
    {
        let plugged = Plugged {
            chassis: ChassisId::new(TEXTS[usize::from(1 + seed[2] % 2)]),
            ofport: None,
        };
        facts.plug(&intent, PortId(Uuid::from_u128(n % PORTS)), plugged);
    }
    facts.place_gateways(&intent);
    (intent, facts)
}

fn caller() -> impl Strategy<Value = Caller> {
    let roles = prop_oneof![
        Just("admin"),
        Just("reader"),
        Just("reader"),
        Just("service"),
        Just("")
    ];
    let project = prop_oneof![Just(None), prop::sample::select(&TEXTS[..]).prop_map(Some)];
    (roles, project).prop_map(|(roles, project)| {
        Caller::new(project.map(str::to_owned), Roles::named(roles.split(',')))
    })
}

/// A condition that lists of any kind may have. Those that a kind does not know are dropped.
fn condition() -> impl Strategy<Value = (String, String)> {
    let texts = prop::sample::select(vec![
        "name",
        "project_id",
        "tenant_id",
        "device_id",
        "binding:host_id",
        "target_tenant",
        "remote_group_id",
    ]);
    let ids = prop::sample::select(vec![
        "id",
        "network_id",
        "security_groups",
        "security_group_id",
        "remote_group_id",
        "object_id",
        "device_id",
    ]);
    let others = vec![
        ("mac_address", "02:00:00:00:00:01"),
        ("mac_address", "nonsense"),
        ("fixed_ips", "ip_address=2001:db8::1"),
        ("fixed_ips", "ip_address=2001:db8::2"),
        ("fixed_ips", "ip_address=::1"),
        ("fixed_ips", "ip_address=nonsense"),
        ("fixed_ips", "ip_address_substr=db8"),
        (
            "fixed_ips",
            "subnet_id=00000000-0000-0000-0000-000000000001",
        ),
        ("fixed_ips", "nonsense"),
        ("status", "DOWN"),
        ("admin_state_up", "true"),
        ("target_tenant", "*"),
        ("id", "nonsense"),
        ("shared", "True"),
        ("shared", "1"),
        ("shared", "false"),
        ("router:external", "true"),
        ("router:external", "False"),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    prop_oneof![
        (texts, prop::sample::select(&TEXTS[..])).prop_map(owned),
        (ids, 0..6_u128).prop_map(|(name, id)| (name.to_owned(), Uuid::from_u128(id).to_string())),
        prop::sample::select(others).prop_map(owned),
    ]
}

fn order() -> impl Strategy<Value = (String, String)> {
    let keys = prop::sample::select(vec![
        "id",
        "name",
        "created_at",
        "project_id",
        "network_id",
        "device_id",
        "status",
        "fixed_ips",
        "binding:host_id",
    ]);
    let directions = prop::sample::select(vec!["asc", "desc"]);
    (keys, directions).prop_map(|(key, direction)| (key.to_owned(), direction.to_owned()))
}

/// What the caller asks for besides conditions.
fn page() -> impl Strategy<Value = Vec<(String, String)>> {
    let order = prop::collection::vec(order(), 0..3);
    let limit = prop::option::of(0..6_usize);
    let marker = prop::option::of(0..PORTS + 2);
    (order, limit, marker, any::<bool>()).prop_map(|(order, limit, marker, reverse)| {
        let mut given = Vec::new();
        for (key, direction) in order {
            given.push(("sort_key".to_owned(), key));
            given.push(("sort_dir".to_owned(), direction));
        }
        given.extend(limit.map(|limit| ("limit".to_owned(), limit.to_string())));
        let marker = marker.map(|n| Uuid::from_u128(n).to_string());
        given.extend(marker.map(|marker| ("marker".to_owned(), marker)));
        if reverse {
            given.push(("page_reverse".to_owned(), "true".to_owned()));
        }
        given
    })
}

/// The query without what this kind does not know.
fn known<R: Exceptions>(given: &[(String, String)]) -> Query<R> {
    let known = |name: &str| R::attributes().any(|attribute| attribute.is_known_as(name));
    let mut kept: Vec<(String, String)> = Vec::new();
    let mut skipped = false;
    for (name, value) in given {
        // The direction of an order follows it.
        skipped = match name.as_str() {
            "sort_key" => !known(value),
            "sort_dir" => skipped,
            name => !parse::RESERVED.contains(&name) && !known(name),
        };
        if !skipped {
            kept.push((name.clone(), value.clone()));
        }
    }
    Query::of(kept).unwrap()
}

/// The page as a look at every resource and a sort of all of them find it.
fn by_full_scan<R: Exceptions>(
    query: &Query<R>,
    view: ResourceView<'_>,
) -> Result<Vec<R::Id>, ApiError> {
    let filters = Filters::<R>::of(&query.conditions);
    let all = R::table(view.intent).values();
    let mut items: Vec<&Arc<R>> = all
        .filter(|resource| filters.hold(resource, view))
        .collect();
    let keys = |resource: &Arc<R>| -> Vec<Value> {
        let hidden = view.caller.hidden(view.intent, &**resource);
        let keys = query.order.iter();
        keys.map(|(attribute, _)| shown_value(attribute, &**resource, view.with_numbers(), &hidden))
            .collect()
    };
    items.sort_by(|a, b| {
        let pairs = keys(a).into_iter().zip(keys(b)).zip(&query.order);
        let orderings = pairs.map(|((a, b), (_, direction))| match direction {
            SortDirection::Ascending => compare(&a, &b),
            SortDirection::Descending => compare(&a, &b).reverse(),
        });
        orderings.fold(Ordering::Equal, Ordering::then)
    });
    let mut ids: Vec<R::Id> = items.iter().map(|item| item.id()).collect();
    if let Some(marker) = &query.marker {
        if query.order.is_empty() {
            let marker = view.caller.find::<R>(view.intent, marker)?.id();
            match query.reverse {
                true => ids.retain(|id| *id < marker),
                false => ids.retain(|id| *id > marker),
            }
        } else {
            let at = ids.iter().position(|id| id.to_string() == *marker);
            let at = at.ok_or_else(|| R::missing(marker))?;
            ids = match query.reverse {
                true => ids[..at].to_vec(),
                false => ids[at + 1..].to_vec(),
            };
        }
    }
    let most = query.limit.unwrap_or(usize::MAX).min(ids.len());
    Ok(match query.reverse {
        true => ids[ids.len() - most..].to_vec(),
        false => ids[..most].to_vec(),
    })
}

/// The page as the API finds it, a portion of so many resources at a time.
fn by_portions<R: Exceptions>(
    query: &Query<R>,
    view: ResourceView<'_>,
    most: usize,
) -> Result<Vec<R::Id>, ApiError> {
    let mut stage = Some(query.begin(view)?);
    let mut ids = Vec::new();
    while let Some(present) = stage {
        let advance = present.advance(query, view, most);
        assert!(advance.cost <= most);
        ids.extend(advance.found.iter().map(|resource| resource.id()));
        stage = advance.next;
    }
    Ok(ids)
}

fn compare_ways<R: Exceptions>(
    given: &[(String, String)],
    view: ResourceView<'_>,
    most: usize,
) -> Result<(), TestCaseError> {
    let query = known::<R>(given);
    let wanted = by_full_scan(&query, view).map_err(|error| error.message);
    let found = by_portions(&query, view, most).map_err(|error| error.message);
    prop_assert_eq!(
        wanted.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>()),
        found.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>())
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn an_index_changes_no_list(
        ports in prop::collection::vec(any::<Seed>(), 0..32),
        others in prop::collection::vec(any::<Seed>(), 0..24),
        caller in caller(),
        conditions in prop::collection::vec(condition(), 0..4),
        page in page(),
        most in 1..40_usize,
    ) {
        let (intent, facts) = cloud(&ports, &others);
        let view = ResourceView { intent: &intent, facts: &facts, caller: &caller, lengths: Lengths::Text };
        let given = [conditions, page].concat();
        compare_ways::<Port>(&given, view, most)?;
        compare_ways::<Network>(&given, view, most)?;
        compare_ways::<Subnet>(&given, view, most)?;
        compare_ways::<Router>(&given, view, most)?;
        compare_ways::<SecurityGroup>(&given, view, most)?;
        compare_ways::<SecurityGroupRule>(&given, view, most)?;
        compare_ways::<RbacPolicy>(&given, view, most)?;
    }
}
