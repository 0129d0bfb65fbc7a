// An answer, shown as its task asks for.
import { bars, chips, headline, interval, numbers } from "./bars.js";
import { chosen, detections, mask, masked } from "./overlay.js";
import { el, number, percent, whole } from "./dom.js";

const isNumbers = (value) => value && typeof value === "object" && !Array.isArray(value) && Object.values(value).every((x) => typeof x === "number");

function classified({ pred, prob }) {
  if (!isNumbers(prob)) return { element: headline(String(pred)), said: String(pred) };
  const share = prob[pred];
  const note = share === undefined ? null : `${percent(share)} probable`;
  return { element: el("div", {}, headline(String(pred), note), bars(prob, { chosen: [String(pred)] })), said: note === null ? String(pred) : `${pred}, ${note}` };
}

/** The positive class where the answer or the model says it, or the threshold can be this class's alone; else null. */
function positive({ pred, prob, threshold, positive: told }, model) {
  if (told ?? model.positive) return String(told ?? model.positive);
  const fits = Object.keys(prob).filter((name) => (prob[name] > threshold) === (String(pred) === name));
  return fits.length === 1 ? fits[0] : null;
}

function binary(answer, model) {
  const { pred, prob, threshold } = answer;
  if (!isNumbers(prob) || typeof threshold !== "number") return classified(answer);
  const name = Math.abs(threshold - 0.5) < 1e-9 ? null : positive(answer, model);
  const certain = name !== null || Math.abs(threshold - 0.5) < 1e-9;
  const note = name !== null
    ? `${name} is chosen where it is more than ${percent(threshold)} probable; here it is ${percent(prob[name])}.`
    : certain ? `${percent(prob[pred] ?? 0)} probable; chosen above ${percent(threshold)}.` : `The threshold is ${percent(threshold)}.`;
  const made = bars(prob, { chosen: [String(pred)], mark: certain ? { name, share: threshold } : null });
  return {
    element: el("div", {}, headline(String(pred), note), made,
      certain ? el("p", { class: "small muted key" }, el("span", { class: "mark", "aria-hidden": "true" }), "threshold") : null),
    said: `${pred}. ${note}`,
  };
}

function labelled({ pred, prob }) {
  const shown = Array.isArray(pred) ? pred.map(String) : [String(pred)];
  return {
    element: el("div", {}, chips(shown), isNumbers(prob) ? bars(prob, { caption: "Probability of each label", chosen: shown }) : null),
    said: shown.length ? shown.join(", ") : "No label applies",
  };
}

function estimated({ pred }, model) {
  if (isNumbers(pred)) {
    const pairs = Object.entries(pred);
    return { element: numbers(pairs, "Estimates"), said: pairs.map(([name, value]) => `${name} ${number(value)}`).join(", ") };
  }
  if (Array.isArray(pred) && pred.length === 1) return estimated({ pred: pred[0] }, model);
  if (typeof pred === "object") return other({ pred }, model, null, null);
  return { element: headline(number(pred), model.answer_schema?.properties?.pred?.title), said: number(pred) };
}

function quantiles({ pred }) {
  if (isNumbers(pred)) return interval(pred);
  const made = Object.entries(pred).map(([name, levels]) => [name, interval(levels)]);
  return {
    element: el("div", {}, made.map(([name, { element }]) => el("section", {}, el("h3", {}, name), element))),
    said: made.map(([name, { said }]) => `${name}: ${said}`).join("; "),
  };
}

const text = ({ pred }) => ({ element: el("p", { class: "written", dir: "auto" }, String(pred)), said: String(pred) });

function other(answer, model, picture, forget) {
  const { pred } = answer;
  const rows = mask(pred) ?? chosen(pred);
  if (rows && picture) return masked(rows, picture, model.classes, forget);
  if (typeof pred === "string") return text(answer);
  if (typeof pred === "number" || isNumbers(pred)) return estimated(answer, model);
  if (rows && rows.length * rows[0].length > 400) return masked(rows, null, model.classes, forget);
  if (Array.isArray(pred) && pred.length <= 50 && pred.every((x) => typeof x === "number")) {
    return { element: numbers(pred.map((x, i) => [String(i), x]), "Numbers of the answer"), said: `${pred.length} numbers` };
  }
  return { element: el("pre", { tabindex: "0", class: "code" }, JSON.stringify(pred ?? answer, null, 1)), said: "The answer is shown as JSON" };
}

const TASKS = {
  classification: classified, binary, multi_label: labelled, regression: estimated, quantiles, translation: text,
  language_model: text,
};

/** Whether a prediction is what a task's predictions are. */
function fits(pred, task) {
  if (task === "multi_label") return Array.isArray(pred) && pred.every((label) => typeof label !== "object");
  if (task === "quantiles") return isNumbers(pred) || (pred && Object.values(pred).every(isNumbers));
  if (task === "regression") return typeof pred === "number" || isNumbers(pred) || (Array.isArray(pred) && !mask(pred));
  return pred !== undefined && (pred === null || typeof pred !== "object");
}

/**
 * {element, said} of an answer: what is shown, and a sentence that is read aloud.
 *
 * `picture` is the file that was asked about, if any; `forget` is told of each URL made, to be given back later.
 */
export function answered(answer, model, picture, forget) {
  let made;
  try {
    if (model.task === "detection" && Array.isArray(answer.boxes)) made = detections(answer, picture, forget);
    else if (TASKS[model.task] && fits(answer.pred, model.task)) made = TASKS[model.task](answer, model);
    else made = other(answer, model, picture, forget);
  } catch (error) {
    console.error(error);
    made = { element: el("p", { class: "muted" }, "This page cannot draw this answer; here it is as it came."), said: "The answer is shown as JSON" };
  }
  const notes = Array.isArray(answer.notes) && answer.notes.length
    ? el("ul", { class: "notes", "aria-label": "Notes" }, answer.notes.map((note) => el("li", {}, String(note))))
    : null;
  const said = notes ? `${made.said}. ${answer.notes.join(". ")}` : made.said;
  return { said, element: el("div", {}, made.element, notes, whole(answer)) };
}
