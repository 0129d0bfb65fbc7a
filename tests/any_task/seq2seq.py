"""A user's file: numbers in words, written backwards letter by letter; texts to texts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source, Targets, text_values
from lightning_base.errors import NoSourceError
from lightning_base.preprocess import Preprocess, Tokenizer

ONES = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TENS = ["", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


@dataclass(kw_only=True, eq=False)
class Backwards(BaseDataModule):
    def dataset(self, source: Source) -> Samples:
        if source == "test":
            raise NoSourceError("no test samples: seal a share by data.test_size")
        texts = [f"{TENS[i // 10]} {ONES[i % 10]}".strip() for i in range(1, 100)]
        table = pd.DataFrame({"id": [f"{i:02d}" for i in range(1, 100)]})
        if source == "predict":
            return Samples(text_values(texts[::10]), table.iloc[np.arange(0, 99, 10)].reset_index(drop=True))
        backwards = text_values([text[::-1] for text in texts])
        return Samples(text_values(texts), table, targets=Targets(backwards, "sequence"))

    def make_preprocess(self) -> Preprocess:
        return Tokenizer("characters", size=40)

    def make_target_preprocess(self) -> Preprocess:
        return Tokenizer("characters", size=40)
