"""What a task's predictions become in an answer, as JSON that `lightning_base.runtime.answers` takes."""

from pathlib import Path
from typing import Any

from lightning_base.errors import ConfigError
from lightning_base.exporting.encoders import write_tokenizer
from lightning_base.tasks import (
    Classification,
    Detection,
    LanguageModel,
    MultiLabel,
    Quantiles,
    Regression,
    Translation,
)
from lightning_base.tasks.any_module import AnyModule
from lightning_base.tasks.binary import Binary
from lightning_base.tasks.classification import named
from lightning_base.tasks.predictor import Predictor


def answer_of(task: Predictor, size: tuple[int, int] | None, folder: Path) -> dict[str, Any]:
    """The kind of the answers, and what they need.

    Args:
        task: as it was trained.
        size: of detection, height and width of the images that the network takes.
        folder: of the export, into which a tokenizer of answers is written.

    Raises:
        ConfigError: for a task that writes token numbers, and not texts.
    """
    if isinstance(task, AnyModule) and task.scored_like is not None:
        return answer_of(task.scored_like, size, folder)
    if isinstance(task, Classification):
        found: dict[str, Any] = {"kind": "classification", "classes": named(task.classes).tolist()}
        if isinstance(task, Binary):
            found = {"kind": "binary", "classes": list(task.classes), "positive": task.place}
        return found
    if isinstance(task, MultiLabel):
        return {"kind": "multi_label", "labels": list(task.labels), "threshold": task.threshold}
    if isinstance(task, Quantiles):
        return {"kind": "quantiles", "names": [f"{level:g}" for level in task.levels]}
    if isinstance(task, Regression):
        return {"kind": "regression", "names": list(task.names)}
    if isinstance(task, Detection):
        return {"kind": "detection", "classes": list(task.classes), "size": list(size or ())}
    if isinstance(task, LanguageModel | Translation) and task.tokenizer is None:
        raise ConfigError("export: the data has token numbers and no tokenizer, so that no text can be asked or told")
    if isinstance(task, Translation):
        assert task.tokenizer is not None
        return {
            "kind": "translation",
            "beam": task.beam,
            "length_penalty": task.length_penalty,
            "longest": task.longest,
            "tokenizer": write_tokenizer(task.tokenizer, folder, "answers"),
        }
    if isinstance(task, LanguageModel):
        return {
            "kind": "language_model",
            "new": task.new,
            "temperature": task.temperature,
            "top_k": task.top_k,
            "draw_seed": task.draw_seed,
            "context": getattr(task.network, "context", None),
        }
    return {"kind": "other"}
