"""Models loaded from exported folders, and checked by the examples that are in them."""

from pathlib import Path
from typing import cast

from lightning_base.errors import ArtefactError, ConfigError, near_file
from lightning_base.runtime.answering import Answering
from lightning_base.runtime.errors import ExportError, InputError
from lightning_base.serving.described import examples

TOLERANCE = 1e-3  # of numbers in an example's answer: other processors round otherwise


def load(path: Path, threads: int | None = None) -> Answering:
    """An exported folder's model, which gives the answers that its examples expect.

    Args:
        path: the folder, or a link to it.
        threads: of one computation; by default what ONNX Runtime takes.

    Raises:
        ConfigError: for a folder that is not there.
        ArtefactError: for one that is no export, has been changed, or answers otherwise than it should.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "is not there"
        raise ConfigError(
            f"serve: {path} {what}; name a folder that `lightning-base export` has made{near_file(str(path))}"
        )
    from lightning_base.runtime.model import load as load_folder

    try:
        model = cast(Answering, load_folder(path.resolve(), threads=threads))
    except ExportError as error:
        raise ArtefactError(f"serve: {path}: {error}") from error
    check_examples(model)
    return model


def check_examples(model: Answering) -> None:
    """Demands that a model answers its examples as it did when it was exported.

    Raises:
        ArtefactError: where it does not.
    """
    for place, one in enumerate(examples(model)):
        try:
            (answer,) = model.run([model.read(one["input"])])
        except InputError as error:
            raise ArtefactError(f"serve: {model.folder}: its example {place} is refused: {error}") from error
        if "answer" in one and (where := difference(answer, one["answer"])):
            raise ArtefactError(
                f"serve: {model.folder}: its example {place} is not answered as when it was exported: {where} differs"
            )


def difference(found: object, expected: object, place: str = "answer") -> str:
    """Where two JSON values differ by more than rounding; "" where nowhere."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if found.keys() != expected.keys():
            return place
        return next(filter(None, (difference(found[key], expected[key], f"{place}.{key}") for key in expected)), "")
    if isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            return place
        pairs = enumerate(zip(found, expected, strict=True))
        return next(filter(None, (difference(a, b, f"{place}[{i}]") for i, (a, b) in pairs)), "")
    if isinstance(expected, float) and isinstance(found, int | float):
        return "" if abs(found - expected) <= TOLERANCE * max(1.0, abs(expected)) else place
    return "" if found == expected else place
