"""Graphs of networks that write: what they start with, and each next token; with a state, such as a KV cache."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_base.exporting.graph import Named, batch_of, dynamic, export
from lightning_base.preprocess.base import Preprocess
from lightning_base.runtime.decoding import NEW, STATE
from lightning_base.tasks.language_model import LanguageModel
from lightning_base.tasks.translation import Translation


class _Source(nn.Module):
    """Encoded inputs to the state before the first token."""

    def __init__(self, task: Translation, preprocess: Preprocess, named: Mapping[str, str]) -> None:
        super().__init__()
        self.task, self.preprocess, self.named = task, preprocess, dict(named)

    def forward(self, given: Named) -> Named:
        x = self.preprocess.apply(batch_of(self.named, given)).x
        network: Any = self.task.network
        if isinstance(x, dict):
            state = network.start(**{name: self.task.inputs(part) for name, part in x.items()})
        else:
            state = network.start(self.task.inputs(x))
        return states(state)


class _Prompt(nn.Module):
    """Tokens (B, T), the begin in front, to the logits (B, V) of what follows, and the state where there is one."""

    def __init__(self, network: Any, keeps: bool) -> None:
        super().__init__()
        self.network, self.keeps = network, keeps

    def forward(self, given: Named) -> Named:
        if self.keeps:
            logits, state = self.network.start(given["x"])
            return {"logits": logits, **states(state)}
        return {"logits": self.network(given["x"])[:, -1]}


class _Next(nn.Module):
    """The last tokens (B,) and a state to the logits (B, V) of what follows, and what has changed of the state."""

    def __init__(self, network: Any, changing: list[str], alone: bool) -> None:
        super().__init__()
        self.network, self.changing, self.alone = network, changing, alone

    def forward(self, given: Named) -> Named:
        kept: Any = {name.removeprefix(STATE): value for name, value in given.items() if name.startswith(STATE)}
        logits, state = self.network.next(given["tokens"], kept["all"] if self.alone else kept)
        found = states(state)
        return {"logits": logits, **{f"{NEW}{name}": found[name] for name in self.changing}}


def states(state: Any) -> Named:
    """A state's tensors by the graphs' names."""
    if isinstance(state, Tensor):
        return {f"{STATE}all": state}
    return {f"{STATE}{name}": value for name, value in state.items()}


def export_translation(
    task: Translation, preprocess: Preprocess, named: Mapping[str, str], given: Named, ragged: list[str], folder: Path
) -> dict[str, str]:
    """Writes start.onnx and next.onnx; the files by the graphs' names.

    Args:
        task: in evaluation mode.
        preprocess: fitted.
        named: by input what the graph calls it.
        given: an example of what the graph is given, B of 2 or more.
        ragged: inputs of any length.
        folder: of the export.
    """
    source = _Source(task, preprocess, named).eval()
    with torch.no_grad():
        state = source(given)
    export(source, given, dynamic(given, ragged), list(state), folder / "start.onnx")
    long = {name for name, value in state.items() if any(_grows(source, given, ragged, name, value))}
    _export_next(task.network, state, long, folder)
    return {"start": "start.onnx", "next": "next.onnx"}


def _grows(source: nn.Module, given: Named, ragged: list[str], name: str, value: Tensor) -> list[bool]:
    """Of a state's axes, which depend on how long inputs are."""
    longer = {
        key: torch.cat([part, part.new_zeros(part.shape[0], 3, *part.shape[2:])], dim=1) if key in ragged else part
        for key, part in given.items()
    }
    with torch.no_grad():
        other = source(longer)[name]
    return [a != b for a, b in zip(value.shape, other.shape, strict=True)]


def export_language_model(task: LanguageModel, folder: Path, example: Tensor) -> dict[str, str]:
    """Writes start.onnx, and next.onnx where the network keeps a state (`start` and `next`); the files by name.

    Args:
        task: in evaluation mode.
        folder: of the export.
        example: tokens (B, T), the begin in front, all of one length.
    """
    network: Any = task.network
    keeps = callable(getattr(network, "start", None)) and callable(getattr(network, "next", None))
    prompt, given = _Prompt(network, keeps).eval(), {"x": example}
    with torch.no_grad():
        found = prompt(given)
    export(prompt, given, dynamic(given, ["x"]), list(found), folder / "start.onnx")
    if not keeps:
        return {"start": "start.onnx"}
    state = {name: value for name, value in found.items() if name.startswith(STATE)}
    _export_next(network, state, set(state), folder)
    return {"start": "start.onnx", "next": "next.onnx"}


def _export_next(network: Any, state: Named, long: set[str], folder: Path) -> None:
    tokens = torch.full((len(next(iter(state.values()))),), 4, dtype=torch.int64)
    given, alone = {"tokens": tokens, **state}, list(state) == [f"{STATE}all"]
    every = _Next(network, list(state), alone).eval()
    with torch.no_grad():
        after = every(given)
    # what a step leaves as it is need not be copied out of the graph each time
    changing = [name for name in state if not _same(state[name], after[f"{NEW}{name}"])]
    step = _Next(network, changing, alone).eval()
    auto = torch.export.Dim.DYNAMIC
    axes: dict[str, dict[int, Any]] = {"tokens": {0: auto}}
    for name, value in state.items():
        # along which axis a state grows is not told: all but the batch's whose length is neither fixed by the network
        grown = after[f"{NEW}{name}"]
        moving = [i for i, (a, b) in enumerate(zip(value.shape, grown.shape, strict=True)) if i and a != b]
        axes[name] = {0: auto, **dict.fromkeys(moving or ([1] if name in long and value.ndim > 1 else []), auto)}
    outputs = ["logits", *(f"{NEW}{name}" for name in changing)]
    export(step, given, axes, outputs, folder / "next.onnx")


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and (one is other or torch.equal(one, other))
