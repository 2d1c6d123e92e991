// Draws a dashboard as Grafana does: its grid, its queries, its components. It knows the types of panels and the
// variables that deploy/grafana/dashboard.json has, and fails at others.
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import {
  createTheme, dateTime, FieldType, getDisplayProcessor, getDisplayValueAlignmentFactors, getFieldDisplayValues,
  rangeUtil, ThemeContext, toDataFrame, VizOrientation,
} from "@grafana/data";
import { BarGauge, BigValue, GlobalStyles, PanelChrome, TimeSeries, VizRepeater } from "@grafana/ui";
import "uplot/dist/uPlot.min.css";
import given from "./given.json";

const { dashboard, prometheus, from, to, scrapeSeconds, variables } = given;
const ROW = 30, GAP = 8, COLUMNS = 24, WIDTH = document.documentElement.clientWidth - 2 * GAP;
const HEADING = 48;
const DRAWING_MS = 1000;
const wrong = [];
addEventListener("error", (event) => wrong.push(event.message));
const theme = createTheme({ colors: { mode: "dark" } });
const timeRange = {
  from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: dateTime(from * 1000), to: dateTime(to * 1000) },
};
const timeZone = "utc";
const PANELS = { stat: Stat, bargauge: Bars, timeseries: Lines };

// What Grafana's panels take where the dashboard says nothing.
const COLOR = { stat: "thresholds", bargauge: "thresholds", timeseries: "palette-classic" };
const THRESHOLDS = { mode: "absolute", steps: [{ value: -Infinity, color: "green" }, { value: 80, color: "red" }] };

const asNeverBefore = (value) => (value === null ? -Infinity : value);

function fieldConfig(panel, name) {
  const { defaults, overrides } = panel.fieldConfig;
  const own = overrides.filter(({ matcher }) => matcher.id === "byName" && matcher.options === name);
  const thresholds = defaults.thresholds ?? THRESHOLDS;
  const steps = thresholds.steps.map((step) => ({ ...step, value: asNeverBefore(step.value) }));
  const properties = own.flatMap((override) => override.properties.map(({ id, value }) => [id, value]));
  return {
    color: { mode: COLOR[panel.type] }, ...defaults, ...Object.fromEntries(properties), thresholds: { ...thresholds, steps },
    displayNameFromDS: name,
  };
}

async function ask(panel, width) {
  const { intervalMs } = rangeUtil.calculateInterval(timeRange, width, `${scrapeSeconds}s`);
  const step = intervalMs / 1000;
  const filled = {
    ...variables, __rate_interval: `${Math.max(step + scrapeSeconds, 4 * scrapeSeconds)}s`, __range: `${to - from}s`,
  };
  const answers = await Promise.all(panel.targets.map(async (target) => {
    const query = target.expr.replace(/\$(\w+)/g, (_, name) => {
      if (!(name in filled)) throw new Error(`${panel.title}: no variable ${name}`);
      return filled[name];
    });
    const parameters = new URLSearchParams({ query, start: from, end: to, step });
    const answer = await (await fetch(`${prometheus}/api/v1/query_range?${parameters}`)).json();
    if (answer.status !== "success") throw new Error(`${panel.title}: ${answer.error}`);
    return answer.data.result.map((series) => ({ target, series }));
  }));
  const isEmpty = answers.some((found) => !found.some(({ series }) => series.values.some(([, value]) => value !== "NaN")));
  const known = answers.flat().flatMap(({ series }) => series.values.map(([, value]) => Number(value)).filter((value) => !isNaN(value)));
  const [min, max] = [Math.min(...known), Math.max(...known)];
  const range = { min, max, delta: max - min };
  const frames = answers.flat().map(({ target, series }, index) => {
    const name = target.legendFormat?.replace(/{{ *(\w+) *}}/g, (_, label) => series.metric[label] ?? "");
    const values = series.values.map(([, value]) => (value === "NaN" ? null : Number(value)));
    const frame = toDataFrame({
      refId: target.refId,
      fields: [
        { name: "Time", type: FieldType.time, config: { interval: intervalMs }, values: series.values.map(([at]) => at * 1000) },
        { name: "Value", type: FieldType.number, config: fieldConfig(panel, name || panel.title), values },
      ],
    });
    for (const field of frame.fields) {
      field.state = { seriesIndex: index, range };
      field.display = getDisplayProcessor({ field, theme, timeZone });
    }
    return frame;
  });
  return { frames, isEmpty };
}

function Lines({ panel, frames, width, height }) {
  const legend = { showLegend: true, calcs: [], ...panel.options.legend };
  return <TimeSeries {...{ frames, width, height, timeRange, timeZone, legend, options: panel.options }}>{() => null}</TimeSeries>;
}

function reduced(panel, frames, sparkline) {
  return getFieldDisplayValues({
    data: frames, reduceOptions: panel.options.reduceOptions, fieldConfig: panel.fieldConfig, sparkline, theme, timeZone,
    replaceVariables: (text) => text,
  });
}

function Stat({ panel, frames, width, height }) {
  const { colorMode, graphMode } = panel.options;
  const [value] = reduced(panel, frames, graphMode !== "none");
  return (
    <BigValue value={value.display} sparkline={{ ...value.sparkline, timeRange }} textMode="value" {...{ colorMode, graphMode, width, height, theme }} />
  );
}

function Bars({ panel, frames, width, height }) {
  const values = reduced(panel, frames, false);
  const alignmentFactors = getDisplayValueAlignmentFactors(values);
  const most = Math.max(...values.map((value) => value.display.numeric));
  return (
    <VizRepeater
      source={values} getValues={() => values} {...{ width, height }} orientation={VizOrientation.Horizontal} itemSpacing={8}
      minVizHeight={16} maxVizHeight={300} minVizWidth={8}
      renderValue={({ value, width, height, alignmentFactors }) => (
        <BarGauge
          value={value.display} field={{ ...value.field, max: value.field.max ?? most }} display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          displayMode={panel.options.displayMode} valueDisplayMode={panel.options.valueMode} namePlacement={panel.options.namePlacement}
          showUnfilled orientation={VizOrientation.Horizontal} {...{ width, height, theme, alignmentFactors }}
        />
      )}
      getAlignmentFactors={() => alignmentFactors}
    />
  );
}

function Panel({ panel, drawn }) {
  const [found, setFound] = useState();
  const cell = (WIDTH - (COLUMNS - 1) * GAP) / COLUMNS;
  const { x, y, w, h } = panel.gridPos;
  const width = w * (cell + GAP) - GAP, height = h * (ROW + GAP) - GAP;
  useEffect(() => {
    if (panel.type !== "row") {
      ask(panel, width).then((answer) => { setFound(answer); drawn(panel, answer.isEmpty); }, (error) => drawn(panel, error));
    }
  }, []);
  const place = { position: "absolute", left: GAP + x * (cell + GAP), top: HEADING + y * (ROW + GAP), width, height };
  const Drawn = PANELS[panel.type];
  return (
    <div style={place}>
      {panel.type === "row" ? <h6 style={{ margin: 0, lineHeight: `${ROW}px` }}>⌄ {panel.title}</h6> : (
        <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
          {(width, height) => found && !found.isEmpty && <Drawn panel={panel} frames={found.frames} width={width} height={height} />}
        </PanelChrome>
      )}
    </div>
  );
}

function Heading() {
  const muted = { color: theme.colors.text.secondary };
  const times = [timeRange.from, timeRange.to].map((time) => time.utc().format("YYYY-MM-DD HH:mm:ss"));
  const shown = dashboard.templating.list.map(({ name, label }) => `${label}: ${variables[name]}`);
  return (
    <div style={{ position: "absolute", left: 2 * GAP, right: 2 * GAP, height: HEADING, display: "flex", alignItems: "center", gap: 24 }}>
      <h4 style={{ margin: 0 }}>{dashboard.title}</h4>
      <span style={muted}>{shown.join(" · ")}</span>
      <span style={{ ...muted, marginLeft: "auto" }}>{times[0]} to {times[1]} UTC</span>
    </div>
  );
}

function Dashboard() {
  const waiting = new Set(dashboard.panels.filter((panel) => panel.type !== "row"));
  const drawn = (panel, problem) => {
    waiting.delete(panel);
    if (problem) wrong.push(problem === true ? `${panel.title}: a query finds nothing` : String(problem));
    if (!waiting.size) setTimeout(() => fetch("drawn", { method: "POST", body: JSON.stringify(wrong) }), DRAWING_MS);
  };
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Heading />
      {dashboard.panels.map((panel) => <Panel key={panel.title + panel.gridPos.y} panel={panel} drawn={drawn} />)}
    </ThemeContext.Provider>
  );
}

window.__grafana_public_path__ = "public/";
createRoot(document.body.appendChild(document.createElement("div"))).render(<Dashboard />);
