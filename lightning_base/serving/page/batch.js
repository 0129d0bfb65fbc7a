// Many rows at once: a CSV in, a CSV of predictions out.
import { read, records, write } from "./csv.js";
import { dropPlace } from "./drop.js";
import { el, newId, save, several, size } from "./dom.js";
import { sayFailure } from "./failure.js";

const LOOK = 10; // rows of the answers that are shown
const PART = 500; // rows that are sent at once
const TRIES = 5; // while the server is busy

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const left = () => reject(signal.reason);
  const timer = setTimeout(() => {
    signal.removeEventListener("abort", left);
    resolve();
  }, 1000 * seconds);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    left();
  }, { once: true });
});

async function patient(server, model, part, signal) {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await server.predictRows(model, part, signal);
    } catch (reason) {
      if (![429, 503].includes(reason.status) || !reason.wait || left <= 1) throw reason;
      await pause(reason.wait, signal);
    }
  }
}

/** CSVs one below the other; a column that some do not have is empty there. */
function joined(tables) {
  const columns = [...new Set(tables.flatMap(([header]) => header))];
  const rows = tables.flatMap(([header, ...lines]) => {
    const places = columns.map((name) => header.indexOf(name));
    return lines.map((line) => places.map((place) => (place < 0 ? "" : line[place])));
  });
  return write([columns, ...rows]);
}

/** What was refused of rows that were sent alone, told of the file that they are from. */
function placed(reason, lines, from, to) {
  const [, line, rest] = reason.field?.match(/^line (\d+)(.*)$/s) ?? [];
  if (line !== undefined) {
    const extra = lines[0].breaks;
    let [at, i] = [extra, from];
    while (i < to && at < line) at += lines[(i += 1)].breaks;
    reason.field = `line ${lines[i].line}${rest}`;
  } else if (reason.name !== "AbortError" && reason.status !== 401) {
    reason.message = `in rows ${from + 1} to ${to}, counted from the first of them: ${reason.field ? `${reason.field}: ` : ""}${reason.message}`;
    reason.field = null;
  }
  return reason;
}

/**
 * The predictions of a file as CSV. A small file is sent as it is; of a large one `PART` rows at a time, so that it may be
 * longer than a server takes at once. `at(done, all)` is told how far it is.
 */
async function predictions(server, model, file, signal, at) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    return patient(server, model, file, signal); // another encoding: the server knows several
  }
  const lines = records(text);
  const n = lines.length - 1;
  if (n <= PART) return patient(server, model, file, signal);
  const tables = [];
  let by = null;
  for (let from = 0; from < n; from += PART) {
    at(from, n);
    const to = Math.min(from + PART, n);
    const part = [lines[0], ...lines.slice(from + 1, to + 1)].map((one) => `${one.text}\n`).join("");
    try {
      const made = await patient(server, model, part, signal);
      const table = read(made.text);
      if (table.length - 1 !== to - from) throw new Error(`the server answered ${table.length - 1} of them.`);
      if (from && made.by !== by) throw new Error("the model changed meanwhile; give the file again.");
      by = made.by;
      tables.push(table);
    } catch (reason) {
      throw placed(reason, lines, from, to);
    }
  }
  return { text: joined(tables), by };
}

function preview(rows) {
  const [header, ...lines] = rows;
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "The first predictions" },
    el("table", { class: "plain" }, el("caption", { class: "unseen" }, "The first predictions"),
      el("thead", {}, el("tr", {}, header.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, lines.slice(0, LOOK).map((line) => el("tr", {}, line.map((value) => el("td", { dir: "auto" }, value)))))));
}

/** The names of a CSV's columns, and an example of each. */
function template(inputs, example) {
  const given = inputs.filter(({ kind }) => kind !== "options");
  const columns = given.flatMap((input) => input.columns?.map(({ name }) => name) ?? [input.name]);
  const values = given[0].nested ? example?.[given[0].name] : example;
  return write(values ? [columns, columns.map((name) => values[name])] : [columns]);
}

/** Whether rows of a CSV can be given to a model: of a table, and of texts alone. */
export const takesRows = (model) => {
  const kinds = Object.values(model.kinds);
  return kinds.join() === "table" || kinds.every((kind) => kind === "text");
};

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
    const progress = el("p", {}, `Answering ${file.name} (${size(file.size)}) …`);
    result.replaceChildren(progress, stop);
    const at = (done, all) => { progress.textContent = `Answering ${file.name}: ${several(done, "row")} of ${several(all, "row").split(" ")[0]} …`; };
    const begun = performance.now();
    try {
      const { text, by } = await predictions(server, model, file, own.signal, at);
      if (running !== own) return;
      const milliseconds = performance.now() - begun;
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
  return { element: el("div", {}, place.element, el("p", { class: "small fill-in" }, empty), error, result), stop: () => running?.abort() };
}
