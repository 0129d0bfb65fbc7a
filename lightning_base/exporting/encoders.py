"""What a member's preprocessing applies before the graph, as JSON that `lightning_base.runtime.encoders` takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_base.errors import ConfigError
from lightning_base.preprocess import Several, Standardize, TablePreprocess, Tokenizer, Vocabulary
from lightning_base.preprocess.base import Preprocess
from lightning_base.preprocess.spectrogram import LogMel
from lightning_base.samples.payload import is_ragged
from lightning_base.samples.samples import Samples


def encoders_of(
    preprocess: Preprocess, names: Mapping[str, Any], samples: Samples, folder: Path, member: int
) -> dict[str, Any]:
    """By input the settings of what encodes it; tokenizers are written beside them.

    Args:
        preprocess: fitted.
        names: of the inputs.
        samples: of the pool.
        folder: of the export.
        member: its number.

    Raises:
        ConfigError: for preprocessing that recodes inputs in a way that nothing is known of.
    """
    if isinstance(preprocess, Several):
        return {
            name: _settings(part, samples.part(name), folder, f"{name}-{member}")
            for name, part in preprocess.parts.items()
        }
    (name,) = names
    return {name: _settings(preprocess, samples, folder, str(member))}


def _settings(preprocess: Preprocess, samples: Samples, folder: Path, mark: str) -> dict[str, Any]:
    if isinstance(preprocess, Standardize):
        shift = preprocess.shift.tolist() if preprocess.shift.any() else None
        return {"kind": "values", "shift": shift, "white": preprocess.white}
    if isinstance(preprocess, TablePreprocess):
        state = preprocess.state()
        shift = dict(zip(state["numbers"], state["shift"].tolist(), strict=True))
        kept = {key: state[key] for key in ("columns", "categories", "seen", "dates")}
        return {"kind": "cells", "shift": {name: value for name, value in shift.items() if value}, **kept}
    if isinstance(preprocess, LogMel):
        return {"kind": "wave", "longest": preprocess.longest, "fixed": preprocess.fixed}
    if isinstance(preprocess, Vocabulary):
        return {"kind": "words", "words": preprocess.words, "longest": preprocess.longest}
    if isinstance(preprocess, Tokenizer):
        return {"kind": "tokens", **write_tokenizer(preprocess, folder, mark), "places": preprocess.places}
    plain = preprocess.encoder(samples) is None and preprocess.recoded(samples) is samples
    if plain and not is_ragged(samples.inputs) and samples.inputs.dtype.kind in "uif":
        return {"kind": "values", "shift": None, "white": None}
    raise ConfigError(
        f"export: {type(preprocess).__name__} recodes inputs before the network takes them, and nothing says how "
        "without torch; leave its `encoder` and `recoded` as they are, and do it in `apply`, which is exported"
    )


def write_tokenizer(tokenizer: Tokenizer, folder: Path, mark: str) -> dict[str, Any]:
    """Writes the library's JSON; what `lightning_base.runtime.tokens.Tokens` needs beside it."""
    file = f"tokenizer-{mark}.json"
    (folder / file).write_text(tokenizer.state()["tokenizer"], encoding="utf-8")
    return {
        "file": file,
        "words": tokenizer.model == "words",
        "begin": tokenizer.begin,
        "end": tokenizer.end,
        "longest": tokenizer.longest,
        "keep": tokenizer.keep,
        "marks": tokenizer.marks,
    }
