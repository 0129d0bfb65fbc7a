"""Preprocessing as fitted state: fitted on a fold's training role, kept in checkpoints, applied alike everywhere."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from lightning_base.errors import DataError
from lightning_base.samples.batch import Batch, Encoder
from lightning_base.samples.feed import Feed
from lightning_base.samples.payload import Rows, blocks
from lightning_base.samples.samples import Samples
from lightning_base.samples.several import Part
from lightning_base.samples.targets import Targets


@dataclass(frozen=True)
class Unseen:
    """Values of a column that training has not seen: in how many samples, the distinct ones, and what they are.

    Where there is none of these, and not a value of any other kind in the column, `names` is empty.
    """

    count: int
    names: tuple[str, ...]
    what: str = "a category"
    effect: str = "it counts for nothing"


class Preprocess(ABC):
    """What turns a source's values into what a network takes.

    `encoder` maps a source's own codes (of categories, of words) to fitted ones while batches are gathered;
    `apply` does the rest on the batch's device. Everything fitted is in `state`: tensors, numbers and strings.
    """

    fitted = False
    longest: int | None = None  # ragged samples are cut after so many values
    fixed = False  # … and all padded to that length
    vocabulary: int | None = None  # the most tokens there may be, in any fold, padding and special ones included
    known: int | None = None  # how many there are, once it is fitted
    numeric: int | None = None  # tables: how many leading columns of a preprocessed sample are continuous

    @property
    def numeric_parts(self) -> dict[str, int | None]:
        """`numeric` of several inputs by name."""
        return {}

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

    def unseen(self, samples: Samples, rows: Rows, refuse: bool = True) -> dict[str, Unseen]:
        """By column, the values among these rows that training has not seen and that are not told apart; none here.

        Args:
            samples: a source.
            rows: some of its samples.
            refuse: raise where too few were seen.

        Raises:
            DataError: where no value of a column was seen.
        """
        return {}

    def encoder(self, samples: Samples) -> Encoder | None:
        """A function from this source's gathered values (B, ...) to fitted codes; None where nothing is to map."""
        return None

    def recoded(self, samples: Samples) -> Samples:
        """The samples with inputs that are recoded once per source, as a tokenizer does it; here as they are."""
        return samples

    def recoded_parts(self, samples: Samples) -> dict[str, Part]:
        """What `recoded` makes of one of several inputs, by what its name then ends with: itself, by "", alone here."""
        one = self.recoded(samples)
        return {"": Part(one.inputs, one.features, one.white, one.schema)}

    def located(self, samples: Samples, found: Samples) -> Targets:
        """The samples' spans by tokens of the input that they are of.

        Args:
            samples: as they are read, with spans by characters.
            found: as `recoded` gives them.

        Raises:
            DataError: where preprocessing does not say where tokens stand.
        """
        raise DataError(
            f"{samples.origin}: targets are parts of a text, and {type(self).__name__} does not say where its tokens "
            "stand in it; give lightning_base.preprocess.Several with a Tokenizer(places=True)"
        )

    def feeds(self, samples: Samples, fixed: bool = False) -> Feed | Mapping[str, Feed]:
        """How this source's inputs are gathered: one, or several by name.

        Args:
            samples: as `recoded` gives them.
            fixed: pad ragged samples to the most that they are cut to, where they are, as a TPU needs it.
        """
        return Feed(
            samples.inputs, self.encoder(samples), self.longest, self.fixed or (fixed and self.longest is not None)
        )


def recoded(samples: Samples, inputs: Preprocess, targets: Preprocess | None) -> Samples:
    """The samples with inputs, and targets where something is fitted on them, recoded; ids and hashes stay."""
    found = inputs.recoded(samples)
    if samples.targets is not None and samples.targets.kind == "spans":
        return replace(found, targets=inputs.located(samples, found), hashes=samples.content)
    if targets is not None and samples.targets is not None:
        payload = targets.recoded(samples.of_targets()).inputs
        found = replace(found, targets=replace(samples.targets, payload=payload))
    return found if found is samples else replace(found, hashes=samples.content)


def inputs_of(samples: Samples, rows: Rows) -> Iterator[npt.NDArray[Any]]:
    """The inputs (B, ...) of rows (N,), a few thousand samples at a time."""
    return (block.values for block in blocks(samples.inputs, rows, 4096))
