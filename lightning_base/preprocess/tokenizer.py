"""Tokenizer: texts to numbers of subwords, words or characters, fitted on the training role's texts alone."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from lightning_base.errors import ConfigError, DataError
from lightning_base.preprocess.base import Preprocess, Unseen
from lightning_base.runtime.marks import MOST
from lightning_base.runtime.tokens import SPECIAL, UNKNOWN, Encoded, Tokens, special_tokens
from lightning_base.samples.batch import Batch
from lightning_base.samples.payload import Ragged, Rows, is_ragged
from lightning_base.samples.samples import Samples
from lightning_base.samples.several import Part
from lightning_base.samples.spans import PLACES, TEXT
from lightning_base.samples.texts import texts_of
from lightning_base.tools.console import console

Model: TypeAlias = Literal["bpe", "wordpiece", "words", "characters"]
UNIGRAM = (  # seen with tokenizers 0.23, with one thread or more, in one process and in several
    "two fits of the tokenizers library's unigram on the same texts differ, whatever the threads: it sums word counts, "
    "and lowers the scores of rare characters, in the order of tables with a random hash, so that processes would "
    "disagree about tokens; take bpe"
)
WORD = r"\w+(?:'\w+)*|[^\w\s]"
BYTES = 256
SHOWN = 1000  # different unseen pieces that are kept to be named


class Tokenizer(Preprocess):
    """Texts to numbers of tokens: 0 is padding, 1 unknown, 2 begin, 3 end, then those of the training role's texts.

    The same texts give the same tokens in every process, which is why there is no unigram model here (UNIGRAM). A text
    that holds a special token's name has that as text.

    Args:
        model: "bpe": byte pairs (Sennrich et al. 2016) of UTF-8 bytes as in GPT-2, of which every text is made, so that
            none is unknown and `decode` gives it back exactly. "wordpiece": parts of words (Wu et al. 2016).
            "words": words and marks, as `datamodules.text.Text` finds them. "characters". In these three what training
            has not seen is unknown, and blanks between words are not kept by wordpiece and words.
        size: the vocabulary's most tokens, the four special ones included.
        lower: take capital letters as small ones.
        min_count: what is rarer than this in the training role makes no token: pairs, words, characters.
        begin: put 2 before each text.
        end: put 3 behind each text that is not cut.
        longest: cut texts after so many tokens, special ones included; how many were cut is said.
        keep: whether a text that is cut keeps its start or its end.
        marks: how many marks there are, which data puts into texts by `mark(0)`, `mark(1)`, …: special tokens 4, 5, …,
            as for who speaks. No word can be taken for one.
        places: of one of several inputs `<name>`, give networks that take them `<name>_places` (B, T, 2), where its
            tokens stand among its bytes, and `<name>_text` (B, L) uint8, the bytes: what parts of it are cut out of.

    Raises:
        UserError: for a size that has no room for the model's characters, or numbers out of range.
    """

    def __init__(
        self,
        model: Model = "bpe",
        size: int = 8000,
        lower: bool = False,
        min_count: int = 1,
        begin: bool = False,
        end: bool = False,
        longest: int | None = None,
        keep: Literal["start", "end"] = "start",
        marks: int = 0,
        places: bool = False,
    ) -> None:
        if not 0 <= marks <= MOST:
            raise ConfigError(f"tokenizer marks: {marks} is no number from 0 to {MOST}")
        self.special = special_tokens(marks)
        least = len(self.special) + (BYTES if model == "bpe" else 1)
        if model not in get_args(Model):
            why = f": {UNIGRAM}" if str(model) == "unigram" else f"; one of {', '.join(get_args(Model))}"
            raise ConfigError(f"tokenizer: no model {model!r}{why}")
        for key, value, lowest in (("size", size, least), ("min_count", min_count, 1)):
            if value < lowest:
                raise ConfigError(f"tokenizer {key}: {value} is below {lowest}, the least of {model}")
        if longest is not None and longest < 1:
            raise ConfigError(f"tokenizer longest: {longest} is below 1; give a number of tokens or null")
        self.vocabulary = size
        self.model, self.most, self.lower, self.min_count = model, size, lower, min_count
        self.begin, self.end, self.longest, self.keep = begin, end, longest, keep
        self.places = places
        self.marks = marks
        self.cut = 0  # texts that the last source had cut
        self._tokenizer: Any = None

    @property
    def tokens(self) -> Tokens:
        """What it has found."""
        return self._tokens_by(self._tokenizer)

    def _tokens_by(self, tokenizer: Any) -> Tokens:
        words = self.model == "words"
        return Tokens(tokenizer, words, self.begin, self.end, self.longest, self.keep, self.marks)

    @property
    def size(self) -> int:
        """How many tokens there are, the special ones included."""
        return self.tokens.size

    def fit(self, samples: Samples, rows: Rows) -> None:
        """Finds the tokens of these rows' texts.

        Raises:
            DataError: for inputs that are no texts, rows without a character, or more characters than `size`.
        """
        self.fit_several([samples], rows)

    def fit_several(self, sources: Sequence[Samples], rows: Rows) -> None:
        """Finds the tokens of these rows' texts in several inputs together, as `fit` does in one."""
        samples = sources[0]
        for one in sources:
            demand_texts(one)
        whole = (text for one in sources for text in texts_of(one.inputs, rows))
        pieces = self._tokens_by(None).pieces
        made = self._made([piece for text in whole for piece in pieces(text)[::2]])
        if made.get_vocab_size() <= len(self.special):
            raise DataError(f"{samples.origin}: the training texts hold nothing to make tokens of; give texts")
        if made.get_vocab_size() > self.most:
            raise DataError(
                f"{samples.origin}: the training texts have so many characters that {self.model} makes "
                f"{made.get_vocab_size()} tokens, and the tokenizer's size is {self.most}; give more, or bpe"
            )
        self._tokenizer, self.known, self.fitted = made, made.get_vocab_size(), True

    def _made(self, texts: list[str]) -> Any:
        """The library's tokenizer of these texts, without names of special tokens that a text could hold."""
        tokenizer, trainer = self._model(texts)
        if self.lower:
            tokenizer.normalizer = normalizers.Lowercase()
        with one_thread():
            tokenizer.train_from_iterator(texts, trainer)
        content = json.loads(tokenizer.to_str())
        return tokenizers.Tokenizer.from_str(json.dumps({**content, "added_tokens": []}))

    def _model(self, texts: list[str]) -> tuple[Any, Any]:
        """The library's tokenizer and its trainer."""
        common: dict[str, Any] = {"vocab_size": self.most, "show_progress": False, "min_frequency": self.min_count}
        special, unknown = list(self.special), SPECIAL[UNKNOWN]
        if self.model == "bpe":
            tokenizer = tokenizers.Tokenizer(models.BPE())
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            tokenizer.decoder = decoders.ByteLevel()
            alphabet = pre_tokenizers.ByteLevel.alphabet()
            return tokenizer, trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, **common)
        if self.model == "wordpiece":
            tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token=unknown, max_input_chars_per_word=1000))
            tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
            tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=False)
            # numbered beforehand: the library takes them in the order of a random hash, and ties go by number
            inside = sorted({c for text in texts for c in self._lowered(text) if not c.isspace()})
            return tokenizer, trainers.WordPieceTrainer(special_tokens=special + [f"##{c}" for c in inside], **common)
        words = self.model == "words"
        tokenizer = tokenizers.Tokenizer(models.WordLevel(unk_token=unknown))
        pattern, what = (WORD, "removed") if words else (r"[\s\S]", "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), what, invert=words)
        if not words:
            tokenizer.decoder = decoders.Fuse()
        return tokenizer, trainers.WordLevelTrainer(special_tokens=special, **common)

    def _lowered(self, text: str) -> str:
        return normalizers.Lowercase().normalize_str(text) if self.lower else text

    def _encode(self, pieces: list[str]) -> Iterable[Any]:
        with one_thread():
            found: list[Any] = self._tokenizer.encode_batch(pieces, add_special_tokens=False)
        return found

    def encode(self, texts: Iterable[str]) -> list[npt.NDArray[np.int32]]:
        """The numbers of each text's tokens (T,), cut to `longest`."""
        found = list(self.tokens.encoded(list(texts), encode=self._encode))
        self.cut += sum(one.cut for one in found)
        return [one.codes for one in found]

    def recoded(self, samples: Samples) -> Samples:
        """The samples with numbers of tokens, Ragged int32, in place of texts; says how many were cut.

        Raises:
            DataError: for inputs that are no texts.
        """
        codes = Ragged.of([one.codes for one in self._recoded(samples, False)], np.zeros(0, dtype=np.int32))
        return replace(samples, inputs=codes, hashes=samples.content)

    def recoded_parts(self, samples: Samples) -> dict[str, Part]:
        """What `recoded` gives; with `places` also where tokens stand, Ragged (T, 2) int32, and the texts' bytes."""
        if not self.places:
            return super().recoded_parts(samples)
        found = self._recoded(samples, True)
        codes = Ragged.of([one.codes for one in found], np.zeros(0, dtype=np.int32))
        places = Ragged.of([one.places for one in found], np.zeros((0, 2), dtype=np.int32))
        return {"": Part(codes), PLACES: Part(places), TEXT: Part(samples.inputs)}

    def _recoded(self, samples: Samples, places: bool) -> list[Encoded]:
        """The tokens of each sample's text; those of equal texts are found once, as of one paragraph."""
        demand_texts(samples)
        texts = list(texts_of(samples.inputs, np.arange(len(samples))))
        distinct = list(dict.fromkeys(texts))
        made = dict(zip(distinct, self.tokens.encoded(distinct, places, self._encode), strict=True))
        found = [made[text] for text in texts]
        self.cut = sum(one.cut for one in found)
        if self.cut:
            side = "there" if self.keep == "start" else "to their last ones"
            console().print(
                f"{samples.origin}: {self.cut} of {len(found)} texts are longer than {self.longest} tokens and are cut "
                f"{side}"
            )
        return found

    def decode(self, ids: Iterable[int]) -> str:
        """The text of tokens up to the first end; an unknown one is `<unk>`, other special ones are left out.

        Raises:
            DataError: for a number that is no token's.
        """
        try:
            return self.tokens.decode(ids)
        except ValueError as error:
            raise DataError(f"tokenizer: {error}") from error

    def unseen(self, samples: Samples, rows: Rows, refuse: bool = True) -> dict[str, Unseen]:
        """How many of these rows' texts have a piece that is unknown, and such pieces, in alphabetical order."""
        if self.model == "bpe" or samples.inputs.dtype != np.uint8:
            return {}
        texts, count, pieces = list(texts_of(samples.inputs, rows)), 0, set[str]()
        for text, (ids, offsets) in zip(texts, self.tokens.found(texts, self._encode), strict=True):
            places = [place for number, place in zip(ids, offsets, strict=True) if number == UNKNOWN]
            count += bool(places)
            if len(pieces) < SHOWN:
                pieces |= {text[first:last] for first, last in places}
        return {"text": Unseen(count, tuple(sorted(pieces)), "a piece", "it counts as unknown")} if count else {}

    def apply(self, batch: Batch) -> Batch:
        """The batch with token numbers (B, T) int64; padding is 0."""
        return batch._replace(x=batch.x.long())

    def state(self) -> dict[str, Any]:
        """The library's JSON, as text."""
        return {"tokenizer": self._tokenizer.to_str()}

    def load(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave."""
        self._tokenizer, self.fitted = tokenizers.Tokenizer.from_str(state["tokenizer"]), True


def demand_texts(samples: Samples) -> None:
    """Refuses inputs that are no texts.

    Raises:
        DataError: naming what they are.
    """
    if not is_ragged(samples.inputs) or samples.inputs.dtype != np.uint8:
        raise DataError(
            f"{samples.origin}: a Tokenizer is fitted on texts, and these are {samples.inputs.dtype} of shape "
            f"{samples.inputs.shape}; give lightning_base.data.text_values(texts)"
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets `tokenizers` start no threads, which a process that forks later would wait for."""
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = before
