// Asks Prometheus for what a panel shows, as Grafana's data source does: a frame for each series, or for a table.

import { FieldType, createDataFrame } from "@grafana/data";

/// How far apart two samples of a series are, and over how long a rate is taken, in seconds. Both follow from how often
/// Prometheus scrapes and how wide a panel is.
export function pace({ from, to, scrape }, points) {
  const step = Math.max(Math.ceil((to - from) / points), scrape);
  return { step, rate: Math.max(step + scrape, 4 * scrape) };
}

/// An expression with every instance and hypervisor.
function filled(expr, rate) {
  return expr
    .replaceAll("$__rate_interval", `${rate}s`)
    .replaceAll("$instance", ".*")
    .replaceAll("$chassis", ".*");
}

async function answer(source, path, parameters) {
  const response = await fetch(`${source.prometheus}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const body = await response.json();
  if (body.status !== "success") throw new Error(`${body.error}: ${parameters.query}`);
  return body.data.result;
}

/// The samples of an expression over the whole time, and in which steps they are.
export async function over(source, expr, points) {
  const { step, rate } = pace(source, points);
  const from = Math.ceil(source.from / step) * step;
  return answer(source, "query_range", { query: filled(expr, rate), start: from, end: source.to, step });
}

/// The frames of all targets of a panel.
export async function frames(source, panel, points) {
  const several = panel.targets.length > 1;
  const asked = panel.targets.map((target) => target.format === "table"
    ? tableFrame(source, target, several, points)
    : seriesFrames(source, target, points));
  return (await Promise.all(asked)).flat();
}

async function seriesFrames(source, target, points) {
  const series = await over(source, target.expr, points);
  return series.map(({ metric, values }) => createDataFrame({
    refId: target.refId,
    fields: [
      { name: "Time", type: FieldType.time, values: values.map(([at]) => at * 1000), config: { interval: pace(source, points).step * 1000 } },
      {
        name: "Value",
        type: FieldType.number,
        values: values.map(([, value]) => number(value)),
        labels: metric,
        config: { displayNameFromDS: legend(target.legendFormat, metric) },
      },
    ],
  }));
}

async function tableFrame(source, target, several, points) {
  const query = filled(target.expr, pace(source, points).rate);
  const rows = await answer(source, "query", { query, time: source.to });
  const labels = [...new Set(rows.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const column = (label) => ({ name: label, type: FieldType.string, values: rows.map(({ metric }) => metric[label] ?? "") });
  return [createDataFrame({
    refId: target.refId,
    fields: [
      { name: "Time", type: FieldType.time, values: rows.map(({ value }) => value[0] * 1000) },
      ...labels.map(column),
      { name: several ? `Value #${target.refId}` : "Value", type: FieldType.number, values: rows.map(({ value }) => number(value[1])) },
    ],
  })];
}

function legend(format, labels) {
  return format.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? "");
}

/// A quantile of nothing is not a number: no point is drawn there.
function number(text) {
  const value = { "+Inf": Infinity, "-Inf": -Infinity }[text] ?? Number(text);
  return Number.isNaN(value) ? null : value;
}

/// Whether a panel has anything to draw.
export function hasSamples(frames) {
  const values = frames.flatMap((frame) => frame.fields.filter((field) => field.type === FieldType.number));
  return values.some((field) => field.values.some((value) => value !== null));
}

/// Whether a line of a panel has a name.
export function isNamed(frame) {
  return frame.fields.some((field) => field.config.displayNameFromDS?.trim());
}
