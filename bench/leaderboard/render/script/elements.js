// Elements of the page: found, made, and put into tables.
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
const plain = (headings, rows) => [
  make("thead", {}, make("tr", {}, ...headings.map((text) => make("th", { scope: "col" }, text)))),
  make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((text, i) => make(i ? "td" : "th", i ? {} : { scope: "row" }, text))))),
];
const pairs = (entries) => make("dl", {}, ...entries.map(([key, value]) => make("div", {}, make("dt", {}, key), make("dd", {}, String(value)))));
const badge = (text, title) => make("span", { className: "badge", title }, text);
