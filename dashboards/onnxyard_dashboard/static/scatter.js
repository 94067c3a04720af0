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

// Where each label goes so that it covers no other: above its point, else below, right or left of it.
const PLACES = {
  "top center": [-0.5, -24], "bottom center": [-0.5, 10], "middle right": [0, -7], "middle left": [-1, -7],
};
const place = (points, room) => {
  const taken = points.map(({ x, y }) => ({ left: x - 8, right: x + 8, top: y - 8, bottom: y + 8 }));
  return points.map(({ x, y, label }) => {
    const width = label.length * 7;
    const boxOf = ([share, rise]) => {
      const left = x + share * width + (share === 0 ? 12 : share === -1 ? -12 : 0);
      return { left, right: left + width, top: y + rise, bottom: y + rise + 14 };
    };
    const free = ([, spot]) => {
      const box = boxOf(spot);
      return box.left > -20 && box.right < room && taken.every((other) =>
        box.right < other.left || box.left > other.right || box.bottom < other.top || box.top > other.bottom);
    };
    const [name, spot] = Object.entries(PLACES).find(free) || Object.entries(PLACES)[0];
    taken.push(boxOf(spot));
    return name;
  });
};

const draw = (box) => {
  const points = JSON.parse(document.getElementById(box.dataset.points).textContent);
  const colour = colours();
  const latencies = points.map((point) => point.p50_ms);
  const spread = Math.max(...latencies) / Math.max(Math.min(...latencies), 1e-9);
  const marks = ticks(Math.min(...latencies), Math.max(...latencies));
  const qualities = points.map((point) => point.quality);
  const margin = Math.max((Math.max(...qualities) - Math.min(...qualities)) * 0.4, 1e-3);
  const yRange = [Math.min(...qualities) - margin, Math.max(...qualities) + margin];
  const logarithmic = spread > 5;
  const scale = (latency) => (logarithmic ? Math.log10(latency) : latency);
  const width = scale(Math.max(...latencies)) - scale(Math.min(...latencies));
  const pad = Math.max(width * 0.3, logarithmic ? 0.25 : Math.max(...latencies) * 0.05);
  const xRange = [scale(Math.min(...latencies)) - pad, scale(Math.max(...latencies)) + pad];
  const across = (box.clientWidth - 80) / (xRange[1] - xRange[0]);
  const down = (box.clientHeight - 62) / (yRange[1] - yRange[0]);
  const places = place(points.map((point) => ({
    x: (scale(point.p50_ms) - xRange[0]) * across, y: (yRange[1] - point.quality) * down, label: point.recipe,
  })), box.clientWidth - 52);
  const axis = {
    color: colour("quiet"), gridcolor: colour("hair"), linecolor: colour("line"), zeroline: false, automargin: true,
    title: { font: { size: 12 }, standoff: 8 }, tickfont: { size: 11 }, ticks: "",
  };
  Plotly.newPlot(
    box,
    [{
      type: "scatter",
      mode: "markers+text",
      x: latencies,
      y: qualities,
      text: points.map((point) => plain(point.recipe)),
      textposition: places,
      textfont: { color: points.map((point) => colour(point.chosen ? "ink" : "quiet")), size: 12 },
      cliponaxis: false,
      hovertext: points.map((point) =>
        `${plain(point.recipe)} for ${plain(point.target)}<br>p50 ${point.p50_ms.toPrecision(3)} ms` +
        `<br>quality ${point.quality.toPrecision(4)}<br>${plain(point.size)}` +
        (point.note ? `<br>${plain(point.note)}` : "")),
      hoverinfo: "text",
      marker: {
        size: points.map((point) => (point.chosen ? 15 : 10)),
        color: points.map((point) => colour(point.chosen ? "accent" : "point")),
        line: { width: points.map((point) => (point.chosen ? 3 : 0)), color: colour("accent-soft") },
      },
    }],
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
