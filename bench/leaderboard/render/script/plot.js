// Charts. plotly is large, so it is started only after the first paint.
const PLOTTED = 12;
const COLOURS = data.colours;
const MARKERS = ["circle", "square", "diamond", "triangle-up", "x", "star", "triangle-down", "cross", "pentagon"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
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
const look = (k) => ({ colour: COLOURS[k % COLOURS.length], marker: MARKERS[k % MARKERS.length], dash: DASHES[Math.floor(k / COLOURS.length) % DASHES.length] });

const drawPlot = () => {
  const { board } = chosen();
  const table = board.tables[state.metric];
  const { scale, label } = metric();
  const against = at("against").value;
  const methods = board.rows.map((row, r) => r).filter((r) => board.rows[r].kind !== "anchor" && matches(board, board.rows[r]) && table.cells[r].some((cell) => cell.m));
  const order = new Map(board.rows.map((row, r) => r).filter((r) => board.rows[r].kind !== "anchor").map((r, k) => [r, k]));
  const traces = [];
  const anchors = against === "train_seconds" ? [] : board.rows.map((row, r) => r).filter((r) => board.rows[r].kind === "anchor");
  const positions = (r) => board.sizes.map((size, c) => {
    if (against === "size") return size;
    if (against === "nn_ratio") return board.tables.nn_ratio?.cells[r][c].m?.[0] ?? null;
    const { runs } = board;
    const seconds = runs.row.map((row, i) => i).filter((i) => runs.row[i] === r && runs.size[i] === size && runs.status[i] === "done").map((i) => runs.cost.train_seconds[i]).filter((x) => x !== null);
    return seconds.length ? average(seconds) : null;
  });
  for (const r of [...anchors, ...methods.slice(0, PLOTTED)]) {
    const anchor = board.rows[r].kind === "anchor";
    const { colour: tint, marker, dash } = anchor ? { colour: colour("--soft"), marker: "line-ew", dash: ["dot", "dash", "longdash"][anchors.indexOf(r) % 3] } : look(order.get(r));
    const places = positions(r);
    for (const line of table.lines[r]) {
      const cells = line.map((c) => table.cells[r][c]);
      const apart = !anchor && cells.some((cell) => cell.c);
      traces.push({
        name: escaped(board.rows[r].label + (apart ? " (not comparable)" : "")), type: "scatter", mode: anchor && against === "size" && line.length > 1 ? "lines" : "lines+markers",
        legendgroup: `${r} ${apart}`, showlegend: !traces.some((other) => other.legendgroup === `${r} ${apart}`),
        x: line.map((c) => places[c]), y: cells.map((cell) => cell.m[0] * scale),
        error_y: { type: "data", array: cells.map((cell) => (cell.m[1] !== null ? (cell.m[2] - cell.m[0]) * scale : 0)), visible: !anchor, thickness: 1.2, width: 4 },
        line: { color: tint, dash, width: anchor ? 1.5 : 2 }, marker: { color: tint, symbol: anchor ? "circle-open" : marker + (apart ? "-open" : ""), size: 9 },
        text: line.map((c, k) => escaped(describe(board, r, cells[k], board.sizes[c])).replace(/\n/g, "<br>")), hovertemplate: "%{text}<extra></extra>",
      });
    }
  }
  const titles = { size: "target images", train_seconds: "training time, seconds", nn_ratio: "nn_ratio: 1 is fair, 0 a copier" };
  const logarithmic = against !== "nn_ratio";
  plot(at("plot"), traces, {
    xaxis: { title: { text: titles[against] }, type: logarithmic ? "log" : "linear", ...(against === "size" ? { tickvals: board.sizes, ticktext: board.sizes.map(String) } : {}) },
    yaxis: { title: { text: label } },
  });
  at("plot").setAttribute("aria-label", `${label} against ${titles[against]}; the numbers are in the table above`);
  const notes = [];
  if (methods.length > PLOTTED) notes.push(`The first ${PLOTTED} of ${methods.length} rows; the filter chooses others.`);
  if (against === "nn_ratio" && !board.tables.nn_ratio) notes.push("nn_ratio was not measured in these runs.");
  if (against !== "size") notes.push("One point for each target size, joined in the order of size where they were measured alike.");
  at("plot-note").textContent = notes.join(" ");
};
