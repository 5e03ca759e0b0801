// What stands behind a cell: its runs, metrics, cost, config, curves and pictures.
const COST = {
  train_flop: ["compute of training", (x) => `${number(x / 1e12)} TFLOP`],
  prepare_flop: ["compute of preparing", (x) => `${number(x / 1e12)} TFLOP`],
  train_cpu_seconds: ["CPU time of training", (x) => duration(x)],
  images_seen: ["images seen", (x) => x.toLocaleString("en")],
  peak_memory_bytes: ["peak memory", (x) => `${number(x / 2 ** 30)} GiB`],
  parameters: ["parameters", (x) => x.toLocaleString("en")],
};

// "class_mass/3 target" is the line "3 target" of a plot of its own; a name without a slash is a loss.
const curveGroups = (curve) => {
  const groups = new Map();
  for (const key of Object.keys(curve?.series ?? {})) {
    const [group, name] = key.includes("/") ? [key.slice(0, key.indexOf("/")), key.slice(key.indexOf("/") + 1)] : ["loss", key];
    groups.set(group, [...(groups.get(group) ?? []), [name, key]]);
  }
  return [...groups];
};

const section = (title, ...nodes) => [make("h3", {}, title), ...nodes];
const note = (text) => make("p", { className: "note" }, text);

// Of the runs `here` of a cell.
const runsOf = (board, here) => {
  const { runs } = board;
  const rows = here.map((i) => [`${runs.subset[i] ?? "–"} / ${runs.seed[i]}`, runCell(board, i, 4), runs.status[i], runs.finished[i], runs.commit[i], runs.device[i]]);
  const table = make("table", {}, ...plain(["subset / seed", metric().label, "status", "finished", "commit", "device"], rows));
  return section("Runs", make("div", { className: "scroll", role: "region", "aria-label": "Runs", tabIndex: 0 }, table));
};
const metricsOf = (board, r, c) => {
  const all = board.metrics.map((name) => [data.metrics[name].label, cellText(board.tables[name].cells[r][c], data.metrics[name].scale)]);
  return section("All metrics", pairs(all));
};
const classesOf = (runs, here) => Object.entries(runs.parts).flatMap(([name, parts]) => {
  const found = here.map((i) => parts[i]).filter(Boolean);
  const means = [...new Set(found.flatMap(Object.keys))].map((part) => {
    const values = found.map((one) => one[part]).filter((x) => typeof x === "number");
    return [part, values.length ? number(average(values) * data.metrics[name].scale) : "n/a"];
  });
  return means.length ? section(`${data.metrics[name].label} by class`, pairs(means)) : [];
});
// A run that diverged stopped early, so it is left out.
const costOf = (runs, here) => {
  const done = here.filter((i) => runs.status[i] === "done");
  const cost = Object.entries(COST).map(([key, [label, show]]) => {
    const values = done.map((i) => runs.cost[key][i]).filter((x) => x !== null && x > 0);
    return values.length ? [label, show(average(values))] : null;
  }).filter(Boolean);
  return cost.length ? section(done.length > 1 ? `Cost (mean of ${done.length} runs)` : "Cost", pairs(cost)) : [];
};
const configOf = (row) => (Object.keys(row.config).length ? section("Config", pairs(Object.entries(row.config))) : []);

// Of the first of them that has a picture.
const picturesOf = (row, size, behind) => {
  const found = [];
  if (behind?.samples) found.push(...section(`Samples, ${behind.runs.samples}`, note("Rows: held-out sources, their translations, the ground truth where there is one."), make("img", { src: behind.samples, alt: `Sources and translations by ${row.label} from ${size} target images` })));
  if (behind?.nearest) found.push(...section(`Nearest training images, ${behind.runs.nearest}`, note("Rows: translations, and for each the nearest image of the target training set (in pixels): alike means copied."), make("img", { src: behind.nearest, alt: `Translations by ${row.label} above their nearest training images` })));
  return found;
};
const plotCurves = (node, group, names, curve) => {
  plot(node, names.map(([name, key], k) => ({
    name: escaped(name), type: "scatter", mode: "lines", x: curve.images, y: curve.series[key],
    line: { color: data.lines[k % data.lines.length].colour, dash: data.lines[k % data.lines.length].dash, width: 1.6 },
  })), { xaxis: { title: { text: "images seen" } }, yaxis: { title: { text: escaped(group) } }, showlegend: true });
};

const openDetails = (r, size) => {
  const { board } = chosen();
  const row = board.rows[r];
  const { runs } = board;
  const c = board.sizes.indexOf(size);
  const here = runs.row.map((_, i) => i).filter((i) => runs.row[i] === r && runs.size[i] === size);
  const behind = board.evidence[`${r}-${size}`];
  const curves = curveGroups(behind?.curve).map(([group, names]) => {
    const node = make("div", { className: "plot", role: "img", "aria-label": `${group} while training` });
    return { node, group, names, title: `${group === "loss" ? "Learning curve" : group}, ${behind.runs.curve}` };
  });
  at("details-title").textContent = `${row.label}, ${size} target images`;
  at("details-body").replaceChildren(
    make("p", {}, describe(board, r, board.tables[state.metric].cells[r][c], size).split("\n").slice(1).join(" ")),
    ...picturesOf(row, size, behind),
    ...(here.length ? [...runsOf(board, here), ...metricsOf(board, r, c), ...classesOf(runs, here), ...costOf(runs, here), ...configOf(row)] : []),
    ...curves.flatMap(({ node, title }) => section(title, node)),
    ...(!behind && here.length && row.kind === "method" ? [note("No curve or pictures of these runs are at hand.")] : []),
  );
  hideTip();
  at("details").showModal();
  at("details").scrollTop = 0;
  for (const { node, group, names } of curves) plotCurves(node, group, names, behind.curve);
};
