const range = (board, table) => {
  const means = table.cells.flat().filter((cell) => cell.m).map((cell) => cell.m[0]);
  const low = Math.min(...means), high = Math.max(...means);
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
};
const strip = (cell, [low, high]) => {
  const place = (x) => `${Math.max(0, Math.min(100, ((x - low) / (high - low)) * 100))}%`;
  const whole = make("span", { className: "strip", "aria-hidden": "true" });
  if (cell.m[1] !== null) {
    const bar = make("i");
    bar.style.left = place(cell.m[1]);
    bar.style.right = `calc(100% - ${place(cell.m[2])})`;
    whole.append(bar);
  }
  const dot = make("b");
  dot.style.left = place(cell.m[0]);
  whole.append(dot);
  return whole;
};

// The board: a row is built when it is first shown; sorting and filtering then only move rows.
let lines = [];
const buildBoard = () => {
  const { board } = chosen();
  const table = board.tables[state.metric];
  const slopes = board.sizes.length > 1;
  const head = make("tr", {}, sortHeader("Method", "", 0, state.sort, arrange));
  board.sizes.forEach((size, i) => {
    const column = table.columns[i];
    head.append(sortHeader(`${size}`, `n ${column.n_gen ?? "–"}/${column.n_ref ?? "–"}`, i + 1, state.sort, arrange));
  });
  if (slopes) head.append(sortHeader("per doubling", "of the target set", board.sizes.length + 1, state.sort, arrange));
  const bounds = range(board, table);
  lines = board.rows.map((row, r) => ({
    row,
    keys: [row.label, ...table.cells[r].map((cell) => cell.m?.[0] ?? null), table.slopes[r]?.[0] ?? null],
    build: () => buildRow(board, table, r, bounds, slopes),
  }));
  at("table-title").textContent = `${metric().label} on ${board.title}`;
  at("board").replaceChildren(make("thead", {}, head), make("tbody", { className: "anchors" }), make("tbody", { className: "methods" }));
  arrange();
};
const buildRow = (board, table, r, bounds, slopes) => {
  const { scale } = metric();
  const line = make("tr", {}, make("th", { scope: "row" }, rowLabel(board.rows[r])));
  board.sizes.forEach((size, c) => line.append(make("td", {}, buildCell(board.rows[r], r, size, table.cells[r][c], bounds, table.columns[c].verdict[0] === "best"))));
  const slope = table.slopes[r];
  if (slopes) line.append(make("td", {}, slope ? signed(slope, scale) : "–", slope?.[5] ? make("small", {}, ` ${slope[5]} only`) : ""));
  return line;
};
// good: the leader is shown to be better than doing nothing, see bench/leaderboard/verdict.py
const buildCell = (row, r, size, cell, bounds, good) => {
  const text = cellText(cell, metric().scale);
  const button = make("button", { type: "button", className: "cell" }, make("span", { className: cell.m ? "" : "absent" }, text));
  if (cell.k === "best") button.classList.add("best", ...(good ? ["good"] : []));
  else if ((cell.k === "leads" || cell.k === "level") && cell.m[3] > 1) button.append(" °");
  if (cell.c && row.kind === "anchor") button.append(make("small", {}, ` n ${cell.c[0]}/${cell.c[1]}`));
  else if (cell.p || (cell.n && cell.m && metric().better)) button.append(make("small", {}, " *"));
  if (cell.m) button.append(strip(cell, bounds));
  button.setAttribute("aria-label", `${row.label}, ${size} target images: ${text}. ${cell.k && row.kind !== "anchor" ? rankText(cell) : ""} ${cell.n ?? ""} ${cell.p ?? ""} Details`);
  button.dataset.row = r;
  button.dataset.size = size;
  return button;
};
const arrange = () => {
  const { board } = chosen();
  if (!board) return;
  const { column, down } = state.sort;
  const table = at("board");
  markSorted(table, state.sort);
  const found = lines.filter((entry) => matches(board, entry.row)).sort((a, b) => compare(a.keys[column], b.keys[column], down));
  const methods = found.filter((entry) => entry.row.kind !== "anchor");
  const built = (entry) => (entry.line ??= entry.build());
  table.querySelector(".anchors").replaceChildren(...lines.filter((entry) => entry.row.kind === "anchor" && found.includes(entry)).map(built));
  table.querySelector(".methods").replaceChildren(...methods.slice(0, state.rows).map(built));
  at("count").textContent = found.length === lines.length ? many(lines.length, "row") : `${found.length} of ${lines.length} rows match the filter`;
  at("more-rows").hidden = methods.length <= state.rows;
  at("more-rows").textContent = `Show ${Math.min(ROWS_AT_ONCE, methods.length - state.rows)} more of ${methods.length} methods`;
};

const drawVerdicts = () => {
  const { board } = chosen();
  const table = board.tables[state.metric];
  at("verdicts").replaceChildren(...board.sizes.map((size, i) => {
    const [kind, text] = table.columns[i].verdict;
    return make("li", { className: kind }, make("b", {}, `${size} target images`), text);
  }));
};
