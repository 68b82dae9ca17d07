"""Is everything there, and what is not as it should be?"""

from .kit import Board, RUNBOOK, Row, by_hypervisor, in_percent, lines, missing, or_zero, red, stat, table

# How many hypervisors are usual: the median of two hours forgives restarts, as the alert does.
USUAL = "max(quantile_over_time(0.5, sextant_hypervisors_connected{@}[2h]))"
HYPERVISORS = "max(sextant_hypervisors_connected{@})"
SWITCHES = "max(sextant_switches_connected{@})"
# A row of 0 for each hypervisor.
NONE = "0 * sum by (chassis) (sextant_flows_wanted{@})"
BOUND, ACTIVE = "max(sextant_ports_bound{@})", "max(sextant_ports_active{@})"

BOARD = Board(
    uid="sextant",
    title="Sextant: overview",
    about="Is everything there, and what is not as it should be? The other dashboards say more of each part.",
    rows=[
        Row(
            "Overview",
            [
                stat(
                    "Alerts firing",
                    "Sextant's alerts that fire in this Prometheus, for all instances. When not 0: the table below names them,"
                    " and each name leads to its runbook.",
                    [("Alerts firing", or_zero('count(ALERTS{alertstate="firing", alertname=~"Sextant.+"})'))],
                    background=True,
                    steps=red(1),
                ),
                stat(
                    "Hypervisors",
                    "Hypervisors whose database (OVSDB) is connected to Sextant, and how many fewer these are than usual in the"
                    " last two hours. On a missing one, look at `ovs-vsctl show` (is_connected below Manager), the route to the"
                    " controller and the TLS or plaintext setting.",
                    [("connected", HYPERVISORS), ("missing", f"clamp_min({USUAL} - {HYPERVISORS}, 0)")],
                    width=4,
                    base="red",
                    steps=[("green", 1)],
                    overrides=[missing()],
                ),
                stat(
                    "Switches",
                    "Open vSwitch bridges whose OpenFlow session is up, and how many fewer these are than hypervisors.",
                    [("connected", SWITCHES), ("missing", f"clamp_min({HYPERVISORS} - {SWITCHES}, 0)")],
                    width=4,
                    base="red",
                    steps=[("green", 1)],
                    overrides=[missing()],
                ),
                stat(
                    "Hypervisors without a switch",
                    "Databases connected minus switches connected. Above 0 for more than a moment, guests on some"
                    " hypervisor keep what flows they have and get nothing new: look for `switch disconnected` or"
                    " `hypervisor needs attention` in the log, and whether ovs-vswitchd runs there. Below 0, a "
                    "database connection is missing.",
                    [
                        (
                            "Hypervisors without a switch",
                            "max(sextant_hypervisors_connected{@}) - max(sextant_switches_connected{@})",
                        ),
                    ],
                    base="red",
                    steps=[("green", 0), ("red", 1)],
                ),
                stat(
                    "Ports bound",
                    "Ports that exist in the API and whose interface a hypervisor has plugged in.",
                    [("Ports bound", BOUND)],
                ),
                stat(
                    "Ports not active",
                    "Bound ports whose flows no switch has confirmed yet, and their share of all that are bound. A moment after"
                    " a start this is normal. If it stays, `sextant status` names them and `sextant why PORT` says why.",
                    [("not active", f"{BOUND} - {ACTIVE}"), ("share", or_zero(f"(({BOUND} - {ACTIVE}) / ({BOUND} > 0))"))],
                    width=4,
                    steps=[("orange", 1), ("red", 20)],
                    overrides=[missing("share", 0.05), in_percent("share")],
                ),
                stat(
                    "Flows wanted",
                    "Flows that all switches together should have.",
                    [("Flows wanted", "sum(sextant_flows_wanted{@})")],
                ),
                lines(
                    "Hypervisors and switches",
                    "Both lines should lie on each other. A dip of both is the network between controller and "
                    "hypervisors, or a restart of Sextant; a dip of the switches alone is ovs-vswitchd.",
                    [
                        ("hypervisors", "max(sextant_hypervisors_connected{@})"),
                        ("switches", "max(sextant_switches_connected{@})"),
                        ("usual", "max(quantile_over_time(0.5, sextant_hypervisors_connected{@}[2h]))"),
                    ],
                    width=12,
                    fill=0,
                ),
                lines(
                    "Ports bound and active",
                    "Active should follow bound within seconds. A gap that stays is guests without network: "
                    "`sextant status` names their ports.",
                    [("bound", "max(sextant_ports_bound{@})"), ("active", "max(sextant_ports_active{@})")],
                    width=12,
                    fill=0,
                ),
                table(
                    "Alerts that fire",
                    "A row for each alert of Sextant that fires. Its name leads to its runbook: what it means, where to look,"
                    " and how to mend it. `none`: no alert fires.",
                    [
                        (
                            "count",
                            or_zero(
                                'sum by (alertname, severity, instance) (ALERTS{alertstate="firing", alertname=~"Sextant.+"})',
                                alertname="none",
                            ),
                        )
                    ],
                    width=10,
                    links=[("alertname", RUNBOOK)],
                ),
                table(
                    "Hypervisors, by name",
                    "A row for each hypervisor; its name leads to its dashboard. `left out` are flows that its switch refused,"
                    " which should be 0. `dropped` are packets a second that no flow of a stage took. With"
                    " `metrics_per_hypervisor = false` there is one row for all.",
                    [
                        ("flows", "sum by (chassis) (sextant_flows_wanted{@})"),
                        ("left out", f"sum by (chassis) (sextant_flows_refused{{@}}) or {NONE}"),
                        ("gateways", f"max by (chassis) (sextant_gateways{{@}}) or {NONE}"),
                        ("dropped", f"sum by (chassis) (rate(sextant_packets_dropped_total{{@}}[@])) or {NONE}"),
                    ],
                    width=14,
                    links=[by_hypervisor()],
                    units=[("dropped", "pps")],
                ),
            ],
        ),
        Row(
            "Not as it should be",
            [
                stat(
                    "Should all be 0",
                    "What a cloud that is well has none of. Each has an alert with a runbook, and `sextant status` gives names:"
                    " begin there. The dashboards of hypervisors, networks, first hop, outside and API show when it began.",
                    [
                        ("ports not active", f"{BOUND} - {ACTIVE}"),
                        ("flows left out", or_zero("sum(sextant_flows_refused{@})")),
                        ("tunnels missing", "max(sextant_tunnels_missing{@})"),
                        ("tunnel endpoints in doubt", "sum(sextant_tunnel_endpoints_doubtful{@})"),
                        ("interfaces elsewhere", "sum(sextant_interfaces_elsewhere{@})"),
                        ("gateways nowhere", "max(sextant_gateways_nowhere{@})"),
                        ("next hops silent", or_zero('sum(sextant_next_hops{@, state=~"incomplete|unreachable"})')),
                        ("subnets without prefix", 'max(sextant_delegated_subnets{@, state="waiting"})'),
                        ("addresses held outside", or_zero('sum(sextant_unpublished_addresses{@, reason="held_by_others"})')),
                        ("ports Nova waits for", "sum(sextant_nova_events_waiting{@})"),
                        (
                            "certificates near their end",
                            or_zero("count(sextant_certificate_not_after_seconds{@} - time() < 14 * 86400)"),
                        ),
                        ("stores out of reach", or_zero("count(sextant_store_age_seconds{@} >= 5)")),
                    ],
                    width=24,
                    height=6,
                    steps=red(1),
                ),
                lines(
                    "Drift that was mended",
                    "What others changed on hypervisors, by kind: Sextant put it back. It should be none; "
                    "somebody runs `ovs-ofctl`, `ovs-vsctl` or another controller there. The log names the "
                    "hypervisor.",
                    [("{{kind}}", "sum by (kind) (rate(sextant_drift_mended_total{@}[@]))")],
                    unit="ops",
                    width=12,
                ),
                lines(
                    "Interfaces and gateways without a place",
                    "Interfaces whose port is bound to another hypervisor by `binding:host_id`, and external "
                    "gateways that no hypervisor can have: none has a bridge of their physical network.",
                    [
                        ("interfaces elsewhere", "sum(sextant_interfaces_elsewhere{@})"),
                        ("gateways nowhere", "max(sextant_gateways_nowhere{@})"),
                    ],
                    width=12,
                ),
            ],
        ),
    ],
)
