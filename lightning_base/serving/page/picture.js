// A picture as input: dropped, chosen, pasted; shown upright as it will be read.
import { FieldError } from "./fields.js";
import { base64, dropPlace, fromBase64 } from "./drop.js";
import { el, newId, size } from "./dom.js";

const SMALL = 192; // pixels to which smaller pictures are enlarged

/** An image element of a file; `unreadable` is called where the browser cannot show it. */
export function shown(file, alt, unreadable) {
  const url = URL.createObjectURL(file);
  const image = el("img", { alt, onerror: unreadable });
  image.addEventListener("load", () => {
    const times = Math.floor(SMALL / Math.max(image.naturalWidth, image.naturalHeight));
    if (times > 1) {
      image.width = times * image.naturalWidth;
      image.classList.add("tiny");
    }
  });
  image.src = url;
  return { image, url };
}

/** The control of a picture: a file, or base64 among other inputs. */
export function makePicture(input, label, changed, arrived) {
  const wrong = newId("wrong");
  const error = el("p", { id: wrong, class: "wrong" });
  const preview = el("figure", { class: "preview", hidden: true });
  let file = null;
  let url = null;

  const show = (given) => {
    if (url) URL.revokeObjectURL(url);
    [file, url] = [given, null];
    preview.replaceChildren();
    preview.hidden = !given;
    place.button.classList.toggle("slim", Boolean(given));
    place.button.querySelector(".drop-words").textContent = given ? "Choose another picture" : "Choose a picture";
    if (given) {
      const caption = el("figcaption", { class: "small muted" }, `${given.name || "pasted picture"}, ${size(given.size)}`);
      const made = shown(given, "The picture you gave", () => {
        made.image.remove();
        caption.append("; this browser cannot show it, the server may read it all the same");
      });
      url = made.url;
      preview.append(made.image, caption);
    }
    error.textContent = "";
  };
  const take = (given) => {
    show(given);
    changed();
    arrived();
  };
  const place = dropPlace({
    symbol: "picture", words: "Choose a picture", hint: "or drop one here, or paste it", describedBy: wrong,
    accept: "image/*,.dcm,.nii,.gz,.heic,.tif,.tiff", taken: take,
  });
  return {
    name: input.name, kind: "image", take,
    element: el("div", { role: "group", "aria-label": label }, preview, place.element, error),
    file: () => file,
    async value() {
      if (!file) throw new FieldError(input.name, "A picture is needed: choose, drop or paste one.");
      return base64(file);
    },
    check() {
      if (!file) throw new FieldError(input.name, "A picture is needed: choose, drop or paste one.");
    },
    fill: (text) => (text ? show(fromBase64(text, "image", "example")) : show(null)),
    clear: () => show(null),
    quiet: () => { error.textContent = ""; },
    fail(path, message) {
      if (path !== input.name) return null;
      error.textContent = message;
      return { focus: () => place.button.focus() };
    },
  };
}
