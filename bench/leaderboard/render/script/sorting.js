// Headers that sort; what is missing stays below.
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
