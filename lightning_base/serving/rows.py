"""Answers as a CSV: a row each, what stands inside of others by dotted names, lists as JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lightning_base.runtime.answering import Answer


def as_csv(answers: Sequence[Answer]) -> bytes:
    """The CSV in UTF-8 with a header: `pred`, `prob.CLASS`; empty where an answer has no such value."""
    rows = [_flat(answer) for answer in answers]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([row.get(name, "") for name in columns] for row in rows)
    return out.getvalue().encode("utf-8", "replace")


def _flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in answer.items():
        if isinstance(value, Mapping):
            row.update({f"{name}.{inner}": one for inner, one in _flat(value).items()})
        elif isinstance(value, list):
            row[name] = json.dumps(value, ensure_ascii=False)
        elif isinstance(value, bool):
            row[name] = str(value).lower()
        else:
            row[name] = value
    return row
