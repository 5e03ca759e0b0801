// What a row and a cell are called, and what stands behind a cell in words.
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
// A paired test needs two draws: of a row's own, and shared with the leader.
const rankText = (cell) => {
  if (!["leads", "level", "behind"].includes(cell.k)) return RANKS[cell.k];
  if (cell.m[3] < 2) return "One run: nothing tested.";
  if (cell.k !== "leads" && (!cell.g || cell.g[3] < 2)) return "Fewer than two seeds shared with the leader: nothing tested.";
  return RANKS[cell.k];
};
const describe = (board, row, cell, size) => {
  const { scale } = metric();
  const lines = [`${board.rows[row].label}, ${size} target images`];
  if (cell.m) {
    const runs = `${many(cell.m[4], "run")}, ${many(cell.m[3], "independent draw")}`;
    lines.push(`${number(cell.m[0] * scale, 4)}${cell.m[1] === null ? ", no interval" : `, 95 %: ${interval(cell.m[1], cell.m[2], scale)}`} (${runs})`);
    if (board.rows[row].kind !== "anchor") lines.push(rankText(cell));
    if (cell.g) lines.push(`To the leader: ${number(cell.g[0] * scale, 3)}${cell.g[1] === null ? "" : ` (${interval(cell.g[1], cell.g[2], scale)})`}, ${many(cell.g[3], "paired draw")}`);
  } else lines.push({ missing: "No run.", undefined: "Not available.", diverged: "Diverged.", unfinished: "Not finished.", skipped: "Skipped." }[cell.s]);
  if (cell.c) lines.push(`n = ${cell.c[0] ?? "–"}/${cell.c[1] ?? "–"}, metric version ${cell.c[2]}`);
  if (cell.d) lines.push(`${cell.d} diverged`);
  for (const note of [cell.n, cell.p]) if (note) lines.push(note[0].toUpperCase() + note.slice(1) + ".");
  const runs = board.runs;
  const here = runs.row.map((r, i) => i).filter((i) => runs.row[i] === row && runs.size[i] === size);
  const commits = [...new Set(here.map((i) => runs.commit[i]))];
  if (here.length) lines.push(`Commit ${commits.slice(0, 3).join(", ")}, ${here.map((i) => runs.finished[i]).sort().pop()}`);
  return lines.join("\n");
};
