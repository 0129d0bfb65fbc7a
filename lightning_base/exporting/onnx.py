"""A folder's graphs, preprocessing and kind of answers: all that answering needs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_base.errors import ConfigError
from lightning_base.exporting.answer import answer_of
from lightning_base.exporting.encoders import encoders_of
from lightning_base.exporting.examples import raw_of
from lightning_base.exporting.folder import write_plain
from lightning_base.exporting.graph import ONNX, Named, Whole, dynamic, export
from lightning_base.exporting.members import Member
from lightning_base.exporting.writing import export_language_model, export_translation
from lightning_base.runtime.files import ImageReader
from lightning_base.runtime.folder import read_json
from lightning_base.runtime.inputs import Encoded, Inputs
from lightning_base.runtime.kept import settings_of
from lightning_base.runtime.model import PREPROCESSING
from lightning_base.runtime.writing import WritingOptions
from lightning_base.samples.payload import Rows
from lightning_base.tasks.language_model import LanguageModel
from lightning_base.tasks.predictor import Predictor
from lightning_base.tasks.translation import Translation


def write_preprocessing(members: Sequence[Member], folder: Path) -> None:
    """Writes preprocessing.json: how inputs are read, and what each member's preprocessing does to them first."""
    first = members[0]
    readers = first.data.readers()
    every = [encoders_of(one.preprocess, readers, one.pool, folder, m) for m, one in enumerate(members)]
    shared = [name for name in readers if all(_equal(one[name], every[0][name], folder) for one in every)]
    for one in every[1:]:
        for name in shared:
            if (file := one.pop(name).get("file")) is not None:
                (folder / file).unlink()
    inputs = {name: settings_of(reader) for name, reader in readers.items()}
    write_plain(folder / PREPROCESSING, {"inputs": inputs, "members": every, "shared": shared})


def _equal(one: Mapping[str, Any], other: Mapping[str, Any], folder: Path) -> bool:
    """Whether two encoders do the same, tokenizers by what their files hold."""
    texts = [(folder / given["file"]).read_text(encoding="utf-8") if "file" in given else "" for given in (one, other)]
    return texts[0] == texts[1] and {**one, "file": ""} == {**other, "file": ""}


def read_inputs(folder: Path, answer: Mapping[str, Any]) -> Inputs:
    """What reads and encodes inputs, of a folder that is being written."""
    options = WritingOptions(answer) if answer["kind"] == "language_model" else None
    return Inputs.of(read_json(folder / PREPROCESSING), folder, options)


def answer_settings(member: Member, folder: Path) -> dict[str, Any]:
    """The kind of answers; a tokenizer of theirs is written into the folder."""
    reader = next((one for one in member.data.readers().values() if isinstance(one, ImageReader)), None)
    return answer_of(member.task, None if reader is None else reader.size, folder)


def items_of(member: Member, inputs: Inputs, rows: Rows) -> list[Encoded]:
    """Samples of the pool as a model takes them, by their ids where something is drawn."""
    found, ids = [], member.pool.table["id"]
    for row in rows.tolist():
        options = {} if inputs.options is None else inputs.options.take({"id": str(ids.iloc[row])})
        found.append(inputs.encoded(raw_of(inputs.readers, member.pool, row), options))
    return found


def tensors(feeds: Mapping[str, Any]) -> Named:
    """What a graph is fed, as tensors."""
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in feeds.items()}


def whole_of(members: Sequence[Member], inputs: Inputs) -> Whole:
    """The members as one module of what the graph is fed."""
    named = [{name: inputs.named(m, name) for name in inputs.readers} for m in range(len(members))]
    tasks = [one.task.eval() for one in members]
    return Whole(tasks, [one.preprocess for one in members], named).eval()


def write_graphs(
    members: Sequence[Member], inputs: Inputs, items: Sequence[Encoded], folder: Path, ending: str = ONNX
) -> dict[str, str]:
    """Writes the graphs; the files by the graphs' names.

    Args:
        members: of the ensemble, or the only one.
        inputs: what encodes what is asked.
        items: real samples, two at least, by which torch traces.
        folder: of the export.
        ending: of the files: .onnx, .pt2 or .aoti.pt2.

    Raises:
        ConfigError: for what no graph can be made of.
    """
    task = members[0].task
    if writes(task):
        if len(members) > 1:
            raise ConfigError(
                f"export: {type(task).__name__} writes texts, of which several folds' are not one graph; name one "
                "fold's folder, as runs/NAME/crossval/fold_0"
            )
        if isinstance(task, LanguageModel):
            example: Tensor = torch.full((2, 9), 4, dtype=torch.int64)
            example[:, 0] = 2
            return export_language_model(task, folder, example, ending)
        assert isinstance(task, Translation)
        given = tensors(inputs.feeds(items[:2]))
        named = {name: inputs.named(0, name) for name in inputs.readers}
        return export_translation(task, members[0].preprocess, named, given, inputs.ragged, folder, ending)
    whole = whole_of(members, inputs)
    given = tensors(inputs.feeds(_longest(items)))
    with torch.no_grad():
        outputs = list(whole(given))
    export(whole, given, dynamic(given, inputs.ragged), outputs, folder / f"model{ending}")
    return {"model": f"model{ending}"}


def _longest(items: Sequence[Encoded]) -> list[Encoded]:
    """Two items to trace with: lengths of 0 and 1 would be taken for fixed ones."""
    order = sorted(items, key=lambda item: sum(array.size for array in item.arrays.values()))
    return [order[-1], order[len(order) // 2]]


def writes(task: Predictor) -> bool:
    """Whether answers are texts that are written token by token."""
    return isinstance(task, LanguageModel | Translation)
