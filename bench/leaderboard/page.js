"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const make = (tag, facts = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(facts)) {
      if (key in node && key !== "role") node[key] = value;
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  };
  const ROWS_AT_ONCE = 100;
  const RUNS_AT_ONCE = 200;
  const PLOTTED = 12;
  const ROUNDING = 1e-9;
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
  const MARKERS = ["circle", "square", "diamond", "triangle-up", "x", "star", "triangle-down", "cross", "pentagon"];
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];

  // Numbers: three significant digits, the mean to the decimal of its interval; the same as in the Markdown tables.
  const number = (x, digits = 3) => {
    if (x === null || x === undefined) return "–";
    const text = (Math.abs(x) < ROUNDING ? 0 : x).toPrecision(digits);
    return String(text.includes("e") ? Number(text) : Number.parseFloat(text));
  };
  const estimated = (m, scale) => {
    const mean = m[0] * scale;
    if (m[1] === null) return number(mean);
    const half = (m[2] - m[0]) * scale;
    if (!(half > ROUNDING)) return number(mean) + " ± 0";
    const decimals = Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(half))));
    const text = mean.toFixed(decimals);
    return `${Number(text) === 0 ? text.replace("-", "") : text} ± ${half.toFixed(decimals)}`;
  };
  const signed = (m, scale) => {
    const text = estimated(m, scale);
    return Number.parseFloat(text) > 0 ? "+" + text : text;
  };
  const interval = (low, high, scale) => (low === null || high === null ? "" : `${number(low * scale, 4)} to ${number(high * scale, 4)}`);
  const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
  const COST = {
    train_seconds: ["training", (x) => duration(x)],
    prepare_seconds: ["preparing", (x) => duration(x)],
    translate_seconds: ["translating", (x) => duration(x)],
    evaluate_seconds: ["measuring", (x) => duration(x)],
    images_seen: ["images seen", (x) => x.toLocaleString("en")],
    images_per_second: ["images/s", (x) => number(x)],
    peak_memory_bytes: ["peak memory", (x) => `${number(x / 2 ** 30)} GiB`],
    parameters: ["parameters", (x) => x.toLocaleString("en")],
  };
  const duration = (s) => (s < 90 ? `${number(s, 2)} s` : s < 5400 ? `${number(s / 60, 2)} min` : `${number(s / 3600, 3)} h`);

  const state = { dataset: 0, metric: "", filter: "", sort: { column: 0, down: false }, runs: { column: 0, down: false }, rows: ROWS_AT_ONCE, shown: RUNS_AT_ONCE };
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

  const badge = (text, title) => make("span", { className: "badge", title }, text);
  const rowLabel = (row) => {
    const label = make("span", {}, row.label);
    if (row.kind === "anchor") label.append(badge("anchor", "not a method: a fixed point to compare with"));
    if (row.kind === "external") label.append(badge("outside program", "outputs of another program, measured here"));
    if (row.added) label.append(badge("external record", "measured elsewhere and added; never ranked"));
    return label;
  };

  const ABSENT = { missing: "–", undefined: "n/a" };
  const cellText = (cell, scale) => (cell.m ? estimated(cell.m, scale) : (ABSENT[cell.s] ?? cell.s));
  const RANKS = {
    best: "Best: the paired interval separates it from every other.",
    leads: "Best mean, but not separated from every other.",
    level: "Not separated from the best mean.",
    behind: "Behind: the paired interval separates it from the best mean.",
    alone: "Nothing to compare it with.",
    unranked: "Not ranked.",
  };
  const describe = (board, row, cell, size) => {
    const { scale } = metric();
    const lines = [`${board.rows[row].label}, ${size} target images`];
    if (cell.m) {
      const runs = `${many(cell.m[4], "run")}, ${many(cell.m[3], "independent draw")}`;
      lines.push(`${number(cell.m[0] * scale, 4)}${cell.m[1] === null ? ", no interval" : `, 95 %: ${interval(cell.m[1], cell.m[2], scale)}`} (${runs})`);
      if (board.rows[row].kind !== "anchor") lines.push(RANKS[cell.k]);
      if (cell.g) lines.push(`To the leader: ${number(cell.g[0] * scale, 3)}${cell.g[1] === null ? "" : ` (${interval(cell.g[1], cell.g[2], scale)})`}, ${many(cell.g[3], "paired draw")}`);
    } else lines.push({ missing: "No run.", undefined: "Not available.", diverged: "Diverged.", unfinished: "Not finished." }[cell.s]);
    if (cell.c) lines.push(`n = ${cell.c[0] ?? "–"}/${cell.c[1] ?? "–"}, metric version ${cell.c[2]}`);
    if (cell.d) lines.push(`${cell.d} diverged`);
    if (cell.n) lines.push(cell.n[0].toUpperCase() + cell.n.slice(1) + ".");
    const runs = board.runs;
    const here = runs.row.map((r, i) => i).filter((i) => runs.row[i] === row && runs.size[i] === size);
    const commits = [...new Set(here.map((i) => runs.commit[i]))];
    if (here.length) lines.push(`Commit ${commits.slice(0, 3).join(", ")}, ${here.map((i) => runs.finished[i]).sort().pop()}`);
    return lines.join("\n");
  };

  const tip = at("tip");
  const showTip = (button, text) => {
    tip.textContent = text;
    tip.hidden = false;
    const box = button.getBoundingClientRect();
    const own = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - own.width - 8))}px`;
    tip.style.top = `${box.bottom + own.height + 8 < innerHeight ? box.bottom + 4 : Math.max(4, box.top - own.height - 4)}px`;
  };
  const hideTip = () => { tip.hidden = true; };

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

  const sortHeader = (text, small, index, sort, redraw, scope = "col") => {
    const button = make("button", { type: "button" }, text);
    const header = make("th", { scope }, button);
    if (small) header.append(make("small", {}, small));
    header.setAttribute("aria-sort", sort.column === index ? (sort.down ? "descending" : "ascending") : "none");
    button.addEventListener("click", () => {
      sort.down = sort.column === index ? !sort.down : false;
      sort.column = index;
      redraw();
    });
    return header;
  };
  const collator = new Intl.Collator("en", { numeric: true });
  const compare = (a, b, down) => {
    if (a === b) return 0;
    if (a === null || a === undefined) return 1;
    if (b === null || b === undefined) return -1;
    const order = typeof a === "number" ? a - b : collator.compare(String(a), String(b));
    return down ? -order : order;
  };
  const markSorted = (table, sort) => {
    table.querySelectorAll("thead th").forEach((header, index) => {
      header.setAttribute("aria-sort", sort.column === index ? (sort.down ? "descending" : "ascending") : "none");
    });
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
    board.sizes.forEach((size, c) => line.append(make("td", {}, buildCell(board.rows[r], r, size, table.cells[r][c], bounds))));
    const slope = table.slopes[r];
    if (slopes) line.append(make("td", {}, slope ? signed(slope, scale) : "–"));
    return line;
  };
  const buildCell = (row, r, size, cell, bounds) => {
    const text = cellText(cell, metric().scale);
    const button = make("button", { type: "button", className: "cell" }, make("span", { className: cell.m ? "" : "absent" }, text));
    if (cell.k === "best") button.classList.add("best");
    else if ((cell.k === "leads" || cell.k === "level") && cell.m[3] > 1) button.append(" °");
    if (cell.c && row.kind === "anchor") button.append(make("small", {}, ` n ${cell.c[0]}/${cell.c[1]}`));
    else if (cell.n && cell.m && metric().better) button.append(make("small", {}, " *"));
    if (cell.m) button.append(strip(cell, bounds));
    button.setAttribute("aria-label", `${row.label}, ${size} target images: ${text}. ${cell.k && row.kind !== "anchor" ? RANKS[cell.k] : ""} ${cell.n ?? ""} Details`);
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

  const RUN_COLUMNS = [
    ["Method", (b, i) => b.rows[b.runs.row[i]].label],
    ["Target size", (b, i) => b.runs.size[i]],
    ["Subset seed", (b, i) => b.runs.subset[i]],
    ["Seed", (b, i) => b.runs.seed[i]],
    ["Value", (b, i) => b.runs.values[state.metric][i]?.[0] ?? null],
    ["Training", (b, i) => b.runs.cost.train_seconds[i]],
    ["Images/s", (b, i) => b.runs.cost.images_per_second[i]],
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
    if (column === 5) return duration(value);
    return column === 6 ? number(value) : String(value);
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
    const key = RUN_COLUMNS[sort.column][1];
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

  const plain = (headings, rows) => [
    make("thead", {}, make("tr", {}, ...headings.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((text, i) => make(i ? "td" : "th", i ? {} : { scope: "row" }, text))))),
  ];
  const drawPublished = () => {
    const found = data.published[chosen().dataset];
    at("published-section").hidden = !found;
    if (!found) return;
    at("published-note").textContent = found.note;
    at("published-summary").textContent = `${found.rows.length} published rows`;
    at("published-section").querySelector("details").open = !chosen().board;
    at("published").replaceChildren(...plain(found.headings, found.rows));
  };

  // Charts. plotly is large, so it is started only after the first paint.
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
      const seconds = board.runs.row.map((row, i) => i).filter((i) => board.runs.row[i] === r && board.runs.size[i] === size).map((i) => board.runs.cost.train_seconds[i]).filter((x) => x !== null);
      return seconds.length ? seconds.reduce((a, b) => a + b) / seconds.length : null;
    });
    for (const r of [...anchors, ...methods.slice(0, PLOTTED)]) {
      const anchor = board.rows[r].kind === "anchor";
      const { colour: tint, marker, dash } = anchor ? { colour: colour("--soft"), marker: "line-ew", dash: ["dot", "dash", "longdash"][anchors.indexOf(r) % 3] } : look(order.get(r));
      const cells = table.cells[r];
      traces.push({
        name: escaped(board.rows[r].label), type: "scatter", mode: anchor && against === "size" ? "lines" : "lines+markers",
        x: positions(r), y: cells.map((cell) => (cell.m ? cell.m[0] * scale : null)),
        error_y: { type: "data", array: cells.map((cell) => (cell.m && cell.m[1] !== null ? (cell.m[2] - cell.m[0]) * scale : 0)), visible: !anchor, thickness: 1.2, width: 4 },
        line: { color: tint, dash, width: anchor ? 1.5 : 2 }, marker: { color: tint, symbol: anchor ? "circle-open" : marker, size: 9 },
        text: board.sizes.map((size, c) => escaped(describe(board, r, cells[c], size)).replace(/\n/g, "<br>")), hovertemplate: "%{text}<extra></extra>",
      });
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
    if (against !== "size") notes.push("One point for each target size, joined in the order of size.");
    at("plot-note").textContent = notes.join(" ");
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

  const pairs = (entries) => make("dl", {}, ...entries.map(([key, value]) => make("div", {}, make("dt", {}, key), make("dd", {}, String(value)))));
  const openDetails = (r, size) => {
    const { board } = chosen();
    const row = board.rows[r];
    const { runs } = board;
    const c = board.sizes.indexOf(size);
    const here = runs.row.map((_, i) => i).filter((i) => runs.row[i] === r && runs.size[i] === size);
    const body = [make("p", {}, describe(board, r, board.tables[state.metric].cells[r][c], size).split("\n").slice(1).join(" "))];
    const section = (title, ...nodes) => body.push(make("h3", {}, title), ...nodes);
    const scroll = (label, table) => make("div", { className: "scroll", role: "region", "aria-label": label, tabIndex: 0 }, table);
    if (here.length) {
      const rows = here.map((i) => [`${runs.subset[i] ?? "–"} / ${runs.seed[i]}`, runCell(board, i, 4), runs.status[i], runs.finished[i], runs.commit[i], runs.device[i]]);
      section("Runs", scroll("Runs", make("table", {}, ...plain(["subset / seed", metric().label, "status", "finished", "commit", "device"], rows))));
      const all = board.metrics.map((name) => [data.metrics[name].label, cellText(board.tables[name].cells[r][c], data.metrics[name].scale)]);
      section("All metrics", pairs(all));
      for (const [name, parts] of Object.entries(runs.parts)) {
        const found = here.map((i) => parts[i]).filter(Boolean);
        const means = [...new Set(found.flatMap(Object.keys))].map((part) => {
          const values = found.map((one) => one[part]).filter((x) => typeof x === "number");
          return [part, values.length ? number((values.reduce((a, b) => a + b) / values.length) * data.metrics[name].scale) : "n/a"];
        });
        if (means.length) section(`${data.metrics[name].label} by class`, pairs(means));
      }
      const cost = Object.entries(COST).map(([key, [label, show]]) => {
        const values = here.map((i) => runs.cost[key][i]).filter((x) => x !== null && x > 0);
        return values.length ? [label, show(values.reduce((a, b) => a + b) / values.length)] : null;
      }).filter(Boolean);
      if (cost.length) section(here.length > 1 ? "Cost (mean of the runs)" : "Cost", pairs(cost));
      if (Object.keys(row.config).length) section("Config", pairs(Object.entries(row.config)));
    }
    const behind = board.evidence[`${r}-${size}`];
    const curves = curveGroups(behind?.curve).map(([group, names]) => {
      const node = make("div", { className: "plot", role: "img", "aria-label": `${group} while training` });
      section(`${group === "loss" ? "Learning curve" : group}, seed ${behind.seed}`, node);
      return { node, group, names };
    });
    if (behind?.samples) section(`Samples, seed ${behind.seed}`, make("p", { className: "note" }, "Rows: held-out sources, their translations, the ground truth where there is one."), make("img", { src: behind.samples, alt: `Sources and translations by ${row.label} from ${size} target images` }));
    if (behind?.nearest) section("Nearest training images", make("p", { className: "note" }, "Rows: translations, and for each the nearest image of the target training set (in pixels): alike means copied."), make("img", { src: behind.nearest, alt: `Translations by ${row.label} above their nearest training images` }));
    if (!behind && here.length && row.kind === "method") body.push(make("p", { className: "note" }, "No curve or pictures of these runs are at hand."));
    at("details-title").textContent = `${row.label}, ${size} target images`;
    at("details-body").replaceChildren(...body);
    hideTip();
    at("details").showModal();
    at("details").scrollTop = 0;
    for (const { node, group, names } of curves) {
      plot(node, names.map(([name, key], k) => ({
        name: escaped(name), type: "scatter", mode: "lines", x: behind.curve.images, y: behind.curve.series[key],
        line: { color: look(k).colour, dash: look(k).dash, width: 1.6 },
      })), { xaxis: { title: { text: "images seen" } }, yaxis: { title: { text: escaped(group) } }, showlegend: true });
    }
  };

  const draw = () => {
    const { board } = chosen();
    for (const id of ["verdicts-section", "table-section", "plot-section", "runs-section"]) at(id).hidden = !board;
    at("metric").disabled = !board;
    at("task").textContent = board
      ? `${board.task.source} → ${board.task.target}, ${board.task.n_source ?? "?"} source images; held out: ${board.task.n_source_test ?? "?"} sources, ${board.task.n_target_test ?? "?"} targets. ${many(board.runs.row.length, "run")}.`
      : "No runs of this data set here; what papers printed is below.";
    drawPublished();
    if (!board) {
      at("summary").textContent = "";
      return;
    }
    const { better, summary } = metric();
    at("summary").textContent = `${summary}. ${better ? `${better === "lower" ? "Lower" : "Higher"} is better.` : "Neither direction is a merit."}`;
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
    state.metric = [name, state.metric, "kid", "kd_effnet"].find((key) => names.includes(key)) ?? names[0] ?? "";
    at("metric").value = state.metric;
    at("dataset").selectedIndex = index;
    state.sort = { column: 0, down: false };
    state.rows = ROWS_AT_ONCE;
    state.shown = RUNS_AT_ONCE;
  };

  const groups = [["Measured", sets.filter((set) => set.board)], ["Published figures only", sets.filter((set) => !set.board)]];
  for (const [label, members] of groups) {
    if (members.length) at("dataset").append(make("optgroup", { label }, ...members.map((set) => make("option", { value: set.title }, set.title))));
  }
  at("reading").replaceChildren(...[...data.reading, ...Object.entries(data.left_out).filter(([, n]) => n).map(([kind, n]) => `${n} ${kind} were left out of this page to keep it small.`)].map((text) => make("li", {}, text)));
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
})();
