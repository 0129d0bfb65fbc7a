"""The verb export: a run's checkpoints loaded, made graphs, checked, and written as a folder that stands alone."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
import torch

from lightning_base.errors import ConfigError, DataError
from lightning_base.exporting import card, check, expected, onnx
from lightning_base.exporting import folder as folders
from lightning_base.exporting.examples import json_of
from lightning_base.exporting.members import Member
from lightning_base.folds.search import tuned
from lightning_base.runtime.command import EXAMPLES
from lightning_base.runtime.errors import InputError
from lightning_base.runtime.model import load
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples
from lightning_base.splitters.split import WHOLE
from lightning_base.tasks.any_module import AnyModule
from lightning_base.tools.console import Level, console
from lightning_base.tools.files import write_text
from lightning_base.training import evaluate
from lightning_base.training.experiment import Experiment
from lightning_base.verbs.paths import demand_code_of_run, demand_fold_of_folder, members_of, read_stamp
from lightning_base.verbs.scoring import open_scored

Format: TypeAlias = Literal["onnx"]
Precision: TypeAlias = Literal["float32"]
WRITTEN = 8  # samples that are compared where texts are written token by token
MOST_EXAMPLE = 400_000  # bytes of examples.json's inputs together
SHOWN = 8  # examples, at most


@dataclass(frozen=True)
class Exported:
    """A folder that stands alone.

    Attributes:
        directory: where it stands.
        name, version: of the model; the version is a hash of what the folder holds.
        checked: how far its answers are from the run's own.
    """

    directory: Path
    name: str
    version: str
    checked: check.Check
    more: tuple[str, ...] = ()

    def __str__(self) -> str:
        one = self.checked
        files = [path.stat().st_size for path in self.directory.rglob("*") if path.is_file()]
        lines = [
            f"{self.name} {self.version}: {folders.readable(files)}",
            f"checked on {one.n} real samples: largest difference from the run {one.largest:.2g}, "
            f"{one.agreeing} of {one.n} with the same prediction; alone or among others {one.alone:.2g}",
            *self.more,
            f"results: {self.directory}",
        ]
        return "\n".join(lines)

    def load(self) -> Any:
        """The model that answers: `read`, `run`."""
        return load(self.directory)


def export(
    experiment: Experiment, path: Path | None, out: Path | None = None, n: int = 100, overwrite: bool = False
) -> Exported:
    """Exports a run.

    Args:
        experiment: the configuration that it was trained with.
        path: a checkpoint, or the directory of a fit or a cross-validation.
        out: the folder to write; by default `export` beside the run's directory.
        n: how many real samples are compared.
        overwrite: replace an exported folder that is there.

    Raises:
        UserError: where the path names none, no graph can be made, or it does not answer as the run does.
    """
    paths, home = members_of(path, "export")
    demand_code_of_run(experiment, home, "predict")
    out = out or (home.parent / "export" if home.name in ("crossval", "fit") else home / "export")
    with ExitStack() as held, torch.no_grad():
        folder = held.enter_context(folders.placed(out, overwrite))
        members, folds = opened(experiment, paths, n)
        first = members[0]
        onnx.write_preprocessing(members, folder)
        answer = onnx.answer_settings(first, folder)
        inputs = onnx.read_inputs(folder, answer)
        rows, ids = sampled(first.pool, n, onnx.writes(answer)), first.predictions.samples.table["id"].tolist()
        items = items_read(first, inputs, rows, ids)
        graphs = onnx.write_graphs(members, inputs, items, folder)
        manifest = folders.begun(experiment.name, answer, graphs, "float32")
        pool = first.pool
        manifest["source"] = {
            "folds": ["all" if fold == WHOLE else fold for fold in folds],
            "data": pool.fingerprint,
            "split": first.data.folds.hash,
            "samples": len(pool),
            "network": type(first.task.network).__name__,
        }
        folders.write_runtime(folder, inputs.kinds)
        wanted = expected.expected_answers(members, answer, items)
        folders.write_plain(folder / EXAMPLES, [])
        model = load_written(folder, manifest)
        done = check.compare(model, items, wanted)
        check.demand_equal(done, precise=True)
        manifest["checks"] = done.as_json()
        folders.write_plain(folder / EXAMPLES, examples(inputs, model, items))
        folders.write_plain(folder / "schema.json", {"input": model.schema, "answer": model.answer_schema})
        write_text(
            folder / "card.md", card.card(first, home, manifest | {"version": "see manifest.json"}, inputs.kinds, folds)
        )
        whole = folders.sealed(folder, manifest)
    found = Exported(out, whole["name"], whole["version"], done)
    console(Level.QUIET).print(str(found), soft_wrap=True)
    return found


def load_written(folder: Path, manifest: dict[str, Any]) -> Any:
    """The model of a folder that is being written."""
    from lightning_base.runtime.model import Model

    return Model(folder, manifest)


def sampled(pool: Samples, n: int, writes: bool) -> Rows:
    """(n,) rows of the pool that an export is held against, evenly spread."""
    n = min(WRITTEN if writes else n, len(pool))
    if n < 2:
        raise ConfigError(f"export: {n} samples to compare by; give --samples 2 or more, of a pool that has as many")
    return np.unique(np.linspace(0, len(pool) - 1, n).round().astype(np.int64))


def items_read(member: Member, inputs: Any, rows: Rows, ids: Sequence[str]) -> Any:
    """The samples as the model takes them.

    Raises:
        DataError: for one that it would not take.
    """
    try:
        return onnx.items_of(member, inputs, rows.tolist(), ids)
    except InputError as error:
        raise DataError(f"{member.pool.origin}: {error}") from error


def opened(experiment: Experiment, paths: Sequence[Path], n: int) -> tuple[list[Member], list[int]]:
    """The checkpoints loaded, each with its predictions of the samples to compare, and the folds that they are of."""
    members, folds = list[Member](), list[int]()
    for path in paths:
        home, fold = path.parent.parent, read_stamp(path).get("fold", 0)
        if len(paths) > 1:
            demand_fold_of_folder(path, fold)
        run = open_scored(tuned(experiment, home), fold, home, path, "predict")
        task, data = run.model, run.datamodule
        if isinstance(task, AnyModule):
            raise ConfigError(
                "export: a LightningModule of somebody else's says not what it is asked and answers; export its "
                "network as it comes with --format safetensors, or write it as a task (docs/how-to/a-new-task.md)"
            )
        pool = data.samples("pool")
        rows = sampled(pool, n, type(task).__name__ in ("LanguageModel", "Translation"))
        data.pool.give(unlabelled(pool, rows))
        found = evaluate.predict(run, "predict", path)
        held = data.rows("val") if fold != WHOLE else np.zeros(0, dtype=np.int64)
        members.append(Member(task, data, found, held))
        folds.append(fold)
    return members, folds


def unlabelled(pool: Samples, rows: Rows) -> Samples:
    """Samples as they come to be predicted: ids and inputs."""
    some = pool.take(rows)
    return replace(some, table=pd.DataFrame({"id": some.table["id"]}), targets=None)


def examples(inputs: Any, model: Any, items: Sequence[Any]) -> list[dict[str, Any]]:
    """Some of the samples as JSON, with what the exported model answers."""
    found, room = list[dict[str, Any]](), MOST_EXAMPLE
    for item in items:
        given = json_of(inputs.readers, item.raw)
        size = 0 if given is None else len(str(given))
        if given is None or size > room or len(found) == SHOWN:
            continue
        if item.options.get("id") is not None:
            given = given | {"id": item.options["id"]}
        room -= size
        found.append({"input": given, "answer": model.run([model.read(given)])[0]})
    return found


def demand_choice(value: str, kind: Any, key: str) -> None:
    """Refuses what is none of the choices."""
    if value not in get_args(kind):
        raise ConfigError(f"{key}: {value!r}; one of {', '.join(get_args(kind))}")
