"""TablePreprocess: numbers imputed and standardised, dates as what goes on and what repeats, categories one-hot."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from lightning_base.errors import DataError
from lightning_base.preprocess.base import Preprocess, Unseen, inputs_of
from lightning_base.runtime.date_columns import PARTS, DateColumn
from lightning_base.runtime.spelling import spelling_of
from lightning_base.samples.batch import Batch, Encoder
from lightning_base.samples.moments import far, moments
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Feature, Samples

MOST_UNSEEN, FEWEST = 0.5, 20  # share of a column's values, and how many there must be


def as_fitted(given: Sequence[str], fitted: Sequence[str]) -> list[str]:
    """Categories in the spelling of the fitted ones: 0 and 1 are booleans where those are, and the reverse."""
    spelling = spelling_of(fitted)
    return [spelling.get(one, one) for one in given]


def shown(names: Iterable[str]) -> str:
    """The first few names, in quotes."""
    first = [repr(name) for name in names]
    return ", ".join(first[:5]) + (", …" if len(first) > 5 else "")


class TablePreprocess(Preprocess):
    """Numeric columns imputed and standardised, categorical ones one-hot or as codes; fitted on the training role.

    Out come (B, F') float32: the numeric columns; what `DateColumn` makes of each column of dates; with `missing` one
    column per numeric column that had missing values in training (1 where the value was missing); then the categorical
    columns: one-hot over the source's categories, so that each fold has the same columns (a category not seen in
    training is all zeros, and its column is 0), or as one code each (0 for unseen or missing, then 1, 2, … for the
    training role's).

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
        """Takes means, medians, deviations and categories of these rows."""
        x = np.concatenate(list(inputs_of(samples, rows)))  # (n, F)
        numbers = [i for i, f in enumerate(samples.features) if f.categories is None and not f.is_date]
        dates = {f.name: DateColumn.fit(x[:, i], self.normalize) for i, f in enumerate(samples.features) if f.is_date}
        values = x[:, numbers].astype(np.float64)
        mean, std = moments(iter([values])) if numbers else (np.zeros(0), np.ones(0))
        fill = {"mean": mean, "zero": np.zeros_like(mean)}.get(self.impute)
        if fill is None:
            fill = np.array([np.median(c[~np.isnan(c)]) if (~np.isnan(c)).any() else 0.0 for c in values.T])
        if not self.normalize:
            mean, std = np.zeros_like(mean), np.ones_like(std)
        shift = far(mean, std)  # taken away in float64, before anything becomes float32
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
            "written": {f.name: f.written for f in samples.features if f.written},
            "dates": {name: date.state() for name, date in dates.items()},
            "categories": categories,
            "seen": seen,
            "shift": torch.from_numpy(shift),
            "mean": torch.from_numpy((mean - shift).astype(np.float32)),
            "std": torch.from_numpy(std.astype(np.float32)),
            "fill": torch.from_numpy((fill - shift).astype(np.float32)),
            "flags": torch.from_numpy(np.isnan(values).any(axis=0) if self.missing else np.zeros(len(numbers), bool)),
        }
        self.fitted = True

    @property
    def numeric(self) -> int | None:  # type: ignore[override]
        """How many leading columns are continuous."""
        return len(self._state["numbers"]) if self.fitted else None

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns that it was fitted on and their kinds; categories are those of whatever file is read next."""
        state, written = self._state, self._state.get("written", {})
        no_categories = {*state["numbers"], *self._dates}
        return tuple(
            Feature(name, None if name in no_categories else (), written.get(name, "")) for name in state["columns"]
        )

    @property
    def _dates(self) -> dict[str, DateColumn]:
        """The columns of dates."""
        return {name: DateColumn(**state) for name, state in self._state.get("dates", {}).items()}

    def encoder(self, samples: Samples) -> Encoder | None:
        """A function from (B, F) to the fitted columns, by name, in fitted codes: -1 for one not seen in training.

        Behind them comes what is made of dates: here, in float64, since days with fractions are long numbers.

        Raises:
            UserError: where the source lacks a column, or has it numeric and not categorical or the reverse.
        """
        features = {feature.name: (i, feature.categories) for i, feature in enumerate(samples.features)}
        if missing := [name for name in self._state["columns"] if name not in features]:
            raise DataError(
                f"{samples.origin}: no column {missing[0]!r}, which the model was trained on; give the same columns"
            )
        wanted = {name: i for i, name in enumerate(self._state["columns"])}
        tables: list[tuple[int, npt.NDArray[np.float32]]] = []
        for name, at in wanted.items():
            fitted, given = self._state["categories"].get(name), features[name][1]
            if (fitted is None) != (given is None):
                kind = "numeric" if given is None else "categorical"
                raise DataError(
                    f"{samples.origin}: column {name!r} is {kind} here and was not in training; declare it in "
                    "data.categorical or data.numeric"
                )
            if fitted is not None and given is not None:
                seen = self._state["seen"][name]
                number = {category: k for k, category in enumerate(fitted) if seen[k]}
                codes = [number.get(category, -1) for category in as_fitted(given, fitted)]
                tables.append((at, np.array([*codes, -1], dtype=np.float32)))  # the last one is for missing
        columns = [features[name][0] for name in wanted]
        shift = np.zeros(len(columns))
        shift[[wanted[name] for name in self._state["numbers"]]] = self._state["shift"].numpy()
        dates = [(features[name][0], date) for name, date in self._dates.items()]

        def encode(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
            made = [date.values(x[:, i]) for i, date in dates]
            x = (x[:, columns] - shift if shift.any() else x[:, columns]).astype(np.float32)
            for i, codes in tables:
                x[:, i] = codes[np.where(np.isnan(x[:, i]), len(codes) - 1, x[:, i]).astype(np.int64)]
            return np.concatenate([x, *made], axis=1) if made else x

        return encode

    def unseen(self, samples: Samples, rows: Rows, refuse: bool = True) -> dict[str, Unseen]:
        """The values of categorical columns that training has not seen, by column; nothing where all were seen.

        Of FEWEST samples or more, columns of any kind in which no value is there are among them, with no names.

        Args:
            samples: a source.
            rows: some of its samples.
            refuse: raise where too few were seen.

        Raises:
            DataError: for a column of which more than MOST_UNSEEN are no categories of the data trained on; with
                `encode: code`, of which none is one.
        """
        found: dict[str, Unseen] = {}
        if len(rows) >= FEWEST:
            gone = np.logical_and.reduce([np.isnan(x).all(axis=0) for x in inputs_of(samples, rows)])
            empty = {feature.name for feature, none in zip(samples.features, gone, strict=True) if none}
            found = {name: Unseen(len(rows), ()) for name in self._state["columns"] if name in empty}
        for i, feature in enumerate(samples.features):
            fitted = self._state["categories"].get(feature.name)
            if fitted is None or feature.categories is None:
                continue
            count = np.zeros(len(feature.categories), dtype=np.int64)  # samples by category
            for x in inputs_of(samples, rows):
                count += np.bincount(x[:, i][~np.isnan(x[:, i])].astype(np.int64), minlength=len(count))
            spelling = as_fitted(feature.categories, fitted)
            held = {
                name: (one, int(count[k]))
                for k, (name, one) in enumerate(zip(feature.categories, spelling, strict=True))
            }
            held = {name: (one, n) for name, (one, n) in held.items() if n}
            seen = {name for name, known in zip(fitted, self._state["seen"][feature.name], strict=True) if known}
            lost = {name: n for name, (one, n) in held.items() if one not in seen}
            total = sum(n for _, n in held.values())
            strange = {name: n for name, (one, n) in held.items() if one not in fitted}
            # of a few rows a share says little, and codes have one for what is new, as new users are
            most = MOST_UNSEEN if self.encode == "onehot" and total >= FEWEST else 1 - 1e-9
            if refuse and total > 1 and sum(strange.values()) > most * total:
                n = sum(strange.values())
                what = "none of its values" if n == total else f"of its {total} values {n}"
                was = "was seen" if n == total else "were not seen"
                raise DataError(
                    f"{samples.origin}: column {feature.name!r}: {what} ({shown(strange)}) {was} in training, where "
                    f"they were {shown(fitted)}; spell them so, or leave them empty"
                )
            if lost:
                found[feature.name] = Unseen(sum(lost.values()), tuple(lost))
        return found

    def apply(self, batch: Batch) -> Batch:
        """The batch with inputs (B, F') float32: numbers, flags of missing ones, categories."""
        x, state = batch.x.float(), self._state
        numbers = [state["columns"].index(name) for name in state["numbers"]]
        values = x[:, numbers]
        gone = values.isnan()
        values = torch.where(gone, state["fill"].to(x.device), values)
        values = (values - state["mean"].to(x.device)) / state["std"].to(x.device)
        parts = [values, x[:, len(state["columns"]) :], gone[:, state["flags"].to(x.device)].float()]
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
        dated = sum(date.width for date in self._dates.values())
        return len(self._state["numbers"]) + dated + int(self._state["flags"].sum()) + coded

    def dated(self) -> list[str]:
        """The names of the numbers that dates become, in order."""
        return [f"{name} {part}" for name, date in self._dates.items() for part in PARTS[: date.width]]

    def widths(self) -> dict[str, int]:
        """By column, how many numbers of a preprocessed sample it becomes."""
        found = dict.fromkeys(self._state["columns"], 1)
        for name, flag in zip(self._state["numbers"], self._state["flags"].tolist(), strict=True):
            found[name] += int(flag)
        found |= {name: date.width for name, date in self._dates.items()}
        if self.encode == "onehot":
            found |= {name: len(categories) for name, categories in self._state["categories"].items()}
        return found

    def state(self) -> dict[str, Any]:
        """Columns, categories, means, deviations and what fills gaps."""
        return dict(self._state)

    def load(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave."""
        self._state, self.fitted = dict(state), True
