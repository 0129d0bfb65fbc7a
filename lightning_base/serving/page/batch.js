// Many rows at once: a CSV in, a CSV of predictions out.
import { read, write } from "./csv.js";
import { dropPlace } from "./drop.js";
import { el, newId, save, several, size } from "./dom.js";
import { sayFailure } from "./failure.js";

const LOOK = 10; // rows of the answers that are shown

function preview(rows) {
  const [header, ...lines] = rows;
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "The first predictions" },
    el("table", { class: "plain" }, el("caption", { class: "unseen" }, "The first predictions"),
      el("thead", {}, el("tr", {}, header.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, lines.slice(0, LOOK).map((line) => el("tr", {}, line.map((value) => el("td", { dir: "auto" }, value)))))));
}

/** The names of a CSV's columns, and an example of each. */
function template(inputs, example) {
  const columns = inputs.flatMap((input) => input.columns?.map((column) => column.name) ?? [input.name]);
  const values = columns.map((name) => {
    const nested = inputs.find((input) => input.nested && input.columns.some((column) => column.name === name));
    return (nested ? example?.[nested.name] : example)?.[name];
  });
  return write(example ? [columns, values] : [columns]);
}

/** Whether rows of a CSV can be given to a model: where all its inputs are tables or texts. */
export const takesRows = (model) => Object.values(model.kinds).every((kind) => kind === "table" || kind === "text");

/** The panel. `server`, `model` and `inputs` as in app.js; `say` reads a sentence aloud. */
export function makeBatch(server, model, inputs, say) {
  const wrong = newId("wrong");
  const error = el("p", { id: wrong, class: "wrong" });
  const result = el("div", { class: "result" });
  let running = null;

  const ask = async (file) => {
    running?.abort();
    const own = new AbortController();
    running = own;
    error.replaceChildren();
    const stop = el("button", { type: "button", class: "quiet", onclick: () => own.abort() }, "Stop");
    result.replaceChildren(el("p", { class: "busy" }, `Answering ${file.name} (${size(file.size)}) …`), stop);
    try {
      const { text, milliseconds, by } = await server.predictRows(model, file, own.signal);
      if (running !== own) return;
      const rows = read(text);
      const n = Math.max(0, rows.length - 1);
      const name = file.name.replace(/\.\w+$/, "");
      const done = `${several(n, "prediction")} in ${(milliseconds / 1000).toFixed(milliseconds < 10000 ? 2 : 0)} s`;
      const download = el("button", { type: "button", class: "primary", onclick: () => save(text, `${name}.predictions.csv`, "text/csv") },
        "Download predictions");
      result.replaceChildren(el("p", {}, `${done}${by ? `, by ${by}` : ""}`), download,
        n > LOOK ? el("p", { class: "muted small" }, `The first ${LOOK}:`) : "", n ? preview(rows) : "");
      say(`${done}. They can be downloaded.`);
      download.focus({ preventScroll: true });
    } catch (reason) {
      if (running !== own) return;
      result.replaceChildren();
      if (reason.name === "AbortError") error.textContent = "Stopped; nothing was kept.";
      else sayFailure(error, reason, server, () => ask(file));
      say(error.textContent);
    }
  };
  const place = dropPlace({
    symbol: "table", words: "Choose a CSV", hint: "or drop one here; a header, then a row each", describedBy: wrong,
    accept: ".csv,text/csv", taken: ask,
  });
  const empty = el("button", { type: "button", class: "link", onclick: () => save(template(inputs, model.example), `${model.name}.csv`, "text/csv") },
    "Download a CSV to fill in");
  return { element: el("div", {}, place.element, el("p", { class: "small" }, empty), error, result), stop: () => running?.abort() };
}
