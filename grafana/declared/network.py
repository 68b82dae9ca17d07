"""Networks and routers: ports, what routers refuse, what is dropped between guests, tunnels."""

from .kit import Board, Row, by_hypervisor, lines, missing, or_zero, quantiles, red, stat, table

# A row of 0 for each hypervisor.
NONE = "0 * sum by (chassis) (sextant_flows_wanted{@@})"

BOARD = Board(
    uid="sextant-network",
    title="Sextant: network and router",
    about="Networks and routers as guests meet them: ports, what is dropped on the way, what routers answer with an error.",
    by_hypervisor=True,
    rows=[
        Row(
            "Ports and routers",
            [
                stat(
                    "Ports that are active",
                    "Bound ports whose flows are confirmed, and those that still lack them. `sextant status` names these.",
                    [
                        ("active", "max(sextant_ports_active{@})"),
                        ("missing", "max(sextant_ports_bound{@}) - max(sextant_ports_active{@})"),
                    ],
                    width=8,
                    overrides=[missing()],
                ),
                stat(
                    "Gateways with a place",
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
                    "Hypervisors without a tunnel",
                    "Pairs of hypervisors without a working tunnel: guests of one do not reach those of the other. "
                    "`sextant facts tunnels` names them.",
                    [("pairs", "max(sextant_tunnels_missing{@})")],
                    width=8,
                    steps=red(1),
                ),
                lines(
                    "Packets that routers do not forward",
                    "Packets of guests that routers did not forward or take, by reason and whether an ICMP error was sent. "
                    "`no_route`: the router has no way there. `packet_too_big` is path MTU discovery at work. A surge of "
                    "`time_exceeded` is a loop, or a traceroute. `sextant trace` follows one packet.",
                    [("{{type}}: {{outcome}}", "sum by (type, outcome) (rate(sextant_icmp_errors_total{@}[@]))")],
                    unit="pps",
                    width=12,
                ),
                lines(
                    "Dropped between guests",
                    "Packets a second that were dropped where they are switched, routed or filtered, by hypervisor and stage. "
                    "`switch`: nobody on the network has the MAC. `next hop`: nobody has the address. `egress rules`, "
                    "`ingress rules`: no rule of a security group allows it. `sextant why PORT` says which it is for one port.",
                    [
                        (
                            "{{chassis}} {{stage}}",
                            or_zero(
                                "sum by (chassis, stage) (rate(sextant_packets_dropped_total{@@,"
                                ' stage!~"guard|classify|tunnel.*|advertise.*"}[@]))',
                                chassis="none",
                            ),
                        )
                    ],
                    unit="pps",
                    width=12,
                ),
            ],
        ),
        Row(
            "Between hypervisors",
            [
                lines(
                    "Dropped where tunnels end",
                    "Packets a second that came through tunnels and were dropped before anything else, by hypervisor and stage:"
                    " from an endpoint that may not send there. 0 in a healthy cloud, but for a moment when an endpoint"
                    " changes.",
                    [
                        (
                            "{{chassis}} {{stage}}",
                            or_zero(
                                "sum by (chassis, stage) (rate(sextant_packets_dropped_total{@@,"
                                ' stage=~"classify|tunnel.*"}[@]))',
                                chassis="none",
                            ),
                        )
                    ],
                    unit="pps",
                    width=12,
                ),
                table(
                    "Tunnels by hypervisor",
                    "A row for each hypervisor: how many of its BFD sessions are not up, and packets a second from endpoints"
                    " that nobody has. Both are 0 in a healthy cloud; the name leads to the hypervisor's dashboard.",
                    [
                        ("sessions not up", f"count by (chassis) (sextant_tunnel_bfd_state{{@@}} < 3) or {NONE}"),
                        (
                            "from unknown",
                            f"sum by (chassis) (rate(sextant_tunnel_unknown_endpoint_packets_total{{@@}}[@])) or {NONE}",
                        ),
                    ],
                    width=12,
                    links=[by_hypervisor()],
                    units=[("from unknown", "pps")],
                ),
            ],
        ),
        Row(
            "Flows",
            [
                table(
                    "Flows by hypervisor",
                    "A row for each hypervisor: flows that its switch should have, and those that it refused. The name leads to"
                    " its dashboard.",
                    [
                        ("wanted", "sum by (chassis) (sextant_flows_wanted{@@})"),
                        ("left out", f"sum by (chassis) (sextant_flows_refused{{@@}}) or {NONE}"),
                    ],
                    width=12,
                    links=[by_hypervisor()],
                ),
                lines(
                    "Time to compute a difference",
                    "How long Sextant takes to find which flows a change asks for. It should not grow with the "
                    "cloud. When high: the process lacks CPU, or a change touches very many objects at once (a "
                    "router with many ports).",
                    quantiles("sextant_compute_duration_seconds"),
                    unit="s",
                    width=12,
                    fill=0,
                    steps=red(0.25),
                ),
            ],
        ),
    ],
)
