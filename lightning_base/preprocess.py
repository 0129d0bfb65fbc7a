"""Preprocessing as fitted state: fitted on a fold's training role, kept in checkpoints, applied alike everywhere."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from lightning_base.errors import UserError
from lightning_base.loader import Batch
from lightning_base.samples import Rows, Samples, gather

Normalize: TypeAlias = Literal["standard", "imagenet", "unit", "none"]
Encoder: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class Preprocess(ABC):
    """What turns a source's values into what a network takes.

    `encoder` maps a source's own codes (of categories, of words) to fitted ones while batches are gathered;
    `apply` does the rest on the batch's device. Everything fitted is in `state`: tensors, numbers and strings.
    """

    fitted = False
    longest: int | None = None  # ragged samples are cut after so many values
    fixed = False  # … and all padded to that length
    numeric: int | None = None  # tables: how many leading columns of a preprocessed sample are continuous

    @abstractmethod
    def fit(self, samples: Samples, rows: Rows) -> None:
        """Takes the statistics of these rows, and of no others."""

    @abstractmethod
    def apply(self, batch: Batch) -> Batch:
        """The batch with preprocessed inputs, on their device."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What was fitted, as weights-only loading takes it."""

    @abstractmethod
    def load(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave."""

    def encoder(self, samples: Samples) -> Encoder | None:
        """Maps gathered values of this source (B, ...); None where there is nothing to map."""
        return None


class Standardize(Preprocess):
    """(x - mean) / std along axis 1: image channels or table columns; float32.

    Args:
        normalize: "standard" fits population mean and standard deviation; "imagenet" has the channel statistics that
            torchvision's pretrained weights expect, "unit" takes uint8 to 0…1, "none" leaves values as they are.
    """

    def __init__(self, normalize: Normalize = "standard") -> None:
        self.normalize = normalize
        self.mean, self.std = torch.zeros(1), torch.ones(1)

    def fit(self, samples: Samples, rows: Rows) -> None:
        """Sums in float64; a constant has std 1.

        Raises:
            UserError: for "imagenet" on samples that are no images of 3 channels.
        """
        if self.normalize == "standard":
            fitted = moments(blocks(samples, rows))
            shape = (-1, *(1 for _ in range(len(samples.inputs.shape) - 2)))
            self.mean, self.std = (torch.from_numpy(a.astype(np.float32)).reshape(shape) for a in fitted)
        else:
            scale = 255.0 if samples.inputs.dtype == np.uint8 and self.normalize != "none" else 1.0
            mean, std = torch.zeros(1), torch.ones(1)
            if self.normalize == "imagenet":
                if len(samples.inputs.shape) != 4 or samples.inputs.shape[1] != 3:
                    raise UserError(
                        f"data.normalize: imagenet needs images of 3 channels, {samples.origin} has samples of shape "
                        f"{samples.inputs.shape[1:]}; use standard"
                    )
                mean = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
                std = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
            self.mean, self.std = mean * scale, std * scale
        self.fitted = True

    def apply(self, batch: Batch) -> Batch:
        """See Preprocess."""
        x = batch.x.to(torch.float32, copy=True)  # a multiplication takes half a division's time
        return batch._replace(x=x.sub_(self.mean.to(x.device)).mul_(1 / self.std.to(x.device)))

    def state(self) -> dict[str, Any]:
        """`mean` and `std`, shaped to broadcast over one sample."""
        return {"mean": self.mean, "std": self.std}

    def load(self, state: dict[str, Any]) -> None:
        """See Preprocess."""
        self.mean, self.std, self.fitted = state["mean"], state["std"], True


def blocks(samples: Samples, rows: Rows, size: int = 4096) -> Iterator[npt.NDArray[Any]]:
    """The inputs of rows, a few thousand samples at a time."""
    for start in range(0, len(rows), size):
        yield gather(samples.inputs, rows[start : start + size])[0]


def moments(parts: Iterator[npt.NDArray[Any]]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and population standard deviation along axis 1, NaN left out.

    A column of NaN has mean 0 and std 1, a constant std 1. Blocks are merged pairwise in float64, so that large means
    cost no digits (Chan, Golub & LeVeque 1983).
    """
    count: Any = 0.0
    mean: Any = 0.0
    squares: Any = 0.0
    for part in parts:
        if part.dtype == np.uint8:  # counted, which is exact and several times faster than summing float64
            levels = np.arange(256.0)
            counted = np.stack([_histogram(part[:, c]) for c in range(part.shape[1])])  # (C, 256)
            n = counted.sum(axis=1)
            m = counted @ levels / n
            s = (counted * (levels - m[:, None]) ** 2).sum(axis=1)
        else:
            values = part.astype(np.float64)
            values = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)  # (C, n)
            known = ~np.isnan(values)
            n = known.sum(axis=1)
            m = np.where(known, values, 0).sum(axis=1) / np.maximum(n, 1)
            s = (np.where(known, values - m[:, None], 0) ** 2).sum(axis=1)
        total = np.maximum(count + n, 1)
        squares = squares + s + (m - mean) ** 2 * count * n / total
        mean = mean + (m - mean) * n / total
        count = count + n
    std = np.sqrt(squares / np.maximum(count, 1))
    return np.asarray(mean), np.where(std > 0, std, 1.0)


def _histogram(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """How often each of the 256 values comes."""
    counts: npt.NDArray[np.int64] = torch.bincount(torch.from_numpy(values.flatten()), minlength=256).numpy()
    return counts


class TablePreprocess(Preprocess):
    """Numeric columns imputed and standardised, categorical ones one-hot or as codes; fitted on the training role.

    Out come (B, F') float32: the numeric columns; with `missing` one column a numeric column that had missing values
    in training (1 where the value was missing); then the categorical columns: one-hot over the source's categories, so
    that each fold has the same columns (a category not seen in training is all zeros, and its column is 0), or a code
    each (0 for unseen or missing, then 1, 2, … for the training role's).

    Args:
        impute: what takes a missing number's place.
        encode: how categories are given.
        normalize: standardise numbers, or leave them.
        missing: add indicator columns.
    """

    def __init__(
        self,
        impute: Literal["mean", "median", "zero"] = "median",
        encode: Literal["onehot", "code"] = "onehot",
        normalize: bool = True,
        missing: bool = False,
    ) -> None:
        self.impute, self.encode, self.normalize, self.missing = impute, encode, normalize, missing
        self._state: dict[str, Any] = {}

    def fit(self, samples: Samples, rows: Rows) -> None:
        """See Preprocess."""
        x = np.concatenate(list(blocks(samples, rows)))  # (n, F)
        numbers = [i for i, f in enumerate(samples.features) if f.categories is None]
        values = x[:, numbers].astype(np.float64)
        mean, std = moments(iter([values])) if numbers else (np.zeros(0), np.ones(0))
        fill = {"mean": mean, "zero": np.zeros_like(mean)}.get(self.impute)
        if fill is None:
            fill = np.array([np.median(c[~np.isnan(c)]) if (~np.isnan(c)).any() else 0.0 for c in values.T])
        if not self.normalize:
            mean, std = np.zeros_like(mean), np.ones_like(std)
        categories: dict[str, list[str]] = {}
        seen: dict[str, list[bool]] = {}
        for i, feature in enumerate(samples.features):
            if feature.categories is not None:
                codes = np.unique(x[:, i][~np.isnan(x[:, i])]).astype(np.int64)
                known = {feature.categories[code] for code in codes}
                categories[feature.name] = sorted(feature.categories if self.encode == "onehot" else known)
                seen[feature.name] = [name in known for name in categories[feature.name]]
        self._state = {
            "columns": [f.name for f in samples.features],
            "numbers": [samples.features[i].name for i in numbers],
            "categories": categories,
            "seen": seen,
            "mean": torch.from_numpy(mean.astype(np.float32)),
            "std": torch.from_numpy(std.astype(np.float32)),
            "fill": torch.from_numpy(fill.astype(np.float32)),
            "flags": torch.from_numpy(np.isnan(values).any(axis=0) if self.missing else np.zeros(len(numbers), bool)),
        }
        self.fitted = True

    @property
    def numeric(self) -> int | None:  # type: ignore[override]
        """How many leading columns are continuous."""
        return len(self._state["numbers"]) if self.fitted else None

    def encoder(self, samples: Samples) -> Encoder | None:
        """Takes the fitted columns by name, and turns their codes into fitted ones: -1 for one not seen in training.

        Raises:
            UserError: where the source lacks a column, or has it numeric and not categorical or the reverse.
        """
        features = {feature.name: (i, feature.categories) for i, feature in enumerate(samples.features)}
        if missing := [name for name in self._state["columns"] if name not in features]:
            raise UserError(
                f"{samples.origin}: no column {missing[0]!r}, which the model was trained on; give the same columns"
            )
        wanted = {name: i for i, name in enumerate(self._state["columns"])}
        tables: list[tuple[int, npt.NDArray[np.float32]]] = []
        for name, at in wanted.items():
            fitted, given = self._state["categories"].get(name), features[name][1]
            if (fitted is None) != (given is None):
                kind = "numeric" if given is None else "categorical"
                raise UserError(
                    f"{samples.origin}: column {name!r} is {kind} here and was not in training; declare it in "
                    "data.categorical or data.numeric"
                )
            if fitted is not None and given is not None:
                seen = self._state["seen"][name]
                number = {category: k for k, category in enumerate(fitted) if seen[k]}
                codes = [number.get(category, -1) for category in given]
                tables.append((at, np.array([*codes, -1], dtype=np.float32)))  # the last one is for missing
        columns = [features[name][0] for name in wanted]

        def encode(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
            x = x[:, columns].astype(np.float32)
            for i, codes in tables:
                x[:, i] = codes[np.where(np.isnan(x[:, i]), len(codes) - 1, x[:, i]).astype(np.int64)]
            return x

        return encode

    def apply(self, batch: Batch) -> Batch:
        """See Preprocess."""
        x, state = batch.x.float(), self._state
        numbers = [state["columns"].index(name) for name in state["numbers"]]
        values = x[:, numbers]
        gone = values.isnan()
        values = torch.where(gone, state["fill"].to(x.device), values)
        values = (values - state["mean"].to(x.device)) / state["std"].to(x.device)
        parts = [values, gone[:, state["flags"].to(x.device)].float()]
        for name, categories in state["categories"].items():
            code = x[:, state["columns"].index(name)].long()
            if self.encode == "code":
                parts.append((code + 1).float()[:, None])
            else:
                parts.append((code[:, None] == torch.arange(len(categories), device=x.device)).float())
        return batch._replace(x=torch.cat(parts, dim=1))

    def width(self) -> int:
        """Number of columns of a preprocessed sample."""
        categories = self._state["categories"].values()
        coded = len(categories) if self.encode == "code" else sum(map(len, categories))
        return len(self._state["numbers"]) + int(self._state["flags"].sum()) + coded

    def state(self) -> dict[str, Any]:
        """Columns, categories, means, deviations and what fills gaps."""
        return dict(self._state)

    def load(self, state: dict[str, Any]) -> None:
        """See Preprocess."""
        self._state, self.fitted = dict(state), True


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
                raise UserError(f"data.{key}: {value} is below {least}")
        if max_length is not None and max_length < 1:
            raise UserError(f"data.max_length: {max_length} is below 1; give a number of words or null")
        self.max_words, self.min_count, self.longest = max_words, min_count, max_length
        self.words: list[str] = []

    def fit(self, samples: Samples, rows: Rows) -> None:
        """Counts the words of these rows; equally frequent words stand in alphabetical order."""
        known = samples.features[0].categories or ()
        count = np.zeros(len(known), dtype=np.int64)
        for start in range(0, len(rows), 4096):
            block, lengths = gather(samples.inputs, rows[start : start + 4096], self.longest)
            assert lengths is not None
            count += np.bincount(block[np.arange(block.shape[1]) < lengths[:, None]], minlength=len(known))
        order = sorted(np.flatnonzero(count >= self.min_count), key=lambda code: (-count[code], known[code]))
        self.words = [known[code] for code in order[: self.max_words - 2]]
        self.fitted = True

    def encoder(self, samples: Samples) -> Encoder | None:
        """Maps a source's word codes (B, T), whose padding is told by the lengths, to the vocabulary's numbers."""
        number = {word: i + 2 for i, word in enumerate(self.words)}
        codes = np.array([number.get(word, 1) for word in samples.features[0].categories or ()] or [1], dtype=np.int64)
        return lambda x: codes[x]

    def apply(self, batch: Batch) -> Batch:
        """Puts the padding's number behind each text's end."""
        if batch.lengths is None:
            return batch
        inside = torch.arange(batch.x.shape[1], device=batch.x.device) < batch.lengths[:, None]
        return batch._replace(x=torch.where(inside, batch.x, 0))

    def state(self) -> dict[str, Any]:
        """The words."""
        return {"words": list(self.words)}

    def load(self, state: dict[str, Any]) -> None:
        """See Preprocess."""
        self.words, self.fitted = list(state["words"]), True
