// Numbers drawn: probabilities as bars, a threshold, an interval. Each is a table that reads without the drawing.
import { el, number, percent, several, svg } from "./dom.js";

const FIRST = 10;

/**
 * Probabilities as bars, the largest first.
 *
 * `chosen` marks classes; `mark` {name, share} draws a threshold on one class's bar, or on all where its name is null.
 */
export function bars(prob, { caption = "Probability of each class", chosen = [], mark = null } = {}) {
  const sorted = Object.entries(prob).sort(([, a], [, b]) => b - a);
  const rows = sorted.map(([name, share], i) => {
    const fill = el("span", { class: "fill" });
    fill.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
    const track = el("span", { class: "track" }, fill);
    if (mark && (mark.name === null || mark.name === name)) {
      const line = el("span", { class: "mark" });
      line.style.left = `${mark.share * 100}%`;
      track.append(line);
    }
    return el("tr", { class: chosen.includes(name) ? "chosen" : null, hidden: i >= FIRST },
      el("th", { scope: "row", dir: "auto" }, name, chosen.includes(name) ? el("span", { class: "unseen" }, " (chosen)") : null),
      el("td", { class: "bar", "aria-hidden": "true" }, track), el("td", { class: "share" }, percent(share)));
  });
  const table = el("table", { class: "bars" }, el("caption", { class: "unseen" }, caption), el("tbody", {}, rows));
  if (sorted.length <= FIRST) return table;
  const more = el("button", { type: "button", class: "quiet", "aria-expanded": "false", onclick: () => {
    const open = more.getAttribute("aria-expanded") === "false";
    rows.slice(FIRST).forEach((row) => { row.hidden = !open; });
    more.setAttribute("aria-expanded", String(open));
    more.textContent = open ? `Show the first ${FIRST}` : `Show all ${sorted.length}`;
  } }, `Show all ${sorted.length}`);
  return el("div", {}, table, more);
}

/** What stands largest: the answer in a word, with a note below it. */
export const headline = (text, note) =>
  el("div", { class: "headline" }, el("p", { class: "big", dir: "auto" }, text), note ? el("p", { class: "muted" }, note) : null);

/** Names and numbers, as a plain table. */
export const numbers = (pairs, caption) =>
  el("table", { class: "plain" }, el("caption", { class: "unseen" }, caption),
    el("tbody", {}, pairs.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, number(value))))));

const points = (level) => `${number(100 * level)} %`;

/** {element, said} of quantiles {level: number}: the middle one large, and intervals around it drawn. */
export function interval(levels) {
  const sorted = Object.entries(levels).map(([level, value]) => [Number(level), value]).sort(([a], [b]) => a - b);
  const values = sorted.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (value) => 20 + (high > low ? (360 * (value - low)) / (high - low) : 180);
  const pairs = sorted.slice(0, Math.floor(sorted.length / 2)).map((from, i) => [from, sorted.at(-1 - i)]);
  const middle = sorted.find(([level]) => Math.abs(level - 0.5) < 1e-9);
  const bands = pairs.map(([[, from], [, to]], i) => {
    const [left, right] = [Math.min(from, to), Math.max(from, to)];
    const height = 16 + (20 * i) / Math.max(1, pairs.length - 1 || 1);
    return svg("rect", { class: `band band-${Math.min(i, 2)}`, x: x(left), width: Math.max(1, x(right) - x(left)), y: 28 - height / 2, height, rx: 5 });
  });
  const tick = middle && svg("path", { class: "middle", d: `M${x(middle[1])} 4V52` });
  const drawing = svg("svg", { class: "interval", viewBox: "0 0 400 56", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "axis", d: "M4 28H396" }), bands, ...(tick ? [tick] : []));
  const ends = el("div", { class: "ends small muted", "aria-hidden": "true" }, el("span", {}, number(low)), el("span", {}, number(high)));
  const outer = pairs[0] && `${number(100 * (pairs[0][1][0] - pairs[0][0][0]))} % of the time between ${number(pairs[0][0][1])} and ${number(pairs[0][1][1])}`;
  const large = middle ? number(middle[1]) : `${number(low)} to ${number(high)}`;
  const crossed = values.some((value, i) => i && value < values[i - 1]);
  const note = [outer && `Expected ${outer}.`, crossed && "The model's quantiles cross here, so take them with care."].filter(Boolean).join(" ");
  return {
    element: el("div", {}, headline(large, note), el("div", { class: "drawn" }, drawing, ends),
      numbers(sorted.map(([level, value]) => [`${points(level)} are below`, value]), "Quantiles")),
    said: [large, outer].filter(Boolean).join(", "),
  };
}

/** Labels that apply, as chips. */
export const chips = (labels) =>
  labels.length
    ? el("ul", { class: "chips", "aria-label": "Labels that apply" }, labels.map((label) => el("li", { dir: "auto" }, label)))
    : headline("No label", `None of the labels applies.`);

export { several };
