// What is typed: a text, or lists of numbers.
import { FieldError } from "./fields.js";
import { el, newId, svg } from "./dom.js";

function written(input, label, props, read, beside, changed) {
  const [id, wrong, hint] = [newId("text"), newId("wrong"), newId("hint")];
  const error = el("p", { id: wrong, class: "wrong" });
  const area = el("textarea", { id, "aria-describedby": `${hint} ${wrong}`, ...props });
  const about = el("p", { id: hint, class: "hint" }, beside(""));
  const quiet = () => {
    error.textContent = "";
    area.removeAttribute("aria-invalid");
  };
  const changes = () => {
    quiet();
    about.replaceChildren(beside(area.value));
  };
  area.addEventListener("input", () => {
    changes();
    changed();
  });
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    area.form.requestSubmit();
  });
  const put = (text) => {
    area.value = text;
    changes();
  };
  const value = () => {
    if (area.value.trim() === "") throw new FieldError(input.name, props["data-none"]);
    return read(area.value);
  };
  return {
    name: input.name, kind: input.kind, file: () => null, value, check: value, quiet, put,
    element: el("div", { class: "field" }, el("label", { for: id }, label), area, about, error),
    clear: () => put(""),
    fail(path, message) {
      if (path !== input.name && !path.startsWith(`${input.name}[`)) return null;
      error.textContent = message;
      area.setAttribute("aria-invalid", "true");
      return area;
    },
  };
}

/** The control of a text; Control and Enter ask at once. */
export function makeText(input, label, changed, model) {
  const props = { rows: 6, "data-none": "A text is needed.", dir: "auto", enterkeyhint: "send" };
  const count = (text) => (text ? `${[...text].length.toLocaleString("en")} characters` : "Ctrl + Enter answers");
  const made = written(input, label, { ...props, spellcheck: model.task === "language_model" ? "false" : null }, (text) => text, count, changed);
  return { ...made, fill: (text) => made.put(text ?? "") };
}

function shapeOf(value) {
  const shape = [];
  for (let here = value; Array.isArray(here); here = here[0]) shape.push(here.length);
  return shape;
}

function lists(text) {
  const plain = text.trim();
  try {
    return JSON.parse(plain.startsWith("[") ? plain : `[${plain}]`);
  } catch {
    return null;
  }
}

const bounds = (values) => values.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
const isRow = (row) => Array.isArray(row) && row.length > 1 && row.every((x) => typeof x === "number");
const isPlane = (rows) => Array.isArray(rows) && rows.length > 3 && rows.every((row) => isRow(row) && row.length === rows[0].length);

/** The planes of what may be a picture: H×W, or 1 or 3 of them; null for other numbers. */
function planes(value) {
  if (isPlane(value) && value[0].length > 3 && value.length * value[0].length <= 1e6) return [value];
  const fine = Array.isArray(value) && [1, 3].includes(value.length) && value.every(isPlane);
  return fine && value.every((plane) => plane.length === value[0].length && plane[0].length === value[0][0].length) ? value : null;
}

/** A look at numbers: a picture of planes, lines of series; null of others. */
function drawn(value) {
  const found = planes(value);
  if (found) {
    const [height, width] = [found[0].length, found[0][0].length];
    const [low, high] = bounds(found.flat(2));
    const pixels = new ImageData(width, height);
    for (let i = 0; i < height * width; i += 1) {
      const at = (plane) => (255 * (plane[Math.floor(i / width)][i % width] - low)) / (high - low || 1);
      pixels.data.set([at(found[0]), at(found[1 % found.length]), at(found[2 % found.length]), 255], 4 * i);
    }
    const canvas = el("canvas", { class: "plane", width, height, "aria-hidden": "true" });
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    return canvas;
  }
  const series = isRow(value) ? [value] : value;
  if (series.length > 8 || !series.every(isRow)) return null;
  const [low, high] = bounds(series.flat());
  const path = (row) => row.map((y, i) => `${i ? "L" : "M"}${(i / (row.length - 1)) * 400} ${58 - 54 * ((y - low) / (high - low || 1))}`);
  const box = { class: "series", viewBox: "0 0 400 60", preserveAspectRatio: "none", "aria-hidden": "true" };
  return svg("svg", box, series.map((row) => svg("path", { d: path(row).join("") })));
}

/** The control of an array: nested lists, as JSON. */
export function makeArray(input, label, changed) {
  const props = { rows: 6, "data-none": "Numbers are needed.", class: "code", spellcheck: "false" };
  const read = (text) => {
    const value = lists(text);
    if (!value) throw new FieldError(input.name, "Not a list of numbers: write [1, 2.5, 3], of several rows [[1, 2], [3, 4]].");
    return value;
  };
  const beside = (text) => {
    const value = lists(text);
    const wanted = input.shape?.length ? `${input.shape.join(" × ")} numbers` : "Numbers";
    if (!text.trim()) return [input.about, `${wanted}, with commas between them; of several rows [[1, 2], [3, 4]]`].filter(Boolean).join("; ");
    if (!value) return "Not yet a list of numbers.";
    return el("span", {}, `${shapeOf(value).join(" × ")} numbers`, drawn(value));
  };
  const made = written(input, label, props, read, beside, changed);
  return { ...made, fill: (value) => made.put(value === null || value === undefined ? "" : JSON.stringify(value)) };
}
