// A sound as input: dropped, chosen or recorded; drawn, and played back.
import { FieldError } from "./fields.js";
import { base64, dropPlace, fromBase64 } from "./drop.js";
import { canRecord, record } from "./recorder.js";
import { el, icon, newId, size, svg } from "./dom.js";

const LONGEST = 120; // seconds that a recording may last
const BARS = 160;

const time = (seconds) => (seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`);

/** {drawing, seconds} of a sound; null where the browser cannot read it. */
async function waveform(file) {
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(await file.arrayBuffer());
  } catch {
    return null;
  }
  const samples = sound.getChannelData(0);
  const step = Math.max(1, Math.floor(samples.length / BARS));
  const heights = [];
  for (let from = 0; from < samples.length && heights.length < BARS; from += step) {
    let high = 0;
    for (let i = from; i < Math.min(from + step, samples.length); i += 1) high = Math.max(high, Math.abs(samples[i]));
    heights.push(high);
  }
  const loudest = Math.max(...heights, 1e-6);
  const bars = heights.map((height, i) => {
    const half = Math.max(0.6, 30 * (height / loudest));
    return `M${i * 4 + 2} ${32 - half}V${32 + half}`;
  });
  const box = { class: "wave", viewBox: `0 0 ${heights.length * 4} 64`, preserveAspectRatio: "none", "aria-hidden": "true" };
  return { drawing: svg("svg", box, svg("path", { d: bars.join("") })), seconds: sound.duration };
}

/** The control of a sound: a file, or base64 among other inputs. */
export function makeSound(input, label, changed, arrived) {
  const wrong = newId("wrong");
  const error = el("p", { id: wrong, class: "wrong" });
  const preview = el("figure", { class: "preview", hidden: true });
  const meter = el("span", { class: "meter", "aria-hidden": "true" }, el("span"));
  const words = el("span", {}, "Record");
  let [file, url, recording] = [null, null, null];

  const show = async (given) => {
    if (url) URL.revokeObjectURL(url);
    [file, url] = [given, given && URL.createObjectURL(given)];
    error.textContent = "";
    preview.hidden = !given;
    preview.replaceChildren();
    place.button.classList.toggle("slim", Boolean(given));
    place.button.querySelector(".drop-words").textContent = given ? "Choose another sound" : "Choose a sound";
    if (!given) return;
    const caption = el("figcaption", { class: "small muted" }, `${given.name || "sound"}, ${size(given.size)}`);
    const player = el("audio", { controls: true, src: url, "aria-label": "Play the sound you gave" });
    preview.append(player, caption);
    const drawn = await waveform(given);
    if (file !== given) return;
    if (drawn) {
      preview.prepend(drawn.drawing);
      caption.append(`, ${time(drawn.seconds)}`);
    } else {
      player.remove();
      caption.append("; this browser cannot play it, the server may read it all the same");
    }
  };
  const take = (given) => {
    show(given);
    changed();
    arrived();
  };
  const place = dropPlace({
    symbol: "sound", words: "Choose a sound", hint: "or drop one here", describedBy: wrong,
    accept: "audio/*,.wav,.flac,.ogg,.mp3,.aiff,.au", taken: take,
  });
  const heard = (seconds, level) => {
    if (!recording) return; // the last of it comes after it was stopped
    words.textContent = `Stop (${time(seconds)})`;
    meter.firstChild.style.width = `${Math.round(100 * Math.min(1, level))}%`;
    if (seconds >= LONGEST) toggle();
  };
  const toggle = async () => {
    error.textContent = "";
    const [running] = [recording];
    button.disabled = true;
    try {
      if (running) {
        recording = null;
        const made = await running.stop();
        take(made);
      } else recording = await record(heard);
    } catch (reason) {
      recording = null;
      error.textContent = reason.message;
    }
    button.disabled = false;
    button.classList.toggle("recording", Boolean(recording));
    words.textContent = recording ? "Stop" : file ? "Record anew" : "Record";
    button.focus();
  };
  const button = el("button", { type: "button", class: "quiet record", onclick: toggle }, icon("microphone"), words, meter);
  const recorder = canRecord() ? button : el("p", { class: "hint" }, "Recording needs https, or a server on this computer.");
  const missing = () => new FieldError(input.name, "A sound is needed: choose, drop or record one.");
  return {
    name: input.name, kind: "sound", take,
    element: el("div", { role: "group", "aria-label": label }, preview, place.element, recorder, error),
    file: () => file,
    async value() {
      if (!file) throw missing();
      return base64(file);
    },
    check() {
      if (!file) throw missing();
    },
    fill: (text) => (text ? show(fromBase64(text, "sound", "example")) : show(null)),
    clear: () => show(null),
    quiet: () => { error.textContent = ""; },
    fail(path, message) {
      if (path !== input.name) return null;
      error.textContent = message;
      return { focus: () => place.button.focus() };
    },
  };
}
