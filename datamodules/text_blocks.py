"""Text blocks: one text file, cut into blocks of so many characters, for language models."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source, text_values
from lightning_base.errors import ConfigError, DataError, NoSourceError, near_file
from lightning_base.preprocess import Preprocess, Tokenizer
from lightning_base.preprocess.tokenizer import Model
from lightning_base.runtime.readers import Reader, TextReader
from lightning_base.samples.samples import findings_table
from lightning_base.sources.columns import row_id
from lightning_base.sources.text_files import decode, decode_lines, read_bytes


@dataclass(kw_only=True, eq=False)
class TextBlocks(BaseDataModule):
    """Blocks of a text as token numbers (B, T) int64, padded with 0; no target: the text itself is to be told.

    Nothing of the file is left out: the last block may be shorter. Ids are the blocks' numbers; `time` is where they
    begin, so that without a `split` training is on what comes before what is held out, and `test_size` seals the end.

    Args:
        path: a text file, packed by gzip or not, decoded by its byte-order mark, else by `encoding`.
        block: characters of a block.
        test_path: a file that is the sealed test source.
        predict: a file of prompts, one a line, that `predict` writes on from.
        encoding: of files without a byte-order mark.
        model: what makes tokens, as `lightning_base.preprocess.Tokenizer` has it, fitted on the training role's blocks.
        size: the vocabulary's most tokens, four special ones included.
        lower: take capital letters as small ones.

    Raises:
        UserError: for a file that is not there, is not in the encoding or has no text.
    """

    path: str
    block: int = 256
    test_path: str | None = None
    predict: str | None = None
    encoding: str = "utf-8"
    model: Model = "characters"
    size: int = 1000
    lower: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block < 1:
            raise ConfigError(f"data.block: {self.block} is below 1; give a number of characters")
        self.make_preprocess()

    def make_preprocess(self) -> Preprocess:
        """A tokenizer of the training role's blocks."""
        return Tokenizer(self.model, self.size, self.lower)

    def readers(self) -> dict[str, Reader]:
        """Texts."""
        return {"text": TextReader(blank=True)}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        return None if self.test_path is None else "data.test_path"

    def dataset(self, source: Source) -> Samples:
        """The blocks of a source, or the prompts to predict."""
        if source == "predict":
            return self._prompts()
        path, key = (self.path, "data.path") if source == "pool" else (self.test_path, "data.test_path")
        if path is None:
            raise NoSourceError("the text has no test file; give data.test_path, or seal its end with data.test_size")
        raw = _read(path, key)
        try:
            text = decode(raw, self.encoding)
        except ValueError as error:
            raise DataError(f"{key}: {path}: {error}") from error
        if not text:
            raise DataError(f"{key}: {path} has no text")
        starts = range(0, len(text), self.block)
        return _samples([text[start : start + self.block] for start in starts], path, starts)

    def _prompts(self) -> Samples:
        """One prompt per line; lines that are not in the encoding are findings."""
        if self.predict is None:
            raise NoSourceError("there are no prompts; name a file of lines with data.predict")
        try:
            lines = decode_lines(_read(self.predict, "data.predict"), self.encoding)
        except ValueError as error:
            raise DataError(f"data.predict: {self.predict}: {error}") from error
        named = [(row_id(i, len(lines) + 1), line) for i, line in enumerate(lines, start=1)]
        wrong = [(name, "encoding", f"{self.predict} {line.wrong}") for name, line in named if line.text is None]
        kept = [(name, line.text) for name, line in named if line.text is not None]
        table = pd.DataFrame({"id": [name for name, _ in kept]})
        found = findings_table(wrong)
        return Samples(text_values([text for _, text in kept]), table, origin=self.predict, findings=found)


def _read(path: str, key: str) -> bytes:
    try:
        return read_bytes(Path(path))
    except OSError as error:
        mend = near_file(path) or "; put it there or mend the path"
        raise DataError(f"{key}: {path} cannot be read ({error.strerror}){mend}") from error
    except ValueError as error:
        raise DataError(f"{key}: {path}: {error}") from error


def _samples(texts: list[str], origin: str, starts: Sequence[int]) -> Samples:
    """Texts with where they begin."""
    ids = [row_id(i, len(texts)) for i in range(len(texts))]
    table = pd.DataFrame({"id": ids, "time": np.array(starts, dtype=np.int64)})
    return Samples(text_values(texts), table, origin=origin)
