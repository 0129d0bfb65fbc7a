// What went wrong, said where it is seen; where a key is missing, asked for.
import { el, newId } from "./dom.js";

/** Asks for the API key, which stays in the server object of this page; `again` is called with it. */
export function askKey(server, again, refusedBefore) {
  const id = newId("key");
  const input = el("input", { id, type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const form = el("form", { class: "key", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (!input.value.trim()) return input.focus();
    server.key = input.value.trim();
    form.remove();
    return again();
  } }, el("label", { for: id }, refusedBefore ? "This key was refused. API key" : "This server asks for an API key"),
    el("div", { class: "row" }, input, el("button", { type: "submit", class: "primary" }, "Use it")),
    el("p", { class: "hint" }, "Kept until this page is closed, and nowhere else."));
  setTimeout(() => input.focus(), 0);
  return form;
}

/** A sentence of what stands behind a field's name: "is missing" becomes "This is missing". */
export function capital(text) {
  const sentence = /^(is|has|takes) /.test(text) ? `this ${text}` : text;
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** Says in `place` what a request met; where the server wants a key, asks for one and then calls `again`. */
export function sayFailure(place, reason, server, again) {
  if (reason.status === 401) {
    const before = Boolean(server.key);
    server.key = "";
    place.replaceChildren(askKey(server, again, before));
    return;
  }
  if (reason.status === undefined) console.error(reason); // not of the server: a mistake of this page
  place.textContent = reason.field ? `${capital(reason.field)}: ${reason.message}` : capital(reason.message);
}
