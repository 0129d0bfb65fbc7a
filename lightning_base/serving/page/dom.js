// Elements made without HTML in strings, and values written for people.

let count = 0;

/** A new id that no other element has. */
export const newId = (stem) => `${stem}-${(count += 1)}`;

function put(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** An element; properties that begin with "on" are listeners, the others attributes; null children are left out. */
export const el = (tag, props = {}, ...children) => put(document.createElement(tag), props, children);

/** The same for SVG. */
export const svg = (tag, props = {}, ...children) =>
  put(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);

const ICONS = {
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9a1 1 0 1 0 .01 0",
  sound: "M4 12h2M8 7v10M12 4v16M16 8v8M20 11v2",
  table: "M4 5h16v14H4zM4 10h16M4 15h16M10 5v14",
  microphone: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5 11a7 7 0 0 0 14 0M12 18v3",
};

/** A drawing that says nothing that the text beside it does not. */
export const icon = (name) =>
  svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));

const SIX = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
const WHOLE = new Intl.NumberFormat("en");

/** Six digits of a number: 12,345.7; very large and small ones by powers of ten. */
export function number(value) {
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return WHOLE.format(value);
  return Math.abs(value) >= 1e9 || Math.abs(value) < 1e-4 ? value.toExponential(4) : SIX.format(value);
}

/** A share as a percentage with one decimal; what is not all or nothing is not rounded to it. */
export function percent(share) {
  const hundredths = share * 100;
  if (share > 0 && hundredths < 0.05) return "< 0.1\u00a0%";
  if (share < 1 && hundredths >= 99.95) return "> 99.9\u00a0%";
  return `${hundredths.toFixed(1)}\u00a0%`;
}

/** A file's size in words. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** One thing or several: "1 row", "1,200 rows". */
export const several = (n, one, many = `${one}s`) => `${WHOLE.format(n)} ${n === 1 ? one : many}`;

/** A value that can be opened to be read in full. */
export const whole = (value) =>
  el("details", { class: "whole" }, el("summary", {}, "The whole answer as JSON"),
    el("pre", { tabindex: "0" }, JSON.stringify(value, null, 1)));

/** Saves text to a file of the person's. */
export function save(content, name, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
