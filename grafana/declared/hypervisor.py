"""One hypervisor, or some: its flows, what it drops, its tunnels, and what is done to it."""

from .kit import (
    Board,
    Row,
    by_hypervisor,
    coloured,
    lines,
    missing,
    or_zero,
    quantiles,
    red,
    red_where,
    stat,
    table,
)

# A row of 0 for each hypervisor that is chosen.
NONE = "0 * sum by (chassis) (sextant_flows_wanted{@@})"

BOARD = Board(
    uid="sextant-hypervisor",
    title="Sextant: hypervisor",
    about="The hypervisors that are chosen at the top: their flows, drops, tunnels, and what Sextant does there.",
    by_hypervisor=True,
    rows=[
        Row(
            "The hypervisors that are chosen",
            [
                stat(
                    "Flows",
                    "Flows that the switches should have, and those that they refused, which are left out. Left out is 0 in a "
                    "healthy cloud: `sextant facts refused` says what the switch lacks.",
                    [("wanted", "sum(sextant_flows_wanted{@@})"), ("left out", or_zero("sum(sextant_flows_refused{@@})"))],
                    width=5,
                    overrides=[missing("left out")],
                ),
                stat(
                    "Gateways here",
                    "Routers' external gateways that these hypervisors have. 0 where none has a bridge of an external network.",
                    [("gateways", or_zero("sum(max by (chassis) (sextant_gateways{@@}))"))],
                    width=4,
                ),
                stat(
                    "Tunnels",
                    "BFD sessions of these hypervisors, and those that are not up: with `bfd = true` in `[tunnel]`, else both"
                    " are 0. The table below names the peers.",
                    [
                        ("watched", or_zero("count(sextant_tunnel_bfd_state{@@})")),
                        ("not up", or_zero("count(sextant_tunnel_bfd_state{@@} < 3)")),
                    ],
                    width=5,
                    overrides=[missing("not up")],
                ),
                stat(
                    "Next hops",
                    "Next hops on external networks that these hypervisors know, and those that do not answer. `sextant"
                    " neighbors` names them.",
                    [
                        ("known", or_zero("sum(sextant_next_hops{@@})")),
                        ("silent", or_zero('sum(sextant_next_hops{@@, state=~"incomplete|unreachable"})')),
                    ],
                    width=5,
                    overrides=[missing("silent")],
                ),
                stat(
                    "Certificate ends in",
                    "How long the certificates of these hypervisors hold. 0, in no colour, without TLS. From 14 days on, renew"
                    " it with `ovs-vsctl set-ssl`.",
                    [
                        (
                            "certificate",
                            or_zero(
                                'min(sextant_certificate_not_after_seconds{@, whose=~"$chassis",'
                                ' whose!~"tls[.].*|hypervisor_tls[.].*"} - time())'
                            ),
                        )
                    ],
                    unit="s",
                    width=5,
                    base="red",
                    steps=[("text", 0), ("red", 1), ("green", 14 * 86400)],
                ),
                lines(
                    "Flows wanted by hypervisor",
                    "How many flows each switch should have. Compare with `ovs-ofctl -O OpenFlow13 dump-aggregate"
                    " br-int` there: the two must agree when nothing changes. With `metrics_per_hypervisor = "
                    "false` there is one line, without a name, for all hypervisors.",
                    [("{{chassis}}", "sum by (chassis) (sextant_flows_wanted{@@})")],
                    width=12,
                    fill=0,
                ),
                lines(
                    "Flows left out",
                    "Flows that switches refused, by hypervisor and what its switch or datapath lacks; all other "
                    "flows are in. Always 0 in a healthy cloud. `openstack network agent show` has the same "
                    "(`missing`, `refused_flows`, `ports_down`), and the log names the flow (`switch refused a "
                    "flow`): a newer kernel or Open vSwitch, or another datapath, has what is missing. With "
                    "`metrics_per_hypervisor = false` there is one line, without a name, for all hypervisors.",
                    [
                        (
                            "{{chassis}} {{missing}}",
                            or_zero("sum by (chassis, missing) (sextant_flows_refused{@@})", chassis="none"),
                        )
                    ],
                    width=12,
                    steps=red(1),
                ),
            ],
        ),
        Row(
            "Drops",
            [
                lines(
                    "Packets dropped, by stage",
                    "Packets a second that no flow of a stage took, by hypervisor and stage. Scans and stray "
                    "packets make some always. `guard`: a guest sends from another MAC or address than its "
                    "port's, or acts as router or DHCP server. `egress rules`, `ingress rules`: no security group"
                    " allows it. When a guest does not reach others and a line rises: `sextant why PORT`, and "
                    "`sextant trace` for one packet. Read from the switches every 10 seconds. With "
                    "`metrics_per_hypervisor = false` the lines are of all hypervisors.",
                    [("{{chassis}} {{stage}}", "sum by (chassis, stage) (rate(sextant_packets_dropped_total{@@}[@]))")],
                    unit="pps",
                    width=24,
                ),
            ],
        ),
        Row(
            "Tunnels",
            [
                lines(
                    "Packets from unknown endpoints",
                    "Packets a second that came to a hypervisor through a tunnel from an address that no "
                    "hypervisor has, and were dropped. Always 0 in a healthy cloud; for a moment when an endpoint"
                    " changes, a few. Otherwise a hypervisor that was forgotten still sends, or somebody else "
                    "does: capture on the underlay of that hypervisor. Read from the switches every 10 seconds. "
                    "With `metrics_per_hypervisor = false` there is one line, without a name, for all "
                    "hypervisors.",
                    [("{{chassis}}", "sum by (chassis) (rate(sextant_tunnel_unknown_endpoint_packets_total{@@}[@]))")],
                    unit="pps",
                ),
                lines(
                    "Tunnels missing",
                    "Pairs of hypervisors without a working tunnel, of all hypervisors. Either they share no IP "
                    "version of endpoints: give one of them both. Or one hears nothing from the other by BFD: "
                    "look at the underlay between them. `sextant facts tunnels` and `openstack network agent "
                    "show` (`no_tunnel_to`) name the peers.",
                    [("pairs", "max(sextant_tunnels_missing{@})")],
                    steps=red(1),
                ),
                lines(
                    "BFD sessions not up",
                    "Directions between two hypervisors in which the underlay does not carry what it should, as "
                    "BFD sees it (with `bfd = true` in `[tunnel]`). Always 0 in a healthy cloud; one hypervisor "
                    "in all of them is that one, all of them the underlay. With `metrics_per_hypervisor = false` "
                    "nothing is known here, and it is always 0: `sextant_tunnels_missing` counts the pairs then.",
                    [("{{chassis}}", f"count by (chassis) (sextant_tunnel_bfd_state{{@@}} < 3) or {NONE}")],
                    steps=red(1),
                ),
                table(
                    "Peers that are not heard",
                    "A row for each direction in which BFD is not up: `chassis` does not hear `peer`. Both names lead to their"
                    " dashboards. One peer in all rows is that hypervisor; all of them are the underlay. `none`: all is well,"
                    " or BFD is off.",
                    [("state", or_zero("sum by (chassis, peer) (sextant_tunnel_bfd_state{@@} < 3)", chassis="none"))],
                    width=12,
                    links=[by_hypervisor(), by_hypervisor("peer")],
                ),
                lines(
                    "Tunnel endpoints in doubt",
                    "Hypervisors whose `sextant-encap-ip` another has, too (`shared`), or at which nobody can "
                    "reach them (`impossible`). The log names them.",
                    [("{{reason}}", "sum by (reason) (sextant_tunnel_endpoints_doubtful{@})")],
                    width=12,
                    steps=red(1),
                ),
            ],
        ),
        Row(
            "Programming, of all hypervisors",
            [
                lines(
                    "Flow operations, sessions woken",
                    "Flows added to and deleted from switches, by what the switch said. Anything `refused` is a "
                    "fault: the log has the switch's error (`switch refused a change of its flows`); Sextant "
                    "reads the switch back and tries again by itself. A session is woken by a change that "
                    "concerns its hypervisor: many more of these than flows are changes of something that flows "
                    "do not show.",
                    [
                        (
                            "{{operation}} {{outcome}}",
                            "sum by (operation, outcome) (rate(sextant_flow_operations_total{@}[@]))",
                        ),
                        ("sessions woken", "sum(rate(sextant_switch_sessions_woken_total{@}[@]))"),
                    ],
                    unit="ops",
                    overrides=[coloured("byRegexp", "/refused/", "red")],
                ),
                lines(
                    "Time for a switch to confirm a change",
                    "From sending a bundle of flow changes to the barrier's answer; a port turns ACTIVE after it."
                    " Above a second, ovs-vswitchd is short of CPU: look at `top` and `ovs-appctl coverage/show` "
                    "on the hypervisor.",
                    quantiles("sextant_reconcile_duration_seconds"),
                    unit="s",
                    fill=0,
                    steps=red(1),
                ),
                lines(
                    "What switches get wrong",
                    "Messages that are no OpenFlow, that a switch refused, or that are too long to be sent. "
                    "Always 0 in a healthy cloud: a switch of another version or make, or something that is no "
                    "switch. The log names a few of them per session (`switch sent what is no OpenFlow`, `switch "
                    "refused a message`).",
                    [("{{kind}}", "sum by (kind) (rate(sextant_openflow_errors_total{@}[@]))")],
                    unit="ops",
                ),
                lines(
                    "OVSDB transactions",
                    "Changes that Sextant makes in hypervisors' databases: bridges, controllers, tunnel ports. "
                    "Rare in a settled cloud. `refused`: the log has the database's reason (`hypervisor needs "
                    "attention`). A steady rate of `confirmed` is somebody else undoing what Sextant sets.",
                    [("{{outcome}}", "sum by (outcome) (rate(sextant_ovsdb_transactions_total{@}[@]))")],
                    unit="ops",
                    width=12,
                    overrides=[red_where("refused")],
                ),
                lines(
                    "Flows refused, with the whole change",
                    "Flows that a switch refused together with all that was in the same change. Always 0 in a healthy cloud:"
                    " the log has the switch's error (`switch refused a change of its flows`).",
                    [("{{operation}}", 'sum by (operation) (rate(sextant_flow_operations_total{@, outcome="refused"}[@]))')],
                    unit="ops",
                    width=12,
                ),
            ],
        ),
    ],
)
