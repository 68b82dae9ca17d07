"""The API, the store, and the cloud's other services."""

from .kit import Board, ENDS, Row, coloured, lines, quantiles, red, red_where

BOARD = Board(
    uid="sextant-api",
    title="Sextant: API and store",
    about="Who asks what and how fast, what the store does with writes, and what Keystone and Nova answer.",
    rows=[
        Row(
            "API",
            [
                lines(
                    "Requests by route",
                    "Requests a second, by method and route. A sudden plateau is usually a client that polls.",
                    [("{{method}} {{route}}", "sum by (method, route) (rate(sextant_api_requests_total{@}[@]))")],
                    unit="reqps",
                    width=12,
                    fill=40,
                    stacked=True,
                ),
                lines(
                    "Requests by status",
                    "Requests a second, by status code. 4xx is the client's fault (the body says what is wrong), "
                    "5xx is Sextant's: look in the log, and at Store commits for 503.",
                    [("{{status}}", "sum by (status) (rate(sextant_api_requests_total{@}[@]))")],
                    unit="reqps",
                    width=6,
                    fill=40,
                    stacked=True,
                    overrides=[
                        coloured("byRegexp", "/5../", "red"),
                        coloured("byRegexp", "/4../", "orange"),
                        coloured("byRegexp", "/2../", "green"),
                    ],
                ),
                lines(
                    "Requests that failed",
                    "Share of requests answered with 5xx. Gaps are times without requests. Above 1 %: see "
                    "Requests by status, the log, and Store commits.",
                    [
                        (
                            "5xx",
                            (
                                '(sum(rate(sextant_api_requests_total{@, status=~"5.."}[@])) or on () 0 *'
                                " sum(sextant_switches_connected{@})) / sum(rate(sextant_api_requests_total{@}[@]))"
                            ),
                        ),
                    ],
                    unit="percentunit",
                    width=6,
                    steps=red(0.01),
                    overrides=[red_where("5xx")],
                ),
                lines(
                    "Time to answer a request",
                    "From reading a request to answering it, all routes. A write waits until the store has it on "
                    "disk and the snapshot has reached it, so writes are as slow as the disk.",
                    quantiles("sextant_api_request_duration_seconds"),
                    unit="s",
                    width=12,
                    fill=0,
                    steps=red(1),
                ),
                lines(
                    "Time to answer a request, 99 % by route",
                    "The slow routes. A list that is slow alone is a big answer: let the client ask for pages "
                    "(`limit`) or fields.",
                    [
                        (
                            "{{method}} {{route}}",
                            (
                                "histogram_quantile(0.99, sum by (le, method, route)"
                                " (rate(sextant_api_request_duration_seconds_bucket{@}[@])))"
                            ),
                        ),
                    ],
                    unit="s",
                    width=12,
                    fill=0,
                    steps=red(1),
                ),
                lines(
                    "Nearly used up",
                    "Subnets whose pools, and quotas of projects that, have given nine tenths of what they have. `sextant "
                    "status` names them. More pools, one more subnet, or a larger quota.",
                    [
                        ("subnets", "max(sextant_subnets_nearly_used_up{@})"),
                        ("quotas", "max(sextant_quotas_nearly_used_up{@})"),
                    ],
                    width=12,
                    steps=red(1),
                ),
            ],
        ),
        Row(
            "Store",
            [
                lines(
                    "Time of a commit",
                    "How long the store takes for each commit that it makes or finds in conflict with another. An"
                    " embedded store takes as long as the disk's fsync. etcd takes a round trip to its leader and"
                    " an fsync of the majority; seconds mean that it has no leader, or that its disks are slow.",
                    quantiles("sextant_store_commit_duration_seconds", ', outcome=~"committed|conflict"'),
                    unit="s",
                    width=12,
                    fill=0,
                    steps=red(0.25),
                ),
                lines(
                    "Age of what is known of the store",
                    "How old the cloud may be that this controller shows and programs. 0 or 1 while the store is "
                    "in reach. From 5 on writes are answered with 503, and answers say their age in "
                    "X-Sextant-State-Age. An embedded store is always at 0.",
                    [("{{instance}}", "sextant_store_age_seconds{@}")],
                    unit="s",
                    width=12,
                    steps=red(5),
                ),
                lines(
                    "Octets of a commit",
                    "The keys and values that a commit writes: what one change costs the store. etcd takes 1.5 MB"
                    " in a request unless configured (--max-request-bytes); what is larger is answered with 413. "
                    "Buckets are wide, so the upper line is coarse.",
                    [
                        (
                            "mean",
                            (
                                "sum(rate(sextant_store_commit_octets_sum{@}[@])) /"
                                " sum(rate(sextant_store_commit_octets_count{@}[@]))"
                            ),
                        ),
                        ("99 %", "histogram_quantile(0.99, sum by (le) (rate(sextant_store_commit_octets_bucket{@}[@])))"),
                    ],
                    unit="bytes",
                    width=6,
                    fill=0,
                ),
                lines(
                    "Keys of a commit",
                    "How many keys a commit writes or deletes. etcd takes 128 in a request unless configured "
                    "(--max-txn-ops); a port is three. Buckets are wide, so the upper line is coarse.",
                    [
                        (
                            "mean",
                            "sum(rate(sextant_store_commit_keys_sum{@}[@])) / sum(rate(sextant_store_commit_keys_count{@}[@]))",
                        ),
                        ("99 %", "histogram_quantile(0.99, sum by (le) (rate(sextant_store_commit_keys_bucket{@}[@])))"),
                    ],
                    width=6,
                    fill=0,
                ),
                lines(
                    "Time until a write can be read",
                    "From the answer of the store until the write has come back by the watch and is in what this "
                    "controller shows. Milliseconds; more means that the watch is behind, or that the owner of "
                    "state has much to do.",
                    quantiles("sextant_store_watch_lag_seconds", of=ENDS),
                    unit="s",
                    width=6,
                    fill=0,
                ),
                lines(
                    "Requests that waited for a revision",
                    "Requests with X-Sextant-Revision that came before this controller had it. reached ones "
                    "waited for a moment. too_late and out_of_reach were answered with 503: this controller is "
                    "behind the others.",
                    [("{{outcome}}", "sum by (outcome) (rate(sextant_api_revision_waits_total{@}[@]))")],
                    unit="reqps",
                    width=6,
                    fill=0,
                ),
                lines(
                    "Store commits",
                    "Writes to the store. `conflict` is two requests for the same objects, of which one is "
                    "repeated; many mean clients that fight. `unavailable` is a write that was lost, `uncertain` "
                    "one that may have been made: look at the disk of the data folder, or at etcd. `too_large` is"
                    " more than etcd takes in one request.",
                    [("{{outcome}}", "sum by (outcome) (rate(sextant_store_commits_total{@}[@]))")],
                    unit="ops",
                    width=24,
                    overrides=[red_where("unavailable")],
                ),
            ],
        ),
        Row(
            "Keystone",
            [
                lines(
                    "Tokens checked",
                    'Tokens of callers, with auth = "keystone", by who said whether they hold: what was '
                    "remembered (cache), the answer to another caller with the same token (shared), or Keystone "
                    "(asked).",
                    [("{{by}}", "sum by (by) (rate(sextant_token_checks_total{@}[@]))")],
                    unit="reqps",
                    fill=0,
                ),
                lines(
                    "Requests to Keystone",
                    "validate: what a caller's token is. login: a token for Sextant itself. refused: Keystone "
                    "does not know the token, or refuses the credentials. failed: it did not answer in time, or "
                    "with something else; those callers get 503.",
                    [
                        ("{{request}} {{outcome}}", "sum by (request, outcome) (rate(sextant_keystone_requests_total{@}[@]))"),
                    ],
                    unit="reqps",
                    fill=0,
                ),
                lines(
                    "Time of a request to Keystone",
                    "Callers with a token that is not known yet wait for it. Above a second the API is slow for "
                    "them: look at Keystone and its database.",
                    quantiles(
                        "sextant_keystone_request_duration_seconds", of=ENDS, otherwise="max(sextant_token_checks_total{@})"
                    ),
                    unit="s",
                    fill=0,
                ),
            ],
        ),
        Row(
            "Nova",
            [
                lines(
                    "Events told to Nova",
                    "What Nova is told of its guests' ports. dismissed: Nova does not know the guest. failed: "
                    "Nova did not answer in time, or with something else; it is told again.",
                    [("{{event}} {{outcome}}", "sum by (event, outcome) (rate(sextant_nova_events_total{@}[@]))")],
                    unit="reqps",
                    fill=0,
                ),
                lines(
                    "Ports that Nova is to be told of",
                    "By controller: ports of which Nova has not yet answered what it was told, or is to be told. "
                    "Guests that boot wait for it.",
                    [("{{instance}}", "sextant_nova_events_waiting{@}")],
                    fill=0,
                    steps=red(1),
                ),
                lines(
                    "Time from ACTIVE to Nova's answer",
                    "A guest that boots waits for so long, once its port has its flows. Above a second, look at "
                    "how fast Nova's API answers.",
                    quantiles("sextant_nova_plug_duration_seconds", of=ENDS, otherwise="max(sextant_nova_events_total{@})"),
                    unit="s",
                    fill=0,
                ),
            ],
        ),
    ],
)
