"""What no reader of predictions and scores may miss: categories not seen in training, earlier reads of test samples."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_base.data.pool import Role
from lightning_base.preprocess.base import Preprocess, Unseen
from lightning_base.preprocess.table import shown
from lightning_base.results.sealed_reads import reads_of, records_beside
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.asked import python_words
from lightning_base.tools.console import Level, console, level, warn
from lightning_base.training import evaluate
from lightning_base.training.resume import SETTINGS
from lightning_base.training.run import Run
from lightning_base.verbs.results import Scored


def say(text: str) -> None:
    """Prints a line that no reader of the numbers may miss; a warning where nothing is printed."""
    if level() == Level.SILENT:
        warn(python_words(text.removeprefix("warning: ")))
    else:
        console(Level.QUIET).print(text)


def tell_unseen(fitted: Sequence[Preprocess], samples: Samples, rows: Rows) -> None:
    """Says, by column, in how many samples a category stands that training has not seen, and which are empty.

    Args:
        fitted: by one fold or several, of which the greatest number is said.
        samples: the source that is predicted.
        rows: (N,) its samples.
    """
    unseen: dict[str, Unseen] = {}
    for preprocess in fitted:
        told = preprocess.unseen(samples, rows, refuse=False)
        unseen |= {name: one for name, one in told.items() if name not in unseen or one.count > unseen[name].count}
    for name, one in unseen.items():
        say(
            f"warning: column {name!r}: {one.count} of {len(rows)} samples have {one.what} not seen in "
            f"training ({shown(one.names)}): {one.effect}"
            if one.names
            else f"warning: column {name!r} has no value in any of the {len(rows)} samples: each is predicted with "
            "what fills training's gaps"
        )


def unchecked(run: Run, stamp: Mapping[str, Any], role: Role) -> list[str]:
    """What could not be compared with a checkpoint's training, since an earlier version wrote it.

    Args:
        run: that has loaded it.
        stamp: what it tells of its run.
        role: of the samples that it predicts.
    """
    found = [] if SETTINGS in stamp else ["the settings of its network and its data are"]
    data = run.datamodule
    if role == "test" and data.seals and data.trained_on is not None and data.trained_on.sealed is None:
        found.append("the content of the sealed test samples is")
    return found


def tell_unchecked(what: Sequence[str]) -> None:
    """Says what an earlier version's checkpoint does not tell."""
    for one in what:
        say(f"an earlier version wrote the checkpoint: whether {one} as in training is not told, and not checked")


def tell_of_others(record: Path, fingerprint: str) -> None:
    """Says how often other runs have read the same test samples, by the records beside a run's own.

    Args:
        record: the run's test.json.
        fingerprint: of the test samples.
    """
    homes = [folder.parent for folder in record.absolute().parents if folder.name in ("crossval", "fit")]
    root = Path(os.path.relpath(homes[0])) if homes else None
    found = records_beside(root, with_own=True) if root is not None else []
    others = reads_of(fingerprint, [path for path in found if path.absolute() != record.absolute()])
    if others.times:
        say(
            f"other runs have read the same test samples {others}: where a run is chosen by its test score, that score "
            "says too much; choose by held-out scores, and report the test score of the one chosen"
        )
    if others.unread:
        say(f"{len(others.unread)} records of other runs cannot be read, first {others.unread[0]}")


def as_json(found: Scored, task: BaseModule, predictions: evaluate.Predictions) -> dict[str, dict[str, Any]]:
    """By metric its value, interval, and what it is beside the trivial model; for tasks without such a bootstrap's."""
    drawn = {} if any(one.pooled for one in found.estimates.values()) else evaluate.drawn_intervals(task, predictions)
    content: dict[str, dict[str, Any]] = {}
    for name, one in found.estimates.items():
        content[name] = {"value": one.score, "ci95": list(one.ci95), "interval": one.interval, "target": one.target}
        if one.trivial is not None:
            gained = {"gain": one.gain, "ci95_gain": one.ci95_gain and list(one.ci95_gain), "better": one.better}
            content[name] |= {"trivial": one.trivial, **gained}
        if name in drawn:
            content[name]["ci95_bootstrap"] = list(drawn[name])
    return content
