// A model's JSON Schema, as the inputs and fields that a form has.

/** The schema that `#/…` names, and whatever stands beside the name. */
function resolved(schema, root) {
  if (!schema?.$ref) return schema ?? {};
  let found = root;
  for (const step of schema.$ref.replace(/^#\/?/, "").split("/").filter(Boolean)) {
    found = found?.[step.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  const { $ref: _, ...beside } = schema;
  return { ...resolved(found, root), ...beside };
}

/** What a value may be: {types, choices, format, minimum, maximum, missing, description, suggestions}. */
function facts(schema, root) {
  const here = resolved(schema, root);
  const ways = here.anyOf ?? here.oneOf;
  const parts = ways ? ways.map((way) => facts(way, root)) : [];
  const types = new Set([here.type ?? []].flat().concat(...parts.map((part) => [...part.types])));
  let choices = here.enum ?? ("const" in here ? [here.const] : null);
  if (!choices && parts.length && parts.every((part) => part.choices || [...part.types].join() === "null")) {
    choices = parts.flatMap((part) => part.choices ?? []);
  }
  const missing = types.delete("null") || Boolean(choices?.includes(null)) || parts.some((part) => part.missing);
  const first = (name) => here[name] ?? parts.map((part) => part[name]).find((value) => value !== undefined);
  return {
    types, missing, choices: choices?.filter((value) => value !== null) ?? null,
    format: first("format"), minimum: first("minimum"), maximum: first("maximum"), maxLength: first("maxLength"),
    exclusiveMinimum: first("exclusiveMinimum"), exclusiveMaximum: first("exclusiveMaximum"),
    title: here.title, description: here.description, default: first("default"),
    known: first("x-known") ?? here.examples ?? null,
  };
}

const LISTED = 100; // values that a list to choose from may have

/** Which control a value gets. */
function control({ types, choices, format, known }) {
  if (choices) return "choice";
  if (known?.length && types.has("string")) return known.length <= LISTED ? "known" : "string";
  if (types.has("array") || types.has("object")) return "json";
  if (types.has("boolean")) return types.size === 1 ? "yes" : "loose";
  if (types.has("string") && (types.has("number") || types.has("integer"))) return "loose";
  if (types.has("number")) return "number";
  if (types.has("integer")) return "integer";
  if (format === "date" || format === "date-time" || format === "time") return format;
  return types.size ? "string" : "loose";
}

function columns(schema, root, without = []) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).filter(([name]) => !without.includes(name)).map(([name, given]) => {
    const found = facts(given, root);
    return { name, ...found, control: control(found), required: required.has(name) };
  });
}

/** The lengths of nested lists that a schema demands; null where it does not. */
function shape(schema) {
  const found = [];
  for (let here = schema; here?.type === "array"; here = here.items) {
    if (here.minItems === undefined || here.minItems !== here.maxItems) return null;
    found.push(here.minItems);
  }
  return found;
}

/**
 * A model's inputs: [{name, kind, columns, nested, required}], and last, of kind "options", what else an input may say.
 *
 * A table that is the only input has its columns at the top of the object; beside others, under its own name where the
 * schema has such a property, else at the top as well (`nested` says which).
 */
export function inputs(model) {
  const root = model.schema ?? {};
  const names = Object.keys(model.kinds);
  const required = new Set(root.required ?? []);
  const found = names.map((name) => {
    const kind = model.kinds[name];
    const own = resolved(root.properties?.[name], root);
    const here = { name, kind, required: names.length === 1 || required.has(name), about: own.description ?? "", shape: shape(own) };
    if (kind !== "table") return here;
    const nested = Boolean(own.properties) && (names.length > 1 || Object.keys(root.properties).length === 1);
    const others = names.filter((other) => other !== name);
    return { ...here, nested, columns: nested ? columns(own, root) : columns(root, root, others) };
  });
  const options = found.some(({ columns: taken, nested }) => taken && !nested) ? [] : columns(root, root, names);
  return options.length ? [...found, { name: "", kind: "options", columns: options, nested: false, required: false }] : found;
}

const GIVEN = { table: "a row of values", image: "a picture", sound: "a sound", text: "a text", array: "numbers" };

function does(model) {
  const n = model.classes?.length;
  const [first, second] = model.classes ?? [];
  switch (model.task) {
    case "classification": return n === 2 ? `it decides between ${first} and ${second}` : n ? `it says which of ${n} classes fits best` : "it says which class fits best";
    case "binary": return n === 2 ? `it decides between ${first} and ${second}` : "it decides between two classes";
    case "multi_label": return n ? `it says which of ${n} labels apply` : "it says which labels apply";
    case "regression": return "it estimates a number";
    case "quantiles": return "it estimates a number, and how sure it is";
    case "detection": return n > 1 ? `it finds objects of ${n} kinds` : `it finds ${first ?? "objects"}`;
    case "translation": return "it translates";
    case "language_model": return "it writes on from there";
    default: return "see what it answers";
  }
}

/** In a sentence what to give, and what comes back. */
export function about(model) {
  const kinds = [...new Set(Object.values(model.kinds))].map((kind) => GIVEN[kind] ?? "an input");
  const given = kinds.length > 1 ? `${kinds.slice(0, -1).join(", ")} and ${kinds.at(-1)}` : kinds[0];
  return `Give it ${given}: ${does(model)}.`;
}
