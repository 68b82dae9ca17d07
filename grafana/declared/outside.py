"""The outside: gateways, next hops, what is published there, delegated prefixes."""

from .kit import Board, Row, by_hypervisor, lines, missing, or_zero, stat, table

# A row of 0 for each hypervisor.
NONE = "0 * sum by (chassis) (sextant_flows_wanted{@@})"

BOARD = Board(
    uid="sextant-outside",
    title="Sextant: outside",
    about="The ways out of the cloud: routers' gateways, next hops, addresses that are published, delegated prefixes.",
    by_hypervisor=True,
    rows=[
        Row(
            "Gateways",
            [
                stat(
                    "Gateways",
                    "Routers' external gateways that a hypervisor has, and those that none can have: no hypervisor that is"
                    " connected has a bridge of their physical network (`external_ids:sextant-bridge-mappings`).",
                    [
                        ("placed", or_zero("sum(max by (chassis) (sextant_gateways{@}))")),
                        ("missing", "max(sextant_gateways_nowhere{@})"),
                    ],
                    width=8,
                    overrides=[missing()],
                ),
                stat(
                    "Next hops that answer",
                    "Next hops on external networks that answer or are asked again, and those that do not. `sextant neighbors`"
                    " names them.",
                    [
                        ("answer", or_zero('sum(sextant_next_hops{@@, state=~"reachable|stale|probe"})')),
                        ("silent", or_zero('sum(sextant_next_hops{@@, state=~"incomplete|unreachable"})')),
                    ],
                    width=8,
                    overrides=[missing("silent")],
                ),
                stat(
                    "Subnets with their prefix",
                    "Subnets whose router asks for a prefix: those that a server has delegated one, and those that wait"
                    " for it.",
                    [
                        ("delegated", 'max(sextant_delegated_subnets{@, state="delegated"})'),
                        ("missing", 'max(sextant_delegated_subnets{@, state="waiting"})'),
                    ],
                    width=8,
                    overrides=[missing()],
                ),
                lines(
                    "Gateways by hypervisor",
                    "Routers' external gateways on each hypervisor. They are spread evenly over those of the "
                    "highest `sextant-gateway-priority` that have a bridge of the external network; a hypervisor "
                    "that is gone has none until it is back. With `metrics_per_hypervisor = false` there is one "
                    "line, without a name, for all hypervisors.",
                    [("{{chassis}}", "max by (chassis) (sextant_gateways{@@})")],
                    width=12,
                    fill=0,
                ),
                lines(
                    "Gateways that move",
                    "Routers' external gateways that went from one hypervisor to another. 0 in a settled cloud: a"
                    " burst is a hypervisor that is gone or back, or whose priority or mappings changed (the log "
                    "says `hypervisor is gone`). One burst after the other is a hypervisor whose connection comes"
                    " and goes: look at it, and at `[gateway] gone_after`.",
                    [("moves", "max(rate(sextant_gateway_moves_total{@}[@]))")],
                    unit="ops",
                    width=12,
                ),
                table(
                    "Gateways and next hops, by hypervisor",
                    "A row for each hypervisor: how many gateways it has, and how many of its next hops answer and do not. The"
                    " name leads to the hypervisor's dashboard.",
                    [
                        ("gateways", f"max by (chassis) (sextant_gateways{{@@}}) or {NONE}"),
                        ("next hops", f"sum by (chassis) (sextant_next_hops{{@@}}) or {NONE}"),
                        ("silent", f'sum by (chassis) (sextant_next_hops{{@@, state=~"incomplete|unreachable"}}) or {NONE}'),
                    ],
                    width=24,
                    links=[by_hypervisor()],
                ),
            ],
        ),
        Row(
            "Next hops",
            [
                lines(
                    "Next hops by state",
                    "Next hops on external networks by their state of Neighbor Unreachability Detection (RFC "
                    "4861). `reachable` and `stale` are everyday life. What stays `incomplete` or `unreachable` "
                    "does not answer: `sextant neighbors` names it; look at the router outside and at the bridge "
                    "of that hypervisor.",
                    [("{{state}}", "sum by (state) (sextant_next_hops{@@})")],
                    width=12,
                    fill=0,
                ),
                lines(
                    "Packets from outside",
                    "Packets of external networks that show next hops, or wait for one, by type and outcome. A "
                    "steady trickle is Router Advertisements and answers of neighbours; what is refused is not as"
                    " the RFCs want it, and a surge of it is a machine outside to look for.",
                    [("{{type}} {{outcome}}", "sum by (type, outcome) (rate(sextant_outside_packets_total{@}[@]))")],
                    unit="ops",
                    width=12,
                ),
            ],
        ),
        Row(
            "Addresses that are published",
            [
                lines(
                    "Addresses that are not published outside",
                    "Addresses of guests that `nd-proxy` leaves out, by reason: nobody gave their prefix out, it "
                    "is of the external network itself, or others have the address, too.",
                    [
                        ("{{reason}}", or_zero("sum by (reason) (sextant_unpublished_addresses{@@})", reason="none")),
                    ],
                    width=24,
                ),
            ],
        ),
        Row(
            "Delegated prefixes",
            [
                lines(
                    "Delegated prefixes",
                    "Subnets for whose prefixes a router asks. Those that stay `waiting` have no answer of a "
                    "DHCPv6 server on the external network, or one that Sextant cannot use: see the log for `the "
                    "subnet cannot have the delegated prefix`.",
                    [("{{state}}", "max by (state) (sextant_delegated_subnets{@})")],
                    width=12,
                    fill=0,
                ),
                lines(
                    "Changes of delegated prefixes",
                    "What became of prefixes that are delegated. `renumbered` gives guests other addresses: a "
                    "server that does so often forgets what it delegated. `refused` overlap another subnet's "
                    "prefix.",
                    [("{{change}}", "sum by (change) (rate(sextant_delegation_changes_total{@}[@]))")],
                    unit="ops",
                    width=12,
                ),
                lines(
                    "DHCPv6 clients by state",
                    "Clients that ask for prefixes, by state. Those that are `soliciting` for long find no server"
                    " that delegates; `rebinding` ones have lost theirs, and their prefixes end.",
                    [("{{state}}", "sum by (state) (sextant_delegation_clients{@@})")],
                    width=12,
                    fill=0,
                ),
                lines(
                    "DHCPv6 messages about prefixes",
                    "What clients send to delegating servers, and what these answer. Solicits without an "
                    "Advertise mean that no server hears them, or none has a prefix.",
                    [("{{type}} {{outcome}}", "sum by (type, outcome) (rate(sextant_delegation_messages_total{@}[@]))")],
                    unit="ops",
                    width=12,
                ),
            ],
        ),
    ],
)
