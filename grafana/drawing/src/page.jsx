// The page: `drawBoard(dashboard, source)` draws all panels of a dashboard and tells what did not come out.

import { Component } from "react";
import { createRoot } from "react-dom/client";
import {
  ThemeContext, applyFieldOverrides, cacheFieldDisplayNames, createTheme, dateTime, transformDataFrame,
} from "@grafana/data";
import { GlobalStyles, PanelChrome } from "@grafana/ui";
import { lastValueFrom } from "rxjs";
import { frames, hasSamples, isNamed, over } from "./asking.js";
import { KINDS } from "./panels.jsx";
import { register, settings } from "./settings.js";

const WIDTH = 1200;
const MARGIN = 12;
const GAP = 8;
const CELL = 30;
const COLUMN = (WIDTH - 2 * MARGIN + GAP) / 24;
/// How wide the widest panel is: so many points a line has at most.
const POINTS = 600;
/// How long panels may take to be drawn, in milliseconds.
const DRAWING = 10000;

const theme = createTheme({ colors: { mode: "light" } });

register();

/// Where a panel is, in pixels.
function place({ x, y, w, h }) {
  return { left: MARGIN + x * COLUMN, top: y * (CELL + GAP), width: w * COLUMN - GAP, height: h * (CELL + GAP) - GAP };
}

/// All panels with what they show. Rows are open.
async function filled(dashboard, source) {
  const all = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  return Promise.all(all.map(async (panel) => (panel.type === "row" ? { panel } : shown(panel, source))));
}

async function shown(panel, source) {
  if (!KINDS[panel.type]) return { panel, fault: `nothing draws a ${panel.type}` };
  try {
    const asked = await frames(source, panel, POINTS);
    if (!hasSamples(asked)) return { panel, fault: "no data" };
    if (panel.type === "timeseries" && !asked.every(isNamed)) return { panel, fault: "a line without a name" };
    const changed = await lastValueFrom(transformDataFrame(panel.transformations ?? [], asked));
    const custom = Object.keys(panel.fieldConfig.defaults.custom ?? {});
    const data = applyFieldOverrides({
      data: changed,
      fieldConfig: panel.fieldConfig,
      fieldConfigRegistry: settings(custom),
      replaceVariables: (text) => text,
      theme,
      timeZone: "utc",
    });
    cacheFieldDisplayNames(data);
    return { panel, frames: data };
  } catch (error) {
    return { panel, fault: error.message };
  }
}

/// When something happened, of each annotation of the dashboard.
async function marked(dashboard, source) {
  const all = dashboard.annotations.list.filter((one) => one.expr && one.enable);
  const asked = all.map(async ({ expr, iconColor }) => {
    const series = await over(source, expr, POINTS);
    return series.flatMap(({ values }) => begins(values.map(([at]) => at * 1000))).map((at) => ({ at, colour: iconColor }));
  });
  return (await Promise.all(asked)).flat();
}

/// The first of those that follow each other.
function begins(times) {
  const apart = Math.min(...times.slice(1).map((at, before) => at - times[before]));
  return times.filter((at, index) => index === 0 || at - times[index - 1] > apart);
}

class Guarded extends Component {
  state = {};

  static getDerivedStateFromError(error) {
    return { error };
  }

  componentDidCatch(error) {
    this.props.failed(error.message);
  }

  render() {
    return this.state.error ? null : this.props.children;
  }
}

function Board({ dashboard, panels, range, marks, failed }) {
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <h3 style={{ position: "absolute", left: MARGIN, top: MARGIN }}>{dashboard.title}</h3>
      {panels.map(({ panel, frames }) => {
        const { left, top, width, height } = place(panel.gridPos);
        const style = { position: "absolute", left, top: top + 48, width, height };
        if (panel.type === "row") return <h5 key={panel.id} style={{ ...style, paddingTop: 8 }}>{panel.title}</h5>;
        const [Kind] = KINDS[panel.type] ?? [];
        return (
          <div key={panel.id} id={`panel-${panel.id}`} style={style}>
            <PanelChrome title={panel.title} width={width} height={height}>
              {(width, height) => frames && (
                <Guarded failed={(why) => failed(panel, why)}>
                  <Kind panel={panel} frames={frames} width={width} height={height} range={range} theme={theme} marks={marks} />
                </Guarded>
              )}
            </PanelChrome>
          </div>
        );
      })}
    </ThemeContext.Provider>
  );
}

/// Whether a panel's component has drawn what it is for.
function isDrawn({ panel, frames }) {
  return panel.type === "row" || !frames || document.querySelector(`#panel-${panel.id} :is(${KINDS[panel.type][1]})`) !== null;
}

/// After the next two frames everything that was asked for is on the screen.
function painted() {
  return new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)));
}

async function settled(panels) {
  const end = performance.now() + DRAWING;
  while (!panels.every(isDrawn) && performance.now() < end) await painted();
  await painted();
}

/// Draws a dashboard. `source` has Prometheus's address, `from` and `to` in seconds, and how often it scrapes. The answer
/// is the picture's size, how many panels there are, and the faults of those that did not come out.
window.drawBoard = async (dashboard, source) => {
  const [panels, marks] = await Promise.all([filled(dashboard, source), marked(dashboard, source)]);
  const faults = panels.filter(({ fault }) => fault).map(({ panel, fault }) => ({ panel: panel.title, fault }));
  const failed = (panel, fault) => faults.push({ panel: panel.title, fault });
  const raw = { from: dateTime(source.from * 1000), to: dateTime(source.to * 1000) };
  const range = { ...raw, raw };
  const root = createRoot(document.getElementById("board"));
  root.render(<Board dashboard={dashboard} panels={panels} range={range} marks={marks} failed={failed} />);
  await settled(panels);
  for (const one of panels.filter((one) => !isDrawn(one))) failed(one.panel, "it was not drawn");
  const ends = panels.map(({ panel }) => place(panel.gridPos)).map(({ top, height }) => top + height + 48 + MARGIN);
  const count = panels.filter(({ panel }) => panel.type !== "row").length;
  return { width: WIDTH, height: Math.ceil(Math.max(...ends)), panels: count, faults };
};
