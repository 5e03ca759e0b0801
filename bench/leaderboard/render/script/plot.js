// Charts. plotly is large, so it is started only after the first paint.
const PLOTTED = 12;
const wanted = new Map();
const plot = (node, traces, layout) => {
  wanted.set(node, [traces, layout]);
  if (window.Plotly) paint(node);
};
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const paint = (node) => {
  const [traces, layout] = wanted.get(node);
  const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--soft"), automargin: true };
  window.Plotly.react(node, traces, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 13 },
    margin: { l: 60, r: 10, t: 10, b: 50 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, hovermode: "closest",
    hoverlabel: { namelength: -1 },
    ...layout, xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
  }, { displayModeBar: false, responsive: true });
};
// Names go into plotly as text: it reads a few HTML tags, so the signs that begin them are written as entities.
const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const dark = matchMedia("(prefers-color-scheme: dark)");
// The greys of anchors are made for white paper; in the dark they are turned round.
const tintOf = (row) => (row.kind === "anchor" && dark.matches ? `#${(0xffffff - Number.parseInt(row.look.colour.slice(1), 16)).toString(16).padStart(6, "0")}` : row.look.colour);
// An axis that is linear within +-linear and logarithmic beyond, as in the pictures of --plots.
const bent = (linear, values) => {
  const low = Math.min(0, ...values), high = Math.max(...values);
  const bend = (y) => Math.asinh(y / linear);
  const steps = [];
  for (let e = Math.floor(Math.log10(linear / 2)); e <= Math.log10(Math.max(high, -low)); e += 1) steps.push(...[1, 2, 5].map((m) => m * 10 ** e));
  const ticks = [...steps.map((y) => -y).reverse(), 0, ...steps].filter((y) => (y === 0 || Math.abs(y) >= linear / 2) && y >= low && y <= high);
  return { bend, axis: { tickvals: ticks.map(bend), ticktext: ticks.map((y) => number(y)) } };
};
const PLACES = {
  size: "target images",
  compute: "TFLOP of training",
  cpu: "CPU seconds of training",
  nn_ratio: "nn_ratio: 1 is fair, 0 a copier",
};

const drawPlot = () => {
  const { board } = chosen();
  const table = board.tables[state.metric];
  const { scale, label } = metric();
  const against = at("against").value;
  const methods = board.rows.map((row, r) => r).filter((r) => board.rows[r].kind !== "anchor" && matches(board, board.rows[r]) && table.cells[r].some((cell) => cell.m));
  const traces = [];
  const values = board.rows.flatMap((row, r) => table.cells[r].filter((cell) => cell.m).map((cell) => cell.m[0] * scale));
  const { bend, axis } = table.bend ? bent(table.bend, values) : { bend: (y) => y, axis: {} };
  const ends = (cells) => {
    const parts = cells.map(({ m }) => (m[1] === null ? [0, 0] : [bend(m[2] * scale) - bend(m[0] * scale), bend(m[0] * scale) - bend(m[1] * scale)]));
    return { array: parts.map(([up]) => up), arrayminus: parts.map(([, down]) => down) };
  };
  const anchors = ["compute", "cpu"].includes(against) ? [] : board.rows.map((row, r) => r).filter((r) => board.rows[r].kind === "anchor");
  const positions = (r) => board.sizes.map((size, c) => {
    if (against === "size") return size;
    if (against === "nn_ratio") return board.tables.nn_ratio?.cells[r][c].m?.[0] ?? null;
    const { runs } = board;
    const spent = against === "cpu" ? (i) => runs.cost.train_cpu_seconds[i] : (i) => tflop(runs.cost, i);
    const amounts = runs.row.map((row, i) => i).filter((i) => runs.row[i] === r && runs.size[i] === size && runs.status[i] === "done").map(spent).filter((x) => x !== null);
    return amounts.length ? average(amounts) : null;
  });
  for (const r of [...anchors, ...methods.slice(0, PLOTTED)]) {
    const anchor = board.rows[r].kind === "anchor";
    const { symbol, dash } = board.rows[r].look;
    const tint = tintOf(board.rows[r]);
    const places = positions(r);
    for (const line of table.lines[r]) {
      const cells = line.map((c) => table.cells[r][c]);
      const apart = !anchor && cells.some((cell) => cell.c);
      traces.push({
        name: escaped(board.rows[r].label + (apart ? " (not comparable)" : "")), type: "scatter", mode: anchor && against === "size" && line.length > 1 ? "lines" : "lines+markers",
        legendgroup: `${r} ${apart}`, showlegend: !traces.some((other) => other.legendgroup === `${r} ${apart}`),
        x: line.map((c) => places[c]), y: cells.map((cell) => bend(cell.m[0] * scale)),
        error_y: { type: "data", symmetric: false, ...ends(cells), visible: !anchor, thickness: 1.2, width: 4 },
        line: { color: tint, dash, width: anchor ? 1.5 : 2 }, marker: { color: tint, symbol: symbol + (apart ? "-open" : ""), size: 9 },
        text: line.map((c, k) => escaped(describe(board, r, cells[k], board.sizes[c])).replace(/\n/g, "<br>")), hovertemplate: "%{text}<extra></extra>",
      });
    }
  }
  const logarithmic = against !== "nn_ratio";
  plot(at("plot"), traces, {
    xaxis: { title: { text: PLACES[against] }, type: logarithmic ? "log" : "linear", ...(against === "size" ? { tickvals: board.sizes, ticktext: board.sizes.map(String) } : {}) },
    yaxis: { title: { text: label }, ...axis },
  });
  at("plot").setAttribute("aria-label", `${label} against ${PLACES[against]}; the numbers are in the table above`);
  const notes = [];
  if (methods.length > PLOTTED) notes.push(`The first ${PLOTTED} of ${methods.length} rows; the filter chooses others.`);
  if (against === "nn_ratio" && !board.tables.nn_ratio) notes.push("nn_ratio was not measured in these runs.");
  if (["compute", "cpu"].includes(against) && !traces.some((trace) => trace.x.some((x) => x !== null))) notes.push("It was not recorded in these runs.");
  if (table.bend) notes.push("The axis is linear near zero and logarithmic beyond.");
  if (against !== "size") notes.push("One point for each target size, joined in the order of size where they were measured alike.");
  at("plot-note").textContent = notes.join(" ");
};
