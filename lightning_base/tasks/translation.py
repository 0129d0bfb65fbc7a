"""Translation: trains an encoder-decoder that writes a sequence for each input, by cross-entropy of its true tokens."""

import math
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError
from lightning_base.preprocess.tokenizer import Tokenizer
from lightning_base.runtime.tokens import BEGIN, END, PADDING
from lightning_base.samples.batch import Batch, Inputs, Sequences, Texts, targets
from lightning_base.samples.nested import Nested
from lightning_base.samples.payload import Rows, spread
from lightning_base.samples.samples import Samples
from lightning_base.tasks import sums
from lightning_base.tasks.agreement import consensus
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.beside_texts import MOST, TRIVIAL, by_share, parts, shares, typical
from lightning_base.tasks.columns import objects, table_columns
from lightning_base.tasks.decoding import beam_search
from lightning_base.tasks.given import Change
from lightning_base.tasks.predictor import Output, Scorer
from lightning_base.tasks.text_scores import BLEU_SIZE, CHRF_SIZE, bleu, bleu_rows, chrf, chrf_rows, exact_rows

RUNS_OF_TOKENS, RUNS_OF_BYTES = 4, 6


class Translation(BaseModule):
    """Cross-entropy over the true tokens of sequences; predictions are what greedy or beam search writes.

    The task puts begin (2) in front of each target and end (3) behind it: targets hold neither, nor padding (0). Where
    the data has a `Tokenizer` for its targets, predictions and targets are texts in scores and tables, the latter as
    they were read: scores are comparable between tokenizers, and nothing that one does not know is scored as right.

    Metrics: loss (nats per true token, the end among them, each given the true ones before it), perplexity (e to it),
    token_accuracy (share of true tokens that are the most probable), exact (share of sequences written as they are);
    of texts also bleu and chrf, from 0 to 100, as sacrebleu has them. The loss depends on the tokenizer; BLEU and chrF
    do not. Metrics of others that are given take the texts, as lists of strings, as those of torchmetrics.text do.

    An ensemble takes for each sample the member's sequence that agrees most with the others' (minimum Bayes risk:
    Kumar & Byrne 2004; of two members the first's), and the mean of the members' probabilities of each whole target;
    its token_accuracy is the members' mean.

    Args:
        network: `forward(x, y_in)` gives logits (B, T, V) of what follows each of the tokens y_in (B, T) int64, and
            `start(x)` and `next(tokens, state)` write one by one, as `lightning_base.tasks.decoding.Decoder` says.
            Several inputs come as keywords. Padding is 0 in both. `models/seq2seq.py` has one.
        label_smoothing: in [0, 1), of the training loss alone.
        beam: sequences that the search keeps; 1 is greedy.
        length_penalty: how far the search prefers longer sequences, 0 for not at all.
        longest: tokens that are written at most; a sequence without an end is cut there.
        **kwargs: optimizer, scheduler, penalties and the other arguments of BaseModule.

    Raises:
        UserError: for settings out of range, a network without these methods, or targets that hold special tokens.
    """

    takes = ("sequence",)
    scores_raw = True

    def __init__(
        self,
        network: nn.Module,
        label_smoothing: float = 0.0,
        beam: int = 1,
        length_penalty: float = 0.6,
        longest: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, **kwargs)
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"model.label_smoothing: {label_smoothing} is not in [0, 1)")
        for key, value in (("beam", beam), ("longest", longest)):
            if value < 1:
                raise ConfigError(f"model.{key}: {value} is below 1")
        if not 0 <= length_penalty < math.inf:
            raise ConfigError(f"model.length_penalty: {length_penalty} is no number of 0 or more")
        for name in ("start", "next"):
            if not callable(getattr(network, name, None)):
                raise ConfigError(
                    f"model.network: {type(network).__name__} has no method {name!r}, by which Translation writes; "
                    "models.seq2seq.Seq2Seq shows it"
                )
        self.label_smoothing, self.beam, self.length_penalty, self.longest = (
            label_smoothing,
            beam,
            length_penalty,
            longest,
        )
        self.tokenizer: Tokenizer | None = None

    @classmethod
    def num_outputs(cls, key: str, data: BaseDataModule, options: Mapping[str, Any]) -> int | None:
        """One per token that targets may have."""
        return None if data.target_preprocess is None else data.target_preprocess.vocabulary

    def use(self, data: BaseDataModule) -> None:
        """Takes the tokenizer of targets, where there is one."""
        found = data.target_preprocess
        self.tokenizer = found if isinstance(found, Tokenizer) else None

    def logits(self, x: Inputs, y_in: Tensor) -> Tensor:
        """(B, T, V) of what follows each token of y_in (B, T)."""
        if isinstance(x, dict):
            found: Tensor = self.network(**{name: self.inputs(part) for name, part in x.items()}, y_in=y_in)
            return found
        return self.network(self.inputs(x), y_in)  # type: ignore[no-any-return]

    def written(self, x: Inputs) -> Sequences:
        """What the search writes: token numbers (B, T) int64."""
        several = isinstance(x, dict)
        network: Any = self.network
        state = network.start(**{k: self.inputs(v) for k, v in x.items()}) if several else network.start(self.inputs(x))
        first = next(iter(x.values())) if several else x
        known = None if self.tokenizer is None else self.tokenizer.size
        settings = (self.beam, self.length_penalty, self.longest, known)
        return beam_search(network, state, len(first), BEGIN, END, *settings, device=first.device)

    def forward(self, x: Inputs) -> Sequences:
        """Sequences of token numbers; of UTF-8 bytes where targets have a tokenizer."""
        found = self.written(x)
        if self.tokenizer is None:
            return found
        return self._texts(found)

    def _texts(self, found: Sequences) -> Texts:
        """What token numbers say."""
        assert self.tokenizer is not None
        rows = zip(found.values.tolist(), found.lengths.tolist(), strict=True)
        return Texts.of([self.tokenizer.decode(row[:n]) for row, n in rows])

    def predictions(self, batch: Batch) -> dict[str, Nested]:
        """`pred`; where targets are known also log_prob, tokens and hits (B,), of the true tokens."""
        pred = self(batch.x)
        if not isinstance(batch.y, Sequences):
            return {"pred": pred}
        y_in, y_out, inside = shifted(batch.y)
        return {"pred": pred, **known(self.logits(batch.x, y_in), y_out, inside)}

    def step(self, batch: Batch) -> Output:
        """Mean cross-entropy () over the batch's true tokens; in evaluation what `predictions` gives, and targets."""
        assert isinstance(batch.y, Sequences)
        y_in, y_out, inside = shifted(batch.y)
        logits = self.logits(batch.x, y_in)
        count = inside.sum()
        if self.training:
            truth = torch.where(inside, y_out, -100)
            total = F.cross_entropy(
                logits.flatten(0, 1), truth.flatten(), reduction="sum", label_smoothing=self.label_smoothing
            )
            return Output(total / count, None, None, count)
        found = known(logits, y_out, inside)
        loss = -found["log_prob"].sum() / count
        return Output(loss.float(), {"pred": self(batch.x), **found}, self._reference(batch), count)

    def _reference(self, batch: Batch) -> Nested:
        """The targets as scores take them: as they were read."""
        data = None if self._trainer is None else self.trainer.datamodule  # type: ignore[attr-defined]
        if self.tokenizer is None:
            return batch.y
        if not isinstance(data, BaseDataModule):
            assert isinstance(batch.y, Sequences)
            return self._texts(batch.y)
        return targets(data.samples("test" if self.trainer.testing else "pool"), batch.rows.cpu().numpy())

    def check(self, batch: Batch) -> None:
        """One forward pass, as BaseModule does it; also that targets hold no special tokens, and all have a logit."""
        assert isinstance(batch.y, Sequences)
        values = batch.y.values[batch.y.inside]
        if special := sorted({PADDING, BEGIN, END} & set(values.flatten().tolist())):
            raise ConfigError(
                f"model: targets hold token {special[0]}, which Translation puts around them itself (0 padding, 2 "
                "begin, 3 end); give targets from 4 on, 1 for unknown, and a Tokenizer without begin and end"
            )
        super().check(batch)
        with torch.no_grad():
            size = self.logits(batch.x, shifted(batch.y)[0]).shape[-1]
        needed = int(values.max()) + 1 if self.tokenizer is None and len(values) else 0
        needed = needed if self.tokenizer is None else self.tokenizer.size
        if size < needed:
            raise ConfigError(
                f"model.network: {type(self.network).__name__} gives {size} logits per token, and targets have "
                f"{needed} tokens; give it as many"
            )

    @property
    def for_given(self) -> Change | None:
        """Metrics of others take the texts.

        Raises:
            ConfigError: where there are some, and targets are token numbers.
        """
        if self.given_metrics and self.tokenizer is None:
            raise ConfigError("model.metrics: take texts, and this data's targets are token numbers; leave them out")
        return sums.both_texts

    def metrics(self) -> MetricCollection:
        """loss, perplexity, token_accuracy and exact; of texts bleu and chrf."""
        nats, hits = ("nats", 2, nats_rows), ("hits", 2, hits_rows)
        found = {
            "loss": sums.Sums(*nats, sums.ratio),
            "perplexity": sums.Sums(*nats, sums.exp_ratio),
            "token_accuracy": sums.Sums(*hits, sums.ratio),
            "exact": sums.Sums("exact", 2, exact_rows, sums.ratio),
        }
        if self.tokenizer is not None:
            found["bleu"] = sums.Sums("bleu", BLEU_SIZE, bleu_rows, bleu)
            found["chrf"] = sums.Sums("chrf", CHRF_SIZE, chrf_rows, chrf)
        return MetricCollection(dict(found))

    def scorer(self, preds: Nested, target: Nested) -> Scorer:
        """The metrics of samples drawn from these, as a function of their rows (n,), from what each sample adds."""
        return sums.scorer(dict(self.metrics().items()), preds, target)  # type: ignore[arg-type]

    def beside(
        self, pool: Samples, train: Rows, samples: Samples, rows: Rows, preds: Nested
    ) -> tuple[Nested, str] | None:
        """The training part's most typical target for every input; each token by its share in the training part."""
        own = targets(samples, rows)
        unfitted = self.tokenizer is not None and not self.tokenizer.fitted
        if unfitted or not isinstance(own, Sequences) or "tokens" not in preds or not len(train):
            return None
        scored = self._ended(own)
        size = max(int(part.max()) for part in scored) + 1 if self.tokenizer is None else self.tokenizer.size
        seen = shares((token for at in parts(train) for token in self._ended(targets(pool, at))), size)
        found = by_share(seen, scored)
        if not torch.equal(found["tokens"], preds["tokens"].double()):
            return None  # an ensemble of folds that divide texts otherwise
        one = typical(targets(pool, spread(train, MOST)), RUNS_OF_TOKENS if self.tokenizer is None else RUNS_OF_BYTES)
        same = type(own)(one.values.expand(len(rows), -1), one.lengths.expand(len(rows)))
        return {"pred": same, **found}, TRIVIAL

    def _ended(self, found: Nested) -> list[Tensor]:
        """The tokens of targets as they were read, (T,) int64 each, with their ends."""
        if self.tokenizer is None:
            every = [row[:n].long() for row, n in zip(found.values, found.lengths.tolist(), strict=True)]
        else:
            every = [torch.from_numpy(one.astype("int64")) for one in self.tokenizer.encode(sums.texts_of(found))]
        return [torch.cat([one, torch.tensor([END])]) for one in every]

    def combine(self, members: Nested) -> Nested:
        """The sequence that agrees most with the other members'; the mean probability of each target."""
        orders = RUNS_OF_TOKENS if self.tokenizer is None else RUNS_OF_BYTES
        found: dict[str, Nested] = {"pred": consensus(members["pred"], orders)}
        if "log_prob" in members:
            logs = members["log_prob"].double()
            found["log_prob"] = logs.logsumexp(dim=0) - math.log(len(logs))
            found |= {name: members[name].double().mean(dim=0) for name in ("tokens", "hits")}
        return found

    def columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`pred`, a text or a list of token numbers; where targets are known `log_prob`, `tokens` and `hits`."""
        more = {name: preds[name].numpy() for name in ("log_prob", "tokens", "hits") if name in preds}
        return self._column("pred", preds["pred"]) | more

    def target_columns(self, target: Nested) -> dict[str, npt.NDArray[Any]]:
        """`target`, a text as it was read, or a list of token numbers."""
        return self._column("target", target)

    def _column(self, name: str, values: Sequences) -> dict[str, npt.NDArray[Any]]:
        return table_columns(name, values) if self.tokenizer is None else {name: objects(sums.texts_of(values))}


def shifted(y: Sequences) -> tuple[Tensor, Tensor, Tensor]:
    """Targets (B, T + 1) with begin in front, as decoders take them, and with end behind; which are no padding."""
    b = len(y.lengths)
    y_in = torch.cat([y.values.new_full((b, 1), BEGIN), y.values], dim=1)
    y_out = torch.cat([y.values, y.values.new_zeros(b, 1)], dim=1)
    y_out[torch.arange(b, device=y_out.device), y.lengths] = END
    inside = torch.arange(y_out.shape[1], device=y_out.device) <= y.lengths[:, None]
    return y_in, y_out, inside


def known(logits: Tensor, y_out: Tensor, inside: Tensor) -> dict[str, Tensor]:
    """(B,) each: the log-probability of the true tokens, their number, and how many of them are the most probable."""
    logs = logits.detach().double().log_softmax(dim=2).gather(2, y_out[..., None])[..., 0]
    hits = (logits.argmax(dim=2) == y_out) & inside
    return {
        "log_prob": torch.where(inside, logs, 0.0).sum(dim=1),
        "tokens": inside.sum(dim=1).double(),
        "hits": hits.sum(dim=1).double(),
    }


def nats_rows(preds: Nested, target: Nested) -> Tensor:
    """(B, 2) float64: nats of a target, and its tokens."""
    return torch.stack([-preds["log_prob"], preds["tokens"]], dim=1).double()


def hits_rows(preds: Nested, target: Nested) -> Tensor:
    """(B, 2) float64: how many true tokens are the most probable, and how many there are."""
    return torch.stack([preds["hits"], preds["tokens"]], dim=1).double()
