"""Sound: folders of PCM WAV files, decoded once into one memory-mapped array."""

import re
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import resample_poly

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import ConfigError, DataError, NoSourceError, one_line
from lightning_base.preprocess import Preprocess
from lightning_base.preprocess.spectrogram import LogMel
from lightning_base.samples.payload import Ragged, hash_payload
from lightning_base.sources.listing import list_files
from lightning_base.tools.cache import kept_folder

VERSION = 1  # of what is packed


@dataclass(kw_only=True, eq=False)
class Sound(BaseDataModule):
    """Sounds of WAV files as log-mel spectrograms (B, 1, mels, frames) float32.

    Files are PCM of 8, 16, 24 or 32 bits; channels are averaged. Decoded sounds are kept as int16 in the cache folder
    for as long as the files' names, sizes and times and the sample rate are the same. A file of another sample rate is
    resampled, and a finding. Files that cannot be read are findings and no samples.

    Args:
        root: the folder; where it has folders `train` and `test`, these are the pool and the sealed test sounds.
        pattern: of a path below the root, such as "{target}_{group}_{take}.wav": `target` names the class, `group` what
            must stay on one side of a split, other names are free; a name takes no "/". By default the first folder is
            the class.
        class_names: the classes in the order of their numbers; by default those found, in alphabetical order.
        predict: a folder of sounds that `predict` reads.
        sample_rate: samples per second.
        seconds: sounds are cut after, and padded to, so many.
        mels: number of mel filters.
        window: of a frame, in seconds.
        hop: from one frame to the next, in seconds.

    Raises:
        UserError: for a folder that is not there or has no sounds, a pattern that is none, or a name it does not fit.
    """

    root: str
    pattern: str | None = None
    class_names: list[str] | None = None
    predict: str | None = None
    sample_rate: int = 16_000
    seconds: float = 1.0
    mels: int = 40
    window: float = 0.025
    hop: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self._pattern = None if self.pattern is None else compile_pattern(self.pattern)

    def make_preprocess(self) -> Preprocess:
        """Mel spectrograms, standardised."""
        return LogMel(self.sample_rate, self.seconds, self.mels, self.window, self.hop)

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        root = Path(self.root)
        return str(root / "test") if (root / "train").is_dir() and (root / "test").is_dir() else None

    def dataset(self, source: Source) -> Samples:
        """The sounds of a source: Ragged int16 waves of one sample rate."""
        if source == "predict":
            if self.predict is None:
                raise NoSourceError("data.predict: not given; name a folder of sounds")
            return self._folder(Path(self.predict), "data.predict", source)
        root = Path(self.root)
        if not root.is_dir():
            raise ConfigError(f"data.root: no folder {root}; unpack the sounds there, or name their folder")
        if (root / "train").is_dir():
            if source == "pool":
                return self._folder(root / "train", "data.root", source)
            if (root / "test").is_dir():
                return self._folder(root / "test", "data.root", source)
        if source == "test":
            raise NoSourceError(f"{root} has no test sounds; seal a share with data.test_size, e.g. 0.2")
        return self._folder(root, "data.root", source)

    def _folder(self, root: Path, key: str, source: Source) -> Samples:
        """The sounds below a folder, with classes unless they are to be predicted; `key` begins messages."""
        if not root.is_dir():
            raise DataError(f"{key}: no folder {root}; mend the path")
        files, findings = list_files(root, (".wav",))
        if files.empty:
            raise DataError(f"{key}: {root} has no .wav files")
        values, rows = packed(root, files, self.sample_rate)
        good = rows[rows["error"] == ""]
        if good.empty:
            first = rows.iloc[0]
            raise DataError(f"{root / first['name']}: {first['error']}, as are all files; give PCM WAV files")
        bad, other = rows[rows["error"] != ""], good[good["rate"] != self.sample_rate]
        notes = [f"{rate} Hz where data.sample_rate is {self.sample_rate}" for rate in other["rate"]]
        found = [findings, _found(bad["name"], "unreadable", bad["error"]), _found(other["name"], "rate", notes)]
        table = pd.DataFrame({"id": good["name"].to_numpy()})
        classes: tuple[str, ...] = ()
        if source != "predict":
            names = self._names(root, list(table["id"]))
            targets = [name["target"] for name in names]
            classes = self.classes if source == "test" else tuple(self.class_names or sorted(set(targets)))
            table["target"] = pd.Index(classes, dtype=object).get_indexer(pd.Index(targets, dtype=object))
            if self._pattern is not None and "group" in self._pattern.groupindex:
                table["group"] = [name["group"] for name in names]
            strange = np.flatnonzero(table["target"] < 0)
            notes = [f"target {targets[i]}, none of the classes {', '.join(classes[:10])}" for i in strange]
            found.append(_found(table["id"].iloc[strange], "target", notes))
        offsets = np.concatenate([[0], np.cumsum(good["length"].to_numpy(dtype=np.int64))])
        return Samples(
            inputs=Ragged(values, offsets),
            table=table,
            classes=classes,
            origin=str(root),
            findings=pd.concat(found, ignore_index=True),
            hashes=good["content"].to_numpy(dtype=np.uint64),
        )

    def _names(self, root: Path, ids: Sequence[str]) -> list[dict[str, str]]:
        """What the pattern's names are in each path; without one, the first folder as `target`."""
        names = []
        for name in ids:
            if self._pattern is None:
                if "/" not in name:
                    raise DataError(f"{root / name}: it is in no class's folder; move it, or give data.pattern")
                names.append({"target": name.split("/")[0]})
            elif (match := self._pattern.fullmatch(name)) is None:
                raise DataError(
                    f"{root / name}: it does not fit data.pattern {self.pattern!r}; mend the name or the pattern"
                )
            else:
                names.append(match.groupdict())
        return names


def _found(ids: "pd.Series[str]", kind: str, details: Iterable[str]) -> pd.DataFrame:
    """Findings of one kind: id, kind, detail."""
    return pd.DataFrame({"id": list(ids), "kind": kind, "detail": list(details)}, dtype=str)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern of names in braces.

    Raises:
        UserError: where a name is none or comes twice, or `target` is not there.
    """
    parts = re.split(r"\{(\w*)\}", pattern)
    expression = "".join(f"(?P<{part}>[^/]+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ConfigError(
            f"data.pattern: {pattern!r} has a name that is empty, none, or there twice ({error})"
        ) from error
    if "target" not in compiled.groupindex:
        raise ConfigError(f"data.pattern: {pattern!r} has no {{target}}; say where the class stands")
    return compiled


def packed(root: Path, files: pd.DataFrame, rate: int) -> tuple[npt.NDArray[np.int16], pd.DataFrame]:
    """All sounds one after another (T,) int16, memory-mapped; one row per file: name, error, rate, length, content."""
    settings = f"{VERSION} {root.resolve()} {rate}\n{files.to_csv(index=False)}"
    folder = kept_folder("sound", settings, lambda folder: _pack(root, list(files["name"]), rate, folder))
    rows = pd.read_parquet(folder / "rows.parquet")
    empty = not rows["length"].any()
    return np.zeros(0, np.int16) if empty else np.memmap(folder / "values.i16", dtype="<i2", mode="r"), rows


def _pack(root: Path, names: list[str], rate: int, folder: Path) -> None:
    """Writes all sounds one after another into values.i16, and what is known of each into rows.parquet."""
    rows: list[dict[str, Any]] = []
    with open(folder / "values.i16", "wb") as file:
        for name in names:
            try:
                x, found = read_wav(root / name)
            except ValueError as error:
                rows.append({"name": name, "error": str(error), "rate": 0, "length": 0, "content": np.uint64(0)})
                continue
            if found != rate:
                x = resample(x, found, rate)
            file.write(x.astype("<i2").tobytes())
            content = hash_payload(x[None])[0]
            rows.append({"name": name, "error": "", "rate": found, "length": len(x), "content": content})
    pd.DataFrame(rows).to_parquet(folder / "rows.parquet", index=False)


def read_wav(path: Path) -> tuple[npt.NDArray[np.int16], int]:
    """A PCM WAV file as (T,) int16, channels averaged, and its sample rate.

    Raises:
        ValueError: for a file that is empty, truncated or no PCM WAV; the message says which.
        UserError: for one that the machine cannot read now.
    """
    try:
        if path.stat().st_size == 0:
            raise ValueError("empty file")
        with wave.open(str(path), "rb") as file:
            channels, width, rate, n = file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()
            raw = file.readframes(n)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); mend its rights") from error
    except (wave.Error, EOFError) as error:
        raise ValueError(f"not a PCM WAV file ({one_line(error) or 'it ends in its header'})") from error
    if len(raw) < n * channels * width:
        raise ValueError(f"truncated: {len(raw)} of {n * channels * width} bytes of sound")
    if n == 0 or rate == 0:
        raise ValueError("it has no sound")
    if width == 1:
        x = (np.frombuffer(raw, np.uint8).astype(np.int32) - 128) << 8
    elif width == 3:  # little-endian: the upper two bytes
        x = np.frombuffer(raw, np.uint8).reshape(-1, 3)[:, 1:].copy().view("<i2")[:, 0].astype(np.int32)
    elif width in (2, 4):
        x = np.frombuffer(raw, f"<i{width}").astype(np.int32) >> (8 * width - 16)
    else:
        raise ValueError(f"not a PCM WAV file of 8 to 32 bits ({8 * width} bits)")
    mixed = np.rint(x.reshape(-1, channels).mean(axis=1)) if channels > 1 else x
    return np.asarray(mixed, dtype=np.int16), rate


def resample(x: npt.NDArray[np.int16], rate: int, wanted: int) -> npt.NDArray[np.int16]:
    """(T',) int16 at another sample rate, by a polyphase filter."""
    ratio = Fraction(wanted, rate)
    y = resample_poly(x.astype(np.float64), ratio.numerator, ratio.denominator)
    return np.asarray(np.clip(np.rint(y), -32768, 32767), dtype=np.int16)
