"""Real samples as a user would give them: what was read, and where it can be, the JSON that reads as that."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from lightning_base.runtime.dialogue import DialogueReader
from lightning_base.runtime.errors import InputError
from lightning_base.runtime.files import ImageReader, Picture, SoundReader
from lightning_base.runtime.readers import ArrayReader, Reader, TextReader
from lightning_base.runtime.rows import RowReader
from lightning_base.samples.payload import gather
from lightning_base.samples.samples import Samples
from lightning_base.samples.several import Several


def raw_of(readers: Mapping[str, Reader], samples: Samples, row: int) -> dict[str, Any]:
    """By input what its reader gives of a sample.

    Args:
        readers: by input.
        samples: as they are read, not recoded.
        row: of the sample.
    """
    if not isinstance(samples.inputs, Several):
        (name,) = readers
        return {name: _raw(readers[name], samples, row)}
    return {name: _raw(reader, samples.part(name), row) for name, reader in readers.items()}


def _raw(reader: Reader, samples: Samples, row: int) -> Any:
    values, lengths = gather(samples.inputs, np.array([row]))
    one = np.asarray(values[0] if lengths is None else values[0][: int(lengths[0])])
    if isinstance(reader, RowReader):
        return _row(samples, one)
    if isinstance(reader, DialogueReader):
        return one.tobytes().decode("utf-8", "replace")
    if isinstance(reader, TextReader):
        if reader.token is None:
            return one.tobytes().decode("utf-8", "replace")
        words = samples.features[0].categories or ()
        return [words[code] for code in one]
    if isinstance(reader, ImageReader):
        return Picture(one, 255.0 if samples.white is None else samples.white, (one.shape[1], one.shape[2]))
    return one.astype(np.float32)[: reader.longest] if isinstance(reader, SoundReader) else one


def _row(samples: Samples, values: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for feature, value in zip(samples.features, values.tolist(), strict=True):
        missing = value != value
        if feature.categories is not None:
            found[feature.name] = None if missing else feature.categories[int(value)]
        else:
            found[feature.name] = None if missing else value
    return found


def json_of(readers: Mapping[str, Reader], raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON value that reads as this; None where there is none, as of images of more than 8 bits."""
    parts = {name: _json(reader, raw[name]) for name, reader in readers.items()}
    if any(part is None for part in parts.values()):
        return None
    alone = next(iter(readers)) if len(readers) == 1 else None
    given = parts[alone] if alone is not None and isinstance(readers[alone], RowReader) else parts
    for name, reader in readers.items():
        try:
            again = reader.read(given if given is parts[name] else given[name], name)
        except InputError:
            return None
        if not _same(again, raw[name]):
            return None
    return given


def _json(reader: Reader, raw: Any) -> Any:
    if isinstance(reader, RowReader):
        kinds = {column.name: column for column in reader.columns}
        return {
            name: _date(value, kinds[name].written) if kinds[name].kind == "date" and value is not None else value
            for name, value in raw.items()
            if name in kinds
        }
    if isinstance(reader, DialogueReader):
        return reader.turns_of(raw)
    if isinstance(reader, TextReader):
        return raw if isinstance(raw, str) else " ".join(raw)
    if isinstance(reader, ImageReader):
        return _picture(raw)
    if isinstance(reader, SoundReader):
        return _wave(reader, raw)
    return raw.tolist() if isinstance(reader, ArrayReader) else None


def _date(days: float, written: str) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
    form = written.removeprefix("date ")
    if form != "ISO8601":
        return moment.strftime(form)
    return moment.date().isoformat() if days == int(days) else moment.replace(tzinfo=None).isoformat()


def _picture(raw: Picture) -> str | None:
    if raw.pixels.dtype != np.uint8:
        return None
    image = Image.fromarray(raw.pixels[0] if len(raw.pixels) == 1 else raw.pixels.transpose(1, 2, 0))
    file = BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _wave(reader: SoundReader, raw: Any) -> str:
    file = BytesIO()
    fits = bool((raw == np.rint(raw)).all() and (abs(np.asarray(raw, np.float64)) <= 32767).all())
    subtype = "PCM_16" if fits else "FLOAT"
    soundfile.write(file, (raw / 32768).astype(np.float32), reader.rate, subtype=subtype, format="WAV")
    return base64.b64encode(file.getvalue()).decode()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Picture):
        return one.white == other.white and np.array_equal(one.pixels, other.pixels)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict):
        return all(one[name] == other[name] for name in one)
    return bool(one == other)
