"""Questions about texts, in SQuAD's JSON: a question and its context; the target is where in it the answer stands."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Several, Source, Targets, answer_values, text_values
from lightning_base.errors import ConfigError, DataError, NoSourceError
from lightning_base.preprocess import Preprocess, Tokenizer
from lightning_base.preprocess import Several as Each
from lightning_base.preprocess.tokenizer import Model
from lightning_base.runtime.readers import Reader, TextReader
from lightning_base.samples.samples import findings_table
from lightning_base.sources.json_files import read_json_files
from lightning_base.sources.squad import read_squad


@dataclass(kw_only=True, eq=False)
class Questions(BaseDataModule):
    """Questions and contexts as token numbers (B, T) int64 by these names, and the answer's tokens as `Spans`.

    Files have the form of SQuAD 1.1 or 2.0. An answer that is not where it says to be is a finding, and so is a
    question without one that is not marked `is_impossible`. Of an impossible question the answer is no text, and its
    token the begin in front of the context. Of several answers the first is trained on, and all are right. Both texts
    have one vocabulary, fitted on the training role. Networks that take them get `context_places` and `context_text`,
    which tasks cut answers out of.

    Args:
        path: a file, several, or a folder of them: .json, packed by gzip (.gz) or not.
        test_path: what `path` is, with sealed test questions.
        predict: … with questions that `predict` reads; they need no answers.
        group: what no split divides: the questions of an article, or of a paragraph.
        model: what makes tokens, as `lightning_base.preprocess.Tokenizer` has it.
        size: most tokens of the vocabulary, four special ones included.
        lower: take capital letters as small ones, in tokens; answers are cut out of the context as it stands.
        min_count: what is rarer than this in the training role makes no token.
        max_question: questions are cut after so many tokens.
        max_context: contexts likewise; an answer that stands behind trains nothing, and how many do is said.

    Raises:
        UserError: for a file that is not there or not in this form, an id that is there twice, or no question.
    """

    path: str | list[str]
    test_path: str | list[str] | None = None
    predict: str | list[str] | None = None
    group: Literal["article", "paragraph"] = "article"
    model: Model = "bpe"
    size: int = 8000
    lower: bool = False
    min_count: int = 1
    max_question: int | None = 64
    max_context: int | None = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_context is not None and self.max_context < 2:
            raise ConfigError(
                f"data.max_context: {self.max_context} is below 2, a begin and a token; give more or null"
            )
        self.make_preprocess()

    def make_preprocess(self) -> Preprocess:
        """Tokenizers of both texts, with one vocabulary of the training role's."""
        settings = (self.model, self.size, self.lower, self.min_count)
        parts = {
            "question": Tokenizer(*settings, longest=self.max_question),
            "context": Tokenizer(*settings, begin=True, longest=self.max_context, places=True),
        }
        return Each(parts, together=("question", "context"))

    def readers(self) -> dict[str, Reader]:
        """A question and its context."""
        return {"question": TextReader(), "context": TextReader()}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        return None if self.test_path is None else "data.test_path"

    def dataset(self, source: Source) -> Samples:
        """The questions of a source."""
        paths = {"pool": self.path, "test": self.test_path, "predict": self.predict}[source]
        key = {"pool": "data.path", "test": "data.test_path", "predict": "data.predict"}[source]
        if paths is None:
            mend = "seal a share with data.test_size, or " if source == "test" else ""
            raise NoSourceError(f"there are no {source} questions; {mend}name files with {key}")
        records, told = read_json_files(paths, key)
        asked = read_squad(records, key, with_answers=source != "predict")
        origin, findings = paths if isinstance(paths, str) else ", ".join(paths), told + asked.findings
        if not asked.ids:
            why = f" ({findings[0][0]}: {findings[0][2]})" if findings else ""
            raise DataError(f"{key}: {origin} has no question that can be used{why}; mend the file")
        groups = asked.articles if self.group == "article" else asked.paragraphs
        targets: Targets | None = None
        if source != "predict":
            targets = Targets(np.array(asked.spans), "spans", ("context",), answer_values(asked.answers))
        return Samples(
            Several({"question": text_values(asked.questions), "context": text_values(asked.contexts)}),
            pd.DataFrame({"id": asked.ids, "group": groups}),
            targets=targets,
            origin=origin,
            findings=findings_table(findings),
        )
