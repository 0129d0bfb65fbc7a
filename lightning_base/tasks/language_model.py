"""LanguageModel: trains a network to tell each token of a text from those before it; `predict` writes on."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError
from lightning_base.preprocess.tokenizer import Tokenizer
from lightning_base.runtime.tokens import BEGIN, END, PADDING, UNKNOWN
from lightning_base.samples.batch import Batch, Lengths, Sequences, Texts
from lightning_base.samples.nested import Nested, mapped
from lightning_base.samples.payload import Ragged, Rows, gather
from lightning_base.samples.samples import Samples
from lightning_base.samples.texts import texts_of
from lightning_base.tasks import sums
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.beside_texts import shares
from lightning_base.tasks.columns import objects, table_columns
from lightning_base.tasks.decoding import sample, uniforms
from lightning_base.tasks.predictor import Output, Scorer
from lightning_base.tools.console import console


class LanguageModel(BaseModule):
    """Cross-entropy of each token given those before it in its sample, the first given a begin (2) in front.

    Samples are sequences of token numbers without a target, 0 being padding; where the data has a `Tokenizer`, texts.
    Predictions of held-out and test samples are the probabilities of their true tokens, `prob`, so that the mean over
    an ensemble's members is their exact mixture; it is refused where folds divide texts into other tokens (bpe,
    wordpiece). A character or word that training has not seen counts as one unknown token.

    `predict` writes on from each sample, its prompt: `pred` is what is drawn, a text where the data has a `Tokenizer`.
    What a prompt gets depends on its id and `draw_seed`, not on those beside it.

    Metrics: loss (nats per token), perplexity (e to it); of characters bits_per_character. They are over all tokens of
    all samples, and each sample is scored by itself: its first tokens have little before them.

    Args:
        network: gives logits (B, T, V) for tokens (B, T) int64, padded at their ends, of what follows each; one that
            sees so many tokens at most says so as its attribute `context`. `models/causal_transformer.py` has one.
        new: tokens that `predict` draws, at most; fewer where a text ends, which it does where the tokenizer has ends.
        temperature: logits are divided by it before drawing; 0 takes the most probable token.
        top_k: draw from so many most probable tokens alone.
        draw_seed: what is drawn from.
        **kwargs: optimizer, scheduler, penalties and the other arguments of BaseModule.

    Raises:
        UserError: for settings out of range, or a network that sees too little or knows too few tokens.
    """

    takes = ("none",)
    scores_raw = True

    def __init__(
        self,
        network: nn.Module,
        new: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        draw_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, **kwargs)
        for key, value, least in (("new", new, 1), ("top_k", top_k, 1), ("draw_seed", draw_seed, 0)):
            if value is not None and value < least:
                raise ConfigError(f"model.{key}: {value} is below {least}")
        if not 0 <= temperature < math.inf:
            raise ConfigError(f"model.temperature: {temperature} is no number of 0 or more")
        self.new, self.temperature, self.top_k, self.draw_seed = new, temperature, top_k, draw_seed
        self.tokenizer: Tokenizer | None = None
        self.cut = 0  # prompts that are longer than what the network sees

    def on_predict_epoch_end(self) -> None:
        """Lightning's hook: says how many prompts the network did not see whole."""
        if self.cut:
            context = getattr(self.network, "context", None)
            console().print(
                f"! prompts longer than the {context} tokens that the network sees at a time: {self.cut}; of these it "
                "was given the last ones",
                soft_wrap=True,
            )
        self.cut = 0

    @classmethod
    def num_outputs(cls, key: str, data: BaseDataModule, options: Mapping[str, Any]) -> int | None:
        """One per token there may be."""
        return data.preprocess.vocabulary

    def use(self, data: BaseDataModule) -> None:
        """Takes the tokenizer, where there is one."""
        self.tokenizer = data.preprocess if isinstance(data.preprocess, Tokenizer) else None

    def logits(self, x: Tensor) -> Tensor:
        """(B, T, V): of what each token of x (B, T) is, given those before it."""
        x_in = torch.cat([x.new_full((len(x), 1), BEGIN), x[:, :-1]], dim=1)
        found: Tensor = self.network(x_in)
        return found

    def forward(self, x: Tensor, lengths: Lengths = None) -> Sequences:
        """The probabilities of the true tokens, (B, T) float64."""
        lengths = _lengths(x, lengths)
        prob = self.logits(x).double().softmax(dim=2).gather(2, x[..., None])[..., 0]
        return Sequences(torch.where(Sequences(x, lengths).inside, prob, 0.0), lengths)

    def predictions(self, batch: Batch) -> Nested:
        """The true tokens' probabilities; of samples to predict, what is written behind them, as `pred`."""
        data = None if self._trainer is None else self.trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, BaseDataModule) and data.predict_role == "predict":
            return {"pred": self.written(batch)}
        return self.forward(batch.x, batch.lengths)

    def written(self, batch: Batch) -> Sequences:
        """What is drawn behind each sample: UTF-8 bytes where there is a tokenizer, else token numbers."""
        assert batch.key is not None
        x, ends = batch.x, self.tokenizer is not None and self.tokenizer.end
        lengths = _lengths(x, batch.lengths)
        if ends:  # a prompt does not end
            lengths = lengths - (x.gather(1, (lengths - 1).clamp_min(0)[:, None])[:, 0] == END).long()
        prompt = Sequences(torch.cat([x.new_full((len(x), 1), BEGIN), x], dim=1), lengths + 1)
        never = [PADDING, BEGIN, *([] if self.tokenizer is None else [UNKNOWN, *([] if ends else [END])])]
        uniform = uniforms(batch.key, self.new, self.draw_seed).to(x.device)
        context = getattr(self.network, "context", None)
        if context is not None:
            self.cut += int((prompt.lengths > context).sum())
        known = None if self.tokenizer is None else self.tokenizer.size
        settings = (self.temperature, self.top_k, never, END if ends else None, context, known)
        found = sample(self.network, prompt, uniform, *settings)
        if self.tokenizer is None:
            return found
        rows = zip(found.values.tolist(), found.lengths.tolist(), strict=True)
        return Texts.of([self.tokenizer.decode(row[:n]) for row, n in rows])

    def step(self, batch: Batch) -> Output:
        """Mean cross-entropy () over the batch's tokens; in evaluation the true tokens' probabilities."""
        lengths = _lengths(batch.x, batch.lengths)
        inside, count = Sequences(batch.x, lengths).inside, lengths.sum()
        if not self.training:
            prob = mapped(self.forward(batch.x, batch.lengths), torch.Tensor.detach)
            return Output((nats_rows(prob, None)[:, 0].sum() / count).float(), prob, None, count)
        truth = torch.where(inside, batch.x, -100)
        total = F.cross_entropy(self.logits(batch.x).flatten(0, 1), truth.flatten(), reduction="sum")
        return Output(total / count.clamp_min(1), None, None, count)

    def check(self, batch: Batch) -> None:
        """One forward pass, as BaseModule does it; also that all tokens have a logit."""
        x = batch.x
        if not isinstance(x, Tensor) or x.ndim != 2 or x.is_floating_point():
            raise ConfigError(
                "model: LanguageModel takes sequences of token numbers (B, T); give texts, and a Tokenizer"
            )
        needed = int(x.max()) + 1 if self.tokenizer is None else self.tokenizer.size
        with torch.no_grad():
            try:
                size = self.logits(torch.full_like(x, PADDING)).shape[-1]  # tokens that any network knows
            except Exception:  # what else does not fit is told of the batch itself
                size = needed
        if size >= needed:
            super().check(batch)
        if size < needed:
            raise ConfigError(
                f"model.network: {type(self.network).__name__} gives {size} logits per token, and texts have {needed} "
                "tokens; give it as many"
            )

    def metrics(self) -> MetricCollection:
        """loss and perplexity; of characters bits_per_character."""
        values = {"loss": sums.ratio, "perplexity": sums.exp_ratio}
        if self.tokenizer is not None and self.tokenizer.model == "characters":
            values["bits_per_character"] = sums.bits_ratio
        return MetricCollection({name: sums.Sums("nats", 2, nats_rows, value) for name, value in values.items()})

    def scorer(self, preds: Nested, target: Nested) -> Scorer:
        """The metrics of samples drawn from these, as a function of their rows (n,), from what each sample adds."""
        return sums.scorer(dict(self.metrics().items()), preds, target)  # type: ignore[arg-type]

    def beside(
        self, pool: Samples, train: Rows, samples: Samples, rows: Rows, preds: Nested
    ) -> tuple[Nested, str] | None:
        """Each token by its share in the training part, whatever stands before it; one is added to every count."""
        if not isinstance(preds, Sequences) or (self.tokenizer is not None and not self.tokenizer.fitted):
            return None
        known, own = self._tokens(pool, train), self._tokens(samples, rows)
        if not torch.equal(own.lengths, preds.lengths):
            return None  # an ensemble of folds that divide texts otherwise
        seen = known.values[known.inside]
        size = int(max(seen.max(), own.values.max())) + 1 if self.tokenizer is None else self.tokenizer.size
        prob = torch.where(own.inside, shares([seen], size)[own.values], 0.0)
        return Sequences(prob, own.lengths), "each token's share in the training part, whatever stands before it"

    def _tokens(self, samples: Samples, rows: Rows) -> Sequences:
        """Token numbers (N, T) int64 of samples as they were read."""
        if self.tokenizer is None:
            values, lengths = gather(samples.inputs, rows)
        else:
            ragged = Ragged.of(self.tokenizer.encode(texts_of(samples.inputs, rows)), np.zeros(0, dtype=np.int32))
            values, lengths = gather(ragged, np.arange(len(rows)))
        x = torch.from_numpy(values.astype(np.int64))
        return Sequences(x, _lengths(x, None if lengths is None else torch.from_numpy(lengths)))

    def combine(self, members: Nested) -> Nested:
        """The mean of the members' probabilities of each token: their mixture.

        Raises:
            ConfigError: for what is written, and for members that divide texts into other tokens.
        """
        if isinstance(members, dict):
            raise ConfigError("model: texts that several folds write have no mean; give one fold's checkpoint")
        parts = self.tokenizer is not None and self.tokenizer.model in ("bpe", "wordpiece")
        if parts or not (members.lengths == members.lengths[0]).all():
            raise ConfigError(
                "model: each fold divides texts into tokens of its own, so that probabilities of them have no mean; "
                "give one fold's checkpoint, or take a tokenizer of characters"
            )
        return Sequences(members.values.mean(dim=0), members.lengths[0])

    def columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`prob`, a list of each sample's; of samples to predict `pred`, what is written."""
        if not isinstance(preds, dict):
            return table_columns("prob", preds)
        if self.tokenizer is None:
            return table_columns("pred", preds["pred"])
        return {"pred": objects(sums.texts_of(preds["pred"]))}


def _lengths(x: Tensor, lengths: Lengths) -> Tensor:
    """(B,) int64: the true lengths; all of them where nothing is padded."""
    return torch.full((len(x),), x.shape[1], device=x.device) if lengths is None else lengths


def nats_rows(preds: Nested, target: Nested) -> Tensor:
    """(B, 2) float64: a sample's nats, and its tokens."""
    assert isinstance(preds, Sequences)
    logs = preds.values.double().clamp_min(torch.finfo(torch.float64).tiny).log()
    return torch.stack([-torch.where(preds.inside, logs, 0.0).sum(dim=1), preds.lengths.double()], dim=1)
