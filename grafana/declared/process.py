"""The processes: whether they run, who owns what, their connections, certificates and logs."""

from .kit import Board, ENDS, Row, lines, missing, or_zero, quantiles, red, stat

LIVE, OWNED = "max(sextant_controllers_live{@})", "sum(sextant_hypervisors_owned{@})"
CONNECTED = "max(sextant_hypervisors_connected{@})"

BOARD = Board(
    uid="sextant-process",
    title="Sextant: process",
    about="Sextant's processes: whether they run, who owns which hypervisors, their connections, certificates and logs.",
    rows=[
        Row(
            "Processes",
            [
                stat(
                    "Scraped",
                    "Instances of Sextant that Prometheus scrapes, and those that do not answer. A missing one is down, or"
                    " Prometheus does not reach its metrics address: `systemctl status sextant` there.",
                    [
                        ("answer", 'sum(up{job="sextant", @})'),
                        ("missing", 'count(up{job="sextant", @}) - sum(up{job="sextant", @})'),
                    ],
                    width=6,
                    overrides=[missing()],
                ),
                stat(
                    "Controllers",
                    "Controllers that live, and how many fewer these are than within the last hour. A missing one is down, or"
                    " does not reach etcd.",
                    [("live", LIVE), ("missing", f"max(max_over_time(sextant_controllers_live{{@}}[1h])) - {LIVE}")],
                    width=6,
                    overrides=[missing()],
                ),
                stat(
                    "Hypervisors with an owner",
                    "Hypervisors that some controller owns, and connected ones that none does. Guests of these get no answers:"
                    " look at `ovs-vsctl get-manager` there, and at the logs for `hypervisor owned`.",
                    [("owned", OWNED), ("missing", f"clamp_min({CONNECTED} - {OWNED}, 0)")],
                    width=6,
                    overrides=[missing()],
                ),
                stat(
                    "Restarts in an hour",
                    "How often a process began anew in the last hour, of all instances. After an upgrade it is one each; more"
                    " is a process that ends and is started again: its log says why.",
                    [("restarts", 'sum(changes(process_start_time_seconds{job="sextant", @}[1h]))')],
                    width=6,
                    steps=[("orange", 1), ("red", 3)],
                ),
                lines(
                    "Instances that answer Prometheus",
                    "1 while an instance answers Prometheus, 0 while it does not.",
                    [("{{instance}}", 'up{job="sextant", @}')],
                    width=8,
                    steps=(),
                ),
                lines(
                    "Memory",
                    "What each process has in memory. It grows with hypervisors, ports and flows. If it grows while these do not,"
                    " keep a support bundle and tell us.",
                    [("{{instance}}", 'process_resident_memory_bytes{job="sextant", @}')],
                    unit="bytes",
                ),
                lines(
                    "Processor time",
                    "How many processors each process keeps busy. Near the number that it has, answers get late.",
                    [("{{instance}}", 'rate(process_cpu_seconds_total{job="sextant", @}[@])')],
                ),
                lines(
                    "Open files",
                    "Connections and files that each process has open, of those that it may have. At the limit nobody can connect"
                    " any more: raise `LimitNOFILE`.",
                    [("{{instance}}", 'process_open_fds{job="sextant", @} / process_max_fds{job="sextant", @}')],
                    unit="percentunit",
                ),
                lines(
                    "Version",
                    "Which version each instance is. Two at a time is an upgrade; afterwards it is one.",
                    [("{{version}}", "count by (version) (sextant_build_info{@})")],
                ),
                lines(
                    "Time to write the page of metrics",
                    "How long Prometheus waits for the page of metrics. Milliseconds; more, and the process lacks CPU. With"
                    " very many hypervisors, `metrics_per_hypervisor = false` makes the page short.",
                    [("{{instance}}", 'scrape_duration_seconds{job="sextant", @}')],
                    unit="s",
                ),
                lines(
                    "Samples on the page of metrics",
                    "How many series each instance has. It grows with hypervisors and with pairs of them where BFD is on; "
                    "`metrics_per_hypervisor = false` shows sums instead.",
                    [("{{instance}}", 'scrape_samples_scraped{job="sextant", @}')],
                ),
            ],
        ),
        Row(
            "Several controllers",
            [
                lines(
                    "Hypervisors by owner",
                    "How many hypervisors each controller owns. Their sum is the number of hypervisors that are "
                    "connected; less means that some have no owner. A controller that comes back takes its share "
                    "after a while, one hypervisor at a time.",
                    [("{{instance}}", "sextant_hypervisors_owned{@}")],
                    width=6,
                ),
                lines(
                    "Controllers that live",
                    "How many controllers live, as each of them sees it. Where they differ, one of them does not "
                    "reach the store.",
                    [("{{instance}}", "sextant_controllers_live{@}")],
                    width=6,
                ),
                lines(
                    "Hypervisors that change hands",
                    "How many hypervisors each controller came to own, a minute. After a failure there are as "
                    "many as the controller owned that failed, and again as many when it is back.",
                    [("{{instance}}", "60 * rate(sextant_takeovers_total{@}[@])")],
                    width=6,
                ),
                lines(
                    "Facts that came too late",
                    "Facts of hypervisors (where ports are, which are active, next hops, prefixes) that were not stored, a "
                    "minute: another controller came to own the hypervisor before they were. A few after a failure are "
                    "right: the new owner observes the same anew. If there are some all the time, controllers lose etcd or "
                    "hypervisors again and again.",
                    [("{{instance}}", "60 * rate(sextant_facts_dropped_total{@}[@])")],
                    width=6,
                ),
                lines(
                    "Time to bring a switch up",
                    "Time from owning a hypervisor until its switch is as it should be. Guests are answered by "
                    "then, and forwarded all the time.",
                    quantiles("sextant_takeover_duration_seconds", of=ENDS, otherwise="max(sextant_controllers_live{@})"),
                    unit="s",
                    width=6,
                ),
            ],
        ),
        Row(
            "Connections, certificates, logs",
            [
                lines(
                    "Connections refused, log lines left out, audit lines lost",
                    "Connections that were refused, or ended to make room. `full`: raise the limit of open files "
                    "(a quarter of them is each listener's). `unidentified` and `stale`: something connects and "
                    "never says whose it is; the log names its address. Hypervisors that are known do not count "
                    "among these, and of many that come at once some wait: neither is refused. Log lines about "
                    "hypervisors are left out while more than 50 of a kind come in 10 seconds; the log says how "
                    "many of which. Audit lines are lost while the audit file cannot be written: look at its disk.",
                    [
                        (
                            "{{listener}} {{reason}}",
                            "sum by (listener, reason) (rate(sextant_connections_refused_total{@}[@]))",
                        ),
                        ("log lines left out", "sum(rate(sextant_log_lines_left_out_total{@}[@]))"),
                        ("audit lines lost", "sum(rate(sextant_audit_lines_lost_total{@}[@]))"),
                    ],
                    unit="ops",
                    width=12,
                ),
                lines(
                    "Certificates end in",
                    "How long certificates hold: those of the configuration and those of connected hypervisors. "
                    "Nothing without TLS. With `metrics_per_hypervisor = false`, `hypervisors` is the first to "
                    "expire of all hypervisors' certificates.",
                    [
                        (
                            "{{whose}}",
                            or_zero("min by (whose) (sextant_certificate_not_after_seconds{@} - time())", whose="no TLS"),
                        ),
                    ],
                    unit="s",
                    width=12,
                ),
            ],
        ),
    ],
)
