// Numbers: three significant digits, the mean to the decimal of its interval; the same as in the Markdown tables.
const ROUNDING = 1e-9;
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
const duration = (s) => (s < 90 ? `${number(s, 2)} s` : s < 5400 ? `${number(s / 60, 2)} min` : `${number(s / 3600, 3)} h`);
const average = (values) => values.reduce((a, b) => a + b) / values.length;
