// A panel, drawn with Grafana's components and the settings that the dashboard's file has.

import { VizOrientation, getFieldDisplayValues } from "@grafana/data";
import { BigValue, TimeSeries, VizRepeater } from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";

function Lines({ panel, frames, width, height, range, theme, marks }) {
  const { legend } = panel.options;
  return (
    <TimeSeries frames={frames} width={width} height={height} timeRange={range} timeZone="utc" theme={theme}
      legend={legend} options={panel.options} structureRev={1}>
      {(config) => {
        config.addHook("draw", (plot) => mark(plot, marks, theme));
        return null;
      }}
    </TimeSeries>
  );
}

/// A line for each restart, failover or alert, as Grafana marks annotations.
function mark(plot, marks, theme) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.setLineDash([4, 4]);
  for (const { at, colour } of marks) {
    const x = plot.valToPos(at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = theme.visualization.getColorByName(colour);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function Stat({ panel, frames, width, height, theme }) {
  const { options, fieldConfig } = panel;
  const values = () => getFieldDisplayValues({
    fieldConfig,
    reduceOptions: options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    data: frames,
    sparkline: options.graphMode !== "none",
    timeZone: "utc",
  });
  const one = ({ value, width, height, count }) => (
    <BigValue value={value.display} width={width} height={height} count={count} theme={theme}
      sparkline={value.sparkline} colorMode={options.colorMode} graphMode={options.graphMode}
      justifyMode={options.justifyMode} textMode={options.textMode} wideLayout={options.wideLayout} />
  );
  return (
    <VizRepeater getValues={values} renderValue={one} width={width} height={height} source={frames} renderCounter={1}
      autoGrid={true} orientation={VizOrientation.Auto} />
  );
}

function Rows({ panel, frames, width, height }) {
  return (
    <TableNG data={frames[0]} width={width} height={height} cellHeight={panel.options.cellHeight}
      fieldConfig={panel.fieldConfig} enableVirtualization={false} structureRev={1} />
  );
}

/// The component of each type of panel, and what is there once it is drawn.
export const KINDS = {
  timeseries: [Lines, ".uplot canvas"],
  stat: [Stat, "span"],
  table: [Rows, "[role=gridcell]"],
};
