"""Sound: folders of sound files of any usual kind, decoded once into one memory-mapped array."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import ConfigError, DataError, NoSourceError
from lightning_base.preprocess import Preprocess
from lightning_base.preprocess.spectrogram import LogMel
from lightning_base.runtime.files import SoundReader
from lightning_base.runtime.readers import Reader
from lightning_base.samples.payload import Ragged
from lightning_base.sources.class_folders import (
    Listed,
    by_folder,
    demand_left,
    list_all,
    list_pool,
    list_test,
    silent_folders,
    test_folder,
)
from lightning_base.sources.patterns import compile_pattern
from lightning_base.sources.sound import SUFFIXES, demand_rate, pack_sounds


@dataclass(kw_only=True, eq=False)
class Sound(BaseDataModule):
    """Sounds as log-mel spectrograms (B, 1, mels, frames) float32.

    Read are WAV (whole numbers of 8 to 32 bits, floating point, mu-law, A-law, ADPCM), W64, RF64, FLAC, Ogg (Vorbis,
    Opus), MP3, AIFF, AU, CAF and NIST's SPHERE, whatever the ending among these says. Channels are averaged. Decoded
    sounds are kept in the cache folder for as long as the files' names, sizes and times and the sample rate are the
    same: as int16 where all files have 16 bits at most and this sample rate, else as float32 of the same scale, which
    rounds nothing to 16 bits and clips nothing. A file of another sample rate is resampled, and a finding; so is a
    floating-point one beyond full scale, which stays as it is. Files that cannot be read, or are not as long as their
    header says, are findings and no samples; files of other types are findings.

    Args:
        root: the folder; where it has a folder `train`, this and `val`, by `role`, are the pool, and `test` the sealed
            test sounds.
        pattern: of a path below the root, such as "{target}_{group}_{take}.wav": `target` names the class, `group` what
            must stay on one side of a split, other names are free; a name takes no "/". By default the first folder is
            the class.
        class_names: the classes in the order of their numbers; by default those found, in alphabetical order.
        predict: a folder of sounds that `predict` reads, in folders or not.
        sample_rate: samples per second.
        seconds: sounds are cut after, and padded to, so many.
        mels: number of mel filters.
        window: of a frame, in seconds.
        hop: from one frame to the next, in seconds.

    Raises:
        UserError: for a folder that is not there or has no sounds, a class none of whose files can be read, a pattern
            that is none, a name it does not fit, or a sample rate that is none.
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
        demand_rate(self.sample_rate)

    def make_preprocess(self) -> Preprocess:
        """Mel spectrograms, standardised."""
        return LogMel(self.sample_rate, self.seconds, self.mels, self.window, self.hop)

    def readers(self) -> dict[str, Reader]:
        """Sounds of the sample rate."""
        return {"sound": SoundReader(self.sample_rate, self.preprocess.longest)}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        return test_folder(Path(self.root))

    def dataset(self, source: Source) -> Samples:
        """The sounds of a source: Ragged waves of one sample rate, int16 or float32 of its scale."""
        if source == "predict":
            if self.predict is None:
                raise NoSourceError("data.predict: not given; name a folder of sounds")
            return self._samples_of(list_all(Path(self.predict), SUFFIXES, "data.predict"), source)
        root = Path(self.root)
        if not root.is_dir():
            raise ConfigError(f"data.root: no folder {root}; unpack the sounds there, or name their folder")
        if source == "pool":
            return self._samples_of(list_pool(root, SUFFIXES, "data.root"), source)
        if (listed := list_test(root, SUFFIXES, "data.root")) is None:
            raise NoSourceError(f"{root} has no test sounds; seal a share with data.test_size, e.g. 0.2")
        return self._samples_of(listed, source)

    def _samples_of(self, listed: Listed, source: Source) -> Samples:
        """The sounds of listed files, with classes unless they are to be predicted."""
        values, rows = pack_sounds(listed.folder, listed.files, self.sample_rate)
        good = (rows["error"] == "").to_numpy()
        if not good.any():
            raise DataError(f"{listed.folder / rows['name'][0]}: {rows['error'][0]}, as are all files; give others")
        table, found = (
            pd.DataFrame({"id": rows["name"][good].to_numpy()}),
            [listed.findings, decoding_findings(rows, self.sample_rate)],
        )
        if (roles := listed.roles(table["id"])) is not None:
            table["role"] = roles
        classes: tuple[str, ...] = ()
        if source != "predict":
            names = self._names(listed)
            targets = [name["target"] for name in names]
            kept = [name for name, one in zip(names, good, strict=True) if one]
            if source == "pool":
                errors = dict(zip(rows["name"], rows["error"], strict=True))
                demand_left(list(rows["name"]), targets, [name["target"] for name in kept], errors.__getitem__)
            classes = self.classes if source == "test" else tuple(self.class_names or sorted(set(targets)))
            found += [self._label(table, kept, classes), self._silent(listed)]
        lengths = rows["length"][good].to_numpy(dtype=np.int64)
        return Samples(
            inputs=Ragged(values, np.concatenate([[0], np.cumsum(lengths)])),
            table=table,
            classes=classes,
            origin=str(listed.folder),
            findings=pd.concat(found, ignore_index=True),
            hashes=rows["content"][good].to_numpy(dtype=np.uint64),
        )

    def _label(self, table: pd.DataFrame, names: list[dict[str, str]], classes: tuple[str, ...]) -> pd.DataFrame:
        """Adds targets, and groups where the pattern has them; findings for targets that are none of the classes."""
        targets = [name["target"] for name in names]
        table["target"] = pd.Index(classes, dtype=object).get_indexer(pd.Index(targets, dtype=object))
        if self._pattern is not None and "group" in self._pattern.groupindex:
            table["group"] = [name["group"] for name in names]
        strange = np.flatnonzero(table["target"] < 0)
        notes = [f"target {targets[i]}, none of the classes {', '.join(classes[:10])}" for i in strange]
        return _found(table["id"].iloc[strange], "target", notes)

    def _silent(self, listed: Listed) -> pd.DataFrame:
        """Findings for classes' folders without files, where folders are classes."""
        return silent_folders(listed, SUFFIXES) if self._pattern is None else listed.findings.iloc[:0]

    def _names(self, listed: Listed) -> list[dict[str, str]]:
        """What the pattern's names are in each path; without one, the first folder as `target`."""
        if self._pattern is None:
            return [{"target": name} for name in by_folder(listed, ", or give data.pattern")]
        names = []
        for name in listed.files["name"]:
            if (match := self._pattern.fullmatch(listed.within(name))) is None:
                raise DataError(
                    f"{listed.folder}: {listed.within(name)!r} does not fit data.pattern {self.pattern!r}; mend the "
                    "name, the pattern or data.root"
                )
            names.append(match.groupdict())
        return names


def decoding_findings(rows: pd.DataFrame, sample_rate: int) -> pd.DataFrame:
    """Findings (id, kind, detail) of what was decoded: what could not be, was resampled, or is beyond full scale.

    Args:
        rows: of the sounds, as `lightning_base.sources.sound.pack_sounds` gives them.
        sample_rate: that was wanted.
    """
    bad = rows[rows["error"] != ""]
    other = rows[(rows["error"] == "") & (rows["rate"] != sample_rate)]
    notes = [f"{rate} Hz where data.sample_rate is {sample_rate}" for rate in other["rate"]]
    loud = rows[(rows["error"] == "") & (rows["peak"] > 1) & np.isfinite(rows["peak"])]
    peaks = [f"values up to {peak:.6g}, where full scale is 1; they are kept" for peak in loud["peak"]]
    return pd.concat(
        [
            _found(bad["name"], "unreadable", bad["error"]),
            _found(other["name"], "rate", notes),
            _found(loud["name"], "level", peaks),
        ]
    )


def _found(ids: "pd.Series[str]", kind: str, details: Iterable[str]) -> pd.DataFrame:
    """Findings of one kind: id, kind, detail."""
    return pd.DataFrame({"id": list(ids), "kind": kind, "detail": list(details)}, dtype=str)
