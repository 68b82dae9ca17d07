//! What each state makes of each message: RFC 4861 §7.2.5 and appendix C.

use super::*;

/// A next hop in each state at 10 s, with the MAC `OLD` where it has one.
fn in_state(state: NeighborState) -> NeighborCache {
    let now = after(10_000);
    let mut cache = NeighborCache::new(Timing::default());
    let remembered = (state != NeighborState::Incomplete).then_some(OLD);
    cache.want(target(), remembered, now, LONG);
    let polls = match state {
        NeighborState::Incomplete | NeighborState::Reachable | NeighborState::Probe => 1,
        NeighborState::Stale => 0,
        NeighborState::Unreachable => 4,
    };
    for at in 0..polls {
        due(&mut cache, now + Duration::from_secs(at));
    }
    if state == NeighborState::Reachable {
        hear(&mut cache, now, &advertised(SOLICITED, None));
    }
    assert_eq!(neighbor(&cache).state(), state);
    cache
}

/// The state, with `?` without a MAC and `'` with the MAC `NEW`.
fn outcome(mut cache: NeighborCache, frame: &[u8]) -> String {
    hear(&mut cache, after(20_000), frame);
    let neighbor = neighbor(&cache);
    let mark = match neighbor.mac() {
        None => "?",
        Some(NEW) => "'",
        Some(_) => "",
    };
    format!("{}{mark}", neighbor.state().as_str())
}

const STATES: [NeighborState; 5] = [
    NeighborState::Incomplete,
    NeighborState::Reachable,
    NeighborState::Stale,
    NeighborState::Probe,
    NeighborState::Unreachable,
];

/// A state; Solicited and Override; then what follows without a MAC, with the known one, with another.
const RULES: [(&str, u8, [&str; 3]); 20] = [
    ("incomplete", 0, ["incomplete?", "stale", "stale'"]),
    ("incomplete", OVERRIDE, ["incomplete?", "stale", "stale'"]),
    (
        "incomplete",
        SOLICITED,
        ["incomplete?", "reachable", "reachable'"],
    ),
    (
        "incomplete",
        SOLICITED | OVERRIDE,
        ["incomplete?", "reachable", "reachable'"],
    ),
    ("reachable", 0, ["reachable", "reachable", "stale"]),
    ("reachable", OVERRIDE, ["reachable", "reachable", "stale"]),
    ("reachable", SOLICITED, ["reachable", "reachable", "stale"]),
    (
        "reachable",
        SOLICITED | OVERRIDE,
        ["reachable", "reachable", "stale"],
    ),
    ("stale", 0, ["stale", "stale", "stale"]),
    ("stale", OVERRIDE, ["stale", "stale", "stale'"]),
    ("stale", SOLICITED, ["reachable", "reachable", "stale"]),
    (
        "stale",
        SOLICITED | OVERRIDE,
        ["reachable", "reachable", "reachable'"],
    ),
    ("probe", 0, ["probe", "probe", "probe"]),
    ("probe", OVERRIDE, ["probe", "probe", "stale'"]),
    ("probe", SOLICITED, ["reachable", "reachable", "probe"]),
    (
        "probe",
        SOLICITED | OVERRIDE,
        ["reachable", "reachable", "reachable'"],
    ),
    ("unreachable", 0, ["unreachable", "unreachable", "stale'"]),
    (
        "unreachable",
        OVERRIDE,
        ["unreachable", "unreachable", "stale'"],
    ),
    (
        "unreachable",
        SOLICITED,
        ["reachable", "reachable", "reachable'"],
    ),
    (
        "unreachable",
        SOLICITED | OVERRIDE,
        ["reachable", "reachable", "reachable'"],
    ),
];

/// RFC 4861 §7.2.5 and appendix C, but that one which answered has another MAC only once it answers there. Unreachable, which
/// RFC 7048 adds, takes any MAC.
#[test]
fn advertisements_do_what_their_flags_say() {
    for (name, flags, expected) in RULES {
        let state = STATES.into_iter().find(|state| state.as_str() == name);
        let got = [None, Some(OLD), Some(NEW)]
            .map(|mac| outcome(in_state(state.unwrap()), &advertised(flags, mac)));
        assert_eq!(got, expected, "{name}, flags {flags:#x}");
    }
}

/// RFC 4861 §7.2.3, §6.2.6, §6.3.4: the sender's own word on its MAC.
#[test]
fn a_source_link_layer_address_makes_stale_what_it_changes() {
    let kinds: [fn(MacAddr) -> Vec<u8>; 3] = [
        asking,
        |mac| router(NEXT_HOP, 0, 1800, &option(1, mac)),
        |mac| {
            icmpv6(
                NEXT_HOP,
                address("ff02::2"),
                133,
                &[&[0; 4][..], &option(1, mac)].concat(),
            )
        },
    ];
    for kind in kinds {
        for state in STATES {
            let unchanged = match state {
                NeighborState::Incomplete => "stale",
                other => other.as_str(),
            };
            assert_eq!(outcome(in_state(state), &kind(OLD)), unchanged);
            let changed = match state {
                NeighborState::Reachable => "stale",
                _ => "stale'",
            };
            assert_eq!(outcome(in_state(state), &kind(NEW)), changed);
        }
    }
}

#[test]
fn an_answer_to_another_gateway_port_confirms_nothing() {
    let body = about(SOLICITED | OVERRIDE, NEXT_HOP, &option(2, OLD));
    let overheard = icmpv6(NEXT_HOP, address("fe80::99"), 136, &body);
    assert_eq!(outcome(in_state(NeighborState::Stale), &overheard), "stale");
    assert_eq!(
        outcome(in_state(NeighborState::Incomplete), &overheard),
        "stale"
    );
    let arp_overheard = arp(2, OLD, NEXT_HOP4, [203, 0, 113, 77].into());
    let mut cache = NeighborCache::new(Timing::default());
    cache.want(target4(), None, after(0), LONG);
    let change = hear(&mut cache, after(0), &arp_overheard).unwrap();
    assert_eq!(
        (change.mac, change.state),
        (Some(OLD), NeighborState::Stale)
    );
}
