"""predict.py and verify.py of an exported folder."""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .comparing import TOLERANCE, difference, scale_of
from .errors import ExportError, InputError
from .inputs import Encoded
from .model import Model, load

EXAMPLES = "examples.json"
BATCH = 32
STATUS = 2  # of a mistake in what is given


def predict(folder: Path, arguments: Sequence[str] | None = None) -> int:
    """Answers JSON inputs, files or the rows of CSVs on standard output; the exit status."""
    parser = argparse.ArgumentParser(
        prog="predict.py",
        description="Answers inputs as JSON lines: .json (one input, or a list), .jsonl, .csv (a row each), or files "
        "of what the model takes (images, sounds, texts).",
    )
    parser.add_argument("input", nargs="+", help="a file; - for JSON on standard input")
    parser.add_argument("--out", help="write a CSV, or JSON lines where it ends in .jsonl, instead of standard output")
    parser.add_argument("--threads", type=int, help="that one run takes; by default all cores")
    given = parser.parse_args(arguments)
    try:
        model = load(folder, given.threads)
        answers = []
        for path in given.input:
            items = _read(model, path)
            for i in range(0, len(items), BATCH):
                answers += [(f"{path}:{i + k}", one) for k, one in enumerate(model.run(items[i : i + BATCH]))]
    except (ExportError, InputError, OSError, ValueError) as error:
        print(f"predict.py: error: {error}", file=sys.stderr)
        return STATUS
    if given.out is None:
        for _, answer in answers:
            print(json.dumps(answer, ensure_ascii=False))
    else:
        _write(Path(given.out), answers)
    return 0


def _read(model: Model, path: str) -> list[Encoded]:
    """The inputs of a file.

    Raises:
        InputError: for what the model does not take.
    """
    content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    suffix = ".json" if path == "-" else Path(path).suffix.lower()
    try:
        if suffix == ".csv":
            return model.read_rows(content)
        if suffix in (".json", ".jsonl", ".ndjson"):
            text = content.decode("utf-8-sig")
            values = json.loads(text) if suffix == ".json" else [json.loads(line) for line in text.splitlines() if line]
            return [model.read(one) for one in (values if isinstance(values, list) else [values])]
        return [model.read_file(content)]
    except json.JSONDecodeError as error:
        raise InputError(path, f"is no JSON ({error})") from error
    except UnicodeDecodeError as error:
        raise InputError(path, "is no text in UTF-8") from error
    except InputError as error:
        raise InputError(f"{path}: {error.field}" if error.field else path, error.message) from error


def _write(path: Path, answers: Sequence[tuple[str, dict[str, Any]]]) -> None:
    if path.suffix == ".jsonl":
        text = "".join(json.dumps({"input": name, **answer}, ensure_ascii=False) + "\n" for name, answer in answers)
        path.write_text(text, encoding="utf-8")
        return
    rows = [{"input": name, **flat(answer)} for name, answer in answers]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def flat(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer's values by column: prob_yes, prob_no; lists as JSON."""
    found: dict[str, Any] = {}
    for key, value in answer.items():
        if isinstance(value, dict):
            found |= {f"{key}_{name}": one for name, one in value.items()}
        else:
            found[key] = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
    return found


def verify(folder: Path, arguments: Sequence[str] | None = None) -> int:
    """Answers the folder's examples and compares; the exit status: 0 where they are equal, 1 where one is not."""
    parser = argparse.ArgumentParser(
        prog="verify.py", description="Holds every file against its hash, answers the examples, and compares."
    )
    parser.add_argument("--threads", type=int, help="that one run takes; by default all cores")
    given = parser.parse_args(arguments)
    try:
        model = load(folder, given.threads)
        worst, n = verified(model)
    except (ExportError, InputError) as error:
        print(f"verify.py: error: {error}", file=sys.stderr)
        return STATUS
    limit = tolerance_of(model)
    said = f"{model.name} {model.version}: {n} examples, largest difference {worst:.2g} (allowed {limit:g})"
    print(f"{'ok' if worst <= limit else 'NOT EQUAL'}: {said}")
    return 0 if worst <= limit else 1


def tolerance_of(model: Model) -> float:
    """How far an answer may be from the stored one: machines round in other orders."""
    return TOLERANCE if model.manifest["precision"] == "float32" else 100 * TOLERANCE


def verified(model: Any) -> tuple[float, int]:
    """The largest difference between a model's answers to its examples and those that stand beside them, and how many.

    Raises:
        ExportError: for a folder without examples.
        InputError: where it does not take one.
    """
    from .folder import read_json

    examples = read_json(model.folder / EXAMPLES)
    answers = model.run([model.read(one["input"]) for one in examples])
    scale = scale_of([one["answer"] for one in examples])
    apart = [difference(one["answer"], answer, scale) for one, answer in zip(examples, answers, strict=True)]
    return max(apart, default=0.0), len(examples)
