"""A user's file: sentences as words, for a language model; no target, the text itself is to be told."""

from dataclasses import dataclass

import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source, text_values
from lightning_base.errors import NoSourceError
from lightning_base.preprocess import Preprocess, Tokenizer

WHO, DOES, WHAT = ["a man", "a dog", "the old cat"], ["sees", "likes", "never eats"], ["fish", "the sea", "a red ball"]


@dataclass(kw_only=True, eq=False)
class Sentences(BaseDataModule):
    def dataset(self, source: Source) -> Samples:
        if source == "test":
            raise NoSourceError("no test samples: seal a share by data.test_size")
        if source == "predict":
            return Samples(text_values(WHO), pd.DataFrame({"id": ["x", "y", "z"]}))
        texts = [f"{a} {b} {c} {d}" for a in WHO for b in DOES for c in WHAT for d in ("today", "now", "there")]
        return Samples(text_values(texts), pd.DataFrame({"id": [f"{i:02d}" for i in range(len(texts))]}))

    def make_preprocess(self) -> Preprocess:
        return Tokenizer("words", size=100, end=True)
