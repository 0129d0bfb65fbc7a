"""Vocabulary: words to numbers, by the training role's frequencies."""

from typing import Any

import numpy as np
import torch

from lightning_base.errors import ConfigError
from lightning_base.preprocess.base import Preprocess
from lightning_base.samples.batch import Batch, Encoder
from lightning_base.samples.payload import Rows, blocks
from lightning_base.samples.samples import Samples


class Vocabulary(Preprocess):
    """Words to numbers: 0 is padding, 1 any word not in the vocabulary, then the training role's words by frequency.

    Args:
        max_words: the vocabulary's most words, the two special numbers included.
        min_count: words rarer than this in the training role are unknown.
        max_length: texts are cut after so many words.
    """

    def __init__(self, max_words: int = 20_000, min_count: int = 1, max_length: int | None = 256) -> None:
        for key, value, least in (("max_words", max_words, 3), ("min_count", min_count, 1)):
            if value < least:
                raise ConfigError(f"data.{key}: {value} is below {least}")
        if max_length is not None and max_length < 1:
            raise ConfigError(f"data.max_length: {max_length} is below 1; give a number of words or null")
        self.max_words, self.min_count, self.longest = max_words, min_count, max_length
        self.vocabulary, self.words = max_words, list[str]()

    def fit(self, samples: Samples, rows: Rows) -> None:
        """Counts the words of these rows; equally frequent words stand in alphabetical order."""
        known = samples.features[0].categories or ()
        count = np.zeros(len(known), dtype=np.int64)
        for _, block, lengths in blocks(samples.inputs, rows, 4096, self.longest):
            assert lengths is not None
            count += np.bincount(block[np.arange(block.shape[1]) < lengths[:, None]], minlength=len(known))
        order = sorted(np.flatnonzero(count >= self.min_count), key=lambda code: (-count[code], known[code]))
        self.words = [known[code] for code in order[: self.max_words - 2]]
        self.known, self.fitted = len(self.words) + 2, True

    def encoder(self, samples: Samples) -> Encoder | None:
        """A function from the source's word codes (B, T) to the vocabulary's numbers; `apply` mends the padding."""
        number = {word: i + 2 for i, word in enumerate(self.words)}
        codes = np.array([number.get(word, 1) for word in samples.features[0].categories or ()] or [1], dtype=np.int64)
        return lambda x: codes[x]

    def apply(self, batch: Batch) -> Batch:
        """The batch with the padding's number behind each text's end."""
        if batch.lengths is None:
            return batch
        inside = torch.arange(batch.x.shape[1], device=batch.x.device) < batch.lengths[:, None]
        return batch._replace(x=torch.where(inside, batch.x, 0))

    def state(self) -> dict[str, Any]:
        """The words, in the order of their numbers."""
        return {"words": list(self.words)}

    def load(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave."""
        self.words, self.fitted = list(state["words"]), True
