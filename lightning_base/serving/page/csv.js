// CSV, read for a look at it, and written for a file to fill in.

/** Rows of cells; quoted cells may hold commas, quotes and line breaks. */
export function read(text) {
  const rows = [];
  let [row, cell, quoted] = [[], "", false];
  const end = () => {
    row.push(cell);
    if (row.length > 1 || row[0] !== "") rows.push(row);
    [row, cell] = [[], ""];
  };
  for (let i = text.charCodeAt(0) === 0xfeff ? 1 : 0; i < text.length; i += 1) {
    const letter = text[i];
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (text[i + 1] === '"') cell += text[(i += 1)];
      else quoted = false;
    } else if (letter === '"') quoted = true;
    else if (letter === ",") {
      row.push(cell);
      cell = "";
    } else if (letter === "\n") end();
    else if (letter !== "\r") cell += letter;
  }
  if (cell !== "" || row.length) end();
  return rows;
}

const cell = (value) => {
  const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** A CSV of these rows. */
export const write = (rows) => `${rows.map((row) => row.map(cell).join(",")).join("\n")}\n`;

/**
 * The records of a CSV as they stand: {text, line, breaks}; line breaks within quotes end none.
 *
 * `line` is the number of the record's last line in the file, `breaks` how many lines it has.
 */
export function records(text) {
  const found = [];
  let [from, quoted, closed, line, breaks] = [text.charCodeAt(0) === 0xfeff ? 1 : 0, false, -2, 0, 0];
  for (let i = from; i <= text.length; i += 1) {
    if (text[i] === '"') { // begins a cell, ends it, or goes on where one has just ended; elsewhere it is a letter
      if (quoted) closed = i;
      quoted = !quoted && (i === from || closed === i - 1 || ",;\t|\n".includes(text[i - 1]));
    }
    if (text[i] === "\n" || i === text.length) {
      line += 1;
      breaks += 1;
      if (quoted && i < text.length) continue;
      const record = text.slice(from, i).replace(/\r$/, "");
      if (record !== "") found.push({ text: record, line, breaks });
      [from, breaks] = [i + 1, 0];
    }
  }
  return found;
}
