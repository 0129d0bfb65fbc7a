// A table's row as a form: one field per column, read strictly, with what is wrong beside the field.
import { el, newId } from "./dom.js";

/** What a person gave that cannot be sent; `field` names it. */
export class FieldError extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

const HINTS = { integer: "a whole number", json: "JSON" };

const FAR = 1e9;

function range({ minimum: low, maximum: high, exclusiveMinimum: above, exclusiveMaximum: below }) {
  if (Math.abs(low) > FAR || Math.abs(high) > FAR) return ""; // what 32 bits hold, say: nothing to tell
  const parts = [
    low !== undefined && `at least ${low}`, above !== undefined && `above ${above}`,
    high !== undefined && `at most ${high}`, below !== undefined && `below ${below}`,
  ];
  return low !== undefined && high !== undefined ? `${low} to ${high}` : parts.filter(Boolean).join(", ");
}

function numeric(text, column) {
  const plain = text.replace(/^[+]/, "").replace("\u2212", "-");
  const value = Number(plain);
  if (plain === "" || !Number.isFinite(value) || /^-?0[xob]/i.test(plain)) {
    throw new Error(text.includes(",") ? "Not a number: write a point, as in 1.5, and no other marks." : "Not a number.");
  }
  if (column.control === "integer" && !Number.isInteger(value)) throw new Error("A whole number is needed.");
  if (Number.isInteger(value) && Math.abs(value) > Number.MAX_SAFE_INTEGER) throw new Error("Too large to be kept exactly.");
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = column;
  if (value < minimum || value > maximum || value <= exclusiveMinimum || value >= exclusiveMaximum) {
    throw new Error(`Out of range${range(column) ? `: ${range(column)}` : ""}.`);
  }
  return value;
}

/** What a form's text means; throws where it means nothing. */
function parsed(text, column) {
  const trimmed = text.trim();
  switch (column.control) {
    case "number": case "integer": return numeric(trimmed, column);
    case "loose": // as it is written: what "1.234" is, the server knows
      if (column.types.has("string")) return text;
      if (/^(true|false)$/i.test(trimmed)) return trimmed.toLowerCase() === "true";
      return numeric(trimmed, column);
    case "json":
      try {
        return JSON.parse(trimmed);
      } catch {
        throw new Error("Not JSON: a list looks like [1, 2, 3].");
      }
    default: return text;
  }
}

const options = (column) => (column.control === "yes" ? [true, false] : column.control === "known" ? column.known : column.choices);
const named = (value) => (value === true ? "yes" : value === false ? "no" : String(value));

const OTHER = "other";

function selected(column, props) {
  const empty = el("option", { value: "" }, column.mayMiss ? "not given" : "choose …");
  const other = column.control === "known" ? el("option", { value: OTHER }, "another value …") : null;
  return el("select", props, empty, options(column).map((value, i) => el("option", { value: String(i) }, named(value))), other);
}

const TYPES = { date: "date", "date-time": "text", time: "time" };
const PLACEHOLDERS = { "date-time": "2026-01-31T14:30:00" };

function typed(column, props) {
  if (column.control === "json") return el("textarea", { ...props, rows: 3, spellcheck: "false" });
  const input = el("input", {
    ...props, type: TYPES[column.control] ?? "text", autocomplete: "off", maxlength: column.maxLength,
    inputmode: column.control === "number" ? "decimal" : column.control === "integer" ? "numeric" : null,
    placeholder: column.default !== undefined && column.default !== null ? `${column.default}, if not given`
      : column.mayMiss ? "not given" : PLACEHOLDERS[column.control],
  });
  if (!column.known?.length) return input;
  const list = el("datalist", { id: newId("list") }, column.known.map((value) => el("option", { value })));
  input.setAttribute("list", list.id);
  return [input, list];
}

/** The field of one column: {name, element, value(), fill(value), fail(message), focus()}. */
export function makeField(given, changed) {
  const column = { ...given, mayMiss: given.missing || !given.required };
  const [id, hint, wrong] = [newId("field"), newId("hint"), newId("wrong")];
  const open = column.control === "known"; // other values than those of the list may be given, in a field of its own
  const about = [column.description, range(column) || (HINTS[column.control] ?? "")].filter(Boolean).join("; ");
  const describedBy = [about && hint, wrong].filter(Boolean).join(" ");
  const props = { id, "aria-describedby": open ? wrong : describedBy, "aria-required": column.mayMiss ? null : "true" };
  const name = column.title ?? column.name;
  const fixed = Boolean(options(column));
  const made = [fixed ? selected(column, props) : typed(column, props)].flat();
  const input = made[0];
  const another = open
    ? el("input", { type: "text", hidden: true, autocomplete: "off", "aria-label": `${name}, another value`, "aria-describedby": describedBy })
    : null;
  const told = about ? el("p", { id: hint, class: "hint", hidden: open }, about) : null;
  const error = el("p", { id: wrong, class: "wrong" });
  const label = [name, column.mayMiss && !column.quiet ? el("span", { class: "muted small" }, " optional") : null];
  const element = el("div", { class: "field" }, el("label", { for: id }, label), ...made, another,
    told, error);
  const fail = (message) => {
    error.textContent = message;
    for (const one of [input, another]) {
      if (message) one?.setAttribute("aria-invalid", "true");
      else one?.removeAttribute("aria-invalid");
    }
  };
  const toggle = () => {
    for (const part of another ? [another, told] : []) part?.toggleAttribute("hidden", input.value !== OTHER);
  };
  let filled = null; // a value that was filled in, and how it looks: sent as it was while it looks so
  element.addEventListener("input", () => {
    toggle();
    fail("");
    changed();
  });
  const missing = (message) => {
    if (column.mayMiss) return column.required ? null : undefined;
    throw new FieldError(column.name, message);
  };
  return {
    name: column.name, element, fail, focus: () => input.focus(),
    /** The value; null where it is missing and may be, undefined where the property is to be left out. */
    value() {
      if (fixed && input.value !== OTHER) return input.value === "" ? missing("Choose one.") : options(column)[Number(input.value)];
      if (input.validity.badInput) throw new FieldError(column.name, "Not a whole date.");
      const text = another ? another.value : input.value;
      if (text.trim() === "") return missing("A value is needed.");
      if (filled?.text === text) return filled.value;
      try {
        return parsed(text, column);
      } catch (reason) {
        throw new FieldError(column.name, reason.message);
      }
    },
    fill(value) {
      fail("");
      const none = value === null || value === undefined;
      const text = none ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
      filled = none ? null : { text, value };
      const at = fixed && !none ? options(column).findIndex((choice) => (another ? String(choice) === text : choice === value)) : -1;
      if (fixed) input.value = at >= 0 ? String(at) : another && !none ? OTHER : "";
      else {
        input.value = text;
        if (input.value !== text) filled = null; // a date that the browser writes otherwise, or not at all
      }
      if (another) another.value = at < 0 ? text : "";
      toggle();
    },
  };
}

const MANY = 24;

/** The control of a table's row: an object of its columns' values. */
export function makeRow(input, changed) {
  const quiet = input.kind === "table" && input.columns.every((column) => column.missing || !column.required);
  const fields = input.columns.map((column) => makeField({ ...column, quiet }, changed));
  const all = quiet ? el("p", { class: "hint every" }, "Each value may be left out.") : null;
  const grid = el("div", { class: "fields" }, fields.map((field) => field.element));
  let finder = null;
  if (fields.length > MANY) {
    const id = newId("find");
    const none = el("p", { class: "muted", hidden: true }, "No column has this in its name.");
    const search = el("input", { id, type: "search", autocomplete: "off", oninput: () => {
      const wanted = search.value.trim().toLowerCase();
      for (const field of fields) field.element.hidden = !field.name.toLowerCase().includes(wanted);
      none.hidden = fields.some((field) => !field.element.hidden);
    } });
    finder = el("div", { class: "field finder" }, el("label", { for: id }, `Find one of ${fields.length} columns`), search, none);
  }
  const shown = (field) => {
    field.element.hidden = false;
    return field;
  };
  return {
    name: input.name, element: el("div", {}, all, finder, grid), fields, file: () => null,
    value() {
      const row = {};
      const errors = [];
      for (const field of fields) {
        try {
          const value = field.value();
          if (value !== undefined) row[field.name] = value;
        } catch (error) {
          errors.push(error);
        }
      }
      if (errors.length) throw Object.assign(errors[0], { others: errors.slice(1) });
      return row;
    },
    fill: (row) => fields.forEach((field) => field.fill(row?.[field.name])),
    clear: () => fields.forEach((field) => field.fill(null)),
    quiet: () => fields.forEach((field) => field.fail("")),
    /** Shows what is wrong beside the column's field, and gives that field; null where there is none. */
    fail(path, message) {
      const starts = (field) => path === field.name || path.startsWith(`${field.name}[`) || path.startsWith(`${field.name}.`);
      const found = fields.filter(starts).sort((a, b) => b.name.length - a.name.length)[0];
      found?.fail(message);
      return found ? shown(found) : null;
    },
  };
}
