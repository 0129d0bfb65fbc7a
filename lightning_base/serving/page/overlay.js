// What is drawn on the picture that was given: boxes with their labels, and masks.
import { el, newId, percent, several, svg } from "./dom.js";
import { shown } from "./picture.js";

const COLOURS = 8;
const RGB = [[29, 78, 216], [190, 18, 60], [4, 120, 87], [180, 83, 9], [124, 58, 237], [14, 116, 144], [162, 28, 175], [77, 124, 15]];

/** A frame with the picture in it, on which things are drawn; grey where the browser cannot show it. */
function framed(file, alt, [height, width], forget) {
  const frame = el("div", { class: "frame" });
  frame.style.aspectRatio = `${width} / ${height}`;
  frame.style.maxWidth = `${Math.round(Math.max(width, 420) * Math.min(1, 480 / (Math.max(width, 420) * (height / width))))}px`;
  if (!file) return frame;
  const { image, url } = shown(file, alt, () => image.remove());
  forget(url);
  image.addEventListener("load", () => {
    // where the server read it as it lies in the file, so does the page
    const turned = image.naturalWidth === height && image.naturalHeight === width && width !== height;
    if (turned) image.classList.add("as-stored");
  });
  frame.append(image);
  return frame;
}

function tag(box, [height, width], colour, text) {
  const [x1, y1, x2, y2] = box;
  const made = el("span", { class: `tag c${colour}`, "aria-hidden": "true" }, text);
  if (x1 > 0.6 * width) made.style.right = `${100 * Math.max(0, 1 - x2 / width)}%`;
  else made.style.left = `${100 * Math.max(0, x1 / width)}%`;
  if (y1 > 0.08 * height) made.style.bottom = `${100 * (1 - y1 / height)}%`;
  else if (y2 < 0.92 * height) made.style.top = `${(100 * y2) / height}%`;
  else made.style.top = "0%";
  return made;
}

/** {element, said} of {boxes, scores, labels, size}: drawn on the picture, and listed; a slider hides doubtful ones. */
export function detections(answer, file, forget) {
  const { boxes, scores = [], labels = [], size } = answer;
  const all = size ?? [Math.max(1, ...boxes.map((box) => box[3])), Math.max(1, ...boxes.map((box) => box[2]))];
  const kinds = [...new Set(labels)].sort();
  const colour = (label) => Math.max(0, kinds.indexOf(label)) % COLOURS;
  const order = boxes.map((_, i) => i).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
  const layer = svg("svg", { class: "boxes", viewBox: `0 0 ${all[1]} ${all[0]}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const frame = framed(file, "The picture you gave, with what was found", all, forget);
  frame.append(layer);
  const found = order.map((i) => {
    const [x1, y1, x2, y2] = boxes[i];
    const shape = { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) };
    const drawing = svg("g", {}, svg("rect", { class: "halo", ...shape }), svg("rect", { class: `edge c${colour(labels[i])}`, ...shape }));
    const words = tag(boxes[i], all, colour(labels[i]), `${labels[i] ?? ""} ${scores[i] === undefined ? "" : percent(scores[i])}`);
    const near = (yes) => () => [drawing, words].forEach((part) => part.classList.toggle("near", yes));
    const row = el("tr", { onpointerenter: near(true), onpointerleave: near(false) },
      el("th", { scope: "row" }, el("span", { class: `dot c${colour(labels[i])}`, "aria-hidden": "true" }), labels[i] ?? "object"),
      el("td", {}, scores[i] === undefined ? "" : percent(scores[i])),
      el("td", { class: "place" }, `${Math.round(x1)}, ${Math.round(y1)} – ${Math.round(x2)}, ${Math.round(y2)}`));
    layer.append(drawing);
    frame.append(words);
    return { row, drawing, words, score: scores[i] ?? 1 };
  });
  const told = el("p", { class: "muted" });
  const show = (least) => {
    let n = 0;
    for (const { row, drawing, words, score } of found) {
      const hidden = score < least;
      row.hidden = hidden;
      words.hidden = hidden;
      drawing.toggleAttribute("hidden", hidden);
      n += !hidden;
    }
    told.textContent = n === found.length ? "" : `${several(found.length - n, "less certain one is", "less certain ones are")} hidden.`;
    frame.classList.toggle("crowded", n > 12);
    return n;
  };
  const sure = found.some(({ score }) => score >= 0.5);
  const doubtful = found.some(({ score }) => score < 0.5);
  const begin = sure && doubtful ? 0.5 : 0;
  const n = show(begin);
  const id = newId("certain");
  const shownAt = el("output", { for: id }, percent(begin));
  const slider = doubtful && found.length > 1
    ? el("div", { class: "slider" }, el("p", {}, el("label", { for: id }, "Show what is at least this certain"), ": ", shownAt),
      el("input", { id, type: "range", min: 0, max: 100, step: 1, value: 100 * begin, oninput: (event) => {
        shownAt.textContent = `${event.target.value}.0 %`;
        show(Number(event.target.value) / 100);
      } }))
    : null;
  const counts = kinds.map((kind) => [kind, order.filter((i) => labels[i] === kind && (scores[i] ?? 1) >= begin).length]).filter(([, k]) => k);
  const said = n ? `${several(n, "object")}: ${counts.map(([kind, k]) => `${k} × ${kind}`).join(", ")}` : "Nothing was found";
  const table = el("table", { class: "plain found" }, el("caption", { class: "unseen" }, "What was found"),
    el("thead", {}, el("tr", {}, ["What", "Score", "Where (pixels)"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, found.map(({ row }) => row)));
  return {
    element: el("div", {}, el("p", { class: "big" }, n ? several(n, "object") : "Nothing was found"),
      n ? el("p", { class: "muted" }, counts.map(([kind, k]) => `${k} × ${kind}`).join(", ")) : null,
      frame, slider, told, found.length ? el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "List of what was found" }, table) : null),
    said,
  };
}

/** The most probable class of each pixel, of C×H×W that are probabilities; null of others. */
export function chosen(value) {
  const planes = Array.isArray(value) && value.length > 1 && value.length <= 256 ? value.map(mask) : [null];
  if (!planes.every((rows) => rows && rows.length === planes[0].length && rows[0].length === planes[0][0].length)) return null;
  const sums = planes[0].map((row, y) => row.map((_, x) => planes.reduce((sum, plane) => sum + plane[y][x], 0)));
  if (!sums.flat().every((sum) => Math.abs(sum - 1) < 1e-3)) return null;
  const best = (y, x) => planes.reduce((at, plane, i) => (plane[y][x] > planes[at][y][x] ? i : at), 0);
  return planes[0].map((row, y) => row.map((_, x) => best(y, x)));
}

/** The numbers of a mask as rows, where they are one: H×W, or 1×H×W; else null. */
export function mask(value) {
  let rows = value;
  while (Array.isArray(rows) && rows.length === 1 && Array.isArray(rows[0]) && Array.isArray(rows[0][0])) [rows] = rows;
  const fine = Array.isArray(rows) && rows.length > 1 && Array.isArray(rows[0]) && rows[0].length > 1 &&
    rows.every((row) => Array.isArray(row) && row.length === rows[0].length && row.every((x) => typeof x === "number" || typeof x === "boolean"));
  return fine ? rows.map((row) => row.map(Number)) : null;
}

/** {element, said} of a mask over the picture: areas of whole numbers in colours, others by strength. */
export function masked(rows, file, classes, forget) {
  const [height, width] = [rows.length, rows[0].length];
  const values = rows.flat();
  const areas = values.every(Number.isInteger) && new Set(values).size <= 64;
  const [low, high] = values.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
  const canvas = el("canvas", { width, height, class: "mask", "aria-hidden": "true" });
  const pixels = new ImageData(width, height);
  values.forEach((value, i) => {
    const [r, g, b] = areas ? RGB[(value - 1 + COLOURS) % COLOURS] ?? RGB[0] : RGB[1];
    const strength = areas ? Number(value !== 0) : (value - low) / (high - low || 1);
    pixels.data.set([r, g, b, 255 * strength], 4 * i);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const frame = el("div", { class: "frame" });
  if (file) {
    const { image, url } = shown(file, "The picture you gave, with the mask over it", () => image.remove());
    forget(url);
    image.addEventListener("error", () => frame.classList.add("alone"));
    frame.append(image, canvas);
  } else {
    frame.classList.add("alone");
    frame.append(canvas);
  }
  canvas.style.opacity = "0.6";
  const slider = el("label", { class: "slider" }, "How much the mask covers",
    el("input", { type: "range", min: 0, max: 100, value: 60, oninput: (event) => { canvas.style.opacity = String(event.target.value / 100); } }));
  const kinds = [...new Set(values)].sort((a, b) => a - b);
  const share = (kind) => values.filter((value) => value === kind).length / values.length;
  const named = (kind) => classes?.[kind] ?? (kind === 0 ? "0 (not drawn)" : String(kind));
  const legend = areas
    ? el("ul", { class: "legend" }, kinds.map((kind) => el("li", {},
      el("span", { class: kind === 0 ? "dot none" : `dot c${(kind - 1 + COLOURS) % COLOURS}`, "aria-hidden": "true" }), `${named(kind)}: ${percent(share(kind))}`)))
    : el("p", { class: "muted" }, `From ${low.toPrecision(3)} (clear) to ${high.toPrecision(3)} (covered).`);
  const note = file ? `A mask of ${width} × ${height}, stretched over the picture.` : `A mask of ${width} × ${height}.`;
  const said = areas ? kinds.filter(Boolean).map((kind) => `${named(kind)} covers ${percent(share(kind))}`).join(", ") || "Nothing is marked" : note;
  return { element: el("div", {}, frame, slider, legend, el("p", { class: "muted small" }, note)), said };
}
