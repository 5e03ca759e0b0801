// What the page knows, and what of it was chosen.
const data = JSON.parse(document.getElementById("data").textContent);
const ROWS_AT_ONCE = 100;
const RUNS_AT_ONCE = 200;
const PICTURES_AT_ONCE = 8; // rows of translations: the sources, the best six, the truth
const BY_SCORE = -1; // no column: the order in which the rows come

const state = { dataset: 0, metric: "", filter: "", sort: { column: BY_SCORE, down: false }, runs: { column: BY_SCORE, down: false }, pictures: PICTURES_AT_ONCE, rows: ROWS_AT_ONCE, shown: RUNS_AT_ONCE };
const sets = [
  ...data.boards.map((board) => ({ title: board.title, dataset: board.dataset, board })),
  ...Object.keys(data.published)
    .filter((name) => data.published[name] && !data.boards.some((board) => board.dataset === name))
    .map((name) => ({ title: name, dataset: name, board: null })),
];
const chosen = () => sets[state.dataset];
const metric = () => data.metrics[state.metric];

// What a row is found by: its label, its kind and its configuration.
const texts = new Map();
const searched = (board, row) => {
  if (!texts.has(row)) {
    const config = Object.entries(row.config).map(([key, value]) => `${key}=${value}`);
    texts.set(row, [row.label, row.kind, row.added ? "external" : "", ...config].join(" ").toLowerCase());
  }
  return texts.get(row);
};
const matches = (board, row) => state.filter.toLowerCase().split(/\s+/).every((word) => searched(board, row).includes(word));
