"""The first hop: Router Advertisements, Neighbor Discovery, DHCP, and what is dropped at the guest's port."""

from .kit import Board, Row, by_hypervisor, lines, or_zero, quantiles, red

BOARD = Board(
    uid="sextant-first-hop",
    title="Sextant: first hop",
    about="What guests ask at their first hop and what they are told: Router Advertisements, Neighbor Discovery, DHCP, drops.",
    by_hypervisor=True,
    rows=[
        Row(
            "What guests are told",
            [
                lines(
                    "Router Advertisements by cause",
                    "Advertisements sent. `periodic` is steady and grows with router ports times hypervisors; "
                    "`solicited` follows guests that start; `final` is a router port that went away. No "
                    "`periodic` while routers have ports: look at Hypervisors without a switch.",
                    [("{{cause}}", "sum by (cause) (rate(sextant_router_advertisements_total{@}[@]))")],
                    unit="pps",
                    width=12,
                    fill=40,
                    stacked=True,
                ),
                lines(
                    "DHCP by type and outcome",
                    "Messages of guests and what became of them; `v4` is DHCPv4. `noted` wants no answer; "
                    "`ignored` is well formed and the protocol says to be silent; `malformed` is not what the "
                    "protocol allows. `solicit` without `request` after it: the answer does not arrive, look at "
                    "the guest's security groups and its client's log.",
                    [
                        ("{{type}}: {{outcome}}", "sum by (type, outcome) (rate(sextant_dhcpv6_messages_total{@}[@]))"),
                        ("v4 {{type}}: {{outcome}}", "sum by (type, outcome) (rate(sextant_dhcpv4_messages_total{@}[@]))"),
                    ],
                    unit="pps",
                    width=12,
                    fill=40,
                    stacked=True,
                ),
                lines(
                    "Packets sent up, by punt",
                    "What switches send to the controller. Neighbor Solicitations are answered by flows and do "
                    "not show here, but for those that flows cannot answer. A guest is held to `rate` of `[punt]`"
                    " by a meter of its switch, so a plateau is one guest at its limit: find it with `ovs-ofctl "
                    "-O OpenFlow13 meter-stats br-int`. Errors of routers are on the dashboard network and "
                    "router.",
                    [("{{punt}}", "sum by (punt) (rate(sextant_packet_ins_total{@}[@]))")],
                    unit="pps",
                    width=12,
                    fill=40,
                    stacked=True,
                ),
                lines(
                    "Time to answer a packet",
                    "From taking a packet off the wire to queueing its answer. Guests notice above 100 ms. When "
                    "high: the process lacks CPU, or a flood (see Packets sent up).",
                    quantiles("sextant_punt_duration_seconds"),
                    unit="s",
                    width=12,
                    fill=0,
                    steps=red(0.1),
                ),
            ],
        ),
        Row(
            "Neighbor Discovery",
            [
                lines(
                    "Neighbor Discovery and ARP sent up",
                    "Solicitations that flows cannot answer (`neighbor_solicitation`, `bare_solicitation` without a link-layer"
                    " address), and what ports announce of addresses that several may have (`announced`, `unheld`). A few a"
                    " guest that starts; a surge is one guest to find with `ovs-ofctl -O OpenFlow13 meter-stats br-int`.",
                    [
                        (
                            "{{punt}}",
                            (
                                "sum by (punt) (rate(sextant_packet_ins_total{@,"
                                ' punt=~"neighbor_solicitation|bare_solicitation|announced|unheld"}[@]))'
                            ),
                        )
                    ],
                    unit="pps",
                    width=24,
                ),
            ],
        ),
        Row(
            "Dropped and refused",
            [
                lines(
                    "Packets refused, by reason",
                    "Packets that got no answer and why. A few are everyday life (a guest's odd client, a packet "
                    "that arrives while its flow is replaced). A surge of one reason is a broken or hostile "
                    "guest; set the log to DEBUG to see which. `no punt has this cookie` that lasts means that a "
                    "switch has flows which Sextant did not compute.",
                    [
                        (
                            "{{punt}} {{reason}}",
                            or_zero("sum by (punt, reason) (rate(sextant_packet_ins_refused_total{@}[@]))", reason="none"),
                        ),
                    ],
                    unit="pps",
                    width=12,
                    fill=40,
                    stacked=True,
                    steps=red(10),
                ),
                lines(
                    "Dropped at the guest's port",
                    "Packets a second that the port's guard or its security groups dropped, by hypervisor and stage. `guard`:"
                    " from another MAC or address than the port's, or what only routers and DHCP servers send. `sextant why"
                    " PORT` counts them for one port.",
                    [
                        (
                            "{{chassis}} {{stage}}",
                            or_zero(
                                "sum by (chassis, stage) (rate(sextant_packets_dropped_total{@@,"
                                ' stage=~"guard|egress.*|ingress.*"}[@]))',
                                chassis="none",
                            ),
                        )
                    ],
                    unit="pps",
                    width=12,
                ),
                lines(
                    "DHCP options left out",
                    "Entries of `extra_dhcp_opts` that cannot be sent, by IP version: the API shows them, guests "
                    "do not get them.",
                    [
                        (
                            "IPv{{ip_version}}",
                            or_zero("sum by (ip_version) (sextant_dhcp_options_left_out{@})", ip_version="6"),
                        ),
                    ],
                    width=12,
                ),
                lines(
                    "DHCP messages that get no answer",
                    "DHCP messages of guests with another outcome than an answer or a note. `ignored`: the protocol says to be"
                    " silent. `malformed`: the guest's client is broken. `sextant events PORT` has the last messages of one"
                    " port.",
                    [
                        (
                            "{{type}}: {{outcome}}",
                            or_zero(
                                'sum by (type, outcome) (rate(sextant_dhcpv6_messages_total{@, outcome!~"answered|noted"}[@]))',
                                type="none",
                            ),
                        ),
                        (
                            "v4 {{type}}: {{outcome}}",
                            or_zero(
                                'sum by (type, outcome) (rate(sextant_dhcpv4_messages_total{@, outcome!~"answered|noted"}[@]))',
                                type="none",
                            ),
                        ),
                    ],
                    unit="pps",
                    width=12,
                ),
            ],
        ),
    ],
)
