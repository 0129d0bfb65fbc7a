"""Claims about tokenizers: fitted on the given rows alone, the same everywhere, texts come back, nothing vanishes."""

import gzip
import hashlib
import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tokenizers
import torch

from lightning_base.data import Ragged, Samples, text_values
from lightning_base.errors import UserError
from lightning_base.preprocess.tokenizer import Model, Tokenizer, one_thread
from lightning_base.runtime.tokens import BEGIN, END, SPECIAL, UNKNOWN
from lightning_base.samples.batch import Batch
from lightning_base.samples.loader import BatchLoader
from tests.helpers import ROOT, shared

MODELS: tuple[Model, ...] = ("bpe", "wordpiece", "words", "characters")
TEXTS = ["Two dogs run over the grass.", "A dog's tail", "the man and the dog", "", "grass, grass"]


def samples_of(texts: list[str]) -> Samples:
    return Samples(text_values(texts), pd.DataFrame({"id": [f"{i:05d}" for i in range(len(texts))]}))


def fitted(model: Model, texts: list[str] = TEXTS, **given: object) -> Tokenizer:
    tokenizer = Tokenizer(model, size=400, **given)  # type: ignore[arg-type]
    tokenizer.fit(samples_of(texts), np.arange(len(texts)))
    return tokenizer


def codes(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    found = tokenizer.recoded(samples_of(texts)).inputs
    assert isinstance(found, Ragged)
    assert found.dtype == np.int32
    return [found[i].tolist() for i in range(len(texts))]


@pytest.mark.parametrize("model", MODELS)
def test_other_rows_than_the_training_roles_change_nothing(model: Model) -> None:
    texts = [*TEXTS, "POISON poison zzz" * 50, "Ωμέγα"]
    one, other = Tokenizer(model, size=400), fitted(model)
    one.fit(samples_of(texts), np.arange(len(TEXTS)))
    assert one.state() == other.state()
    assert all("z" not in token for token in one._tokenizer.get_vocab() if len(token) > 1 and token not in SPECIAL)


@pytest.mark.parametrize("model", MODELS)
def test_special_tokens_have_the_first_numbers_and_no_text_holds_them(model: Model) -> None:
    tokenizer = fitted(model, [*TEXTS, *SPECIAL * 20])
    assert [tokenizer._tokenizer.id_to_token(i) for i in range(4)] == list(SPECIAL)
    for name in SPECIAL:
        found = codes(tokenizer, [name])[0]
        assert len(found) >= 3
        assert min(found) > END
        assert tokenizer.decode(found).replace(" ", "") == name.replace(" ", "")


@pytest.mark.parametrize("model", MODELS)
def test_texts_come_back(model: Model) -> None:
    tokenizer = fitted(model)
    for text, found in zip(TEXTS, codes(tokenizer, TEXTS), strict=True):
        back = tokenizer.decode(found)
        if model in ("wordpiece", "words"):  # these keep no blanks
            text, back = text.replace(" ", ""), back.replace(" ", "")
        assert back == text


def test_bytes_make_every_text() -> None:
    text = "Ωμέγα\t 🙂\n  <unk> \x00"
    tokenizer = fitted("bpe")
    [found] = codes(tokenizer, [text])
    assert UNKNOWN not in found
    assert tokenizer.decode(found) == text
    assert tokenizer.unseen(samples_of([text]), np.arange(1)) == {}


@pytest.mark.parametrize("model", ["wordpiece", "words", "characters"])
def test_what_training_has_not_seen_is_unknown_and_told(model: Model) -> None:
    tokenizer, texts = fitted(model), ["the Ω", "dog", "Ω Ω"]
    found = codes(tokenizer, texts)
    assert [UNKNOWN in one for one in found] == [True, False, True]
    assert "<unk>" in tokenizer.decode(found[0])
    told = tokenizer.unseen(samples_of(texts), np.arange(3))["text"]
    assert told.count == 2
    assert told.names == ("Ω",)


def test_an_empty_text_has_no_tokens_but_begin_and_end() -> None:
    assert codes(fitted("bpe"), ["", "a"])[0] == []
    assert codes(fitted("words", begin=True, end=True), ["", "dog"])[0] == [BEGIN, END]


def test_long_texts_are_cut_and_counted() -> None:
    tokenizer = fitted("words", begin=True, end=True, longest=4)
    assert [len(one) for one in codes(tokenizer, TEXTS)] == [4, 4, 4, 2, 4]
    assert tokenizer.cut == 4
    assert codes(tokenizer, TEXTS)[0][-1] != END
    assert codes(tokenizer, ["the dog"])[0][-1] == END


@pytest.mark.parametrize("model", MODELS)
def test_a_state_brings_back_the_same_tokenizer(model: Model) -> None:
    tokenizer, other, file = fitted(model, lower=True), Tokenizer(model, size=400, lower=True), io.BytesIO()
    torch.save(tokenizer.state(), file)
    file.seek(0)
    other.load(torch.load(file, weights_only=True))
    texts = [*TEXTS, "Ω < end > THE"]
    assert codes(other, texts) == codes(tokenizer, texts)
    assert other.size == tokenizer.size
    assert other.state() == tokenizer.state()


def test_lower_takes_capital_letters_as_small_ones() -> None:
    tokenizer = fitted("words", lower=True)
    assert codes(tokenizer, ["The DOG"]) == codes(tokenizer, ["the dog"])


def test_rare_words_are_unknown() -> None:
    tokenizer = fitted("words", min_count=2)
    kept = {word for word in tokenizer._tokenizer.get_vocab() if word not in SPECIAL}
    assert kept == {"the", "grass"}


def test_batches_hold_token_numbers_padded_with_0() -> None:
    tokenizer = fitted("words")
    samples = tokenizer.recoded(samples_of(TEXTS))
    batch: Batch = next(iter(BatchLoader(samples, np.arange(5), 5, feeds=tokenizer.feeds(samples))))
    x = tokenizer.apply(batch).x
    assert x.dtype == torch.int64
    assert (x != 0).sum(dim=1).tolist() == [7, 3, 5, 0, 3]


def sums(path: str) -> list[str]:
    """The check sums of what each model learns of a file's texts."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        texts = file.read().splitlines()
    found = []
    for model in MODELS:
        tokenizer = Tokenizer(model, size=1000 if model != "words" else 3000)
        tokenizer.fit(samples_of(texts), np.arange(len(texts)))
        found.append(hashlib.sha256(tokenizer.state()["tokenizer"].encode()).hexdigest())
    return found


def test_another_process_finds_the_same_tokens() -> None:
    """Ranks fit each their own: the library's tables have a random hash."""
    path = str(shared("multi30k/val.de.gz"))
    with gzip.open(path, "rt") as file:
        assert len(file.read().splitlines()) == 1014
    code = "import sys; from tests.preprocess.test_tokenizer import sums; print(*sums(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == sums(path)
    assert len(set(sums(path))) == len(MODELS)


def test_the_librarys_unigram_model_still_differs_from_fit_to_fit() -> None:
    """The reason that it is refused: where this fails, the library's fits may be the same now, and can be offered."""
    with gzip.open(shared("multi30k/val.de.gz"), "rt", encoding="utf-8") as file:
        texts, fits = file.read().splitlines()[:60], set()
    for _ in range(4):
        library = tokenizers.Tokenizer(tokenizers.models.Unigram())
        with one_thread():
            library.train_from_iterator(texts, tokenizers.trainers.UnigramTrainer(vocab_size=120, show_progress=False))
        fits.add(library.to_str())
    assert len(fits) > 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "unigram"}, "no model 'unigram': two fits .* differ, whatever the threads: .*; take bpe"),
        ({"model": "bigram"}, "no model 'bigram'; one of bpe"),
        ({"model": "words", "marks": -1}, "marks: -1 is no number"),
        ({"model": "bpe", "size": 261, "marks": 2}, "size: 261 is below 262"),
        ({"model": "bpe", "size": 100}, "size: 100 is below 260"),
        ({"model": "words", "min_count": 0}, "min_count: 0 is below 1"),
        ({"model": "words", "longest": 0}, "longest: 0 is below 1"),
    ],
)
def test_settings_that_make_no_tokenizer_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Tokenizer(**given)  # type: ignore[arg-type]


def test_data_that_make_no_tokenizer_are_refused() -> None:
    with pytest.raises(UserError, match="makes 40 tokens, and the tokenizer's size is 10"):
        Tokenizer("wordpiece", size=10).fit(samples_of(["abcdefghijklmnopqr"]), np.arange(1))
    with pytest.raises(UserError, match="nothing to make tokens of"):
        Tokenizer("words").fit(samples_of(["", "a"]), np.arange(1))
    numbers = Samples(np.zeros((2, 3), np.float32), pd.DataFrame({"id": ["a", "b"]}))
    with pytest.raises(UserError, match="float32 of shape"):
        Tokenizer("words").fit(numbers, np.arange(1))
    with pytest.raises(UserError, match="no token 400"):
        fitted("words").decode([400])
