// The page: which model, what is given, what it answers.
import { Server } from "./api.js";
import { answered } from "./answers.js";
import { makeBatch, takesRows } from "./batch.js";
import { el, newId } from "./dom.js";
import { capital, sayFailure } from "./failure.js";
import { FieldError, makeRow } from "./fields.js";
import { makePicture } from "./picture.js";
import { about, inputs as inputsOf } from "./schema.js";
import { makeSound } from "./sound.js";
import { makeArray, makeText } from "./writing.js";

const find = (id) => document.getElementById(id);
const server = new Server();
let current = null; // what is shown now: {model, inputs, controls, batch, running, urls, ...}

/** Read aloud by screen readers. */
const say = (text) => { find("status").textContent = text; };

const LABELS = { table: "Values", image: "Picture", sound: "Sound", text: "Text", array: "Numbers" };
const USUAL = { table: "row", array: "x" }; // names of inputs that were given none; of the others their kind

/** What an input is called. */
const called = ({ kind, name }) => (name === (USUAL[kind] ?? kind) ? LABELS[kind] ?? name : name);

/** Settings that an input may say beside itself, folded away. */
function makeOptions(input, changed) {
  const row = makeRow(input, changed);
  const element = el("details", { class: "options" }, el("summary", {}, "Settings"), row.element);
  const fail = (path, message) => {
    const found = row.fail(path, message);
    if (found) element.open = true;
    return found;
  };
  return { ...row, element, fail };
}

/** Whether an input's values stand at the top of what is sent, not under its name. */
const isFlat = ({ kind, nested }) => (kind === "table" || kind === "options") && !nested;

function makeControl(input, model, changed, arrived) {
  const label = called(input);
  switch (input.kind) {
    case "table": return makeRow(input, changed);
    case "options": return makeOptions(input, changed);
    case "image": return makePicture(input, label, changed, arrived);
    case "sound": return makeSound(input, label, changed, arrived);
    case "text": return makeText(input, label, changed, model);
    default: return makeArray(input, label, changed);
  }
}

/** What is sent: a file of a picture or sound that is the only input, else an object; throws a FieldError. */
async function given({ inputs, controls }) {
  if (controls.length === 1 && controls[0].file()) return controls[0].file();
  const made = {};
  const errors = [];
  for (const [i, control] of controls.entries()) {
    const { name, required } = inputs[i];
    try {
      const value = await control.value();
      if (isFlat(inputs[i])) Object.assign(made, value);
      else made[name] = value;
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      const left = !control.fields && !required && !control.file();
      if (!left) errors.push(error, ...(error.others ?? []));
    }
  }
  if (errors.length) throw Object.assign(errors[0], { others: errors.slice(1) });
  return made;
}

/** Shows what is wrong beside the input it is about, goes there, and says whether there was such an input. */
function atField({ inputs, controls }, field, message) {
  if (!field) return null;
  for (const [i, control] of controls.entries()) {
    const { name, nested, kind } = inputs[i];
    const path = kind === "table" && nested && field.startsWith(`${name}.`) ? field.slice(name.length + 1) : field;
    const found = control.fail(path, capital(message));
    if (found) return found;
  }
  return null;
}

function failed(state, reason, again) {
  const place = find("failure");
  find("answer-body").classList.remove("waiting");
  const every = [reason, ...(reason.others ?? [])];
  const places = every.map((one) => atField(state, one.field, one.message));
  if (places.every(Boolean)) {
    places[0].focus();
    say(every.length > 1 ? `${every.length} fields need a look. ${reason.field}: ${reason.message}` : `${reason.field}: ${reason.message}`);
    place.textContent = every.length > 1 ? `${every.length} fields need a look.` : "";
    return;
  }
  sayFailure(place, reason, server, again);
  say(place.textContent);
}

const duration = (milliseconds) => (milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`);
const foot = (model, milliseconds, by, note) =>
  el("p", { class: "foot small muted" }, [note, `${duration(milliseconds)} there and back`, `by ${by ?? `${model.name}/${model.version}`}`].filter(Boolean).join(" · "));

function forgetting(state) {
  state.urls.forEach((url) => URL.revokeObjectURL(url));
  state.urls = [];
  return (url) => state.urls.push(url);
}

/** Brings an answer into sight that would appear below what is seen. */
function reveal() {
  if (find("answer").getBoundingClientRect().top < 0.7 * window.innerHeight) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  find("answer").scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
}

async function askOnce(state, own) {
  const what = await given(state);
  find("answer-body").classList.add("waiting");
  const { answer, milliseconds, by } = await server.predict(state.model, what, own.signal);
  if (current !== state || state.running !== own) return;
  const picture = state.controls.find((control) => control.kind === "image")?.file() ?? null;
  const { element, said } = answered(answer, state.model, picture, forgetting(state));
  old(false);
  find("answer-body").replaceChildren(element, foot(state.model, milliseconds, by));
  say(`Answer: ${said}`);
  reveal();
}

async function askStream(state, own) {
  const what = await given(state);
  const begun = performance.now();
  const pieces = el("span", { class: "pieces" });
  const prompt = state.inputs.find(({ kind }) => kind === "text")?.name;
  const body = el("p", { class: "written writing", dir: "auto" }, el("span", { class: "muted" }, typeof what[prompt] === "string" ? what[prompt] : ""), pieces);
  let by = null;
  say("Writing …");
  old(false);
  find("answer-body").replaceChildren(body);
  reveal();
  try {
    for await (const told of server.stream(state.model, what, own.signal)) {
      if (current !== state) return;
      by = told.by ?? by;
      if (told.text !== undefined) pieces.append(told.text);
      else if (typeof told.answer?.pred === "string") pieces.textContent = told.answer.pred;
    }
    find("answer-body").append(foot(state.model, performance.now() - begun, by));
    say(`Answer: ${pieces.textContent}`);
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    find("answer-body").append(foot(state.model, performance.now() - begun, by, "stopped"));
    say("Stopped.");
  } finally {
    body.classList.remove("writing");
  }
}

async function ask(state) {
  state.running?.abort();
  const own = new AbortController();
  state.running = own;
  find("failure").replaceChildren();
  state.controls.forEach((control) => control.quiet());
  state.stop.hidden = false;
  find("answer").setAttribute("aria-busy", "true");
  try {
    await (state.model.streams ? askStream : askOnce)(state, own);
    if (current === state) find("answer-body").classList.remove("waiting");
  } catch (reason) {
    if (current !== state || state.running !== own) return;
    find("answer-body").classList.remove("waiting");
    if (reason.name === "AbortError") say("Stopped.");
    else failed(state, reason, () => ask(state));
  } finally {
    if (state.running === own) {
      state.running = null;
      state.stop.hidden = true;
      find("answer").removeAttribute("aria-busy");
    }
  }
}

/** Marks the answer as one to an input that is no longer there. */
function old(yes) {
  find("answer-body").classList.toggle("stale", yes);
  find("stale").hidden = !yes;
}

const HOLLOW = "The answer appears here.";

/** Lays the page out for a model. */
function show(model) {
  current?.running?.abort();
  current?.batch?.stop();
  if (current) forgetting(current);
  const inputs = inputsOf(model);
  const state = { model, inputs, running: null, urls: [] };
  current = state;
  const changed = () => {
    if (!find("answer-body").querySelector(".hollow")) old(true);
  };
  const only = inputs.filter(({ kind }) => kind !== "options").length === 1;
  const arrived = () => { if (only) ask(state); };
  state.controls = inputs.map((input) => makeControl(input, model, changed, arrived));
  state.stop = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => state.running?.abort() }, "Stop");
  const fill = () => {
    state.controls.forEach((control, i) => control.fill(isFlat(inputs[i]) ? model.example : model.example[inputs[i].name]));
    ask(state);
  };
  const example = model.example
    ? el("button", { type: "button", class: "quiet", onclick: fill }, "Try an example")
    : null;
  const clear = el("button", { type: "button", class: "quiet", onclick: () => {
    state.controls.forEach((control) => control.clear());
    find("failure").replaceChildren();
    state.controls.forEach((control) => control.quiet());
    changed();
  } }, "Clear");
  const submit = el("button", { type: "submit", class: "primary" }, model.task === "translation" ? "Translate" : model.streams ? "Write" : "Answer");
  const parts = state.controls.map((control, i) => {
    const heading = !only && ["table", "image", "sound"].includes(inputs[i].kind) ? el("h3", {}, called(inputs[i])) : null;
    return el("div", { class: "part" }, heading, control.element);
  });
  find("form").replaceChildren(...parts, el("div", { id: "failure", class: "wrong", role: "alert" }),
    el("div", { class: "row buttons" }, submit, state.stop, example, clear));
  find("form").onsubmit = (event) => {
    event.preventDefault();
    ask(state);
  };
  old(false);
  find("answer-body").classList.remove("waiting");
  find("answer-body").replaceChildren(el("p", { class: "hollow muted" }, HOLLOW));
  find("batch").hidden = !takesRows(model);
  state.batch = takesRows(model) ? makeBatch(server, model, inputs, say) : null;
  find("batch-body").replaceChildren(...(state.batch ? [state.batch.element] : []));
  find("title").textContent = model.name;
  document.title = `${model.name}: try the model`;
  find("about").textContent = about(model);
  find("ask").hidden = find("answer").hidden = false;
}

function select(label, choices, chosen, picked) {
  const id = newId("choose");
  const node = el("select", { id, onchange: () => picked(node.value) },
    choices.map((name) => el("option", { value: name, selected: name === chosen }, name)));
  return el("div", { class: "field" }, el("label", { for: id }, label), node);
}

/** Shows a model, and what else there is to choose from. */
function choose(models, model) {
  const names = [...new Set(models.map(({ name }) => name))];
  const versions = models.filter(({ name }) => name === model.name);
  const go = (next) => {
    const label = document.activeElement?.labels?.[0]?.textContent;
    choose(models, next);
    [...find("chooser").querySelectorAll("select")].find((one) => one.labels[0].textContent === label)?.focus();
  };
  const first = (name) => models.find((one) => one.name === name && one.default) ?? models.find((one) => one.name === name);
  find("chooser").replaceChildren(
    names.length > 1 ? select("Model", names, model.name, (name) => go(first(name))) : "",
    versions.length > 1
      ? select("Version", versions.map(({ version }) => version), model.version, (version) => go(versions.find((one) => one.version === version)))
      : el("p", { class: "version small muted" }, `version ${model.version}`));
  show({ ...model, pinned: versions.length > 1 });
}

async function begin() {
  try {
    const models = await server.models();
    if (!models.length) throw Object.assign(new Error("No model is served yet."), { status: 503 });
    choose(models, models.find((model) => model.default) ?? models[0]);
  } catch (reason) {
    sayFailure(find("about"), reason, server, begin);
    if ([0, 429, 503].includes(reason.status)) setTimeout(begin, 1000 * (reason.wait || 2));
  }
}

for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault(); // a file that misses its place does not replace the page
    const file = event.dataTransfer?.files[0];
    if (name === "drop" && file) current?.controls.find((control) => control.take)?.take(file);
  });
}
document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])][0];
  const kind = file?.type.startsWith("audio/") ? "sound" : "image";
  const place = file && current?.controls.find((control) => control.kind === kind);
  if (!place) return;
  event.preventDefault();
  place.take(file);
});

begin();
