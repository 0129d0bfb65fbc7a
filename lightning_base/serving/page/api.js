// The server, asked: models, answers, answers to many rows, and text as it is written.

/**
 * What the server refused, in its words.
 *
 * `field` names what it is about, `status` is 0 where nobody answered, `wait` the seconds after which to try again.
 */
export class ServerError extends Error {
  constructor(message, status, field = null, wait = 0) {
    super(message);
    [this.status, this.field, this.wait] = [status, field, wait];
  }
}

const WORDS = {
  0: "The server does not answer. Is it still running, and is this computer connected to it?",
  404: "The server no longer has this model. Load the page anew to see which it has.",
  413: "This is larger than the server takes.",
  415: "The server does not read this type of file.",
  429: "Too many questions in a short time.",
  503: "The server is busy, or about to stop.",
  504: "The answer took longer than the server allows.",
};

async function refused(response) {
  let told = {};
  try {
    told = await response.json();
  } catch { /* not ours: a proxy's page, say */ }
  let message = (typeof told.error === "string" && told.error) || WORDS[response.status] ||
    `The server refused (status ${response.status}).`;
  const field = typeof told.field === "string" ? told.field : null;
  if (field && message.startsWith(`${field}: `)) message = message.slice(field.length + 2);
  if (!/[.!?]$/.test(message)) message += ".";
  const wait = Number(response.headers.get("Retry-After")) || 0;
  if (wait && !/again/i.test(message)) message += ` Try again in ${wait} s.`;
  return new ServerError(message, response.status, field, wait);
}

/** The pieces of a stream of server-sent events: {event, data}. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const found = { event: "message", data: [] };
        for (const line of block.split(/\r?\n/)) {
          const [, name, text] = line.match(/^(\w*): ?(.*)$/) ?? [];
          if (name === "data") found.data.push(text);
          else if (name === "event") found.event = text;
        }
        if (found.data.length || found.event !== "message") yield { event: found.event, data: found.data.join("\n") };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Asks the server that this page is from. */
export class Server {
  key = ""; // in this object alone: not stored, gone with the page

  async #fetch(path, options = {}) {
    const headers = { ...options.headers };
    if (this.key) headers["X-API-Key"] = this.key;
    let response;
    try {
      response = await fetch(new URL(path, document.baseURI), { cache: "no-store", ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServerError(WORDS[0], 0);
    }
    if (!response.ok) throw await refused(response);
    return response;
  }

  /** What is served: a list of {name, version, task, kinds, schema, example, …}. */
  async models() {
    return (await (await this.#fetch("models")).json()).models;
  }

  #path(model, verb) {
    const version = model.pinned ? `/versions/${encodeURIComponent(model.version)}` : "";
    return `models/${encodeURIComponent(model.name)}${version}/${verb}`;
  }

  /** One answer. `given` is a JSON value, or a Blob that is sent as a file. */
  async predict(model, given, signal) {
    const begun = performance.now();
    const response = await this.#fetch(this.#path(model, "predict"), { method: "POST", signal, ...body(given) });
    const answer = await response.json();
    return { answer, milliseconds: performance.now() - begun, by: response.headers.get("X-Model") };
  }

  /** Answers to a CSV's rows, as CSV; `file` is a text or a Blob. */
  async predictRows(model, file, signal) {
    const headers = { "Content-Type": "text/csv", Accept: "text/csv" };
    const response = await this.#fetch(this.#path(model, "predict/batch"), { method: "POST", signal, headers, body: file });
    return { text: await response.text(), by: response.headers.get("X-Model") };
  }

  /** Pieces of text as they are written: {text}, and at the end {answer}. */
  async *stream(model, given, signal) {
    const begun = performance.now();
    const response = await this.#fetch(this.#path(model, "predict/stream"), { method: "POST", signal, ...body(given) });
    const by = response.headers.get("X-Model");
    for await (const { event, data } of events(response.body)) {
      const told = JSON.parse(data);
      if (event === "done") {
        yield { answer: told, milliseconds: performance.now() - begun, by };
        return;
      }
      if (event === "error" || told.error) throw new ServerError(told.error, 500, told.field ?? null);
      yield { text: told.text, by };
    }
    throw new ServerError("The answer broke off: the server ended it before it was whole.", 0);
  }
}

function body(given) {
  if (!(given instanceof Blob)) {
    return { headers: { "Content-Type": "application/json" }, body: JSON.stringify(given) };
  }
  const form = new FormData();
  form.append("file", given, given.name || "file");
  return { body: form };
}
