"""Speech: sounds and what is said in them, from a folder of sounds and a file of transcripts."""

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_base.data import BaseDataModule, Ragged, Samples, Source, Targets, text_values
from lightning_base.errors import ConfigError, DataError, NoSourceError
from lightning_base.preprocess import LogMel, Preprocess, Tokenizer
from lightning_base.preprocess.tokenizer import Model
from lightning_base.runtime.files import SoundReader
from lightning_base.runtime.readers import Reader
from lightning_base.samples.samples import findings_table
from lightning_base.sources.class_folders import Listed, list_all
from lightning_base.sources.form import NA_VALUES, Format, demand_separator, demand_written
from lightning_base.sources.patterns import compile_pattern
from lightning_base.sources.sound import SUFFIXES, demand_rate, pack_sounds
from lightning_base.sources.transcripts import Said, Transcripts, read_transcripts, unused_of

from .sound import decoding_findings


@dataclass(kw_only=True, eq=False)
class Speech(BaseDataModule):
    """Sounds as log-mel spectrograms (B, 1, mels, frames) float32, and their transcripts as sequences of tokens.

    Sounds are read as by `Sound`, and padded to the longest of a batch. Transcripts are lines `name: text` of a text
    file, or rows of a table with a path and a text; a name is a sound's path below the root, with its ending or
    without. A sound without a transcript, with two, with an empty one, or longer than `seconds`, which would be cut and
    its text not, is a finding `target`; a transcript without a sound is one of kind `unmatched`.

    Args:
        root: the folder of sounds.
        transcripts: a text file (.txt, .text, packed by gzip or not) of lines `name: text`, else a table (CSV, TSV,
            Parquet, Excel, JSON lines).
        test_transcripts: that of sealed test sounds.
        test_root: their folder; by default the root, whose sounds the two files then divide.
        predict: a folder of sounds that `predict` reads.
        sound: the table's column of sounds' paths.
        text: … of texts.
        group: … whose equal values, such as a speaker, must stay on one side of a split.
        pattern: of a sound's path below the root, such as "{group}/{take}.wav", in place of such a column.
        separator: between the fields of a CSV, or a name and its text in lines (": " by default).
        header: of a table, true where the first line names the columns, else their names.
        encoding: of files without a byte-order mark.
        quote: what encloses fields of a CSV; null for nothing.
        comment: what lines begin with that are no transcripts.
        leave_out: a regular expression; sounds whose transcript has a match, such as "[beep]", are left out, and named
            in findings `unused`.
        sample_rate: samples per second.
        seconds: the longest sound.
        mels: number of mel filters.
        window: of a frame, in seconds.
        hop: from one frame to the next, in seconds.
        model: what makes tokens of transcripts, as `lightning_base.preprocess.Tokenizer` has it.
        size: most tokens, four special ones included.
        lower: take capital letters as small ones, in tokens; scores are of the texts as they stand.
        min_count: what is rarer than this in the training role makes no token.

    Raises:
        UserError: for a folder, file or column that is not there, or where no sound has a transcript that can be used.
    """

    root: str
    transcripts: str
    test_transcripts: str | None = None
    test_root: str | None = None
    predict: str | None = None
    sound: str = "path"
    text: str = "text"
    group: str | None = None
    pattern: str | None = None
    separator: str | None = None
    header: bool | list[str] = True
    encoding: str = "utf-8"
    quote: str | None = '"'
    comment: str | None = None
    leave_out: str | None = None
    sample_rate: int = 16_000
    seconds: float = 20.0
    mels: int = 40
    window: float = 0.025
    hop: float = 0.01
    model: Model = "characters"
    size: int = 1000
    lower: bool = False
    min_count: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        demand_separator(self.separator, self.quote)
        demand_written(".", None, self.quote, self.comment, 0)
        if self.test_root is not None and self.test_transcripts is None:
            raise ConfigError("data.test_root: its transcripts are not given; name them in data.test_transcripts")
        if self.pattern is not None and self.group is not None:
            raise ConfigError("data.pattern: data.group is given too; give one of them")
        demand_rate(self.sample_rate)
        self._pattern = None if self.pattern is None else compile_pattern(self.pattern, "group")
        try:
            self._leave_out = None if self.leave_out is None else re.compile(self.leave_out)
        except re.error as error:
            raise ConfigError(f"data.leave_out: {self.leave_out!r} is no regular expression ({error})") from error
        self.make_preprocess()
        self.make_target_preprocess()

    def make_preprocess(self) -> Preprocess:
        """Mel spectrograms, standardised."""
        return LogMel(self.sample_rate, self.seconds, self.mels, self.window, self.hop, fixed=False)

    def make_target_preprocess(self) -> Preprocess:
        """A tokenizer of the training role's transcripts."""
        return Tokenizer(self.model, self.size, self.lower, self.min_count)

    def readers(self) -> dict[str, Reader]:
        """Sounds of the sample rate."""
        return {"sound": SoundReader(self.sample_rate, self.preprocess.longest)}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        return None if self.test_transcripts is None else f"data.test_transcripts ({self.test_transcripts})"

    def dataset(self, source: Source) -> Samples:
        """The sounds of a source that have a transcript: Ragged waves of one sample rate; all of those to predict."""
        if source == "predict":
            if self.predict is None:
                raise NoSourceError("data.predict: not given; name a folder of sounds")
            listed = list_all(Path(self.predict), SUFFIXES, "data.predict")
            return self._samples_of(listed, None, [])
        if source == "test" and self.test_transcripts is None:
            raise NoSourceError(f"{self.transcripts} has no test sounds; give data.test_transcripts, or data.test_size")
        pool, test = (self._said(key) for key in ("transcripts", "test_transcripts"))
        mine, other = (pool, test) if source == "pool" else (test, pool)
        assert mine is not None
        apart = source == "test" and self.test_root is not None
        listed = list_all(Path(self.test_root or self.root) if apart else Path(self.root), SUFFIXES, "data.root")
        names = list(listed.files["name"])
        shared = other if other is not None and self.test_root is None else Transcripts()
        said, elsewhere = mine.of(names), shared.of(names)
        findings = [*mine.findings]
        findings += [
            (one.where, "unmatched", f"{one.name!r} is no sound in {listed.folder}")
            for one in unused_of(mine, said.values())
        ]
        texts, claims = dict[str, Said](), defaultdict[str, list[str]](list)
        for name, some in said.items():
            for one in some:
                claims[one.where].append(name)
        for name in names:
            if (wrong := self._wrong(name, said.get(name, []), claims, name in elsewhere)) is None:
                texts[name] = said[name][0]
            elif wrong[0]:
                findings.append((name, *wrong))
        return self._samples_of(listed, texts, findings)

    def _wrong(
        self, name: str, said: Sequence[Said], claims: Mapping[str, Sequence[str]], elsewhere: bool
    ) -> tuple[str, str] | None:
        """Kind and detail of why a sound is no sample; of one that the other source has, ""; None where it is one."""
        if not said:
            return ("", "") if elsewhere else ("target", "has no transcript")
        if len(said) > 1:
            return "target", f"has several transcripts: {', '.join(one.where for one in said)}"
        if others := [other for other in claims[said[0].where] if other != name]:
            return "target", f"has the transcript of {others[0]} too ({said[0].where}); name it with its ending"
        if self._leave_out is not None and (found := self._leave_out.search(said[0].text)):
            return "unused", f"its transcript ({said[0].where}) has {found[0]!r}: data.leave_out"
        return None if said[0].text.strip() else ("target", f"its transcript ({said[0].where}) is empty")

    def _said(self, key: str) -> Transcripts | None:
        """The transcripts of a file; None where it is not given."""
        path = getattr(self, key)
        if path is None:
            return None
        return read_transcripts(
            Format(
                Path(path),
                separator=self.separator,
                header=self.header,
                encoding=self.encoding,
                na_values=NA_VALUES[:1],  # "no", "NA" and "null" are words
                key=f"data.{key}",
                quote=self.quote,
                comment=self.comment,
            ),
            self.sound,
            self.text,
            self.group,
        )

    def _samples_of(
        self, listed: Listed, texts: dict[str, Said] | None, findings: list[tuple[str, str, str]]
    ) -> Samples:
        """The samples of sounds with these transcripts; of all sounds where there are none."""
        files = listed.files
        if texts is not None:
            files = files[files["name"].isin(texts)].reset_index(drop=True)
            if files.empty:
                first = next((f" ({id_}: {detail})" for id_, _, detail in findings), "")
                raise DataError(f"{listed.folder}: no sound has a transcript{first}; mend the paths or the names")
        values, rows = pack_sounds(listed.folder, files, self.sample_rate)
        good = (rows["error"] == "").to_numpy()
        lengths = rows["length"].to_numpy(dtype=np.int64)
        long = good & (lengths > round(self.seconds * self.sample_rate))
        findings += [
            (
                name,
                "target",
                f"is {n / self.sample_rate:.1f} s long and would be cut after {self.seconds:g} (data.seconds)",
            )
            for name, n in zip(rows["name"][long], lengths[long], strict=True)
        ]
        if not (good & ~long).any():
            raise DataError(
                f"{listed.folder}: no sound can be used, e.g. {rows['name'][0]}; mend them, or data.seconds"
            )
        table = pd.DataFrame({"id": rows["name"][good].to_numpy()})
        targets = None
        if texts is not None:
            targets = Targets(text_values([texts[name].text for name in table["id"]]), "sequence")
            if self.group is not None:
                table["group"] = [texts[name].group for name in table["id"]]
            elif self._pattern is not None:
                table["group"] = [self._grouped(listed, name) for name in table["id"]]
        read = {os.path.relpath(one, listed.folder) for one in (self.transcripts, self.test_transcripts) if one}
        return Samples(
            inputs=Ragged(values, np.concatenate([[0], np.cumsum(lengths[good])])),
            table=table,
            origin=str(listed.folder),
            targets=targets,
            findings=pd.concat(
                [
                    listed.findings[~listed.findings["id"].isin(read)],
                    findings_table(findings),
                    decoding_findings(rows, self.sample_rate),
                ],
                ignore_index=True,
            ),
            hashes=rows["content"][good].to_numpy(dtype=np.uint64),
        )

    def _grouped(self, listed: Listed, name: str) -> str:
        """The group that a path tells."""
        assert self._pattern is not None
        if (match := self._pattern.fullmatch(name)) is None:
            raise DataError(f"{listed.folder / name}: it does not fit data.pattern {self.pattern!r}; mend one of them")
        return match["group"]
