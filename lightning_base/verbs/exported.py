"""The verb export: a run's checkpoints loaded, made graphs, checked, and written as a folder that stands alone."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
import torch

from lightning_base.data.any_dataset import AnyDataset
from lightning_base.errors import ConfigError, DataError
from lightning_base.exporting import card, check, expected, loss, onnx
from lightning_base.exporting import folder as folders
from lightning_base.exporting.examples import json_of
from lightning_base.exporting.graph import ONNX
from lightning_base.exporting.members import Member
from lightning_base.exporting.precision import Precision, reduce
from lightning_base.exporting.reference import reference_of
from lightning_base.exporting.weights import write_weights
from lightning_base.folds.search import tuned
from lightning_base.runtime.command import EXAMPLES
from lightning_base.runtime.drift import REFERENCE
from lightning_base.runtime.errors import InputError
from lightning_base.runtime.folder import MANIFEST
from lightning_base.runtime.inputs import Encoded, Inputs
from lightning_base.runtime.model import Model, load
from lightning_base.runtime.program import COMPILED
from lightning_base.samples.payload import Rows, spread
from lightning_base.samples.samples import Samples
from lightning_base.splitters.split import WHOLE
from lightning_base.tools.console import Level, console
from lightning_base.tools.files import write_text
from lightning_base.training import evaluate
from lightning_base.training.experiment import Experiment
from lightning_base.verbs.paths import demand_code_of_run, demand_fold_of_folder, members_of, read_stamp
from lightning_base.verbs.scoring import open_scored

Format: TypeAlias = Literal["onnx", "torch", "compiled", "safetensors"]
ENDINGS = {"onnx": ONNX, "torch": ".pt2", "compiled": COMPILED}
WRITTEN = 8  # samples that are compared where texts are written token by token
MOST_EXAMPLE = 400_000  # bytes of examples.json's inputs together
SHOWN = 8  # examples, at most


@dataclass(frozen=True)
class Exported:
    """A folder that stands alone.

    Attributes:
        directory: where it stands.
        name, version: of the model; the version is a hash of what the folder holds.
        checked: how far its answers are from the run's own; None of weights alone.
        more: what is said beside.
    """

    directory: Path
    name: str
    version: str
    checked: check.Check | None
    more: tuple[str, ...] = ()

    def __str__(self) -> str:
        one = self.checked
        files = [path.stat().st_size for path in self.directory.rglob("*") if path.is_file()]
        told = (
            []
            if one is None
            else [
                f"checked on {one.n} real samples: largest difference from the run {one.largest:.2g}, "
                f"{one.agreeing} of {one.n} with the same prediction; alone or among others {one.alone:.2g}"
            ]
        )
        head = f"{self.name} {self.version}: {folders.readable(files)}"
        lines = [head, *told, *self.more, f"results: {self.directory}"]
        return "\n".join(lines)

    def load(self) -> Any:
        """The model that answers: `read`, `run`."""
        return load(self.directory)


def export(
    experiment: Experiment,
    path: Path | None,
    out: Path | None = None,
    n: int = 100,
    overwrite: bool = False,
    precision: Precision = "float32",
    format: Format = "onnx",
) -> Exported:
    """Exports a run.

    Args:
        experiment: the configuration that it was trained with.
        path: a checkpoint, or the directory of a fit or a cross-validation.
        out: the folder to write; by default `export` beside the run's directory.
        n: how many real samples are compared.
        overwrite: replace an exported folder that is there.
        precision: of the graph; what a lower one costs is measured on held-out samples.
        format: "onnx"; "torch", a program of torch.export; "compiled", one that AOTInductor has compiled for this kind
            of machine; "safetensors", the weights alone.

    Raises:
        UserError: where the path names none, no graph can be made, or it does not answer as the run does.
    """
    paths, home = members_of(path, "export")
    demand_code_of_run(experiment, home, "predict")
    out = out or (home.parent / "export" if home.name in ("crossval", "fit") else home / "export")
    with ExitStack() as held, torch.no_grad():
        folder = held.enter_context(folders.placed(out, overwrite))
        members, folds = opened(experiment, paths, n, format != "safetensors")
        made = Made(experiment.name, home, folder, members, folds)
        if format == "safetensors":
            done, more = None, with_weights(made)
        else:
            done, more = with_graphs(made, n, precision, ENDINGS[format])
        experiment.save(folder / "config.yaml")
        whole = folders.sealed(folder, made.manifest)
    found = Exported(out, whole["name"], whole["version"], done, more)
    console(Level.QUIET).print(str(found), soft_wrap=True)
    return found


@dataclass
class Made:
    """An export that is being made.

    Attributes:
        name: of the experiment.
        home: the run's directory.
        folder: that is written.
        members: of the model.
        folds: that they were trained as.
        manifest: as far as it is known.
    """

    name: str
    home: Path
    folder: Path
    members: Sequence[Member]
    folds: Sequence[int]
    manifest: dict[str, Any] = field(default_factory=dict)

    def begin(self, answer: dict[str, Any], graphs: dict[str, str], precision: str) -> None:
        """Takes what is known before anything is checked."""
        first = self.members[0]
        self.manifest = folders.begun(self.name, answer, graphs, precision)
        self.manifest["source"] = {
            "folds": ["all" if fold == WHOLE else fold for fold in self.folds],
            "data": first.pool.fingerprint,
            "split": first.data.folds.hash,
            "samples": len(first.pool),
            "network": type(first.task.network).__name__,
        }

    def write_card(self, kinds: Mapping[str, str]) -> None:
        """Writes card.md."""
        told = self.manifest | {"version": "see manifest.json"}
        write_text(self.folder / "card.md", card.card(self.members[0], self.home, told, kinds, self.folds))


def with_weights(made: Made) -> tuple[str, ...]:
    """Writes the weights, the preprocessing and the card; what is to be said."""
    first = made.members[0]
    answer: dict[str, Any] = {"kind": "other"}
    kinds = dict[str, str]()
    try:
        onnx.write_preprocessing(made.members, made.folder)
        answer = onnx.answer_settings(first, made.folder)
        kinds = onnx.read_inputs(made.folder, answer).kinds
    except ConfigError as error:  # weights need no reader
        console().print(f"! {error}")
    made.begin(answer, {}, "float32")
    made.manifest["weights"] = write_weights(made.members, made.folds, made.folder)
    made.manifest["checks"] = None
    made.write_card(kinds)
    return ("weights alone: nothing here answers; `model.init_from` and other code take them",)


def with_graphs(made: Made, n: int, precision: Precision, ending: str) -> tuple[check.Check, tuple[str, ...]]:
    """Writes all that answering needs, and holds it against the run; how far they are apart, and what is to be said."""
    folder, members, first = made.folder, made.members, made.members[0]
    onnx.write_preprocessing(members, folder)
    answer = onnx.answer_settings(first, folder)
    if precision != "float32" and onnx.writes(first.task):
        raise ConfigError(f"export: what {precision} costs is not measured of texts; leave --precision out")
    inputs = onnx.read_inputs(folder, answer)
    items = items_read(first, inputs, sampled(first.pool, n, onnx.writes(first.task)))
    made.begin(answer, onnx.write_graphs(members, inputs, items, folder, ending), precision)
    folders.write_runtime(folder, inputs.kinds, ending)
    wanted = expected.expected_answers(members, answer, items)
    model = Model(folder, made.manifest)
    done = check.compare(model, items, wanted)
    check.demand_equal(done, precise=True)
    more: tuple[str, ...] = ()
    if precision != "float32":
        lost = loss.measured(members, precision, folder)
        fed = loss.calibrating(first, inputs, model.graphs["model"]) if precision == "int8-static" else []
        reduce(folder / "model.onnx", precision, fed)
        model = Model(folder, made.manifest)
        done, made.manifest["loss"], more = check.compare(model, items, wanted), lost.as_json(), (str(lost),)
    made.manifest["checks"] = done.as_json()
    folders.write_plain(folder / EXAMPLES, examples(inputs, model, items))
    held_against = reference_of(first.task, first.data, made.folds, made.home, inputs.readers)
    if held_against is not None:
        folders.write_plain(folder / REFERENCE, held_against.written())
    folders.write_plain(folder / "schema.json", {"input": model.schema, "answer": model.answer_schema})
    made.write_card(inputs.kinds)
    return done, more


def sampled(pool: Samples, n: int, writes: bool) -> Rows:
    """(n,) rows of the pool that an export is held against, evenly spread."""
    n = min(WRITTEN if writes else n, len(pool))
    if n < 2:
        raise ConfigError(f"export: {n} samples to compare by; give --samples 2 or more, of a pool that has as many")
    return spread(np.arange(len(pool)), n)


def items_read(member: Member, inputs: Inputs, rows: Rows) -> list[Encoded]:
    """The samples as the model takes them.

    Raises:
        DataError: for one that it would not take.
    """
    try:
        return onnx.items_of(member, inputs, rows)
    except InputError as error:
        raise DataError(f"{member.pool.origin}: {error}") from error


def opened(experiment: Experiment, paths: Sequence[Path], n: int, asked: bool) -> tuple[list[Member], list[int]]:
    """The checkpoints loaded, each with its predictions of the samples to compare, and the folds that they are of."""
    members, folds = list[Member](), list[int]()
    for path in paths:
        home, fold = path.parent.parent, read_stamp(path).get("fold", 0)
        if len(paths) > 1:
            demand_fold_of_folder(path, fold)
        run = open_scored(tuned(experiment, home), fold, home, path, "predict")
        task, data = run.model, run.datamodule
        if asked and isinstance(data, AnyDataset):
            raise ConfigError(
                "export: items of a Dataset of your own are read by your code, and nothing says what one is made of; "
                "export the weights with --format safetensors, or write it as a data module with `readers`"
            )
        pool = data.samples("pool")
        rows = sampled(pool, n, onnx.writes(task))
        held_out = isinstance(data, AnyDataset) and fold != WHOLE  # whose items are read by code of their own
        if not held_out:
            data.pool.give(unlabelled(pool, rows))
        found = evaluate.predict(run, "val" if held_out else "predict", path)
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


def demand_possible(precision: str, format: str, samples: object) -> None:
    """Refuses settings that are none, or do not go together.

    Raises:
        ConfigError: naming the setting.
    """
    demand_choice(precision, Precision, "precision")
    demand_choice(format, Format, "format")
    if precision != "float32" and format != "onnx":
        raise ConfigError(f"precision: {precision} is of format onnx alone; leave one of them out")
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 2:
        raise ConfigError(f"samples: {samples!r} is no number of 2 or more")


def demand_a_run(run: object) -> None:
    """Refuses an exported folder in a run's place.

    Raises:
        ConfigError: naming it.
    """
    if isinstance(run, str | Path) and (Path(run) / MANIFEST).is_file():
        raise ConfigError(f"export: {run} is an exported folder; name the run that it was made of")


def demand_choice(value: str, kind: Any, key: str) -> None:
    """Refuses what is none of the choices."""
    if value not in get_args(kind):
        raise ConfigError(f"{key}: {value!r}; one of {', '.join(get_args(kind))}")
