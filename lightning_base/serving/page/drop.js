// A place to drop a file on, which is a button that chooses one.
import { el, icon, newId } from "./dom.js";

/** {element, button, offer(file)}: `taken` gets each file that is dropped, chosen or offered. */
export function dropPlace({ symbol, words, hint, accept, taken, describedBy }) {
  const id = newId("hint");
  const chooser = el("input", { type: "file", hidden: true, accept, "aria-label": words, onchange: () => {
    if (chooser.files.length) taken(chooser.files[0]);
    chooser.value = ""; // the same file again is a choice as well
  } });
  const button = el("button", {
    type: "button", class: "drop", "aria-describedby": [id, describedBy].filter(Boolean).join(" "), onclick: () => chooser.click(),
  }, icon(symbol), el("span", { class: "drop-words" }, words));
  button.append(el("span", { id, class: "small muted", "aria-hidden": "true" }, hint));
  const over = (yes) => (event) => {
    event.preventDefault();
    button.classList.toggle("over", yes);
  };
  button.addEventListener("dragenter", over(true));
  button.addEventListener("dragover", over(true));
  button.addEventListener("dragleave", over(false));
  button.addEventListener("drop", (event) => {
    over(false)(event);
    event.stopPropagation();
    if (event.dataTransfer.files.length) taken(event.dataTransfer.files[0]);
  });
  return { element: el("div", { class: "dropping" }, button, chooser), button };
}

/** A file's content in base64. */
export function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The file could not be read; was it moved or changed?"));
    reader.readAsDataURL(blob);
  });
}

const MAGIC = [
  ["iVBOR", "image/png"], ["/9j/", "image/jpeg"], ["R0lGOD", "image/gif"], ["Qk", "image/bmp"],
  ["UklGR", null], ["T2dnU", "audio/ogg"], ["ZkxhQ", "audio/flac"], ["SUQz", "audio/mpeg"], ["//", "audio/mpeg"],
];

/** The file that base64 holds. */
export function fromBase64(text, kind, name) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const riff = kind === "image" ? "image/webp" : "audio/wav";
  const found = MAGIC.find(([start]) => text.startsWith(start));
  const type = found ? (found[1] ?? riff) : "application/octet-stream";
  return new File([bytes], name, { type });
}
