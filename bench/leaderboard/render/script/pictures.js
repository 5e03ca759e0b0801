// The first thing to see: the same held-out sources, translated by each method, best first, and the truth.
const drawPictures = () => {
  const { board } = chosen();
  const { pictures } = board;
  at("pictures-section").hidden = !pictures;
  if (!pictures) return;
  const { rows, size } = pictures;
  const ends = rows.filter((row) => !row.run);
  const methods = rows.filter((row) => row.run);
  const room = state.pictures - ends.length;
  const shown = [...rows.slice(0, 1), ...methods.slice(0, room), ...ends.slice(1)];
  const runs = [...new Set(methods.map((row) => row.run))];
  at("pictures-note").textContent = `Held-out sources, their translations by methods that had ${size} target images${runs.length === 1 ? ` (${runs[0]})` : ""}, best first${ends.length > 1 ? ", and the truth, which no method has seen" : ""}.`;
  at("pictures").replaceChildren(...shown.map((row) => {
    const label = row.run && runs.length > 1 ? `${row.label}, ${row.run}` : row.label;
    return make("figure", {}, make("figcaption", {}, label), make("img", { src: row.image, alt: row.run ? `Translations by ${row.label}` : `The ${row.label} images` }));
  }));
  at("more-pictures").hidden = shown.length === rows.length;
  at("more-pictures").textContent = `Show the other ${rows.length - shown.length} methods`;
};
