"""Answers as a CSV, a row each."""

import csv
import io
from collections.abc import Sequence

from lightning_base.runtime.answering import Answer
from lightning_base.runtime.command import flat


def as_csv(answers: Sequence[Answer]) -> bytes:
    """The CSV in UTF-8 with a header: `pred`, `prob_CLASS`, lists as JSON; empty where an answer has no such value."""
    rows = [flat(answer) for answer in answers]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("utf-8", "replace")
