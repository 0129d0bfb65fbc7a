"""Schemas: what each column of a table was taken for, as YAML that a person reads and that can be given back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lightning_base.errors import ConfigError, DataError, near_file, suggest
from lightning_base.runtime.notation import WRITTEN
from lightning_base.samples.samples import Feature, Samples
from lightning_base.sources.columns import MOST_FLOATS
from lightning_base.sources.form import Format
from lightning_base.sources.plan import Plan
from lightning_base.sources.records import Records
from lightning_base.tools.files import write_text
from lightning_base.tools.yaml_file import read_yaml

INPUTS = ("number", "boolean", "category", "date", "constant")
OTHERS = (  # kinds of columns that are no inputs
    *("identifier", "text", "target", "ids", "group", "time", "time_end", "role", "split", "known_after", "unused"),
)
SHOWN = 20  # most categories of a column that the file lists


def taken_for(made: Plan) -> pd.DataFrame:
    """What each column was taken for: name, kind, distinct, missing, known, examples, becomes, written, input."""
    rows = []
    for column in made.columns:
        tally, feature = column.tally, column.feature
        rows.append(
            {
                "name": column.name,
                "kind": column.kind,
                "distinct": -1 if tally is None else tally.distinct,
                "missing": -1 if tally is None else tally.missing,
                "known": -1 if tally is None else tally.known,
                "examples": "" if tally is None else ", ".join(tally.examples),
                "becomes": column.becomes,
                "written": "" if feature is None else feature.written,
                "input": feature is not None,
            }
        )
    return pd.DataFrame(rows)


def described(samples: Samples, widths: Mapping[str, int]) -> list[dict[str, Any]]:
    """By column: name, kind, how it is written, distinct values, gaps, examples, what becomes of it, its width.

    Args:
        samples: a table's.
        widths: how many numbers of a preprocessed sample each input becomes.
    """
    assert samples.schema is not None
    features, rows = {feature.name: feature for feature in samples.features}, []
    for row in samples.schema.to_dict("records"):
        found: dict[str, Any] = {"name": row["name"], "kind": row["kind"]}
        if row["written"]:
            found["written"] = row["written"]
        if row["distinct"] >= 0:
            found["distinct"] = f"over {MOST_FLOATS}" if row["distinct"] > MOST_FLOATS else int(row["distinct"])
            found |= {"missing": int(row["missing"]), "examples": row["examples"]}
        feature = features.get(row["name"])
        if feature is not None and feature.categories is not None and len(feature.categories) <= SHOWN:
            found["categories"] = list(feature.categories)
        gone = row["input"] and feature is None
        found["becomes"] = "left out by data.clean" if gone else row["becomes"]
        found["width"] = int(widths.get(row["name"], 0))
        if found["becomes"] == "spread out" and found["width"] == 1 < row["distinct"]:
            found["becomes"] = "a number for each"
        rows.append(found)
    return rows


def rows_of(samples: Samples) -> int:
    """The rows that a schema's counts are over: all that were read, those sealed or dropped later among them."""
    assert samples.schema is not None
    counted = samples.schema[samples.schema["distinct"] >= 0]
    return int((counted["known"] + counted["missing"]).max())


def write_schema(path: Path, samples: Samples, widths: Mapping[str, int]) -> None:
    """Writes the schema of a table, whole or not at all."""
    content = {"rows": rows_of(samples), "width": sum(widths.values()), "columns": described(samples, widths)}
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))


def read_schema(path: str, form: Format) -> tuple[Feature, ...]:
    """The inputs that a schema names, with the categories that it lists, for a file whose columns fit it.

    Args:
        path: of the YAML.
        form: of the file.

    Raises:
        ConfigError: for a file that is no schema.
        DataError: for a column that the schema has and the file has not, or the reverse.
    """
    where = f"data.schema: {path}"
    if not Path(path).is_file():
        raise ConfigError(f"{where}: no such file{near_file(path) or '; give the schema.yaml that prepare writes'}")
    columns = read_yaml(Path(path)).get("columns")
    if not isinstance(columns, list) or not all(
        isinstance(one, dict) and {"name", "kind"} <= one.keys() for one in columns
    ):
        raise ConfigError(f"{where}: is no schema; give the schema.yaml that prepare writes, with columns (name, kind)")
    names, records = [str(one["name"]) for one in columns], Records(form)
    records.require(names, where)
    if new := [name for name in records.names if name not in names]:
        raise DataError(f"{where}: has no column {new[0]!r}, which {form.path} has{suggest(new[0], names)}")
    features = []
    for one in columns:
        _demand_kind(one, where)
        if one["kind"] in INPUTS and one.get("width", 1):
            categories = one["kind"] in ("boolean", "category") or "categories" in one
            known = tuple(str(name) for name in one.get("categories") or ()) if categories else None
            features.append(Feature(str(one["name"]), known, str(one.get("written", ""))))
    return tuple(features)


def _demand_kind(column: Mapping[str, Any], where: str) -> None:
    """Refuses a column whose kind is none, or is not what else is said of it: it would be left out, or read otherwise.

    Raises:
        ConfigError: naming it.
    """
    kind, written, said = str(column["kind"]), str(column.get("written", "")), f"{where}: column {column['name']!r}"
    if kind not in (*INPUTS, *OTHERS):
        raise ConfigError(f"{said} is of kind {kind!r}, which is none of {', '.join(INPUTS)}{suggest(kind, INPUTS)}")
    fits = {"date": written.startswith("date "), "number": not written or written.startswith(WRITTEN)}
    if kind in INPUTS and not fits.get(kind, not written or kind == "constant"):
        raise ConfigError(
            f"{said} is of kind {kind}, and written as {written or 'nothing'!r}; write 'date %d.%m.%Y', say, of dates, "
            "and nothing of what is plain"
        )
    if kind == "number" and "categories" in column:
        raise ConfigError(f"{said} is of kind number, and has categories; leave one of them out")
    if written.startswith(WRITTEN) and written.count("|") != 2:
        raise ConfigError(
            f"{said} is written as {written!r}; write 'number', its decimal mark, thousands and sign: .|,|$"
        )
