"""Graphs: fitted preprocessing, networks and what combines them as one nn.Module of tensors by name, and as ONNX."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_base.errors import ConfigError, one_line
from lightning_base.preprocess.base import Preprocess
from lightning_base.runtime.program import COMPILED, NAMES
from lightning_base.runtime.recurrent import translation, with_operators
from lightning_base.samples.batch import Batch
from lightning_base.samples.nested import Nested, stacked
from lightning_base.tasks.any_module import AnyModule
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.detection import Detection

Named = dict[str, Tensor]
LENGTHS = "_lengths"
ONNX = ".onnx"


class Whole(nn.Module):
    """What is asked and what is answered: encoded inputs by the graph's names, to predictions by name.

    Args:
        tasks: of the members.
        preprocesses: of the members, fitted.
        inputs: of each member by input what the graph calls it.
    """

    def __init__(
        self, tasks: Sequence[BaseModule], preprocesses: Sequence[Preprocess], inputs: Sequence[Mapping[str, str]]
    ) -> None:
        super().__init__()
        self.tasks = nn.ModuleList(tasks)
        self.preprocesses, self.inputs = list(preprocesses), [dict(one) for one in inputs]

    def forward(self, given: Named) -> Named:
        """Predictions (B, ...) by name; of detectors those of each (B, M, k, 6)."""
        members = [
            predicted(task, preprocess, named, given)
            for task, preprocess, named in zip(self.tasks, self.preprocesses, self.inputs, strict=True)
        ]
        if len(members) == 1:
            return by_name(members[0])
        if isinstance(self.tasks[0], Detection):  # boxes are joined outside of the graph
            return {"pred": torch.stack(members, dim=1)}
        return by_name(self.tasks[0].combine(stacked(members)))  # type: ignore[operator]


def predicted(task: Any, preprocess: Preprocess, named: Mapping[str, str], given: Named) -> Nested:
    """A member's predictions of what the graph is given."""
    batch = preprocess.apply(batch_of(named, given))
    if isinstance(task, AnyModule):  # is given pairs, as in training
        batch = batch._replace(x=(batch.x, None), lengths=None)
    return task.predictions(batch)


def batch_of(named: Mapping[str, str], given: Named) -> Batch:
    """The batch before preprocessing."""
    first = given[next(iter(named.values()))]
    rows = torch.arange(first.shape[0])
    if len(named) == 1:
        (name,) = named.values()
        beside = [key for key in given if key.startswith(f"{name}_") and not key.endswith(LENGTHS)]
        if not beside:
            return Batch(x=given[name], y=None, rows=rows, lengths=given.get(f"{name}{LENGTHS}"))
    x, lengths = dict[str, Tensor](), dict[str, Tensor]()
    for own, name in named.items():
        for key, value in given.items():
            if key == name or (key.startswith(f"{name}_") and key[len(name) :] in ("_places", "_text")):
                x[own + key[len(name) :]] = value
        if f"{name}{LENGTHS}" in given:
            lengths[own] = given[f"{name}{LENGTHS}"]
    return Batch(x=x, y=None, rows=rows, lengths=lengths or None)


def by_name(preds: Nested) -> Named:
    """Predictions by name: `pred` of one tensor.

    Raises:
        ConfigError: for sequences and others that no graph gives.
    """
    if isinstance(preds, Tensor):
        return {"pred": preds}
    if isinstance(preds, dict) and all(isinstance(value, Tensor) for value in preds.values()):
        return dict(preds)
    kind = type(preds).__name__
    raise ConfigError(f"export: the task predicts {kind}, which no graph gives; export it with --format safetensors")


def dynamic(given: Named, ragged: Sequence[str]) -> dict[str, dict[int, Any]]:
    """Which axes of the graph's inputs are of any length: the batch, and along axis 1 what is ragged and not fixed."""
    auto = torch.export.Dim.DYNAMIC
    return {name: {0: auto, **({1: auto} if name in ragged else {})} for name in given}


def export(module: nn.Module, given: Named, axes: Mapping[str, Any], outputs: Sequence[str], path: Path) -> None:
    """Writes a module of named tensors as an ONNX graph, or a program of torch's where the path ends in .pt2.

    Args:
        module: takes the dictionary, and gives one.
        given: an example.
        axes: by input which axes are of any length.
        outputs: the names of what it gives, in order.
        path: of the file.

    Raises:
        ConfigError: where torch cannot trace it, with what it says.
    """
    flat = _Flat(module, list(given), list(outputs)).eval()
    with hushed(), contextlib.ExitStack() as held:
        try:
            held.callback(with_operators(flat))
            if path.suffix == ".pt2":
                _program(flat, given, axes, path)
                return
            program = torch.onnx.export(
                flat,
                tuple(given.values()),
                input_names=list(given),
                output_names=list(outputs),
                dynamic_shapes=(tuple(axes[name] for name in given),),
                dynamo=True,
                custom_translation_table=translation(),
                optimize=True,
                verbose=False,
            )
            assert program is not None
            program.save(str(path))
        except Exception as error:  # torch's exporter raises a dozen kinds, on what a network does
            raise ConfigError(
                f"export: {_networks(module)} cannot be made a graph ({one_line(error)[:400]}); export it with "
                "--format safetensors, which needs this package to answer"
            ) from error


def _program(flat: "_Flat", given: Named, axes: Mapping[str, Any], path: Path) -> None:
    shapes = (tuple(axes[name] for name in given),)
    program = torch.export.export(flat, tuple(given.values()), dynamic_shapes=shapes)
    if path.name.endswith(COMPILED):
        torch._inductor.aoti_compile_and_package(program, package_path=str(path))
    else:
        torch.export.save(program, str(path))
    names = {"inputs": list(given), "outputs": flat.outputs}
    path.with_name(path.name + NAMES).write_text(json.dumps(names), encoding="utf-8")


class _Flat(nn.Module):
    """A module of named tensors as one of tensors in order, as exporters take it."""

    def __init__(self, module: nn.Module, inputs: list[str], outputs: list[str]) -> None:
        super().__init__()
        self.module, self.names, self.outputs = module, inputs, outputs

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The outputs in order."""
        found = self.module(dict(zip(self.names, given, strict=True)))
        return tuple(found[name] for name in self.outputs)


def _networks(module: nn.Module) -> str:
    tasks = getattr(module, "tasks", [module])
    return type(getattr(tasks[0], "network", tasks[0])).__name__


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keeps what torch's exporter says of itself off the screen; what it raises is told."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
