// Shows openapi.json as a page: nothing is loaded from elsewhere.

const DEPTH = 12;
const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A schema with what it refers to put in its place, up to a depth: schemas may refer to themselves.
function inlined(value, whole, depth = 0) {
  if (Array.isArray(value)) return value.map((one) => inlined(one, whole, depth + 1));
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$ref === "string" && depth < DEPTH) return inlined(target(value.$ref, whole), whole, depth + 1);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, inlined(one, whole, depth + 1)]));
}

function target(reference, whole) {
  const parts = reference.slice(2).split("/").map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"));
  return parts.reduce((inner, part) => inner?.[part], whole) ?? {};
}

function shown(content, whole) {
  return Object.entries(content ?? {}).flatMap(([type, { schema = {}, example }]) => {
    const parts = [element("p", {}, element("code", {}, type))];
    if (example !== undefined) {
      const text = JSON.stringify(example);
      const short = text.length > 1500 ? `${text.slice(0, 1500)} …` : JSON.stringify(example, null, 2);
      parts.push(element("p", { class: "note" }, "an example"), element("pre", { tabindex: "0" }, short));
    }
    const folded = element("details", {}, element("summary", {}, "JSON Schema"));
    folded.append(element("pre", { tabindex: "0" }, JSON.stringify(inlined(schema, whole), null, 2)));
    return [...parts, folded];
  });
}

function answers(responses) {
  const rows = Object.entries(responses).map(([status, { description, content = {} }]) =>
    element("tr", {}, element("td", {}, status), element("td", {}, description), element("td", {}, Object.keys(content).join(", "))),
  );
  const head = element("tr", {}, ...["status", "when", "as"].map((text) => element("th", { scope: "col" }, text)));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

function operation(method, path, one, whole) {
  const head = element("summary", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path));
  head.append(element("span", { class: "note" }, one.summary ?? ""));
  const made = element("details", { id: `${method}${path}` }, head);
  if (one.requestBody) made.append(element("h3", {}, "Send"), ...shown(one.requestBody.content, whole));
  made.append(element("h3", {}, "Answers"), answers(one.responses));
  const success = one.responses["200"];
  if (success?.content) made.append(element("h3", {}, "The answer"), ...shown(success.content, whole));
  return made;
}

async function show(key) {
  const answer = await fetch("openapi.json", { headers: key ? { "X-API-Key": key } : {} });
  const content = await answer.json();
  if (!answer.ok) {
    byId("about").textContent = content.error;
    byId("key").hidden = answer.status !== 401;
    return;
  }
  byId("key").hidden = true;
  byId("about").replaceChildren(content.info.description, " ", element("a", { href: "openapi.json" }, "openapi.json"));
  const made = Object.entries(content.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => operation(method, path, one, content)),
  );
  byId("operations").replaceChildren(...made);
}

byId("key").addEventListener("submit", (event) => {
  event.preventDefault();
  show(new FormData(event.target).get("key"));
});
show("").catch((error) => {
  byId("about").textContent = `This page could not read openapi.json: ${error.message}`;
});
