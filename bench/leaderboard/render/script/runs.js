// The table of runs.
// 10^12 floating-point operations of training and of what was prepared for it; null where they were not counted.
const tflop = (cost, i) => (cost.train_flop[i] === null ? null : (cost.train_flop[i] + (cost.prepare_flop[i] ?? 0)) / 1e12);
const RUN_COLUMNS = [
  ["Method", (b, i) => b.rows[b.runs.row[i]].label],
  ["Target size", (b, i) => b.runs.size[i]],
  ["Subset seed", (b, i) => b.runs.subset[i]],
  ["Seed", (b, i) => b.runs.seed[i]],
  ["Value", (b, i) => b.runs.values[state.metric][i]?.[0] ?? null],
  ["TFLOP", (b, i) => tflop(b.runs.cost, i)],
  ["CPU time", (b, i) => b.runs.cost.train_cpu_seconds[i]],
  ["Status", (b, i) => b.runs.status[i]],
  ["Finished", (b, i) => b.runs.finished[i]],
  ["Commit", (b, i) => b.runs.commit[i]],
];
const runCell = (board, i, column) => {
  const value = RUN_COLUMNS[column][1](board, i);
  if (column === 4) {
    const whole = board.runs.values[state.metric][i];
    if (!whole) return "–";
    const { scale } = metric();
    const over = interval(whole[1], whole[2], scale);
    return number(whole[0] * scale, 4) + (over ? ` (${over})` : "");
  }
  if (value === null || (column > 4 && value === 0)) return "–";
  if (column === 5) return number(value);
  return column === 6 ? duration(value) : String(value);
};
const drawRuns = () => {
  const { board } = chosen();
  const table = at("runs");
  at("runs-summary").textContent = many(board.runs.row.length, "run");
  if (!at("runs-details").open) return;
  const sort = state.runs;
  if (!table.tHead) {
    table.append(make("thead", {}, make("tr", {}, ...RUN_COLUMNS.map(([name], i) => sortHeader(name, "", i, sort, drawRuns)))), make("tbody"));
  }
  markSorted(table, sort);
  const key = sort.column === BY_SCORE ? (b, i) => b.runs.row[i] : RUN_COLUMNS[sort.column][1];
  const found = [];
  board.runs.row.forEach((row, i) => {
    if (matches(board, board.rows[row])) found.push({ i, key: key(board, i) });
  });
  found.sort((a, b) => compare(a.key, b.key, sort.down) || a.i - b.i);
  const body = document.createDocumentFragment();
  for (const { i } of found.slice(0, state.shown)) {
    const line = make("tr", {}, make("td", {}, rowLabel(board.rows[board.runs.row[i]])));
    for (let column = 1; column < RUN_COLUMNS.length; column += 1) line.append(make("td", {}, runCell(board, i, column)));
    body.append(line);
  }
  table.tBodies[0].replaceChildren(body);
  at("more").hidden = found.length <= state.shown;
  at("more").textContent = `Show ${Math.min(RUNS_AT_ONCE, found.length - state.shown)} more of ${found.length} runs`;
};
