// Draws each candidates' scatter from the JSON beside it, in the page's own colours.
"use strict";

const colours = () => {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
};

// plotly.js reads a little HTML in texts; names come from projects, so they are made plain.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// 1, 2 and 5 of every decade: the ticks people expect on a logarithmic axis.
const ticks = (least, most) => {
  const found = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(most)); power += 1) {
    for (const step of [1, 2, 5]) found.push(Number((step * 10 ** power).toPrecision(1)));
  }
  return found;
};

// Where each label goes so that it covers no other: above its point, else below, right or left of it; one that finds
// no room is left out, but for the chosen one's and the baseline's.
const PLACES = {
  "top center": [-0.5, -24], "bottom center": [-0.5, 10], "middle right": [0, -7], "middle left": [-1, -7],
  "top right": [0, -24], "top left": [-1, -24], "bottom right": [0, 10], "bottom left": [-1, 10],
};
const place = (points, lines, room) => {
  const taken = points.map(({ x, y, radius }) =>
    ({ left: x - radius, right: x + radius, top: y - radius, bottom: y + radius })).concat(lines);
  const first = (point) => (point.chosen ? 0 : point.needed ? 1 : point.pareto ? 2 : 3);
  const places = new Map();
  for (const point of [...points].sort((one, other) => first(one) - first(other))) {
    const { x, y, label, radius } = point;
    const width = label.length * 7;
    const boxOf = ([share, rise]) => {
      const off = rise === -7 ? radius + 4 : 2;
      const aside = share === 0 ? off : share === -1 ? -off : 0;
      const left = x + share * width + aside;
      const top = y + rise + (rise < -7 ? 8 - radius : rise > 0 ? radius - 8 : 0);
      return { left, right: left + width, top, bottom: top + 14 };
    };
    const free = ([, spot]) => {
      const box = boxOf(spot);
      return box.left > -44 && box.right < room.width && box.bottom < room.height && taken.every((other) =>
        box.right < other.left || box.left > other.right || box.bottom < other.top || box.top > other.bottom);
    };
    const found = Object.entries(PLACES).find(free) || (point.needed ? Object.entries(PLACES)[0] : null);
    if (found) taken.push(boxOf(found[1]));
    places.set(point, found ? found[0] : null);
  }
  return points.map((point) => places.get(point));
};

// The quality axis reaches somewhat below the front; what is far worse stands at its foot as an arrow.
const qualityRange = (points) => {
  const most = Math.max(...points.map((point) => point.quality));
  const near = points.filter((point) => point.front || point.chosen || point.baseline).map((point) => point.quality);
  const reach = Math.max((most - Math.min(most, ...near)) * 2.5, Math.abs(most) * 0.02, 1e-3);
  const least = Math.max(Math.min(...points.map((point) => point.worst)), most - reach);
  const margin = Math.max((most - least) * 0.22, 1e-3);
  return [least - margin, most + margin];
};

const draw = (box) => {
  const points = JSON.parse(document.getElementById(box.dataset.points).textContent);
  const colour = colours();
  const latencies = points.map((point) => point.p50_ms);
  const least = Math.min(...points.map((point) => point.low_ms));
  const most = Math.max(...points.map((point) => point.high_ms));
  const yRange = qualityRange(points);
  const logarithmic = most / Math.max(least, 1e-9) > 5;
  const scale = (latency) => (logarithmic ? Math.log10(latency) : latency);
  const pad = Math.max((scale(most) - scale(least)) * 0.12, logarithmic ? 0.15 : most * 0.03);
  const xRange = [scale(least) - pad, scale(most) + pad];
  const marks = ticks(least, most);
  const across = (box.clientWidth - 80) / (xRange[1] - xRange[0]);
  const down = (box.clientHeight - 62) / (yRange[1] - yRange[0]);
  const below = (point) => point.quality < yRange[0];
  const foot = yRange[0] + 8 / down;
  const level = (point) => (below(point) ? foot : point.quality);
  const largest = Math.max(1, ...points.map((point) => point.bytes));
  const diameter = (point) => (below(point) ? 10 : Math.max(24 * Math.sqrt(point.bytes / largest), 8));
  const named = (point) => (below(point) ? `${point.label}: ${point.quality.toPrecision(3)}` : point.label);
  const fronts = [...new Set(points.map((point) => point.target))].map((target) =>
    points.filter((point) => point.front && point.target === target).sort((one, other) => one.p50_ms - other.p50_ms));
  const left = (latency) => (scale(latency) - xRange[0]) * across;
  const top = (quality) => (yRange[1] - quality) * down;
  const treads = fronts.flatMap((front) => front.slice(1).map((next, index) => ({
    left: left(front[index].p50_ms), right: left(next.p50_ms),
    top: top(front[index].quality) - 1, bottom: top(front[index].quality) + 1,
  })));
  const places = place(points.map((point) => ({
    ...point, x: left(point.p50_ms), y: top(level(point)),
    label: named(point), radius: diameter(point) / 2 + 2, needed: point.chosen || point.baseline,
  })), treads, { width: box.clientWidth - 52, height: box.clientHeight - 62 });
  const axis = {
    color: colour("quiet"), gridcolor: colour("hair"), linecolor: colour("line"), zeroline: false, automargin: true,
    title: { font: { size: 12 }, standoff: 8 }, tickfont: { size: 11 }, ticks: "",
  };
  const whiskers = { color: colour("point"), thickness: 1, width: 0 };
  Plotly.newPlot(
    box,
    [
      ...fronts.map((front) => ({
        type: "scatter", mode: "lines", x: front.map((point) => point.p50_ms), y: front.map((point) => point.quality),
        line: { shape: "hv", color: colour("quiet"), width: 1.2 }, hoverinfo: "skip",
      })),
      {
        type: "scatter",
        mode: "markers+text",
        x: latencies,
        y: points.map(level),
        text: points.map((point, index) => (places[index] ? plain(named(point)) : "")),
        textposition: places.map((spot) => spot || "top center"),
        textfont: { color: points.map((point) => colour(point.chosen || point.pareto ? "ink" : "quiet")), size: 12 },
        cliponaxis: false,
        hovertext: points.map((point) => point.told.map(plain).join("<br>")),
        hoverinfo: "text",
        error_x: {
          type: "data", symmetric: false, ...whiskers,
          array: points.map((point) => point.high_ms - point.p50_ms),
          arrayminus: points.map((point) => point.p50_ms - point.low_ms),
        },
        error_y: {
          type: "data", symmetric: false, ...whiskers,
          array: points.map(() => 0),
          arrayminus: points.map((point) => (below(point) ? 0 : point.quality - Math.max(point.worst, yRange[0]))),
        },
        marker: {
          size: points.map(diameter),
          symbol: points.map((point) => (below(point) ? "triangle-down" : "circle")),
          opacity: points.map((point) => (point.chosen || point.pareto ? 1 : 0.45)),
          color: points.map((point) => colour(point.chosen ? "accent" : "point")),
          line: { width: points.map((point) => (point.chosen ? 3 : 0)), color: colour("accent-soft") },
        },
      },
    ],
    {
      height: box.clientHeight,
      margin: { l: 52, r: 28, t: 22, b: 40 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink") },
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("ink") }, align: "left" },
      xaxis: {
        ...axis, title: { ...axis.title, text: "median latency, ms" }, type: logarithmic ? "log" : "linear",
        showgrid: false,
        ...(logarithmic ? { tickvals: marks, ticktext: marks.map(String) } : { nticks: 5 }),
        range: xRange,
      },
      yaxis: {
        ...axis, title: { ...axis.title, text: "quality" }, nticks: 5,
        range: yRange,
      },
      showlegend: false,
    },
    { displayModeBar: false, responsive: true },
  ).then(() => { box.dataset.drawn = "true"; });
};

const drawAll = () => document.querySelectorAll(".scatter").forEach(draw);
drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
