"""The reference that an exported model's use is held against: how its training role, and held-out answers, look."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_base.auditing.distribution import DECODED, columns_of, drawn, measured, parts_of
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.results.fold_result import PREDICTIONS
from lightning_base.results.summary import SUMMARY, read_oof, read_summary
from lightning_base.results.tables import read_table
from lightning_base.runtime.columns import Categories
from lightning_base.runtime.drift import Reference, Side
from lightning_base.runtime.measured import LABELS, answered
from lightning_base.runtime.readers import Reader
from lightning_base.splitters.split import WHOLE
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.language_model import LanguageModel

SHRUNK = "an ensemble answers new inputs less surely than its members, one by one, answered held-out ones"


def reference_of(
    task: BaseModule, data: BaseDataModule, folds: Sequence[int], home: Path, readers: Mapping[str, Reader]
) -> Reference | None:
    """How the training role's inputs, and the answers to held-out samples, are distributed.

    Args:
        task: of a member, which knows the classes.
        data: of a member, which reads the pool.
        folds: those that the members of the model were trained as; WHOLE of a refit.
        home: the directory that is exported: of a cross-validation, of a fit or a fold, or of a refit.
        readers: of the exported model's inputs, by their names.

    Returns:
        What reference.json is to hold, as `.written()` gives it; None where nothing can be compared: items of
        somebody's own dataset, and what a language model writes on from, which is no block of its training's text.

    Raises:
        UserError: where the data or the held-out predictions cannot be read.
    """
    if isinstance(task, LanguageModel):
        return None
    pool, split = data.samples("pool"), data.folds
    trained = [split.whole.train if fold == WHOLE else split.folds[fold].train for fold in folds]
    train = np.unique(np.concatenate(trained))
    rows = drawn(pool, train)
    parts = parts_of(data, pool, rows, next(iter(readers)) if len(readers) == 1 else None)
    parts = {name: replace(part, longest=getattr(readers[name], "longest", None)) for name, part in parts.items()}
    if not parts:
        return None
    some = "" if len(rows) == len(train) else f", of which {len(rows):,} were drawn"
    said = f"{len(train):,} samples that trained{some}"
    inputs = Side(said, columns_of(measured(pool, rows, parts, alone=True)))
    classes = tuple(map(str, getattr(task, "classes", ()) or ()))
    return Reference(parts, inputs, held_out_of(classes, home, len(folds) > 1), classes)


def held_out_of(classes: Sequence[str], home: Path, ensemble: bool) -> Side | None:
    """How answers to held-out samples are distributed; None where there are none, or they are of another kind.

    A model is surer of the samples that it was trained on, so that those would show drift where there is none.

    Args:
        classes: that predictions name.
        home: the directory of the cross-validation, the fit, the fold or the refit.
        ensemble: whether several models answer together.
    """
    if (home / SUMMARY).is_file():
        table, of = read_oof(home, read_summary(home)), "held-out predictions of the folds' models"
    elif home.name == "refit" and (home.parent / SUMMARY).is_file():
        table, of = read_oof(home.parent, read_summary(home.parent)), "held-out predictions of the folds' models"
    elif (home / PREDICTIONS).is_file():
        table, of = read_table(home / PREDICTIONS), "predictions of the samples that were held out"
    else:
        return None
    if "repeat" in table:
        table = table[table["repeat"] == table["repeat"].min()]
    if len(table) > DECODED:
        table = table.sample(DECODED, random_state=0)
    answers = answers_of(table, classes)
    if answers is None:
        return None
    columns = columns_of(answered(answers, classes))
    for name, column in columns.items():
        if name == "class" and isinstance(column, Categories) and classes:
            columns[name] = Categories.of([answer["pred"] for answer in answers], classes)
    return Side(f"{len(table):,} {of}", columns, SHRUNK if ensemble else "")


def answers_of(table: pd.DataFrame, classes: Sequence[str]) -> list[dict[str, Any]] | None:
    """A prediction table's rows as an exported model answers; None for predictions that are answered otherwise.

    Args:
        table: as a run leaves it: `pred_class` and `prob_0` …, `pred_LABEL` and `prob_LABEL`, `pred` or `pred_NAME`,
            or `boxes`, `scores` and `labels`.
        classes: their names.
    """
    names = [str(name) for name in table.columns]
    if {"boxes", "scores", "labels"} <= set(names):
        rows = zip(table["scores"], table["labels"], strict=True)
        return [
            {"boxes": scores, "scores": list(scores), "labels": [classes[int(i)] for i in labels]}
            for scores, labels in rows
        ]
    probs = [name for name in names if name.startswith("prob_")]
    if "pred_class" in names and probs:
        best = table[probs].to_numpy(dtype=np.float64).max(axis=1)
        pairs = zip(table["pred_class"], best, strict=True)
        return [{"pred": str(pred), "prob": {"best": float(p)}} for pred, p in pairs]
    labels = [name.removeprefix("prob_") for name in probs][:LABELS]
    if labels and all(f"pred_{label}" in names for label in labels):
        chosen = table[[f"pred_{label}" for label in labels]].to_numpy() > 0
        return [
            {
                "pred": [name for name, is_one in zip(labels, row, strict=True) if is_one],
                "prob": dict.fromkeys(labels, 0),
            }
            for row in chosen
        ]
    values = [name for name in names if name == "pred" or name.startswith("pred_")]
    if not values:
        return None
    first = table[values[0]].iloc[0]
    if values == ["pred"] and isinstance(first, str):
        return [{"pred": text} for text in table["pred"]]
    if not all(pd.api.types.is_numeric_dtype(table[name]) for name in values):
        return None
    numbers = table[values].to_numpy(dtype=np.float64).tolist()
    if values == ["pred"]:
        return [{"pred": row[0]} for row in numbers]
    return [{"pred": dict(zip([v.removeprefix("pred_") for v in values], row, strict=True))} for row in numbers]
