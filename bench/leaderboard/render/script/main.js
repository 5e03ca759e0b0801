// The page as a whole: drawn, wired, started.
const drawPublished = () => {
  const found = data.published[chosen().dataset];
  at("published-section").hidden = !found;
  if (!found) return;
  at("published-note").textContent = found.note;
  at("published-summary").textContent = many(found.rows.length, "published row");
  at("published-section").querySelector("details").open = !chosen().board;
  at("published").replaceChildren(...plain(found.headings, found.rows));
};

const draw = () => {
  const { board } = chosen();
  for (const id of ["pictures-section", "verdicts-section", "table-section", "plot-section", "runs-section"]) at(id).hidden = !board;
  at("metric").disabled = !board;
  at("task").textContent = board
    ? `${board.task.source ?? "?"} → ${board.task.target ?? "?"}, ${board.task.n_source ?? "?"} source images; held out: ${board.task.n_source_test ?? "?"} sources, ${board.task.n_target_test ?? "?"} targets. ${many(board.runs.row.length, "run")}.`
    : "No runs of this data set here; what papers printed is below.";
  drawPublished();
  if (!board) {
    at("summary").textContent = "";
    return;
  }
  const { better, summary } = metric();
  at("summary").textContent = `${summary}. ${better ? `${better === "lower" ? "Lower" : "Higher"} is better.` : "Neither direction is a merit."}`;
  drawPictures();
  drawVerdicts();
  buildBoard();
  drawRuns();
  drawPlot();
  try { history.replaceState(null, "", `#${new URLSearchParams({ dataset: chosen().title, metric: state.metric })}`); } catch { /* not everywhere allowed from disk */ }
};
const chooseSet = (index, name) => {
  state.dataset = index;
  const { board } = chosen();
  const names = board ? board.metrics : [];
  at("metric").replaceChildren(...names.map((key) => make("option", { value: key }, data.metrics[key].label)));
  state.metric = [name, board?.primary].find((key) => names.includes(key)) ?? names[0] ?? "";
  at("metric").value = state.metric;
  at("dataset").selectedIndex = index;
  state.sort = { column: BY_SCORE, down: false };
  state.pictures = PICTURES_AT_ONCE;
  state.rows = ROWS_AT_ONCE;
  state.shown = RUNS_AT_ONCE;
};

const groups = [["Measured", sets.filter((set) => set.board)], ["Published figures only", sets.filter((set) => !set.board)]];
for (const [label, members] of groups) {
  if (members.length) at("dataset").append(make("optgroup", { label }, ...members.map((set) => make("option", { value: set.title }, set.title))));
}
at("reading").replaceChildren(...[...data.reading, ...Object.entries(data.left_out).filter(([, n]) => n).map(([kind, n]) => `Left out of this page to keep it small: ${kind}, ${n}.`)].map((text) => make("li", {}, text)));
at("citation").textContent = data.citation;

at("dataset").addEventListener("change", () => { chooseSet(at("dataset").selectedIndex); draw(); });
at("metric").addEventListener("change", () => { state.metric = at("metric").value; draw(); });
at("against").addEventListener("change", drawPlot);
at("controls").addEventListener("submit", (event) => event.preventDefault());
at("filter").addEventListener("input", () => {
  state.filter = at("filter").value.trim();
  state.rows = ROWS_AT_ONCE;
  state.shown = RUNS_AT_ONCE;
  if (!chosen().board) return;
  arrange();
  drawRuns();
  drawPlot();
});
at("runs-details").addEventListener("toggle", () => { if (chosen().board) drawRuns(); });
at("more-pictures").addEventListener("click", () => { state.pictures = Infinity; drawPictures(); });
at("more-rows").addEventListener("click", () => { state.rows += ROWS_AT_ONCE; arrange(); });
at("more").addEventListener("click", () => { state.shown += RUNS_AT_ONCE; drawRuns(); });
const cellOf = (event) => event.target.closest?.(".cell");
const tell = (event) => {
  const button = cellOf(event);
  if (!button) return hideTip();
  const { board } = chosen();
  const r = Number(button.dataset.row), size = Number(button.dataset.size);
  return showTip(button, describe(board, r, board.tables[state.metric].cells[r][board.sizes.indexOf(size)], size));
};
at("board").addEventListener("mouseover", tell);
at("board").addEventListener("focusin", tell);
at("board").addEventListener("mouseleave", hideTip);
at("board").addEventListener("focusout", hideTip);
at("board").addEventListener("click", (event) => {
  const button = cellOf(event);
  if (button) openDetails(Number(button.dataset.row), Number(button.dataset.size));
});
at("close").addEventListener("click", () => at("details").close());
at("details").addEventListener("click", (event) => { if (event.target === at("details")) at("details").close(); });
addEventListener("scroll", hideTip, { passive: true });
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (chosen().board) drawPlot(); });

const largest = sets.reduce((best, set, i) => ((set.board?.runs.row.length ?? 0) > (sets[best].board?.runs.row.length ?? 0) ? i : best), 0);
const asked = new URLSearchParams(location.hash.slice(1));
const wantedSet = sets.findIndex((set) => set.title === asked.get("dataset"));
chooseSet(wantedSet < 0 ? largest : wantedSet, asked.get("metric"));
draw();

const startPlotly = () => {
  const code = document.createElement("script");
  code.textContent = at("plotly").textContent;
  document.head.append(code);
  for (const node of wanted.keys()) if (node.isConnected) paint(node);
};
addEventListener("load", () => requestAnimationFrame(() => setTimeout(startPlotly, 0)));
