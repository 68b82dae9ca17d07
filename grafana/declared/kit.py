"""What dashboards are declared with, and how a declaration becomes Grafana's JSON.

In an expression, `{@}` asks for the instances that are chosen at the top of the page, `{@@}` also for the hypervisors,
and `[@]` is the window of a rate.
"""

import json
from dataclasses import dataclass, field

REPOSITORY = "https://github.com/sextant-net/sextant"
DOCS = f"{REPOSITORY}/blob/main/docs"
# Where the name of an alert leads, in a table with the column `alertname`.
RUNBOOK = f"{DOCS}/runbooks/${{__data.fields.alertname}}.md"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Where a hypervisor's name leads, with the data source, the instances and the time that are chosen.
TO_HYPERVISOR = "/d/sextant-hypervisor?var-chassis=${%s}&${datasource:queryparam}&${instance:queryparam}&${__url_time_range}"
ZERO = "0 * sum(sextant_switches_connected{@})"
QUANTILES = ((0.5, "median"), (0.9, "90 %"), (0.99, "99 %"))
ENDS = ((0.5, "median"), (0.99, "99 %"))


@dataclass
class Panel:
    """A panel: `queries` are pairs of legend and expression."""

    kind: str
    title: str
    advice: str
    queries: list
    unit: str = "short"
    width: int = 8
    height: int = 8
    steps: list = field(default_factory=list)
    overrides: list = field(default_factory=list)
    more: dict = field(default_factory=dict)


@dataclass
class Row:
    title: str
    panels: list


@dataclass
class Board:
    """A dashboard. With `by_hypervisor`, hypervisors can be chosen at the top; else the choice is only kept."""

    uid: str
    title: str
    about: str
    rows: list
    by_hypervisor: bool = False


def expression(text):
    text = text.replace("[@]", "[$__rate_interval]")
    text = text.replace("@@", 'instance=~"$instance", chassis=~"$chassis"')
    return text.replace("@", 'instance=~"$instance"')


def or_zero(text, **labels):
    """The expression, or 0 where it has no samples, with the first label that a legend shows."""
    zero = ZERO
    for label, value in labels.items():
        zero = f'label_replace({zero}, "{label}", "{value}", "", "")'
    return f"{text} or on () {zero}"


def quantiles(metric, matchers="", of=QUANTILES, otherwise=None):
    """Quantiles of a histogram. With `otherwise`, an expression, they are 0 where nothing was observed yet."""
    queries = []
    for share, legend in of:
        text = f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{{@{matchers}}}[@])))"
        queries.append((legend, f"({text} >= 0) or on () 0 * {otherwise}" if otherwise else text))
    return queries


def red(at):
    """Green, and red from there on."""
    return [("red", at)]


def coloured(matcher, options, colour):
    colour = {"mode": "fixed", "fixedColor": colour}
    return {"matcher": {"id": matcher, "options": options}, "properties": [{"id": "color", "value": colour}]}


def red_where(name):
    return coloured("byName", name, "red")


def missing(name="missing", at=1):
    """A field that counts what should be there and is not."""
    steps = [{"color": "green", "value": None}, {"color": "red", "value": at}]
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": "thresholds", "value": {"mode": "absolute", "steps": steps}}],
    }


def in_percent(name):
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": "percentunit"}]}


def lines(title, advice, queries, unit="short", width=8, fill=10, stacked=False, steps=(), overrides=()):
    more = {"fill": fill, "stacked": stacked, "dashed": bool(steps)}
    return Panel("timeseries", title, advice, queries, unit, width, 8, list(steps), list(overrides), more)


def stat(title, advice, queries, unit="short", width=3, steps=(), overrides=(), background=False, base="green", height=4):
    more = {"background": background, "base": base}
    return Panel("stat", title, advice, queries, unit, width, height, list(steps), list(overrides), more)


def table(title, advice, columns, width=24, height=8, links=(), units=()):
    """A table: a row for each set of labels that the expressions of its columns have. `links` are pairs of a column and a
    URL, `units` pairs of a column and a unit."""
    overrides = []
    for name, url in links:
        link = {"title": "Open", "url": url, "targetBlank": False}
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": [{"id": "links", "value": [link]}]})
    for name, unit in units:
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]})
    return Panel("table", title, advice, columns, "short", width, height, [], overrides)


def by_hypervisor(label="chassis"):
    """A link of a table's column to the dashboard of the hypervisor that it names."""
    return (label, TO_HYPERVISOR % f"__data.fields.{label}")


def letter(place):
    return chr(ord("A") + place)


def targets(panel):
    is_table = panel.kind == "table"
    for place, (legend, text) in enumerate(panel.queries):
        yield {
            "refId": letter(place),
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": expression(text),
            "legendFormat": "" if is_table else legend,
            "instant": is_table,
            "range": not is_table,
        } | ({"format": "table"} if is_table else {})


def defaults(panel):
    base = panel.more.get("base", "green")
    steps = [{"color": base, "value": None}] + [{"color": colour, "value": at} for colour, at in panel.steps]
    values = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "stat":
        return values | {"decimals": 0, "color": {"mode": "thresholds"}, "noValue": "no data"}
    if panel.kind == "table":
        return values | {"color": {"mode": "thresholds"}, "custom": {"align": "auto", "filterable": True}}
    values |= {"min": 0, "color": {"mode": "palette-classic"}, "noValue": "none", "custom": drawn(panel)}
    if any("{{chassis}}" in legend for legend, _ in panel.queries):
        url = TO_HYPERVISOR % "__field.labels.chassis"
        values["links"] = [{"title": "The hypervisor's dashboard", "url": url, "targetBlank": False}]
    return values


def drawn(panel):
    # Where all is 0, the axis would end at 100, which is 10 000 %.
    share = {"axisSoftMax": 0.01} if panel.unit == "percentunit" else {}
    return share | {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": panel.more["fill"],
        "showPoints": "auto",
        "pointSize": 5,
        "spanNulls": False,
        "axisPlacement": "auto",
        "stacking": {"group": "A", "mode": "normal" if panel.more["stacked"] else "none"},
        "thresholdsStyle": {"mode": "dashed" if panel.more["dashed"] else "off"},
    }


def options(panel):
    if panel.kind == "stat":
        return {
            "colorMode": "background" if panel.more["background"] else "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto" if len(panel.queries) == 1 else "value_and_name",
            "wideLayout": True,
            "showPercentChange": False,
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": [], "fields": ""}}
    return {
        "legend": {
            "calcs": ["lastNotNull", "max"],
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def merged(panel):
    """One row for the samples of all queries that have the same labels; values are named as their columns."""
    if len(panel.queries) == 1:
        names = {"Value": panel.queries[0][0]}
    else:
        names = {f"Value #{letter(place)}": name for place, (name, _) in enumerate(panel.queries)}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": names}},
    ]


def drawn_panel(panel, number, x, y):
    drawn = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.advice,
        "datasource": SOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": defaults(panel), "overrides": panel.overrides},
        "options": options(panel),
        "targets": list(targets(panel)),
    }
    return drawn | ({"transformations": merged(panel)} if panel.kind == "table" else {})


def laid_out(board):
    """Rows below each other, their panels from left to right. All but the first row are collapsed, and each panel has the
    place that it has when they are open."""
    drawn, number, y = [], 0, 0
    for place, row in enumerate(board.rows):
        number += 1
        head = {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": place > 0,
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
            "panels": [],
        }
        drawn.append(head)
        x, y, tallest = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > 24:
                x, y, tallest = 0, y + tallest, 0
            number += 1
            (head["panels"] if place > 0 else drawn).append(drawn_panel(panel, number, x, y))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return drawn


def annotation(name, colour, text, title, said="{{instance}}"):
    return {
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "name": name,
        "expr": expression(text),
        "titleFormat": title,
        "textFormat": said,
        "step": "1m",
    }


def annotations():
    built_in = {
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "name": "Annotations & Alerts",
        "type": "dashboard",
    }
    # The time of its start changes when a process begins anew.
    restarted = 'changes(process_start_time_seconds{job="sextant", @}[2m]) > 0'
    return [
        built_in,
        annotation("Sextant's alerts", "red", 'ALERTS{alertstate="firing", alertname=~"Sextant.+"}', "{{alertname}}"),
        annotation("Restarts", "purple", restarted, "Sextant was started anew"),
        annotation("Takeovers", "orange", "increase(sextant_takeovers_total{@}[2m]) > 0", "Hypervisors have another owner"),
        annotation("Failovers", "yellow", "increase(sextant_gateway_moves_total{@}[2m]) > 0", "Gateways moved"),
    ]


def variable(name, label, of, hidden=False):
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": of,
        "query": {"qryType": 1, "query": of, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "regex": "",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 2 if hidden else 0,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "options": [],
        "refresh": 2,
        "sort": 1,
        "skipUrlSync": False,
    }


def variables(board):
    source = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "regex": "",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "skipUrlSync": False,
    }
    instances = variable("instance", "Instance", "label_values(sextant_switches_connected, instance)")
    chassis = "label_values(sextant_flows_wanted, chassis)"
    return [source, instances, variable("chassis", "Hypervisor", chassis, not board.by_hypervisor)]


def link(title, url, kept):
    return {
        "title": title,
        "type": "link",
        "icon": "dashboard" if kept else "doc",
        "tooltip": "",
        "url": url,
        "tags": [],
        "asDropdown": False,
        "includeVars": kept,
        "keepTime": kept,
        "targetBlank": not kept,
    }


def as_json(board, boards):
    """The text of a dashboard's file, with links to all others, and to the guide."""
    links = [link(other.title, f"/d/{other.uid}", True) for other in boards if other is not board]
    links.append(link("Guide", f"{DOCS}/guides/observability.md", False))
    whole = {
        "annotations": {"list": annotations()},
        "description": board.about,
        "editable": True,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "links": links,
        "panels": laid_out(board),
        "refresh": "30s",
        "schemaVersion": 39,
        "tags": ["sextant", "ipv6"],
        "templating": {"list": variables(board)},
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": board.title,
        "uid": board.uid,
        "version": 1,
        "weekStart": "",
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
